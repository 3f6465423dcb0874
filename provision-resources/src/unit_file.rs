//! The syntax of systemd's unit files, and the faults in them that systemd ignores: systemd.syntax(7), systemd.unit(5).

use std::collections::BTreeMap;

use provision_core::diagnostic::did_you_mean;
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{HostView, HostViewExt, UnitState};
use provision_core::path::HostPath;
use provision_core::resource::{AttributeError, Claim, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where an administrator's unit files are.
pub(crate) const DIRECTORY: &str = "/etc/systemd/system";

/// The sections of a unit file, each with its settings.
pub type Sections = BTreeMap<String, BTreeMap<String, Setting>>;

/// A setting: one value, or several, each on a line of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a setting is a text, a number, true, false, null, or an array of these")]
pub enum Setting {
    /// Once.
    One(Value),
    /// Several times, in this order.
    Several(Vec<Value>),
}

/// A value of a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a value is a text, a number, true, false or null")]
pub enum Value {
    /// `yes` or `no`.
    Switch(bool),
    /// A number.
    Number(i64),
    /// As it is.
    Text(String),
    /// None, which empties the list of earlier values.
    Reset(()),
}

impl From<&str> for Setting {
    fn from(text: &str) -> Setting {
        Setting::One(Value::Text(text.to_owned()))
    }
}

/// The assignments of each section, in order: what systemd reads.
pub(crate) type Assignments = BTreeMap<String, Vec<(String, String)>>;

/// What sections assign.
pub(crate) fn assignments(sections: &Sections) -> Assignments {
    let line = |key: &String, value: &Value| {
        let value = match value {
            Value::Switch(true) => "yes".to_owned(),
            Value::Switch(false) => "no".to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Text(text) => text.clone(),
            Value::Reset(()) => String::new(),
        };
        (key.clone(), value)
    };
    let lines = |(key, setting): (&String, &Setting)| match setting {
        Setting::One(value) => vec![line(key, value)],
        Setting::Several(values) => values.iter().map(|value| line(key, value)).collect(),
    };
    sections.iter().map(|(name, settings)| (name.clone(), settings.iter().flat_map(lines).collect())).collect()
}

/// The text of a unit file, with `[Unit]` first and `[Install]` last, as in manuals.
pub(crate) fn render(sections: &Sections) -> String {
    let mut sections: Vec<_> = assignments(sections).into_iter().collect();
    sections.sort_by_key(|(name, _)| (name == "Install", name != "Unit"));
    let line = |(key, value): &(String, String)| format!("{key}={value}\n");
    let section =
        |(name, lines): &(String, Vec<_>)| format!("[{name}]\n{}", lines.iter().map(line).collect::<String>());
    sections.iter().map(section).collect::<Vec<_>>().join("\n")
}

/// Reads a unit file as `config_parse()` of systemd does. `None` if a line is none that systemd takes, or may mean something else
/// to it.
pub(crate) fn parse(text: &str) -> Option<Assignments> {
    const BLANKS: [char; 2] = [' ', '\t'];
    // An empty file masks the unit.
    if text.is_empty() || text.contains(|c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{feff}') {
        return None;
    }
    let mut read = Assignments::new();
    let (mut section, mut line) = (None, String::new());
    // A last line may go on, into nothing.
    for next in text.split('\n').chain(["", ""]) {
        if next.trim_start_matches(BLANKS).starts_with(['#', ';']) {
            continue;
        }
        line.push_str(next);
        if goes_on(&line) {
            line.pop();
            line.push(' ');
            continue;
        }
        let whole = std::mem::take(&mut line);
        let whole = whole.trim_matches(BLANKS);
        if let Some(header) = whole.strip_prefix('[') {
            section = Some(read.entry(header.strip_suffix(']')?.to_owned()).or_default());
        } else if !whole.is_empty() {
            let (key, value) = whole.split_once('=')?;
            let (key, value) = (key.trim_matches(BLANKS), value.trim_matches(BLANKS));
            section.as_mut()?.push((key.to_owned(), value.to_owned()));
        }
    }
    read.retain(|_, lines| !lines.is_empty());
    Some(read)
}

/// Whether the next line belongs to this one: a backslash ends it that no other one escapes.
fn goes_on(line: &str) -> bool {
    (line.len() - line.trim_end_matches('\\').len()) % 2 == 1
}

/// The kinds of units, each with the section of its own and the settings of which systemd wants one to load it.
const KINDS: [(&str, &str, &[&str]); 11] = [
    ("automount", "Automount", &["Where"]),
    ("device", "", &[]),
    ("mount", "Mount", &["What"]),
    ("path", "Path", &["PathExists", "PathExistsGlob", "PathChanged", "PathModified", "DirectoryNotEmpty"]),
    ("scope", "Scope", &[]),
    ("service", "Service", &["ExecStart", "ExecStop", "SuccessAction"]),
    ("slice", "Slice", &[]),
    ("socket", "Socket", &["Listen*"]),
    ("swap", "Swap", &["What"]),
    ("target", "", &[]),
    ("timer", "Timer", &["On*"]),
];

/// The parts of the name of a unit: what stands before the dot, and its kind. See systemd.unit(5).
pub(crate) fn parts_of(name: &str) -> Option<(&str, &'static str)> {
    let (stem, suffix) = name.rsplit_once('.')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    let is_unit = !stem.is_empty() && !stem.starts_with('@') && name.len() <= 255 && stem.bytes().all(plain);
    kind(suffix).filter(|_| is_unit).map(|kind| (stem, kind))
}

/// The kind of units that a suffix stands for.
pub(crate) fn kind(suffix: &str) -> Option<&'static str> {
    KINDS.iter().map(|(kind, ..)| *kind).find(|kind| *kind == suffix)
}

/// Where an administrator has the file of a unit.
pub(crate) fn file_of(unit: &str) -> Option<HostPath> {
    HostPath::new(&format!("{DIRECTORY}/{unit}")).ok()
}

/// The unit of this name, which has to be there for something that depends on it.
pub(crate) fn existing(unit: &str, needed_by: &str, host: &dyn HostView) -> Result<UnitState> {
    // A template has no state, and each of its instances has.
    let found = host.unit(&unit.replace("@.", "@x."))?;
    if found.exists() {
        return Ok(found);
    }
    let message = format!("{needed_by} would have no effect: there is no unit {unit}");
    let hint = "declare the package that brings it or its unit file, or correct the name";
    Err(Error::new(ErrorKind::NotFound, message).with_hint(hint))
}

/// A mistake in an assignment: its section, its key if it is about one, what is wrong, and what helps.
pub(crate) type Mistake<'a> = (&'a str, Option<&'a str>, String, String);

/// A mistake as one of a record of sections.
pub(crate) fn in_settings((section, key, message, help): Mistake<'_>) -> AttributeError {
    let path = ["settings", section].into_iter().chain(key).map(str::to_owned).collect();
    AttributeError::at(path, message).help(help)
}

/// A mistake as one of a text.
pub(crate) fn in_text(attribute: &str, (section, key, message, help): Mistake<'_>) -> AttributeError {
    let place = key.map_or(String::new(), |key| format!(" {key}="));
    AttributeError::new(attribute, format!("[{section}]{place}: {message}")).help(help)
}

/// What systemd would ignore, and what would keep a unit of a kind from being loaded. A drop-in only adds to a unit.
pub(crate) fn mistakes<'a>(kind: &str, read: &'a Assignments, is_drop_in: bool) -> Vec<Mistake<'a>> {
    let mut mistakes = Vec::new();
    let (_, own, needed) = KINDS.iter().find(|(name, ..)| *name == kind).copied().unwrap_or_default();
    let fitting: Vec<&str> = ["Unit", own, "Install"].into_iter().filter(|name| !name.is_empty()).collect();
    for (section, lines) in read {
        let wrong = match section.as_str() {
            "Install" if is_drop_in => Some((
                "systemd reads [Install] only while it enables the unit, which may be enabled already".to_owned(),
                "declare the link, such as symlink.\"/etc/systemd/system/multi-user.target.wants/app.service\""
                    .to_owned(),
            )),
            name if fitting.contains(&name) || (name.starts_with("X-") && is_plain(name)) => None,
            name => Some((
                format!("systemd ignores a section [{name}] in a {kind}"),
                format!("its sections are {}", fitting.join(", ")),
            )),
        };
        match wrong {
            Some((message, help)) => mistakes.push((section.as_str(), None, message, help)),
            None => mistakes.extend(lines.iter().filter_map(|(key, value)| in_line(section, key, value))),
        }
    }
    let of = |section: &str| read.get(section).map(Vec::as_slice).unwrap_or_default();
    mistakes.extend(in_commands(of("Service"), is_drop_in));
    let is_needed = |key: &str| needed.iter().any(|needed| key.starts_with(needed.trim_end_matches('*')));
    let is_complete = needed.is_empty() || of(own).iter().any(|(key, value)| is_needed(key) && !value.is_empty());
    if !is_drop_in && !is_complete {
        let message = format!("systemd does not load a {kind} without {}=", needed.join("= or "));
        mistakes.push((own, None, message, format!("set one of them in [{own}]")));
    }
    mistakes
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Dependencies are only ever added; see systemd.unit(5), "Example 2".
const DEPENDENCIES: [&str; 18] = [
    "After",
    "Before",
    "BindsTo",
    "Conflicts",
    "JoinsNamespaceOf",
    "OnFailure",
    "OnSuccess",
    "PartOf",
    "PropagatesReloadTo",
    "PropagatesStopTo",
    "ReloadPropagatedFrom",
    "Requires",
    "RequiresMountsFor",
    "Requisite",
    "StopPropagatedFrom",
    "Upholds",
    "Wants",
    "WantsMountsFor",
];

/// systemd.unit(5), "Specifiers", and what stood for control groups.
const SPECIFIERS: &str = "aAbBcCdDEfgGhHiIjJlLmMnNopPqrRsStTuUvVwWyY%";

fn in_line<'a>(section: &'a str, key: &'a str, value: &str) -> Option<Mistake<'a>> {
    // Names of other programs, which systemd leaves to them.
    let is_foreign = section.starts_with("X-") || key.starts_with("X-");
    let (message, help) = if !is_foreign && is_newer(section, key).is_none() {
        let near = did_you_mean(key, settings_of(section).map(|(key, _)| key));
        let help = near.map_or("correct its name".into(), |near| format!("did you mean `{near}`?"));
        (format!("systemd knows no setting {key}= in [{section}], and ignores it"), help)
    } else if !is_plain(key) || value.contains(|c: char| c.is_control() && c != '\t') {
        ("a setting is one line, without control characters".into(), "an array repeats a setting".into())
    } else if value.trim_matches([' ', '\t']) != value {
        (format!("systemd takes the blanks around {value:?} away"), "leave them out".into())
    } else if goes_on(value) {
        ("a backslash at the end joins the next line".into(), "leave it out, or write two".into())
    } else if is_foreign {
        return None;
    } else if value.is_empty() && DEPENDENCIES.contains(&key) {
        let help = "declare the whole unit without it, with `override = true`";
        (format!("systemd ignores an empty {key}=: dependencies can only be added"), help.into())
    } else if let Some(specifier) = unknown_specifier(value) {
        (format!("systemd knows no specifier %{specifier}, and ignores the setting"), "a percent sign is `%%`".into())
    } else if key.starts_with("Exec") && !["ExecPaths", "ExecSearchPath"].contains(&key) {
        in_command(value)?
    } else if key == "Environment" {
        in_environment(value)?
    } else {
        return None;
    };
    Some((section, Some(key), message, help))
}

fn unknown_specifier(value: &str) -> Option<char> {
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('%') {
        let next = after.chars().next()?;
        if next.is_ascii_alphanumeric() && !SPECIFIERS.contains(next) {
            return Some(next);
        }
        rest = after.strip_prefix('%').unwrap_or(after);
    }
    None
}

/// The words of a value, quotes removed; `None` if a quote is open. See systemd.syntax(7), "Quoting".
fn words(value: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.get_or_insert_default().extend(['\\'].into_iter().chain(characters.next())),
            _ if quote == Some(character) => quote = None,
            '"' | '\'' if quote.is_none() => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            ' ' | '\t' if quote.is_none() => words.extend(word.take()),
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// systemd.service(5), "Command lines": a program has an absolute path, or is found by its name.
fn in_command(value: &str) -> Option<(String, String)> {
    let Some(words) = words(value) else { return Some(open_quote(value)) };
    let program = words.first()?.trim_start_matches(['@', '-', ':', '+', '!', '|']);
    let is_relative = program.contains('/') && !program.starts_with(['/', '%']);
    (program.is_empty() || is_relative || program.ends_with('/')).then(|| {
        let message =
            format!("{program:?} is neither an absolute path nor the name of a program, and systemd ignores it");
        (message, "write its absolute path".into())
    })
}

fn in_environment(value: &str) -> Option<(String, String)> {
    let Some(words) = words(value) else { return Some(open_quote(value)) };
    let is_name =
        |name: &str| !name.starts_with(|first: char| first.is_ascii_digit()) && is_plain(name) && !name.contains('-');
    let is_wrong = |word: &&String| word.split_once('=').is_none_or(|(name, _)| !is_name(name) && !name.contains('%'));
    let word = words.iter().find(is_wrong)?;
    Some((format!("systemd ignores {word:?}, which sets no variable"), "such as \"\\\"NAME=several words\\\"\"".into()))
}

fn open_quote(value: &str) -> (String, String) {
    (
        format!("a quote is open in {value:?}, and systemd ignores the setting"),
        "close it, or escape it with a backslash".into(),
    )
}

/// All values of a setting, in order.
fn values_of<'a>(lines: &'a [(String, String)], wanted: &str) -> Vec<&'a str> {
    lines.iter().filter(|(key, _)| key == wanted).map(|(_, value)| value.as_str()).collect()
}

/// A service has one command, unless it is `Type=oneshot`; see systemd.service(5).
fn in_commands(service: &[(String, String)], is_drop_in: bool) -> Option<Mistake<'static>> {
    let commands = values_of(service, "ExecStart");
    let last_reset = commands.iter().rposition(|command| command.is_empty());
    let count = commands.len() - last_reset.map_or(0, |place| place + 1);
    let (message, help) = match last_reset {
        _ if commands.is_empty() => return None,
        Some(_) if count == 0 => {
            ("the service would have no command", "let the new one follow: [null, \"/usr/bin/app\"]")
        }
        _ if values_of(service, "Type").last() == Some(&"oneshot") => return None,
        _ if count > 1 => ("systemd does not load a service with several commands", "set Type = \"oneshot\" as well"),
        None if is_drop_in => (
            "the service would have two commands, and systemd would not load it",
            "empty the list first: [null, \"/usr/bin/app\"]; if both are to run, set Type = \"oneshot\" as well",
        ),
        _ => return None,
    };
    Some(("Service", Some("ExecStart"), message.into(), help.into()))
}

/// The settings that a section may have, each with whether only the newer systemd knows it.
fn settings_of(section: &str) -> impl Iterator<Item = (&'static str, bool)> {
    let runs_processes = ["Service", "Socket", "Mount", "Swap"].contains(&section);
    let has_resources = runs_processes || ["Slice", "Scope"].contains(&section);
    let groups = include_str!("unit_file/settings.txt").split('[').skip(1).filter_map(|group| group.split_once(']'));
    let fits = move |name: &str, section: &str| {
        name == section || (name == "Exec" && runs_processes) || (name == "Resources" && has_resources)
    };
    let section = section.to_owned();
    let fitting = groups.filter(move |(name, _)| fits(name, &section));
    let settings = fitting.flat_map(|(_, settings)| settings.split_whitespace());
    settings.map(|setting| setting.strip_suffix('+').map_or((setting, false), |setting| (setting, true)))
}

/// Whether only systemd 257 knows a setting, and 252 does not; `None` if neither does.
fn is_newer(section: &str, key: &str) -> Option<bool> {
    settings_of(section).find(|(known, _)| *known == key).map(|(_, is_newer)| is_newer)
}

/// Fails where systemd is too old for a setting, and would ignore it.
pub(crate) fn require_known(read: &Assignments, host: &dyn HostView) -> Result<()> {
    let newer = |(section, lines): (&'_ String, &'_ Vec<(String, String)>)| {
        let newest = lines.iter().find(|(key, _)| is_newer(section, key) == Some(true));
        newest.map(|(key, _)| format!("{key}= in [{section}]"))
    };
    let Some(setting) = read.iter().find_map(newer) else { return Ok(()) };
    let version = host.package("systemd")?.version.unwrap_or_default();
    let number: Option<u32> =
        version.split(|c: char| !c.is_ascii_digit()).next().and_then(|number| number.parse().ok());
    if number.is_none_or(|number| number >= 257) {
        return Ok(());
    }
    let message = format!("systemd {version} does not know {setting}, and would ignore it");
    Err(Error::new(ErrorKind::Unsupported, message).with_hint("leave it out on hosts of Debian 12"))
}

/// The accounts that a unit needs.
pub(crate) fn accounts(read: &Assignments) -> Vec<Claim> {
    let last = |section: &str, wanted: &str| {
        let lines = read.get(section).map(Vec::as_slice).unwrap_or_default();
        values_of(lines, wanted).last().map(|value| (*value).to_owned())
    };
    if last("Service", "DynamicUser").is_some_and(|value| !["no", "false", "off", "0"].contains(&value.as_str())) {
        return Vec::new();
    }
    let needed = |name: Option<String>, target: fn(String) -> Target| {
        let name = name.filter(|name| !name.is_empty() && !name.contains('%') && crate::access::needs_account(name));
        name.map(|name| Claim::needs(target(name)))
    };
    let users = [last("Service", "User"), last("Socket", "SocketUser")].map(|name| needed(name, Target::User));
    let groups = [last("Service", "Group"), last("Socket", "SocketGroup")].map(|name| needed(name, Target::Group));
    users.into_iter().chain(groups).flatten().collect()
}

#[cfg(test)]
mod tests;
