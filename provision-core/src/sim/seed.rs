//! What a simulated host begins with and what happens to it, without an effect.

use super::Machine;
use crate::effect::{Content, FileFlags};
use crate::error::Result;
use crate::host::overlay::Runtime;
use crate::host::overlay::node::Node;
use crate::host::units::is_unit;
use crate::host::{FileAttributes, HostView, PackageState, UnitState};
use crate::path::HostPath;

/// How long a change may be lost with the power if no program waits for the disk: ext4(5), commit, in microseconds.
const COMMIT_MICROS: u64 = 5_000_000;

impl Machine<'_> {
    /// Gives a file one more name.
    pub(super) fn place_hard_link(&self, path: &HostPath, of: &HostPath) -> Result<()> {
        let Some(node) = self.node(of)? else { return Ok(()) };
        let inode = node.inode.unwrap_or_else(|| {
            let model = self.model();
            1 + model.nodes.values().flatten().filter_map(|node| node.inode).max().unwrap_or_default()
        });
        let data = node.content()?.map_or_else(|| self.base().read(of), |content| Ok(Some(content)))?;
        let (first, second) = (self.real(of)?, self.real(path)?);
        let mut model = self.model();
        let node = Node { inode: Some(inode), links: node.links + 1, data, is_new: true, ..node };
        for other in model.nodes.values_mut().flatten().filter(|other| other.inode == Some(inode)) {
            other.links = node.links;
        }
        model.enter(first, Some(node.clone()));
        model.enter(second, Some(node));
        Ok(())
    }

    /// Gives something extended attributes and flags.
    pub(super) fn place_attributes(&self, path: &HostPath, xattrs: &[(&str, Content)], flags: FileFlags) -> Result<()> {
        if let Some(mut node) = self.node(path)? {
            let mut attributes = node.attributes.take().unwrap_or_default();
            attributes.xattrs.extend(xattrs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            node.attributes = Some(FileAttributes { flags, ..attributes });
            let path = self.real(path)?;
            self.model().change(&path, node);
        }
        Ok(())
    }

    /// Makes a directory the root of a file system of its own.
    pub(super) fn mount(&self, path: &HostPath, read_only: bool) -> Result<()> {
        let Some(node) = self.node(path)? else { return Ok(()) };
        let path = self.real(path)?;
        let mut model = self.model();
        let mount = 1 << 16 | (1 + model.nodes.values().flatten().map(|node| node.mount & 0xffff).max().unwrap_or(0));
        model.forget_directories();
        model.enter(path.clone(), Some(Node { mount, is_new: true, ..node }));
        if read_only {
            model.read_only.insert(path);
        }
        Ok(())
    }

    /// Limits what can still be written, in bytes.
    pub(super) fn set_free_space(&self, bytes: u64) {
        self.model().free_bytes = Some(bytes);
    }

    pub(super) fn set_unit(&self, name: &str, state: UnitState) {
        self.model().units.insert(name.to_owned(), Runtime { given: Some(state), ..Runtime::default() });
    }

    pub(super) fn forget_counts(&self) {
        for runtime in self.model().units.values_mut() {
            (runtime.starts, runtime.history.stops, runtime.history.restarts, runtime.history.reloads) = (0, 0, 0, 0);
        }
    }

    /// What a unit has done.
    pub(super) fn runtime(&self, name: &str) -> Runtime {
        self.model().units.get(name).cloned().unwrap_or_default()
    }

    /// Every path that is not as on the host beneath.
    pub(super) fn touched_paths(&self) -> Vec<HostPath> {
        self.model().nodes.keys().cloned().collect()
    }

    /// Every unit that was acted upon, or whose files were.
    pub(super) fn touched_units(&self) -> Vec<String> {
        let model = self.model();
        let mut names: Vec<String> = model.units.keys().cloned().collect();
        names.extend(model.unit_changes.keys().map(|path| path.name().to_owned()));
        names.extend(
            model
                .unit_changes
                .keys()
                .filter_map(HostPath::parent)
                .filter_map(|above| above.name().strip_suffix(".d").map(str::to_owned)),
        );
        names.retain(|name| !name.contains("@.") && is_unit(name));
        names.sort_unstable();
        names.dedup();
        names
    }

    pub(super) fn set_package(&self, name: &str, state: PackageState) {
        self.model().set_package(name, state);
    }

    /// Whether a source offers a package of this name.
    pub(super) fn has_package_of(&self, name: &str) -> bool {
        self.catalogue().version(name).is_some() || self.given(|given| given.available.contains_key(name)) == Some(true)
    }

    /// Takes back what was not on the disk when the power went.
    pub(super) fn lose_unsynced(&self) {
        let now = self.now().monotonic_micros;
        let mut model = self.model();
        for (path, unsynced) in std::mem::take(&mut model.unsynced) {
            if now.saturating_sub(unsynced.since_micros) >= COMMIT_MICROS {
                continue;
            }
            match unsynced.before {
                Some(Some(node)) => model.put(&path, *node),
                Some(None) => model.remove(&path),
                None => drop(model.nodes.remove(&path)),
            }
        }
        model.forget_directories();
        model.forget_definitions();
    }
}
