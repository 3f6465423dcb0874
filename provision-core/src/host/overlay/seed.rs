//! What a simulated host begins with and what happens to it, without an effect.

use super::commands::CommandScript;
use super::model::Model;
use super::node::{Node, Unsynced};
use super::units::{Runtime, UnitScript};

use crate::effect::{Access, Content, Effect, FileFlags};
use crate::error::Result;
use crate::host::{FileAttributes, FileKind, HostView, Overlay, PackageState, UnitState};
use crate::path::{HostPath, Mode};

/// How long a change may be lost with the power that nobody waits for: ext4(5), commit, in microseconds.
const COMMIT_MICROS: u64 = 5_000_000;

/// What belongs to root.
pub(super) fn root_access(mode: u32) -> Access {
    Access { owner: "root".into(), group: "root".into(), mode: Mode::new(mode) }
}

impl<H: HostView> Overlay<H> {
    /// Makes the directories above a path that are not there, as a package would.
    pub(in crate::host) fn make_directories(&self, path: &HostPath) -> Result<()> {
        let mut missing = Vec::new();
        for above in path.ancestors() {
            if self.leads_to(&above)?.is_some() {
                break;
            }
            missing.push(above);
        }
        for directory in missing.iter().rev() {
            self.put_beside(directory, Node::new(FileKind::Directory, root_access(0o755), None))?;
        }
        Ok(())
    }

    /// Puts something at a path, whatever was there.
    pub(in crate::host) fn place(
        &self,
        path: &HostPath,
        kind: FileKind,
        access: Access,
        data: Option<Content>,
    ) -> Result<()> {
        self.put_beside(path, Node::new(kind, access, data))
    }

    /// Gives a file one more name.
    pub(in crate::host) fn place_hard_link(&self, path: &HostPath, of: &HostPath) -> Result<()> {
        let Some(node) = self.node(of)? else { return Ok(()) };
        let inode = node.inode.unwrap_or_else(|| {
            let mut model = self.model();
            model.last_inode += 1;
            model.last_inode
        });
        let data = node.content().map_or_else(|| self.base.read(of), |content| Ok(Some(content)))?;
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
    pub(in crate::host) fn place_attributes(
        &self,
        path: &HostPath,
        xattrs: &[(&str, Content)],
        flags: FileFlags,
    ) -> Result<()> {
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
    pub(in crate::host) fn mount(&self, path: &HostPath, read_only: bool) -> Result<()> {
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
    pub(in crate::host) fn set_free_space(&self, bytes: u64) {
        self.model().free_bytes = Some(bytes);
    }

    pub(in crate::host) fn set_unit(&self, name: &str, state: UnitState) {
        self.model().units.insert(name.to_owned(), Runtime::given(state));
    }

    pub(in crate::host) fn set_unit_script(&self, name: &str, script: UnitScript) {
        self.model().unit_scripts.insert(name.to_owned(), script);
    }

    pub(in crate::host) fn forget_counts(&self) {
        for runtime in self.model().units.values_mut() {
            (runtime.starts, runtime.stops, runtime.restarts, runtime.reloads) = (0, 0, 0, 0);
        }
    }

    /// What a unit has done.
    pub(in crate::host) fn runtime(&self, name: &str) -> Runtime {
        self.model().units.get(name).cloned().unwrap_or_default()
    }

    /// Every path that is not as on the host beneath.
    pub(in crate::host) fn touched_paths(&self) -> Vec<HostPath> {
        self.model().nodes.keys().cloned().collect()
    }

    /// Every unit that was acted upon, or whose files were.
    pub(in crate::host) fn touched_units(&self) -> Vec<String> {
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
        names.retain(|name| !name.contains("@.") && crate::host::units::is_unit(name));
        names.sort_unstable();
        names.dedup();
        names
    }

    pub(in crate::host) fn set_package(&self, name: &str, state: PackageState) {
        self.model().set_package(name, state);
    }

    pub(in crate::host) fn set_available(&self, name: &str, versions: Vec<String>) {
        self.model().available.insert(name.to_owned(), versions);
    }

    /// Whether a source offers a package of this name.
    pub(in crate::host) fn has_package_of(&self, name: &str) -> bool {
        self.catalogue().is_some_and(|catalogue| catalogue.version(name).is_some())
            || self.model().available.contains_key(name)
    }

    pub(in crate::host) fn set_lists_age(&self, seconds: Option<u64>) {
        self.model().lists_age = Some(seconds);
    }

    pub(in crate::host) fn let_scripts_fail(&self, name: &str) {
        self.model().failing_scripts.insert(name.to_owned());
    }

    pub(in crate::host) fn move_archive(&self) {
        self.model().archive_moved = true;
    }

    pub(in crate::host) fn set_package_lock(&self, holder: Option<String>) {
        self.model().package_lock = holder;
    }

    pub(in crate::host) fn kill_dpkg_after(&self, steps: usize) {
        self.model().steps_until_killed = Some(steps);
    }

    /// Makes it a host by itself.
    pub(in crate::host) fn be_host(&self) {
        self.model().is_host = true;
    }

    pub(in crate::host) fn switch_off(&self) {
        self.model().switched_off = true;
    }

    pub(in crate::host) fn set_command(&self, words: &str, script: CommandScript) {
        self.model().commands.insert(words.to_owned(), script);
    }

    /// Lets an effect happen whose author does not wait for the disk.
    pub(super) fn unsynced(&self, effect: &Effect) -> Result<()> {
        let path = effect.path().map(|path| self.real(path)).transpose()?;
        let before = path.as_ref().map(|path| self.model().nodes.get(path).cloned());
        self.carry_out(effect)?;
        if let (Some(path), Some(before)) = (path, before) {
            self.remember_unsynced(path, before);
        }
        Ok(())
    }

    /// Puts something at a path, or takes it away, as a program does that does not wait for the disk.
    pub(super) fn put_unsynced(&self, path: &HostPath, node: Option<Node>) -> Result<()> {
        let real = self.real(path)?;
        let before = self.model().nodes.get(&real).cloned();
        match node {
            Some(node) => self.put_beside(path, node)?,
            None => self.take_away(path)?,
        }
        self.remember_unsynced(real, before);
        Ok(())
    }

    fn remember_unsynced(&self, path: HostPath, before: Option<Option<Node>>) {
        let since_micros = self.now().monotonic_micros;
        let mut model = self.model();
        // What is already lost with the power stays what it was before.
        model.unsynced.entry(path).or_insert(Unsynced { before, since_micros });
    }

    /// Whoever waits for the disk brings all names and attributes there that were changed before, and no contents of
    /// other files: ext4 has one journal for all of them.
    pub(super) fn sync(&self, path: Option<&HostPath>) {
        let mut model = self.model();
        if model.unsynced.is_empty() {
            return;
        }
        let Model { unsynced, nodes, .. } = &mut *model;
        let is_content =
            |path: &HostPath| nodes.get(path).and_then(Option::as_ref).is_some_and(|node| node.kind == FileKind::File);
        unsynced.retain(|other, _| Some(other) != path && is_content(other));
    }

    /// Takes back what was not on the disk when the power went.
    pub(in crate::host) fn lose_unsynced(&self) {
        let now = self.now().monotonic_micros;
        let mut model = self.model();
        for (path, unsynced) in std::mem::take(&mut model.unsynced) {
            if now.saturating_sub(unsynced.since_micros) >= COMMIT_MICROS {
                continue;
            }
            match unsynced.before {
                Some(Some(node)) => model.put(&path, node),
                Some(None) => model.remove(&path),
                None => drop(model.nodes.remove(&path)),
            }
        }
        model.forget_directories();
        model.forget_definitions();
    }
}
