//! A stand-in for Debian's versions; see deb-version(7).

use std::cmp::Ordering;
use std::str::FromStr;

/// A version of a package.
#[derive(Clone, Debug)]
pub struct Version(String);

impl Version {
    /// Takes a version as it is.
    pub fn new(text: &str) -> Version {
        Version(text.to_owned())
    }

    fn parts(&self) -> (u64, &str, &str) {
        let (epoch, rest) = self.0.split_once(':').unwrap_or(("0", &self.0));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch.parse().unwrap_or(0), upstream, revision)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Version) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Version) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Version) -> Ordering {
        let (left, right) = (self.parts(), other.parts());
        left.0.cmp(&right.0).then_with(|| compare(left.1, right.1)).then_with(|| compare(left.2, right.2))
    }
}

fn compare(left: &str, right: &str) -> Ordering {
    let weight = |c: Option<&u8>| match c {
        Some(b'~') => -1,
        None => 0,
        Some(c) if c.is_ascii_digit() => 0,
        Some(c) if c.is_ascii_alphabetic() => i32::from(*c),
        Some(c) => i32::from(*c) + 256,
    };
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    while !left.is_empty() || !right.is_empty() {
        while left.first().is_some_and(|c| !c.is_ascii_digit()) || right.first().is_some_and(|c| !c.is_ascii_digit()) {
            let order = weight(left.first()).cmp(&weight(right.first()));
            if order != Ordering::Equal {
                return order;
            }
            left = left.get(1..).unwrap_or_default();
            right = right.get(1..).unwrap_or_default();
        }
        let number = |text: &mut &[u8]| {
            let length = text.iter().take_while(|c| c.is_ascii_digit()).count();
            let (digits, rest) = text.split_at(length);
            *text = rest;
            digits
                .iter()
                .fold(0u128, |number, digit| number.saturating_mul(10).saturating_add(u128::from(digit - b'0')))
        };
        let order = number(&mut left).cmp(&number(&mut right));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Bounds of a version, such as `>= 1.2, << 2`.
#[derive(Clone, Debug)]
pub struct Constraint(Vec<(String, Version)>);

impl Constraint {
    /// Whether a version lies within the bounds.
    pub fn allows(&self, version: &Version) -> bool {
        self.0.iter().all(|(operator, bound)| match operator.as_str() {
            ">=" => version >= bound,
            ">>" => version > bound,
            "<=" => version <= bound,
            "<<" => version < bound,
            _ => version == bound,
        })
    }
}

impl FromStr for Constraint {
    type Err = String;
    fn from_str(text: &str) -> Result<Constraint, String> {
        let bound = |part: &str| {
            let part = part.trim();
            let operator = [">=", ">>", "<=", "<<", "="].into_iter().find(|operator| part.starts_with(operator));
            match operator.map(|operator| (operator, part[operator.len()..].trim())) {
                Some((operator, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => {
                    Ok((operator.to_owned(), Version::new(version)))
                }
                _ => Err(format!("{part:?} is not a bound such as \">= 1.2\"")),
            }
        };
        text.split(',').map(bound).collect::<Result<_, _>>().map(Constraint)
    }
}
