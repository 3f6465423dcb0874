//! The laws of `check` and `plan`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::testing::{Failure, drift};

use super::case::{ErasedCase, Trial, TypeCases};
use super::ground::Ground;

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
            states.extend(node.check(&host).ok());
        }
    }
    let mut trials = 0;
    for case in &cases.cases {
        let graph = case.graph()?;
        let node = case.node(&graph)?;
        for state in &states {
            // From some states there may be no way.
            let Ok(want) = node.plan(state) else { continue };
            let again = node.plan(&want)?;
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
pub(super) fn an_empty_world_is_survived(case: &ErasedCase, ground: &dyn Ground) -> Trial {
    let graph = case.graph()?;
    let node = case.node(&graph)?;
    let mut trials = 0;
    ground.try_on_empty(&case.host, &mut |host| {
        trials += 1;
        match catch_unwind(AssertUnwindSafe(|| node.check(&host).is_ok())) {
            Ok(_) => Ok(()),
            Err(_) => Err(Failure::new("looking at an empty host panics")),
        }
    })?;
    Ok(trials)
}
