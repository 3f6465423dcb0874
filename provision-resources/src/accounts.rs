//! What users and groups share: names, numbers, hashes of passwords and days.

use std::borrow::Cow;
use std::fmt;

use provision_core::effect::Sensitive;
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::resource::AttributeError;
use provision_core::secret::Text;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// What is wrong with the name of a user or group.
///
/// The rule is that of useradd(8) and of adduser(8) on Debian, which also takes the names that Debian's own packages use,
/// such as `Debian-exim`.
pub(crate) fn name_mistake(attribute: &str, name: &str) -> Option<AttributeError> {
    let tail = name.strip_prefix("Debian-").unwrap_or(name);
    let tail = tail.strip_suffix('$').unwrap_or(tail);
    let start = |c: char| c.is_ascii_lowercase() || c == '_';
    let rest = |c: char| start(c) || c.is_ascii_digit() || c == '-';
    if tail.starts_with(start) && tail.chars().all(rest) && name.len() <= 32 {
        return None;
    }
    Some(AttributeError::new(attribute, format!("{name:?} is not a name for a user or group")).help(
        "a name has at most 32 characters: lower case letters, digits, `-` and `_`, and begins with a letter or `_`",
    ))
}

/// What is wrong with the number of a user or group: two of them stand for "none" in system calls; see
/// <https://systemd.io/UIDS-GIDS>.
pub(crate) fn number_mistake(attribute: &str, number: Option<u32>) -> Option<AttributeError> {
    let number = number.filter(|number| [0xffff, u32::MAX].contains(number))?;
    Some(
        AttributeError::new(attribute, format!("{number} cannot be used: the system takes it for no number at all"))
            .help("ordinary numbers are 1000 to 59999, those of the system 100 to 999"),
    )
}

/// The hash of a password as crypt(5) has it, or the secret that holds it. It is never shown and never written down.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Text);

impl PasswordHash {
    pub(crate) fn text(&mut self) -> &mut Text {
        &mut self.0
    }

    /// The hash.
    pub(crate) fn sensitive(&self) -> Result<Sensitive> {
        let hash = self.hash()?;
        match self.mistake_in(hash) {
            // What a secret stands for is seen only now.
            Some(mistake) if self.0.is_secret() => {
                let error = Error::new(ErrorKind::Invalid, format!("the secret of `password`: {}", mistake.message));
                Err(mistake.help.map_or(error.clone(), |help| error.with_hint(help)))
            }
            _ => Ok(Sensitive::new(hash)),
        }
    }

    /// The hash; without the line break that `mkpasswd` ends it with when its output is made a secret.
    fn hash(&self) -> Result<&str> {
        let text = self.0.reveal()?;
        Ok(if self.0.is_secret() { text.strip_suffix('\n').unwrap_or(text) } else { text })
    }

    /// Whether it is `!`, which allows no password until another one is set.
    pub(crate) fn is_lock(&self) -> bool {
        self.hash().is_ok_and(|text| text == "!")
    }

    /// See [`digest_of_password`].
    pub(crate) fn digest(&self) -> Result<String> {
        self.sensitive().map(|hash| self.digest_beside(hash.reveal()))
    }

    /// Stands for the entry of the shadow file that is compared with it: if it is a secret, by a digest that only the host
    /// can make.
    pub(crate) fn digest_beside(&self, entry: &str) -> String {
        let digest = digest_of_password(entry);
        let hash = entry.trim_start_matches('!').as_bytes();
        match self.0.digest(hash).filter(|_| digest.starts_with("sha256:")) {
            Some(keyed) => format!("<sensitive {keyed}>"),
            None => digest,
        }
    }

    /// What is wrong with it, without saying what it is.
    pub(crate) fn mistake(&self) -> Option<AttributeError> {
        // A secret is read when a host is looked at.
        self.mistake_in(self.0.reveal().ok()?)
    }

    fn mistake_in(&self, text: &str) -> Option<AttributeError> {
        let refuse = |message: &str, help: &str| Some(AttributeError::new("password", message).help(help));
        let make = "make a hash with `mkpasswd -m yescrypt`, or say \"*\" for no password";
        if text.is_empty() {
            return refuse("an empty password would let anybody in", make);
        }
        if text == "*" || text == "!" {
            return None;
        }
        if text.starts_with("!$") {
            return refuse("a hash with `!` before it is a locked one", "write the hash alone, and `locked = true`");
        }
        let mut parts = text.split('$');
        let is_hash = parts.next() == Some("")
            && parts.clone().count() >= 3
            && parts
                .next()
                .is_some_and(|method| !method.is_empty() && method.bytes().all(|b| b.is_ascii_alphanumeric()))
            && parts.next_back().is_some_and(|hash| !hash.is_empty())
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !b":;*!\\".contains(&byte));
        match is_hash {
            true => None,
            false => refuse("it is not the hash of a password as crypt(5) has it; a password itself is refused", make),
        }
    }
}

/// Stands for the hash of a password where two states are compared and shown. Its lock is left out, for it is shown by itself;
/// all ways to have no password are one.
fn digest_of_password(entry: &str) -> String {
    match entry.trim_start_matches('!') {
        "" if entry.is_empty() => "empty".to_owned(),
        "" | "*" => "none".to_owned(),
        hash => {
            let digest = Sha256::digest(hash.as_bytes());
            let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            format!("sha256:{hex}")
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_secret() { self.0.fmt(f) } else { f.write_str(Sensitive::HIDDEN) }
    }
}

impl Serialize for PasswordHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.reveal() {
            Ok(hash) if !self.0.is_secret() => Sensitive::new(hash).serialize(serializer),
            _ => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for PasswordHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PasswordHash, D::Error> {
        let text = Text::deserialize(deserializer)?;
        if text.reveal().is_ok_and(|text| text == Sensitive::HIDDEN) {
            return Err(serde::de::Error::custom("a sensitive value is not written down, so it cannot be read back"));
        }
        Ok(PasswordHash(text))
    }
}

impl JsonSchema for PasswordHash {
    fn schema_name() -> Cow<'static, str> {
        "PasswordHash".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Text::json_schema(generator)
    }
}

/// A day, as the date of a site (`2030-12-31`), or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Day(pub(crate) Option<i64>);

impl Day {
    /// Reads `YYYY-MM-DD` or `never`. The first days of 1970 are left out: shadow(5) advises against 0.
    pub(crate) fn parse(text: &str) -> Option<Day> {
        if text == "never" {
            return Some(Day(None));
        }
        let mut parts = text.split('-');
        let mut number = |length: usize| {
            let part = parts.next().filter(|part| part.len() == length && part.bytes().all(|b| b.is_ascii_digit()))?;
            part.parse::<i64>().ok()
        };
        let (year, month, day) = (number(4)?, number(2)?, number(2)?);
        let days = days_of(year, month, day);
        let exists = parts.next().is_none() && days > 0 && Day(Some(days)).to_string() == text;
        exists.then_some(Day(Some(days)))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(days) = self.0 else { return f.write_str("never") };
        // The inverse of `days_of`, by the same source.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// Days since 1970-01-01, as <https://howardhinnant.github.io/date_algorithms.html> computes them.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_those_of_debian() {
        for good in ["deploy", "_apt", "www-data", "machine$", "systemd-network", "Debian-exim"] {
            assert_eq!(name_mistake("", good), None, "{good}");
        }
        for bad in
            ["", "$", "1st", "-x", "Deploy", "a.b", "a b", "a:b", "ü", "Debian-", "abcdefghijklmnopqrstuvwxyz0123456"]
        {
            assert!(name_mistake("", bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn only_hashes_are_passwords() {
        let hash = |text: &str| PasswordHash(Text::from(text));
        for good in ["*", "!", "$y$j9T$abc$def", "$6$salt$hash/.", "$2b$12$abcdef", "$6$rounds=5000$salt$hash"] {
            assert_eq!(hash(good).mistake(), None, "{good}");
        }
        for bad in ["", "hunter2", "!$6$salt$hash", "$6$salt", "$$a$b", "$6$salt$", "$6$a:b$c", "$y$a b$c$d", "!!", "x"]
        {
            let mistake = hash(bad).mistake().expect(bad);
            assert!(bad.len() < 3 || !format!("{mistake:?}").contains(bad), "{mistake:?}");
        }
        assert_eq!(digest_of_password("!$6$a$b"), hash("$6$a$b").digest().unwrap());
        assert_eq!(
            [hash("*").digest().unwrap(), digest_of_password("!*"), digest_of_password("")],
            ["none", "none", "empty"]
        );
    }

    #[test]
    fn days_are_counted_from_1970() {
        assert_eq!(Day::parse("1970-01-02"), Some(Day(Some(1))));
        assert_eq!(Day::parse("2024-02-29").map(|day| day.0), Some(Some(19_782)));
        assert_eq!(Day::parse("never"), Some(Day(None)));
        for wrong in ["", "2023-02-29", "2024-13-01", "2024-1-1", "1970-01-01", "1969-12-31", "2024-01-01-", "soon"] {
            assert_eq!(Day::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_day_survives_text(days in 1i64..2_900_000) {
            let day = Day(Some(days));
            prop_assert_eq!(Day::parse(&day.to_string()), Some(day));
        }
    }
}
