//! What is known beyond the host beneath.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::commands::CommandScript;
use super::units::{Runtime, UnitScript};
use crate::effect::{Access, Content, Effect};
use crate::host::units::DIRECTORIES;
use crate::host::{Accounts, Doubt, FileAttributes, FileKind, FileMetadata, PackageManager, PackageState, Shadow};
use crate::path::HostPath;

/// What is known beyond the host beneath.
#[derive(Clone, Default)]
pub(super) struct Model {
    /// Whether this is a host by itself, and no plan for one.
    pub(super) is_host: bool,
    pub(super) nodes: BTreeMap<HostPath, Option<Node>>,
    pub(super) any_removed: bool,
    /// Directories that are there.
    pub(super) known_directories: HashSet<HostPath>,
    /// Where directories really are.
    pub(super) directories: HashMap<HostPath, Directory>,
    pub(super) last_inode: u64,
    pub(super) read_only: BTreeSet<HostPath>,
    pub(super) free_bytes: Option<u64>,
    pub(super) accounts: Option<Arc<Accounts>>,
    pub(super) shadows: HashMap<String, Option<Shadow>>,
    /// What owners and groups of files of the host beneath are called by now.
    pub(super) renamed_owners: HashMap<String, String>,
    pub(super) renamed_groups: HashMap<String, String>,
    pub(super) packages: HashMap<String, PackageState>,
    /// Which packages came along with others.
    pub(super) automatic: HashMap<String, bool>,
    pub(super) package_manager: Option<PackageManager>,
    pub(super) available: HashMap<String, Vec<String>>,
    pub(super) lists_refreshed: bool,
    pub(super) repaired: bool,
    /// Who holds the lock of the package database.
    pub(super) package_lock: Option<String>,
    pub(super) units: HashMap<String, Runtime>,
    pub(super) unit_scripts: HashMap<String, UnitScript>,
    /// When each path among the unit files was last changed, and when the service manager last read them.
    pub(super) unit_changes: BTreeMap<HostPath, u64>,
    pub(super) change: u64,
    pub(super) units_read: u64,
    pub(super) booted_micros: u64,
    pub(super) switched_off: bool,
    pub(super) commands: HashMap<String, CommandScript>,
    /// Effects whose consequences nobody can foresee.
    pub(super) opaque: Vec<String>,
    pub(super) changed: bool,
    pub(super) recorded: Vec<Effect>,
    pub(super) doubts: BTreeSet<Doubt>,
    /// What paths held before they were changed by something that does not wait for the disk.
    pub(super) unsynced: BTreeMap<HostPath, Unsynced>,
}

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
}

/// Something at a path.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: FileKind,
    pub(super) access: Access,
    /// The content of a file or the text of a link; `None` if it is the host's own, or if nobody knows it.
    pub(super) data: Option<Content>,
    pub(super) size: u64,
    pub(super) device: u64,
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
            device: 0,
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

    /// Puts something at a path. Other names of a file that was there keep it.
    pub(super) fn put(&mut self, path: &HostPath, node: Node) {
        self.leave_names(path);
        let was = self.nodes.get(path).and_then(Option::as_ref).map(|node| node.kind);
        if node.kind == FileKind::Symlink || was == Some(FileKind::Symlink) {
            self.directories.clear();
            self.known_directories.clear();
        } else {
            self.directories.remove(path);
            self.known_directories.remove(path);
        }
        self.note_unit_file(path);
        self.nodes.insert(path.clone(), Some(node));
    }

    /// Changes what is at a path; the file may have other names.
    pub(super) fn change(&mut self, path: &HostPath, node: Node) {
        if let Some(inode) = node.inode {
            for other in self.nodes.values_mut().flatten().filter(|other| other.inode == Some(inode)) {
                let links = other.links;
                *other = Node { links, ..node.clone() };
            }
        }
        if node.kind == FileKind::Directory {
            self.directories.retain(|directory, _| !directory.is_within(path));
        }
        self.note_unit_file(path);
        self.nodes.insert(path.clone(), Some(node));
    }

    /// One name less for the others of a file.
    fn leave_names(&mut self, path: &HostPath) {
        let inode = self.nodes.get(path).and_then(Option::as_ref).and_then(|node| node.inode);
        if inode.is_some() {
            for other in self.nodes.values_mut().flatten().filter(|other| other.inode == inode) {
                other.links -= 1;
            }
        }
    }

    /// Files belong to numbers: who gets another, or none, leaves them to that.
    pub(super) fn rename_owner(&mut self, from: &str, to: &str, is_meant: impl Fn(&HostPath) -> bool) {
        let all = self.nodes.iter_mut().filter_map(|(path, node)| Some((path, node.as_mut()?)));
        for (_, node) in all.filter(|(path, node)| node.access.owner == from && is_meant(path)) {
            to.clone_into(&mut node.access.owner);
        }
        rename(&mut self.renamed_owners, from, to);
    }

    /// What the host beneath says of a path, with the names that its owner and group have by now.
    pub(super) fn with_names(&self, mut found: FileMetadata) -> FileMetadata {
        if let Some(name) = self.renamed_owners.get(&found.access.owner) {
            found.access.owner.clone_from(name);
        }
        if let Some(name) = self.renamed_groups.get(&found.access.group) {
            found.access.group.clone_from(name);
        }
        found
    }

    /// The same for groups.
    pub(super) fn rename_group(&mut self, from: &str, to: &str) {
        for node in self.nodes.values_mut().flatten().filter(|node| node.access.group == from) {
            to.clone_into(&mut node.access.group);
        }
        rename(&mut self.renamed_groups, from, to);
    }

    /// What the service manager has read is no longer what is there.
    fn note_unit_file(&mut self, path: &HostPath) {
        if DIRECTORIES.iter().any(|directory| path.as_str().starts_with(directory)) {
            self.change += 1;
            self.unit_changes.insert(path.clone(), self.change);
        }
    }

    pub(super) fn remove(&mut self, path: &HostPath) {
        self.leave_names(path);
        self.note_unit_file(path);
        self.any_removed = true;
        self.known_directories.retain(|directory| !directory.is_within(path));
        self.directories.clear();
        self.nodes.retain(|other, _| !other.is_within(path));
        self.nodes.insert(path.clone(), None);
    }
}

fn rename(names: &mut HashMap<String, String>, from: &str, to: &str) {
    names.values_mut().filter(|name| *name == from).for_each(|name| to.clone_into(name));
    names.entry(from.to_owned()).or_insert_with(|| to.to_owned());
}
