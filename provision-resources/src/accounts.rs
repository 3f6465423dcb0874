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

use crate::password::{self, Form};

/// What is wrong with the name of a user or group.
///
/// The rule is that of useradd(8) and groupadd(8) of Debian 13. Debian 12 takes more: letters of all languages and most
/// signs, numbers among them, which other programs take for numbers. Its adduser(8) warns of them, and they would be refused
/// after an upgrade.
pub(crate) fn name_mistake(attribute: &str, name: &str) -> Option<AttributeError> {
    let stem = name.strip_suffix('$').unwrap_or(name);
    let is_start = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = stem.starts_with(is_start) && stem.chars().all(|c| is_start(c) || c == '-');
    if is_name && !is_number && ![".", ".."].contains(&name) && name.len() <= 32 {
        return None;
    }
    let (message, help) = match name {
        _ if is_number && !name.is_empty() => ("is a number, and no name for a user or group", "put a letter into it"),
        _ => (
            "is not a name for a user or group",
            "a name has at most 32 characters: letters of English, digits, `.`, `_` and `-`, which it does not begin with",
        ),
    };
    Some(AttributeError::new(attribute, format!("{name:?} {message}")).help(help))
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
        match password::form_of(text) {
            Form::Hash => None,
            Form::Broken(method) => {
                let message = format!("it begins like a hash of {method}, and no password can match it; see crypt(5)");
                refuse(&message, "copy the whole hash, or make one with `mkpasswd -m yescrypt`")
            }
            Form::Other => {
                refuse("it is not the hash of a password as crypt(5) has it; a password itself is refused", make)
            }
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
        // What stands in the place of a text may be a password as well, such as a number, and serde would show it.
        let text = Text::deserialize(deserializer).map_err(|error| match error.to_string() {
            message if message.starts_with("invalid type") => serde::de::Error::custom(
                "it has to be a text in quotes, `{ secret = \"name\" }` or `{ secret_template = \"…\" }`",
            ),
            _ => error,
        })?;
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
    fn names_are_those_that_useradd_takes_on_all_releases() {
        let longest = "abcdefghijklmnopqrstuvwxyz012345";
        for good in [
            "deploy",
            "_apt",
            "www-data",
            "machine$",
            "systemd-network",
            "Debian-exim",
            "john.doe",
            "John",
            "1abc",
            "A_B",
            ".a",
            "1.5",
            "a-",
            "_",
            "2000$",
            longest,
        ] {
            assert_eq!(name_mistake("", good), None, "{good}");
        }
        for bad in [
            "",
            "$",
            "-x",
            "a b",
            "a:b",
            "a,b",
            "a/b",
            "ü",
            "123",
            ".",
            "..",
            "a$b",
            "a@b",
            "DOM+user",
            "+a",
            "~a",
            "#a",
            "a\n",
            "abcdefghijklmnopqrstuvwxyz0123456",
        ] {
            assert!(name_mistake("", bad).is_some(), "{bad}");
        }
    }

    /// What crypt(3) of Debian 12 and 13 makes of `test`.
    const HASHES: [&str; 14] = [
        "$y$j9T$abcdefgh$4aYJlpUYBQ/CwvNaNZWyJ8iEiOSOhXhXiF4pD9oU0p6",
        "$y$j9T$$6tN6tt5mmPHxQskcf5Oi7Sb.1nKYbi5cOZgTiMq7Qw4",
        "$gy$j9T$abcdefgh$FlpqzL7y.1.d2Gtea8XQLMLfWz3Db8iBQJmObXu86J2",
        "$7$CU..../....abcdefgh$QoGc8orTFLWfnVR53sl429LSCetd3m9DhEv64ri9OG7",
        "$2b$05$abcdefghijklmnopqrstuuMceFj4VbmHOj8C7PetMxzZkwre/z.Ri",
        "$2y$05$abcdefghijklmnopqrstuuMceFj4VbmHOj8C7PetMxzZkwre/z.Ri",
        "$6$salt$xdLuw21n.5WciQUUpHTTPfR6QwS..Z1Q/4xGfiyYa51WSQktzSXYXSk2zBp.Is5r9WiXrGqRmHpEG0iG0HaSk.",
        "$6$rounds=5000$salt$xdLuw21n.5WciQUUpHTTPfR6QwS..Z1Q/4xGfiyYa51WSQktzSXYXSk2zBp.Is5r9WiXrGqRmHpEG0iG0HaSk.",
        "$5$salt$lNwM/2EW94.5e484ZZwetUClB7.Z/Z3buPmQvXdPEj4",
        "$sha1$100$salt$w8w7OZcwHomPsJ/EfqIle2tebA3D",
        "$md5$abcdefgh$$fsXZYniEdNaHXBdDwPHxc/",
        "$md5,rounds=10$abcdefgh$$7sbDn48IjBXJDL8e/eqE11",
        "$1$salt$No6gqynaE4urT3jScs91F/",
        "$3$$0cb6948805f797bf2a82807973b89537",
    ];

    #[test]
    fn only_hashes_that_a_password_can_match_are_passwords() {
        let hash = |text: &str| PasswordHash(Text::from(text));
        for good in HASHES.into_iter().chain(["*", "!"]) {
            assert_eq!(hash(good).mistake(), None, "{good}");
        }
        for whole in HASHES {
            // One letter too few or too many, or one that is none.
            let last = whole.len() - 1;
            for bad in [whole[..last].to_owned(), format!("{whole}a"), format!("{}:", &whole[..last])] {
                let mistake = hash(&bad).mistake().expect(&bad);
                assert!(mistake.message.contains("begins like a hash of") && !format!("{mistake:?}").contains(&bad));
            }
        }
        for bad in [
            "",
            "hunter2",
            "!$6$salt$hash",
            "$6$salt",
            "$6$salt$short",
            "$$a$b",
            "$6$salt$",
            "$6$a:b$c",
            "$y$a b$c$d",
            "!!",
            "x",
            "abgOeLfPimXQo",
            "$6$rounds=x$salt$a",
            "$2b$99$abc",
            "$9$a$b",
        ] {
            let mistake = hash(bad).mistake().expect(bad);
            assert!(bad.len() < 3 || !format!("{mistake:?}").contains(bad), "{mistake:?}");
        }
        assert_eq!(digest_of_password(&format!("!{}", HASHES[0])), hash(HASHES[0]).digest().unwrap());
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
