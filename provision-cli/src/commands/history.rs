//! `provision history`: the runs that changed a host.

use serde_json::json;

use crate::cli::{Format, History, Options};
use crate::context::Target;
use crate::exit::{Exit, Failure};
use crate::render;

/// Lists the runs, newest first.
pub fn run(options: &Options, verb: &History) -> Result<Exit, Failure> {
    let journal = Target::open(options, None)?.journal()?;
    let mut runs = journal.runs()?;
    runs.truncate(verb.lines);
    let readable = runs.iter().all(|(_, run)| run.is_ok());
    match options.format {
        Format::Json => {
            let runs: Vec<_> = runs
                .iter()
                .map(|(run, summary)| match summary {
                    Ok(summary) => json!(summary),
                    Err(error) => json!({ "run": run, "error": error }),
                })
                .collect();
            render::json::print(&json!({ "schema": "provision/history/1", "runs": runs }))?;
        }
        Format::Text | Format::Markdown if verb.lines == 0 => {}
        Format::Text | Format::Markdown => render::history::list(&runs)?,
    }
    Ok(if readable { Exit::Success } else { Exit::Failure })
}
