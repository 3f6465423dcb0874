//! The resource type `apt_pin`.

use derive_setters::Setters;
use provision_core::error::Result;
use provision_core::fragment::{Fragment, file_in, is_plain_name, managed};
use provision_core::path::HostPath;
use provision_core::resource::{AttributeError, ResourceId, Stage};
use provision_core::secret::Text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ensure::Ensure;
use crate::settings::Mistakes;

/// Which versions of packages apt prefers: a file in `/etc/apt/preferences.d`; see apt_preferences(5).
///
/// What apt would take for something else, or for nothing, without a word is refused. Of two pins for a package that is named, the
/// first in the order of files counts, whatever the priorities; `/etc/apt/preferences` comes before all of them.
///
/// ```nickel
/// apt_pin.backports = { packages = ["nginx", "nginx-common"], pin = "release n=bookworm-backports", priority = 500 },
/// apt_pin.vendor = { packages = ["*"], pin = "origin packages.example.org", priority = 100 },
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct AptPin {
    /// Whether the pin is there.
    pub ensure: Ensure,
    /// The packages: names, patterns such as `"php8.*"`, `"src:linux"`, or `["*"]` alone for all. Required if it is present.
    pub packages: Vec<String>,
    /// Which versions of them: `"release n=trixie, c=main"` (`a` suite, `n` codename, `v` version, `c` component, `o` origin, `l`
    /// label, `b` architecture), `"origin HOST"` or `"version 1.2*"`. Required if it is present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// From -32768 to 32767, without 0: below 0 never, below 100 only if none is installed, from 1000 on also a downgrade.
    /// Required if it is present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// Why, in one line, for those who read the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
}

impl Fragment for AptPin {
    const TYPE: &'static str = "apt_pin";
    const STAGE: Stage = Stage::PackageSources;
    const READERS: &'static [&'static str] = &["apt"];

    fn is_present(&self) -> bool {
        self.ensure == Ensure::Present
    }

    fn place(&self, id: &ResourceId) -> Result<HostPath> {
        file_in("/etc/apt/preferences.d", &format!("{}.pref", id.name()))
    }

    fn text(&self, id: &ResourceId) -> Result<Text> {
        let explanation = self.explanation.iter().map(|why| format!("Explanation: {why}\n")).collect::<String>();
        let (packages, pin) = (self.packages.join(" "), self.pin.as_deref().unwrap_or_default());
        let priority = self.priority.unwrap_or_default();
        let stanza = format!("{explanation}Package: {packages}\nPin: {pin}\nPin-Priority: {priority}\n");
        Ok(format!("{}{stanza}", managed("#", id)).into())
    }

    /// The stanzas without comments and explanations, each as its fields.
    fn means(&self, text: &str) -> Option<Value> {
        let mut stanzas = vec![Vec::new()];
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line.split_once(':') {
                _ if line.trim_matches([' ', '\t']).is_empty() => stanzas.push(Vec::new()),
                // A line that goes on, or none that apt would take.
                _ if line.starts_with([' ', '\t']) => return None,
                None => return None,
                Some((name, value)) => {
                    let value = value.trim_matches([' ', '\t']).to_owned();
                    stanzas.last_mut()?.push((name.to_ascii_lowercase(), value));
                }
            }
        }
        stanzas.retain(|stanza| !stanza.is_empty());
        // A stanza of explanations alone is one that apt refuses.
        stanzas.iter_mut().for_each(|stanza| stanza.retain(|(name, _)| name != "explanation"));
        Some(json!(stanzas))
    }

    fn mistakes(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut mistakes = Mistakes::default();
        let mut refuse = |path: &[&str], message: String, help: &str| mistakes.refuse(path, message, help);
        // apt_preferences(5): files with other names are ignored.
        if !is_plain_name(id.name(), b"_.-") {
            refuse(
                &[],
                format!("apt passes over a file named {:?}", id.name()),
                "use letters, digits, `-`, `_` and `.`",
            );
        }
        if !self.is_present() {
            return mistakes.0;
        }
        if self.packages.is_empty() {
            refuse(&["packages"], "a pin needs `packages`".into(), "such as [\"nginx\"], or [\"*\"] for all");
        }
        for (place, package) in self.packages.iter().enumerate() {
            if let Some(message) = mistake_in_package(package, self.packages.len() == 1) {
                refuse(&["packages", &place.to_string()], message, "such as \"nginx\", \"php8.*\" or \"src:linux\"");
            }
        }
        let help = "such as \"release n=trixie\", \"origin packages.example.org\" or \"version 1.2*\"";
        match &self.pin {
            None => refuse(&["pin"], "a pin needs a `pin`".into(), help),
            Some(pin) => {
                if let Some(message) = mistake_in_pin(pin, self.packages == ["*"]) {
                    refuse(&["pin"], message, help);
                }
            }
        }
        match self.priority {
            None => refuse(&["priority"], "a pin needs a `priority`".into(), "such as 500"),
            Some(-32768..=-1 | 1..=32767) => {}
            Some(other) => {
                refuse(&["priority"], format!("apt takes no priority of {other}"), "from -32768 to 32767, and not 0");
            }
        }
        if self.explanation.as_ref().is_some_and(|why| why.trim().is_empty() || why.contains(char::is_control)) {
            refuse(&["explanation"], "an explanation is one line".into(), "leave it out, or write one line");
        }
        mistakes.0
    }
}

/// What apt would find no package by; names are those of policy 5.6.1.
fn mistake_in_package(package: &str, is_alone: bool) -> Option<String> {
    if package == "*" {
        return (!is_alone).then(|| "`*` stands for all packages, and only alone".to_owned());
    }
    let is_open = |open: char, close: char| package.matches(open).count() != package.matches(close).count();
    if is_open('[', ']') || is_open('(', ')') {
        return Some(format!("{package:?} has a bracket without its other half"));
    }
    if let Some(expression) = package.strip_prefix('/') {
        let is_odd = |c: char| c.is_whitespace() || c.is_control();
        let is_expression = expression.ends_with('/') && expression.len() > 1 && !package.contains(is_odd);
        return (!is_expression).then(|| format!("{package:?} is no `/expression/` without blanks"));
    }
    let name = package.strip_prefix("src:").unwrap_or(package);
    let (name, architecture) = name.split_once(':').unwrap_or((name, "any"));
    let fits = |text: &str, others: &[u8]| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || others.contains(&byte);
        !text.is_empty() && text.bytes().all(fits)
    };
    (!fits(name, b"+.-*?[]") || !fits(architecture, b"-"))
        .then(|| format!("no package is named {package:?}: names have small letters, and each is one entry"))
}

/// What apt would not understand, or would understand as matching nothing, without a word.
fn mistake_in_pin(pin: &str, of_all: bool) -> Option<String> {
    if pin.contains(char::is_control) {
        return Some("a pin is one line".into());
    }
    let (kind, what) = pin.split_once(' ').unwrap_or((pin, ""));
    let what = what.trim();
    match kind {
        "version" if of_all => Some("apt takes no version for all packages".into()),
        "version" if what.is_empty() || what.contains([' ', ',', '"', '=']) => {
            Some(format!("{what:?} is not one version, or a pattern of one"))
        }
        "version" => None,
        "origin" if what == "\"\"" => None,
        "origin" => {
            let host = what.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(what);
            let is_host = |c: char| c.is_ascii_alphanumeric() || "-.*?[]".contains(c);
            (host.is_empty() || !host.chars().all(is_host))
                .then(|| format!("{what:?} is not the name of a host, as in the address of a package source"))
        }
        "release" => mistake_in_release(what),
        other => Some(format!("a pin begins with `release`, `origin` or `version`, not with {other:?}")),
    }
}

fn mistake_in_release(conditions: &str) -> Option<String> {
    let mut seen = Vec::new();
    for condition in conditions.split(',').map(str::trim) {
        let Some((key, value)) = condition.split_once('=') else {
            return Some(format!("{condition:?} is no condition such as `n=trixie`"));
        };
        if !["a", "n", "v", "c", "o", "l", "b"].contains(&key) {
            return Some(format!("{key:?} is none of the conditions `a`, `n`, `v`, `c`, `o`, `l` and `b`"));
        }
        if value.is_empty() || value.contains('"') || value.starts_with(' ') {
            return Some(format!("the value of `{key}` is written without quotes, right after `=`"));
        }
        // Labels and origins have blanks; a second condition after one would match nothing.
        if value.split(' ').skip(1).any(|word| word.contains('=')) {
            return Some("conditions are separated by commas".into());
        }
        if seen.contains(&key) {
            return Some(format!("of several conditions `{key}` only the last counts"));
        }
        seen.push(key);
    }
    None
}

#[cfg(test)]
mod tests;
