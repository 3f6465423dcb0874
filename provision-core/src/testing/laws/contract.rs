//! The law of contracts: what the generated Nickel contract of a type accepts, its Rust struct accepts, and the reverse.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::config::{Request, SiteSource, evaluate};
use crate::registry::{Registry, TypeDescription};
use crate::testing::Failure;

use super::case::{Trial, TypeCases};

fn values() -> Vec<Value> {
    vec![
        json!(true),
        json!(0),
        json!(3),
        json!(-1),
        json!(70_000),
        json!(5_000_000_000_u64),
        json!(1.5),
        json!(""),
        json!("0644"),
        json!("64"),
        json!("/etc/motd"),
        json!("etc/motd"),
        json!("/etc/../motd"),
        json!("present"),
        json!("absent"),
        json!("presnt"),
        json!("1d"),
        json!("1 day"),
        json!("service:nginx"),
        json!(":"),
        json!([]),
        json!(["service:nginx"]),
        json!([1]),
        json!({}),
        json!({ "a": true }),
        json!({ "a": "b" }),
        json!({ "secret": "db/password" }),
        json!({ "secret": 3 }),
        json!({ "secret": "a", "b": "c" }),
        json!({ "secret_template": "password={{db/password}}" }),
    ]
}

/// Law 9: each attribute with each of many values, beside what else the type cannot do without.
pub(super) fn agrees(registry: &Registry, name: &str, cases: &TypeCases) -> Trial {
    let descriptions = registry.descriptions();
    let types: Vec<TypeDescription> = descriptions.into_iter().filter(|described| described.name == name).collect();
    let Some(described) = types.first() else { return Ok(0) };
    let needed = needed(described, cases);
    let mut trials = 0;
    for attribute in described.schema["properties"].as_object().into_iter().flat_map(Map::keys) {
        let contract = refused_by_contract(&types, name, attribute, &needed)?;
        for (number, value) in values().into_iter().enumerate() {
            let refused = !registry.mistakes(name, with(&needed, attribute, value.clone())).is_empty();
            if refused != contract.contains(&number) {
                let who = if refused { "only the type" } else { "only the contract" };
                return Err(Failure::new(format!("{who} refuses `{attribute} = {value}`")));
            }
            trials += 1;
        }
    }
    Ok(trials)
}

/// The attributes that have no default, as a case has them.
fn needed(described: &TypeDescription, cases: &TypeCases) -> Map<String, Value> {
    let required: Vec<&str> =
        described.schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let declared = cases.cases.iter().find_map(|case| case.attributes.as_object());
    let fields = declared.into_iter().flatten().filter(|(name, _)| required.contains(&name.as_str()));
    fields.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn with(needed: &Map<String, Value>, attribute: &str, value: Value) -> Map<String, Value> {
    let mut attributes = needed.clone();
    attributes.insert(attribute.to_owned(), value);
    attributes
}

/// The numbers of the values that the contract refuses, told by the lines of what it refuses.
fn refused_by_contract(
    types: &Vec<TypeDescription>,
    name: &str,
    attribute: &str,
    needed: &Map<String, Value>,
) -> Result<BTreeSet<usize>, Failure> {
    let mut text = String::from("{ resources = {\n");
    for (number, value) in values().into_iter().enumerate() {
        // JSON is Nickel but for its colons.
        let attributes = Value::Object(with(needed, attribute, value)).to_string().replace("\":", "\"=");
        text += &format!("{name}.\"/n{number}\" = {attributes},\n");
    }
    text += "} }";
    let facts = json!({});
    let sources = vec![SiteSource::Text { name: "site".into(), text }];
    let request = Request { sources, overrides: Vec::new(), import_paths: Vec::new(), facts: &facts, types };
    let evaluation = evaluate(&request);
    if let Some(diagnostic) = evaluation.diagnostics.first() {
        return Err(Failure::new(format!("`{attribute}` cannot be evaluated: {}", diagnostic.message)));
    }
    let spans = evaluation.contract_failure.iter().flat_map(|diagnostic| &diagnostic.labels);
    Ok(spans.filter(|label| &*label.span.file == "site").map(|label| label.span.line as usize - 2).collect())
}
