//! What is put at a path without an effect of its own: by programs, which may not wait for the disk.

use super::node::Node;
use crate::effect::{Access, Content};
use crate::error::Result;
use crate::host::{FileKind, Layer};
use crate::path::HostPath;

impl Layer<'_> {
    /// Makes the directories above a path that are not there, as a package would.
    pub(crate) fn make_directories(&self, path: &HostPath) -> Result<()> {
        let mut missing = Vec::new();
        for above in path.ancestors() {
            if self.leads_to(&above)?.is_some() {
                break;
            }
            missing.push(above);
        }
        for directory in missing.iter().rev() {
            self.put_beside(directory, Node::new(FileKind::Directory, Access::root(0o755), None))?;
        }
        Ok(())
    }

    /// Puts something at a path, whatever was there.
    pub(crate) fn place(&self, path: &HostPath, kind: FileKind, access: Access, data: Option<Content>) -> Result<()> {
        self.put_beside(path, Node::new(kind, access, data))
    }

    /// Puts something at a path, or takes it away, as a program does that does not wait for the disk.
    pub(crate) fn put_unsynced(&self, path: &HostPath, node: Option<Node>) -> Result<()> {
        #[cfg(feature = "sim")]
        let before = self.before(path)?;
        match node {
            Some(node) => self.put_beside(path, node)?,
            None => self.take_away(path)?,
        }
        #[cfg(feature = "sim")]
        self.remember_unsynced(before);
        Ok(())
    }
}
