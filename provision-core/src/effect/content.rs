//! The bytes of files, and texts that must not be shown.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The bytes of a file. Cheap to clone.
///
/// Written down as a string where it is UTF-8, and as `{"base64": …}` where it is not.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Content(Arc<[u8]>);

impl Content {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, if it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl<T: AsRef<[u8]>> From<T> for Content {
    fn from(bytes: T) -> Content {
        Content(bytes.as_ref().into())
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) if text.len() <= 60 => fmt::Debug::fmt(text, f),
            _ => write!(f, "<{} bytes>", self.0.len()),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Encoded {
    base64: String,
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.text() {
            Some(text) => serializer.serialize_str(text),
            None => Encoded { base64: BASE64.encode(&self.0) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Content, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Content;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or a record with the field `base64`")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Content, E> {
                Ok(text.into())
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Content, A::Error> {
                let encoded = Encoded::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                BASE64.decode(encoded.base64).map(Content::from).map_err(serde::de::Error::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A text that must not be shown: `Debug` hides it, and so does every form that people can read, such as JSON. Only a
/// form that no one reads (`Serializer::is_human_readable`), which is sealed at once, holds it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sensitive(Arc<str>);

impl Sensitive {
    /// What stands for every sensitive value.
    pub const HIDDEN: &'static str = "<sensitive>";

    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Sensitive {
        Sensitive(text.into().into())
    }

    /// The text itself, for the one place that hands it over.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Sensitive::HIDDEN)
    }
}

impl Serialize for Sensitive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = if serializer.is_human_readable() { Sensitive::HIDDEN } else { &self.0 };
        serializer.serialize_str(text)
    }
}

impl<'de> Deserialize<'de> for Sensitive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Sensitive, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == Sensitive::HIDDEN {
            return Err(serde::de::Error::custom("a sensitive value is not written down, so it cannot be read back"));
        }
        Ok(Sensitive::new(text))
    }
}
