//! What is plain needs no second evaluation: data that fits the schemas of its types is what their contracts accept.
//!
//! The contracts are written from the same schemas ([`schema`](super::schema)). What is said here of a value holds only in
//! one direction: what is not proven may be right all the same, and is left to the contracts to judge, and to describe.

use serde_json::{Map, Value};

use super::opened::Types;
use super::schema::{MAX_DEPTH, Writer, limits_of};
use super::{Data, Located};
use crate::duration::Duration;

/// Whether the `Site` contract accepts a site of these types.
pub(super) fn holds(site: &Located, types: &Types<'_>) -> bool {
    site.fields().iter().all(|field| match field.name.as_str() {
        // The frame of the site was checked already.
        "provision_version" | "name" | "on_failure" | "prune" | "journal" => true,
        "resources" => field.value.fields().iter().all(|of_type| {
            types.get(&of_type.name).is_some_and(|described| {
                let proof = Proof { schema: Writer::new(&described.schema) };
                of_type.value.fields().iter().all(|resource| proof.whole(&resource.value))
            })
        }),
        _ => false,
    })
}

/// Proofs for the schemas of one type.
struct Proof<'s> {
    schema: Writer<'s>,
}

impl Proof<'_> {
    fn whole(&self, value: &Located) -> bool {
        let (schema, _) = self.schema.resolve(self.schema.root);
        match schema.as_object().filter(|object| object.contains_key("properties")) {
            Some(object) => self.record(object, value, 0),
            None => self.fits(self.schema.root, value, 0),
        }
    }

    fn fits(&self, schema: &Value, value: &Located, depth: usize) -> bool {
        let (target, named) = self.schema.resolve(schema);
        if let Some(name) = named {
            return is_named(name, value);
        }
        if depth >= MAX_DEPTH {
            return false;
        }
        let Some(object) = target.as_object() else { return true };
        if let Some(constant) = object.get("const") {
            return is_one(constant, value);
        }
        if let Some(Value::Array(choices)) = object.get("enum") {
            return choices.iter().any(|choice| is_one(choice, value));
        }
        for key in ["oneOf", "anyOf"] {
            if let Some(Value::Array(alternatives)) = object.get(key) {
                return self.fits_any(alternatives, value, depth);
            }
        }
        if let Some(Value::Array(parts)) = object.get("allOf") {
            return parts.len() == 1 && self.fits(&parts[0], value, depth + 1);
        }
        match object.get("type") {
            Some(Value::String(kind)) => self.is_of_kind(kind, object, value, depth),
            // Of several kinds at most one is that of the value.
            Some(Value::Array(kinds)) => {
                kinds.iter().filter_map(Value::as_str).any(|kind| self.is_of_kind(kind, object, value, depth))
            }
            _ if object.contains_key("properties") => self.record(object, value, depth),
            _ => true,
        }
    }

    /// A contract of several picks the first one that fits at first sight, so what has parts must leave no choice.
    fn fits_any(&self, alternatives: &[Value], value: &Located, depth: usize) -> bool {
        let mut fitting = alternatives.iter().filter(|alternative| self.fits(alternative, value, depth + 1));
        match value.value {
            Data::Array(_) | Data::Record(_) => {
                let others =
                    alternatives.iter().filter(|alternative| may_be_of(self.schema.resolve(alternative).0, value));
                others.count() == 1 && fitting.next().is_some()
            }
            _ => fitting.next().is_some(),
        }
    }

    fn is_of_kind(&self, kind: &str, object: &Map<String, Value>, value: &Located, depth: usize) -> bool {
        match (kind, &value.value) {
            ("string", Data::String(_)) => !object.contains_key("pattern"),
            ("boolean", Data::Bool(_)) | ("null", Data::Null) => true,
            ("integer", Data::Number(number)) => {
                let number = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
                number.is_some_and(|number| limits_of(object).is_some_and(|limits| limits.contains(&number)))
            }
            ("number", Data::Number(_)) => !object.contains_key("minimum") && !object.contains_key("maximum"),
            ("array", Data::Array(elements)) => {
                let items = object.get("items");
                items.is_none_or(|items| elements.iter().all(|element| self.fits(items, element, depth + 1)))
            }
            ("object", Data::Record(_)) if object.contains_key("properties") => self.record(object, value, depth),
            ("object", Data::Record(fields)) if !object.contains_key("patternProperties") => {
                match object.get("additionalProperties") {
                    Some(values @ Value::Object(_)) => {
                        fields.iter().all(|field| self.fits(values, &field.value, depth + 1))
                    }
                    Some(Value::Bool(false)) => fields.is_empty(),
                    _ => true,
                }
            }
            _ => false,
        }
    }

    fn record(&self, object: &Map<String, Value>, value: &Located, depth: usize) -> bool {
        let Data::Record(fields) = &value.value else { return false };
        let required = object.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let admits_more = matches!(object.get("additionalProperties"), Some(Value::Bool(true) | Value::Object(_)));
        let properties = object.get("properties").and_then(Value::as_object);
        fields.iter().all(|field| match properties.and_then(|properties| properties.get(&field.name)) {
            Some(schema) => self.fits(schema, &field.value, depth + 1),
            None => admits_more,
        }) && required.into_iter().all(|name| value.field(name).is_some())
    }
}

/// Whether a schema may admit values of the kind of an array or a record.
fn may_be_of(schema: &Value, value: &Located) -> bool {
    let kind = if matches!(value.value, Data::Array(_)) { "array" } else { "object" };
    match schema.get("type").and_then(Value::as_str) {
        Some(only) => only == kind,
        None => true,
    }
}

/// Whether a value is this choice of an enumeration; tags and strings are one there.
fn is_one(choice: &Value, value: &Located) -> bool {
    match (choice, &value.value) {
        (Value::String(choice), Data::String(name) | Data::Tag(name)) => choice == name,
        (Value::Bool(choice), Data::Bool(value)) => choice == value,
        _ => false,
    }
}

/// Whether a contract of the prelude accepts a value.
fn is_named(name: &str, value: &Located) -> bool {
    let Data::String(text) = &value.value else {
        return name == "Text" && matches!(value.fields(), [field] if is_secret(&field.name, &field.value.value));
    };
    match name {
        "Text" => true,
        "AbsolutePath" => text.starts_with('/') && text.split('/').all(|component| component != ".."),
        "Mode" => matches!(text.len(), 3 | 4) && text.bytes().all(|digit| matches!(digit, b'0'..=b'7')),
        "Duration" => text.parse::<Duration>().is_ok(),
        "ResourceId" => text.split_once(':').is_some_and(|(kind, name)| {
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            kind.starts_with(|first: char| first.is_ascii_lowercase()) && kind.bytes().all(is_plain) && !name.is_empty()
        }),
        _ => false,
    }
}

fn is_secret(name: &str, value: &Data) -> bool {
    matches!(name, "secret" | "secret_template") && matches!(value, Data::String(_))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::TypeDescription;

    fn types() -> Vec<TypeDescription> {
        let schema = json!({
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": { "type": "string" },
                "mode": { "type": ["string", "null"], "x-nickel": "Mode" },
                "port": { "type": "integer", "format": "uint16" },
                "ensure": { "enum": ["present", "absent"] },
                "parts": { "anyOf": [{ "type": "array", "items": { "type": "string" } }, { "type": "array" }] },
            },
            "additionalProperties": false,
        });
        vec![TypeDescription { name: "thing".to_owned(), description: String::new(), schema }]
    }

    fn is_proven(thing: Value) -> bool {
        holds(&Located::from(json!({ "resources": { "thing": { "a": thing } } })), &Types::new(&types()))
    }

    #[test]
    fn only_what_fits_is_proven() {
        for right in
            [json!({ "name": "x" }), json!({ "name": "x", "mode": "0644", "port": 65535, "ensure": "present" })]
        {
            assert!(is_proven(right.clone()), "{right}");
        }
        for wrong in [
            json!({}),
            json!({ "name": null }),
            json!({ "name": "x", "mode": "644x" }),
            json!({ "name": "x", "port": 65536 }),
            json!({ "name": "x", "port": 1.5 }),
            json!({ "name": "x", "ensure": "here" }),
            json!({ "name": "x", "other": 1 }),
            // The first alternative is taken, and does not fit.
            json!({ "name": "x", "parts": [1] }),
            json!("x"),
        ] {
            assert!(!is_proven(wrong.clone()), "{wrong}");
        }
        assert!(!holds(&Located::from(json!({ "resources": { "thong": { "a": {} } } })), &Types::new(&types())));
        assert!(!holds(&Located::from(json!({ "tests": {} })), &Types::new(&types())));
    }

    #[test]
    fn a_tag_is_a_choice_and_no_string() {
        let thing = |attribute: &str| {
            let mut site =
                Located::from(json!({ "resources": { "thing": { "a": { "name": "x", "ensure": "absent" } } } }));
            let Data::Record(fields) = &mut site.value else { return site };
            let Data::Record(types) = &mut fields[0].value.value else { return site };
            let Data::Record(things) = &mut types[0].value.value else { return site };
            let Data::Record(attributes) = &mut things[0].value.value else { return site };
            for field in attributes.iter_mut().filter(|field| field.name == attribute) {
                field.value.value = Data::Tag(field.value.as_str().unwrap().to_owned());
            }
            site
        };
        assert!(holds(&thing("ensure"), &Types::new(&types())));
        assert!(!holds(&thing("name"), &Types::new(&types())));
    }
}
