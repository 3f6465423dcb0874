//! The resource type `journald`.

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
use crate::systemd_syntax::{is_span, number};
use crate::unit_file;

/// Settings of systemd's journal: a file in `/etc/systemd/journald.conf.d`; see journald.conf(5).
///
/// journald ignores a key or a value that it does not know, with a line in the log alone, so these are refused; keys that Debian 12
/// does not have yet are unknown. The file with the last name counts, whatever its directory, and `/etc/systemd/journald.conf` comes
/// before all of them. Settings hold once journald is restarted, which keeps messages and the streams of services, so let them
/// notify the service. After `Storage = "persistent"` older messages are moved by `journalctl --flush` or at the next boot; after
/// `"volatile"` those on disk stay there. A lower limit takes effect when files are rotated.
///
/// ```nickel
/// journald."60-size" = {
///   settings = { Storage = "persistent", SystemMaxUse = "500M", MaxRetentionSec = "1month" },
///   notifies = ["service:systemd-journald"],
/// },
/// service.systemd-journald = { running = true },
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct Journald {
    /// Whether the settings are there.
    pub ensure: Ensure,
    /// The settings of the section `[Journal]`, by their names in journald.conf(5).
    pub settings: BTreeMap<String, Scalar>,
}

/// What the value of a setting can be.
enum Value {
    Flag,
    /// One of these words.
    Word(&'static str),
    /// Bytes, at least so many.
    Size(u64),
    FlagOrSize,
    /// A number, at most this.
    Count(u64),
    Span,
    Terminal,
}

/// The settings that both journald of Debian 12 and of Debian 13 have.
const JOURNALD: Program<Value> = Program {
    name: "journald",
    page: "journald.conf(5)",
    settings: &[
        (Value::Flag, "Audit ForwardToConsole ForwardToKMsg ForwardToSyslog ForwardToWall ReadKMsg Seal"),
        (Value::FlagOrSize, "Compress"),
        (Value::Size(79), "LineMax"),
        (
            Value::Size(0),
            "RuntimeKeepFree RuntimeMaxFileSize RuntimeMaxUse SystemKeepFree SystemMaxFileSize SystemMaxUse",
        ),
        (Value::Count(u64::MAX), "RuntimeMaxFiles SystemMaxFiles"),
        (Value::Count(u32::MAX as u64), "RateLimitBurst"),
        (Value::Span, "MaxFileSec MaxRetentionSec RateLimitIntervalSec SyncIntervalSec"),
        (
            Value::Word("emerg alert crit err warning notice info debug 0 1 2 3 4 5 6 7"),
            "MaxLevelConsole MaxLevelKMsg MaxLevelStore MaxLevelSyslog MaxLevelWall",
        ),
        (Value::Word("uid none"), "SplitMode"),
        (Value::Word("volatile persistent auto none"), "Storage"),
        (Value::Terminal, "TTYPath"),
    ],
};

/// A file of systemd in Debian 13, which sets `ForwardToSyslog`.
const VENDOR: &str = "syslog.conf";

impl Fragment for Journald {
    const TYPE: &'static str = "journald";
    const READERS: &'static [&'static str] = &["systemd"];

    fn is_present(&self) -> bool {
        self.ensure == Ensure::Present
    }

    fn place(&self, id: &ResourceId) -> Result<HostPath> {
        file_in("/etc/systemd/journald.conf.d", &format!("{}.conf", id.name()))
    }

    fn text(&self, id: &ResourceId) -> Result<Text> {
        let lines: String = self.settings.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        Ok(format!("{}[Journal]\n{lines}", managed("#", id)).into())
    }

    /// The assignments. Of several of one key the last counts, so their order is kept.
    fn means(&self, text: &str) -> Option<serde_json::Value> {
        let mut read = unit_file::parse(text)?;
        read.values_mut().for_each(|lines| lines.sort_by(|(one, _), (other, _)| one.cmp(other)));
        Some(json!(read))
    }

    fn mistakes(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut mistakes = Mistakes::default();
        mistakes.require_plain_name(id, "journald", "_.-");
        if !self.is_present() {
            return mistakes.0;
        }
        let file = format!("{}.conf", id.name());
        if file == VENDOR {
            mistakes.refuse(
                &[],
                "it would hide a file of systemd with this name",
                "use another name, such as \"zz-syslog\"",
            );
        } else if file.as_str() < VENDOR && self.settings.contains_key("ForwardToSyslog") {
            let message = format!("a file of systemd in Debian 13, `{VENDOR}`, comes later and decides");
            mistakes.refuse(&["settings", "ForwardToSyslog"], message, "use a later name, such as \"zz-syslog\"");
        }
        if self.settings.is_empty() {
            mistakes.refuse(&["settings"], "there is no setting", "such as settings.SystemMaxUse = \"500M\"");
        }
        let storage = self.settings.get("Storage").map(Scalar::to_string).unwrap_or_default();
        for (key, value) in &self.settings {
            JOURNALD.check(key, value, &mut mistakes);
            if key.starts_with("System") && ["volatile", "none"].contains(&storage.as_str()) {
                let message = format!("nothing is stored on disk with `Storage = {storage:?}`");
                mistakes.refuse(&["settings", key], message, "the limits of what is in memory begin with `Runtime`");
            }
        }
        mistakes.0
    }
}

impl Kind for Value {
    fn has(&self, _: &str, value: &Scalar) -> bool {
        let text = value.to_string();
        let value = text.as_str();
        match self {
            Value::Flag => is_flag(value),
            Value::Word(words) => words.split(' ').any(|word| word == value),
            Value::Size(least) => bytes(value).is_some_and(|bytes| bytes >= *least),
            // journald takes 1 for a flag, and warns that it may be meant as a size.
            Value::FlagOrSize => value != "1" && (is_flag(value) || bytes(value).is_some()),
            Value::Count(most) => number(value).is_some_and(|number| number <= *most),
            Value::Span => value == "infinity" || is_span(value),
            Value::Terminal => {
                let is_plain = |part: &str| !["", ".", ".."].contains(&part) && !part.contains(char::is_control);
                value.strip_prefix("/dev/").is_some_and(|rest| rest.split('/').all(is_plain))
            }
        }
    }

    fn help(&self) -> String {
        match self {
            Value::Flag => "true or false".into(),
            Value::Word(words) => format!("one of {}", words.replace(' ', ", ")),
            Value::Size(least) => {
                format!("a number of bytes, from {least} on, or with K, M, G, T, P or E, such as \"500M\"")
            }
            Value::FlagOrSize => "true, false, or a number of bytes, such as \"1K\"".into(),
            Value::Count(most) => format!("a number, at most {most}"),
            Value::Span => "such as 30 (seconds), \"5min\", \"2h\", \"7days\", \"1month\" or \"1month 2weeks\"".into(),
            Value::Terminal => "a device, such as \"/dev/tty12\"".into(),
        }
    }
}

fn is_flag(text: &str) -> bool {
    "true false yes no on off 1 0".split(' ').any(|flag| flag == text)
}

fn bytes(text: &str) -> Option<u64> {
    let power = text.chars().last().and_then(|unit| "KMGTPE".find(unit));
    let digits = if power.is_some() { &text[..text.len() - 1] } else { text };
    number(digits)?.checked_mul(1 << power.map_or(0, |power| 10 * (power + 1)))
}

#[cfg(test)]
mod tests;
