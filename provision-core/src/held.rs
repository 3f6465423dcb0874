//! [`Held`]: the content of a file as a state has it.

use std::borrow::Cow;

use crate::effect::{Content, Digest};
use crate::error::Result;
use crate::secret::Text;
use crate::source::Source;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a file holds: written down as text if it is text of at most 256 KiB, as a digest otherwise.
///
/// Both are functions of the bytes alone. Short ones are compared by their bytes, and digests of them are made only when a
/// state is written down.
#[derive(Clone, Debug)]
pub enum Held {
    /// The bytes themselves.
    Bytes(Content),
    /// The digest of bytes that are not at hand: there are many, or this state was read back.
    Digest(Digest),
    /// A digest of bytes that must not be shown, which only the host can make.
    Hidden(String),
}

/// What stands before the digest of bytes that must not be shown.
const HIDDEN: &str = "<sensitive ";

impl Held {
    /// What a file holds, compared with a declared text: hidden if that is secret.
    pub fn beside(declared: Option<&Text>, content: Content) -> Held {
        match declared.and_then(|text| text.digest(content.bytes())) {
            Some(digest) => Held::Hidden(digest),
            None => Held::Bytes(content),
        }
    }

    /// What a source holds, compared with a declared text.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(declared: Option<&Text>, source: &Source) -> Result<Held> {
        Ok(match source.size() > Digest::LONGEST_TEXT as u64 && declared.is_none() {
            true => Held::Digest(source.digest().clone()),
            false => Held::beside(declared, source.content()?),
        })
    }

    /// Bytes that were not looked at, because their number says enough.
    pub fn unread(size: u64) -> Held {
        Held::Digest(Digest { sha256: String::new(), size })
    }

    fn digest(&self) -> Cow<'_, Digest> {
        match self {
            Held::Hidden(digest) => Cow::Owned(Digest { sha256: digest.clone(), size: 0 }),
            Held::Digest(digest) => Cow::Borrowed(digest),
            Held::Bytes(content) => Cow::Owned(Digest::of(content.bytes())),
        }
    }
}

impl From<Content> for Held {
    fn from(content: Content) -> Held {
        Held::Bytes(content)
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Held) -> bool {
        match (self, other) {
            (Held::Bytes(one), Held::Bytes(other)) => one == other,
            _ => self.digest() == other.digest(),
        }
    }
}

impl Serialize for Held {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Held::Hidden(digest) = self {
            return serializer.serialize_str(&format!("{HIDDEN}{digest}>"));
        }
        let text = match self {
            Held::Bytes(content) if content.bytes().len() <= Digest::LONGEST_TEXT => content.text(),
            _ => None,
        };
        match text {
            Some(text) => serializer.serialize_str(text),
            None => self.digest().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Held {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Held, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a text, or the digest of one (`sha256` and `size`)")]
        enum Written {
            Text(String),
            Digest(Digest),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Text(text) => match text.strip_prefix(HIDDEN).and_then(|rest| rest.strip_suffix('>')) {
                Some(digest) => Held::Hidden(digest.to_owned()),
                None => Held::Bytes(text.into()),
            },
            Written::Digest(digest) => Held::Digest(digest),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_or_no_text_is_a_digest() {
        let written = |bytes: &[u8]| serde_json::to_value(Held::from(Content::from(bytes))).unwrap();
        assert_eq!(written(b"hello\n"), "hello\n");
        insta::assert_json_snapshot!(written(b"\xff"), @r#"
        {
          "sha256": "a8100ae6aa1940d0b663bb31cd466142ebbdbd5187131b92d93818987832eb89",
          "size": 1
        }
        "#);
        assert_eq!(written(&vec![b'a'; Digest::LONGEST_TEXT]).as_str().map(str::len), Some(Digest::LONGEST_TEXT));
        assert_eq!(written(&vec![b'a'; Digest::LONGEST_TEXT + 1])["size"], Digest::LONGEST_TEXT + 1);
    }

    #[test]
    fn a_state_that_was_read_back_is_equal() {
        for bytes in [&b"text"[..], &b"\xff\xfe"[..], &vec![b'a'; Digest::LONGEST_TEXT + 1][..]] {
            let held = Held::from(Content::from(bytes));
            let again: Held = serde_json::from_value(serde_json::to_value(&held).unwrap()).unwrap();
            assert_eq!(again, held);
            assert_ne!(again, Held::from(Content::from("other")));
        }
    }
}
