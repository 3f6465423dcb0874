//! `provision schema`: the resource types, as their Rust structs have them.

use std::io::Write;

use provision_core::config::contract_library;
use provision_core::diagnostic::did_you_mean;
use provision_core::registry::{TypeDescription, common_attributes};
use serde_json::{Map, Value};

use crate::cli::{Schema, SchemaForm};
use crate::context::Program;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::render;

/// Shows the types.
pub fn run(program: &Program<'_>, verb: &Schema) -> Result<Exit, Failure> {
    let mut types = program.registry.descriptions();
    for wanted in &verb.types {
        if !types.iter().any(|known| known.name == *wanted) {
            let near = did_you_mean(wanted, types.iter().map(|known| known.name.as_str()));
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(Failure::Usage(format!("there is no resource type `{wanted}`{hint}")));
        }
    }
    if !verb.types.is_empty() {
        types.retain(|known| verb.types.contains(&known.name));
    }
    let mut out = output::stdout();
    match verb.form {
        SchemaForm::Nickel => write!(out, "{}", contract_library(&types))?,
        SchemaForm::JsonSchema => {
            let all: Map<String, Value> = types.into_iter().map(|known| (known.name, known.schema)).collect();
            render::json::print(&Value::Object(all))?;
        }
        SchemaForm::Markdown => write!(out, "{}", markdown(&types))?,
    }
    Ok(Exit::Success)
}

/// Each type with the attributes of its own; those that all types have come once, at the end.
fn markdown(types: &[TypeDescription]) -> String {
    let common = common_attributes();
    let is_own = |name: &str| common["properties"].get(name).is_none();
    let mut text = String::from("# Resource types\n");
    for known in types {
        text += &format!("\n## {}\n\n{}\n\n", known.name, known.description);
        text += &table(&known.schema, is_own);
        text += "\nAnd the [attributes of all types](#attributes-of-all-types).\n";
    }
    text + "\n## Attributes of all types\n\n" + &table(&common, |_| true)
}

/// The attributes of a schema, as far as they are wanted.
fn table(schema: &Value, is_wanted: impl Fn(&str) -> bool) -> String {
    let mut text = String::from("| attribute | type | default | meaning |\n|---|---|---|---|\n");
    let properties = schema["properties"].as_object();
    for (name, property) in properties.into_iter().flatten().filter(|(name, _)| is_wanted(name)) {
        let cell = |text: String| text.replace('|', "\\|").replace('\n', " ");
        let default =
            property.get("default").filter(|default| !default.is_null()).map(|default| format!("`{default}`"));
        let meaning = property["description"].as_str().unwrap_or_default().to_owned();
        let kind = kind_of(property, schema);
        text += &format!("| `{name}` | {} | {} | {} |\n", cell(kind), cell(default.unwrap_or_default()), cell(meaning));
    }
    text
}

/// The type of a property in a few words.
fn kind_of(property: &Value, root: &Value) -> String {
    if let Some(target) = property["$ref"].as_str().and_then(|path| root.pointer(path.trim_start_matches('#'))) {
        return kind_of(target, root);
    }
    if let Some(choices) = property["enum"].as_array() {
        return choices
            .iter()
            .filter(|choice| !choice.is_null())
            .map(|choice| format!("`{}`", choice.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if let Some(alternatives) = property["anyOf"].as_array().or(property["oneOf"].as_array()) {
        let kinds: Vec<String> = alternatives
            .iter()
            .filter(|alternative| alternative["type"] != "null")
            .map(|alternative| match alternative["const"].as_str() {
                Some(constant) => format!("`{constant}`"),
                None => kind_of(alternative, root),
            })
            .collect();
        return kinds.join(", ");
    }
    match &property["type"] {
        Value::String(kind) if kind == "array" => format!("array of {}", kind_of(&property["items"], root)),
        Value::String(kind)
            if kind == "object" && property.get("additionalProperties").is_some_and(Value::is_object) =>
        {
            format!("record of {}", kind_of(&property["additionalProperties"], root))
        }
        Value::String(kind) if kind == "object" => {
            let fields = property["patternProperties"].as_object().and_then(|patterns| patterns.values().next());
            fields.map_or_else(|| "record".to_owned(), |field| format!("record of {}", kind_of(field, root)))
        }
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => {
            let alone = |kind: &Value| {
                let mut property = property.clone();
                property["type"] = kind.clone();
                kind_of(&property, root)
            };
            kinds.iter().filter(|kind| **kind != "null").map(alone).collect::<Vec<_>>().join(", ")
        }
        _ => "any".to_owned(),
    }
}
