//! What reads bytes of others never panics, never aborts, and never takes memory or time without bounds: whatever the
//! bytes are, there is a value or an error.
//!
//! Each target begins with valid inputs and changes them at random. `PROVISION_FUZZ=1000000` tries so many of each target;
//! otherwise each has less than a second. `PROVISION_FUZZ_SEED` draws others. What fails is told with its number:
//! `PROVISION_FUZZ_FIRST` begins with that, and `PROVISION_FUZZ=1` shows it.
//!
//! A target runs in a process of its own, which a stack overflow or its limit of memory may end.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests run programs and panic"
)]

mod corpus;
mod mutate;
mod targets;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::resource::{Resource, setrlimit};

use mutate::Chance;
use targets::{TARGETS, Target};

/// How long a target is tried if no number is given.
const USUAL: Duration = Duration::from_millis(700);

/// How long one input may take, with a lot of room for a machine that has other things to do.
const LONGEST: Duration = Duration::from_secs(60);

/// How much memory a target may take. Its inputs have a few thousand bytes.
const MEMORY: u64 = 2 << 30;

/// What the panic that was caught last said.
static PANIC: Mutex<String> = Mutex::new(String::new());

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if let [_, inside, name, progress] = words.as_slice()
        && inside == "--inside"
    {
        let target = TARGETS.iter().find(|target| target.name == name).unwrap();
        return inside_of(target, &File::options().write(true).open(progress).unwrap());
    }
    let trials = TARGETS.iter().map(|target| Trial::test(target.name, || watch(target))).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Runs a target in a process of its own, and ends that if one input takes it too long.
fn watch(target: &Target) -> Result<(), Failed> {
    let progress = tempfile::NamedTempFile::new()?;
    progress.as_file().write_all_at(&0_u64.to_le_bytes(), 0)?;
    let number = || {
        let mut bytes = [0; 8];
        progress.as_file().read_exact_at(&mut bytes, 0).map(|()| u64::from_le_bytes(bytes))
    };
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--inside")
        .arg(target.name)
        .arg(progress.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let (mut last, mut since) = (0, Instant::now());
    let status: Option<ExitStatus> = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        let now = number()?;
        if now != last {
            (last, since) = (now, Instant::now());
        } else if since.elapsed() > LONGEST {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut said)?;
    let number = number()?;
    match status {
        Some(status) if status.success() => {
            println!("{}: {}", target.name, said.trim());
            Ok(())
        }
        Some(status) if said.is_empty() => Err(format!("input {number} ended the process: {status}").into()),
        Some(_) => Err(said.into()),
        None => Err(format!("input {number} takes more than {LONGEST:?}").into()),
    }
}

/// Tries a target, and writes down the number of each input before it is tried.
fn inside_of(target: &Target, progress: &File) -> ExitCode {
    setrlimit(Resource::RLIMIT_AS, MEMORY, MEMORY).unwrap();
    let seed = variable("PROVISION_FUZZ_SEED").unwrap_or(1);
    let first = variable("PROVISION_FUZZ_FIRST").unwrap_or(0);
    let most = variable("PROVISION_FUZZ");
    let (corpus, attempt) = (target.prepare)();
    std::panic::set_hook(Box::new(|info| {
        *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = info.to_string();
    }));
    let (started, mut slowest) = (Instant::now(), (Duration::ZERO, 0));
    let mut number = first;
    while most.map_or_else(|| started.elapsed() < USUAL, |most| number - first < most) {
        progress.write_all_at(&number.to_le_bytes(), 0).unwrap();
        let input = mutate::input(&corpus, &mut Chance::new(seed, number));
        if most == Some(1) {
            println!("{}", String::from_utf8_lossy(&input));
        }
        let begun = Instant::now();
        if catch_unwind(AssertUnwindSafe(|| attempt(&input))).is_err() {
            let said = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
            println!("input {number} panics: {said}\n{}", String::from_utf8_lossy(&input));
            return ExitCode::FAILURE;
        }
        slowest = slowest.max((begun.elapsed(), number));
        number += 1;
    }
    println!("{} inputs, of which number {} took {:?}", number - first, slowest.1, slowest.0);
    ExitCode::SUCCESS
}
