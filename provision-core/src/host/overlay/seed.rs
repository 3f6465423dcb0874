//! What a simulated host begins with, put there without an effect.

use super::model::Node;

use crate::effect::{Access, Content, Output};
use crate::error::Result;
use crate::host::{FileKind, HostView, Overlay, PackageManager, PackageState, UnitState};
use crate::path::{HostPath, Mode};

impl<H: HostView> Overlay<H> {
    /// Makes the directories above a path that are not there, as a package would.
    pub(in crate::host) fn make_directories(&self, path: &HostPath) -> Result<()> {
        let mut missing = Vec::new();
        for above in path.ancestors() {
            if self.metadata(&above)?.is_some() {
                break;
            }
            missing.push(above);
        }
        for directory in missing.iter().rev() {
            let access = Access { owner: "root".into(), group: "root".into(), mode: Mode::new(0o755) };
            self.put_beside(directory, Node::new(FileKind::Directory, access, None))?;
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

    /// Makes a directory the root of a file system of its own.
    pub(in crate::host) fn mount(&self, path: &HostPath) {
        let mut model = self.model();
        let device = 1 + model.nodes.values().flatten().map(|node| node.device).max().unwrap_or_default();
        if let Some(Some(node)) = model.nodes.get_mut(path) {
            node.device = device;
        }
    }

    pub(in crate::host) fn set_unit(&self, name: &str, state: UnitState) {
        self.model().units.insert(name.to_owned(), state);
    }

    /// The units that the model knows.
    pub(in crate::host) fn unit_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.model().units.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    pub(in crate::host) fn set_package(&self, name: &str, state: PackageState) {
        self.model().packages.insert(name.to_owned(), state);
    }

    pub(in crate::host) fn set_available(&self, name: &str, versions: Vec<String>) {
        self.model().available.insert(name.to_owned(), versions);
    }

    pub(in crate::host) fn set_package_manager(&self, state: PackageManager) {
        self.model().package_manager = Some(state);
    }

    pub(in crate::host) fn switch_off(&self) {
        self.model().switched_off = true;
    }

    pub(in crate::host) fn set_command(&self, program: &str, output: Output) {
        self.model().commands.insert(program.to_owned(), output);
    }

    pub(in crate::host) fn knows_command(&self, program: &str) -> Option<Output> {
        self.model().commands.get(program).cloned()
    }
}
