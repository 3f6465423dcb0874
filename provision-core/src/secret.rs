//! Secrets: texts that a site names and does not hold.
//!
//! An attribute of the type [`Text`] is a text, or `{ secret = "db/password" }`, or a text with secrets in it,
//! `{ secret_template = "password={{db/password}}\n" }`. What a name stands for, a [`SecretStore`] knows; it is asked when a
//! host is looked at ([`Graph::resolve_secrets`](crate::graph::Graph::resolve_secrets)), and never for a site alone.

#[cfg(feature = "age")]
pub mod age;
mod redact;
mod sources;
mod template;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::effect::{Content, Sensitive};
use crate::error::{Error, ErrorKind, Result};
use crate::state::HostKey;

pub(crate) use redact::{Redactor, Remembering, digest_of};
pub use sources::{Sources, is_store_name};
pub use template::Template;

/// Knows what the names of secrets stand for.
pub trait SecretStore: Send + Sync {
    /// The secret of a name.
    ///
    /// # Errors
    /// There is none, or it cannot be read. There is no other answer in its place.
    fn read(&self, name: &str) -> Result<Sensitive>;
}

/// Secrets in memory, for tests.
#[derive(Clone, Default)]
pub struct MemorySecrets(BTreeMap<String, Sensitive>);

impl MemorySecrets {
    /// With these secrets.
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> MemorySecrets {
        MemorySecrets(secrets.into_iter().map(|(name, text)| (name.to_owned(), Sensitive::new(text))).collect())
    }
}

impl SecretStore for MemorySecrets {
    fn read(&self, name: &str) -> Result<Sensitive> {
        let found = self.0.get(name).cloned();
        found.ok_or_else(|| missing(name, self.0.keys().map(String::as_str)))
    }
}

/// The error for a secret that does not exist.
fn missing<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let error = Error::new(ErrorKind::NotFound, format!("there is no secret `{name}`"));
    match crate::diagnostic::did_you_mean(name, known) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint(format!("make it with `provision secret encrypt {name}`")),
    }
}

/// An attribute that is a text, or names secrets.
#[derive(Clone)]
pub struct Text {
    form: Form,
    resolved: Option<Resolved>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Plain(String),
    Secret(String),
    Template(String),
}

#[derive(Clone)]
struct Resolved {
    text: Sensitive,
    key: HostKey,
}

impl Text {
    /// A reference to a secret.
    pub fn secret(name: impl Into<String>) -> Text {
        Text { form: Form::Secret(name.into()), resolved: None }
    }

    /// A text with secrets in it, each written `{{name}}`.
    pub fn template(text: impl Into<String>) -> Text {
        Text { form: Form::Template(text.into()), resolved: None }
    }

    /// Whether it names secrets, so that it must not be shown.
    pub fn is_secret(&self) -> bool {
        !matches!(self.form, Form::Plain(_))
    }

    /// What is wrong with how it names secrets, and what would help.
    pub fn mistake(&self) -> Option<(String, String)> {
        let names = match &self.form {
            Form::Plain(_) => return None,
            Form::Secret(name) => vec![name.clone()],
            Form::Template(text) => match Template::parse(text) {
                Ok(template) => template.names().map(str::to_owned).collect(),
                Err(mistake) => return Some((mistake, "a secret is written `{{name}}`".to_owned())),
            },
        };
        let wrong = names.into_iter().find(|name| !sources::is_reference(name))?;
        let help = "a name such as \"db/password\", or \"file:/path\", \"env:NAME\" or \"command:program argument\"";
        Some((format!("{wrong:?} names no secret"), help.to_owned()))
    }

    /// The text, to be handed over.
    ///
    /// # Errors
    /// It names secrets that are not resolved yet.
    pub fn reveal(&self) -> Result<&str> {
        match (&self.form, &self.resolved) {
            (Form::Plain(text), _) => Ok(text),
            (_, Some(resolved)) => Ok(resolved.text.reveal()),
            (_, None) => Err(Error::new(ErrorKind::Invalid, "its secrets have not been asked for")
                .with_hint("call `Graph::resolve_secrets` before a host is looked at")),
        }
    }

    /// The text as content of a file, sensitive if it names secrets.
    ///
    /// # Errors
    /// As [`reveal`](Text::reveal).
    pub fn content(&self) -> Result<Content> {
        let text = self.reveal()?;
        Ok(if self.is_secret() { Content::sensitive(text) } else { Content::from(text) })
    }

    /// A digest that stands for bytes where this text is compared with them, if it names secrets: only the host can make
    /// it, so guesses of the secret cannot be tried out.
    pub fn digest(&self, bytes: &[u8]) -> Option<String> {
        let resolved = self.resolved.as_ref()?;
        Some(resolved.key.digest(bytes)[..16].to_owned())
    }

    /// Asks a store for the secrets that it names.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn resolve(&mut self, store: &dyn SecretStore, key: &HostKey) -> Result<()> {
        let text = match &self.form {
            Form::Plain(_) => return Ok(()),
            Form::Secret(name) => store.read(name)?,
            Form::Template(text) => {
                let template = Template::parse(text).map_err(|mistake| Error::new(ErrorKind::Invalid, mistake))?;
                template.fill(|name| store.read(name))?
            }
        };
        self.resolved = Some(Resolved { text, key: key.clone() });
        Ok(())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text::from(text.to_owned())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text { form: Form::Plain(text), resolved: None }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.form == other.form
    }
}

impl Eq for Text {}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.form.fmt(f)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.form {
            Form::Plain(text) => serializer.serialize_str(text),
            Form::Secret(name) => BTreeMap::from([("secret", name)]).serialize(serializer),
            Form::Template(text) => BTreeMap::from([("secret_template", text)]).serialize(serializer),
        }
    }
}

const EXPECTED: &str = "a string, `{ secret = \"name\" }` or `{ secret_template = \"… {{name}} …\" }`";

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(text.into())
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
                let expected = || serde::de::Error::custom(format_args!("expected {EXPECTED}"));
                let form = match map.next_key::<String>()?.as_deref() {
                    Some("secret") => Form::Secret(map.next_value()?),
                    Some("secret_template") => Form::Template(map.next_value()?),
                    _ => return Err(expected()),
                };
                match map.next_key::<String>()? {
                    None => Ok(Text { form, resolved: None }),
                    Some(_) => Err(expected()),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let reference = |name: &str| {
            serde_json::json!({
                "type": "object",
                "properties": { name: { "type": "string" } },
                "required": [name],
                "additionalProperties": false,
            })
        };
        json_schema!({
            "anyOf": [{ "type": "string" }, reference("secret"), reference("secret_template")],
            "x-nickel": "Text",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> Result<Text, String> {
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_text_names_secrets_or_is_one_itself() {
        let store = MemorySecrets::new([("db/password", "hunter2\n"), ("user", "app")]);
        let key = HostKey::random().unwrap();
        let resolved = |json: serde_json::Value| {
            let mut text = read(json).unwrap();
            text.resolve(&store, &key).unwrap();
            text.reveal().unwrap().to_owned()
        };
        assert_eq!(resolved(serde_json::json!("plain")), "plain");
        assert_eq!(resolved(serde_json::json!({ "secret": "db/password" })), "hunter2\n", "as it is");
        let template = "user={{user}} password={{db/password}}\n";
        assert_eq!(resolved(serde_json::json!({ "secret_template": template })), "user=app password=hunter2\n");
    }

    #[test]
    fn a_reference_is_written_and_never_what_it_stands_for() {
        let mut text = Text::secret("a");
        text.resolve(&MemorySecrets::new([("a", "hunter2")]), &HostKey::random().unwrap()).unwrap();
        assert_eq!(serde_json::to_string(&text).unwrap(), r#"{"secret":"a"}"#);
        let content = text.content().unwrap();
        let shown = format!("{text:?} {content:?} {}", serde_json::to_string(&content).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn other_records_are_no_texts() {
        for json in [
            serde_json::json!({}),
            serde_json::json!({ "secrets": "a" }),
            serde_json::json!({ "secret": 3 }),
            serde_json::json!({ "secret": "a", "secret_template": "b" }),
            serde_json::json!(3),
        ] {
            assert!(read(json.clone()).is_err(), "{json}");
        }
    }

    #[test]
    fn a_secret_that_is_missing_is_an_error_with_the_nearest_name() {
        let store = MemorySecrets::new([("db/password", "x")]);
        let error = Text::secret("db/pasword").resolve(&store, &HostKey::random().unwrap()).unwrap_err();
        assert_eq!(error.hint(), Some("did you mean `db/password`?"));
        assert!(Text::secret("db/password").reveal().unwrap_err().hint().is_some());
    }

    #[test]
    fn names_that_lead_elsewhere_are_mistakes() {
        for name in ["", "../x", "/etc/shadow", "a/../b", "a//b", "env:", "file:relative", "command:"] {
            assert!(Text::secret(name).mistake().is_some(), "{name}");
        }
        for name in ["a", "db/password", "env:HOME", "file:/run/key", "command:pass show db", "a.b-c_d@e"] {
            assert_eq!(Text::secret(name).mistake(), None, "{name}");
        }
        assert!(Text::template("a {{b").mistake().is_some());
        assert_eq!(Text::template("a {{ b }} } {c}").mistake(), None);
    }
}
