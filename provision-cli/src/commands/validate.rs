//! `provision validate`: is the site right?

use std::io::Write;

use serde_json::json;

use crate::cli::{Format, Validate};
use crate::context::{self, Program, Target};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::render;

/// Checks a site. No host is touched; facts are read, because a site may use them.
pub fn run(program: &Program<'_>, verb: &Validate) -> Result<Exit, Failure> {
    let options = program.options;
    let facts = context::facts(options, &verb.site, &*Target::open(options, None)?.view(), true)?;
    let graph = match context::graph(program, &verb.site, &facts) {
        Err(Failure::Invalid(diagnostics)) if options.format == Format::Json => {
            render::json::print(&json!({
                "schema": "provision/validate/1",
                "valid": false,
                "diagnostics": diagnostics.list,
            }))?;
            return Ok(Exit::Invalid);
        }
        graph => graph?,
    };
    let mut out = output::stdout();
    match options.format {
        Format::Json => render::json::print(&json!({
            "schema": "provision/validate/1",
            "valid": true,
            "resources": graph.len(),
            "diagnostics": graph.warnings(),
        }))?,
        Format::Text | Format::Markdown => {
            render::diagnostics::warnings(graph.warnings(), graph.sources());
            if !options.quiet {
                let s = if graph.len() == 1 { "" } else { "s" };
                writeln!(out, "The site is valid: {} resource{s}.", graph.len())?;
            }
        }
    }
    Ok(Exit::Success)
}
