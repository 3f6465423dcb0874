//! The resource type `tmpfiles`.

use std::collections::BTreeMap;

use derive_setters::Setters;
use provision_core::error::Result;
use provision_core::fragment::{Fragment, file_in, managed};
use provision_core::path::HostPath;
use provision_core::resource::{AttributeError, Claim, ResourceId, Target};
use provision_core::secret::Text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::access::{is_account, needs_account};
use crate::ensure::Ensure;
use crate::settings::Mistakes;
use crate::systemd_syntax::is_span;

/// Files and directories that systemd-tmpfiles creates, adjusts, cleans and removes: a file in `/etc/tmpfiles.d`; see tmpfiles.d(5).
///
/// Entries are brought about at the next boot; a trigger brings them about at once, as below. What was created stays when an entry
/// goes. Contents that are older than `age` are removed daily, unless they were read, written or changed since. For a path in several
/// files the first by name decides, and a file hides one of the same name in `/usr/lib/tmpfiles.d`. Parents are created as root's, and
/// below a directory of another user systemd-tmpfiles creates nothing as root: declare each level with its owner. `f`, `C` and `L`
/// leave alone what is there, entries with `!` are for the boot alone, and `=` removes what is of another kind.
///
/// ```nickel
/// tmpfiles.app.entries = {
///   "/run/app" = { type = "d", mode = "0750", user = "app", group = "app" },
///   "/var/cache/app" = { type = "e", age = "10d" },
/// },
/// trigger.tmpfiles-app = { command = "systemd-tmpfiles --create app.conf", sources = ["/etc/tmpfiles.d/app.conf"] },
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct Tmpfiles {
    /// Whether the file is there.
    pub ensure: Ensure,
    /// The entries, by their paths, or by other names if each has a `path`.
    pub entries: BTreeMap<String, Entry>,
}

/// What is done with a path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct Entry {
    /// A letter of tmpfiles.d(5) with its modifiers, such as `"d"` or `"L+"`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The path if the entry has another name. `%` begins a specifier, and `%%` is one `%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Octal; after `:` for what is created anew, after `~` only as far as what is there has such rights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// A name or a number; after `:` for what is created anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// A name or a number; after `:` for what is created anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How old contents may get, such as `"10d"`, `"12h"`, `"~1week"` or `"m:1d"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<String>,
    /// What is written, copied, linked to or set, as it is, but for specifiers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argument: Option<String>,
}

/// The files that systemd of Debian 12 or 13 has in `/usr/lib/tmpfiles.d`.
const VENDOR: &str = "20-systemd-shell-extra 20-systemd-ssh-generator 20-systemd-stub credstore debian home journal-nocow legacy \
                      passwd provision systemd systemd-network systemd-nologin systemd-pstore systemd-tmp tmp var x11";

impl Entry {
    /// An entry of a type.
    pub fn new(kind: &str) -> Entry {
        Entry { kind: kind.to_owned(), ..Entry::default() }
    }

    fn location<'a>(&'a self, name: &'a str) -> &'a str {
        self.path.as_deref().unwrap_or(name)
    }

    fn letter(&self) -> char {
        self.kind.chars().next().unwrap_or_default()
    }

    /// The fields in their order; an unset one is `-`.
    fn line(&self, name: &str) -> String {
        let unset = |field: &Option<String>| field.clone().unwrap_or_else(|| "-".to_owned());
        let Entry { kind, mode, user, group, age, .. } = self;
        let path = self.location(name);
        let path = if path.contains(' ') { format!("\"{path}\"") } else { path.to_owned() };
        let fields = format!("{kind} {path} {} {} {} {}", unset(mode), unset(user), unset(group), unset(age));
        match &self.argument {
            None => format!("{fields}\n"),
            Some(argument) => format!("{fields} {}\n", escaped(argument)),
        }
    }
}

impl Fragment for Tmpfiles {
    const TYPE: &'static str = "tmpfiles";
    const READERS: &'static [&'static str] = &["systemd", "systemd-tmpfiles"];

    fn is_present(&self) -> bool {
        self.ensure == Ensure::Present
    }

    fn place(&self, id: &ResourceId) -> Result<HostPath> {
        file_in("/etc/tmpfiles.d", &format!("{}.conf", id.name()))
    }

    fn text(&self, id: &ResourceId) -> Result<Text> {
        let lines: String = self.entries.iter().map(|(name, entry)| entry.line(name)).collect();
        Ok((managed("#", id) + &lines).into())
    }

    /// The fields of each line; one with quotes as it is.
    fn means(&self, text: &str) -> Option<Value> {
        if text.contains(|c: char| c.is_control() && c != '\n' && c != '\t') {
            return None;
        }
        let lines = text.split('\n').map(|line| line.trim_matches([' ', '\t']));
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        Some(json!(lines.map(fields).collect::<Vec<_>>()))
    }

    fn also_claims(&self, _: &ResourceId) -> Vec<Claim> {
        let account = |name: &Option<String>, target: fn(String) -> Target| {
            let name = name.as_deref().map(|name| name.strip_prefix(':').unwrap_or(name));
            name.filter(|name| needs_account(name)).map(|name| Claim::needs(target(name.to_owned())))
        };
        let entries = self.entries.values().filter(|_| self.is_present());
        entries
            .flat_map(|entry| [account(&entry.user, Target::User), account(&entry.group, Target::Group)])
            .flatten()
            .collect()
    }

    fn mistakes(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut mistakes = Mistakes::default();
        mistakes.require_plain_name(id, "systemd-tmpfiles", "_.-");
        if VENDOR.split(' ').any(|name| name == id.name()) {
            let help = "use another name, such as \"site\"";
            mistakes.refuse(&[], "it would hide a file of systemd with this name", help);
        }
        if !self.is_present() {
            return mistakes.0;
        }
        if self.entries.is_empty() {
            mistakes.refuse(&["entries"], "there is no entry", "such as entries.\"/run/app\" = { type = \"d\" }");
        }
        let mut seen = BTreeMap::new();
        for (name, entry) in &self.entries {
            for (attribute, message, help) in entry.mistakes(name) {
                let attribute = if attribute == "path" && entry.path.is_none() { "" } else { attribute };
                let path = ["entries", name.as_str(), attribute];
                mistakes.refuse(if attribute.is_empty() { &path[..2] } else { &path }, message, help);
            }
            let path = entry.location(name).trim_end_matches('/');
            // systemd-tmpfiles takes the first of them and warns of the second; these adjust what others create.
            if !"zZtThHaAwxX".contains(entry.letter())
                && let Some(other) = seen.insert(path, name)
            {
                let message = format!("entry {other:?} decides about {path} already");
                mistakes.refuse(&["entries", name], message, "keep one of them");
            }
        }
        mistakes.0
    }
}

impl Entry {
    fn mistakes(&self, name: &str) -> Vec<(&'static str, String, &'static str)> {
        let mut mistakes = Vec::new();
        let mut refuse = |attribute, message: String, help| mistakes.push((attribute, message, help));
        let letter = self.letter();
        if !is_type(&self.kind) {
            let help = "a letter such as d, f, L, e or z, and `+`, `!`, `-`, `=`, `~` or `^`; see tmpfiles.d(5)";
            refuse("type", format!("systemd-tmpfiles has no type {:?}", self.kind), help);
            return mistakes;
        }
        let path = self.location(name);
        let is_odd = |part: &str| [".", ".."].contains(&part);
        if !path.starts_with(['/', '%'])
            || path == "/"
            || path.split('/').any(is_odd)
            || path.contains(|c: char| c.is_control() || "\"'\\".contains(c))
        {
            refuse("path", format!("{path:?} is no absolute path"), "absolute, without `..`, quotes and backslashes");
        } else if !are_specifiers(path) {
            refuse("path", format!("{path:?} has a `%` that stands for nothing"), "`%%` for one `%`");
        }
        let is_mode = |mode: &str| {
            let digits = mode.trim_start_matches([':', '~']);
            (3..=4).contains(&digits.len())
                && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte))
                && mode.len() - digits.len() <= 2
        };
        if self.mode.as_deref().is_some_and(|mode| !is_mode(mode)) {
            refuse("mode", "it is no mode".to_owned(), "octal, such as \"0755\"");
        }
        for (attribute, account) in [("user", &self.user), ("group", &self.group)] {
            let is_name = |name: &str| is_account(name.strip_prefix(':').unwrap_or(name));
            if account.as_deref().is_some_and(|name| !is_name(name)) {
                refuse(attribute, format!("no {attribute} has this name"), "a name or a number, such as \"root\"");
            }
        }
        if self.age.as_deref().is_some_and(|age| !is_age(age)) {
            refuse("age", "it is no age".to_owned(), "such as \"10d\", \"12h\", \"~1week\" or \"m:1d\"");
        }
        for (attribute, is_set, letters) in [
            ("mode", self.mode.is_some(), "LxXrRtTaAhH"),
            ("user", self.user.is_some(), "xXrRtTaAhH"),
            ("group", self.group.is_some(), "xXrRtTaAhH"),
            ("age", self.age.is_some(), "fpLcbrRzZtThHaAw"),
            ("argument", self.argument.is_some(), "dDevqQpxXrRzZ"),
        ] {
            if is_set && letters.contains(letter) {
                refuse(attribute, format!("it does nothing for entries of type `{letter}`"), "leave it out");
            }
        }
        match self.argument.as_deref() {
            None if "wcbtThHaA".contains(letter) => {
                refuse("argument", format!("entries of type `{letter}` need an argument"), "see tmpfiles.d(5)");
            }
            Some(argument) if argument.is_empty() || argument == "-" => {
                refuse("argument", "to systemd-tmpfiles it is the same as none".to_owned(), "leave it out");
            }
            Some(argument) if argument.contains('\0') => {
                refuse("argument", "it has a NUL byte".to_owned(), "a text");
            }
            Some(argument) if !self.kind.contains('~') && !are_specifiers(argument) => {
                refuse("argument", "it has a `%` that stands for nothing".to_owned(), "`%%` for one `%`");
            }
            _ => {}
        }
        let adjusts = self.mode.is_some() || self.user.is_some() || self.group.is_some();
        if "zZ".contains(letter) && !adjusts
            || letter == 'e' && !adjusts && self.age.is_none() && !self.kind.contains('!')
        {
            refuse(
                "",
                format!("an entry of type `{letter}` without attributes does nothing"),
                "set `mode`, `user` or `group`",
            );
        }
        mistakes
    }
}

/// A letter, and each modifier at most once and where it means something, as systemd 252 and later have them.
fn is_type(kind: &str) -> bool {
    let mut characters = kind.chars();
    let Some(letter) = characters.next().filter(|letter| "fdDevqQpLcbCxXrRzZtThHaAw".contains(*letter)) else {
        return false;
    };
    let modifiers: Vec<char> = characters.collect();
    let fits = |modifier: &char| match modifier {
        '!' | '-' => true,
        '=' => "fdDvqQpLcbC".contains(letter),
        '+' => "fpLcbaAw".contains(letter),
        '~' | '^' => "fw".contains(letter),
        _ => false,
    };
    modifiers.iter().all(|one| fits(one) && modifiers.iter().filter(|other| *other == one).count() == 1)
}

/// Whether each `%` begins a specifier of tmpfiles.d(5).
fn are_specifiers(text: &str) -> bool {
    let mut characters = text.chars();
    while characters.by_ref().any(|character| character == '%') {
        if !characters.next().is_some_and(|letter| "aAbBCgGhHlLmMoSTtuUvVwW%".contains(letter)) {
            return false;
        }
    }
    true
}

/// A span of time, after `~` and the times that count perhaps.
fn is_age(age: &str) -> bool {
    let (times, age) = age.split_once(':').unwrap_or(("a", age));
    let age = age.strip_prefix('~').unwrap_or(age);
    !times.is_empty() && times.chars().all(|time| "abcmABCM".contains(time)) && is_span(age) && !age.contains(' ')
}

/// An argument with C-style escapes for all that would be lost.
fn escaped(argument: &str) -> String {
    let text = argument.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t");
    let text: String =
        text.chars().map(|c| if c.is_control() { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }).collect();
    let inner = text.trim_matches(' ');
    let start = text.len() - text.trim_start_matches(' ').len();
    let end = text.len() - start - inner.len();
    format!("{}{inner}{}", "\\x20".repeat(start), "\\x20".repeat(end))
}

/// Type, path, mode, user, group, age and argument, without those at the end that are unset.
fn fields(line: &str) -> Vec<&str> {
    if line.contains(['"', '\'']) {
        return vec![line];
    }
    let (mut fields, mut rest) = (Vec::new(), line);
    while fields.len() < 6
        && let Some((field, after)) = rest.split_once([' ', '\t'])
    {
        fields.push(field);
        rest = after.trim_start_matches([' ', '\t']);
    }
    fields.push(rest);
    while fields.last() == Some(&"-") {
        fields.pop();
    }
    fields
}

#[cfg(test)]
mod tests;
