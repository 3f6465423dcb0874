//! What each effect does to the model of a host: once per kind of effect.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::effect::{
    Access, Content, CreateUser, Effect, Output, PackageTransaction, Removal, Sensitive, UnitAction, UserChanges,
};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{
    Accounts, Catalogue, Doubt, FileKind, FileMetadata, Group, HostView, Overlay, PackageManager, PackageState,
    PackageStatus, Shadow, UnitState, User,
};
use crate::path::{HostPath, Mode};

/// What is known beyond the host beneath.
#[derive(Default)]
pub(super) struct Model {
    nodes: BTreeMap<HostPath, Option<Node>>,
    any_removed: bool,
    pub(super) known_directories: HashSet<HostPath>,
    pub(super) accounts: Option<Arc<Accounts>>,
    pub(super) shadows: HashMap<String, Option<Shadow>>,
    pub(super) packages: HashMap<String, PackageState>,
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
    access: Access,
    /// The content of a file or the text of a link; `None` if it is the host's own.
    data: Option<Content>,
    size: u64,
    device: u64,
    /// Whether a directory was made by an effect, so that the host beneath has nothing in it.
    pub(super) is_new: bool,
}

impl Node {
    fn new(kind: FileKind, access: Access, data: Option<Content>) -> Node {
        let size = data.as_ref().map_or(0, |data| data.bytes().len() as u64);
        Node { kind, access, data, size, device: 0, is_new: true }
    }

    pub(super) fn metadata(&self) -> FileMetadata {
        FileMetadata { kind: self.kind, access: self.access.clone(), size: self.size, device: self.device }
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

    fn put(&mut self, path: &HostPath, node: Node) {
        self.note_unit_file(path);
        self.known_directories.remove(path);
        self.nodes.insert(path.clone(), Some(node));
    }

    /// What the service manager has read is no longer what is there.
    fn note_unit_file(&mut self, path: &HostPath) {
        if UNIT_DIRECTORIES.iter().any(|directory| path.as_str().starts_with(directory)) {
            self.units_reloaded = false;
        }
    }

    fn remove(&mut self, path: &HostPath) {
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
    }
}

impl<H: HostView> Overlay<H> {
    /// Lets an effect happen to the model, or fails as a real host would.
    pub(super) fn carry_out(&self, effect: &Effect) -> Result<()> {
        match effect {
            Effect::WriteFile(file) => {
                self.require_names(Some(&file.access.owner), Some(&file.access.group))?;
                self.refuse_directory(&file.path)?;
                self.require_parent(&file.path)?;
                let node = Node::new(FileKind::File, file.access.clone(), Some(file.content.clone()));
                self.put_beside(&file.path, node)?;
            }
            Effect::CopyFile { from, to } => {
                let content = self.read(from)?;
                let (Some(metadata), Some(content)) = (self.metadata(from)?, content) else {
                    return Err(Error::new(ErrorKind::NotFound, format!("there is no {from}")));
                };
                self.refuse_directory(to)?;
                self.require_parent(to)?;
                self.put_beside(to, Node::new(FileKind::File, metadata.access, Some(content)))?;
            }
            Effect::CreateDirectory { path, access } => {
                self.require_names(Some(&access.owner), Some(&access.group))?;
                self.require_parent(path)?;
                match self.metadata(path)?.map(|metadata| metadata.kind) {
                    Some(FileKind::Directory) => {
                        return self.set_metadata(path, Some(&access.owner), Some(&access.group), Some(access.mode));
                    }
                    Some(_) => {
                        return Err(Error::new(
                            ErrorKind::Conflict,
                            "something that is not a directory is in its place",
                        ));
                    }
                    None => self.put_beside(path, Node::new(FileKind::Directory, access.clone(), None))?,
                }
            }
            Effect::CreateSymlink { path, target, owner, group } => {
                self.require_names(Some(owner), Some(group))?;
                self.refuse_directory(path)?;
                self.require_parent(path)?;
                let access = Access { owner: owner.clone(), group: group.clone(), mode: Mode::new(0o777) };
                self.put_beside(path, Node::new(FileKind::Symlink, access, Some(target.into())))?;
            }
            Effect::SetMetadata { path, owner, group, mode } => {
                self.set_metadata(path, owner.as_deref(), group.as_deref(), *mode)?;
            }
            Effect::Remove { path, what } => self.remove(path, *what)?,
            Effect::RepairPackages => self.model().repaired = true,
            Effect::RefreshPackageLists => self.model().lists_refreshed = true,
            Effect::Packages(transaction) => self.change_packages(transaction)?,
            Effect::CreateUser(user) => self.create_user(user)?,
            Effect::ChangeUser { name, changes } => self.change_user(name, changes)?,
            Effect::RemoveUser { name, remove_home } => self.remove_user(name, *remove_home)?,
            Effect::CreateGroup { name, gid, system } => self.create_group(name, *gid, *system)?,
            Effect::ChangeGroup { name, gid } => self.change_group(name, |group| group.gid = *gid)?,
            Effect::SetMembers { group, members } => {
                for member in members {
                    self.require_user(member)?;
                }
                self.change_group(group, |group| group.members.clone_from(members))?;
            }
            Effect::RemoveGroup { name } => self.remove_group(name)?,
            Effect::Unit { unit, action } => self.change_unit(unit, *action)?,
            Effect::ReloadUnits => {
                let mut model = self.model();
                model.units_reloaded = true;
                model.units.values_mut().for_each(|unit| unit.needs_reload = false);
            }
            Effect::Run(command) => {
                let mut model = self.model();
                let program = command.argv.first().map(String::as_str).unwrap_or_default();
                if !model.commands.contains_key(program) {
                    model.opaque.push(format!("command `{command}`"));
                }
            }
        }
        Ok(())
    }

    /// Puts something new on the file system that its directory lies on.
    fn put_beside(&self, path: &HostPath, node: Node) -> Result<()> {
        let parent = path.parent().map(|parent| self.metadata(&parent)).transpose()?.flatten();
        let device = parent.map_or(0, |parent| parent.device);
        self.model().put(path, Node { device, ..node });
        Ok(())
    }

    fn require_names(&self, owner: Option<&str>, group: Option<&str>) -> Result<()> {
        if let Some(owner) = owner {
            self.require_user(owner)?;
        }
        match group {
            Some(name) if !is_number(name) && name != "root" && self.group(name)?.is_none() => {
                Err(missing("group", name))
            }
            _ => Ok(()),
        }
    }

    fn require_user(&self, name: &str) -> Result<()> {
        if is_number(name) || name == "root" || self.user(name)?.is_some() {
            return Ok(());
        }
        Err(missing("user", name))
    }

    fn refuse_directory(&self, path: &HostPath) -> Result<()> {
        match self.metadata(path)?.map(|metadata| metadata.kind) {
            Some(FileKind::Directory) => Err(Error::new(ErrorKind::Conflict, "a directory is in its place")),
            _ => Ok(()),
        }
    }

    fn set_metadata(
        &self,
        path: &HostPath,
        owner: Option<&str>,
        group: Option<&str>,
        mode: Option<Mode>,
    ) -> Result<()> {
        self.require_names(owner, group)?;
        let mut node = match self.modelled(path) {
            Some(Some(node)) => node,
            Some(None) => return Err(Error::new(ErrorKind::NotFound, "no such file or directory")),
            None => match self.base().metadata(path)? {
                Some(found) => Node {
                    kind: found.kind,
                    access: found.access,
                    data: None,
                    size: found.size,
                    device: found.device,
                    is_new: false,
                },
                None => return Err(Error::new(ErrorKind::NotFound, "no such file or directory")),
            },
        };
        owner.into_iter().for_each(|owner| owner.clone_into(&mut node.access.owner));
        group.into_iter().for_each(|group| group.clone_into(&mut node.access.group));
        node.access.mode = mode.unwrap_or(node.access.mode);
        self.model().put(path, node);
        Ok(())
    }

    fn remove(&self, path: &HostPath, what: Removal) -> Result<()> {
        let Some(found) = self.metadata(path)? else { return Ok(()) };
        let is_directory = found.kind == FileKind::Directory;
        match what {
            Removal::File if is_directory => return Err(Error::new(ErrorKind::Conflict, "it is a directory")),
            Removal::EmptyDirectory if self.list(path)?.is_some_and(|names| !names.is_empty()) => {
                return Err(Error::new(ErrorKind::Conflict, "the directory is not empty"));
            }
            _ => self.model().remove(path),
        }
        Ok(())
    }

    fn change_packages(&self, transaction: &PackageTransaction) -> Result<()> {
        self.set_holds(&transaction.unhold, false)?;
        if let Some(catalogue) = self.catalogue() {
            self.install_from(&catalogue, transaction)?;
        } else {
            for request in &transaction.install {
                let before = self.package(&request.name)?;
                let mut model = self.model();
                if before.status != PackageStatus::Installed {
                    model.opaque.push(format!("package {}", request.name));
                }
                let version = request.version.clone().or(before.version);
                let state = PackageState { status: PackageStatus::Installed, version, ..before };
                model.packages.insert(request.name.clone(), state);
            }
        }
        for (names, status) in
            [(&transaction.remove, PackageStatus::ConfigFiles), (&transaction.purge, PackageStatus::Absent)]
        {
            for name in names {
                let before = self.package(name)?;
                if let Some(package) = self.catalogue().and_then(|catalogue| catalogue.get(name).cloned()) {
                    let mut model = self.model();
                    package
                        .units
                        .iter()
                        .for_each(|unit| drop(model.units.insert(unit.clone(), UnitState::not_found())));
                    package.files.iter().for_each(|file| model.remove(&file.path));
                }
                let version = before.version.filter(|_| status == PackageStatus::ConfigFiles);
                self.model().packages.insert(name.clone(), PackageState { status, version, ..PackageState::default() });
            }
        }
        self.set_holds(&transaction.hold, true)
    }

    fn set_holds(&self, names: &[String], hold: bool) -> Result<()> {
        for name in names {
            let before = self.package(name)?;
            self.model().packages.insert(name.clone(), PackageState { hold, ..before });
        }
        Ok(())
    }

    /// Brings the packages of a transaction to the versions that it asks for, once they are installed.
    fn set_versions(&self, transaction: &PackageTransaction) -> Result<()> {
        for request in &transaction.install {
            let before = self.package(&request.name)?;
            let available = self.available_versions(&request.name)?;
            let version = match &request.version {
                Some(version) if !available.contains(version) && before.version.as_ref() != Some(version) => {
                    let message = format!("version {version} of {} was not found", request.name);
                    return Err(Error::new(ErrorKind::NotFound, message));
                }
                Some(version) => Some(version),
                None => available.first(),
            };
            // A virtual package has none.
            if let Some(version) = version.cloned().filter(|_| before.status == PackageStatus::Installed) {
                let state = PackageState { version: Some(version), ..before };
                self.model().packages.insert(request.name.clone(), state);
            }
        }
        Ok(())
    }

    /// Installs packages whose content is known, with all that they depend on.
    fn install_from(&self, catalogue: &Catalogue, transaction: &PackageTransaction) -> Result<()> {
        let installed = |name: &str| Ok(self.package(name)?.status == PackageStatus::Installed);
        let wanted: Vec<&str> = transaction.install.iter().map(|request| request.name.as_str()).collect();
        for package in catalogue.closure(&wanted, transaction.options.recommends, installed)? {
            for group in &package.groups {
                if self.group(group)?.is_none() {
                    self.create_group(group, None, true)?;
                }
            }
            for user in &package.users {
                if self.user(user)?.is_none() {
                    let attributes = UserChanges::default();
                    self.create_user(&CreateUser { name: user.clone(), system: true, create_home: false, attributes })?;
                }
            }
            for file in &package.files {
                // A package keeps a file that is there already if it is a configuration file.
                if !(file.path.as_str().starts_with("/etc/") && self.metadata(&file.path)?.is_some()) {
                    self.make_directories(&file.path)?;
                    self.put_beside(&file.path, Node::new(file.kind(), file.access(), file.data()))?;
                }
            }
            let runs = self.is_running();
            let mut model = self.model();
            for unit in &package.units {
                let state = catalogue.unit(unit, runs);
                model.units.entry(unit.clone()).or_insert(state);
            }
            let state = PackageState {
                status: PackageStatus::Installed,
                version: Some(package.version.clone()),
                ..PackageState::default()
            };
            model.packages.insert(package.name.clone(), state);
        }
        self.set_versions(transaction)
    }

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

    pub(in crate::host) fn create_user(&self, user: &CreateUser) -> Result<()> {
        let attributes = &user.attributes;
        if self.accounts()?.users.contains_key(&user.name) {
            return Err(Error::new(ErrorKind::Conflict, format!("user {} exists already", user.name)));
        }
        let gid = match &attributes.primary_group {
            Some(group) => self.gid_of(group)?,
            None => match self.accounts()?.groups.get(&user.name) {
                // useradd(8) refuses as well
                Some(_) => {
                    return Err(Error::new(ErrorKind::Conflict, format!("group {} exists already", user.name))
                        .with_hint(format!("say `primary_group = \"{}\"` to use it", user.name)));
                }
                None => {
                    self.create_group(&user.name, attributes.uid, user.system)?;
                    self.gid_of(&user.name)?
                }
            },
        };
        let home = attributes.home.as_ref().map_or_else(|| format!("/home/{}", user.name), ToString::to_string);
        {
            let mut model = self.model();
            let accounts = self.accounts_of(&mut model)?;
            let taken: BTreeSet<u32> = accounts.users.values().map(|user| user.uid).collect();
            let uid = match attributes.uid {
                Some(uid) => uid,
                None => free_number(&taken, user.system)?,
            };
            let shell = if user.system { "/usr/sbin/nologin" } else { "/bin/sh" };
            let created = User {
                name: user.name.clone(),
                uid,
                gid,
                gecos: String::new(),
                home: home.clone(),
                shell: shell.to_owned(),
            };
            accounts.users.insert(user.name.clone(), created);
            let locked = Shadow { password: Sensitive::new("!"), expires: None };
            model.shadows.insert(user.name.clone(), Some(locked));
        }
        self.change_user(&user.name, attributes)?;
        let home = HostPath::new(&home)?;
        if user.create_home && self.metadata(&home)?.is_none() {
            self.make_directories(&home)?;
            let group = self.accounts()?.group_name(gid).map_or_else(|| gid.to_string(), str::to_owned);
            let own = |mode| Access { owner: user.name.clone(), group: group.clone(), mode: Mode::new(mode) };
            self.place(&home, FileKind::Directory, own(0o700), None)?;
            let skeleton = HostPath::new("/etc/skel")?;
            for name in self.list(&skeleton)?.unwrap_or_default() {
                if let Ok(Some(content)) = self.read(&skeleton.join(&name)?) {
                    self.place(&home.join(&name)?, FileKind::File, own(0o644), Some(content))?;
                }
            }
        }
        Ok(())
    }

    fn gid_of(&self, group: &str) -> Result<u32> {
        self.group(group)?.map(|group| group.gid).ok_or_else(|| missing("group", group))
    }

    fn change_user(&self, name: &str, changes: &UserChanges) -> Result<()> {
        let gid = changes.primary_group.as_deref().map(|group| self.gid_of(group)).transpose()?;
        for group in changes.groups.iter().flatten() {
            self.gid_of(group)?;
        }
        let mut shadow = self.shadow(name).ok().flatten();
        let mut model = self.model();
        let accounts = self.accounts_of(&mut model)?;
        let taken = changes.uid.and_then(|uid| accounts.user_name(uid)).filter(|other| *other != name);
        if let Some(other) = taken {
            return Err(Error::new(ErrorKind::Conflict, format!("user {other} has that number already")));
        }
        let Some(user) = accounts.users.get_mut(name) else { return Err(missing("user", name)) };
        user.uid = changes.uid.unwrap_or(user.uid);
        user.gid = gid.unwrap_or(user.gid);
        for (field, value) in [
            (&mut user.shell, changes.shell.as_ref().map(ToString::to_string)),
            (&mut user.home, changes.home.as_ref().map(ToString::to_string)),
            (&mut user.gecos, changes.gecos.clone()),
        ] {
            if let Some(value) = value {
                *field = value;
            }
        }
        if let Some(groups) = &changes.groups {
            for group in accounts.groups.values_mut() {
                group.members.retain(|member| member != name);
                if groups.contains(&group.name) {
                    group.members.push(name.to_owned());
                    group.members.sort_unstable();
                }
            }
        }
        if let Some(shadow) = &mut shadow {
            if let Some(password) = &changes.password {
                shadow.password = password.clone();
            }
            if let Some(locked) = changes.locked {
                let open = shadow.password.reveal().trim_start_matches('!').to_owned();
                shadow.password = Sensitive::new(if locked { format!("!{open}") } else { open });
            }
            shadow.expires = changes.expires.unwrap_or(shadow.expires);
        }
        model.shadows.insert(name.to_owned(), shadow);
        Ok(())
    }

    fn remove_user(&self, name: &str, remove_home: bool) -> Result<()> {
        let mut model = self.model();
        let accounts = self.accounts_of(&mut model)?;
        let Some(user) = accounts.users.remove(name) else { return Err(missing("user", name)) };
        for group in accounts.groups.values_mut() {
            group.members.retain(|member| member != name);
        }
        // userdel(8) takes the user's own group along if nobody else is in it.
        let own = accounts.groups.get(name).is_some_and(|group| group.gid == user.gid && group.members.is_empty());
        if own && !accounts.users.values().any(|other| other.gid == user.gid) {
            accounts.groups.remove(name);
        }
        model.shadows.insert(name.to_owned(), None);
        drop(model);
        if remove_home {
            self.remove(&HostPath::new(&user.home)?, Removal::Tree)?;
        }
        Ok(())
    }

    pub(in crate::host) fn create_group(&self, name: &str, gid: Option<u32>, system: bool) -> Result<()> {
        let mut model = self.model();
        let accounts = self.accounts_of(&mut model)?;
        if accounts.groups.contains_key(name) {
            return Err(Error::new(ErrorKind::Conflict, format!("group {name} exists already")));
        }
        let taken: BTreeSet<u32> = accounts.groups.values().map(|group| group.gid).collect();
        let gid = match gid {
            Some(gid) if taken.contains(&gid) => {
                return Err(Error::new(ErrorKind::Conflict, format!("the group number {gid} is taken")));
            }
            Some(gid) => gid,
            None => free_number(&taken, system)?,
        };
        accounts.groups.insert(name.to_owned(), Group { name: name.to_owned(), gid, members: Vec::new() });
        Ok(())
    }

    fn change_group(&self, name: &str, change: impl FnOnce(&mut Group)) -> Result<()> {
        let mut model = self.model();
        match self.accounts_of(&mut model)?.groups.get_mut(name) {
            Some(group) => change(group),
            None => return Err(missing("group", name)),
        }
        Ok(())
    }

    fn remove_group(&self, name: &str) -> Result<()> {
        let mut model = self.model();
        let accounts = self.accounts_of(&mut model)?;
        let Some(group) = accounts.groups.get(name) else { return Err(missing("group", name)) };
        if let Some(user) = accounts.users.values().find(|user| user.gid == group.gid) {
            let message = format!("it is the primary group of user {}", user.name);
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        accounts.groups.remove(name);
        Ok(())
    }

    fn change_unit(&self, name: &str, action: UnitAction) -> Result<()> {
        let mut unit = self.unit(name)?;
        let lasting = matches!(action, UnitAction::Mask | UnitAction::Unmask);
        if !unit.exists() && !lasting {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no unit {name}")));
        }
        let starts = matches!(action, UnitAction::Start | UnitAction::Restart | UnitAction::Reload);
        if unit.is_masked() && starts {
            return Err(Error::new(ErrorKind::Conflict, format!("{name} is masked")));
        }
        let set = |unit: &mut UnitState, active: &str, sub: &str| {
            unit.active = Some(active.to_owned());
            unit.sub = Some(sub.to_owned());
        };
        match action {
            UnitAction::Start | UnitAction::Restart if unit.ends_by_itself => {
                set(&mut unit, "inactive", "dead");
                unit.starts += 1;
            }
            UnitAction::Start | UnitAction::Restart => {
                set(&mut unit, "active", "running");
                unit.starts += 1;
            }
            UnitAction::Reload => set(&mut unit, "active", "running"),
            UnitAction::Stop | UnitAction::ResetFailed => set(&mut unit, "inactive", "dead"),
            UnitAction::Enable => "enabled".clone_into(&mut unit.file_state),
            UnitAction::Disable => "disabled".clone_into(&mut unit.file_state),
            UnitAction::Mask => {
                "masked".clone_into(&mut unit.load);
                "masked".clone_into(&mut unit.file_state);
            }
            UnitAction::Unmask => {
                "loaded".clone_into(&mut unit.load);
                "disabled".clone_into(&mut unit.file_state);
            }
        }
        if starts {
            unit.needs_reload = false;
        }
        self.model().units.insert(name.to_owned(), unit);
        Ok(())
    }
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|digit| digit.is_ascii_digit())
}

fn missing(what: &str, name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no {what} {name}"))
        .with_hint(format!("declare `{what}.{name}`, or correct the name"))
}

/// The next number as useradd(8) and groupadd(8) choose it with Debian's login.defs(5):
/// upwards from 1000, for the system downwards from 999.
fn free_number(taken: &BTreeSet<u32>, system: bool) -> Result<u32> {
    let number = if system {
        (100..=999).rev().find(|number| !taken.contains(number))
    } else {
        let highest = taken.range(1000..60000).next_back().map_or(1000, |highest| highest + 1);
        Some(highest).filter(|number| *number < 60000).or_else(|| (1000..60000).find(|n| !taken.contains(n)))
    };
    number.ok_or_else(|| Error::new(ErrorKind::Conflict, "no free number is left"))
}
