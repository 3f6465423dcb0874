//! Values that know the place that gave them.

use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use crate::diagnostic::Span;

/// A value of the site, with the place that gave it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Located {
    /// The value.
    pub value: Data,
    /// Where the user wrote it; of a computed value, the expression that computes it. `None` if it comes from
    /// outside of any file, as facts do, and has no field name to point at.
    pub span: Option<Span>,
}

/// Plain data.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Data {
    /// Nothing.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number: an integer exactly, any other as the nearest `f64`.
    Number(serde_json::Number),
    /// A string.
    String(String),
    /// An enum tag, by its name; a string, wherever it is read.
    Tag(String),
    /// Values in order.
    Array(Vec<Located>),
    /// Fields in order of their names.
    Record(Vec<Field>),
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The name.
    pub name: String,
    /// Where the user wrote the name.
    pub name_span: Option<Span>,
    /// The value.
    pub value: Located,
}

/// A step on the way from a value to one inside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Into the field of this name.
    Field(&'a str),
    /// Into the element of this index.
    Index(usize),
}

impl<'a> From<&'a str> for Step<'a> {
    fn from(name: &'a str) -> Step<'a> {
        Step::Field(name)
    }
}

impl From<usize> for Step<'_> {
    fn from(index: usize) -> Self {
        Step::Index(index)
    }
}

impl Located {
    /// The same data without the places.
    pub fn to_json(&self) -> Value {
        match &self.value {
            Data::Null => Value::Null,
            Data::Bool(value) => Value::Bool(*value),
            Data::Number(number) => Value::Number(number.clone()),
            Data::String(text) | Data::Tag(text) => Value::String(text.clone()),
            Data::Array(elements) => Value::Array(elements.iter().map(Located::to_json).collect()),
            Data::Record(fields) => {
                Value::Object(fields.iter().map(|field| (field.name.clone(), field.value.to_json())).collect())
            }
        }
    }

    /// The fields, if this is a record; none otherwise.
    pub fn fields(&self) -> &[Field] {
        match &self.value {
            Data::Record(fields) => fields,
            _ => &[],
        }
    }

    /// The field of this name, if this is a record that has it.
    pub fn field(&self, name: &str) -> Option<&Field> {
        let fields = self.fields();
        // Evaluation sorts by name; a hand-made tree need not.
        match fields.binary_search_by(|field| field.name.as_str().cmp(name)) {
            Ok(index) => fields.get(index),
            Err(_) => fields.iter().find(|field| field.name == name),
        }
    }

    /// The value of the field of this name, if this is a record that has it.
    pub fn get(&self, name: &str) -> Option<&Located> {
        self.field(name).map(|field| &field.value)
    }

    /// The string, if this is one, or the name of the tag.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Data::String(text) | Data::Tag(text) => Some(text),
            _ => None,
        }
    }

    /// What kind of value this is, in a word with its article: "a record".
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Data::Null => "null",
            Data::Bool(_) => "a boolean",
            Data::Number(_) => "a number",
            Data::String(_) => "a string",
            Data::Tag(_) => "an enum tag",
            Data::Array(_) => "an array",
            Data::Record(_) => "a record",
        }
    }

    /// The value at the end of a path of field names and indices.
    pub fn at<'a, S: Into<Step<'a>>>(&self, path: impl IntoIterator<Item = S>) -> Option<&Located> {
        path.into_iter().try_fold(self, |value, step| match (step.into(), &value.value) {
            (Step::Field(name), _) => value.get(name),
            (Step::Index(index), Data::Array(elements)) => elements.get(index),
            (Step::Index(_), _) => None,
        })
    }

    /// The place of the value at the end of a path, or else of the nearest value on the way to it that has one.
    pub fn span_at<'a, S: Into<Step<'a>>>(&self, path: impl IntoIterator<Item = S>) -> Option<&Span> {
        let mut nearest = self.span.as_ref();
        let mut value = self;
        for step in path {
            let Some(next) = value.at([step.into()]) else { break };
            value = next;
            nearest = value.span.as_ref().or(nearest);
        }
        nearest
    }

    /// The place of the name of the last field on a path, if every field on it exists.
    pub fn name_span_at(&self, path: &[&str]) -> Option<&Span> {
        let (last, parents) = path.split_last()?;
        self.at(parents.iter().copied())?.field(last)?.name_span.as_ref()
    }
}

impl From<Value> for Located {
    /// The same data, without the places where it was written.
    fn from(value: Value) -> Located {
        let value = match value {
            Value::Null => Data::Null,
            Value::Bool(value) => Data::Bool(value),
            Value::Number(number) => Data::Number(number),
            Value::String(text) => Data::String(text),
            Value::Array(elements) => Data::Array(elements.into_iter().map(Located::from).collect()),
            Value::Object(fields) => {
                let field = |(name, value): (String, Value)| Field { name, name_span: None, value: value.into() };
                Data::Record(fields.into_iter().map(field).collect())
            }
        };
        Located { value, span: None }
    }
}

/// Why data is not of a type, and where in the data.
#[derive(Debug)]
pub struct Unfit {
    /// Names and indices, the innermost first.
    path: Vec<String>,
    message: String,
}

impl Unfit {
    fn within(mut self, step: impl ToString) -> Unfit {
        self.path.push(step.to_string());
        self
    }

    /// Where it is, from the outside in, and what is wrong.
    pub fn into_parts(mut self) -> (Vec<String>, String) {
        self.path.reverse();
        (self.path, self.message)
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unfit {}

impl serde::de::Error for Unfit {
    fn custom<T: fmt::Display>(message: T) -> Unfit {
        Unfit { path: Vec::new(), message: message.to_string() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Unfit {
        match found {
            Unexpected::Unit => Unfit::custom(format_args!("invalid type: null, expected {expected}")),
            other => Unfit::custom(format_args!("invalid type: {other}, expected {expected}")),
        }
    }
}

impl<'de> IntoDeserializer<'de, Unfit> for &'de Located {
    type Deserializer = &'de Located;
    fn into_deserializer(self) -> &'de Located {
        self
    }
}

/// As `serde_json::Value` does it.
impl<'de> Deserializer<'de> for &'de Located {
    type Error = Unfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match &self.value {
            Data::Null => visitor.visit_unit(),
            Data::Bool(value) => visitor.visit_bool(*value),
            Data::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (None, Some(number)) => visitor.visit_i64(number),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Data::String(text) | Data::Tag(text) => visitor.visit_borrowed_str(text),
            Data::Array(elements) => {
                let mut rest = Elements { elements, place: 0 };
                let value = visitor.visit_seq(&mut rest)?;
                match rest.place == elements.len() {
                    true => Ok(value),
                    false => Err(Unfit::invalid_length(elements.len(), &"fewer elements in array")),
                }
            }
            Data::Record(fields) => Fields::new(fields.iter()).deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.value {
            Data::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        match &self.value {
            Data::String(tag) | Data::Tag(tag) => {
                tag.as_str().into_deserializer().deserialize_enum(name, variants, visitor)
            }
            Data::Record(fields) if fields.len() == 1 => {
                MapAccessDeserializer::new(Fields::new(fields.iter())).deserialize_enum(name, variants, visitor)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// Elements that a type is read from.
struct Elements<'de> {
    elements: &'de [Located],
    place: usize,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Unfit;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Unfit> {
        let Some(element) = self.elements.get(self.place) else { return Ok(None) };
        let place = self.place;
        self.place += 1;
        seed.deserialize(element).map(Some).map_err(|error| error.within(place))
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.elements.len() - self.place)
    }
}

/// Fields that a type is read from.
pub(crate) struct Fields<'de, I> {
    fields: I,
    field: Option<&'de Field>,
}

impl<'de, I: Iterator<Item = &'de Field>> Fields<'de, I> {
    pub(crate) fn new(fields: I) -> Fields<'de, I> {
        Fields { fields, field: None }
    }
}

impl<'de, I: Iterator<Item = &'de Field>> MapAccess<'de> for Fields<'de, I> {
    type Error = Unfit;
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unfit> {
        self.field = self.fields.next();
        let Some(field) = self.field else { return Ok(None) };
        let name = BorrowedStrDeserializer::<Unfit>::new(&field.name);
        seed.deserialize(name).map(Some).map_err(|error| error.within(&field.name))
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unfit> {
        let field = self.field.take().ok_or_else(|| Unfit::custom("a value is asked for before its name"))?;
        seed.deserialize(&field.value).map_err(|error| error.within(&field.name))
    }
}

impl<'de, I: Iterator<Item = &'de Field>> Deserializer<'de> for Fields<'de, I> {
    type Error = Unfit;
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_map(self)
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::id::ResourceId;

    fn string(text: &str, at: usize) -> Located {
        let span = Some(Span::locate("site.ncl", "0123456789", at, at + 1));
        Located { value: Data::String(text.to_owned()), span }
    }

    fn record(fields: Vec<(&str, Located)>) -> Located {
        let fields = fields.into_iter();
        let fields = fields.map(|(name, value)| Field { name: name.to_owned(), name_span: None, value });
        Located { value: Data::Record(fields.collect()), span: None }
    }

    #[test]
    fn a_path_leads_through_fields_and_indices() {
        let list = Located { value: Data::Array(vec![string("a", 1), string("b", 2)]), span: None };
        let tree = record(vec![("list", list), ("name", string("x", 3))]);
        assert_eq!(tree.at([Step::Field("list"), Step::Index(1)]).and_then(Located::as_str), Some("b"));
        assert_eq!(tree.at(["name", "deeper"]), None);
        assert_eq!(tree.to_json(), serde_json::json!({ "list": ["a", "b"], "name": "x" }));
    }

    #[test]
    fn a_place_that_is_missing_is_taken_from_the_value_around_it() {
        let mut tree = record(vec![("inner", record(vec![("name", string("x", 3))]))]);
        tree.span = Some(Span::locate("site.ncl", "0123456789", 0, 9));
        assert_eq!(tree.span_at(["inner", "name"]).map(|span| span.start), Some(3));
        assert_eq!(tree.span_at(["inner", "absent"]).map(|span| span.start), Some(0));
    }

    #[test]
    fn it_is_told_where_data_does_not_fit() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "only read")]
        struct Outer {
            list: Vec<BTreeMap<String, u8>>,
        }
        let unfit = |value: Value| Outer::deserialize(&Located::from(value)).unwrap_err().into_parts();
        let said = [
            unfit(json!({ "list": [{}, { "a": 1, "b": 256 }] })),
            unfit(json!({ "list": [null] })),
            unfit(json!({ "list": [], "other": 1 })),
            unfit(json!({})),
            unfit(json!([])),
        ];
        insta::assert_snapshot!(said.map(|(path, message)| format!("{}: {message}", path.join("."))).join("\n"), @r"
        list.1.b: invalid value: integer `256`, expected u8
        list.0: invalid type: null, expected a map
        other: unknown field `other`, expected `list`
        : missing field `list`
        : invalid length 0, expected struct Outer with 1 element
        ");
    }

    /// A type is read from it as from JSON.
    #[test]
    fn every_kind_of_data_is_read_as_from_json() {
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Inner {
            list: Vec<u8>,
            tuple: (i64, f64, char),
            map: BTreeMap<String, Option<bool>>,
        }
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Tagged {
            Unit,
            Newtype(u16),
            Struct { a: bool },
        }
        #[derive(Debug, PartialEq, Deserialize)]
        struct All {
            inner: Inner,
            tags: Vec<Tagged>,
            any: Value,
            unit: (),
            id: ResourceId,
        }
        let value = json!({
            "inner": { "list": [1, 255], "tuple": [-1, 2.5, "ü"], "map": { "no": null, "yes": true } },
            "tags": ["unit", { "newtype": 3 }, { "struct": { "a": true } }],
            "any": { "z": [null, -3, 1.5, u64::MAX], "a": {} },
            "unit": null,
            "id": "file:/etc/motd",
        });
        let located = Located::from(value.clone());
        assert_eq!(located.to_json(), value);
        assert_eq!(All::deserialize(&located).unwrap(), All::deserialize(&value).unwrap());
        for (wrong, what) in [
            (json!({ "list": [256], "tuple": [1, 2, "x"], "map": {} }), "a number too large"),
            (json!({ "list": [], "tuple": [1, 2, "x"], "map": {}, "other": 1 }), "an unknown field"),
            (json!({ "list": {}, "tuple": [1, 2, "x"], "map": {} }), "a map for a list"),
            (json!({ "list": [], "tuple": [1, 2, "x", 4], "map": {} }), "a tuple too long"),
        ] {
            assert!(
                Inner::deserialize(&wrong).is_err() && Inner::deserialize(&Located::from(wrong)).is_err(),
                "{what}"
            );
        }
        assert!(Tagged::deserialize(&Located::from(json!({ "unit": null, "newtype": 1 }))).is_err());
    }
}
