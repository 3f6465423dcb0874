//! The model is honest: random sites on the simulated host and on real Debian, and what both report must agree.
//!
//! As root, with `mmdebstrap` and `systemd-container`. On root directories each scenario begins anew, and one that
//! disagrees is made smaller; on booted systems scenarios follow one another, each on what the last one left.
//! `PROVISION_PARITY=500` tries so many on root directories of each release, and a fifth of that on booted systems;
//! `PROVISION_PARITY_SEED` draws others, and
//! `PROVISION_PARITY_FIRST` begins with one that is known. Without root the tests are ignored, unless `PROVISION_REAL_TESTS=required`.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tests look at hosts from outside"
)]

mod compare;
#[path = "../real/fresh.rs"]
#[allow(dead_code, reason = "it serves other tests as well")]
mod fresh;
mod ground;
#[path = "../real/host.rs"]
#[allow(dead_code, reason = "it serves other tests as well")]
mod host;
#[path = "../real/inside.rs"]
mod inside;
#[path = "../requirements.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "it serves other tests as well")]
mod requirements;
mod scenario;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use provision_core::host::LocalHost;
use provision_resources::Debian;

use host::Result;

/// How many scenarios are tried on root directories of each release if nothing else is said.
const COUNT: u32 = 24;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if let [_, inside, seed, count] = words.as_slice()
        && inside == "--inside"
    {
        return inside_of(seed.parse().unwrap_or_default(), count.parse().unwrap_or_default());
    }
    let arguments = Arguments::from_args();
    let can_be_had = match host::can_be_had() {
        Ok(can_be_had) => can_be_had,
        Err(failure) => return failure,
    };
    let seed = variable("PROVISION_PARITY_SEED").unwrap_or(1);
    let count = variable("PROVISION_PARITY").map_or(COUNT, |count| u32::try_from(count).unwrap_or(COUNT));
    let mut trials = Vec::new();
    for release in ["bookworm", "trixie"] {
        let on_directories = move || ground::on_root_directories(release, seed, count).map_err(Into::into);
        trials.push(
            Trial::test(format!("{release}::root_directories_agree"), on_directories).with_ignored_flag(!can_be_had),
        );
        let booted = move || on_a_booted_host(release, seed, (count / 5).max(1)).map_err(Into::into);
        trials.push(Trial::test(format!("{release}::booted_hosts_agree"), booted).with_ignored_flag(!can_be_had));
    }
    libtest_mimic::run(&Arguments { test_threads: Some(1), ..arguments }, trials).exit_code()
}

/// Runs this program inside of a booted system, where it compares that with the model.
fn on_a_booted_host(release: &'static str, seed: u64, count: u32) -> Result {
    let host = host::Booted::new(release)?;
    host.inside(&["apt-get", "update", "-q"])?.expect(0)?;
    let said = inside::run_this_program(&host, &[&seed.to_string(), &count.to_string()])?.expect(0)?;
    println!("{release}, booted: {}", said.out.trim());
    Ok(())
}

fn inside_of(seed: u64, count: u32) -> ExitCode {
    let tried = LocalHost::running(Debian::new())
        .map_err(|error| error.to_string())
        .and_then(|host| ground::on_one_host(&host, seed, count));
    match tried {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(disagreement) => {
            eprintln!("{disagreement}");
            ExitCode::FAILURE
        }
    }
}
