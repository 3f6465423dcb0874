//! `provision completions`: a script for a shell.

use clap::CommandFactory;

use crate::cli::{Arguments, Completions};
use crate::exit::{Exit, Failure};

/// Prints the script.
pub fn run(verb: &Completions) -> Result<Exit, Failure> {
    clap_complete::generate(verb.shell, &mut Arguments::command(), "provision", &mut std::io::stdout());
    Ok(Exit::Success)
}
