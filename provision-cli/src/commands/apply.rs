//! `provision apply`: bring the host into the declared state.

use std::io::{BufRead, IsTerminal, Write};

use provision_core::apply::{ApplyOptions, Cancel};
use provision_core::error::{Error, ErrorKind, ResultExt};
use provision_core::facts::Facts;
use provision_core::plan::PlanOptions;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::cli::{Apply, Format, Options};
use crate::context;
use crate::exit::{Exit, Failure};
use crate::render;
use crate::render::events::Watcher;

/// Plans, and carries the plan out.
pub fn run(options: &Options, verb: &Apply) -> Result<Exit, Failure> {
    let watcher = Watcher::new(options);
    let host = context::host(options, watcher.progress())?;
    let facts = Facts::gather(&*host)?;
    let graph = context::graph(&verb.site, &facts)?;
    if options.format == Format::Text {
        render::diagnostics::warnings(&graph);
    }
    let planned = graph.plan(&*host, &PlanOptions { only: verb.only.only.clone() })?;
    if verb.ask && !planned.plan().is_empty() {
        render::plan::show(planned.plan(), &context::host_name(options, &facts), options)?;
        if !confirmed()? {
            writeln!(anstream::stdout(), "Nothing was changed.")?;
            return Ok(Exit::Success);
        }
    }
    let cancel = Cancel::default();
    stop_on_signals(&cancel)?;
    let apply = ApplyOptions { jobs: verb.jobs.into(), cancel };
    let report = planned.apply(&*host, &apply, &watcher);
    watcher.finish(planned.plan(), &report)?;
    Ok(match &report {
        _ if !report.is_success() => Exit::Failure,
        _ if verb.detailed_exitcode && report.changed_anything() => Exit::Changes,
        _ => Exit::Success,
    })
}

fn confirmed() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage("--ask needs a terminal to ask on; leave it out, or run `provision plan`".into()));
    }
    let mut out = anstream::stdout().lock();
    write!(out, "\nApply this? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// The first signal stops the run after the effects in progress. Later ones only repeat that: to kill a package
/// manager half-way does more harm than to wait.
fn stop_on_signals(cancel: &Cancel) -> Result<(), Error> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])
        .while_doing(|| "listening for signals")
        .map_err(|error| Error::new(ErrorKind::Io, error.to_string()))?;
    let cancel = cancel.clone();
    std::thread::spawn(move || {
        for _ in signals.forever() {
            cancel.cancel();
            let _ = writeln!(anstream::stderr(), "\nstopping after the effects in progress; they are not interrupted");
        }
    });
    Ok(())
}
