//! A whole simulated Debian, built on the overlay: for tests and for `--simulate`.

mod catalogue;
mod package;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::effect::{Access, Command, Content, CreateUser, Effect, Output, PackageTransaction, Sensitive, UserChanges};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::{
    Accounts, FileAttributes, FileKind, FileMetadata, Group, Host, HostView, Overlay, PackageManager, PackageState,
    PackageStatus, PackageTable, Shadow, TransactionPreview, UnitState, User,
};
use crate::moment::Moment;
use crate::path::{HostPath, Mode};

pub use catalogue::{Catalogue, CatalogueFile, CataloguePackage};
pub use package::{CatalogueHeader, RecordedPackage, ScriptChanges};

/// What an effect takes on a simulated host, in microseconds.
const TICK: u64 = 1000;

/// When simulated hosts were switched on: 2026-01-01 00:00 UTC, in microseconds.
const FIRST_INSTANT: i64 = 1_767_225_600_000_000;

/// A simulated Debian host. It answers and obeys as a real one, in memory.
///
/// It begins as a minimal installation: the directories, users and groups of `base-files` and `base-passwd`, a few
/// essential packages, systemd running. Packages come from a small [`Catalogue`].
///
/// ```
/// use provision_core::host::{HostExt, HostViewExt, SimHost};
///
/// let host = SimHost::debian().with_file("/etc/motd", "old");
/// host.write_text("/etc/motd", "new\n")?;
/// assert_eq!(host.read_text("/etc/motd")?.as_deref(), Some("new\n"));
/// # Ok::<(), provision_core::error::Error>(())
/// ```
pub struct SimHost {
    host: Overlay<Bare>,
}

/// Nothing at all, but for the packages that could be installed.
struct Bare {
    catalogue: Arc<Catalogue>,
    /// Microseconds that have passed; every effect takes some.
    clock: AtomicU64,
    /// How often the host was started.
    boots: AtomicU64,
}

impl SimHost {
    /// A freshly installed Debian 12.
    pub fn debian() -> SimHost {
        let host = Overlay::new(Bare { catalogue: Arc::new(Catalogue::debian()), clock: 0.into(), boots: 1.into() });
        let sim = SimHost { host };
        sim.install_base().expect("the simulated installation is consistent");
        let _ = sim.host.take_recorded();
        sim
    }

    /// With a file that belongs to root (`0644`), and the directories above it.
    ///
    /// # Panics
    /// If the path is not absolute.
    #[must_use]
    pub fn with_file(self, path: &str, content: impl Into<Content>) -> SimHost {
        let path = HostPath::new(path).expect("an absolute path");
        self.put(&path, FileKind::File, 0o644, Some(content.into())).expect("a file can be put there");
        self
    }

    /// With a directory that belongs to root (`0755`).
    ///
    /// # Panics
    /// If the path is not absolute.
    #[must_use]
    pub fn with_directory(self, path: &str) -> SimHost {
        let path = HostPath::new(path).expect("an absolute path");
        self.put(&path, FileKind::Directory, 0o755, None).expect("a directory can be put there");
        self
    }

    /// With a directory that another file system is mounted on.
    ///
    /// # Panics
    /// If the path is not absolute.
    #[must_use]
    pub fn with_mount(self, path: &str) -> SimHost {
        let host = self.with_directory(path);
        host.host.mount(&HostPath::new(path).expect("an absolute path"));
        host
    }

    /// With a package of the catalogue installed, and all that it depends on.
    ///
    /// # Panics
    /// If the catalogue does not have it.
    #[must_use]
    pub fn with_package(self, name: &str) -> SimHost {
        let request = crate::effect::PackageRequest { name: name.to_owned(), version: None };
        let transaction = PackageTransaction { install: vec![request], ..PackageTransaction::default() };
        self.perform(&Effect::Packages(transaction)).expect("a package of the catalogue");
        self.host.take_recorded();
        self
    }

    /// With a package in a state, whatever the catalogue says.
    #[must_use]
    pub fn with_package_state(self, name: &str, state: PackageState) -> SimHost {
        self.host.set_package(name, state);
        self
    }

    /// With these versions of a package on offer, the preferred one first.
    #[must_use]
    pub fn with_available_versions(self, name: &str, versions: &[&str]) -> SimHost {
        self.host.set_available(name, versions.iter().map(|version| (*version).to_owned()).collect());
        self
    }

    /// With a package manager in a state.
    #[must_use]
    pub fn with_package_manager(self, state: PackageManager) -> SimHost {
        self.host.set_package_manager(state);
        self
    }

    /// As a directory that holds an installation, in which no unit runs. What comes later is as in one.
    #[must_use]
    pub fn switched_off(self) -> SimHost {
        self.host.switch_off();
        self
    }

    /// With a user, its group of the same name and its home directory.
    ///
    /// # Panics
    /// If the user exists already.
    #[must_use]
    pub fn with_user(self, name: &str) -> SimHost {
        let user =
            CreateUser { name: name.to_owned(), system: false, create_home: true, attributes: UserChanges::default() };
        self.host.create_user(&user).expect("a new user");
        self
    }

    /// With a unit in a state.
    #[must_use]
    pub fn with_unit(self, name: &str, state: UnitState) -> SimHost {
        self.host.set_unit(name, state);
        self
    }

    /// With a command that gives this answer, whatever its arguments. Commands that are not named here are errors.
    #[must_use]
    pub fn with_command(self, program: &str, output: Output) -> SimHost {
        self.host.set_command(program, output);
        self
    }

    /// Starts the host anew: what ran before runs again, from now on.
    pub fn reboot(&self) {
        self.host.base().boots.fetch_add(1, Ordering::Relaxed);
        self.host.base().clock.fetch_add(TICK, Ordering::Relaxed);
    }

    /// The effects performed since the last call, or since the host was made.
    pub fn take_effects(&self) -> Vec<Effect> {
        self.host.take_recorded()
    }

    /// Everything that can be observed of the host, a line each, by what it is about: to compare two hosts, or one with how
    /// it was.
    ///
    /// # Panics
    /// Never, unless the simulation contradicts itself.
    pub fn everything(&self) -> BTreeMap<String, String> {
        let mut lines = BTreeMap::new();
        self.files_below(&HostPath::root(), &mut lines).expect("every file can be looked at");
        for (name, entry) in self.packages().iter().flat_map(|table| table.iter()) {
            lines.insert(format!("package {name}"), format!("{entry:?}"));
        }
        let accounts = self.accounts().expect("the accounts are known");
        for (name, user) in &accounts.users {
            let shadow = self.shadow(name).ok().flatten();
            let shadow = shadow.map(|shadow| (shadow.password.reveal().to_owned(), shadow.expires));
            lines.insert(format!("user {name}"), format!("{user:?} {shadow:?}"));
        }
        lines.extend(accounts.groups.iter().map(|(name, group)| (format!("group {name}"), format!("{group:?}"))));
        for name in self.host.unit_names() {
            if let Ok(unit) = self.unit(&name)
                && unit.exists()
            {
                lines.insert(format!("unit {name}"), format!("{} {:?} {}", unit.load, unit.active, unit.file_state));
            }
        }
        lines
    }

    fn files_below(&self, path: &HostPath, lines: &mut BTreeMap<String, String>) -> Result<()> {
        let Some(found) = self.metadata(path)? else { return Ok(()) };
        let xattrs = self.attributes(path)?.map(|attributes| attributes.xattrs).unwrap_or_default();
        let holds = match found.kind {
            FileKind::File => self.read(path)?.map(|content| String::from_utf8_lossy(content.bytes()).into_owned()),
            FileKind::Symlink => self.read_link(path)?,
            _ => None,
        };
        lines.insert(format!("path {path}"), format!("{:?} {:?} {xattrs:?} {holds:?}", found.kind, found.access));
        if found.kind == FileKind::Directory {
            for name in self.list(path)?.unwrap_or_default() {
                self.files_below(&path.join(&name)?, lines)?;
            }
        }
        Ok(())
    }

    fn put(&self, path: &HostPath, kind: FileKind, mode: u32, data: Option<Content>) -> Result<()> {
        self.host.make_directories(path)?;
        let access = Access { owner: "root".into(), group: "root".into(), mode: Mode::new(mode) };
        self.host.place(path, kind, access, data)
    }

    fn install_base(&self) -> Result<()> {
        self.put(&HostPath::root(), FileKind::Directory, 0o755, None)?;
        for (path, mode) in catalogue::BASE_DIRECTORIES {
            self.put(&HostPath::new(path)?, FileKind::Directory, *mode, None)?;
        }
        for (path, target) in catalogue::BASE_LINKS {
            self.put(&HostPath::new(path)?, FileKind::Symlink, 0o777, Some((*target).into()))?;
        }
        for (path, text) in catalogue::BASE_FILES {
            self.put(&HostPath::new(path)?, FileKind::File, 0o644, Some((*text).into()))?;
        }
        for name in catalogue::BASE_PACKAGES {
            let version = self.host.catalogue().and_then(|all| all.get(name).map(|package| package.version.clone()));
            let state = PackageState { status: PackageStatus::Installed, version, ..PackageState::default() };
            self.host.set_package(name, state);
        }
        Ok(())
    }
}

impl HostView for Bare {
    fn metadata(&self, _: &HostPath) -> Result<Option<FileMetadata>> {
        Ok(None)
    }
    fn attributes(&self, _: &HostPath) -> Result<Option<FileAttributes>> {
        Ok(None)
    }
    fn read(&self, _: &HostPath) -> Result<Option<Content>> {
        Ok(None)
    }
    fn read_link(&self, _: &HostPath) -> Result<Option<String>> {
        Ok(None)
    }
    fn list(&self, _: &HostPath) -> Result<Option<Vec<String>>> {
        // A directory that only had its metadata changed has nothing of the host beneath in it.
        Ok(Some(Vec::new()))
    }
    fn package(&self, _: &str) -> Result<PackageState> {
        Ok(PackageState::default())
    }
    fn available_versions(&self, name: &str) -> Result<Vec<String>> {
        Ok(self.catalogue.get(name).map(|package| package.version.clone()).into_iter().collect())
    }
    fn package_manager(&self) -> Result<PackageManager> {
        Ok(PackageManager { interrupted: Vec::new(), lists_age: Some(3600) })
    }
    fn preview(&self, _: &PackageTransaction) -> Result<TransactionPreview> {
        Ok(TransactionPreview::default())
    }
    fn package_of(&self, path: &HostPath) -> Result<Option<String>> {
        Ok(self.catalogue.package_of(path))
    }
    fn unit(&self, _: &str) -> Result<UnitState> {
        Ok(UnitState { active: Some("inactive".into()), ..UnitState::not_found() })
    }
    fn user(&self, name: &str) -> Result<Option<User>> {
        Ok(self.accounts()?.users.get(name).cloned())
    }
    fn group(&self, name: &str) -> Result<Option<Group>> {
        Ok(self.accounts()?.groups.get(name).cloned())
    }
    fn accounts(&self) -> Result<Arc<Accounts>> {
        Ok(catalogue::base_accounts())
    }
    fn shadow(&self, user: &str) -> Result<Option<Shadow>> {
        let known = self.accounts()?.users.contains_key(user);
        Ok(known.then(|| Shadow { password: Sensitive::new("*"), expires: None }))
    }
    fn query(&self, command: &Command) -> Result<Output> {
        Err(unmodelled(command))
    }
    fn packages(&self) -> Result<Arc<PackageTable>> {
        Ok(Arc::default())
    }
    fn is_running(&self) -> bool {
        true
    }
    fn now(&self) -> Moment {
        let micros = self.clock.load(Ordering::Relaxed);
        let boot = format!("boot-{}", self.boots.load(Ordering::Relaxed)).into();
        Moment {
            unix_micros: FIRST_INSTANT + i64::try_from(micros).unwrap_or(i64::MAX),
            boot,
            monotonic_micros: micros,
        }
    }
    fn catalogue(&self) -> Option<Arc<Catalogue>> {
        Some(Arc::clone(&self.catalogue))
    }
}

fn unmodelled(command: &Command) -> Error {
    Error::new(ErrorKind::Unsupported, format!("the simulated host does not know what `{command}` does"))
        .with_hint("tell it with `SimHost::with_command`, or try the site on a root directory")
}

impl HostView for SimHost {
    fn metadata(&self, path: &HostPath) -> Result<Option<FileMetadata>> {
        self.host.metadata(path)
    }
    fn attributes(&self, path: &HostPath) -> Result<Option<FileAttributes>> {
        self.host.attributes(path)
    }
    fn read(&self, path: &HostPath) -> Result<Option<Content>> {
        self.host.read(path)
    }
    fn read_link(&self, path: &HostPath) -> Result<Option<String>> {
        self.host.read_link(path)
    }
    fn list(&self, path: &HostPath) -> Result<Option<Vec<String>>> {
        self.host.list(path)
    }
    fn package(&self, name: &str) -> Result<PackageState> {
        let mut state = self.host.package(name)?;
        if let Some(catalogue) = self.host.catalogue() {
            for provider in catalogue.providers(name) {
                if self.host.package(provider)?.status == PackageStatus::Installed {
                    state.provided_by.push(provider.to_owned());
                }
            }
        }
        Ok(state)
    }
    fn available_versions(&self, name: &str) -> Result<Vec<String>> {
        self.host.available_versions(name)
    }
    fn package_manager(&self) -> Result<PackageManager> {
        self.host.package_manager()
    }
    fn preview(&self, transaction: &PackageTransaction) -> Result<TransactionPreview> {
        let catalogue = self.host.catalogue().unwrap_or_default();
        catalogue.preview(transaction, |name| self.host.package(name))
    }
    fn package_of(&self, path: &HostPath) -> Result<Option<String>> {
        let owner = self.host.package_of(path)?;
        match owner {
            Some(name) if self.host.package(&name)?.status == PackageStatus::Installed => Ok(Some(name)),
            _ => Ok(None),
        }
    }
    fn unit(&self, name: &str) -> Result<UnitState> {
        self.host.unit(name)
    }
    fn user(&self, name: &str) -> Result<Option<User>> {
        self.host.user(name)
    }
    fn group(&self, name: &str) -> Result<Option<Group>> {
        self.host.group(name)
    }
    fn accounts(&self) -> Result<Arc<Accounts>> {
        self.host.accounts()
    }
    fn shadow(&self, user: &str) -> Result<Option<Shadow>> {
        self.host.shadow(user)
    }
    fn query(&self, command: &Command) -> Result<Output> {
        let program = command.argv.first().map(String::as_str).unwrap_or_default();
        self.host.knows_command(program).ok_or_else(|| unmodelled(command))
    }
    fn packages(&self) -> Result<Arc<PackageTable>> {
        self.host.packages()
    }
    fn is_running(&self) -> bool {
        self.host.is_running()
    }
    fn now(&self) -> Moment {
        self.host.now()
    }
    fn catalogue(&self) -> Option<Arc<Catalogue>> {
        self.host.catalogue()
    }
}

impl Host for SimHost {
    fn perform(&self, effect: &Effect) -> Result<Output> {
        self.host.base().clock.fetch_add(TICK, Ordering::Relaxed);
        let command = match effect {
            Effect::Run(command) => Some(self.query(command).while_doing(|| effect.to_string())?),
            // A validation that nobody described is taken to pass: the simulation has no programs.
            Effect::WriteFile(file) => file.validate.as_ref().and_then(|command| self.query(command).ok()),
            _ => None,
        };
        if let Some(output) = command.as_ref().filter(|output| !output.success()) {
            return Err(Error::new(ErrorKind::CommandFailed, format!("exit code {}", output.code))
                .while_doing(effect.to_string())
                .with_cause(super::local::last_words(output)));
        }
        self.host.perform(effect)?;
        Ok(command.unwrap_or_default())
    }
}
