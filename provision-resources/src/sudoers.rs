//! The resource type `sudoers`.

use std::collections::BTreeMap;

use derive_setters::Setters;
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::fragment::{Fragment, file_in, managed};
use provision_core::host::{HostView, HostViewExt};
use provision_core::path::HostPath;
use provision_core::resource::{AttributeError, Claim, Companion, ResourceId, Target};
use provision_core::secret::Text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::access::needs_account;
use crate::ensure::Ensure;
use crate::settings::{Mistakes, Scalar};
use crate::validation::Validation;

/// Rules of sudo(8): a file in `/etc/sudoers.d`; see sudoers(5).
///
/// All of these files are judged together with `/etc/sudoers` by `visudo -c -s` before one of them is changed, by `validation.sudoers`, which a
/// site may declare itself. The last rule that fits counts, and files are read in the order of their names, so a name may begin
/// with a number. A directory as a command (`/opt/app/`) stands for all files in it, and `*` in arguments for any text, blanks included.
///
/// ```nickel
/// sudoers.deploy = { users = ["deploy"], commands = ["/usr/bin/systemctl restart app"], password = false },
/// sudoers."10-admins" = { groups = ["adm"], run_as = "ALL:ALL", commands = ["ALL"], defaults.timestamp_timeout = 5 },
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct Sudoers {
    /// Whether the rules are there.
    pub ensure: Ensure,
    /// The users whom they are for: names, `"ALL"`, or numbers such as `"#1000"`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// The groups whose members they are for, without `%`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// What they may run: each one command with an absolute path and its arguments, or `"ALL"`. Without arguments any are allowed;
    /// `""` in their place allows none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// As whom: `"root"`, a user, `"user:group"`, `"ALL"`. root if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_as: Option<String>,
    /// Whether they have to give their password; as the other rules of the host say if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<bool>,
    /// On which hosts; all if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// More tags, such as `"NOEXEC"` or `"SETENV"`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Settings for these users and groups, or for all if there are none: `true`, `false`, a number or a text.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: BTreeMap<String, Scalar>,
    /// The whole file instead, for what the attributes cannot say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Text>,
}

/// The tags of sudoers(5), without those that `password` stands for.
const TAGS: [&str; 14] = [
    "EXEC",
    "NOEXEC",
    "FOLLOW",
    "NOFOLLOW",
    "INTERCEPT",
    "NOINTERCEPT",
    "LOG_INPUT",
    "NOLOG_INPUT",
    "LOG_OUTPUT",
    "NOLOG_OUTPUT",
    "MAIL",
    "NOMAIL",
    "SETENV",
    "NOSETENV",
];

impl Sudoers {
    /// The users and groups, as the file names them.
    fn subjects(&self) -> Vec<String> {
        let users = self.users.iter().map(|user| named(user));
        users.chain(self.groups.iter().map(|group| format!("%{}", named(group)))).collect()
    }

    fn rule(&self) -> Option<String> {
        let commands: Vec<String> = self.commands.iter().map(|command| escaped(command)).collect();
        let password = self.password.map(|asked| if asked { "PASSWD" } else { "NOPASSWD" });
        let tags: String = password
            .into_iter()
            .chain(self.tags.iter().map(String::as_str))
            .fold(String::new(), |all, tag| all + tag + ":");
        let run_as = self.run_as.as_ref().map(|whom| {
            let parts: Vec<String> = whom.split(':').map(named).collect();
            format!("({}) ", parts.join(":"))
        });
        let host = self.host.as_deref().unwrap_or("ALL");
        let space = if tags.is_empty() { "" } else { " " };
        (!commands.is_empty()).then(|| {
            let (run_as, subjects) = (run_as.unwrap_or_default(), self.subjects().join(", "));
            format!("{subjects} {host} = {run_as}{tags}{space}{}\n", commands.join(", "))
        })
    }

    fn settings(&self) -> String {
        let setting = |(name, value): (&String, &Scalar)| match value {
            Scalar::Flag(true) => name.clone(),
            Scalar::Flag(false) => format!("!{name}"),
            Scalar::Number(number) => format!("{name} = {number}"),
            Scalar::Text(text) => format!("{name} = \"{}\"", text.replace('"', "\\\"")),
        };
        let subjects = self.subjects().join(", ");
        let whom = if subjects.is_empty() { subjects } else { format!(":{subjects}") };
        self.defaults.iter().map(|entry| format!("Defaults{whom} {}\n", setting(entry))).collect()
    }
}

impl Fragment for Sudoers {
    const TYPE: &'static str = "sudoers";
    const MODE: u32 = 0o440;
    const READERS: &'static [&'static str] = &["sudo", "sudo-ldap"];

    fn is_present(&self) -> bool {
        self.ensure == Ensure::Present
    }

    fn place(&self, id: &ResourceId) -> Result<HostPath> {
        file_in("/etc/sudoers.d", id.name())
    }

    fn text(&self, id: &ResourceId) -> Result<Text> {
        if let Some(content) = &self.content {
            return Ok(content.clone());
        }
        Ok((managed("#", id) + &self.settings() + &self.rule().unwrap_or_default()).into())
    }

    /// The words of each line without comments; a file in which quotes, escapes or continued lines keep blanks is compared byte by byte.
    fn means(&self, text: &str) -> Option<Value> {
        // `#include` and a user with a number are none.
        let is_comment = |line: &str| {
            let is_number = |rest: &str| rest.starts_with(|first: char| first.is_ascii_digit() || first == '-');
            line.strip_prefix('#').is_some_and(|rest| !rest.starts_with("include") && !is_number(rest))
        };
        let lines = text.split('\n').map(|line| line.trim_matches([' ', '\t']));
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty() && !is_comment(line)).collect();
        if lines.iter().any(|line| line.contains(['"', '\\', '#'])) {
            return None;
        }
        let words = |line: &&str| line.split([' ', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        Some(json!(lines.iter().map(words).collect::<Vec<_>>()))
    }

    fn require(&self, _: &ResourceId, host: &dyn HostView) -> Result<()> {
        let includes = |line: &str| {
            let mut words = line.split_whitespace();
            matches!(words.next(), Some("@includedir" | "#includedir")) && words.next() == Some("/etc/sudoers.d")
        };
        match host.read_text("/etc/sudoers")? {
            Some(text) if !text.lines().any(includes) => {
                let message = "/etc/sudoers does not read the files of /etc/sudoers.d";
                Err(Error::new(ErrorKind::Conflict, message)
                    .with_hint("add the line `@includedir /etc/sudoers.d` to it"))
            }
            _ => Ok(()),
        }
    }

    fn also_claims(&self, _: &ResourceId) -> Vec<Claim> {
        if !self.is_present() {
            return Vec::new();
        }
        let is_here = |name: &&String| {
            *name != "ALL" && needs_account(name) && !name.contains(['@', '\\', ' ']) && !name.starts_with('#')
        };
        let users = self.users.iter().filter(is_here).cloned().map(Target::User);
        users.chain(self.groups.iter().filter(is_here).cloned().map(Target::Group)).map(Claim::needs).collect()
    }

    fn secrets(&mut self) -> Vec<(&'static str, &mut Text)> {
        self.content.iter_mut().map(|text| ("content", text)).collect()
    }

    fn companions(_: &[(&ResourceId, &Self)]) -> Vec<Companion> {
        let paths = ["/etc/sudoers", "/etc/sudoers.d"].map(|path| HostPath::new(path).expect("an absolute path"));
        vec![Companion::new("sudoers", Validation::new(["visudo", "-c", "-s"], paths))]
    }

    fn mistakes(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut mistakes = Mistakes::default();
        mistakes.require_plain_name(id, "sudo", "-_");
        if !self.is_present() {
            return mistakes.0;
        }
        let has_rule = !self.commands.is_empty();
        let has_rest = self.run_as.is_some() || self.password.is_some() || self.host.is_some() || !self.tags.is_empty();
        let has_subjects = !self.users.is_empty() || !self.groups.is_empty();
        let has_parts = has_rule || has_rest || has_subjects || !self.defaults.is_empty();
        if self.content.is_some() && has_parts {
            mistakes.refuse(&["content"], "`content` is the whole file", "take it out, or all other attributes");
        } else if self.content.is_none() && !has_rule && self.defaults.is_empty() {
            mistakes.refuse(
                &["commands"],
                "there is no rule",
                "such as commands = [\"/usr/bin/systemctl restart app\"]",
            );
        } else if has_rule && !has_subjects {
            mistakes.refuse(&["users"], "no user may run these commands", "name `users` or `groups`");
        } else if !has_rule && has_rest {
            mistakes.refuse(&["commands"], "there is nothing to run", "name `commands`");
        }
        for (attribute, names) in [("users", &self.users), ("groups", &self.groups)] {
            for (place, name) in names.iter().enumerate() {
                if let Some((message, help)) = mistake_in_name(name) {
                    mistakes.refuse(&[attribute, &place.to_string()], message, help);
                }
            }
        }
        for (attribute, text) in [("run_as", &self.run_as), ("host", &self.host)] {
            let is_plain = |letter: char| letter.is_alphanumeric() || "._-:$*".contains(letter);
            let is_wrong = |text: &&String| text.trim_matches(':').is_empty() || !text.chars().all(is_plain);
            if let Some(text) = text.as_ref().filter(is_wrong) {
                mistakes.refuse(&[attribute], format!("{text:?} is none"), "one name; `content` for more");
            }
        }
        for (place, tag) in self.tags.iter().enumerate().filter(|(_, tag)| !TAGS.contains(&tag.as_str())) {
            let help = "NOPASSWD is `password = false`; see Tag_Spec in sudoers(5)";
            mistakes.refuse(
                &["tags", &place.to_string()],
                format!("{tag:?} is no tag; there are {}", TAGS.join(", ")),
                help,
            );
        }
        for (place, command) in self.commands.iter().enumerate() {
            if let Some((message, help)) = mistake_in_command(command) {
                mistakes.refuse(&["commands", &place.to_string()], message, help);
            }
        }
        for (name, value) in &self.defaults {
            let is_name = !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            if !is_name {
                mistakes.refuse(
                    &["defaults", name],
                    format!("{name:?} is no setting"),
                    "`false` switches one off; see Defaults in sudoers(5)",
                );
            } else if matches!(value, Scalar::Text(text) if text.contains(|letter: char| letter.is_control() || letter == '\\'))
            {
                mistakes.refuse(&["defaults", name], "a value is one line without a backslash", "use `content`");
            } else if name == "authenticate" && *value == Scalar::Flag(false) && !has_subjects {
                mistakes.refuse(
                    &["defaults", name],
                    "every user could become root without a password",
                    "name `users` or `groups`",
                );
            }
        }
        mistakes.0
    }
}

/// A name as the file has it: blanks and signs are escaped, and a capital at its beginning as well, which would make it an alias.
fn named(name: &str) -> String {
    if name == "ALL" || name.starts_with('#') {
        return name.to_owned();
    }
    let is_special =
        |place: usize, letter: char| "@!=:,()\\ \t#\"".contains(letter) || (place == 0 && letter.is_ascii_uppercase());
    with_backslashes(name, is_special)
}

/// A text with a backslash before each letter that needs one.
fn with_backslashes(text: &str, needs_one: impl Fn(usize, char) -> bool) -> String {
    text.char_indices().fold(String::new(), |mut escaped, (place, letter)| {
        escaped.extend(needs_one(place, letter).then_some('\\'));
        escaped.push(letter);
        escaped
    })
}

fn mistake_in_name(name: &str) -> Option<(String, &'static str)> {
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match name.strip_prefix('#') {
        Some(number) if is_number(number) => None,
        _ if name.is_empty() || name.contains(char::is_control) => {
            Some((format!("{name:?} is no name"), "name a user or a group"))
        }
        _ if name.starts_with('%') => {
            Some((format!("{name:?} would have a second `%`"), "name groups in `groups`, without `%`"))
        }
        _ if name.starts_with(['+', '!', '#']) => {
            Some((format!("{name:?} is more than a name"), "use `content` for netgroups, exceptions and aliases"))
        }
        _ => None,
    }
}

/// Whether the arguments are a regular expression, of which nothing but `#` is escaped; see sudoers(5).
fn is_expression(arguments: &str) -> bool {
    arguments.starts_with('^') && arguments.ends_with('$')
}

/// A command as the file has it.
fn escaped(command: &str) -> String {
    let arguments = command.split_once(' ').map_or("", |(_, arguments)| arguments);
    let special = if is_expression(arguments) { "#" } else { ",:=#" };
    with_backslashes(command, |_, letter| special.contains(letter))
}

fn mistake_in_command(command: &str) -> Option<(String, &'static str)> {
    let (program, arguments) = command.split_once(' ').unwrap_or((command, ""));
    let refuse = |message: &str, help| Some((format!("{command:?} {message}"), help));
    if command.contains(char::is_control) {
        return refuse("has several lines", "one element is one command");
    }
    match program.strip_prefix('!').unwrap_or(program) {
        "ALL" if arguments.is_empty() => return None,
        "list" => return None,
        "sudoedit" if arguments.starts_with('/') => {}
        "sudoedit" => return refuse("would let every file be edited", "name the file: \"sudoedit /etc/motd\""),
        path if path.ends_with("/sudoedit") => {
            return refuse("is no command of sudo", "write `sudoedit` without a path");
        }
        path if path.starts_with('/') => {}
        path if path.starts_with("^/") && is_expression(path) => {}
        _ => return refuse("has no absolute path", "sudo runs nothing else"),
    }
    match arguments {
        "\"\"" => None,
        _ if arguments.starts_with('^') != arguments.ends_with('$') => {
            refuse("has half a regular expression", "it begins with `^`, ends with `$`, and stands for all arguments")
        }
        _ if !is_expression(arguments) && command.contains(['\\', '"']) => {
            refuse("has a quote or a backslash, which sudo reads in its own way", "use `content`")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
