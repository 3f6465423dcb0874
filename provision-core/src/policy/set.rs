//! Sets of names: an array, or a record of `name = true`, to which several layers of a site can add.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::id::ResourceId;

/// The schema of a set of ids.
pub(super) struct Ids;

/// The schema of a set of names.
pub(super) struct Names;

impl JsonSchema for Ids {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Ids".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let id = generator.subschema_for::<ResourceId>();
        json_schema!({ "anyOf": [
            { "type": "array", "items": id },
            {
                "type": "object",
                "patternProperties": { "^[a-z][a-z0-9_]*:(.|\\n)+$": { "type": "boolean" } },
                "additionalProperties": false,
            },
        ] })
    }
}

impl JsonSchema for Names {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Names".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "array", "items": { "type": "string" } },
            { "type": "object", "additionalProperties": { "type": "boolean" } },
        ] })
    }
}

/// Ids of resources.
pub(super) fn ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ResourceId>, D::Error> {
    deserializer.deserialize_any(Set(PhantomData))
}

/// Names.
pub(super) fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    deserializer.deserialize_any(Set(PhantomData))
}

struct Set<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + FromStr<Err: fmt::Display>> Visitor<'de> for Set<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of names, or a record of names that are true")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
        let mut set = Vec::new();
        while let Some(element) = elements.next_element()? {
            set.push(element);
        }
        Ok(set)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Vec<T>, A::Error> {
        let mut set = Vec::new();
        while let Some((name, is_in)) = fields.next_entry::<String, bool>()? {
            let name = name.parse().map_err(A::Error::custom)?;
            if is_in {
                set.push(name);
            }
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::policy::Common;

    /// Arrays of two layers do not merge.
    #[test]
    fn a_set_is_an_array_or_a_record_of_what_is_in_it() {
        let common = |value| serde_json::from_value::<Common>(value).map_err(|error| error.to_string());
        let record = common(json!({ "notifies": { "service:a": true, "service:b": false }, "tags": { "web": true } }));
        let array = common(json!({ "notifies": ["service:a"], "tags": ["web"] }));
        assert_eq!(record, array);
        assert!(common(json!({ "requires": { "nginx": true } })).unwrap_err().contains("nginx"));
        assert!(common(json!({ "tags": "web" })).unwrap_err().contains("an array of names, or a record of names"));
        assert!(common(json!({ "tags": { "web": 1 } })).is_err());
    }
}
