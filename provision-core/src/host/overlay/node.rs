//! What the model knows of one path.

use crate::effect::images::Blob;
use crate::effect::{Access, Content};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{FileAttributes, FileKind, FileMetadata};
use crate::path::HostPath;

/// Where a directory really is.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    pub(crate) path: HostPath,
    /// Whether only root can change what its path leads to.
    pub(crate) is_private: bool,
    /// Its mount; none if it is not there.
    pub(crate) mount: Option<u64>,
}

/// Something at a path.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: FileKind,
    pub(crate) access: Access,
    /// The content of a file or the text of a link; `None` if it is the host's own, or if it is not known.
    pub(crate) data: Option<Content>,
    /// The content of a file that is too large to hold it; read only if it is asked for.
    pub(crate) stored: Option<Blob>,
    pub(crate) size: u64,
    pub(crate) mount: u64,
    pub(crate) links: u64,
    /// Which file it is, for one with several names.
    pub(crate) inode: Option<u64>,
    /// Everything else; `None` if it is the host's own.
    pub(crate) attributes: Option<FileAttributes>,
    /// Whether it was put there by an effect, so that the host beneath has no part in it.
    pub(crate) is_new: bool,
}

impl Node {
    pub(crate) fn new(kind: FileKind, access: Access, data: Option<Content>) -> Node {
        let size = data.as_ref().map_or(0, |data| data.bytes().len() as u64);
        Node {
            kind,
            access,
            data,
            stored: None,
            size,
            mount: 0,
            links: 1,
            inode: None,
            attributes: Some(FileAttributes::default()),
            is_new: true,
        }
    }

    pub(crate) fn metadata(&self) -> FileMetadata {
        FileMetadata {
            kind: self.kind,
            access: self.access.clone(),
            size: self.size,
            mount: self.mount,
            links: self.links,
        }
    }

    /// Whether the content of a file is known.
    pub(crate) fn has_content(&self) -> bool {
        self.kind == FileKind::File && (self.data.is_some() || self.stored.is_some())
    }

    /// The content of a file, if it is known.
    pub(crate) fn content(&self) -> Result<Option<Content>> {
        match (&self.data, &self.stored) {
            _ if self.kind != FileKind::File => Ok(None),
            (None, Some(blob)) => blob.content().map(Some),
            (data, _) => Ok(data.clone()),
        }
    }

    pub(crate) fn target(&self) -> Option<String> {
        let data = self.data.as_ref().filter(|_| self.kind == FileKind::Symlink)?;
        data.text().map(str::to_owned)
    }
}

/// The error for a file of which only the name is known.
pub(crate) fn not_held(path: &HostPath) -> Error {
    Error::new(ErrorKind::Unsupported, format!("the simulated host has {path}, and does not know what it holds"))
        .with_hint(format!("say what it holds, as in `test_host.files.\"{path}\" = \"…\"` in the site"))
}

const UNRECORDED: &str = "\0the record does not hold the content of this file: ";

/// What stands for a content that was not recorded: it can be kept and put back.
pub(crate) fn unrecorded(path: &HostPath) -> Content {
    format!("{UNRECORDED}{path}").into()
}

const MADE: &str = "\0the record does not hold what a command made of ";

/// What stands for the content that a command makes of sources with this digest: another one for others.
pub(crate) fn made_of(sources: &str) -> Content {
    format!("{MADE}{sources}").into()
}

/// Whether a content stands for what a command makes: it is not known, and yet another one than before.
pub(crate) fn is_made(content: &Content) -> bool {
    content.bytes().starts_with(MADE.as_bytes())
}

/// Whether a content is only a stand-in.
pub(crate) fn is_unrecorded(content: &Content) -> bool {
    content.bytes().starts_with(UNRECORDED.as_bytes()) || is_made(content)
}
