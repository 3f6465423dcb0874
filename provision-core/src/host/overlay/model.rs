//! What each effect does to the model of a host: once per kind of effect.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::effect::{Access, Content, Effect, Output};
use crate::host::{
    Accounts, Doubt, FileAttributes, FileKind, FileMetadata, PackageManager, PackageState, Shadow, UnitState,
};
use crate::path::HostPath;

/// What is known beyond the host beneath.
#[derive(Default)]
pub(super) struct Model {
    pub(super) nodes: BTreeMap<HostPath, Option<Node>>,
    pub(super) any_removed: bool,
    pub(super) known_directories: HashSet<HostPath>,
    pub(super) accounts: Option<Arc<Accounts>>,
    pub(super) shadows: HashMap<String, Option<Shadow>>,
    pub(super) packages: HashMap<String, PackageState>,
    /// Which packages came along with others.
    pub(super) automatic: HashMap<String, bool>,
    pub(super) package_manager: Option<PackageManager>,
    pub(super) available: HashMap<String, Vec<String>>,
    pub(super) lists_refreshed: bool,
    pub(super) repaired: bool,
    pub(super) units: HashMap<String, UnitState>,
    pub(super) units_reloaded: bool,
    pub(super) switched_off: bool,
    pub(super) commands: HashMap<String, Output>,
    /// Effects whose consequences nobody can foresee.
    pub(super) opaque: Vec<String>,
    pub(super) changed: bool,
    pub(super) recorded: Vec<Effect>,
    pub(super) doubts: BTreeSet<Doubt>,
}

/// Something at a path.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: FileKind,
    pub(super) access: Access,
    /// The content of a file or the text of a link; `None` if it is the host's own.
    pub(super) data: Option<Content>,
    pub(super) size: u64,
    pub(super) device: u64,
    pub(super) links: u64,
    /// Everything else; `None` if it is the host's own.
    pub(super) attributes: Option<FileAttributes>,
    /// Whether a directory was made by an effect, so that the host beneath has nothing in it.
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
            device: 0,
            links: 1,
            attributes: Some(FileAttributes::default()),
            is_new: true,
        }
    }

    pub(super) fn metadata(&self) -> FileMetadata {
        FileMetadata {
            kind: self.kind,
            access: self.access.clone(),
            size: self.size,
            device: self.device,
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

/// Where unit files lie, the strongest first; see `systemd.unit(5)`.
const UNIT_DIRECTORIES: [&str; 4] =
    ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

impl Model {
    /// What effects have made of a path; `None` if they have not touched it.
    pub(super) fn node(&self, path: &HostPath) -> Option<Option<Node>> {
        if let Some(node) = self.nodes.get(path) {
            return Some(node.clone());
        }
        // Below something that was removed, or put in the place of a directory, nothing of the host is left.
        let gone = self.any_removed
            && path
                .ancestors()
                .any(|above| self.nodes.get(&above).is_some_and(|node| node.as_ref().is_none_or(|node| node.is_new)));
        gone.then_some(None)
    }

    /// The names in a directory: those of the host, as effects have changed them.
    pub(super) fn children(&self, directory: &HostPath, names: Vec<String>) -> Vec<String> {
        let mut names: BTreeSet<String> = names.into_iter().collect();
        for (path, node) in self.nodes.range(directory.clone()..) {
            if !path.is_within(directory) {
                // `/a-b` sorts between `/a` and `/a/b`.
                if path.as_str().starts_with(directory.as_str()) {
                    continue;
                }
                break;
            }
            if path.parent().as_ref() == Some(directory) {
                match node {
                    Some(_) => names.insert(path.name().to_owned()),
                    None => names.remove(path.name()),
                };
            }
        }
        names.into_iter().collect()
    }

    pub(super) fn put(&mut self, path: &HostPath, node: Node) {
        self.note_unit_file(path);
        self.known_directories.remove(path);
        self.nodes.insert(path.clone(), Some(node));
    }

    /// What the service manager has read is no longer what is there.
    pub(super) fn note_unit_file(&mut self, path: &HostPath) {
        if UNIT_DIRECTORIES.iter().any(|directory| path.as_str().starts_with(directory)) {
            self.units_reloaded = false;
        }
    }

    pub(super) fn remove(&mut self, path: &HostPath) {
        self.note_unit_file(path);
        self.any_removed = true;
        self.known_directories.retain(|directory| !directory.is_within(path));
        self.nodes.retain(|other, _| !other.is_within(path));
        self.nodes.insert(path.clone(), None);
    }

    /// The unit that a unit file written by an effect makes, or changes.
    pub(super) fn unit_file(&self, name: &str) -> Option<UnitState> {
        let template = name
            .split_once('@')
            .and_then(|(stem, rest)| rest.rsplit_once('.').map(|(_, suffix)| format!("{stem}@.{suffix}")));
        for name in [Some(name), template.as_deref()].into_iter().flatten() {
            for directory in UNIT_DIRECTORIES {
                let Ok(path) = HostPath::new(&format!("{directory}/{name}")) else { continue };
                if let Some(Some(node)) = self.nodes.get(&path) {
                    let text = node.data.as_ref().and_then(Content::text).unwrap_or_default();
                    return Some(unit_from(text));
                }
                let drop_ins = HostPath::new(&format!("{directory}/{name}.d")).ok()?;
                let next = self.nodes.range(drop_ins.clone()..).find(|(path, _)| **path != drop_ins);
                if next.is_some_and(|(path, _)| path.is_within(&drop_ins)) {
                    return Some(unit_from(""));
                }
            }
        }
        None
    }
}

fn unit_from(text: &str) -> UnitState {
    let has = |line: &str| text.lines().any(|other| other.trim() == line);
    let file_state = if has("[Install]") { "disabled" } else { "static" };
    UnitState {
        load: "loaded".into(),
        active: Some("inactive".into()),
        sub: Some("dead".into()),
        file_state: file_state.into(),
        needs_reload: false,
        can_reload: text.lines().any(|line| line.trim_start().starts_with("ExecReload=")),
        ends_by_itself: has("Type=oneshot") && !has("RemainAfterExit=yes") && !has("RemainAfterExit=true"),
        starts: 0,
        started_micros: None,
    }
}
