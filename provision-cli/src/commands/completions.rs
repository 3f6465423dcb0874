//! `provision completions`: a script for a shell.

use std::io::Write;

use crate::cli::{self, Completions};
use crate::exit::{Exit, Failure};
use crate::output;

/// Prints the script.
pub fn run(verb: &Completions) -> Result<Exit, Failure> {
    // The generator panics where it cannot write, as to a pipe that was closed.
    let mut script = Vec::new();
    clap_complete::generate(verb.shell, &mut cli::command(), "provision", &mut script);
    output::raw().write_all(&script)?;
    Ok(Exit::Success)
}
