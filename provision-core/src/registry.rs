//! [`Registry`]: the one list of resource types. It builds resources from plain data and describes the types.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};
use serde_json::{Map, Value};

use crate::diagnostic::{Span, did_you_mean};
use crate::located::{Data, Field, Fields, Located, Unfit};
use crate::resource::{AttributeError, DynResource, Resource, Stage};

pub use crate::policy::{Common, OnFailure, RetryDelay, SitePolicy, When};

/// The resource types that a program knows.
///
/// Every type is named explicitly; nothing registers itself.
#[derive(Clone, Default)]
pub struct Registry {
    types: BTreeMap<&'static str, Entry>,
}

/// What is done with a type. Most runs need no schema.
#[derive(Clone)]
struct Entry {
    stage: Stage,
    never_shown: &'static [&'static str],
    /// Tells it from others of its name that the same program may know.
    type_id: TypeId,
    schema: fn() -> Value,
    read: fn(Chosen<'_>) -> Result<Box<dyn DynResource>, Unfit>,
}

/// Resource types as an evaluation needs them: what they offer takes time to say, and is often not asked for.
pub trait DescribeTypes: fmt::Debug + Sync {
    /// What tells these types from others that the same build of this program may know.
    fn identity(&self) -> Vec<String>;

    /// Their names.
    fn names(&self) -> Vec<String>;

    /// What the type of this name offers.
    fn description(&self, name: &str) -> Option<TypeDescription>;
}

impl DescribeTypes for Registry {
    fn identity(&self) -> Vec<String> {
        self.types.iter().map(|(name, entry)| format!("{name} {:?}", entry.type_id)).collect()
    }
    fn names(&self) -> Vec<String> {
        Registry::names(self).map(str::to_owned).collect()
    }
    fn description(&self, name: &str) -> Option<TypeDescription> {
        let (name, entry) = self.types.get_key_value(name)?;
        Some(entry.describe(name))
    }
}

impl DescribeTypes for Vec<TypeDescription> {
    fn identity(&self) -> Vec<String> {
        self.iter().map(|described| serde_json::json!(described).to_string()).collect()
    }
    fn names(&self) -> Vec<String> {
        self.iter().map(|described| described.name.clone()).collect()
    }
    fn description(&self, name: &str) -> Option<TypeDescription> {
        self.iter().find(|described| described.name == name).cloned()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.types.keys()).finish()
    }
}

/// What a resource type offers: its documentation and its attributes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TypeDescription {
    /// The key in `resources`.
    pub name: String,
    /// What it is, in words; from the doc comment of its struct.
    pub description: String,
    /// JSON Schema (draft 2020-12) of its attributes, those common to all types included.
    pub schema: Value,
}

impl Registry {
    /// No types at all.
    pub fn new() -> Registry {
        Registry::default()
    }

    /// With one more type; it takes the place of another of the same name.
    #[must_use]
    pub fn with<R: Resource>(mut self) -> Registry {
        let entry = Entry {
            stage: R::STAGE,
            never_shown: R::NEVER_SHOWN,
            type_id: TypeId::of::<R>(),
            schema: schema_with_common::<R>,
            read: |own| R::deserialize(own).map(erased),
        };
        self.types.insert(R::TYPE, entry);
        self
    }

    /// The names of the types, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.types.keys().copied()
    }

    /// When resources of a type are due, if it is known.
    pub fn stage(&self, name: &str) -> Option<Stage> {
        self.types.get(name).map(|entry| entry.stage)
    }

    /// What every type offers, sorted by name.
    pub fn descriptions(&self) -> Vec<TypeDescription> {
        self.types.iter().map(|(name, entry)| entry.describe(name)).collect()
    }

    /// Everything that is wrong with the attributes of a resource, as far as their types tell.
    pub fn mistakes(&self, name: &str, attributes: Map<String, Value>) -> Vec<AttributeError> {
        self.build(name, &Value::Object(attributes).into()).err().unwrap_or_default()
    }

    /// Where attributes are written that no message shows, those with a typo in their names among them.
    pub(crate) fn places_never_shown(&self, name: &str, attributes: &Located) -> Vec<Span> {
        let hidden = self.types.get(name).map_or(&[][..], |entry| entry.never_shown);
        if hidden.is_empty() {
            return Vec::new();
        }
        let fields = attributes.fields().iter();
        let is_meant = |field: &&Field| did_you_mean(&field.name, hidden.iter().copied()).is_some();
        // What refers to a secret may be seen.
        let is_value = |field: &&Field| !matches!(field.value.value, Data::Record(_));
        fields.filter(is_meant).filter(is_value).filter_map(|field| field.value.span.clone()).collect()
    }

    /// Builds a resource from its attributes, or tells all that is wrong with them.
    pub(crate) fn build(
        &self,
        name: &str,
        attributes: &Located,
    ) -> Result<(Box<dyn DynResource>, Common), Vec<AttributeError>> {
        let Some(entry) = self.types.get(name) else {
            let error = AttributeError::new("", format!("there is no resource type `{name}`"));
            return Err(vec![error.help(match did_you_mean(name, self.names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the types are {}", self.names().collect::<Vec<_>>().join(", ")),
            })]);
        };
        // What is not said may still be a name that there is not.
        let says_null = attributes.fields().iter().any(|field| field.value.value == Data::Null);
        let of = |common| Chosen { fields: attributes.fields(), common, without: &[] };
        if !says_null && let (Ok(own), Ok(common)) = ((entry.read)(of(false)), Common::deserialize(of(true))) {
            return Ok((own, common));
        }
        entry.explain(name, attributes)
    }
}

impl Entry {
    fn describe(&self, name: &str) -> TypeDescription {
        let schema = (self.schema)();
        let description = schema["description"].as_str().unwrap_or_default().to_owned();
        TypeDescription { name: name.to_owned(), description, schema }
    }

    /// All that is wrong with attributes.
    fn explain(&self, name: &str, attributes: &Located) -> Result<(Box<dyn DynResource>, Common), Vec<AttributeError>> {
        let schema = (self.schema)();
        let mut errors = Vec::new();
        let mut without = Vec::new();
        for Field { name: key, value, .. } in attributes.fields().iter().filter(|field| !is_common(&field.name)) {
            if schema["additionalProperties"] == false && schema["properties"].get(key).is_none() {
                errors.push(unknown_attribute(name, key, &schema));
                without.push(key.as_str());
            } else if value.value == Data::Null {
                without.push(key.as_str());
            }
        }
        let own = every_mistake(attributes.fields(), false, without, self.read, &mut errors);
        let common =
            every_mistake(attributes.fields(), true, Vec::new(), |chosen| Common::deserialize(chosen), &mut errors);
        match (own, common) {
            (Some(own), Some(common)) if errors.is_empty() => Ok((own, common)),
            _ => {
                errors.iter_mut().for_each(|error| in_words_of_a_site(error, attributes, &schema));
                Err(errors)
            }
        }
    }
}

/// The attributes that are common to all types.
const COMMON: [&str; 12] = [
    "requires",
    "after",
    "before",
    "notifies",
    "subscribes",
    "when",
    "tags",
    "sensitive",
    "retries",
    "retry_delay",
    "timeout",
    "on_failure",
];

fn is_common(attribute: &str) -> bool {
    COMMON.contains(&attribute)
}

/// Attributes of a resource: those that are its type's own, or those that all types have.
struct Chosen<'a> {
    fields: &'a [Field],
    common: bool,
    /// These are left out.
    without: &'a [&'a str],
}

impl<'de> Deserializer<'de> for Chosen<'de> {
    type Error = Unfit;
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        let Chosen { fields, common, without } = self;
        let is_chosen = |field: &&Field| is_common(&field.name) == common && !without.contains(&field.name.as_str());
        Fields::new(fields.iter().filter(is_chosen)).deserialize_any(visitor)
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

fn erased<R: Resource>(resource: R) -> Box<dyn DynResource> {
    Box::new(resource)
}

fn schema_with_common<R: JsonSchema>() -> Value {
    let mut schema = schema_of::<R>();
    // A struct without fields has no properties yet.
    if let (Value::Object(schema), Value::Object(common)) = (&mut schema, schema_of::<Common>()) {
        let own = schema.entry("properties").or_insert_with(|| Value::Object(Map::new()));
        if let (Value::Object(own), Some(Value::Object(common))) = (own, common.get("properties")) {
            own.extend(common.clone());
        }
    }
    schema
}

/// The JSON Schema of the attributes that resources of all types have.
pub fn common_attributes() -> Value {
    schema_of::<Common>()
}

fn schema_of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    generator.into_root_schema_for::<T>().to_value()
}

/// Says what serde says of arrays and records in the words of a site, with an example.
fn in_words_of_a_site(error: &mut AttributeError, attributes: &Located, schema: &Value) {
    let Some((found, expected)) =
        error.message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    else {
        return;
    };
    let in_words = |kind: &str| match kind {
        "sequence" | "a sequence" => "an array".to_owned(),
        "map" | "a map" => "a record".to_owned(),
        "null" => "null".to_owned(),
        other => other.to_owned(),
    };
    let (found, expected) = (in_words(found), in_words(expected));
    if error.help.is_none() {
        let name = error.path.last().map_or("attribute", String::as_str);
        let steps = error.path.iter().map(String::as_str);
        let value = attributes.at(steps);
        let is_set = |property: &Value| property["additionalProperties"]["type"] == "boolean";
        let takes_names = error.path.len() == 1 && is_set(&schema["properties"][name]);
        error.help = match (&*expected, value.map(|value| &value.value)) {
            ("a record", Some(Data::Array(elements))) => {
                let first = elements.first().and_then(Located::as_str).unwrap_or("name");
                let first =
                    if first.chars().all(char::is_alphanumeric) { first.to_owned() } else { format!("{first:?}") };
                let value = if takes_names { "true" } else { "…" };
                Some(format!("write it as `{name} = {{ {first} = {value} }}`, so that several layers can add to it"))
            }
            ("a record", _) => Some(format!("write it as `{name} = {{ … }}`")),
            ("an array", _) => Some(format!("write it as `{name} = [\"…\"]`")),
            _ => None,
        };
    }
    error.message = format!("invalid type: {found}, expected {expected}");
}

fn unknown_attribute(kind: &str, key: &str, schema: &Value) -> AttributeError {
    let known = || schema["properties"].as_object().into_iter().flat_map(Map::keys).map(String::as_str);
    let error = AttributeError::new(key, format!("`{kind}` has no attribute `{key}`"));
    AttributeError { about_name: true, ..error }.help(match did_you_mean(key, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("its attributes are {}", known().collect::<Vec<_>>().join(", ")),
    })
}

/// Reads attributes into a type. One that cannot be read is noted and left out, so that the next one is found too.
fn every_mistake<'a, T>(
    fields: &'a [Field],
    common: bool,
    mut without: Vec<&'a str>,
    read: impl Fn(Chosen<'_>) -> Result<T, Unfit>,
    errors: &mut Vec<AttributeError>,
) -> Option<T> {
    let before = errors.len();
    loop {
        let (path, message) = match read(Chosen { fields, common, without: &without }) {
            Ok(value) => return Some(value),
            Err(unfit) => unfit.into_parts(),
        };
        let is_wrong = |field: &&Field| path.first() == Some(&field.name) && !without.contains(&field.name.as_str());
        let wrong = fields.iter().find(is_wrong);
        // What is missing may be missing only because it was wrong and left out.
        if wrong.is_none() && errors.len() > before {
            return None;
        }
        errors.push(AttributeError::at(path, message));
        without.push(&wrong?.name);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::{ApplyContext, CheckContext, PlanContext};

    #[test]
    fn an_unknown_attribute_is_told_even_if_it_is_null() {
        let registry = Registry::new().with::<Named>();
        let mistakes = |attributes: Value| {
            let attributes = attributes.as_object().cloned().unwrap_or_default();
            registry.mistakes("named", attributes).into_iter().map(|mistake| mistake.message).collect::<Vec<_>>()
        };
        assert_eq!(mistakes(json!({ "name": "x", "title": null })), Vec::<String>::new());
        assert_eq!(mistakes(json!({ "name": "x", "nam": null })), ["`named` has no attribute `nam`"]);
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Named {
        name: String,
        title: Option<String>,
    }

    impl Resource for Named {
        const TYPE: &'static str = "named";
        type State = ();
        fn check(&self, _: &CheckContext<'_>) -> crate::error::Result<()> {
            Ok(())
        }
        fn plan(&self, _: &PlanContext<'_>, (): &()) -> crate::error::Result<()> {
            Ok(())
        }
        fn apply(&self, _: &ApplyContext<'_>, (): &(), (): &()) -> crate::error::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_common_attributes_are_those_of_their_schema() {
        let schema = schema_of::<Common>();
        let names: Vec<&str> =
            schema["properties"].as_object().into_iter().flat_map(Map::keys).map(String::as_str).collect();
        assert_eq!(names, COMMON);
    }
}
