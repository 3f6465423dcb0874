//! The resource type `apt_config`.

use std::collections::BTreeMap;

use derive_setters::Setters;
use provision_core::error::Result;
use provision_core::fragment::{Fragment, file_in, managed};
use provision_core::path::HostPath;
use provision_core::resource::{AttributeError, ResourceId, Stage};
use provision_core::secret::Text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::apt_syntax::{Setting, authority_of, can_be_written, is_key, read, write};
use crate::ensure::Ensure;
use crate::settings::{Mistakes, Scalar};

/// Settings of apt: a file in `/etc/apt/apt.conf.d`; see apt.conf(5).
///
/// Settings hold for all that a run does with apt afterwards. Of several files the last by name decides, and `/etc/apt/apt.conf`
/// after all of them. A list is cleared first, so that it is what is declared and nothing that packages set; later files add to it.
/// With a proxy for `http`, `https` needs one of its own, or `"DIRECT"`. apt keeps a setting that it does not know, and types of most
/// values it does not check, without a word; those of the usual ones are checked here.
///
/// ```nickel
/// apt_config."60-local".settings = {
///   "APT::Install-Recommends" = false,
///   "Acquire::http::Proxy" = "http://proxy.example.org:3128",
///   "DPkg::Options" = ["--force-confold"],
/// },
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct AptConfig {
    /// Whether the settings are there.
    pub ensure: Ensure,
    /// The settings, by their full names, such as `APT::Install-Recommends`. An array is a whole list, and an empty one clears it.
    pub settings: BTreeMap<String, Setting>,
}

/// Settings that are true or false, and that are numbers; apt takes anything else for the default.
const FLAGS: [&str; 16] = [
    "APT::Install-Recommends",
    "APT::Install-Suggests",
    "APT::AutoRemove::RecommendsImportant",
    "APT::AutoRemove::SuggestsImportant",
    "APT::Get::AllowUnauthenticated",
    "APT::Get::Assume-Yes",
    "APT::Get::Show-Versions",
    "APT::Keep-Downloaded-Packages",
    "Acquire::AllowDowngradeToInsecureRepositories",
    "Acquire::AllowInsecureRepositories",
    "Acquire::AllowWeakRepositories",
    "Acquire::Check-Date",
    "Acquire::Check-Valid-Until",
    "Acquire::ForceIPv4",
    "Acquire::ForceIPv6",
    "Acquire::https::Verify-Peer",
];
const NUMBERS: [&str; 5] = [
    "Acquire::Retries",
    "Acquire::http::Timeout",
    "Acquire::https::Timeout",
    "Acquire::http::Dl-Limit",
    "APT::Cache-Limit",
];

/// Settings without which neither apt nor this program would find what is installed.
const PILLARS: [&str; 4] = ["RootDir", "Dir::State", "Dir::Etc", "APT::Architecture"];

impl Fragment for AptConfig {
    const TYPE: &'static str = "apt_config";
    const STAGE: Stage = Stage::PackageSources;
    const READERS: &'static [&'static str] = &["apt"];

    fn is_present(&self) -> bool {
        self.ensure == Ensure::Present
    }

    fn place(&self, id: &ResourceId) -> Result<HostPath> {
        file_in("/etc/apt/apt.conf.d", &format!("{}.conf", id.name()))
    }

    fn text(&self, id: &ResourceId) -> Result<Text> {
        Ok((managed("//", id) + &write(self.settings.iter().map(|(key, value)| (key.as_str(), value)))).into())
    }

    fn means(&self, text: &str) -> Option<Value> {
        read(text)
    }

    fn mistakes(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut mistakes = Mistakes::default();
        mistakes.require_plain_name(id, "apt", "_.-");
        if id.name().ends_with(".conf") {
            mistakes.refuse(&[], "the file is named `NAME.conf` already", "leave `.conf` out");
        }
        if !self.is_present() {
            return mistakes.0;
        }
        if self.settings.is_empty() {
            mistakes.refuse(
                &["settings"],
                "there is no setting",
                "such as settings.\"APT::Install-Recommends\" = false",
            );
        }
        for (key, setting) in &self.settings {
            let path = ["settings", key.as_str()];
            if let Some((message, help)) = self.mistake_in_key(key) {
                mistakes.refuse(&path, message, help);
            }
            match setting {
                Setting::One(value) => {
                    if let Some((message, help)) = mistake_in_value(key, value) {
                        mistakes.refuse(&path, message, help);
                    }
                }
                Setting::List(values) => {
                    for (place, value) in values.iter().enumerate() {
                        if let Some((message, help)) = mistake_in_value("", value) {
                            mistakes.refuse(&["settings", key, &place.to_string()], message, help);
                        }
                    }
                }
            }
        }
        mistakes.0
    }
}

impl AptConfig {
    fn mistake_in_key(&self, key: &str) -> Option<(String, &'static str)> {
        if let Some(list) = key.strip_suffix("::") {
            return Some((format!("`{list}` is a list"), "leave `::` out, and give all elements in an array"));
        }
        if !is_key(key) {
            return Some((format!("apt cannot read {key:?}"), "names with letters, digits and `-`, joined by `::`"));
        }
        if PILLARS.iter().any(|pillar| is_within(key, pillar)) || key.eq_ignore_ascii_case("Dir") {
            let message = "apt, and programs that use it, would no longer find what is installed";
            return Some((message.to_owned(), "set it on the command line of apt, where it is needed"));
        }
        for (other, setting) in self.settings.iter().filter(|(other, _)| *other != key) {
            if other.eq_ignore_ascii_case(key) {
                return Some((format!("to apt it is the same as {other:?}"), "keep one of them"));
            }
            if matches!(setting, Setting::List(_)) && is_within(key, other) {
                return Some((format!("{other:?} is a list, and is cleared"), "leave one of them out"));
            }
        }
        None
    }
}

/// Whether it is a setting, or one below it.
fn is_within(key: &str, other: &str) -> bool {
    let (key, other) = (key.to_ascii_lowercase(), other.to_ascii_lowercase());
    key.strip_prefix(&other).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn mistake_in_value(key: &str, value: &Scalar) -> Option<(String, &'static str)> {
    let text = value.to_string();
    let is_one_of = |keys: &[&str]| keys.iter().any(|known| known.eq_ignore_ascii_case(key));
    if !can_be_written(value) {
        let message = "apt has no way to write a value with `\"`, a tab or several lines";
        return Some((message.to_owned(), "use single quotes in a command, or put it into a script"));
    }
    if authority_of(&text).is_some_and(|host| host.contains('@')) {
        let message = "every user can read the file, and the password in it";
        return Some((message.to_owned(), "write it into /etc/apt/auth.conf.d; see apt_auth.conf(5)"));
    }
    // The words of StringToBool in apt's strutl.cc.
    let is_flag = ["true", "false", "yes", "no", "on", "off", "enable", "disable", "with", "without", "1", "0"];
    if is_one_of(&FLAGS) && !is_flag.contains(&text.to_ascii_lowercase().as_str()) {
        return Some((format!("apt would ignore {text:?}"), "true or false"));
    }
    if is_one_of(&NUMBERS) && text.parse::<u32>().is_err() {
        return Some((format!("apt would ignore {text:?}"), "a number without a unit"));
    }
    None
}

#[cfg(test)]
mod tests;
