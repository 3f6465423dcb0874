//! What holds for every site: converging twice does nothing, a run can be undone, independent resources commute.

use crate::apply::ApplyOptions;
use crate::effect::Effect;
use crate::graph::Graph;
use crate::host::SimHost;
use crate::journal::{Journal, MemoryStore, RollbackOptions};
use crate::plan::PlanOptions;

use super::{Failure, Run};

/// How many orders are tried.
const ORDERS: u64 = 8;

/// Converges a copy of a host, and again: the second time there is nothing to do. Gives the host and the first run.
///
/// # Errors
/// The first run fails, or the second has something to do.
pub fn idempotent(graph: &Graph, host: &SimHost) -> Result<(SimHost, Run), Failure> {
    let host = host.clone();
    host.take_effects();
    let journal = Journal::new(MemoryStore::new());
    let first = Run::of(graph, &host, &journal)?.succeeded()?;
    host.take_effects();
    host.pass_time(60);
    let second = Run::of(graph, &host, &journal)?;
    if !second.plan().is_empty() {
        return Err(Failure::of_plan("the second run has something to do", second.plan()));
    }
    let second = second.succeeded()?;
    if let Some(effect) = host.take_effects().first() {
        return Err(Failure::new(format!("the second run is not quiet: it does `{effect}`")).plan(second.plan()));
    }
    Ok((host, first))
}

/// Converges a copy of a host and undoes that: the host is then as it was, but for what cannot be undone.
///
/// # Errors
/// A run fails, or something is not as it was.
pub fn rolls_back(graph: &Graph, host: &SimHost) -> Result<(), Failure> {
    let host = host.clone();
    let before = host.differences();
    let journal = Journal::new(MemoryStore::new());
    let run = Run::of(graph, &host, &journal)?.succeeded()?;
    let Some(number) = run.report().run else { return Ok(()) };
    // What was interrupted nobody interrupts again.
    let one_way =
        run.effects().any(|effect| effect.point_of_no_return().is_some() || matches!(effect, Effect::RepairPackages));
    let rollback = journal.rollback(number, &host, RollbackOptions::default())?;
    if !rollback.plan.is_feasible() {
        return Err(Failure::of_plan("the run cannot be undone", &rollback.plan));
    }
    let report = rollback.apply(&host, &ApplyOptions::default(), &());
    if !report.is_success() {
        return Err(Failure::of_report(&report, &rollback.plan).in_case("undoing the run"));
    }
    // What a start has pulled in stays up: nobody knows who else needs it.
    let observed = |mut lines: std::collections::BTreeMap<String, String>| {
        lines.retain(|what, _| !what.ends_with(".target"));
        lines
    };
    let (before, after) = (observed(before), observed(host.differences()));
    if after == before || one_way {
        return Ok(());
    }
    Err(Failure::of_hosts("after the undo the host is not as it was", &before, &after).plan(run.plan()))
}

/// Converges copies of a host with independent resources in several orders, and with several at a time: the host is the
/// same each time. Gives the number of orders.
///
/// # Errors
/// A run fails, or a host differs.
pub fn in_any_order(graph: &Graph, host: &SimHost) -> Result<usize, Failure> {
    let run = |options: ApplyOptions| -> Result<SimHost, Failure> {
        let host = host.clone();
        let journal = Journal::new(MemoryStore::new());
        Run::with(graph, &host, &journal, PlanOptions::default(), options)?.succeeded()?;
        Ok(host)
    };
    let wanted = run(ApplyOptions::default())?.differences();
    let mut orders: Vec<(String, ApplyOptions)> = (1..=ORDERS)
        .map(|seed| (format!("in order {seed}"), ApplyOptions { shuffle: Some(seed), ..ApplyOptions::default() }))
        .collect();
    orders.push(("with 4 at a time".to_owned(), ApplyOptions { jobs: 4, ..ApplyOptions::default() }));
    let count = orders.len();
    for (case, options) in orders {
        let found = run(options).map_err(|failure| failure.in_case(&case))?.differences();
        if found != wanted {
            return Err(Failure::of_hosts(&format!("{case} the host is another"), &wanted, &found));
        }
    }
    Ok(count)
}
