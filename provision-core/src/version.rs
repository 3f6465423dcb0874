//! The order of versions as `deb-version(7)` has it, and bounds of versions.

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// In the order of `dpkg --compare-versions`; see deb-version(7), "Sorting algorithm".
    #[test]
    fn versions_sort_as_dpkg_has_them() {
        let ascending = [
            "0~~",
            "0~",
            "0",
            "1.0~beta1~svn1245",
            "1.0~beta1",
            "1.0",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1+deb12u1",
            "1.0-2",
            "1.0a",
            "1.0+dfsg",
            "1.0.1",
            "1.2",
            "1.10",
            "2:0.1",
            "10:0",
        ];
        for pair in ascending.windows(2) {
            assert!(Version::new(pair[0]) < Version::new(pair[1]), "{} < {}", pair[0], pair[1]);
        }
        assert_eq!(Version::new("1.0"), Version::new("0:1.0"));
        assert_eq!(Version::new("1.0"), Version::new("1.0-0"));
        assert_eq!(Version::new("1.01"), Version::new("1.1"));
    }

    #[test]
    fn bounds_are_read_and_held() {
        let allows = |bounds: &str, version: &str| bounds.parse::<Constraint>().unwrap().allows(&Version::new(version));
        assert!(allows(">= 1.2, << 2", "1.10-3"));
        assert!(!allows(">= 1.2, << 2", "2"));
        assert!(allows("= 1.0", "0:1.0"));
        for wrong in ["", "1.2", "> 1.2", ">= ", ">= x"] {
            assert!(wrong.parse::<Constraint>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in "[0-9a-z.~+:-]{0,8}", b in "[0-9a-z.~+:-]{0,8}", c in "[0-9a-z.~+:-]{0,8}") {
            let (a, b, c) = (Version::new(&a), Version::new(&b), Version::new(&c));
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }
    }
}
