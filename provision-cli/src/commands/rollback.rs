//! `provision rollback`: undo a run.

use provision_core::apply::{ApplyOptions, Cancel};
use provision_core::error::{Error, ErrorKind};
use provision_core::facts::Facts;
use provision_core::journal::{Ending, Purpose, Retention, RunId, RunInfo};
use provision_core::rollback::RollbackOptions;
use serde_json::json;

use super::apply::{confirmed_as_shown, exit, stop_on_signals};
use crate::cli::{Format, Options, Rollback};
use crate::context::{self, Target};
use crate::exit::{Exit, Failure};
use crate::render;
use crate::render::events::Watcher;

/// Plans how to undo a run, and does it.
pub fn run(options: &Options, verb: &Rollback) -> Result<Exit, Failure> {
    let watcher = Watcher::new(options);
    let target = context::target(options, watcher.progress())?;
    let host = &*target.host;
    let lock = target.lock(&verb.work)?;
    if !verb.plan {
        render::history::recovered(&target.journal.recover(&lock.journal, host)?, options)?;
    }
    let run = match verb.run {
        Some(run) => run,
        None => last(&target)?,
    };
    let record = target.journal.run(run)?;
    let rollback = target.journal.rollback(run, host, RollbackOptions { keep_changed: verb.keep_changed })?;
    let feasible = rollback.plan.is_feasible();
    if verb.plan || verb.work.ask || !feasible {
        match options.format {
            Format::Json => render::json::print(&json!({ "schema": "provision/rollback/1", "rollback": rollback }))?,
            Format::Text | Format::Markdown => {
                let name = context::host_name(options, &Facts::gather(host)?);
                render::history::rollback(&rollback, &name, options)?;
            }
        }
        if !feasible {
            return Ok(Exit::Failure);
        }
        let question = format!("Undo run {run}?");
        if verb.plan || (!rollback.plan.is_empty() && !confirmed_as_shown(&question, &rollback.plan, &target)?) {
            return Ok(Exit::Success);
        }
    } else {
        render::history::left(&rollback, options)?;
    }
    let info = RunInfo { purpose: Purpose::Rollback { of: run }, who: context::who(), ..record.info };
    let cancel = Cancel::default();
    stop_on_signals(&cancel)?;
    // How much of the past is kept, the site says, and there is none here.
    let recorder = Some(target.journal.clone().with_retention(Retention::ALL).begin(&lock.journal, info)?);
    let apply = ApplyOptions { jobs: 1, cancel, recorder, verbatim: true, ..ApplyOptions::default() };
    let report = rollback.apply(host, &apply, &watcher);
    watcher.finish(&rollback.plan, &report)?;
    Ok(exit(&report, &verb.work))
}

/// The last run that changed something and has not been undone.
fn last(target: &Target) -> Result<RunId, Failure> {
    let mut undone = Vec::new();
    for (run, summary) in target.journal.runs()? {
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
