//! The resource type `pam_limits`.

use std::collections::BTreeMap;
use std::fmt;

use derive_setters::Setters;
use provision_core::error::Result;
use provision_core::fragment::{Fragment, file_in, is_plain_name, managed};
use provision_core::path::HostPath;
use provision_core::resource::{AttributeError, Claim, ResourceId, Target};
use provision_core::secret::Text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::access::needs_account;
use crate::ensure::Ensure;
use crate::settings::Mistakes;

/// Limits of what users may use in a session: a file in `/etc/security/limits.d`; see limits.conf(5).
///
/// They hold for sessions that begin afterwards (login, ssh, su, sudo, cron), and not for services of systemd, which have `LimitNOFILE=`
/// and the like in their units. `*` and groups do not mean root. A line for a user beats those for groups and for all, whatever
/// the order of files.
///
/// ```nickel
/// pam_limits.deploy = { domain = "deploy", settings = { nofile = { soft = 4096, hard = 65536 }, core = 0 } },
/// pam_limits.developers = { domain = "@developers", settings.nproc = "unlimited" },
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct PamLimits {
    /// Whether the limits are there.
    pub ensure: Ensure,
    /// Whom they are for: a user, `"@group"`, `"*"` for all but root, or numbers of users such as `"1000:2000"`. Required if they are
    /// present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The limits, by item: a number or `"unlimited"` for both, or `{ soft = 1024, hard = 4096 }`. Sizes (`as`, `core`, `data`, `fsize`,
    /// `memlock`, `rss`, `stack`) are in KiB, `cpu` is in minutes, `msgqueue` in bytes.
    pub settings: BTreeMap<String, Limit>,
}

/// A limit: one for both, or each of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a limit is a number, \"unlimited\", or a record with `soft` or `hard`")]
pub enum Limit {
    /// The soft and the hard one.
    Both(Amount),
    /// Each of its own.
    Each(Each),
}

/// A soft limit, which a user can raise up to the hard one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Each {
    /// What holds at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soft: Option<Amount>,
    /// What holds at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hard: Option<Amount>,
}

/// An amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "an amount is a number or \"unlimited\"")]
pub enum Amount {
    /// So much.
    Number(i64),
    /// `unlimited`.
    Word(String),
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Number(number) => number.fmt(f),
            Amount::Word(word) => word.fmt(f),
        }
    }
}

/// The items of limits.conf(5) that are numbers, with what they range over and whether they may be unlimited. PAM ignores
/// others, with a message for its developers.
const ITEMS: [(&str, i64, i64, bool); 19] = [
    ("as", 0, i64::MAX, true),
    ("core", 0, i64::MAX, true),
    ("cpu", 0, i64::MAX, true),
    ("data", 0, i64::MAX, true),
    ("fsize", 0, i64::MAX, true),
    ("locks", 0, i64::MAX, true),
    // With 0 no session begins any more.
    ("maxlogins", 1, i64::MAX, true),
    ("maxsyslogins", 1, i64::MAX, true),
    ("memlock", 0, i64::MAX, true),
    ("msgqueue", 0, i64::MAX, true),
    ("nice", -20, 19, false),
    // PAM ignores more than the kernel's fs.nr_open; that is never above this, see nr_open in proc(5).
    ("nofile", 16, 2_147_483_584, false),
    ("nonewprivs", 0, 1, false),
    ("nproc", 2, i64::MAX, true),
    ("priority", -20, 19, false),
    ("rss", 0, i64::MAX, true),
    ("rtprio", 0, 99, false),
    ("sigpending", 0, i64::MAX, true),
    ("stack", 64, i64::MAX, true),
];

impl PamLimits {
    /// The lines: type, item and amount.
    fn lines(&self) -> Vec<(&'static str, &str, &Amount)> {
        let mut lines = Vec::new();
        for (item, limit) in &self.settings {
            match limit {
                Limit::Both(amount) => lines.push(("-", item.as_str(), amount)),
                Limit::Each(Each { soft, hard }) => {
                    lines.extend(soft.iter().map(|amount| ("soft", item.as_str(), amount)));
                    lines.extend(hard.iter().map(|amount| ("hard", item.as_str(), amount)));
                }
            }
        }
        lines
    }
}

impl Fragment for PamLimits {
    const TYPE: &'static str = "pam_limits";
    const READERS: &'static [&'static str] = &["libpam-modules"];

    fn is_present(&self) -> bool {
        self.ensure == Ensure::Present
    }

    fn place(&self, id: &ResourceId) -> Result<HostPath> {
        file_in("/etc/security/limits.d", &format!("{}.conf", id.name()))
    }

    fn text(&self, id: &ResourceId) -> Result<Text> {
        let domain = self.domain.as_deref().unwrap_or_default();
        let line = |(kind, item, amount)| format!("{domain} {kind} {item} {amount}\n");
        Ok((managed("#", id) + &self.lines().into_iter().map(line).collect::<String>()).into())
    }

    /// The words of each line without comments; amounts that mean the same are the same.
    fn means(&self, text: &str) -> Option<Value> {
        let words = |line: &str| -> Vec<String> {
            let line = line.split('#').next().unwrap_or_default();
            let blanks = line.split([' ', '\t']).filter(|word| !word.is_empty());
            let mut words: Vec<String> = blanks.map(str::to_owned).collect();
            words.iter_mut().skip(1).for_each(|word| word.make_ascii_lowercase());
            let is_signed = words.get(2).is_some_and(|item| item == "nice" || item == "priority");
            let is_none = |amount: &&mut String| ["infinity", "-1", "-"].contains(&amount.as_str());
            if let Some(amount) = words.get_mut(3).filter(|amount| !is_signed && is_none(amount)) {
                "unlimited".clone_into(amount);
            }
            words
        };
        Some(json!(text.lines().map(words).filter(|words| !words.is_empty()).collect::<Vec<_>>()))
    }

    fn also_claims(&self, _: &ResourceId) -> Vec<Claim> {
        let Some(domain) = self.domain.as_deref().filter(|_| self.is_present()) else { return Vec::new() };
        let (target, name): (fn(String) -> Target, _) = match domain.strip_prefix('@') {
            Some(group) => (Target::Group, group),
            None => (Target::User, domain),
        };
        let is_name = !name.contains(':') && !name.starts_with(['*', '%']) && needs_account(name);
        is_name.then(|| Claim::needs(target(name.to_owned()))).into_iter().collect()
    }

    fn mistakes(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut mistakes = Mistakes::default();
        let mut refuse = |path: &[&str], message: String, help: &str| mistakes.refuse(path, message, help);
        if !is_plain_name(id.name(), b"_.-") {
            refuse(
                &[],
                format!("{:?} cannot be the name of limits", id.name()),
                "use letters, digits, `-`, `_` and `.`",
            );
        }
        if !self.is_present() {
            return mistakes.0;
        }
        let help = "a user, \"@group\", \"*\" for all, or numbers of users such as \"1000:2000\" and \":1000\"";
        match self.domain.as_deref() {
            None => refuse(&["domain"], "limits need a `domain`".into(), help),
            Some(domain) if !is_domain(domain) => {
                refuse(&["domain"], format!("PAM would find no user by {domain:?}"), help);
            }
            Some(_) => {}
        }
        if self.lines().is_empty() {
            refuse(&["settings"], "there is no limit".into(), "such as settings.nofile = 65536");
        }
        for (kind, item, amount) in self.lines() {
            if let Some((message, help)) = mistake_in(item, amount) {
                let path: &[&str] = if kind == "-" { &["settings", item] } else { &["settings", item, kind] };
                refuse(path, message, help);
            }
        }
        for (item, limit) in &self.settings {
            if let Limit::Each(Each { soft: Some(soft), hard: Some(hard) }) = limit
                && is_more(soft, hard)
            {
                refuse(
                    &["settings", item, "soft"],
                    format!("{soft} is more than the hard limit"),
                    "raise `hard` as well",
                );
            }
        }
        mistakes.0
    }
}

/// Whether it stands for users; see limits.conf(5). `%` is for `maxlogins` alone, and a pattern for nothing.
fn is_domain(domain: &str) -> bool {
    let subject = domain.strip_prefix('@').unwrap_or(domain);
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten();
    match subject.split_once(':') {
        _ if domain == "*" => true,
        Some(("", most)) => number(most).is_some(),
        Some((least, "")) => number(least).is_some(),
        Some((least, most)) => number(least).zip(number(most)).is_some_and(|(least, most)| least <= most),
        None => {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-$\\".contains(&byte);
            number(subject).is_none()
                && !subject.is_empty()
                && !subject.starts_with('-')
                && subject.bytes().all(is_letter)
        }
    }
}

fn is_more(one: &Amount, other: &Amount) -> bool {
    match (one, other) {
        (Amount::Number(one), Amount::Number(other)) => one > other,
        (Amount::Word(_), Amount::Number(_)) => true,
        (_, Amount::Word(_)) => false,
    }
}

fn mistake_in(item: &str, amount: &Amount) -> Option<(String, &'static str)> {
    let Some((_, least, most, may_be_unlimited)) = ITEMS.iter().find(|(known, ..)| *known == item) else {
        let known: Vec<&str> = ITEMS.iter().map(|(known, ..)| *known).collect();
        return Some((format!("PAM does not know {item:?}; it knows {}", known.join(", ")), "see limits.conf(5)"));
    };
    match amount {
        Amount::Word(word) if word == "unlimited" && *may_be_unlimited => None,
        Amount::Word(word) if word == "unlimited" => {
            Some((format!("`{item}` cannot be unlimited"), "write the number that is meant"))
        }
        Amount::Word(word) => Some((format!("{word:?} is no amount"), "a number without a unit, or \"unlimited\"")),
        Amount::Number(number) if (least..=most).contains(&number) => None,
        Amount::Number(number) if *most == i64::MAX => {
            Some((format!("{number} is too little for `{item}`: it is at least {least}"), "\"unlimited\" for no limit"))
        }
        Amount::Number(number) => Some((
            format!("{number} cannot be the limit of `{item}`: it is from {least} to {most}"),
            "see limits.conf(5)",
        )),
    }
}

#[cfg(test)]
mod tests;
