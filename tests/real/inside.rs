//! A test program at work inside of a booted host.

use super::host::{Booted, Result, Said};

/// Runs the program that this is inside of a host, with `--inside` and more words.
pub fn run_this_program(host: &Booted, words: &[&str]) -> Result<Said> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let place = "/usr/local/bin/inside";
    std::fs::copy(program, host.directory().root().join(place.trim_start_matches('/')))
        .map_err(|error| format!("{place}: {error}"))?;
    let mut argv = vec![place, "--inside"];
    argv.extend(words);
    host.inside(&argv)
}
