//! The laws of `apply`, and of what claims say of it.

use std::collections::BTreeMap;

use crate::effect::{Content, Effect, PackageTransaction};
use crate::error::ErrorKind;
use crate::host::{Fault, Faulty, FileKind, Host, HostView, SimHost};
use crate::journal::{Journal, MemoryStore};
use crate::path::HostPath;
use crate::plan::PlanOptions;
use crate::resource::{Claim, Hold, Target};
use crate::testing::{Failure, Run, idempotent, in_any_order, rolls_back, survives_every_fault};

use super::case::{ErasedCase, Trial, TypeCases};

/// What can keep an effect from being done.
const FAILURES: [ErrorKind; 5] =
    [ErrorKind::Io, ErrorKind::NoSpace, ErrorKind::PermissionDenied, ErrorKind::CommandFailed, ErrorKind::TimedOut];

/// Law 3.
pub(super) fn the_plan_is_what_happens(case: &ErasedCase) -> Trial {
    let (graph, host) = (case.graph()?, case.host());
    let planned = graph.plan(&host, &PlanOptions::default())?.plan().clone();
    let run = Run::of(&graph, &host, &Journal::new(MemoryStore::new()))?.succeeded()?;
    if run.report().deferred() > 0 {
        return Ok(0);
    }
    let wanted: Vec<&Effect> = planned.steps.iter().flat_map(|step| &step.effects).collect();
    let done = host.take_effects();
    let packages = |effects: &[&Effect]| effects.iter().any(|effect| matches!(effect, Effect::Packages(_)));
    let done: Vec<&Effect> = done.iter().collect();
    // Packages of several resources are one transaction.
    let same = if packages(&wanted) { wanted.len() == done.len() } else { wanted == done };
    if !same {
        let list = |effects: &[&Effect]| effects.iter().map(|effect| format!("\n  {effect}")).collect::<String>();
        return Err(Failure::new("what is done is not what was planned").difference(format!(
            "planned:{}\ndone:{}",
            list(&wanted),
            list(&done)
        )));
    }
    Ok(1)
}

/// Law 4.
pub(super) fn the_second_run_is_quiet(case: &ErasedCase) -> Trial {
    idempotent(&case.graph()?, &case.host()).map(|_| 1)
}

/// Law 5.
pub(super) fn a_crash_is_survived(case: &ErasedCase) -> Trial {
    survives_every_fault(&case.graph()?, &case.host()).map(|survived| survived.faults)
}

/// Law 13.
pub(super) fn undo_is_exact(case: &ErasedCase) -> Trial {
    rolls_back(&case.graph()?, &case.host()).map(|()| 1)
}

/// Law 6: after each effect, and after the power has gone as well, each file is as it was or as it will be.
pub(super) fn no_torn_files(case: &ErasedCase) -> Trial {
    let (graph, host) = (case.graph()?, case.host());
    let planned = graph.plan(&host, &PlanOptions::default())?;
    let effects: Vec<Effect> = planned.plan().steps.iter().flat_map(|step| step.effects.clone()).collect();
    let old = contents(&host);
    let done = case.host();
    effects.iter().try_for_each(|effect| done.perform(effect).map(drop))?;
    let new = contents(&done);
    let mut trials = 0;
    for count in 0..=effects.len() {
        for power in [false, true] {
            let crashed = case.host();
            effects[..count].iter().try_for_each(|effect| crashed.perform(effect).map(drop))?;
            if power {
                crashed.lose_power();
            }
            for (path, content) in contents(&crashed) {
                let whole = [&old, &new].iter().any(|files| files.get(&path) == Some(&content));
                if !whole {
                    let after = effects[..count].last().map_or_else(|| "nothing".to_owned(), Effect::to_string);
                    let lost = if power { " and a loss of power" } else { "" };
                    return Err(Failure::new(format!("after `{after}`{lost}, {path} is neither old nor new"))
                        .difference(format!("{content:?}")));
                }
            }
            trials += 1;
        }
    }
    Ok(trials)
}

/// The files that differ from how the host began, with what they hold.
fn contents(host: &SimHost) -> BTreeMap<HostPath, Option<Content>> {
    let paths = host.differences().into_keys().filter_map(|what| HostPath::new(what.strip_prefix("path ")?).ok());
    let is_file =
        |path: &HostPath| host.metadata(path).ok().flatten().is_some_and(|found| found.kind == FileKind::File);
    paths.filter(is_file).map(|path| (path.clone(), host.read(&path).ok().flatten())).collect()
}

/// Law 7.
pub(super) fn nothing_outside_its_claims(case: &ErasedCase) -> Trial {
    let (graph, host) = (case.graph()?, case.host());
    let node = case.node(&graph)?;
    let now = node.resource.check(&case.id, &host);
    let Ok(now) = now else { return Ok(0) };
    let want = node.resource.plan(&case.id, &now)?;
    if now == want {
        return Ok(1);
    }
    node.resource.apply(&case.id, &now, &want, &host)?;
    let effects = host.take_effects();
    for effect in &effects {
        if let Some(what) = unclaimed(effect, &node.claims, &effects) {
            return Err(Failure::new(format!("`{effect}` changes {what}, which it does not claim")));
        }
    }
    Ok(effects.len().max(1))
}

/// Whether anything is claimed that a question fits.
type Owned<'a> = dyn Fn(&dyn Fn(&Target) -> bool) -> bool + 'a;

/// What an effect changes that nobody claims.
fn unclaimed(effect: &Effect, claims: &[Claim], effects: &[Effect]) -> Option<String> {
    let owned = |is_it: &dyn Fn(&Target) -> bool| {
        claims.iter().any(|claim| matches!(claim.hold, Hold::Owns | Hold::Removes) && is_it(&claim.target))
    };
    let path_is_claimed = |path: &HostPath| {
        let covers = |target: &Target| matches!(target, Target::Path(claimed) if path.is_within(claimed));
        // Directories on the way to what it claims may have to be made.
        let leads = |target: &Target| matches!(target, Target::Path(claimed) if claimed.is_within(path));
        owned(&covers) || (matches!(effect, Effect::CreateDirectory { .. }) && owned(&leads))
    };
    if let Some(path) = effect.path() {
        return (!path_is_claimed(path)).then(|| path.to_string());
    }
    let user = |name: &str| owned(&|target| matches!(target, Target::User(claimed) if claimed == name));
    let group = |name: &str| owned(&|target| matches!(target, Target::Group(claimed) if claimed == name));
    match effect {
        Effect::Packages(transaction) => packages_outside(transaction, &owned),
        Effect::CreateUser(created) => (!user(&created.name)).then(|| format!("user {}", created.name)),
        Effect::ChangeUser { name, .. } | Effect::RemoveUser { name, .. } => {
            (!user(name)).then(|| format!("user {name}"))
        }
        Effect::CreateGroup { name, .. }
        | Effect::ChangeGroup { name, .. }
        | Effect::RemoveGroup { name }
        | Effect::SetMembers { group: name, .. } => (!group(name)).then(|| format!("group {name}")),
        Effect::Unit { unit, .. } => {
            let claimed = owned(&|target| matches!(target, Target::Unit(claimed) if claimed == unit));
            (!claimed).then(|| format!("unit {unit}"))
        }
        Effect::ReloadUnits => {
            let about_units = owned(&|target| match target {
                Target::Unit(_) => true,
                Target::Path(path) => path.as_str().contains("/systemd/"),
                _ => false,
            });
            (!about_units && effects.len() == 1).then(|| "what the service manager has read".to_owned())
        }
        // What a command does only its author knows.
        _ => None,
    }
}

fn packages_outside(transaction: &PackageTransaction, owned: &Owned<'_>) -> Option<String> {
    let outside = transaction
        .names()
        .find(|name| !owned(&|target| matches!(target, Target::Package(claimed) if claimed.as_str() == *name)));
    outside.map(|name| format!("package {name}"))
}

/// Law 8.
pub(super) fn failures_are_reported(case: &ErasedCase) -> Trial {
    let (graph, host) = (case.graph()?, case.host());
    let node = case.node(&graph)?;
    let Ok(now) = node.resource.check(&case.id, &host) else { return Ok(0) };
    let want = node.resource.plan(&case.id, &now)?;
    if now == want {
        return Ok(0);
    }
    node.resource.apply(&case.id, &now, &want, &host)?;
    let effects = host.take_effects();
    let mut trials = 0;
    for (at, effect) in effects.iter().enumerate() {
        for kind in FAILURES {
            let host = case.host();
            let faulty = Faulty::new(&host, at, Fault::Fails(kind));
            let applied = node.resource.apply(&case.id, &now, &want, &faulty);
            if faulty.has_struck() && applied.is_ok() {
                return Err(Failure::new(format!("`{effect}` failed ({kind:?}), and apply says that all went well")));
            }
            trials += 1;
        }
    }
    Ok(trials)
}

/// Law 14: each case with each other that is about something else, on the host of the first.
pub(super) fn order_does_not_matter(cases: &TypeCases) -> Trial {
    let mut trials = 0;
    for (place, first) in cases.cases.iter().enumerate() {
        trials += in_any_order(&first.graph()?, &first.host())?;
        for second in &cases.cases[place + 1..] {
            if first.id == second.id {
                continue;
            }
            // Not everything can be declared together, or brought about on the same host.
            let Ok(graph) = ErasedCase::graph_of(&[first, second]) else { continue };
            let host = first.host();
            if !Run::of(&graph, &host, &Journal::new(MemoryStore::new()))?.report().is_success() {
                continue;
            }
            trials += in_any_order(&graph, &first.host())
                .map_err(|failure| failure.in_case(format!("{} and {}", first.name, second.name)))?;
        }
    }
    Ok(trials)
}
