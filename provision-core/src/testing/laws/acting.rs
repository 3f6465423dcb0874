//! The laws of failures, of files and of order.

use crate::effect::Effect;
use crate::error::ErrorKind;
use crate::host::{Fault, Faulty, Host};
use crate::journal::Journal;
use crate::plan::PlanOptions;
use crate::resource::{ApplyContext, CheckContext, PlanContext};
use crate::state::MemoryStore;
use crate::testing::checks::{ORDERS, order_does_not_matter};
use crate::testing::{Failure, Run, Tried, in_any_order, survives_every_fault};

use super::case::{ErasedCase, Trial, TypeCases};
use super::ground::Ground;

/// What can keep an effect from being done.
pub(super) const FAILURES: [ErrorKind; 5] =
    [ErrorKind::Io, ErrorKind::NoSpace, ErrorKind::PermissionDenied, ErrorKind::CommandFailed, ErrorKind::TimedOut];

/// Law 5.
pub(super) fn a_crash_is_survived(case: &ErasedCase) -> Trial {
    survives_every_fault(&case.graph()?, &case.host()).map(|survived| survived.faults)
}

/// Law 6: after each effect, and after the power has gone as well, each file is as it was or as it will be.
pub(super) fn no_torn_files(case: &ErasedCase) -> Trial {
    let (graph, host) = (case.graph()?, case.host());
    let planned = graph.plan(&host, &PlanOptions::default())?;
    let effects: Vec<Effect> = planned.plan().steps.iter().flat_map(|step| step.effects.iter().cloned()).collect();
    let old = host.observed()?;
    let done = case.host();
    effects.iter().try_for_each(|effect| done.perform(effect))?;
    let new = done.observed()?;
    let mut trials = 0;
    for count in 0..=effects.len() {
        for power in [false, true] {
            let crashed = case.host();
            effects[..count].iter().try_for_each(|effect| crashed.perform(effect))?;
            if power {
                crashed.lose_power();
            }
            if let Some((path, content)) = crashed.observed()?.torn(&old, &new) {
                let after = effects[..count].last().map_or_else(|| "nothing".to_owned(), Effect::to_string);
                let lost = if power { " and a loss of power" } else { "" };
                return Err(Failure::new(format!("after `{after}`{lost}, {path} is neither old nor new"))
                    .difference(format!("{content:?}")));
            }
            trials += 1;
        }
    }
    Ok(trials)
}

/// Law 8: each effect, or each of so many from the first, fails in each of these ways.
pub(super) fn failures_are_reported(
    case: &ErasedCase,
    kinds: &[ErrorKind],
    points: usize,
    ground: &dyn Ground,
) -> Trial {
    let graph = case.graph()?;
    let resource = &case.node(&graph)?.resource;
    let mut trials = 0;
    for at in 0..points {
        let mut last = false;
        for kind in kinds {
            ground.try_on(&case.host, &mut |host| {
                let Ok(now) = resource.check(&CheckContext::new(&case.id, &host)) else {
                    last = true;
                    return Ok(());
                };
                let want = resource.plan(&PlanContext::new(&case.id), &now)?;
                let faulty = Faulty::new(&host, at, Fault::Fails(*kind));
                let applied = if now == want {
                    Ok(())
                } else {
                    resource.apply(&ApplyContext::new(&case.id, &faulty), &now, &want)
                };
                last |= !faulty.has_struck();
                if faulty.has_struck() && applied.is_ok() {
                    let what = format!("the effect {} failed ({kind:?}), and apply says that all went well", at + 1);
                    return Err(Failure::new(what));
                }
                Ok(())
            })?;
            if last {
                return Ok(trials);
            }
            trials += 1;
        }
    }
    Ok(trials)
}

/// Law 14: each case with each other that is about something else, on the host of the first.
pub(super) fn in_every_order(cases: &TypeCases) -> Trial {
    let mut trials = 0;
    for (place, first) in cases.cases.iter().enumerate() {
        trials += in_any_order(&first.graph()?, &first.host())?;
        for second in &cases.cases[place + 1..] {
            trials += together(first, second, ORDERS, &super::ground::Simulated)?.unwrap_or_default();
        }
    }
    Ok(trials)
}

/// The same for each case with the next that it can be brought about together with, where that brings no packages.
pub(super) fn in_some_orders(cases: &TypeCases, orders: u64, ground: &dyn Ground) -> Trial {
    let mut trials = 0;
    for (place, first) in cases.cases.iter().enumerate() {
        if first.host.only_simulated().is_some() {
            continue;
        }
        for second in &cases.cases[place + 1..] {
            if first.brings_packages()? || second.brings_packages()? {
                continue;
            }
            if let Some(tried) = together(first, second, orders, ground)? {
                trials += tried;
                break;
            }
        }
    }
    Ok(trials)
}

/// Two cases on the host of the first, in several orders; nothing if that cannot be.
fn together(
    first: &ErasedCase,
    second: &ErasedCase,
    orders: u64,
    ground: &dyn Ground,
) -> Result<Option<usize>, Failure> {
    if first.id == second.id {
        return Ok(None);
    }
    // Not everything can be declared together, or brought about on the same host.
    let Ok(graph) = ErasedCase::graph_of(&[first, second]) else { return Ok(None) };
    let host = first.host();
    if !Run::of(&graph, &host, &Journal::new(MemoryStore::new()))?.report().is_success() {
        return Ok(None);
    }
    order_does_not_matter(&graph, orders, &|attempt| ground.try_on(&first.host, attempt))
        .map(Some)
        .map_err(|failure| failure.in_case(format!("{} and {}", first.name, second.name)))
}
