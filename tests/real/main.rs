//! Sites on real Debian: a root directory made by `mmdebstrap`, and systems booted with `systemd-nspawn`.
//!
//! As root, with `mmdebstrap` and `systemd-container`. Without them the tests are ignored, unless
//! `PROVISION_REAL_TESTS=required` makes that a failure. What is on a host afterwards is asked of independent
//! programs: `stat`, `getent`, `dpkg-query`, `systemctl`.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stderr,
    reason = "tests look at hosts from outside"
)]

mod accounts;
mod base_server;
mod guarantees;
mod host;
mod listing;
mod packages;
#[path = "../requirements.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "it serves other tests as well")]
mod requirements;
mod scenarios;
mod secrets;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let can_be_had = match host::can_be_had() {
        Ok(can_be_had) => can_be_had,
        Err(failure) => return failure,
    };
    let trials: Vec<Trial> = scenarios::all()
        .into_iter()
        .map(|(name, scenario)| {
            Trial::test(name, move || scenario().map_err(Into::into)).with_ignored_flag(!can_be_had)
        })
        .collect();
    // Hosts wait for their disks and their services more than for processors.
    let test_threads = arguments.test_threads.or(Some(2));
    libtest_mimic::run(&Arguments { test_threads, ..arguments }, trials).exit_code()
}
