//! Files and lines of account files exactly as they were, to be put back.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Access, Content, FileFlags, Sensitive};
use crate::error::{Error, ErrorKind, Result};
use crate::path::HostPath;

/// What belongs to a file beside its content, owner, group and mode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileAttributes {
    /// When its content was last changed: seconds since 1970-01-01 00:00 UTC.
    pub modified: i64,
    /// The rest of that time, in nanoseconds.
    pub modified_nanos: u32,
    /// Extended attributes, see `xattr(7)`. Access control lists are `system.posix_acl_access` and
    /// `system.posix_acl_default`, capabilities `security.capability`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, Content>,
    /// The lasting flags of `chattr(1)`; none for what can have none, a link or a device, or has none on its file system.
    #[serde(default, skip_serializing_if = "FileFlags::is_unset")]
    pub flags: FileFlags,
}

impl FileAttributes {
    /// The extended attribute that is the access control list of a file.
    pub const ACL: &str = "system.posix_acl_access";
    /// The extended attribute that is the list which new files in a directory get.
    pub const DEFAULT_ACL: &str = "system.posix_acl_default";
    /// The extended attribute that holds the capabilities of a program.
    pub const CAPABILITIES: &str = "security.capability";
}

/// Something at a path, exactly as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileImage {
    /// Where it lies.
    pub path: HostPath,
    /// What it holds.
    pub content: ImageContent,
    /// Owner, group and mode.
    pub access: Access,
    /// Everything else.
    pub attributes: FileAttributes,
}

impl FileImage {
    /// Whether what it holds must not be shown: it is sensitive, or its mode keeps some users out.
    pub fn is_sensitive(&self) -> bool {
        let is_closed = self.access.mode.bits() & 0o004 == 0;
        match &self.content {
            ImageContent::File(content) => is_closed || content.is_sensitive(),
            ImageContent::Stored(_) | ImageContent::Same => is_closed,
            ImageContent::Directory | ImageContent::Symlink(_) => false,
        }
    }
}

/// What something at a path holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageContent {
    /// A file with these bytes.
    File(Content),
    /// A file with bytes that lie elsewhere.
    Stored(Blob),
    /// A directory; its entries are no part of it.
    Directory,
    /// A symbolic link with this text.
    Symlink(String),
    /// Whatever it holds now: only owner, group, mode and attributes are put back.
    Same,
}

/// Bytes that are too many to hold in memory.
#[derive(Clone, Serialize, Deserialize)]
pub struct Blob {
    /// Digest, in the words of whoever keeps it.
    pub digest: String,
    /// How many bytes.
    pub size: u64,
    /// Who gives them; `None` for one that was only written down.
    #[serde(skip)]
    pub source: Option<Arc<dyn BlobSource>>,
}

impl PartialEq for Blob {
    fn eq(&self, other: &Blob) -> bool {
        (&self.digest, self.size) == (&other.digest, other.size)
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.size)
    }
}

/// Gives bytes, from the first to the last.
pub trait BlobSource: Send + Sync {
    /// Begins anew.
    ///
    /// # Errors
    /// They are not there, or may not be read.
    fn open(&self) -> Result<Box<dyn Read + Send>>;
}

impl Blob {
    /// Begins to read it.
    ///
    /// # Errors
    /// As [`BlobSource::open`]; or the bytes are lost.
    pub fn open(&self) -> Result<Box<dyn Read + Send>> {
        match &self.source {
            Some(source) => source.open(),
            None => Err(Error::new(ErrorKind::NotFound, format!("the content {} is lost", self.digest))),
        }
    }

    /// All of it, in memory.
    ///
    /// # Errors
    /// As [`open`](Blob::open), or it cannot be read to its end.
    pub(crate) fn content(&self) -> Result<Content> {
        let mut bytes = Vec::new();
        self.open()?.read_to_end(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// A line of an account file, or that there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLine {
    /// The file.
    pub database: AccountDatabase,
    /// The user or group, which is the first field of the line.
    pub name: String,
    /// The whole line without its end, as [`crate::bytes`] has it; `None` if the file has none for this name.
    pub line: Option<Sensitive>,
    /// The number of the line in its file, from 0.
    pub position: usize,
}

/// A file in which each line is about one user or group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountDatabase {
    /// `/etc/passwd`, see `passwd(5)`.
    Passwd,
    /// `/etc/shadow`, see `shadow(5)`.
    Shadow,
    /// `/etc/group`, see `group(5)`.
    Group,
    /// `/etc/gshadow`, see `gshadow(5)`.
    Gshadow,
    /// `/etc/subuid`, see `subuid(5)`.
    Subuid,
    /// `/etc/subgid`, see `subgid(5)`.
    Subgid,
}

impl AccountDatabase {
    /// All of them.
    pub const ALL: [AccountDatabase; 6] = [
        AccountDatabase::Passwd,
        AccountDatabase::Shadow,
        AccountDatabase::Group,
        AccountDatabase::Gshadow,
        AccountDatabase::Subuid,
        AccountDatabase::Subgid,
    ];

    /// Where it lies.
    pub fn path(self) -> &'static str {
        match self {
            AccountDatabase::Passwd => "/etc/passwd",
            AccountDatabase::Shadow => "/etc/shadow",
            AccountDatabase::Group => "/etc/group",
            AccountDatabase::Gshadow => "/etc/gshadow",
            AccountDatabase::Subuid => "/etc/subuid",
            AccountDatabase::Subgid => "/etc/subgid",
        }
    }

    /// Whether its lines are about groups.
    pub fn is_about_groups(self) -> bool {
        matches!(self, AccountDatabase::Group | AccountDatabase::Gshadow)
    }
}
