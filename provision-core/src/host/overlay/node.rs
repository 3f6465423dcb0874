//! What the model knows of one path.

use crate::effect::{Access, Content};
use crate::host::{FileAttributes, FileKind, FileMetadata};
use crate::path::HostPath;

/// How a path was before a change that is not on the disk yet.
#[derive(Clone)]
pub(super) struct Unsynced {
    pub(super) before: Option<Option<Node>>,
    pub(super) since_micros: u64,
}

/// Where a directory really is.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    pub(super) path: HostPath,
    /// Whether only root can change what its path leads to.
    pub(super) is_private: bool,
    /// Its mount; none if it is not there.
    pub(super) mount: Option<u64>,
}

/// Something at a path.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: FileKind,
    pub(super) access: Access,
    /// The content of a file or the text of a link; `None` if it is the host's own, or if nobody knows it.
    pub(super) data: Option<Content>,
    pub(super) size: u64,
    pub(super) mount: u64,
    pub(super) links: u64,
    /// Which file it is, for one with several names.
    pub(super) inode: Option<u64>,
    /// Everything else; `None` if it is the host's own.
    pub(super) attributes: Option<FileAttributes>,
    /// Whether it was put there by an effect, so that the host beneath has no part in it.
    pub(super) is_new: bool,
}

impl Node {
    pub(super) fn new(kind: FileKind, access: Access, data: Option<Content>) -> Node {
        let size = data.as_ref().map_or(0, |data| data.bytes().len() as u64);
        Node {
            kind,
            access,
            data,
            size,
            mount: 0,
            links: 1,
            inode: None,
            attributes: Some(FileAttributes::default()),
            is_new: true,
        }
    }

    pub(super) fn metadata(&self) -> FileMetadata {
        FileMetadata {
            kind: self.kind,
            access: self.access.clone(),
            size: self.size,
            mount: self.mount,
            links: self.links,
        }
    }

    pub(super) fn content(&self) -> Option<Content> {
        self.data.clone().filter(|_| self.kind == FileKind::File)
    }

    pub(super) fn target(&self) -> Option<String> {
        let data = self.data.as_ref().filter(|_| self.kind == FileKind::Symlink)?;
        data.text().map(str::to_owned)
    }
}
