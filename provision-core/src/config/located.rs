//! Values that know the place that gave them.

use serde_json::Value;

use crate::diagnostic::Span;

/// A value of the site, with the place that gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// The value.
    pub value: Data,
    /// Where the user wrote it; of a computed value, the expression that computes it. `None` if it comes from
    /// outside of any file, as facts do, and has no field name to point at.
    pub span: Option<Span>,
}

/// Plain data. An enum tag is the string of its name.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number: an integer exactly, any other as the nearest `f64`.
    Number(serde_json::Number),
    /// A string, or the name of an enum tag.
    String(String),
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
            Data::String(text) => Value::String(text.clone()),
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

    /// The string, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Data::String(text) => Some(text),
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
