//! `provision apply`: bring the host into the declared state.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use provision_core::apply::{ApplyOptions, Cancel};
use provision_core::engine::{Engine, PlanError, Prepared};
use provision_core::error::{Error, ErrorKind, ResultExt};
use provision_core::host::Host;
use provision_core::journal::HostKey;
use provision_core::plan::{Plan, PlanOptions, SavedPlan};
use provision_core::report::Report;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::cli::{Apply, Format, Work};
use crate::context::{self, Program, Target};
use crate::exit::{Exit, Failure};
use crate::memory::Memory;
use crate::output;
use crate::render;
use crate::render::events::Watcher;
use crate::saved;
use crate::secrets::AtHand;

/// Plans, or takes a plan that was saved, and carries it out.
pub fn run(program: &Program<'_>, verb: &Apply) -> Result<Exit, Failure> {
    match saved::read(&verb.site)? {
        Some(bytes) => apply_saved(program, verb, &bytes),
        None => apply_site(program, verb),
    }
}

fn apply_site(program: &Program<'_>, verb: &Apply) -> Result<Exit, Failure> {
    let began = Instant::now();
    let options = program.options;
    let watcher = Watcher::new(options);
    let target = Target::open(options, watcher.progress())?;
    let cache = target.cache(&verb.site)?;
    let beside = verb.site.sites.first().map(PathBuf::as_path);
    let engine = target.engine(&verb.work, AtHand::of(&verb.secrets, beside))?;
    render::history::recovered(engine.recovered(), options)?;
    let facts = context::facts(options, &verb.site, engine.host(), false)?;
    let input = context::input(&verb.site)?;
    let memory = Memory::of(program, verb, cache.clone());
    if let Some(converged) = memory.converged(&facts, &input).filter(|converged| engine.is_converged(converged)) {
        render::events::nothing_to_do(converged.steps(), began.elapsed())?;
        return Ok(Exit::Success);
    }
    let (site, kept) = context::site(program, input, &verb.chosen, &facts, cache)?;
    // Only a plan that is shown names what is no longer declared.
    let without_leftovers = !verb.work.ask;
    let plan_options = PlanOptions { only: verb.chosen.only.clone(), without_leftovers, ..PlanOptions::default() };
    let prepared = memory.plan(&engine, site, kept, &plan_options)?;
    if options.format == Format::Text {
        render::diagnostics::warnings(prepared.graph().warnings(), prepared.graph().sources());
    }
    let exit = carry_out(program, verb, &watcher, &engine, &prepared, false);
    let holds_no_secrets = context::holds_no_secrets(prepared.graph(), prepared.plan());
    context::skip_drop(prepared, holds_no_secrets);
    exit
}

fn apply_saved(program: &Program<'_>, verb: &Apply, bytes: &[u8]) -> Result<Exit, Failure> {
    if !(verb.site.set.is_empty() && verb.chosen.only.is_empty() && !verb.chosen.prune) {
        return Err(Failure::Usage(
            "a saved plan is applied as it is, so --set, --only and --prune cannot change it".into(),
        ));
    }
    let options = program.options;
    let file = verb.site.sites[0].display().to_string();
    let watcher = Watcher::new(options);
    let target = Target::open(options, watcher.progress())?;
    let key = target.journal()?.key()?.ok_or_else(|| {
        Error::new(ErrorKind::Damaged, "this host has saved no plan yet")
            .with_hint("apply a plan on the host that it was made on, or make it again here")
    });
    let reading = || format!("reading the saved plan {file}");
    let saved = key.and_then(|key| SavedPlan::read(bytes, &key)).while_doing(reading)?;
    let deferred = saved.deferred();
    if !(deferred.is_empty() || verb.allow_deferred) {
        let be = if deferred.len() == 1 { "is" } else { "are" };
        let message = format!("{} {be} deferred: what to do is decided only when its turn comes", deferred.join(", "));
        return Err(Error::new(ErrorKind::Refused, message)
            .while_doing(format!("applying {file}"))
            .with_hint("--allow-deferred lets that happen")
            .into());
    }
    let sites = saved.sites();
    let engine = target.engine(&verb.work, AtHand::of(&verb.secrets, sites.first().map(Path::new)))?;
    render::history::recovered(engine.recovered(), options)?;
    let prepared = engine.renew(&saved, program.registry).map_err(|error| match error {
        PlanError::Host(error) => Failure::from(error.while_doing(format!("applying {file}"))),
        other => other.into(),
    })?;
    carry_out(program, verb, &watcher, &engine, &prepared, !verb.allow_deferred)
}

fn carry_out<H: Host>(
    program: &Program<'_>,
    verb: &Apply,
    watcher: &Watcher<'_>,
    engine: &Engine<H>,
    prepared: &Prepared<'_, H>,
    verbatim: bool,
) -> Result<Exit, Failure> {
    let plan = prepared.plan();
    if verb.work.ask && !plan.is_empty() {
        render::plan::show(plan, &context::host_name(program.options, &engine.facts()?), program.options)?;
        if !confirmed_as_shown("Apply this?", plan, engine)? {
            return Ok(Exit::Success);
        }
    }
    let cancel = Cancel::default();
    stop_on_signals(&cancel)?;
    let apply = ApplyOptions { jobs: verb.jobs.into(), cancel, verbatim, ..ApplyOptions::default() };
    let report = prepared.apply(&apply, watcher)?;
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

/// Asks about a plan. What it touches must be as it was when the plan was shown, however long the answer takes.
pub fn confirmed_as_shown(question: &str, plan: &Plan, engine: &Engine<impl Host>) -> Result<bool, Failure> {
    let key = engine.journal().key()?.map_or_else(HostKey::random, Ok)?;
    let shown = plan.relied_on(engine.host(), &key)?;
    if !confirmed(question)? {
        return Ok(false);
    }
    let now = plan.relied_on(engine.host(), &key)?;
    let moved: Vec<&str> = now.iter().filter(|now| !shown.contains(now)).map(|now| now.what.as_str()).collect();
    if moved.is_empty() {
        return Ok(true);
    }
    Err(Error::new(ErrorKind::Stale, format!("{} has changed while this was asked", moved.join(", ")))
        .with_hint("nothing was done; ask again to see what would be done now")
        .into())
}

/// Asks on the terminal; says so if the answer is no.
fn confirmed(question: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage("--ask needs a terminal to ask on; leave it out, or run `provision plan`".into()));
    }
    let mut out = output::stdout();
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
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])
        .while_doing(|| "listening for signals")
        .map_err(|error| Error::new(ErrorKind::Io, error.to_string()))?;
    let cancel = cancel.clone();
    let listening = move || {
        for _ in signals.forever() {
            let says = match cancel.is_cancelled() {
                false => "stopping after the effects in progress; they are not interrupted",
                true => {
                    "still finishing the effects in progress: a package manager that is killed half-way does more harm \
                     than to wait for it"
                }
            };
            cancel.cancel();
            let _ = writeln!(output::stderr(), "\n{says}");
        }
    };
    let started = std::thread::Builder::new().name("signals".to_owned()).spawn(listening);
    started.map(drop).while_doing(|| "starting a thread that listens for signals").map_err(|error| {
        error.with_hint("nothing was done; allow more processes (`pids.max` of the control group, `ulimit -u`)")
    })
}
