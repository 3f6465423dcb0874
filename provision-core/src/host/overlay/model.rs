//! What is known beyond the host beneath.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use foldhash::{HashMap, HashSet};

use super::node::{Directory, Node};
use super::units::Runtime;
#[cfg(feature = "sim")]
use super::unsynced::Unsynced;
use crate::effect::Effect;
use crate::host::units::{self, DIRECTORIES, Definition};
use crate::host::{Accounts, Doubt, FileKind, FileMetadata, PackageEntry, PackageState, PackageTable, Shadow};
use crate::path::HostPath;

/// What is known beyond the host beneath.
#[derive(Clone, Default)]
pub(crate) struct Model {
    pub(crate) nodes: BTreeMap<HostPath, Option<Box<Node>>>,
    pub(crate) any_removed: bool,
    /// Whether a change may be about units that its path does not name: their files may lie elsewhere.
    pub(crate) has_linked_units: bool,
    /// Directories that are there.
    pub(crate) known_directories: HashSet<HostPath>,
    /// Where directories really are.
    pub(crate) directories: HashMap<HostPath, Directory>,
    pub(crate) read_only: BTreeSet<HostPath>,
    /// What can still be written, in bytes, where that is limited.
    pub(crate) free_bytes: Option<u64>,
    pub(crate) accounts: Option<Arc<Accounts>>,
    pub(crate) shadows: HashMap<String, Option<Shadow>>,
    /// What owners and groups of files of the host beneath are called by now.
    pub(crate) renamed_owners: HashMap<String, String>,
    pub(crate) renamed_groups: HashMap<String, String>,
    pub(crate) packages: HashMap<String, PackageState>,
    /// All packages, those of the host beneath as well; once they were asked for.
    pub(crate) package_table: Option<Arc<PackageTable>>,
    /// Which packages came along with others.
    pub(crate) automatic: HashMap<String, bool>,
    pub(crate) lists_refreshed: bool,
    /// Whether that was in the run that is under way.
    pub(crate) lists_fetched: bool,
    /// Whether package sources were changed since the lists were fetched.
    pub(crate) sources_changed: bool,
    pub(crate) repaired: bool,
    /// Packages that dpkg has unpacked, has not configured, and did not know before.
    pub(crate) new_packages: HashSet<String>,
    pub(crate) units: HashMap<String, Runtime>,
    /// How often what declares units was changed.
    pub(crate) unit_file_changes: u64,
    /// Units as their files declare them, as far as they were read since then.
    pub(crate) definitions: HashMap<String, Arc<Definition>>,
    /// Their `UnitFileState`, as far as it was asked for since then.
    pub(crate) file_states: HashMap<String, &'static str>,
    /// When each path among the unit files was last changed, and when the service manager last read them.
    pub(crate) unit_changes: BTreeMap<HostPath, u64>,
    pub(crate) change: u64,
    pub(crate) units_read: u64,
    /// Effects whose consequences cannot be foreseen.
    pub(crate) opaque: Vec<String>,
    pub(crate) changed: bool,
    /// The paths that were read; `None` where they are not noted.
    pub(crate) reads: Option<Vec<HostPath>>,
    pub(crate) recorded: Vec<Effect>,
    pub(crate) doubts: BTreeSet<Doubt>,
    /// What paths held before they were changed by something that does not wait for the disk.
    #[cfg(feature = "sim")]
    pub(crate) unsynced: BTreeMap<HostPath, Unsynced>,
}

impl Model {
    /// Notes that a path is read. One file after the other in a directory is read, and that each time.
    pub(crate) fn note_read(&mut self, path: &HostPath) {
        if let Some(reads) = self.reads.as_mut()
            && !reads.iter().rev().take(3).any(|read| read == path)
        {
            reads.push(path.clone());
        }
    }

    /// Whether effects have changed more than files: packages, accounts, or what runs.
    pub(crate) fn differs_beside_files(&self) -> bool {
        let has_other_accounts = self.accounts.is_some() || !self.shadows.is_empty();
        let has_other_packages = !self.packages.is_empty() || !self.automatic.is_empty() || self.repaired;
        has_other_accounts || has_other_packages || self.lists_refreshed || !self.units.is_empty()
    }

    /// What effects have made of a path; `None` if they have not touched it.
    pub(crate) fn node(&self, path: &HostPath) -> Option<Option<&Node>> {
        if let Some(node) = self.nodes.get(path) {
            return Some(node.as_deref());
        }
        // Below something that was removed, or put in the place of a directory, nothing of the host is left.
        let gone = self.any_removed
            && path
                .ancestors()
                .any(|above| self.nodes.get(&above).is_some_and(|node| node.as_ref().is_none_or(|node| node.is_new)));
        gone.then_some(None)
    }

    /// Puts something into the table of paths.
    pub(crate) fn enter(&mut self, path: HostPath, node: Option<Node>) {
        let is_directory = node.as_ref().is_some_and(|node| node.kind == FileKind::Directory);
        let leads_to_units = DIRECTORIES.iter().any(|directory| directory.starts_with(path.as_str()));
        // `service.d` and `app-.service.d` are about more than one unit.
        let is_about_many =
            |part: &str| part.strip_suffix(".d").is_some_and(|name| !name.contains('.') || name.contains("-."));
        let in_unit_directory = is_in_unit_directory(&path);
        self.has_linked_units |=
            (leads_to_units && !is_directory) || (in_unit_directory && path.as_str().split('/').any(is_about_many));
        // What pulls a unit in is no part of its definition.
        let pulls = || path.parent_text().is_some_and(units::pulls);
        if leads_to_units || self.has_linked_units || (in_unit_directory && !pulls()) {
            self.forget_definitions();
        } else if in_unit_directory {
            self.forget_file_states();
        }
        if in_unit_directory {
            self.change += 1;
            self.unit_changes.insert(path.clone(), self.change);
        }
        self.nodes.insert(path, node.map(Box::new));
    }

    /// What is at a path changes: one that was not followed leads nowhere that is known.
    fn forget_directory(&mut self, path: &HostPath) {
        match self.directories.get(path) {
            // What is no link changes for what lies in it alone, by whatever way that is come to.
            Some(known) if known.mount.is_some() && known.path == *path => {
                self.directories.retain(|other, known| !other.is_within(path) && !known.path.is_within(path));
                self.known_directories.retain(|other| self.directories.contains_key(other));
            }
            Some(known) if known.mount.is_some() => self.forget_directories(),
            // Where nothing was, only what would be beneath it changes.
            Some(_) => self.directories.retain(|_, known| known.mount.is_some()),
            None => {}
        }
    }

    pub(crate) fn forget_directories(&mut self) {
        self.directories.clear();
        self.known_directories.clear();
    }

    pub(crate) fn forget_definitions(&mut self) {
        self.definitions.clear();
        self.forget_file_states();
    }

    fn forget_file_states(&mut self) {
        self.unit_file_changes += 1;
        self.file_states.clear();
    }

    /// The names in a directory: those of the host, as effects have changed them.
    pub(crate) fn children(&self, directory: &HostPath, names: Vec<String>) -> Vec<String> {
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
    pub(crate) fn put(&mut self, path: &HostPath, node: Node) {
        self.leave_names(path);
        self.forget_directory(path);
        self.enter(path.clone(), Some(node));
    }

    /// Changes what is at a path; the file may have other names.
    pub(crate) fn change(&mut self, path: &HostPath, node: Node) {
        if let Some(inode) = node.inode {
            for other in self.nodes.values_mut().flatten().filter(|other| other.inode == Some(inode)) {
                let links = other.links;
                **other = Node { links, ..node.clone() };
            }
        }
        self.forget_directory(path);
        self.enter(path.clone(), Some(node));
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
    pub(crate) fn rename_owner(&mut self, from: &str, to: &str, is_meant: impl Fn(&HostPath) -> bool) {
        let all = self.nodes.iter_mut().filter_map(|(path, node)| Some((path, node.as_mut()?)));
        for (_, node) in all.filter(|(path, node)| node.access.owner == from && is_meant(path)) {
            to.clone_into(&mut node.access.owner);
        }
        rename(&mut self.renamed_owners, from, to);
    }

    /// What the host beneath says of a path, with the names that its owner and group have by now.
    pub(crate) fn with_names(&self, mut found: FileMetadata) -> FileMetadata {
        if let Some(name) = self.renamed_owners.get(&found.access.owner) {
            found.access.owner.clone_from(name);
        }
        if let Some(name) = self.renamed_groups.get(&found.access.group) {
            found.access.group.clone_from(name);
        }
        found
    }

    /// The same for groups.
    pub(crate) fn rename_group(&mut self, from: &str, to: &str) {
        for node in self.nodes.values_mut().flatten().filter(|node| node.access.group == from) {
            to.clone_into(&mut node.access.group);
        }
        rename(&mut self.renamed_groups, from, to);
    }

    pub(crate) fn set_package(&mut self, name: &str, state: PackageState) {
        self.packages.insert(name.to_owned(), state);
        self.note_package(name);
    }

    pub(crate) fn set_automatic(&mut self, name: &str, automatic: bool) {
        self.automatic.insert(name.to_owned(), automatic);
        self.note_package(name);
    }

    /// Keeps the table of all packages up to date.
    fn note_package(&mut self, name: &str) {
        let Some(mut table) = self.package_table.take() else { return };
        self.enter_package(Arc::make_mut(&mut table), name);
        self.package_table = Some(table);
    }

    /// Enters what is known of a package into a table.
    pub(crate) fn enter_package(&self, table: &mut PackageTable, name: &str) {
        let mut entry = table.get(name).cloned().unwrap_or_default();
        if let Some(state) = self.packages.get(name) {
            (entry.status, entry.version, entry.hold) = (state.status, state.version.clone(), state.hold);
        }
        if let Some(automatic) = self.automatic.get(name) {
            entry.automatic = *automatic;
        }
        match entry == PackageEntry::default() {
            true => table.remove(name),
            false => table.insert(name.to_owned(), entry),
        };
    }

    pub(crate) fn remove(&mut self, path: &HostPath) {
        self.leave_names(path);
        self.any_removed = true;
        self.forget_directory(path);
        // All that lies in it sorts together.
        let within = [path.as_str().trim_end_matches('/'), "/"].concat();
        let from = self.nodes.range::<str, _>((Bound::Excluded(within.as_str()), Bound::Unbounded));
        let beneath: Vec<HostPath> =
            from.map(|(other, _)| other).take_while(|other| other.as_str().starts_with(&within)).cloned().collect();
        beneath.iter().for_each(|other| drop(self.nodes.remove(other)));
        self.enter(path.clone(), None);
    }
}

fn is_in_unit_directory(path: &HostPath) -> bool {
    DIRECTORIES.iter().any(|directory| path.as_str().starts_with(directory))
}

fn rename(names: &mut HashMap<String, String>, from: &str, to: &str) {
    names.values_mut().filter(|name| *name == from).for_each(|name| to.clone_into(name));
    names.entry(from.to_owned()).or_insert_with(|| to.to_owned());
}
