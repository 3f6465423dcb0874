//! `provision apply`: bring the host into the declared state.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use provision_core::apply::{ApplyOptions, Cancel};
use provision_core::error::{Error, ErrorKind, ResultExt};
use provision_core::facts::Facts;
use provision_core::graph::Graph;
use provision_core::journal::{HostKey, JournalLock, Purpose, RunInfo};
use provision_core::plan::{Plan, PlanOptions, Planned, SavedPlan};
use provision_core::report::Report;
use provision_resources::registry;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::cli::{Apply, Format, Options, Work};
use crate::context::{self, Target};
use crate::exit::{Exit, Failure};
use crate::memory::Memory;
use crate::output;
use crate::render;
use crate::render::events::Watcher;
use crate::saved;
use crate::secrets;

/// Plans, or takes a plan that was saved, and carries it out.
pub fn run(options: &Options, verb: &Apply) -> Result<Exit, Failure> {
    match saved::read(&verb.site)? {
        Some(bytes) => apply_saved(options, verb, &bytes),
        None => apply_site(options, verb),
    }
}

fn apply_site(options: &Options, verb: &Apply) -> Result<Exit, Failure> {
    let began = Instant::now();
    let watcher = Watcher::new(options);
    let target = context::target(options, watcher.progress())?;
    let host = &*target.host;
    let facts = context::facts(options, &verb.site, host, false)?;
    let memory = Memory::of(options, verb, &target)?;
    let beside = verb.site.sites.first().map(PathBuf::as_path);
    let mut lock = None;
    if let Some(converged) = memory.converged(&facts) {
        lock = Some(target.lock(&verb.work)?);
        if secrets::converged_holds(&converged, &target, &verb.secrets, beside) {
            render::events::nothing_to_do(converged.steps(), began.elapsed())?;
            return Ok(Exit::Success);
        }
    }
    let (site, kept) = target.site_and_evaluation(&verb.site, &facts)?;
    let lock = lock.map_or_else(|| target.lock(&verb.work), Ok)?;
    render::history::recovered(&target.journal.recover(&lock.journal, host)?, options)?;
    let mut graph = context::graph_for(&target, site, &verb.chosen)?;
    if options.format == Format::Text {
        render::diagnostics::warnings(&graph);
    }
    secrets::resolve(&mut graph, &target, &verb.secrets, beside, &verb.chosen.only)?;
    let pending_notifications = target.journal.pending()?.notifications;
    // Only a plan that is shown names what is no longer declared.
    let without_leftovers = !verb.work.ask;
    let planned = memory.plan(
        &graph,
        kept,
        &PlanOptions { only: verb.chosen.only.clone(), pending_notifications, without_leftovers },
    )?;
    let sites: Vec<String> = verb.site.sites.iter().map(|site| site.display().to_string()).collect();
    let work = Carrying {
        options,
        verb,
        target: &target,
        watcher: &watcher,
        graph: &graph,
        lock: &lock.journal,
        verbatim: false,
    };
    let exit = work.out(&planned, &sites.join(" "));
    let holds_no_secrets = context::holds_no_secrets(&graph, planned.plan());
    context::skip_drop(planned, holds_no_secrets);
    context::skip_drop(graph, holds_no_secrets);
    exit
}

fn apply_saved(options: &Options, verb: &Apply, bytes: &[u8]) -> Result<Exit, Failure> {
    if !(verb.site.set.is_empty() && verb.chosen.only.is_empty() && !verb.chosen.prune) {
        return Err(Failure::Usage(
            "a saved plan is applied as it is, so --set, --only and --prune cannot change it".into(),
        ));
    }
    let file = verb.site.sites[0].display().to_string();
    let watcher = Watcher::new(options);
    let target = context::target(options, watcher.progress())?;
    let host = &*target.host;
    let lock = target.lock(&verb.work)?;
    let key = target.journal.key()?.ok_or_else(|| {
        Error::new(ErrorKind::Damaged, "this host has saved no plan yet")
            .with_hint("apply a plan on the host that it was made on, or make it again here")
    });
    let reading = || format!("reading the saved plan {file}");
    let saved = key.and_then(|key| SavedPlan::read(bytes, &key).map(|saved| (saved, key))).while_doing(reading);
    let (saved, key) = saved?;
    let deferred = saved.deferred();
    if !(deferred.is_empty() || verb.allow_deferred) {
        let be = if deferred.len() == 1 { "is" } else { "are" };
        let message = format!("{} {be} deferred: what to do is decided only when its turn comes", deferred.join(", "));
        return Err(Error::new(ErrorKind::Refused, message)
            .while_doing(format!("applying {file}"))
            .with_hint("--allow-deferred lets that happen")
            .into());
    }
    render::history::recovered(&target.journal.recover(&lock.journal, host)?, options)?;
    let pending = target.journal.pending()?;
    let mut graph = saved.graph(&registry(), &target.journal).while_doing(|| format!("applying {file}"))?;
    let only = saved.only()?;
    secrets::resolve(&mut graph, &target, &verb.secrets, Some(Path::new(saved.site())), &only)?;
    let planned = saved.renew(&graph, host, &key, pending.notifications).while_doing(|| format!("applying {file}"))?;
    let verbatim = !verb.allow_deferred;
    let work =
        Carrying { options, verb, target: &target, watcher: &watcher, graph: &graph, lock: &lock.journal, verbatim };
    work.out(&planned, saved.site())
}

/// A plan that is about to be carried out.
struct Carrying<'a> {
    options: &'a Options,
    verb: &'a Apply,
    target: &'a Target,
    watcher: &'a Watcher<'a>,
    graph: &'a Graph,
    lock: &'a JournalLock,
    verbatim: bool,
}

impl Carrying<'_> {
    fn out(&self, planned: &Planned<'_>, site: &str) -> Result<Exit, Failure> {
        let Carrying { options, verb, target, watcher, graph, lock, verbatim } = *self;
        let (plan, host) = (planned.plan(), &*target.host);
        if verb.work.ask && !plan.is_empty() {
            render::plan::show(plan, &context::host_name(options, &Facts::gather(host)?), options)?;
            if !confirmed_as_shown("Apply this?", plan, target)? {
                return Ok(Exit::Success);
            }
        }
        let info = RunInfo {
            purpose: Purpose::Apply,
            who: context::who(),
            site: site.to_owned(),
            site_digest: (!plan.is_empty()).then(|| graph.digest()).transpose()?,
        };
        let cancel = Cancel::default();
        stop_on_signals(&cancel)?;
        let journal = target.journal.clone().with_retention(graph.policy().journal);
        let recorder = Some(journal.begin(lock, info)?);
        let report = planned.apply(
            host,
            &ApplyOptions { jobs: verb.jobs.into(), cancel, verbatim, recorder, ..ApplyOptions::default() },
            watcher,
        );
        watcher.finish(plan, &report)?;
        Ok(exit(&report, &verb.work))
    }
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
pub fn confirmed_as_shown(question: &str, plan: &Plan, target: &Target) -> Result<bool, Failure> {
    let key = target.journal.key()?.map_or_else(HostKey::random, Ok)?;
    let shown = plan.relied_on(&*target.host, &key)?;
    if !confirmed(question)? {
        return Ok(false);
    }
    let now = plan.relied_on(&*target.host, &key)?;
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
