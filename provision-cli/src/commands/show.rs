//! `provision show`: what a run did.

use provision_core::error::{Error, ErrorKind};
use serde_json::json;

use crate::cli::{Format, Options, Show};
use crate::context::Target;
use crate::exit::{Exit, Failure};
use crate::render;

/// Shows a run with each of its effects.
pub fn run(options: &Options, verb: &Show) -> Result<Exit, Failure> {
    let journal = Target::open(options, None)?.journal()?;
    let run = match verb.run {
        Some(run) => run,
        None => journal.runs()?.first().map(|(run, _)| *run).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "nothing was done to this host yet, or its journal was removed")
        })?,
    };
    let record = journal.run(run)?;
    match options.format {
        Format::Json => render::json::print(&json!({ "schema": "provision/run/1", "run": record }))?,
        Format::Text | Format::Markdown => render::history::run(&record, options)?,
    }
    Ok(Exit::Success)
}
