//! The resource type `password_policy`.

use std::collections::BTreeMap;

use derive_setters::Setters;
use provision_core::error::Result;
use provision_core::fragment::{Fragment, file_in, managed};
use provision_core::path::HostPath;
use provision_core::resource::{AttributeError, ResourceId};
use provision_core::secret::Text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ensure::Ensure;
use crate::settings::{Kind, Mistakes, Program, Scalar};

/// How good new passwords have to be: a file in `/etc/security/pwquality.conf.d`; see pwquality.conf(5).
///
/// It holds for passwords that are set with PAM, as by passwd(1); the package enables its module. Passwords that exist, and those
/// that arrive as hashes, are not checked, and root is only warned without `enforce_for_root`. Of several files the last by name
/// decides, and `/etc/security/pwquality.conf` after all of them. libpwquality reads nothing behind a mistake, so all are refused.
/// Without `cracklib-runtime`, which the package recommends, all passwords fail unless `dictcheck = false`.
///
/// ```nickel
/// password_policy.site.settings = { minlen = 12, minclass = 3, dcredit = -1, enforce_for_root = true },
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct PasswordPolicy {
    /// Whether the file is there.
    pub ensure: Ensure,
    /// The settings, by their names in pwquality.conf(5).
    pub settings: BTreeMap<String, Scalar>,
}

/// What the value of a setting can be.
enum Value {
    /// A number in this range.
    Number(i64, i64),
    /// True or false, written as 1 and 0.
    Flag,
    /// True or false; the name alone says true, whatever its value.
    Word,
    Words,
    Path,
}

const MOST: i64 = 1_000;

/// libpwquality raises a `minlen` below 6, lowers a `minclass` above 4, and does nothing with a `usersubstr` below 4.
const PWQUALITY: Program<Value> = Program {
    name: "libpwquality",
    page: "pwquality.conf(5)",
    settings: &[
        (Value::Number(-MOST, MOST), "dcredit lcredit ocredit ucredit"),
        (Value::Number(0, MOST), "difok maxclassrepeat maxrepeat maxsequence"),
        (Value::Number(0, 4), "minclass"),
        (Value::Number(4, MOST), "usersubstr"),
        (Value::Number(6, MOST), "minlen"),
        (Value::Flag, "dictcheck enforcing gecoscheck usercheck"),
        (Value::Word, "enforce_for_root local_users_only"),
        (Value::Words, "badwords"),
        (Value::Path, "dictpath"),
    ],
};

/// libpwquality reads lines of at most so many bytes.
const LONGEST: usize = 1_000;

impl Fragment for PasswordPolicy {
    const TYPE: &'static str = "password_policy";
    const READERS: &'static [&'static str] = &["libpam-pwquality"];

    fn is_present(&self) -> bool {
        self.ensure == Ensure::Present
    }

    fn place(&self, id: &ResourceId) -> Result<HostPath> {
        file_in("/etc/security/pwquality.conf.d", &format!("{}.conf", id.name()))
    }

    fn text(&self, id: &ResourceId) -> Result<Text> {
        let line = |(key, value): (&String, &Scalar)| match (PWQUALITY.kind(key), value) {
            (Some(Value::Word), Scalar::Flag(false)) => String::new(),
            (Some(Value::Word), _) => format!("{key}\n"),
            (_, Scalar::Flag(flag)) => format!("{key} = {}\n", u8::from(*flag)),
            (_, value) => format!("{key} = {value}\n"),
        };
        Ok((managed("#", id) + &self.settings.iter().map(line).collect::<String>()).into())
    }

    /// Names and values. Of several of one name the last counts, so their order is kept.
    fn means(&self, text: &str) -> Option<serde_json::Value> {
        let is_odd = |c: char| c.is_control() && c != '\n' && c != '\t';
        if text.contains(is_odd) || text.split('\n').any(|line| line.len() > LONGEST) {
            return None;
        }
        let mut settings = Vec::new();
        for line in text.split('\n').map(|line| line.split('#').next().unwrap_or_default().trim_matches([' ', '\t'])) {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            let (name, value) = (name.trim_end_matches([' ', '\t']), value.trim_start_matches([' ', '\t']));
            if name.contains([' ', '\t']) || name.is_empty() != line.is_empty() {
                return None;
            }
            settings.push((name.to_ascii_lowercase(), value));
        }
        settings.retain(|(name, _)| !name.is_empty());
        settings.sort_by(|(one, _), (other, _)| one.cmp(other));
        Some(json!(settings))
    }

    fn mistakes(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut mistakes = Mistakes::default();
        mistakes.require_plain_name(id, "libpwquality", "_.-");
        if !self.is_present() {
            return mistakes.0;
        }
        if self.settings.is_empty() {
            mistakes.refuse(&["settings"], "there is no setting", "such as settings.minlen = 12");
        }
        for (key, value) in &self.settings {
            if key == "retry" {
                let message = "the module has `retry=3` in /etc/pam.d/common-password, which decides";
                mistakes.refuse(&["settings", key], message, "change it there");
            } else {
                PWQUALITY.check(key, value, &mut mistakes);
            }
        }
        mistakes.0
    }
}

impl Kind for Value {
    fn has(&self, _: &str, value: &Scalar) -> bool {
        let is_line = |text: &str| {
            let is_odd = |c: char| c.is_control() || c == '#';
            text.trim() == text
                && !text.is_empty()
                && !text.starts_with('=')
                && text.len() < LONGEST - 20
                && !text.contains(is_odd)
        };
        match (self, value) {
            (Value::Number(least, most), Scalar::Number(number)) => (least..=most).contains(&number),
            (Value::Flag, Scalar::Flag(_) | Scalar::Number(0 | 1)) | (Value::Word, Scalar::Flag(_)) => true,
            (Value::Words, Scalar::Text(words)) => is_line(words),
            (Value::Path, Scalar::Text(path)) => is_line(path) && path.starts_with('/'),
            _ => false,
        }
    }

    fn help(&self) -> String {
        match self {
            Value::Number(least, most) => format!("a number from {least} to {most}"),
            Value::Flag | Value::Word => "true or false".into(),
            Value::Words => "words with blanks between them, in one line".into(),
            Value::Path => "an absolute path".into(),
        }
    }
}

#[cfg(test)]
mod tests;
