//! The laws of declarations and states as data.

use serde_json::{Value, json};

use crate::resource::DynState;
use crate::testing::Failure;

use super::case::{ErasedCase, Trial, TypeCases};

/// Law 10.
pub(super) fn round_trip_and_closed(cases: &TypeCases) -> Trial {
    let mut trials = 0;
    for case in &cases.cases {
        let again = case.resource()?.all_attributes()?;
        if again != case.attributes {
            return Err(Failure::new(format!("{}: a declaration is another once it was written down", case.name))
                .difference(format!("was {}\nis  {again}", case.attributes)));
        }
        let graph = case.graph()?;
        let node = case.node(&graph)?;
        if let Ok(now) = node.check(&case.host()) {
            let want = node.plan(&now).ok();
            for state in [Some(now), want].into_iter().flatten() {
                state_survives(cases, &state).map_err(|failure| failure.in_case(&case.name))?;
            }
        }
        let mut unknown = case.attributes.clone();
        if let Value::Object(fields) = &mut unknown {
            fields.insert("no_such_attribute".into(), json!(1));
        }
        if (cases.build)(&unknown).is_ok() {
            return Err(Failure::new("an attribute that does not exist is accepted")
                .difference("put `#[serde(deny_unknown_fields)]` on the type"));
        }
        secrets_are_listed(cases, case)?;
        trials += 1;
    }
    Ok(trials)
}

/// A secret that [`Resource::secrets`](crate::resource::Resource::secrets) does not list is never asked for.
fn secrets_are_listed(cases: &TypeCases, case: &ErasedCase) -> Result<(), Failure> {
    for attribute in &cases.texts {
        let mut named = case.attributes.clone();
        if let Value::Object(fields) = &mut named {
            fields.insert(attribute.clone(), json!({ "secret": "canary" }));
        }
        let Ok(mut resource) = (cases.build)(&named) else { continue };
        if !resource.secrets().iter().any(|(listed, _)| listed == attribute) {
            return Err(Failure::new(format!(
                "`{attribute}` can name a secret, and `Resource::secrets` does not list it"
            )));
        }
    }
    Ok(())
}

fn state_survives(cases: &TypeCases, state: &DynState) -> Result<(), Failure> {
    let json = state.to_json();
    let again = (cases.revive)(&json)
        .map_err(|error| Failure::new(format!("a state cannot be read again: {error}")).difference(json.to_string()))?;
    if again != *state {
        return Err(Failure::new("a state is another once it was written down")
            .difference(format!("was {json}\nis  {}", again.to_json())));
    }
    Ok(())
}
