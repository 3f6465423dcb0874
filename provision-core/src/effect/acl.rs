//! [`Acl`]: an access control list, and the extended attribute that file systems keep it in.
//!
//! See `acl(5)` for what a list means, and `linux/posix_acl_xattr.h` for how it is encoded.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ErrorKind, Result};
use crate::path::Mode;

/// Whom an entry of an access control list speaks of; written `user:deploy`, `group:`, `mask:`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AclSubject {
    /// The user that owns the file.
    Owner,
    /// A user, by name or number.
    User(String),
    /// The group of the file.
    OwningGroup,
    /// A group, by name or number.
    Group(String),
    /// The most that users and groups get; what a mode shows for the group.
    Mask,
    /// Everybody else.
    Other,
}

/// An access control list: who may read (4), write (2) and execute (1).
///
/// In an effect it holds what goes beyond the mode: the entries of users and groups, and that of the owning group where
/// it gets less than the mode shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    entries: BTreeMap<AclSubject, u8>,
}

const VERSION: [u8; 4] = [2, 0, 0, 0];
/// What stands for the number where an entry has none.
const NO_ID: u32 = u32::MAX;

impl Acl {
    /// With an entry; only the lowest three bits of the permissions count.
    #[must_use]
    pub fn with(mut self, subject: AclSubject, permissions: u8) -> Acl {
        self.entries.insert(subject, permissions & 7);
        self
    }

    /// The entries, in the order of the kernel.
    pub fn entries(&self) -> impl Iterator<Item = (&AclSubject, u8)> {
        self.entries.iter().map(|(subject, permissions)| (subject, *permissions))
    }

    /// What an entry permits.
    pub fn get(&self, subject: &AclSubject) -> Option<u8> {
        self.entries.get(subject).copied()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// With other names for users and groups.
    ///
    /// # Errors
    /// Those of `rename`.
    pub fn renamed(self, rename: impl Fn(AclSubject) -> Result<AclSubject>) -> Result<Acl> {
        let renamed = self.entries.into_iter().map(|(subject, permissions)| Ok((rename(subject)?, permissions)));
        Ok(Acl { entries: renamed.collect::<Result<_>>()? })
    }

    /// What goes beyond a mode: nothing, if the list says no more than the mode does.
    #[must_use]
    pub fn beyond(mut self, mode: Mode) -> Acl {
        self.entries.retain(|subject, permissions| match subject {
            AclSubject::Owner | AclSubject::Mask | AclSubject::Other => false,
            AclSubject::OwningGroup => *permissions != bits(mode, 3),
            AclSubject::User(_) | AclSubject::Group(_) => true,
        });
        self
    }

    /// The whole list of a file with a mode, whose group bits are the mask; none if the mode says it all.
    pub fn over(&self, mode: Mode) -> Option<Acl> {
        let mut whole = self.clone().beyond(mode);
        if whole.is_empty() {
            return None;
        }
        whole.entries.entry(AclSubject::OwningGroup).or_insert(bits(mode, 3));
        whole.entries.insert(AclSubject::Mask, bits(mode, 3));
        whole.entries.insert(AclSubject::Owner, bits(mode, 6));
        whole.entries.insert(AclSubject::Other, bits(mode, 0));
        Some(whole)
    }

    /// The whole list for new files of a directory with a mode: what is left out is as the mode has it, and the mask
    /// lets everything through. None if the list is empty.
    pub fn completed(&self, mode: Mode) -> Option<Acl> {
        if self.is_empty() {
            return None;
        }
        let mut whole = self.clone();
        whole.entries.entry(AclSubject::Owner).or_insert(bits(mode, 6));
        whole.entries.entry(AclSubject::OwningGroup).or_insert(bits(mode, 3));
        whole.entries.entry(AclSubject::Other).or_insert(bits(mode, 0));
        let named = |subject: &AclSubject| matches!(subject, AclSubject::User(_) | AclSubject::Group(_));
        if whole.entries.keys().any(named) && !whole.entries.contains_key(&AclSubject::Mask) {
            let all =
                whole.entries.iter().filter(|(subject, _)| named(subject) || **subject == AclSubject::OwningGroup);
            let mask = all.fold(0, |mask, (_, permissions)| mask | permissions);
            whole.entries.insert(AclSubject::Mask, mask);
        }
        Some(whole)
    }

    /// The value of the extended attribute.
    ///
    /// # Errors
    /// Those of `number`, which is asked for the number of each user and group.
    pub fn encode(&self, number: impl Fn(&AclSubject) -> Result<u32>) -> Result<Vec<u8>> {
        let mut numbered = Vec::with_capacity(self.entries.len());
        for (subject, permissions) in &self.entries {
            let (tag, id) = match subject {
                AclSubject::Owner => (0x01_u16, NO_ID),
                AclSubject::User(_) => (0x02, number(subject)?),
                AclSubject::OwningGroup => (0x04, NO_ID),
                AclSubject::Group(_) => (0x08, number(subject)?),
                AclSubject::Mask => (0x10, NO_ID),
                AclSubject::Other => (0x20, NO_ID),
            };
            numbered.push((tag, id, u16::from(*permissions)));
        }
        // By number, as setfacl(1) has them, so that equal lists are equal bytes.
        numbered.sort_unstable();
        let twice = numbered.windows(2).find(|two| (two[0].0, two[0].1) == (two[1].0, two[1].1));
        if let Some([(_, id, _), ..]) = twice {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("two entries of the list are of the same account, {id}"),
            )
            .with_hint("name it once, by its name or by its number"));
        }
        let mut bytes = VERSION.to_vec();
        for (tag, id, permissions) in numbered {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(permissions.to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        Ok(bytes)
    }

    /// Reads the value of the extended attribute; users and groups are named by their numbers.
    ///
    /// # Errors
    /// It is no list of the version that this program knows.
    pub fn decode(bytes: &[u8]) -> Result<Acl> {
        let broken = || Error::new(ErrorKind::Invalid, "its access control list cannot be understood");
        let (entries, []) = bytes.strip_prefix(&VERSION).ok_or_else(broken)?.as_chunks::<8>() else {
            return Err(broken());
        };
        let mut acl = Acl::default();
        for [tag, tag_high, permissions, _, id @ ..] in entries {
            let id = || u32::from_le_bytes(*id).to_string();
            let subject = match u16::from_le_bytes([*tag, *tag_high]) {
                0x01 => AclSubject::Owner,
                0x02 => AclSubject::User(id()),
                0x04 => AclSubject::OwningGroup,
                0x08 => AclSubject::Group(id()),
                0x10 => AclSubject::Mask,
                0x20 => AclSubject::Other,
                _ => return Err(broken()),
            };
            acl = acl.with(subject, *permissions);
        }
        Ok(acl)
    }
}

/// What `chmod(2)` makes of the list of a file: the mode's group bits become the mask.
pub(crate) fn with_mode(list: &[u8], mode: Mode) -> Vec<u8> {
    let changed = Acl::decode(list).and_then(|mut acl| {
        let masked = acl.entries.contains_key(&AclSubject::Mask);
        acl.entries.insert(AclSubject::Owner, bits(mode, 6));
        acl.entries.insert(if masked { AclSubject::Mask } else { AclSubject::OwningGroup }, bits(mode, 3));
        acl.entries.insert(AclSubject::Other, bits(mode, 0));
        acl.encode(numbers)
    });
    // A list that cannot be understood is the file system's own business.
    changed.unwrap_or_else(|_| list.to_vec())
}

/// The list of something new with this mode, in a directory with this default list; see `acl(5)`.
pub(crate) fn inherited(default: &[u8], mode: Mode) -> Option<Vec<u8>> {
    let list = Acl::decode(default).ok()?;
    list.entries.contains_key(&AclSubject::Mask).then(|| with_mode(default, mode))
}

/// Users and groups that are named by their numbers.
fn numbers(subject: &AclSubject) -> Result<u32> {
    match subject {
        AclSubject::User(number) | AclSubject::Group(number) => {
            number.parse().map_err(|_| Error::new(ErrorKind::Invalid, format!("{number:?} is not a number")))
        }
        AclSubject::Owner | AclSubject::OwningGroup | AclSubject::Mask | AclSubject::Other => Ok(NO_ID),
    }
}

fn bits(mode: Mode, shift: u32) -> u8 {
    (mode.bits() >> shift & 7) as u8
}

impl fmt::Display for AclSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AclSubject::Owner => f.write_str("user:"),
            AclSubject::User(name) => write!(f, "user:{name}"),
            AclSubject::OwningGroup => f.write_str("group:"),
            AclSubject::Group(name) => write!(f, "group:{name}"),
            AclSubject::Mask => f.write_str("mask:"),
            AclSubject::Other => f.write_str("other:"),
        }
    }
}

impl FromStr for AclSubject {
    type Err = Error;
    fn from_str(text: &str) -> Result<AclSubject> {
        match text.split_once(':') {
            Some(("user", "")) => Ok(AclSubject::Owner),
            Some(("user", name)) => Ok(AclSubject::User(name.to_owned())),
            Some(("group", "")) => Ok(AclSubject::OwningGroup),
            Some(("group", name)) => Ok(AclSubject::Group(name.to_owned())),
            Some(("mask", "")) => Ok(AclSubject::Mask),
            Some(("other", "")) => Ok(AclSubject::Other),
            _ => Err(Error::new(ErrorKind::Invalid, format!("{text:?} is no entry of an access control list"))
                .with_hint("write \"user:deploy\", \"group:www-data\" or \"group:\" for the group of the file")),
        }
    }
}

/// Permissions as `acl(5)` writes them: `r-x`.
pub fn permissions_text(permissions: u8) -> String {
    let letter = |bit, letter| if permissions & bit != 0 { letter } else { '-' };
    [letter(4, 'r'), letter(2, 'w'), letter(1, 'x')].iter().collect()
}

/// Reads permissions as `acl(5)` writes them: `r-x`, or `rx`.
///
/// # Errors
/// There is another letter in it, or one twice.
pub fn permissions_from_text(text: &str) -> Result<u8> {
    let mut permissions = 0;
    for letter in text.chars().filter(|letter| *letter != '-') {
        let bit = match letter {
            'r' => 4,
            'w' => 2,
            'x' => 1,
            _ => 0,
        };
        if bit == 0 || permissions & bit != 0 {
            permissions = u8::MAX;
            break;
        }
        permissions |= bit;
    }
    if permissions > 7 || text.is_empty() || text.len() > 3 {
        return Err(Error::new(ErrorKind::Invalid, format!("{text:?} says not what is permitted"))
            .with_hint("write r, w and x, and a dash for what is not, as in \"r-x\""));
    }
    Ok(permissions)
}

impl Serialize for Acl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.entries().map(|(subject, it)| (subject.to_string(), permissions_text(it))))
    }
}

impl<'de> Deserialize<'de> for Acl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Acl, D::Error> {
        let written = BTreeMap::<String, String>::deserialize(deserializer)?;
        let mut acl = Acl::default();
        for (subject, permissions) in written {
            let subject = subject.parse().map_err(D::Error::custom)?;
            acl = acl.with(subject, permissions_from_text(&permissions).map_err(D::Error::custom)?);
        }
        Ok(acl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn subjects() -> impl Strategy<Value = AclSubject> {
        prop_oneof![
            Just(AclSubject::Owner),
            Just(AclSubject::OwningGroup),
            Just(AclSubject::Mask),
            Just(AclSubject::Other),
            any::<u32>().prop_map(|id| AclSubject::User(id.to_string())),
            any::<u32>().prop_map(|id| AclSubject::Group(id.to_string())),
        ]
    }

    prop_compose! {
        fn lists()(entries in proptest::collection::btree_map(subjects(), 0_u8..8, 0..8)) -> Acl {
            Acl { entries }
        }
    }

    proptest! {
        #[test]
        fn a_list_survives_its_encoding_and_json(acl in lists()) {
            prop_assert_eq!(Acl::decode(&acl.encode(numbers).unwrap()).unwrap(), acl.clone());
            let json = serde_json::to_string(&acl).unwrap();
            prop_assert_eq!(serde_json::from_str::<Acl>(&json).unwrap(), acl);
        }

        #[test]
        fn a_whole_list_says_what_was_declared(acl in lists(), bits in 0_u32..0o1000) {
            let mode = Mode::new(bits);
            let declared = acl.beyond(mode);
            let found = declared.over(mode).unwrap_or_default();
            prop_assert_eq!(found.beyond(mode), declared);
        }

        #[test]
        fn a_change_of_mode_changes_the_mask_alone(acl in lists(), from in 0_u32..0o1000, to in 0_u32..0o1000) {
            if let Some(whole) = acl.over(Mode::new(from)) {
                let after = with_mode(&whole.encode(numbers).unwrap(), Mode::new(to));
                let after = Acl::decode(&after).unwrap();
                prop_assert_eq!(after.get(&AclSubject::Mask), Some(bits(Mode::new(to), 3)));
                prop_assert_eq!(after.get(&AclSubject::OwningGroup), whole.get(&AclSubject::OwningGroup));
            }
        }

        #[test]
        fn garbage_is_no_list(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Acl::decode(&bytes);
        }
    }

    #[test]
    fn the_encoding_is_that_of_the_kernel() {
        // What `setfacl -m u:1000:rw` makes of a file with mode 0640.
        let acl = Acl::default().with(AclSubject::User("1000".into()), 6).with(AclSubject::OwningGroup, 4);
        let bytes = acl.over(Mode::new(0o660)).unwrap().encode(numbers).unwrap();
        let written: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let entries =
            ["01000600ffffffff", "02000600e8030000", "04000400ffffffff", "10000600ffffffff", "20000000ffffffff"];
        assert_eq!(written.concat(), format!("02000000{}", entries.concat()));
    }

    #[test]
    fn a_default_list_is_completed() {
        let acl = Acl::default().with(AclSubject::User("deploy".into()), 6);
        let text = serde_json::to_string(&acl.completed(Mode::new(0o750)).unwrap()).unwrap();
        assert_eq!(text, r#"{"user:":"rwx","user:deploy":"rw-","group:":"r-x","mask:":"rwx","other:":"---"}"#);
        assert_eq!(Acl::default().completed(Mode::new(0o750)), None);
    }
}
