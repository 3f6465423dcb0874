//! The bytes of files, and texts that must not be shown.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::bytes::hex;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;
use zeroize::{Zeroize, Zeroizing};

/// The bytes of a file. Cheap to clone.
///
/// Written down as a string where it is UTF-8, and as `{"base64": …}` where it is not. Sensitive bytes are hidden in every
/// form that people can read, as [`Sensitive`] is, and wiped from memory.
#[derive(Clone)]
pub struct Content(Arc<Bytes>);

struct Bytes {
    bytes: Box<[u8]>,
    sensitive: bool,
}

impl Drop for Bytes {
    fn drop(&mut self) {
        if self.sensitive {
            self.bytes.zeroize();
        }
    }
}

impl Content {
    /// Whether people see a text in the place of a content that is not shown, because it is sensitive, binary or long.
    pub fn is_placeholder(text: &str) -> bool {
        let is_number = |word: &str| !word.is_empty() && word.bytes().all(|digit| digit.is_ascii_digit());
        let is_size = |inner: &str| {
            let words: Vec<&str> = inner.strip_prefix("binary, ").unwrap_or(inner).split(' ').collect();
            matches!(words.as_slice(), [number, "bytes"] | [number, "bytes,", "sha256", _] if is_number(number))
        };
        text == Sensitive::HIDDEN || text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).is_some_and(is_size)
    }

    /// Bytes that must not be shown.
    pub fn sensitive(bytes: impl AsRef<[u8]>) -> Content {
        Content(Arc::new(Bytes { bytes: bytes.as_ref().into(), sensitive: true }))
    }

    /// Stands for content that must not be shown, where only its place is needed.
    pub(crate) fn hidden() -> Content {
        Content::sensitive(Sensitive::HIDDEN)
    }

    /// The same bytes, which must not be shown.
    pub(crate) fn into_sensitive(self) -> Content {
        if self.is_sensitive() { self } else { Content::sensitive(self.bytes()) }
    }

    /// Bytes that are not shared.
    pub(crate) fn owned(bytes: Box<[u8]>) -> Content {
        Content(Arc::new(Bytes { bytes, sensitive: false }))
    }

    /// Whether it must not be shown.
    pub fn is_sensitive(&self) -> bool {
        self.0.sensitive
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// The text, if it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes()).ok()
    }
}

/// A digest of the bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    /// SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// How many bytes there are.
    pub size: u64,
}

impl Digest {
    /// Longer texts are not shown to people.
    pub const LONGEST_TEXT: usize = 256 * 1024;

    /// What people see in the place of a content that is no text, or too long. One of which only the size was read has no
    /// digest.
    pub fn in_words(&self, with_digest: bool) -> String {
        let Digest { sha256, size } = self;
        let kind = if *size <= Digest::LONGEST_TEXT as u64 { "binary, " } else { "" };
        match sha256.get(..16).filter(|_| with_digest) {
            Some(sha256) => format!("<{kind}{size} bytes, sha256 {sha256}>"),
            None => format!("<{kind}{size} bytes>"),
        }
    }
    /// The digest of bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest { sha256: hex(&sha2::Sha256::digest(bytes)), size: bytes.len() as u64 }
    }
}

impl<T: AsRef<[u8]>> From<T> for Content {
    fn from(bytes: T) -> Content {
        Content::owned(bytes.as_ref().into())
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Content) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Content {}

impl Hash for Content {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            _ if self.is_sensitive() => f.write_str(Sensitive::HIDDEN),
            Some(text) if text.len() <= 60 => fmt::Debug::fmt(text, f),
            _ => write!(f, "<{} bytes>", self.bytes().len()),
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
            _ if self.is_sensitive() && serializer.is_human_readable() => serializer.serialize_str(Sensitive::HIDDEN),
            Some(text) => serializer.serialize_str(text),
            None => Encoded { base64: BASE64.encode(self.bytes()) }.serialize(serializer),
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
                Ok(if text == Sensitive::HIDDEN { Content::hidden() } else { text.into() })
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
/// form that is not for people (`Serializer::is_human_readable`), which is sealed at once, holds it. It is wiped from memory
/// when the last of its clones is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Sensitive(Arc<Zeroizing<String>>);

impl Sensitive {
    /// What stands for every sensitive value.
    pub const HIDDEN: &'static str = "<sensitive>";

    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Sensitive {
        Sensitive(Arc::new(Zeroizing::new(text.into())))
    }

    /// The text itself, for the one place that hands it over.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Hash for Sensitive {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.reveal().hash(state);
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Sensitive::HIDDEN)
    }
}

impl Serialize for Sensitive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = if serializer.is_human_readable() { Sensitive::HIDDEN } else { self.reveal() };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_a_content_is_told_from_a_text() {
        for value in ["<sensitive>", "<binary, 12 bytes>", "<300000 bytes>", "<binary, 12 bytes, sha256 abab>"] {
            assert!(Content::is_placeholder(value), "{value}");
        }
        for text in ["", "binary, 12 bytes", "<binary, 12 bytes>\n", "<html>", "< bytes>"] {
            assert!(!Content::is_placeholder(text), "{text:?}");
        }
    }
}
