//! The canonical encoding of a value: what digests that outlive a program are computed over.
//!
//! It is JSON ([RFC 8259](https://www.rfc-editor.org/rfc/rfc8259)) in UTF-8 and without white space. The members of an object are sorted by the
//! bytes of their names, and a member that is `null` is left out. So a field that a later version adds to a structure
//! changes no digest of a value that does not have it, and the order of fields in Rust matters nowhere.
//!
//! A digest covers the name of what is digested with its version, a line break, and the encoding: `path/1\n{"kind":"file",…}`.
//! See `docs/formats/README.md`.

use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};

/// A value as JSON, without members that are `null`.
///
/// # Errors
/// It cannot be written as JSON, such as a map whose keys are no texts.
pub(crate) fn value(value: &impl Serialize) -> Result<Value> {
    let mut value = serde_json::to_value(value)
        .map_err(|error| Error::new(ErrorKind::Invalid, format!("a value has no canonical form: {error}")))?;
    without_nulls(&mut value);
    Ok(value)
}

/// What a digest is computed over; `what` names it and its version, such as `path/1`.
///
/// # Errors
/// As [`value`].
pub(crate) fn encode(what: &str, content: &impl Serialize) -> Result<Vec<u8>> {
    let mut value = value(content)?;
    // Members are written in the order in which they stand.
    value.sort_all_objects();
    let mut bytes = format!("{what}\n").into_bytes();
    serde_json::to_writer(&mut bytes, &value)
        .map_err(|error| Error::new(ErrorKind::Invalid, format!("a value has no canonical form: {error}")))?;
    Ok(bytes)
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(without_nulls);
        }
        Value::Array(elements) => elements.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{value as canonical, *};
    use proptest::prelude::*;
    use serde_json::json;

    fn text(content: &impl Serialize) -> String {
        String::from_utf8(encode("thing/1", content).unwrap()).unwrap()
    }

    #[test]
    fn the_encoding_is_as_documented() {
        let content = json!({ "b": [1, null, "é\n"], "a": { "z": true, "y": null } });
        assert_eq!(text(&content), "thing/1\n{\"a\":{\"z\":true},\"b\":[1,null,\"é\\n\"]}");
    }

    /// A field added to a structure made every digest of an earlier version another one.
    #[test]
    fn a_field_that_a_later_version_adds_changes_no_digest() {
        #[derive(Serialize)]
        struct Then {
            name: &'static str,
            mode: Option<u32>,
        }
        #[derive(Serialize)]
        struct Now {
            label: Option<&'static str>,
            mode: Option<u32>,
            name: &'static str,
        }
        let then = Then { name: "motd", mode: None };
        let now = |label| Now { label, mode: None, name: "motd" };
        assert_eq!(text(&then), text(&now(None)));
        assert_ne!(text(&then), text(&now(Some("x"))));
        assert_ne!(encode("thing/1", &then).unwrap(), encode("thing/2", &then).unwrap());
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-zé\"]{0,3}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn reversed(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let members = members.iter().rev().map(|(name, member)| (name.clone(), reversed(member)));
                Value::Object(members.chain([("~absent".to_owned(), Value::Null)]).collect())
            }
            Value::Array(elements) => elements.iter().map(reversed).collect(),
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn order_and_absent_members_change_nothing(value in values()) {
            prop_assert_eq!(text(&value), text(&reversed(&value)));
        }

        #[test]
        fn different_values_have_different_encodings(one in values(), other in values()) {
            let same = canonical(&one).unwrap() == canonical(&other).unwrap();
            prop_assert_eq!(text(&one) == text(&other), same);
        }
    }
}
