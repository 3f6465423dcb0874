//! JSON for programs. `docs/json.md` says what is in it.

use std::io::Write;

use serde::Serialize;

use crate::exit::Failure;
use crate::output;

/// Prints one document, indented.
pub fn print(document: &impl Serialize) -> Result<(), Failure> {
    let mut out = output::json();
    serde_json::to_writer_pretty(&mut out, document)?;
    writeln!(out)?;
    Ok(())
}

/// Prints one line of a stream of events.
pub fn line(document: &impl Serialize) -> Result<(), Failure> {
    let mut out = output::json();
    serde_json::to_writer(&mut out, document)?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}
