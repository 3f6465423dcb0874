//! `provision completions`: a script for a shell.

use std::io::Write;

use clap::CommandFactory;

use crate::cli::{Arguments, Completions};
use crate::exit::{Exit, Failure};

/// Prints the script.
pub fn run(verb: &Completions) -> Result<Exit, Failure> {
    // The generator panics where it cannot write, as to a pipe that was closed.
    let mut script = Vec::new();
    clap_complete::generate(verb.shell, &mut Arguments::command(), "provision", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(Exit::Success)
}
