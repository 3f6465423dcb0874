//! What holds for every site: converging twice does nothing, a run can be undone, independent resources commute.

use std::collections::BTreeMap;

use crate::apply::ApplyOptions;
use crate::effect::{Effect, PlatformEffect};
use crate::graph::Graph;
use crate::journal::Journal;
use crate::plan::PlanOptions;
use crate::rollback::RollbackOptions;
use crate::sim::SimHost;
use crate::state::MemoryStore;

use super::packages_alone::{but_for_packages, packages_alone};
use super::tried::Fresh;
use super::{Failure, Observed, Run, Tried};

/// How many orders are tried.
pub(crate) const ORDERS: u64 = 8;

/// Converges a copy of a host, and again: the second time there is nothing to do. Gives the host and the first run.
///
/// # Errors
/// The first run fails, or the second has something to do.
pub fn idempotent(graph: &Graph, host: &SimHost) -> Result<(SimHost, Run), Failure> {
    let host = host.clone();
    let journal = Journal::new(MemoryStore::new());
    let first = Run::of(graph, &host, &journal)?.succeeded()?;
    second_run_is_quiet(graph, &host, &journal)?;
    Ok((host, first))
}

/// Converges a host that was converged.
pub(crate) fn second_run_is_quiet(graph: &Graph, host: &dyn Tried, journal: &Journal) -> Result<(), Failure> {
    host.take_effects();
    host.pass_time(60);
    let second = Run::of(graph, &host, journal)?;
    if !second.plan().is_empty() {
        return Err(Failure::of_plan("the second run has something to do", second.plan()));
    }
    let second = second.succeeded()?;
    if let Some(effect) = host.take_effects().first() {
        return Err(Failure::new(format!("the second run is not quiet: it does `{effect}`")).plan(second.plan()));
    }
    Ok(())
}

/// Converges a copy of a host and undoes that: the host is then as it was, but for what cannot be undone.
///
/// # Errors
/// A run fails, or something is not as it was.
pub fn rolls_back(graph: &Graph, host: &SimHost) -> Result<(), Failure> {
    host.take_effects();
    let begin = host;
    let host = host.clone();
    let (before, journal) = (host.observed()?, Journal::new(MemoryStore::new()));
    let run = Run::of(graph, &host, &journal)?.succeeded()?;
    undo_is_exact(&run, &before, &host, &journal, Some(begin)).map(drop)
}

/// What undoing a run has shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undone {
    /// The host is as it was.
    Exactly,
    /// Something that the run did cannot be taken back, so nothing is compared.
    Irreversible,
}

/// Undoes a run. What packages leave behind by themselves is told from a copy of the host as it began, if there is one.
pub(crate) fn undo_is_exact(
    run: &Run,
    before: &Observed,
    host: &dyn Tried,
    journal: &Journal,
    begin: Option<&SimHost>,
) -> Result<Undone, Failure> {
    let Some(number) = run.report().run else { return Ok(Undone::Exactly) };
    // What was interrupted is not interrupted again.
    let one_way = run.effects().any(|effect| {
        effect.point_of_no_return().is_some() || matches!(effect, Effect::Platform(PlatformEffect::RepairPackages))
    });
    let rollback = journal.rollback(number, &host, RollbackOptions::default())?;
    if !rollback.plan.is_feasible() {
        return Err(Failure::of_plan("the run cannot be undone", &rollback.plan));
    }
    let report = rollback.apply(&host, &ApplyOptions::default(), &());
    if !report.is_success() {
        return Err(Failure::of_report(&report, &rollback.plan).in_case("undoing the run"));
    }
    let (mut before, mut after) = (without_targets(before.lines.clone()), without_targets(host.observed()?.lines));
    if after == before {
        return Ok(Undone::Exactly);
    }
    if one_way {
        return Ok(Undone::Irreversible);
    }
    if let Some(begin) = begin {
        let effects = host.take_effects();
        let alone = [packages_alone(begin, [])?, packages_alone(begin, effects.iter().map(Some))?];
        [before, after] = but_for_packages([before, after], &alone);
        if after == before {
            return Ok(Undone::Exactly);
        }
    }
    Err(Failure::of_hosts("after the undo the host is not as it was", &before, &after).plan(run.plan()))
}

/// What a start has pulled in stays up: other units may need it.
pub(crate) fn without_targets(mut lines: BTreeMap<String, String>) -> BTreeMap<String, String> {
    lines.retain(|what, _| !what.ends_with(".target"));
    lines
}

/// Converges copies of a host with independent resources in several orders, and with several at a time: the host is the
/// same each time. Gives the number of orders.
///
/// # Errors
/// A run fails, or a host differs.
pub fn in_any_order(graph: &Graph, host: &SimHost) -> Result<usize, Failure> {
    order_does_not_matter(graph, ORDERS, &|attempt| attempt(&host.clone()))
}

/// The same for so many orders, on hosts that are all alike.
pub(crate) fn order_does_not_matter(graph: &Graph, orders: u64, fresh: &Fresh<'_>) -> Result<usize, Failure> {
    let run = |options: ApplyOptions| -> Result<BTreeMap<String, String>, Failure> {
        let mut lines = BTreeMap::new();
        fresh(&mut |host| {
            let journal = Journal::new(MemoryStore::new());
            Run::with(graph, &host, &journal, PlanOptions::default(), options.clone())?.succeeded()?;
            lines = host.observed()?.lines;
            Ok(())
        })?;
        Ok(lines)
    };
    let wanted = run(ApplyOptions::default())?;
    let mut ways: Vec<(String, ApplyOptions)> = (1..=orders)
        .map(|seed| (format!("in order {seed}"), ApplyOptions { shuffle: Some(seed), ..ApplyOptions::default() }))
        .collect();
    ways.push(("with 4 at a time".to_owned(), ApplyOptions { jobs: 4, ..ApplyOptions::default() }));
    let count = ways.len();
    for (case, options) in ways {
        let found = run(options).map_err(|failure| failure.in_case(&case))?;
        if found != wanted {
            return Err(Failure::of_hosts(&format!("{case} the host is another"), &wanted, &found));
        }
    }
    Ok(count)
}
