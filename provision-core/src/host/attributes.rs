//! What belongs to a file beside its content, owner, group and mode.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::effect::{Access, Content};
use crate::error::Result;
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
    /// As [`BlobSource::open`]; or nobody has the bytes.
    pub fn open(&self) -> Result<Box<dyn Read + Send>> {
        match &self.source {
            Some(source) => source.open(),
            None => Err(crate::error::Error::new(
                crate::error::ErrorKind::NotFound,
                format!("nobody has the content {}", self.digest),
            )),
        }
    }
}
