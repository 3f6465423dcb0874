//! `provision facts`: what a site may know of the host.

use provision_core::facts::Facts;

use crate::cli::{FactsArguments, Format, Options};
use crate::context::Target;
use crate::exit::{Exit, Failure};
use crate::render;

/// Shows the facts: JSON for programs, `facts.path = value` for people.
pub fn run(options: &Options, _: &FactsArguments) -> Result<Exit, Failure> {
    let facts = Facts::gather(&*Target::open(options, None)?.view())?;
    let facts = serde_json::to_value(facts)?;
    match options.format {
        Format::Json => render::json::print(&facts)?,
        Format::Text | Format::Markdown => render::facts::show(&facts)?,
    }
    Ok(Exit::Success)
}
