//! Contract and type agree: what the generated Nickel contract of a type accepts, its Rust struct accepts, and the reverse.
#![cfg(feature = "nickel")]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;

use provision_core::config::{Request, SiteSource, evaluate};
use provision_core::registry::TypeDescription;
use provision_resources::registry;
use serde_json::{Map, Value, json};

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

/// The attributes that make a resource of a type complete but for the one under test.
fn others(kind: &str, attribute: &str) -> Map<String, Value> {
    let mut others = Map::new();
    if kind == "symlink" && attribute != "target" {
        others.insert("target".into(), json!("/srv"));
    }
    others
}

/// The numbers of the values that the contract refuses, told by the lines of what it refuses.
fn refused_by_contract(types: &[TypeDescription], kind: &str, attribute: &str) -> BTreeSet<usize> {
    let mut text = String::from("{ resources = {\n");
    for (number, value) in values().into_iter().enumerate() {
        let mut attributes = others(kind, attribute);
        attributes.insert(attribute.to_owned(), value);
        let attributes = Value::Object(attributes).to_string().replace("\":", "\"=");
        text += &format!("{kind}.\"/n{number}\" = {attributes},\n");
    }
    text += "} }";
    let facts = json!({});
    let sources = vec![SiteSource::Text { name: "site".into(), text }];
    let request = Request { sources, overrides: Vec::new(), import_paths: Vec::new(), facts: &facts, types };
    let evaluation = evaluate(&request);
    assert_eq!(evaluation.diagnostics, [], "{kind}.{attribute}");
    let spans = evaluation.contract_failure.iter().flat_map(|diagnostic| &diagnostic.labels);
    spans.filter(|label| &*label.span.file == "site").map(|label| label.span.line as usize - 2).collect()
}

fn refused_by_type(kind: &str, attribute: &str) -> BTreeSet<usize> {
    let registry = registry();
    let refuses = |value: Value| {
        let mut attributes = others(kind, attribute);
        attributes.insert(attribute.to_owned(), value);
        !registry.mistakes(kind, attributes).is_empty()
    };
    values().into_iter().enumerate().filter(|(_, value)| refuses(value.clone())).map(|(number, _)| number).collect()
}

#[test]
fn a_contract_accepts_what_its_type_accepts() {
    let types = registry().descriptions();
    let mut disagreements = Vec::new();
    for known in &types {
        for attribute in known.schema["properties"].as_object().unwrap().keys() {
            let contract = refused_by_contract(&types, &known.name, attribute);
            let rust = refused_by_type(&known.name, attribute);
            for number in contract.symmetric_difference(&rust) {
                let who = if contract.contains(number) { "only the contract" } else { "only the type" };
                disagreements.push(format!("{}.{attribute} = {}: {who} refuses", known.name, values()[*number]));
            }
        }
    }
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}
