//! The resource type `unattended_upgrades`.

use std::collections::BTreeMap;

use derive_setters::Setters;
use provision_core::error::Result;
use provision_core::fragment::{Fragment, managed};
use provision_core::path::HostPath;
use provision_core::resource::{AttributeError, ResourceId};
use provision_core::secret::Text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::apt_syntax::{Setting, can_be_written, read, write};
use crate::ensure::Ensure;
use crate::settings::{Mistakes, Scalar};

/// Upgrades that apt installs by itself, daily: the file `/etc/apt/apt.conf.d/52provision-unattended-upgrades`; see
/// unattended-upgrade(8), and `/etc/apt/apt.conf.d/50unattended-upgrades` for what each setting does.
///
/// What is unset is as that file, or one with a later name, has it. There is one such resource, whatever its name. The timers
/// `apt-daily.timer` and `apt-daily-upgrade.timer` have to run, and mail needs a program `mail` or `sendmail`. Other settings of it
/// are set with `apt_config`, under a later name such as `60-upgrades`.
///
/// ```nickel
/// unattended_upgrades.security = {
///   origins = ["origin=Debian,codename=${distro_codename}-security,label=Debian-Security"],
///   exclude = ["linux-", "postgresql"],
///   automatic_reboot = true,
///   reboot_time = "04:30",
/// },
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct UnattendedUpgrades {
    /// Whether the file is there.
    pub ensure: Ensure,
    /// Whether upgrades are installed; true by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Where upgrades come from, in place of what the package has: conditions such as `"origin=Debian,label=Debian-Security"`, with
    /// `${distro_id}` and `${distro_codename}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origins: Option<Vec<String>>,
    /// Packages that are left: regular expressions of Python that match the beginning of a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Vec<String>>,
    /// Whether packages that nothing needs any more are removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_unused: Option<bool>,
    /// Whether the host reboots if an upgrade asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automatic_reboot: Option<bool>,
    /// When it reboots: `"now"`, `"04:30"` or `"+15"` (minutes).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reboot_time: Option<String>,
    /// The address that is told of upgrades and problems.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail: Option<String>,
    /// Whether nothing is upgraded on battery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_on_ac: Option<bool>,
}

/// After the files of apt and of the package, `20auto-upgrades` and `50unattended-upgrades`.
const FILE: &str = "/etc/apt/apt.conf.d/52provision-unattended-upgrades";

impl UnattendedUpgrades {
    fn settings(&self) -> BTreeMap<&'static str, Setting> {
        let list = |values: &[String]| Setting::List(values.iter().map(|value| value.as_str().into()).collect());
        let daily = Setting::from(i64::from(self.enabled.unwrap_or(true)));
        let settings = [
            ("APT::Periodic::Update-Package-Lists", Some(daily.clone())),
            ("APT::Periodic::Unattended-Upgrade", Some(daily)),
            // An older name, whose origins come in addition.
            ("Unattended-Upgrade::Allowed-Origins", self.origins.as_ref().map(|_| Setting::List(Vec::new()))),
            ("Unattended-Upgrade::Origins-Pattern", self.origins.as_deref().map(list)),
            ("Unattended-Upgrade::Package-Blacklist", self.exclude.as_deref().map(list)),
            ("Unattended-Upgrade::Remove-Unused-Dependencies", self.remove_unused.map(Setting::from)),
            ("Unattended-Upgrade::Automatic-Reboot", self.automatic_reboot.map(Setting::from)),
            ("Unattended-Upgrade::Automatic-Reboot-Time", self.reboot_time.as_deref().map(Setting::from)),
            ("Unattended-Upgrade::Mail", self.mail.as_deref().map(Setting::from)),
            ("Unattended-Upgrade::OnlyOnACPower", self.only_on_ac.map(Setting::from)),
        ];
        settings.into_iter().filter_map(|(key, setting)| Some((key, setting?))).collect()
    }
}

impl Fragment for UnattendedUpgrades {
    const TYPE: &'static str = "unattended_upgrades";
    const READERS: &'static [&'static str] = &["unattended-upgrades"];

    fn is_present(&self) -> bool {
        self.ensure == Ensure::Present
    }

    fn place(&self, _: &ResourceId) -> Result<HostPath> {
        HostPath::new(FILE)
    }

    fn text(&self, id: &ResourceId) -> Result<Text> {
        Ok((managed("//", id) + &write(self.settings().iter().map(|(key, value)| (*key, value)))).into())
    }

    fn means(&self, text: &str) -> Option<Value> {
        read(text)
    }

    fn mistakes(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut mistakes = Mistakes::default();
        if id.name().contains(char::is_control) {
            mistakes.refuse(&[], "its name has control characters", "such as \"security\"");
        }
        if !self.is_present() {
            return mistakes.0;
        }
        if self.origins.as_ref().is_some_and(Vec::is_empty) {
            mistakes.refuse(&["origins"], "nothing would be upgraded", "name an origin, or set `enabled = false`");
        }
        for (attribute, values, is_right, help) in [
            (
                "origins",
                &self.origins,
                is_origin as fn(&str) -> bool,
                "such as \"origin=Debian,label=Debian-Security\"",
            ),
            ("exclude", &self.exclude, is_expression, "such as \"linux-\" or \"^bash$\""),
        ] {
            for (place, value) in values.iter().flatten().enumerate().filter(|(_, value)| !is_right(value)) {
                let message = format!("unattended-upgrade cannot use {value:?}");
                mistakes.refuse(&[attribute, &place.to_string()], message, help);
            }
        }
        if let Some(time) = self.reboot_time.as_deref() {
            if !is_time(time) {
                let help = "\"now\", a time of the day such as \"04:30\", or minutes such as \"+15\"";
                mistakes.refuse(&["reboot_time"], format!("shutdown(8) has no time {time:?}"), help);
            } else if self.automatic_reboot == Some(false) {
                mistakes.refuse(&["reboot_time"], "the host does not reboot", "set `automatic_reboot = true`");
            }
        }
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == '"';
        if self.mail.as_deref().is_some_and(|mail| mail.is_empty() || mail.contains(is_odd)) {
            mistakes.refuse(&["mail"], "it is no address", "such as \"root\" or \"admin@example.org\"");
        }
        mistakes.0
    }
}

/// Conditions that unattended-upgrade understands; it fails for any other.
fn is_origin(pattern: &str) -> bool {
    const KEYS: [&str; 12] =
        ["o", "origin", "l", "label", "a", "suite", "archive", "n", "codename", "c", "component", "site"];
    let is_condition = |condition: &str| {
        let parts: Vec<&str> = condition.split('=').map(str::trim).collect();
        matches!(parts[..], [key, value] if KEYS.contains(&key) && !value.is_empty())
    };
    can_be_written(&Scalar::from(pattern)) && pattern.replace("\\,", "").split(',').all(is_condition)
}

/// An expression with its brackets closed; an empty one would match all packages.
fn is_expression(expression: &str) -> bool {
    let count = |c: char| expression.matches(c).count();
    can_be_written(&Scalar::from(expression))
        && !expression.trim().is_empty()
        && !expression.starts_with(['*', '+', '?'])
        && !expression.ends_with('\\')
        && count('(') == count(')')
        && count('[') == count(']')
}

/// A time as shutdown(8) takes it.
fn is_time(time: &str) -> bool {
    let number = |text: &str, most: u32| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number && text.parse().is_ok_and(|number: u32| number <= most)
    };
    match time.split_once(':') {
        Some((hour, minute)) => hour.len() <= 2 && minute.len() == 2 && number(hour, 23) && number(minute, 59),
        None => time == "now" || time.strip_prefix('+').is_some_and(|minutes| number(minutes, u32::MAX)),
    }
}

#[cfg(test)]
mod tests;
