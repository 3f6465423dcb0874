//! Settings of programs under the programs' own names: their values, and the mistakes in them.

use std::fmt;

use provision_core::diagnostic::did_you_mean;
use provision_core::fragment::is_plain_name;
use provision_core::resource::{AttributeError, ResourceId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The value of a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a value is true or false, a whole number, or a string")]
pub enum Scalar {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// Anything else.
    Text(String),
}

impl From<bool> for Scalar {
    fn from(flag: bool) -> Scalar {
        Scalar::Flag(flag)
    }
}

impl From<i64> for Scalar {
    fn from(number: i64) -> Scalar {
        Scalar::Number(number)
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Scalar {
        Scalar::Text(text.to_owned())
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Flag(flag) => flag.fmt(f),
            Scalar::Number(number) => number.fmt(f),
            Scalar::Text(text) => text.fmt(f),
        }
    }
}

/// The mistakes of a declaration, as they are found.
#[derive(Default)]
pub(crate) struct Mistakes(pub(crate) Vec<AttributeError>);

impl Mistakes {
    pub(crate) fn refuse(&mut self, path: &[&str], message: impl Into<String>, help: impl Into<String>) {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        self.0.push(AttributeError::at(path, message).help(help));
    }

    /// Refuses names of files with anything but letters, digits and these other characters, which the program ignores.
    pub(crate) fn require_plain_name(&mut self, id: &ResourceId, program: &str, others: &str) {
        if !is_plain_name(id.name(), others.as_bytes()) {
            let help = format!(
                "use letters, digits, and `{}`",
                others.chars().map(String::from).collect::<Vec<_>>().join("`, `")
            );
            self.refuse(&[], format!("{program} ignores a file named {:?}", id.name()), help);
        }
    }
}

/// What the value of a setting can be.
pub(crate) trait Kind: 'static {
    /// Whether the program uses a value.
    fn has(&self, key: &str, value: &Scalar) -> bool;

    /// Which values it uses.
    fn help(&self) -> String;
}

/// A program, with all settings that it has.
pub(crate) struct Program<K: 'static> {
    /// Its name.
    pub(crate) name: &'static str,
    /// Where its settings are described.
    pub(crate) page: &'static str,
    /// Their names with blanks between them, by what their values can be.
    pub(crate) settings: &'static [(K, &'static str)],
}

impl<K: Kind> Program<K> {
    pub(crate) fn kind(&self, key: &str) -> Option<&'static K> {
        self.settings.iter().find(|(_, keys)| keys.split(' ').any(|known| known == key)).map(|(kind, _)| kind)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.settings.iter().flat_map(|(_, keys)| keys.split(' '))
    }

    /// Refuses a setting that the program does not have, or does not use with this value.
    pub(crate) fn check(&self, key: &str, value: &Scalar, mistakes: &mut Mistakes) {
        let path = ["settings", key];
        match self.kind(key) {
            Some(kind) if kind.has(key, value) => {}
            Some(kind) => {
                mistakes.refuse(&path, format!("{} cannot use {:?}", self.name, value.to_string()), kind.help());
            }
            None => {
                let help = did_you_mean(key, self.keys())
                    .map_or(format!("see {}", self.page), |near| format!("did you mean `{near}`?"));
                mistakes.refuse(&path, format!("{} has no setting {key:?}", self.name), help);
            }
        }
    }
}
