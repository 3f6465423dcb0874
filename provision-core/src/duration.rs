//! [`Duration`]: a span of time as sites write it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time: a whole number and its unit, such as `"30s"`, `"5m"`, `"2h"` or `"1d"`.
#[derive(Clone, PartialEq, Eq)]
pub struct Duration {
    text: String,
    seconds: u64,
}

/// A hundred years, in seconds: clocks of the operating system cannot be asked to count any number of them.
const LONGEST: u64 = 36_500 * 86_400;

impl Duration {
    /// A number of days.
    pub fn days(days: u32) -> Duration {
        Duration { text: format!("{days}d"), seconds: u64::from(days) * 86_400 }
    }

    /// A number of seconds.
    pub fn seconds(seconds: u32) -> Duration {
        Duration { text: format!("{seconds}s"), seconds: seconds.into() }
    }

    /// Its length in seconds.
    pub fn as_seconds(&self) -> u64 {
        self.seconds
    }
}

/// In whole seconds, rounded up, and at most the longest duration there is.
impl From<std::time::Duration> for Duration {
    fn from(duration: std::time::Duration) -> Duration {
        let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0)).min(LONGEST);
        Duration { text: format!("{seconds}s"), seconds }
    }
}

impl FromStr for Duration {
    type Err = Error;
    fn from_str(text: &str) -> Result<Duration, Error> {
        let unit = match text.as_bytes().last() {
            Some(b's') => Some(1),
            Some(b'm') => Some(60),
            Some(b'h') => Some(3600),
            Some(b'd') => Some(86_400),
            _ => None,
        };
        let digits = text.get(..text.len().saturating_sub(1)).unwrap_or_default();
        let number = digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
        match (number, unit) {
            (Some(number), Some(unit)) => match number.checked_mul(unit).filter(|seconds| *seconds <= LONGEST) {
                Some(seconds) => Ok(Duration { text: text.to_owned(), seconds }),
                None => Err(Error::new(ErrorKind::Invalid, format!("{text:?} is too long"))
                    .with_hint("a duration is at most 36500 days")),
            },
            _ => Err(Error::new(ErrorKind::Invalid, format!("{text:?} is not a duration"))
                .with_hint("a duration is a whole number and its unit, s, m, h or d, such as \"30s\" or \"1d\"")),
        }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|error: Error| {
            serde::de::Error::custom(format_args!("{}: {}", error.message(), error.hint().unwrap_or_default()))
        })
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+[smhd]$", "x-nickel": "Duration" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit() {
        assert_eq!("90m".parse::<Duration>().unwrap().as_seconds(), 5400);
        assert_eq!(Duration::days(1), "1d".parse().unwrap());
        for wrong in ["", "5", "d", "-1d", "1w", "1.5h", "1 d", "é", "9223372036854775807s", "36501d"] {
            assert!(wrong.parse::<Duration>().is_err(), "{wrong}");
        }
    }
}
