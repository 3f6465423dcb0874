//! `provision validate`: is the site right?

use std::io::Write;

use serde_json::json;

use crate::cli::{Format, Options, Validate};
use crate::context;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::render;

/// Checks a site. No host is touched; facts are read, because a site may use them.
pub fn run(options: &Options, verb: &Validate) -> Result<Exit, Failure> {
    let facts = context::facts(options, &verb.site, &*context::host(options)?, true)?;
    let graph = match context::graph(&verb.site, &facts) {
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
            render::diagnostics::warnings(&graph);
            if !options.quiet {
                let s = if graph.len() == 1 { "" } else { "s" };
                writeln!(out, "The site is valid: {} resource{s}.", graph.len())?;
            }
        }
    }
    Ok(Exit::Success)
}
