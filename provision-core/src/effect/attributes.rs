//! [`AttributeChanges`]: what an effect changes of a file beside its content, its owner and its mode.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::images::FileAttributes;
use super::{Acl, AclSubject, Capabilities, Content, with_mode};
use crate::error::Result;
use crate::path::Mode;

/// The flags of a file that stay as they were set; see `chattr(1)` and `FS_IOC_GETFLAGS(2const)`.
///
/// Others tell how a file system stores the file (extents, an index), and are its own business.
///
/// Written down as a list of names: `["immutable"]`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct FileFlags(u32);

impl FileFlags {
    /// Written at once, `chattr +S`.
    pub const SYNC: FileFlags = FileFlags(0x8);
    /// Nothing changes it, not even root, `chattr +i`.
    pub const IMMUTABLE: FileFlags = FileFlags(0x10);
    /// It only grows, `chattr +a`.
    pub const APPEND_ONLY: FileFlags = FileFlags(0x20);
    /// `dump(8)` passes over it, `chattr +d`.
    pub const NO_DUMP: FileFlags = FileFlags(0x40);
    /// Reading does not change its time of access, `chattr +A`.
    pub const NO_ATIME: FileFlags = FileFlags(0x80);
    /// A directory whose changes are written at once, `chattr +D`.
    pub const SYNC_DIRECTORY: FileFlags = FileFlags(0x1_0000);

    /// The flags that keep a file from being replaced, changed or removed.
    pub const LOCKS: FileFlags = FileFlags::IMMUTABLE.with(FileFlags::APPEND_ONLY);

    const NAMES: [(FileFlags, &str); 6] = [
        (FileFlags::SYNC, "sync"),
        (FileFlags::IMMUTABLE, "immutable"),
        (FileFlags::APPEND_ONLY, "append_only"),
        (FileFlags::NO_DUMP, "no_dump"),
        (FileFlags::NO_ATIME, "no_atime"),
        (FileFlags::SYNC_DIRECTORY, "sync_directory"),
    ];

    /// Takes the lasting flags of `bits`, as the kernel has them; others are dropped.
    pub fn from_bits(bits: u32) -> FileFlags {
        FileFlags(bits & FileFlags::all().0)
    }

    /// No flag.
    pub const fn none() -> FileFlags {
        FileFlags(0)
    }

    /// All lasting flags.
    pub fn all() -> FileFlags {
        FileFlags::NAMES.iter().fold(FileFlags(0), |all, (flag, _)| all.with(*flag))
    }

    /// The bits, as the kernel has them.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// These and those.
    #[must_use]
    pub const fn with(self, others: FileFlags) -> FileFlags {
        FileFlags(self.0 | others.0)
    }

    /// These without those.
    #[must_use]
    pub const fn without(self, others: FileFlags) -> FileFlags {
        FileFlags(self.0 & !others.0)
    }

    /// Those of these that are among those.
    #[must_use]
    pub const fn only(self, others: FileFlags) -> FileFlags {
        FileFlags(self.0 & others.0)
    }

    /// Whether it has any of these.
    pub const fn has(self, any: FileFlags) -> bool {
        self.0 & any.0 != 0
    }

    /// Whether there is no flag.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn is_unset(&self) -> bool {
        self.is_empty()
    }

    /// The flag of a name, such as `immutable`.
    pub fn named(name: &str) -> Option<FileFlags> {
        FileFlags::NAMES.into_iter().find_map(|(flag, known)| (known == name).then_some(flag))
    }

    /// The names of the flags.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        FileFlags::NAMES.into_iter().filter(move |(flag, _)| self.has(*flag)).map(|(_, name)| name)
    }
}

impl fmt::Debug for FileFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Serialize for FileFlags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for FileFlags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FileFlags, D::Error> {
        Vec::<String>::deserialize(deserializer)?.iter().try_fold(FileFlags::none(), |all, name| {
            let flag = FileFlags::named(name);
            flag.map(|flag| all.with(flag)).ok_or_else(|| D::Error::custom(format_args!("there is no flag {name}")))
        })
    }
}

/// What an effect changes of a file beside its content, owner and mode; what is absent is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttributeChanges {
    /// The access control list beyond the mode; an empty one takes the list away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<Acl>,
    /// The list that new files in a directory get; an empty one takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_acl: Option<Acl>,
    /// The capabilities of a program; none takes them away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// Flags that it shall have. One that is named here or in `clear_flags` and keeps the file from being changed is
    /// taken away for the time of the change.
    #[serde(skip_serializing_if = "FileFlags::is_unset")]
    pub set_flags: FileFlags,
    /// Flags that it shall not have.
    #[serde(skip_serializing_if = "FileFlags::is_unset")]
    pub clear_flags: FileFlags,
}

impl AttributeChanges {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == AttributeChanges::default()
    }

    /// Makes these changes to the extended attributes of a file whose mode is, or will be, this one.
    ///
    /// # Errors
    /// Those of `number`, which is asked for the number of each user and group of a list.
    pub fn change(
        &self,
        xattrs: &mut BTreeMap<String, Content>,
        mode: Mode,
        number: &dyn Fn(&AclSubject) -> Result<u32>,
    ) -> Result<()> {
        let mut put = |name: &str, value: Option<Vec<u8>>| match value {
            Some(value) => drop(xattrs.insert(name.to_owned(), value.into())),
            None => drop(xattrs.remove(name)),
        };
        let encoded = |list: Option<Acl>| list.map(|list| list.encode(number)).transpose();
        if let Some(list) = &self.default_acl {
            put(FileAttributes::DEFAULT_ACL, encoded(list.completed(mode))?);
        }
        if let Some(capabilities) = self.capabilities {
            let value = (!capabilities.is_empty()).then(|| capabilities.encode());
            put(FileAttributes::CAPABILITIES, value);
        }
        if let Some(list) = &self.acl {
            put(FileAttributes::ACL, encoded(list.over(mode))?);
        } else if let Some(list) = xattrs.get_mut(FileAttributes::ACL) {
            *list = with_mode(list.bytes(), mode).into();
        }
        Ok(())
    }

    /// The flags of a file that had these.
    pub fn flags_after(&self, before: FileFlags) -> FileFlags {
        before.with(self.set_flags).without(self.clear_flags)
    }

    /// Whether it speaks of every flag of a file that keeps it from being changed.
    pub fn may_unlock(&self, found: FileFlags) -> bool {
        found.only(FileFlags::LOCKS).without(self.set_flags.with(self.clear_flags)).is_empty()
    }
}

/// What is done about the other names of a file that is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HardLinks {
    /// They keep the old content.
    #[default]
    Break,
    /// A file with other names is not replaced: that is an error.
    Refuse,
}

impl HardLinks {
    /// Whether it is the default.
    pub fn is_break(&self) -> bool {
        *self == HardLinks::Break
    }
}
