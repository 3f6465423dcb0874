//! What the power takes with it: changes that no program has waited for the disk to keep. Only a host loses power that is
//! modelled whole.

use super::model::Model;
use super::node::Node;
use crate::effect::{Effect, Touched};
use crate::error::Result;
use crate::host::{FileKind, HostView, Layer};
use crate::path::HostPath;

/// A path without links on the way, and what the model had of it.
type Before = (HostPath, Option<Option<Box<Node>>>);

/// How a path was before a change that is not on the disk yet.
#[derive(Clone)]
pub(crate) struct Unsynced {
    pub(crate) before: Option<Option<Box<Node>>>,
    pub(crate) since_micros: u64,
}

impl Layer<'_> {
    /// Lets an effect happen whose author does not wait for the disk.
    pub(crate) fn unsynced(&self, effect: &Effect) -> Result<()> {
        let before = effect.path().map(|path| self.before(path)).transpose()?;
        self.carry_out(effect)?;
        before.into_iter().for_each(|before| self.remember_unsynced(before));
        Ok(())
    }

    pub(super) fn before(&self, path: &HostPath) -> Result<Before> {
        let real = self.real(path)?;
        let before = self.model().nodes.get(&real).cloned();
        Ok((real, before))
    }

    pub(super) fn remember_unsynced(&self, (path, before): Before) {
        let since_micros = self.now().monotonic_micros;
        let mut model = self.model();
        // What is already lost with the power stays what it was before.
        model.unsynced.entry(path).or_insert(Unsynced { before, since_micros });
    }

    /// What an effect leaves on the disk: files once they are written; dpkg and useradd(8) wait for theirs.
    pub(super) fn sync_after(&self, effect: &Effect) -> Result<()> {
        match effect.touches().first() {
            Some(Touched::Path { path, .. }) => self.sync(Some(&self.real(path)?)),
            Some(
                Touched::User(_)
                | Touched::Group(_)
                | Touched::UsersOf(_)
                | Touched::Home { .. }
                | Touched::Packages(_)
                | Touched::PackageDatabase
                | Touched::PackageLists,
            )
            | None => self.sync(None),
            Some(Touched::Unit { .. } | Touched::ServiceManager | Touched::Anything(_)) => {}
        }
        Ok(())
    }

    /// Whoever waits for the disk brings all names and attributes there that were changed before, and no contents of
    /// other files: ext4 has one journal for all of them.
    fn sync(&self, path: Option<&HostPath>) {
        let mut model = self.model();
        if model.unsynced.is_empty() {
            return;
        }
        let Model { unsynced, nodes, .. } = &mut *model;
        let is_content =
            |path: &HostPath| nodes.get(path).and_then(Option::as_ref).is_some_and(|node| node.kind == FileKind::File);
        unsynced.retain(|other, _| Some(other) != path && is_content(other));
    }
}
