//! The resource type `apt_key`.

use derive_setters::Setters;
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::fragment::{Fragment, file_in};
use provision_core::path::HostPath;
use provision_core::resource::{AttributeError, ResourceId, Stage, Surroundings};
use provision_core::secret::Text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ensure::Ensure;
use crate::openpgp::{armoured, fingerprints, key_block};
use crate::settings::Mistakes;

/// A key that signs packages: `/etc/apt/keyrings/NAME.asc`, which `signed_by` of an `apt_source` names.
///
/// It counts for the sources that name it and for no others. The file is always armoured, which the apt of each release reads under this
/// name. That a key has expired is told by apt, when it fetches lists.
///
/// ```nickel
/// apt_key.example = { source = "keys/example.gpg", fingerprints = ["1F2E 3D4C 5B6A 7988 9796 A5B4 C3D2 E1F0 0123 4567"] },
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct AptKey {
    /// Whether the key is there.
    pub ensure: Ensure,
    /// The key, armoured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// A file of the site with the key, armoured or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The fingerprints of all primary keys in it; blanks do not count. Another key is refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fingerprints: Vec<String>,
    #[serde(skip)]
    #[setters(skip)]
    prepared: Option<Vec<u8>>,
}

impl AptKey {
    /// The path of the key with this name.
    pub(crate) fn path(name: &str) -> Result<HostPath> {
        file_in("/etc/apt/keyrings", &format!("{name}.asc"))
    }

    /// The bytes of a key that is what it should be.
    fn checked(&self, bytes: &[u8]) -> std::result::Result<Vec<u8>, String> {
        let key = key_block(bytes)?;
        let found = fingerprints(&key)?;
        let pinned: Vec<String> = self.fingerprints.iter().map(|text| normalised(text)).collect();
        if let Some(other) = found.iter().find(|found| !pinned.is_empty() && !pinned.contains(found)) {
            return Err(format!("it holds the key {other}, which `fingerprints` does not name"));
        }
        match pinned.iter().find(|pinned| !found.contains(pinned)) {
            Some(missing) => Err(format!("it does not hold the key {missing}")),
            None => Ok(key),
        }
    }
}

impl Fragment for AptKey {
    const TYPE: &'static str = "apt_key";
    const STAGE: Stage = Stage::PackageSources;
    const READERS: &'static [&'static str] = &["apt"];

    fn is_present(&self) -> bool {
        self.ensure == Ensure::Present
    }

    fn place(&self, id: &ResourceId) -> Result<HostPath> {
        AptKey::path(id.name())
    }

    fn text(&self, _: &ResourceId) -> Result<Text> {
        match (&self.prepared, &self.content) {
            (Some(key), _) => Ok(armoured(key).into()),
            (None, Some(content)) => {
                let key =
                    self.checked(content.as_bytes()).map_err(|message| Error::new(ErrorKind::Invalid, message))?;
                Ok(armoured(&key).into())
            }
            (None, None) => Err(Error::new(ErrorKind::Invalid, "the key was not read")),
        }
    }

    /// The keys, whatever surrounds them.
    fn means(&self, text: &str) -> Option<Value> {
        key_block(text.as_bytes()).ok().map(|key| json!(key))
    }

    fn prepare(&mut self, _: &ResourceId, surroundings: &dyn Surroundings) -> std::result::Result<(), AttributeError> {
        let Some(source) = self.source.as_deref().filter(|_| self.is_present()) else { return Ok(()) };
        let mistake = |message: String| AttributeError::new("source", message);
        let file = surroundings.source(source).map_err(|error| mistake(error.to_string()))?;
        let content = file.content().map_err(|error| mistake(error.to_string()))?;
        self.prepared = Some(self.checked(content.bytes()).map_err(mistake)?);
        Ok(())
    }

    fn mistakes(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut mistakes = Mistakes::default();
        mistakes.require_plain_name(id, "apt", "_.-");
        if !self.is_present() {
            return mistakes.0;
        }
        match (&self.content, &self.source) {
            (None, None) => {
                mistakes.refuse(&["source"], "there is no key", "name a file of the site, or write `content`")
            }
            (Some(_), Some(_)) => mistakes.refuse(&["source"], "there are two keys", "take `content` or `source` out"),
            (Some(content), None) => {
                if let Err(message) = self.checked(content.as_bytes()) {
                    mistakes.refuse(&["content"], message, "such as the output of `gpg --armor --export`");
                }
            }
            (None, Some(_)) => {}
        }
        for (place, text) in self.fingerprints.iter().enumerate() {
            let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
            let normalised = normalised(text);
            if !is_hex(&normalised) || ![40, 64].contains(&normalised.len()) {
                let message = format!("{text:?} is no whole fingerprint");
                mistakes.refuse(
                    &["fingerprints", &place.to_string()],
                    message,
                    "40 hexadecimal digits; a short one can be forged",
                );
            }
        }
        mistakes.0
    }
}

fn normalised(fingerprint: &str) -> String {
    fingerprint.split_whitespace().collect::<String>().trim_start_matches("0x").to_ascii_uppercase()
}

#[cfg(test)]
mod tests;
