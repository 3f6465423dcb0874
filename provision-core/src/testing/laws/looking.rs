//! The laws of `check` and `plan`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::host::{HostRecord, PathAccess, PathKind, SimHost};
use crate::path::HostPath;
use crate::testing::{Failure, drift};

use super::case::{ErasedCase, Trial, TypeCases};

/// Law 1.
pub(super) fn looking_never_writes(case: &ErasedCase) -> Trial {
    let graph = case.graph()?;
    let (node, host) = (case.node(&graph)?, case.host());
    let before = host.differences();
    let (Ok(first), Ok(second)) = (node.resource.check(&case.id, &host), node.resource.check(&case.id, &host)) else {
        return Ok(0);
    };
    if let Some(effect) = host.take_effects().first() {
        return Err(Failure::new(format!("to look, it does `{effect}`")));
    }
    if host.differences() != before {
        return Err(Failure::of_hosts("looking has changed the host", &before, &host.differences()));
    }
    if first != second {
        return Err(Failure::new("two looks find two states").difference(format!(
            "first  {}\nsecond {}",
            first.to_json(),
            second.to_json()
        )));
    }
    Ok(1)
}

/// Law 2: for the states that its cases find and want, and for those of hosts that have drifted.
pub(super) fn plan_is_idempotent(cases: &TypeCases) -> Trial {
    let mut states = Vec::new();
    for case in &cases.cases {
        let graph = case.graph()?;
        let node = case.node(&graph)?;
        for seed in 0..4 {
            let host = case.host();
            if seed > 0 {
                drift(&graph, &host, seed);
            }
            states.extend(node.resource.check(&case.id, &host).ok());
        }
    }
    let mut trials = 0;
    for case in &cases.cases {
        let graph = case.graph()?;
        let node = case.node(&graph)?;
        for state in &states {
            // From some states there may be no way.
            let Ok(want) = node.resource.plan(&case.id, state) else { continue };
            let again = node.resource.plan(&case.id, &want)?;
            if again != want {
                return Err(Failure::new(format!("{}: what is wanted is not wanted once it is there", case.name))
                    .difference(format!(
                        "from {}\nwant {}\nthen {}",
                        state.to_json(),
                        want.to_json(),
                        again.to_json()
                    )));
            }
            trials += 1;
        }
    }
    Ok(trials)
}

/// Law 11.
pub(super) fn an_empty_world_is_survived(case: &ErasedCase) -> Trial {
    let graph = case.graph()?;
    let node = case.node(&graph)?;
    let mut record = HostRecord { format: HostRecord::FORMAT.to_owned(), ..HostRecord::default() };
    record.os.version = case.host.release_number().to_owned();
    record.paths.insert(HostPath::root(), PathKind::Directory(PathAccess::root(0o755)));
    for is_running in [false, true] {
        let host = SimHost::from_record(HostRecord { is_running, ..record.clone() })?;
        let looked = catch_unwind(AssertUnwindSafe(|| node.resource.check(&case.id, &host).is_ok()));
        if looked.is_err() {
            return Err(Failure::new("looking at an empty host panics"));
        }
    }
    Ok(2)
}
