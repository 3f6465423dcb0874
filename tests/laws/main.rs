//! Every type keeps every law: on simulated hosts, in root directories and on booted systems of Debian 12 and 13, with
//! the same cases.
//!
//! Real hosts need root, `mmdebstrap` and `systemd-container`; without them those tests are ignored, unless
//! `PROVISION_REAL_TESTS=required`. On real hosts the laws about declarations alone are not tried again, and runs meet
//! faults at their first effects only: see `PART` in the file of each ground. At the end there is a table of how often
//! laws were tried, by type and host.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tests look at hosts from outside"
)]

mod booted;
#[path = "../real/fresh.rs"]
mod fresh;
#[path = "../real/host.rs"]
#[allow(dead_code, reason = "it serves other tests as well")]
mod host;
#[path = "../real/inside.rs"]
mod inside;
#[path = "../requirements.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "it serves other tests as well")]
mod requirements;
mod root_directory;
mod table;

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use libtest_mimic::{Arguments, Trial};
use provision_resources::cases::{laws, laws_of_real_hosts};

use host::Result;
use table::{Column, table};

/// What was tried, in the order in which it was.
static TRIED: Mutex<Vec<Column>> = Mutex::new(Vec::new());

/// The releases: number and name.
const RELEASES: [(u32, &str); 2] = [(12, "bookworm"), (13, "trixie")];

/// Tries the laws on hosts of a release.
type Attempt = fn(u32, &str) -> Result<Column>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if let [_, inside, release] = words.as_slice()
        && inside == "--inside"
    {
        return inside_of(release.parse().unwrap_or_default());
    }
    let arguments = Arguments::from_args();
    let can_be_had = match host::can_be_had() {
        Ok(can_be_had) => can_be_had,
        Err(failure) => return failure,
    };
    let grounds: [(&str, Attempt); 3] =
        [("simulated", simulated), ("root directory", root_directory), ("booted", booted)];
    let mut trials = Vec::new();
    for (ground, attempt) in grounds {
        for (release, name) in RELEASES {
            let ignored = ground != "simulated" && !can_be_had;
            let attempt = move || keep(attempt(release, name)?).map_err(Into::into);
            let name = format!("{name}::{}", ground.replace(' ', "_"));
            trials.push(Trial::test(name, attempt).with_ignored_flag(ignored));
        }
    }
    let conclusion = libtest_mimic::run(&Arguments { test_threads: Some(1), ..arguments }, trials);
    println!("{}", table(&TRIED.lock().unwrap_or_else(PoisonError::into_inner)));
    conclusion.exit_code()
}

fn keep(column: Column) -> Result {
    let kept = column.assert();
    TRIED.lock().unwrap_or_else(PoisonError::into_inner).push(column);
    kept
}

fn simulated(release: u32, _: &str) -> Result<Column> {
    Ok(Column::of(&format!("simulated {release}"), &laws(release).try_all()))
}

fn root_directory(release: u32, name: &str) -> Result<Column> {
    let ground = root_directory::RootDirectories::new(name)?;
    Ok(Column::of(&format!("root directory {release}"), &laws_of_real_hosts(release).try_on(&ground)))
}

/// Runs this program inside of a booted system, where it tries the laws on that.
fn booted(release: u32, name: &str) -> Result<Column> {
    let host = host::Booted::in_memory(name)?;
    root_directory::prepare(&|argv| host.inside(argv)?.expect(0).map(drop))?;
    let said = inside::run_this_program(&host, &[&release.to_string()])?.expect(0)?;
    Column::from_json(&format!("booted {release}"), said.out.trim())
}

fn inside_of(release: u32) -> ExitCode {
    let tried = booted::Booted::running().and_then(|ground| {
        let verdicts = laws_of_real_hosts(release).try_on(&ground);
        ground.finish().map(|()| verdicts).map_err(|failure| failure.in_case("the last case"))
    });
    match tried {
        Ok(verdicts) => {
            println!("{}", Column::of("booted", &verdicts).to_json());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
