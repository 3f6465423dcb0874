//! `provision apply`: bring the host into the declared state.

use std::io::{BufRead, IsTerminal, Write};

use provision_core::apply::{ApplyOptions, Cancel};
use provision_core::error::{Error, ErrorKind, ResultExt};
use provision_core::facts::Facts;
use provision_core::journal::{Purpose, RunInfo};
use provision_core::plan::PlanOptions;
use provision_core::report::Report;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::cli::{Apply, Format, Options, Work};
use crate::context;
use crate::exit::{Exit, Failure};
use crate::render;
use crate::render::events::Watcher;

/// Plans, and carries the plan out.
pub fn run(options: &Options, verb: &Apply) -> Result<Exit, Failure> {
    let watcher = Watcher::new(options);
    let target = context::target(options, watcher.progress())?;
    let host = &*target.host;
    let facts = Facts::gather(host)?;
    let graph = context::graph(&verb.site, &facts)?;
    if options.format == Format::Text {
        render::diagnostics::warnings(&graph);
    }
    let _lock = target.lock(&verb.work)?;
    render::history::recovered(&target.journal.recover(host)?, options)?;
    let pending = target.journal.pending()?;
    let planned = graph.plan(host, &PlanOptions { only: verb.only.only.clone(), owed: pending.owed })?;
    let plan = planned.plan();
    if verb.work.ask && !plan.is_empty() {
        render::plan::show(plan, &context::host_name(options, &facts), options)?;
        if !confirmed("Apply this?")? {
            return Ok(Exit::Success);
        }
    }
    let sites: Vec<String> = verb.site.sites.iter().map(|site| site.display().to_string()).collect();
    let info = RunInfo {
        purpose: Purpose::Apply,
        who: context::who(),
        site: sites.join(" "),
        site_digest: (!plan.is_empty()).then(|| graph.digest()),
    };
    let cancel = Cancel::default();
    stop_on_signals(&cancel)?;
    let recorder = Some(target.journal.begin(info)?);
    let report = planned.apply(host, &ApplyOptions { jobs: verb.jobs.into(), cancel, recorder }, &watcher);
    watcher.finish(plan, &report)?;
    Ok(exit(&report, &verb.work))
}

/// How a run that was carried out ends the program.
pub fn exit(report: &Report, work: &Work) -> Exit {
    match report {
        _ if !report.is_success() => Exit::Failure,
        _ if work.detailed_exitcode && report.changed_anything() => Exit::Changes,
        _ => Exit::Success,
    }
}

/// Asks on the terminal; says so if the answer is no.
pub fn confirmed(question: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage("--ask needs a terminal to ask on; leave it out, or run `provision plan`".into()));
    }
    let mut out = anstream::stdout().lock();
    write!(out, "\n{question} [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    let yes = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
    if !yes {
        writeln!(out, "Nothing was changed.")?;
    }
    Ok(yes)
}

/// The first signal stops the run after the effects in progress. Later ones only repeat that: to kill a package
/// manager half-way does more harm than to wait.
pub fn stop_on_signals(cancel: &Cancel) -> Result<(), Error> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])
        .while_doing(|| "listening for signals")
        .map_err(|error| Error::new(ErrorKind::Io, error.to_string()))?;
    let cancel = cancel.clone();
    std::thread::spawn(move || {
        for _ in signals.forever() {
            let says = match cancel.is_cancelled() {
                false => "stopping after the effects in progress; they are not interrupted",
                true => {
                    "still finishing the effects in progress: a package manager that is killed half-way does more harm \
                     than to wait for it"
                }
            };
            cancel.cancel();
            let _ = writeln!(anstream::stderr(), "\n{says}");
        }
    });
    Ok(())
}
