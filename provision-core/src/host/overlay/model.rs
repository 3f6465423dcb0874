//! What is known beyond the host beneath.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use foldhash::{HashMap, HashSet};

use super::commands::CommandScript;
use super::node::{Directory, Node, Unsynced};
use super::units::{Runtime, UnitScript};
use crate::effect::Effect;
use crate::host::units::{self, DIRECTORIES, Definition};
use crate::host::{Accounts, Doubt, FileKind, FileMetadata, PackageEntry, PackageState, PackageTable, Shadow};
use crate::path::HostPath;

/// What is known beyond the host beneath.
#[derive(Clone, Default)]
pub(super) struct Model {
    /// Whether this is a host by itself, and no plan for one.
    pub(super) is_host: bool,
    pub(super) nodes: BTreeMap<HostPath, Option<Node>>,
    pub(super) any_removed: bool,
    /// Whether a change may be about units that its path does not name: their files may lie elsewhere.
    pub(super) has_linked_units: bool,
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
    /// All packages, those of the host beneath as well; once somebody has asked for them.
    pub(super) package_table: Option<Arc<PackageTable>>,
    /// Which packages came along with others.
    pub(super) automatic: HashMap<String, bool>,
    /// Seconds since the package lists were fetched, if a test says so.
    pub(super) lists_age: Option<Option<u64>>,
    pub(super) available: HashMap<String, Vec<String>>,
    pub(super) lists_refreshed: bool,
    /// Whether that was in the run that is under way.
    pub(super) lists_fetched: bool,
    /// Whether package sources were changed since the lists were fetched.
    pub(super) sources_changed: bool,
    /// Packages whose scripts fail when they are configured, if a test wants it.
    pub(super) failing_scripts: HashSet<String>,
    /// Whether the archive has other files by now than the lists say, if a test wants it.
    pub(super) archive_moved: bool,
    pub(super) repaired: bool,
    /// Who holds the lock of the package database.
    pub(super) package_lock: Option<String>,
    /// Packages that dpkg has unpacked, has not configured, and did not know before.
    pub(super) new_packages: HashSet<String>,
    /// How many packages dpkg still unpacks, configures or removes before it is killed.
    pub(super) steps_until_killed: Option<usize>,
    pub(super) units: HashMap<String, Runtime>,
    pub(super) unit_scripts: HashMap<String, UnitScript>,
    /// How often what declares units was changed.
    pub(super) unit_file_changes: u64,
    /// Units as their files declare them, as far as they were read since then.
    pub(super) definitions: HashMap<String, Arc<Definition>>,
    /// Their `UnitFileState`, as far as it was asked for since then.
    pub(super) file_states: HashMap<String, &'static str>,
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
    /// The paths that were read; `None` where they are not noted.
    pub(super) reads: Option<Vec<HostPath>>,
    pub(super) recorded: Vec<Effect>,
    pub(super) doubts: BTreeSet<Doubt>,
    /// What paths held before they were changed by something that does not wait for the disk.
    pub(super) unsynced: BTreeMap<HostPath, Unsynced>,
}

impl Model {
    /// Notes that a path is read.
    pub(super) fn note_read(&mut self, path: &HostPath) {
        if let Some(reads) = self.reads.as_mut()
            && reads.last() != Some(path)
        {
            reads.push(path.clone());
        }
    }

    /// What effects have made of a path; `None` if they have not touched it.
    pub(super) fn node(&self, path: &HostPath) -> Option<Option<&Node>> {
        if let Some(node) = self.nodes.get(path) {
            return Some(node.as_ref());
        }
        // Below something that was removed, or put in the place of a directory, nothing of the host is left.
        let gone = self.any_removed
            && path
                .ancestors()
                .any(|above| self.nodes.get(&above).is_some_and(|node| node.as_ref().is_none_or(|node| node.is_new)));
        gone.then_some(None)
    }

    /// Puts something into the table of paths.
    pub(super) fn enter(&mut self, path: HostPath, node: Option<Node>) {
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
        self.nodes.insert(path, node);
    }

    /// What is at a path changes: one that nobody has gone through leads nowhere that is known.
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

    pub(super) fn forget_directories(&mut self) {
        self.directories.clear();
        self.known_directories.clear();
    }

    pub(super) fn forget_definitions(&mut self) {
        self.definitions.clear();
        self.forget_file_states();
    }

    fn forget_file_states(&mut self) {
        self.unit_file_changes += 1;
        self.file_states.clear();
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
        self.forget_directory(path);
        self.enter(path.clone(), Some(node));
    }

    /// Changes what is at a path; the file may have other names.
    pub(super) fn change(&mut self, path: &HostPath, node: Node) {
        if let Some(inode) = node.inode {
            for other in self.nodes.values_mut().flatten().filter(|other| other.inode == Some(inode)) {
                let links = other.links;
                *other = Node { links, ..node.clone() };
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

    pub(super) fn set_package(&mut self, name: &str, state: PackageState) {
        self.packages.insert(name.to_owned(), state);
        self.note_package(name);
    }

    pub(super) fn set_automatic(&mut self, name: &str, automatic: bool) {
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
    pub(super) fn enter_package(&self, table: &mut PackageTable, name: &str) {
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

    pub(super) fn remove(&mut self, path: &HostPath) {
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
