//! The resource type `logrotate`.

use std::collections::BTreeMap;

use derive_setters::Setters;
use provision_core::error::Result;
use provision_core::fragment::{Fragment, file_in, managed};
use provision_core::path::HostPath;
use provision_core::resource::{AttributeError, Claim, Contradiction, Declared, ResourceId, Target};
use provision_core::secret::Text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::access::{is_account, needs_account};
use crate::ensure::Ensure;
use crate::settings::{Kind, Mistakes, Program, Scalar};

/// Logs that logrotate rotates: a file in `/etc/logrotate.d`; see logrotate(8).
///
/// What is unset is as in `/etc/logrotate.conf`. logrotate fails, every night, for a log that is not there without `missingok`, and
/// for one in a directory that others than root can write to without `su`, with the owner of the directory. It skips all of a file that
/// names a log of another one, such as one that a package brought; `ignoreduplicates` skips that log alone. `hourly` needs another
/// schedule of `logrotate.timer`, which is daily on Debian. A log that is new is first rotated after one interval.
///
/// ```nickel
/// logrotate.app = {
///   paths = ["/var/log/app/*.log"],
///   settings = {
///     daily = true, rotate = 14, compress = true, missingok = true, su = "app adm", create = "0640 app adm",
///     sharedscripts = true, postrotate = "systemctl kill --signal=HUP app.service || true",
///   },
/// },
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct Logrotate {
    /// Whether it is there.
    pub ensure: Ensure,
    /// The logs: absolute paths, or patterns such as `"/var/log/app/*.log"`. Required if it is present.
    pub paths: Vec<String>,
    /// The settings, by their names in logrotate(8): `true` for a word alone, and `false` for its opposite, such as `nocompress`.
    /// Scripts have as many lines as they need, without `endscript`.
    pub settings: BTreeMap<String, Scalar>,
}

/// What the value of a setting can be.
enum Value {
    /// True or false.
    Flag,
    /// True or false, and no word says false.
    Word,
    /// When to rotate: true or false; `weekly` may have a day.
    Interval,
    /// A number from this on.
    Count(i64),
    Size,
    /// True, false, or a mode with owner and group.
    Access,
    /// A user and a group.
    Account,
    Line,
    /// A line, or false.
    LineOrNone,
    Script,
}

const LOGROTATE: Program<Value> = Program {
    name: "logrotate",
    page: "logrotate(8)",
    settings: &[
        (
            Value::Flag,
            "allowhardlink compress copy copytruncate dateext delaycompress ifempty missingok renamecopy \
             sharedscripts shred",
        ),
        (Value::Word, "datehourago dateyesterday ignoreduplicates mailfirst maillast"),
        (Value::Interval, "hourly daily weekly monthly yearly"),
        (Value::Count(-1), "rotate"),
        (Value::Count(0), "maxage minage start"),
        (Value::Count(1), "shredcycles"),
        (Value::Size, "maxsize minsize size"),
        (Value::Access, "create createolddir"),
        (Value::Account, "su"),
        (Value::Line, "addextension compresscmd compressext compressoptions dateformat extension uncompresscmd"),
        (Value::LineOrNone, "mail olddir"),
        (Value::Script, "firstaction lastaction postrotate preremove prerotate"),
    ],
};

/// Whether logrotate of Debian 12 or 13 ignores files with this extension; see `tabooext` in logrotate(8).
fn is_taboo(extension: &str) -> bool {
    let begins = ["dpkg-", "rhn-cfg-tmp-", "rpm", "ucf-"];
    "bak cfsaved disabled new old orig swp".split(' ').any(|taboo| taboo == extension)
        || begins.iter().any(|begin| extension.starts_with(begin))
}

impl Logrotate {
    fn is_on(&self, key: &str) -> bool {
        self.settings.get(key).is_some_and(|value| *value != Scalar::Flag(false))
    }

    /// The accounts that `create`, `createolddir` and `su` name, as pairs of a user and a group.
    fn accounts(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = |key| match self.settings.get(key) {
            Some(Scalar::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        ["create", "createolddir", "su"].into_iter().filter_map(text).filter_map(|text| {
            let words: Vec<&str> = text.split(' ').collect();
            if let [.., user, group] = words[..] { Some((user, group)) } else { None }
        })
    }
}

impl Fragment for Logrotate {
    const TYPE: &'static str = "logrotate";
    const READERS: &'static [&'static str] = &["logrotate"];

    fn is_present(&self) -> bool {
        self.ensure == Ensure::Present
    }

    fn place(&self, id: &ResourceId) -> Result<HostPath> {
        file_in("/etc/logrotate.d", id.name())
    }

    fn text(&self, id: &ResourceId) -> Result<Text> {
        let paths: String = self.paths.iter().map(|path| format!("\"{path}\"\n")).collect();
        let lines: String = self.settings.iter().filter_map(|(key, value)| line(key, value)).collect();
        Ok(format!("{}{paths}{{\n{lines}}}\n", managed("#", id)).into())
    }

    /// The lines without comments; those of a script as they are.
    fn means(&self, text: &str) -> Option<serde_json::Value> {
        let is_script = |word: &str| matches!(LOGROTATE.kind(word), Some(Value::Script));
        let (mut lines, mut script) = (Vec::new(), false);
        if text.contains(|c: char| c.is_control() && c != '\n' && c != '\t') {
            return None;
        }
        for line in text.split('\n') {
            let trimmed = line.trim_matches([' ', '\t']);
            let word = trimmed.split([' ', '\t', '=']).next()?;
            if script && trimmed != "endscript" {
                lines.push(line);
            } else if script || !trimmed.is_empty() && !trimmed.starts_with('#') {
                script = !script && is_script(word);
                lines.push(trimmed);
            }
            // logrotate takes it for the beginning or the end of a script, whatever follows.
            if (is_script(word) || word.starts_with("endscript")) && trimmed != word {
                return None;
            }
        }
        Some(json!(lines))
    }

    fn also_claims(&self, _: &ResourceId) -> Vec<Claim> {
        let named = |name: &&str| needs_account(name);
        let accounts = self.accounts().filter(|_| self.is_present()).flat_map(|(user, group)| {
            let user = Some(user).filter(named).map(|user| Claim::needs(Target::User(user.to_owned())));
            let group = Some(group).filter(named).map(|group| Claim::needs(Target::Group(group.to_owned())));
            user.into_iter().chain(group)
        });
        accounts.collect()
    }

    /// logrotate skips the whole of a file that names a log of another one.
    fn contradictions(&self, id: &ResourceId, site: &Declared<'_>) -> Vec<Contradiction> {
        let is_present = |other: &Logrotate| self.is_present() && other.is_present();
        let others = site.all::<Logrotate>().filter(|(other, declared)| id < *other && is_present(declared));
        let shared = others.filter_map(|(other, declared)| {
            let path = self.paths.iter().find(|path| declared.paths.contains(path))?;
            Some((other, path))
        });
        shared
            .map(|(other, path)| Contradiction {
                path: vec!["paths".to_owned()],
                other: other.clone(),
                other_path: vec!["paths".to_owned()],
                message: format!("both rotate {path}, and logrotate skips all of the second file then"),
                help: "name each log once".to_owned(),
            })
            .collect()
    }

    fn mistakes(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut mistakes = Mistakes::default();
        mistakes.require_plain_name(id, "logrotate", "_.-");
        if let Some((_, extension)) = id.name().rsplit_once('.').filter(|(_, extension)| is_taboo(extension)) {
            mistakes.refuse(&[], format!("logrotate ignores files that end in `.{extension}`"), "use another name");
        }
        if !self.is_present() {
            return mistakes.0;
        }
        if self.paths.is_empty() {
            mistakes.refuse(&["paths"], "no log is named", "such as [\"/var/log/app/*.log\"]");
        }
        for (place, path) in self.paths.iter().enumerate() {
            let mut refuse = |message: &str, help: &str| {
                mistakes.refuse(&["paths", &place.to_string()], format!("{path:?} {message}"), help);
            };
            if !path.starts_with('/') || path.contains(|c: char| c.is_control() || "\"'\\".contains(c)) {
                refuse("is no absolute path", "absolute, without quotes and backslashes");
            } else if path.ends_with('*') && !self.is_on("olddir") {
                refuse("means rotated logs as well", "end it, such as `*.log`, or set `olddir`");
            } else if path.contains(['{', '}']) {
                refuse("has a brace, at which logrotate takes the paths to end", "write a pattern of each, or `*`");
            } else if self.paths[..place].contains(path) {
                refuse("is named twice, and logrotate skips the whole file then", "leave one out");
            }
        }
        for (key, value) in &self.settings {
            match opposite(key) {
                Some(word) => {
                    let message = format!("it is the opposite of `{word}`");
                    mistakes.refuse(&["settings", key], message, format!("set `{word} = false`"));
                }
                None => LOGROTATE.check(key, value, &mut mistakes),
            }
        }
        // The later one counts, without a word.
        let is_when = |key: &&str| *key == "size" || matches!(LOGROTATE.kind(key), Some(Value::Interval));
        let when: Vec<&str> = LOGROTATE.keys().filter(is_when).filter(|key| self.is_on(key)).collect();
        if let [first, second, ..] = when[..] {
            let help = "keep one; `maxsize` and `minsize` go with intervals";
            mistakes.refuse(&["settings", second], format!("`{first}` and `{second}` exclude each other"), help);
        }
        for copies in ["copy", "copytruncate"].into_iter().filter(|copies| self.is_on(copies) && self.is_on("create")) {
            let message = format!("with `{copies}` nothing is created");
            mistakes.refuse(&["settings", "create"], message, "keep one of them");
        }
        mistakes.0
    }
}

/// The setting that a word such as `nocompress` is the opposite of.
fn opposite(word: &str) -> Option<&str> {
    let positive = if word == "notifempty" { "ifempty" } else { word.strip_prefix("no")? };
    let has_opposite = matches!(LOGROTATE.kind(positive), Some(Value::Flag | Value::Access | Value::LineOrNone));
    has_opposite.then_some(positive)
}

/// The line of a setting, or the lines of a script.
fn line(key: &str, value: &Scalar) -> Option<String> {
    Some(match (LOGROTATE.kind(key), value) {
        (_, Scalar::Flag(true)) => format!("    {key}\n"),
        (Some(Value::Word | Value::Interval), Scalar::Flag(false)) => return None,
        (_, Scalar::Flag(false)) => format!("    no{}{key}\n", if key == "ifempty" { "t" } else { "" }),
        (Some(Value::Script), script) => {
            format!("    {key}\n{}\n    endscript\n", script.to_string().trim_end_matches('\n'))
        }
        _ => format!("    {key} {value}\n"),
    })
}

impl Kind for Value {
    fn has(&self, key: &str, value: &Scalar) -> bool {
        match (self, value) {
            (Value::Flag | Value::Word | Value::Interval | Value::Access, Scalar::Flag(_)) => true,
            (Value::LineOrNone, Scalar::Flag(flag)) => !flag,
            // From Sunday on; 7 is every seven days.
            (Value::Interval, Scalar::Number(day)) => key == "weekly" && (0..=7).contains(day),
            (Value::Count(least), Scalar::Number(number)) => (*least..=i64::from(i32::MAX)).contains(number),
            (Value::Size, Scalar::Number(number)) => *number >= 0,
            (Value::Size, Scalar::Text(text)) => {
                let digits = text.strip_suffix(['k', 'M', 'G']).unwrap_or(text);
                !digits.is_empty() && digits.len() < 10 && digits.bytes().all(|byte| byte.is_ascii_digit())
            }
            (Value::Access, Scalar::Text(text)) => match text.split(' ').collect::<Vec<_>>()[..] {
                [mode] => is_mode(mode),
                [mode, user, group] => is_mode(mode) && is_account(user) && is_account(group),
                _ => false,
            },
            (Value::Account, Scalar::Text(text)) => {
                text.split_once(' ').is_some_and(|(user, group)| is_account(user) && is_account(group))
            }
            // logrotate reads one word of these.
            (_, Scalar::Text(text)) if ["mail", "compresscmd", "uncompresscmd"].contains(&key) => {
                !text.is_empty()
                    && !text.contains(|letter: char| {
                        letter.is_whitespace() || letter.is_control() || "\"'".contains(letter)
                    })
            }
            (Value::Line | Value::LineOrNone, Scalar::Text(text)) => {
                let is_odd = |c: char| c.is_control() || "#\"'\\{}".contains(c);
                let dates = key != "dateformat"
                    || text.split('%').skip(1).all(|rest| rest.starts_with(['Y', 'm', 'd', 'H', 'M', 'S', 'V', 's']));
                !text.is_empty() && text.trim() == text && !text.contains(is_odd) && dates
            }
            (Value::Script, Scalar::Text(text)) => {
                let ends = |line: &str| line.trim_start_matches([' ', '\t']).starts_with("endscript");
                !text.trim().is_empty()
                    && !text.lines().any(ends)
                    && !text.contains(|c: char| c.is_control() && c != '\n' && c != '\t')
            }
            _ => false,
        }
    }

    fn help(&self) -> String {
        let help = match self {
            Value::Flag | Value::Word => "true or false",
            Value::Interval => "true or false; `weekly` may be a day from 0 (Sunday) to 6",
            Value::Count(-1) => "a number, or -1 to remove none",
            Value::Count(_) => "a number",
            Value::Size => "a number of bytes, or with k, M or G, such as \"100M\"",
            Value::Access => "true, false, or a mode with owner and group, such as \"0640 root adm\"",
            Value::Account => "a user and a group, such as \"app adm\"",
            Value::Line => "one line, without quotes; a `dateformat` has %Y, %m, %d, %H, %M, %S, %V and %s",
            Value::LineOrNone => "one line, without quotes, or false",
            Value::Script => "the lines of a script, without `endscript`",
        };
        help.to_owned()
    }
}

/// Four digits: logrotate of Debian 13 takes fewer for a user where an owner follows.
fn is_mode(word: &str) -> bool {
    word.len() == 4 && word.starts_with('0') && word.bytes().all(|byte| (b'0'..=b'7').contains(&byte))
}

#[cfg(test)]
mod tests;
