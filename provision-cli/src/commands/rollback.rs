//! `provision rollback`: undo a run.

use provision_core::apply::{ApplyOptions, Cancel};
use provision_core::error::{Error, ErrorKind};
use provision_core::facts::Facts;
use provision_core::host::HostView;
use provision_core::journal::{Ending, Journal, Purpose, RunId};
use provision_core::rollback::{Rollback as Undo, RollbackOptions};
use provision_core::secret::MemorySecrets;
use serde_json::json;

use super::apply::{confirmed_as_shown, exit, stop_on_signals};
use crate::cli::{Format, Options, Rollback};
use crate::context::{self, Program, Target};
use crate::exit::{Exit, Failure};
use crate::render;
use crate::render::events::Watcher;

/// Plans how to undo a run, and does it.
pub fn run(program: &Program<'_>, verb: &Rollback) -> Result<Exit, Failure> {
    let options = program.options;
    let how = RollbackOptions { keep_changed: verb.keep_changed };
    let watcher = Watcher::new(options);
    let target = Target::open(options, watcher.progress())?;
    // What is undone is in the journal, secrets included.
    let secrets = MemorySecrets::default();
    if verb.plan {
        let preview = target.preview(secrets)?;
        let undo = preview.rollback(chosen(verb, preview.journal())?, how)?;
        show(&undo, preview.host(), options)?;
        return Ok(if undo.plan.is_feasible() { Exit::Success } else { Exit::Failure });
    }
    let engine = target.engine(&verb.work, secrets)?;
    render::history::recovered(engine.recovered(), options)?;
    let run = chosen(verb, engine.journal())?;
    let prepared = engine.rollback(run, how)?;
    let undo = prepared.rollback();
    if !undo.plan.is_feasible() {
        show(undo, engine.host(), options)?;
        return Ok(Exit::Failure);
    }
    if verb.work.ask {
        show(undo, engine.host(), options)?;
        let question = format!("Undo run {run}?");
        if !undo.plan.is_empty() && !confirmed_as_shown(&question, &undo.plan, &engine)? {
            return Ok(Exit::Success);
        }
    } else {
        render::history::left(undo, options)?;
    }
    let cancel = Cancel::default();
    stop_on_signals(&cancel)?;
    let apply = ApplyOptions { jobs: 1, cancel, verbatim: true, ..ApplyOptions::default() };
    let report = prepared.apply(&apply, &watcher)?;
    watcher.finish(&undo.plan, &report)?;
    Ok(exit(&report, &verb.work))
}

fn show(undo: &Undo, host: &dyn HostView, options: &Options) -> Result<(), Failure> {
    match options.format {
        Format::Json => render::json::print(&json!({ "schema": "provision/rollback/1", "rollback": undo })),
        Format::Text | Format::Markdown => {
            render::history::rollback(undo, &context::host_name(options, &Facts::gather(host)?), options)
        }
    }
}

/// The run that is named, or else the last one that can be undone.
fn chosen(verb: &Rollback, journal: &Journal) -> Result<RunId, Failure> {
    verb.run.map_or_else(|| last(journal), Ok)
}

/// The last run that changed something and has not been undone.
fn last(journal: &Journal) -> Result<RunId, Failure> {
    let mut undone = Vec::new();
    for (run, summary) in journal.runs()? {
        let summary = summary?;
        let how = summary.ended.map(|ended| ended.how);
        let took_itself_back = how == Some(Ending::RolledBack);
        match summary.info.purpose {
            Purpose::Rollback { of } if how == Some(Ending::Done) => undone.push(of),
            // What it left over is still to be undone.
            Purpose::Rollback { .. } => {}
            Purpose::Apply if summary.done > 0 && !took_itself_back && !undone.contains(&run) => return Ok(run),
            Purpose::Apply => {}
        }
    }
    Err(Error::new(ErrorKind::NotFound, "there is no run that could be undone")
        .with_hint("`provision history` lists the runs that changed this host")
        .into())
}
