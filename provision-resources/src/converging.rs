//! What the tests of resource types share: a resource on a simulated host, held to the contract.

use provision_core::effect::Effect;
use provision_core::error::{Error, Result};
use provision_core::resource::{ApplyContext, AttributeError, CheckContext, PlanContext, Resource, ResourceId};
use provision_core::sim::SimHost;
use serde_json::Value;

/// What became of a resource.
pub(crate) struct Converged {
    /// The states before and after.
    pub(crate) now: Value,
    pub(crate) want: Value,
    pub(crate) effects: Vec<Effect>,
}

impl Converged {
    /// The effects, in words.
    pub(crate) fn words(&self) -> Vec<String> {
        self.effects.iter().map(ToString::to_string).collect()
    }
}

/// Reads a declaration.
pub(crate) fn declare<R: Resource>(attributes: Value) -> R {
    serde_json::from_value(attributes).expect("a declaration")
}

/// The mistakes in a declaration.
pub(crate) fn mistakes<R: Resource>(name: &str, attributes: Value) -> Vec<AttributeError> {
    declare::<R>(attributes).validate(&ResourceId::new(R::TYPE, name))
}

/// Brings a host to a declaration and asserts what every type promises.
pub(crate) fn converge<R: Resource>(host: &SimHost, name: &str, attributes: Value) -> Converged {
    let resource = declare::<R>(attributes.clone());
    let id = ResourceId::new(R::TYPE, name);
    assert_eq!(resource.validate(&id), [], "valid");
    attempt(host, &resource, &id).unwrap_or_else(|error| panic!("{error}; hint: {:?}", error.hint()))
}

/// The error that keeps a host from being brought to a declaration.
pub(crate) fn fails<R: Resource>(host: &SimHost, name: &str, attributes: Value) -> Error {
    let resource = declare::<R>(attributes);
    let id = ResourceId::new(R::TYPE, name);
    assert_eq!(resource.validate(&id), [], "valid");
    match attempt(host, &resource, &id) {
        Ok(done) => panic!("it went well: {:?}", done.words()),
        Err(error) => error,
    }
}

/// Brings a host to a resource, and asserts what every type promises.
pub(crate) fn attempt<R: Resource>(host: &SimHost, resource: &R, id: &ResourceId) -> Result<Converged> {
    host.take_effects();
    let now = resource.check(&CheckContext::new(id, host))?;
    assert!(resource.check(&CheckContext::new(id, host))? == now, "a check repeats");
    let want = resource.plan(&PlanContext::new(id), &now)?;
    assert!(resource.plan(&PlanContext::new(id), &want)? == want, "a plan is idempotent");
    assert_eq!(host.take_effects(), [], "looking changes nothing");
    let (before, after) = (json(&now), json(&want));
    for state in [&now, &want] {
        let again: R::State = serde_json::from_value(json(state)).expect("a state");
        assert!(again == *state, "a state survives JSON");
    }
    let effects = if now == want {
        Vec::new()
    } else {
        resource.apply(&ApplyContext::new(id, host), &now, &want)?;
        let effects = host.take_effects();
        assert!(!effects.is_empty(), "what differs takes an effect");
        effects
    };
    let found = resource.check(&CheckContext::new(id, host))?;
    assert_eq!(json(&found), after, "what was promised");
    assert!(found == want && resource.plan(&PlanContext::new(id), &found)? == found, "the second run is quiet");
    Ok(Converged { now: before, want: after, effects })
}

fn json(state: &impl serde::Serialize) -> Value {
    serde_json::to_value(state).expect("a state is JSON")
}
