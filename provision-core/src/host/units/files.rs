//! Where unit files are read from: a host, or the directory tree of a system that the platform reads by itself.

use crate::effect::Content;
use crate::error::Result;
use crate::host::{FileKind, FileMetadata, HostView, LocalSystem};
use crate::path::HostPath;

/// The files that declare units, wherever they lie: what [`Definition`](super::Definition) is read through.
pub trait UnitFiles {
    /// What lies at a path, without following a link at its end.
    fn kind(&self, path: &HostPath) -> Result<Option<FileKind>>;
    /// Whether a regular file lies at a path that may be executed.
    fn is_program(&self, path: &HostPath) -> Result<bool>;
    /// The bytes of a regular file.
    fn content(&self, path: &HostPath) -> Result<Option<Content>>;
    /// The text of a symbolic link.
    fn target(&self, path: &HostPath) -> Result<Option<String>>;
    /// The names in a directory, sorted.
    fn names(&self, path: &HostPath) -> Result<Option<Vec<String>>>;
}

impl<H: HostView + ?Sized> UnitFiles for H {
    fn kind(&self, path: &HostPath) -> Result<Option<FileKind>> {
        Ok(self.metadata(path)?.map(|found| found.kind))
    }
    fn is_program(&self, path: &HostPath) -> Result<bool> {
        let is_program = |found: FileMetadata| found.kind == FileKind::File && found.access.mode.bits() & 0o111 != 0;
        Ok(self.metadata(path)?.is_some_and(is_program))
    }
    fn content(&self, path: &HostPath) -> Result<Option<Content>> {
        self.read(path)
    }
    fn target(&self, path: &HostPath) -> Result<Option<String>> {
        self.read_link(path)
    }
    fn names(&self, path: &HostPath) -> Result<Option<Vec<String>>> {
        self.list(path)
    }
}

impl UnitFiles for LocalSystem {
    fn kind(&self, path: &HostPath) -> Result<Option<FileKind>> {
        LocalSystem::kind(self, path)
    }
    fn is_program(&self, path: &HostPath) -> Result<bool> {
        LocalSystem::is_program(self, path)
    }
    fn content(&self, path: &HostPath) -> Result<Option<Content>> {
        self.read(path)
    }
    fn target(&self, path: &HostPath) -> Result<Option<String>> {
        self.read_link(path)
    }
    fn names(&self, path: &HostPath) -> Result<Option<Vec<String>>> {
        self.list(path)
    }
}
