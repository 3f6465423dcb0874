//! [`ResourceId`]: the name by which everything refers to a resource.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The identity of a resource: `type:name`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId {
    kind: Arc<str>,
    name: Arc<str>,
}

impl ResourceId {
    /// The id of a resource of a type.
    pub fn new(kind: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> ResourceId {
        ResourceId { kind: kind.into(), name: name.into() }
    }

    /// The type: what comes before the first colon.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The name: what comes after it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

impl fmt::Debug for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ResourceId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<ResourceId, InvalidId> {
        match text.split_once(':') {
            Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Ok(ResourceId::new(kind, name)),
            _ => Err(InvalidId(text.to_owned())),
        }
    }
}

impl Serialize for ResourceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ResourceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ResourceId, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(|error: InvalidId| serde::de::Error::custom(format_args!("{error}: {}", InvalidId::HINT)))
    }
}

impl JsonSchema for ResourceId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ResourceId".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[^:]+:.+$", "x-nickel": "ResourceId" })
    }
}

/// A text that is not the id of a resource.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the id of a resource")]
pub struct InvalidId(String);

impl InvalidId {
    /// What would help.
    pub const HINT: &str = "an id is written `type:name`, such as \"file:/etc/motd\"";
}
