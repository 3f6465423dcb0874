//! The resource type `cron`.

use std::collections::BTreeMap;

use derive_setters::Setters;
use provision_core::error::Result;
use provision_core::fragment::{Fragment, file_in, is_plain_name, managed};
use provision_core::path::HostPath;
use provision_core::resource::{AttributeError, Claim, ResourceId, Target};
use provision_core::secret::Text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ensure::Ensure;

/// A job that cron runs, in a file of its own in `/etc/cron.d`.
///
/// The command is what the shell gets: `%` and `\`, which cron would take for something else, are escaped. A file that says the
/// same in other words, with other comments, is left as it is. A job with `@reboot` first runs after the next boot, and a host
/// whose cron runs with `-l` reads only names in lower case. For another time zone or a random delay use systemd's timers.
///
/// ```nickel
/// cron.backup = { schedule = "30 3 * * *", command = "/usr/local/bin/backup --day $(date +%d)", user = "backup" },
/// cron.warm = { schedule = "@reboot", command = "/usr/local/bin/warm" },
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct Cron {
    /// Whether the job is there.
    pub ensure: Ensure,
    /// When it runs: five fields (minute, hour, day of the month, month, day of the week) as crontab(5) has them, or `@hourly`,
    /// `@daily`, `@weekly`, `@monthly`, `@yearly` or `@reboot`. A job with a day of the month and a day of the week runs on both.
    /// Required if it is present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// The line that the shell runs. Required if it is present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The user that runs it; root by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Variables of its environment, such as `MAILTO`; `$` is not special in them.
    pub environment: BTreeMap<String, String>,
}

impl Cron {
    /// A job that runs on a schedule.
    pub fn new(schedule: impl Into<String>, command: impl Into<String>) -> Cron {
        Cron { schedule: Some(schedule.into()), command: Some(command.into()), ..Cron::default() }
    }

    fn runs_as(&self) -> &str {
        self.user.as_deref().unwrap_or("root")
    }
}

impl Fragment for Cron {
    const TYPE: &'static str = "cron";
    const READERS: &'static [&'static str] = &["cron", "cron-daemon"];

    fn is_present(&self) -> bool {
        self.ensure == Ensure::Present
    }

    fn place(&self, id: &ResourceId) -> Result<HostPath> {
        file_in("/etc/cron.d", id.name())
    }

    fn text(&self, id: &ResourceId) -> Result<Text> {
        let variable = |(name, value): (&String, &String)| format!("{name}={}\n", quoted(value));
        let environment: String = self.environment.iter().map(variable).collect();
        let (schedule, command) = (self.schedule.as_deref().unwrap_or_default(), self.command.as_deref());
        // do_command.c of cron: before a backslash and a percent sign a backslash goes, and no other.
        let command = line_of(command.unwrap_or_default()).replace('\\', "\\\\").replace('%', "\\%");
        Ok(format!("{}{environment}{schedule} {} {command}\n", managed("#", id), self.runs_as()).into())
    }

    /// Lines without comments, each as its words: what cron reads.
    fn means(&self, text: &str) -> Option<Value> {
        let complete = text.strip_suffix('\n')?;
        if complete.contains(|c: char| c.is_control() && c != '\n' && c != '\t') {
            return None;
        }
        let lines = complete.split('\n').map(|line| line.trim_matches([' ', '\t']));
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        Some(json!(lines.map(words).collect::<Vec<_>>()))
    }

    fn also_claims(&self, _: &ResourceId) -> Vec<Claim> {
        let user = self.user.as_ref().filter(|user| *user != "root" && self.is_present());
        user.map(|user| Claim::needs(Target::User(user.clone()))).into_iter().collect()
    }

    fn mistakes(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut mistakes = Vec::new();
        let mut refuse = |attribute: &str, message: String, help: &str| {
            mistakes.push(AttributeError::new(attribute, message).help(help));
        };
        // cron(8), Debian: names as run-parts(8) has them; all others are ignored silently.
        if !is_plain_name(id.name(), b"-_") {
            refuse("", format!("cron passes over a file named {:?}", id.name()), "use letters, digits, `-` and `_`");
        }
        if !self.is_present() {
            return mistakes;
        }
        match &self.schedule {
            None => refuse("schedule", "a job needs a `schedule`".into(), "such as \"30 3 * * *\" or \"@daily\""),
            Some(schedule) => {
                if let Some(message) = mistake_in_schedule(schedule) {
                    refuse("schedule", message, "such as \"30 3 * * *\" or \"@daily\"");
                }
            }
        }
        let command = self.command.as_deref().map(line_of).unwrap_or_default();
        let length = command.len() + command.matches(['%', '\\']).count();
        if command.trim().is_empty() {
            refuse("command", "a job needs a `command`".into(), "the line that the shell runs");
        } else if command.contains(char::is_control) {
            refuse(
                "command",
                "a job is one line, without control characters".into(),
                "put more into a script, and run that",
            );
        } else if command.contains("\\%") {
            refuse("command", "`%` is escaped already".into(), "write `%` without a backslash");
        } else if length > 998 {
            // crontab(5)
            refuse("command", "cron takes at most 998 characters".into(), "put more into a script, and run that");
        }
        // It is asked for by getpwnam(3), so a number is a name.
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == ':';
        if self.runs_as().bytes().all(|byte| byte.is_ascii_digit()) || self.runs_as().contains(is_odd) {
            refuse("user", format!("{:?} is not the name of a user", self.runs_as()), "such as \"root\"");
        }
        for (name, value) in &self.environment {
            if let Some((message, help)) = mistake_in_variable(name, value) {
                mistakes.push(AttributeError::at(vec!["environment".to_owned(), name.clone()], message).help(help));
            }
        }
        mistakes
    }
}

/// The words of a line that blanks stand between, and what cron takes as it is: a command, or a variable.
fn words(line: &str) -> Vec<&str> {
    let is_variable = line.split_once('=').is_some_and(|(name, _)| !name.trim().contains([' ', '\t']));
    let most = match line {
        _ if is_variable => 0,
        _ if line.starts_with('@') => 2,
        _ => FIELDS.len() + 1,
    };
    let mut words = Vec::new();
    let mut rest = line;
    while words.len() < most
        && let Some((word, after)) = rest.split_once([' ', '\t'])
    {
        words.push(word);
        rest = after.trim_start();
    }
    words.push(rest);
    words
}

/// A value in quotes, which keep the blanks at its ends; see crontab(5).
fn quoted(value: &str) -> String {
    if value.contains('"') { format!("'{value}'") } else { format!("\"{value}\"") }
}

/// A text without the line end that a block of text in a site ends with.
fn line_of(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

fn mistake_in_variable(name: &str, value: &str) -> Option<(String, &'static str)> {
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    Some(match name {
        _ if name.is_empty() || !is_name || name.starts_with(|first: char| first.is_ascii_digit()) => {
            (format!("{name:?} is not the name of a variable"), "letters, digits and `_`")
        }
        "LOGNAME" | "USER" => ("cron sets it to the user of the job".to_owned(), "say `user`"),
        "CRON_TZ" | "RANDOM_DELAY" => (format!("Debian's cron does not know {name}"), "use a timer of systemd"),
        "PATH" if value.contains(['$', '~']) => {
            ("cron replaces nothing in the values of variables".to_owned(), "write all directories out")
        }
        _ if value.contains(char::is_control) || (value.contains('"') && value.contains('\'')) => {
            let message = "cron has no way to write a value with control characters, or with both kinds of quotes";
            (message.to_owned(), "set it in a script, and run that")
        }
        _ if name.len() + value.len() > 990 => ("cron takes at most 990 characters".to_owned(), "set it in a script"),
        _ => return None,
    })
}

const SPECIAL: [&str; 8] = ["@reboot", "@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"];

/// What each field ranges over, and the names it may have instead, from the first number on.
const FIELDS: [(&str, u32, u32, &[&str]); 5] = [
    ("a minute", 0, 59, &[]),
    ("an hour", 0, 23, &[]),
    ("a day of the month", 1, 31, &[]),
    ("a month", 1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    ("a day of the week", 0, 7, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

fn mistake_in_schedule(schedule: &str) -> Option<String> {
    if SPECIAL.contains(&schedule) {
        return None;
    }
    if schedule.starts_with('@') {
        return Some(format!("cron does not know {schedule:?}; it knows {}", SPECIAL.join(", ")));
    }
    if schedule.contains(|c: char| c.is_control() && c != '\t') {
        return Some("a schedule is one line".into());
    }
    let fields: Vec<&str> = schedule.split([' ', '\t']).filter(|field| !field.is_empty()).collect();
    if fields.len() != FIELDS.len() {
        return Some(format!("a schedule has five fields, and {schedule:?} has {}", fields.len()));
    }
    let is_wrong = |(field, (_, least, most, names)): &(&&str, (&str, u32, u32, &[&str]))| {
        !field.split(',').all(|part| is_part(part, *least, *most, names))
    };
    let (field, (noun, least, most, _)) = fields.iter().zip(FIELDS).find(is_wrong)?;
    Some(format!(
        "{field:?} is not {noun}: a number from {least} to {most}, a range such as {least}-{most}, `*`, or `*/2`"
    ))
}

/// A number or a name, a range or a star; these two with a step perhaps. See crontab(5); that ranges may have names too, its
/// page denies, and entry.c does not. A range that runs backwards is taken, and never comes.
fn is_part(part: &str, least: u32, most: u32, names: &[&str]) -> bool {
    let number = |text: &str| {
        if let Some(place) = names.iter().position(|name| text.eq_ignore_ascii_case(name)) {
            return Some(least + place as u32);
        }
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number: &u32| is_number && (least..=most).contains(number))
    };
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (part, None),
    };
    let fits = match range.split_once('-') {
        _ if range == "*" => true,
        Some((from, to)) => number(from).zip(number(to)).is_some_and(|(from, to)| from <= to),
        None => number(range).is_some() && step.is_none(),
    };
    fits && step.is_none_or(|step| step.parse().is_ok_and(|step: u32| (1..=most - least).contains(&step)))
}

#[cfg(test)]
mod tests;
