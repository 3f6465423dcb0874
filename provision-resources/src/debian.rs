//! What only Debian knows: dpkg, apt, systemd, and the account files, read directly and changed by their own programs.

#![deny(clippy::wildcard_enum_match_arm)]

mod accounts;
mod apt;
mod dpkg;
mod lines;
mod locks;
mod systemd;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use provision_core::effect::{Effect, PackageTransaction, PlatformEffect, Touched};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::facts::native_architecture;
use provision_core::host::{
    Accounts, Answer, FileIdentity, LocalSystem, PackageManager, PackageState, PackageStatus, PackageTable, Platform,
    Question, TransactionPreview, UnitState, is_manager_input,
};
use provision_core::path::HostPath;
use provision_core::resource::{Claim, Target};

/// Debian 11 and newer, on the running host or in a root directory.
///
/// What it reads it remembers until an effect may have changed it: dpkg's status, the account files and the states of
/// units are each read at most once between two changes.
pub struct Debian {
    lock_patience: Duration,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// The text of dpkg's status, until a package is asked for, and of which file it was.
    status_text: Option<(FileIdentity, String)>,
    status: Option<Arc<dpkg::Status>>,
    shipped: Option<Arc<dpkg::Shipped>>,
    versions: HashMap<String, Vec<String>>,
    /// Names that installed packages provide, and whether they are those of packages too.
    real: HashMap<String, bool>,
    /// The packages that came along with others.
    automatic: Option<Arc<HashSet<String>>>,
    /// Whether the package lists were fetched in this run.
    were_lists_fetched: bool,
    accounts: Option<Arc<Accounts>>,
    units: HashMap<String, UnitState>,
    /// What a run is about, so that one process can answer for all of it.
    expected_packages: Vec<String>,
    expected_units: Vec<String>,
}

impl Default for Debian {
    fn default() -> Debian {
        Debian::new()
    }
}

impl Debian {
    /// Waits up to five minutes for programs that hold the locks of dpkg and apt.
    pub fn new() -> Debian {
        Debian::with_lock_patience(Duration::from_secs(300))
    }

    /// Waits that long for programs that hold the locks of dpkg and apt.
    pub fn with_lock_patience(lock_patience: Duration) -> Debian {
        Debian { lock_patience, memory: Mutex::default() }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self, system: &LocalSystem) -> Result<Arc<dpkg::Status>> {
        let mut memory = self.memory();
        if let Some(status) = &memory.status {
            return Ok(Arc::clone(status));
        }
        // A run reads facts before it has the host to itself.
        let text = match memory.status_text.take() {
            Some((of, text)) if dpkg::Status::identity(system)? == Some(of) => text,
            _ => dpkg::Status::text(system)?,
        };
        let status = Arc::new(dpkg::Status::of(&text, system)?);
        memory.status = Some(Arc::clone(&status));
        Ok(status)
    }

    fn automatic(&self, system: &LocalSystem) -> Result<Arc<HashSet<String>>> {
        if let Some(automatic) = &self.memory().automatic {
            return Ok(Arc::clone(automatic));
        }
        let automatic = Arc::new(apt::automatic(system)?);
        self.memory().automatic = Some(Arc::clone(&automatic));
        Ok(automatic)
    }

    /// Whether a package has a name that installed packages provide.
    fn is_real(&self, system: &LocalSystem, name: &str) -> Result<bool> {
        if let Some(is_real) = self.memory().real.get(name) {
            return Ok(*is_real);
        }
        let is_real = apt::is_real(system, self.architecture(system)?.as_deref(), name)?;
        self.memory().real.insert(name.to_owned(), is_real);
        Ok(is_real)
    }
}

/// What is remembered, or else read.
impl Debian {
    fn package(&self, system: &LocalSystem, name: &str) -> Result<PackageState> {
        let mut state = self.status(system)?.package(name);
        if state.status == PackageStatus::Installed {
            state.automatic = self.automatic(system)?.contains(name);
        } else if !state.provided_by.is_empty() && self.is_real(system, name)? {
            state.provided_by.clear();
        }
        Ok(state)
    }

    fn architecture(&self, system: &LocalSystem) -> Result<Option<String>> {
        if let Some(status) = &self.memory().status {
            return Ok(status.architecture.clone());
        }
        if let Some(first) = dpkg::first_architecture(system)? {
            return Ok(Some(first));
        }
        let of = dpkg::Status::identity(system)?;
        let text = dpkg::Status::text(system)?;
        let architecture = native_architecture(&text);
        self.memory().status_text = of.map(|of| (of, text));
        Ok(architecture)
    }

    fn available_versions(&self, system: &LocalSystem, name: &str) -> Result<Vec<String>> {
        if let Some(versions) = self.memory().versions.get(name) {
            return Ok(versions.clone());
        }
        let mut names = self.memory().expected_packages.clone();
        if !names.iter().any(|other| other == name) {
            names.push(name.to_owned());
        }
        let native = self.architecture(system)?;
        let found = apt::available_versions(system, native.as_deref(), &names)?;
        let mut memory = self.memory();
        memory.versions.extend(found);
        Ok(memory.versions.get(name).cloned().unwrap_or_default())
    }

    fn package_manager(&self, system: &LocalSystem) -> Result<PackageManager> {
        let interrupted = self.status(system)?.interrupted(system)?;
        let lists = apt::lists(system)?;
        let were_lists_fetched = self.memory().were_lists_fetched;
        let are_lists_outdated = lists.are_outdated && !were_lists_fetched;
        Ok(PackageManager { interrupted, lists_age: lists.age, are_lists_outdated, were_lists_fetched })
    }

    fn packages(&self, system: &LocalSystem) -> Result<Arc<PackageTable>> {
        let status = self.status(system)?;
        Ok(Arc::new(status.table(&*self.automatic(system)?)))
    }

    fn preview(&self, system: &LocalSystem, transaction: &PackageTransaction) -> Result<TransactionPreview> {
        apt::preview(system, self.architecture(system)?.as_deref(), transaction)
    }

    fn package_of(&self, system: &LocalSystem, path: &HostPath) -> Result<Option<String>> {
        let known = self.memory().shipped.clone();
        let shipped = match known {
            Some(shipped) => shipped,
            None => {
                let shipped = Arc::new(dpkg::Shipped::read(system)?);
                self.memory().shipped = Some(Arc::clone(&shipped));
                shipped
            }
        };
        Ok(shipped.package_of(path))
    }

    fn unit(&self, system: &LocalSystem, name: &str) -> Result<UnitState> {
        if let Some(state) = self.memory().units.get(name) {
            return Ok(state.clone());
        }
        if !systemd::is_running(system)? {
            let found = system.unit_from_files(name)?;
            self.memory().units.insert(name.to_owned(), found.clone());
            return Ok(found);
        }
        let mut names = self.memory().expected_units.clone();
        if !names.iter().any(|other| other == name) {
            names.push(name.to_owned());
        }
        let found = systemd::units(system, &names)?;
        let mut memory = self.memory();
        memory.units.extend(found);
        memory.units.get(name).cloned().ok_or_else(|| {
            Error::new(ErrorKind::Io, "systemctl gave no answer").while_doing(format!("asking for the state of {name}"))
        })
    }

    fn accounts(&self, system: &LocalSystem) -> Result<Arc<Accounts>> {
        let mut memory = self.memory();
        if let Some(accounts) = &memory.accounts {
            return Ok(Arc::clone(accounts));
        }
        let accounts = Arc::new(accounts::read(system)?);
        memory.accounts = Some(Arc::clone(&accounts));
        Ok(accounts)
    }
}

impl Platform for Debian {
    fn ask(&self, system: &LocalSystem, question: &Question<'_>) -> Result<Answer> {
        Ok(match question {
            Question::Package(name) => Answer::Package(self.package(system, name)?),
            Question::AvailableVersions(name) => Answer::AvailableVersions(self.available_versions(system, name)?),
            Question::PackageManager => Answer::PackageManager(self.package_manager(system)?),
            Question::Packages => Answer::Packages(self.packages(system)?),
            Question::Preview(transaction) => Answer::Preview(self.preview(system, transaction)?),
            Question::PackageOf(path) => Answer::PackageOf(self.package_of(system, path)?),
            Question::Unit(name) => Answer::Unit(self.unit(system, name)?),
            Question::Accounts => Answer::Accounts(self.accounts(system)?),
            Question::Shadow(user) => Answer::Shadow(accounts::shadow(system, user)?),
            Question::AccountLines(users, groups) => Answer::AccountLines(lines::read(system, users, groups)?),
            Question::Architecture => Answer::Architecture(self.architecture(system)?),
            Question::InterruptedPackages
            | Question::User(_)
            | Question::Group(_)
            | Question::Query(_)
            | Question::QueryWith(..) => return Err(question.unsupported()),
            _ => return Err(question.unsupported()),
        })
    }

    fn runs_units(&self, system: &LocalSystem) -> bool {
        systemd::is_running(system).unwrap_or(false)
    }

    fn come_to_rest(&self, system: &LocalSystem, effect: &PlatformEffect) -> Result<()> {
        locks::wait(system, locks::of(effect), self.lock_patience)
    }

    fn perform(&self, system: &LocalSystem, effect: &PlatformEffect) -> Result<()> {
        self.come_to_rest(system, effect)?;
        match effect {
            PlatformEffect::Packages(transaction) => {
                apt::transact(system, self.architecture(system)?.as_deref(), transaction)?;
            }
            PlatformEffect::RefreshPackageLists => {
                apt::refresh(system)?;
                self.memory().were_lists_fetched = true;
            }
            PlatformEffect::RepairPackages => apt::repair(system)?,
            PlatformEffect::Unit { unit, action } => systemd::act(system, unit, *action)?,
            PlatformEffect::ReloadUnits => systemd::reload_units(system)?,
            PlatformEffect::WatchUnit { unit, seconds } => {
                self.memory().units.clear();
                systemd::watch_for(system, unit, *seconds)?;
            }
            PlatformEffect::RestoreAccounts { lines } => lines::restore(system, lines)?,
            PlatformEffect::CreateUser(user) => accounts::create_user(system, user)?,
            PlatformEffect::ChangeUser { name, changes } => accounts::change_user(system, name, changes)?,
            PlatformEffect::RemoveUser { name, remove_home } => accounts::remove_user(system, name, *remove_home)?,
            PlatformEffect::CreateGroup { name, gid, system: is_system } => {
                accounts::create_group(system, name, *gid, *is_system)?;
            }
            PlatformEffect::ChangeGroup { name, gid } => accounts::change_group(system, name, *gid)?,
            PlatformEffect::SetMembers { group, members } => accounts::set_members(system, group, members)?,
            PlatformEffect::RemoveGroup { name } => accounts::remove_group(system, name)?,
        }
        Ok(())
    }

    fn forget(&self, effect: &Effect) {
        let mut memory = self.memory();
        for thing in effect.touches() {
            match thing {
                Touched::Path { path, .. } => forget_path(&mut memory, path),
                Touched::User(_) | Touched::Group(_) | Touched::UsersOf(_) | Touched::Home { .. } => {
                    memory.accounts = None;
                }
                Touched::Unit { .. } | Touched::ServiceManager => memory.units.clear(),
                // Scripts of packages and commands change whatever they like.
                Touched::Packages(_) | Touched::PackageDatabase | Touched::PackageLists | Touched::Anything(_) => {
                    forget_status(&mut memory);
                    memory.shipped = None;
                    memory.versions.clear();
                    memory.real.clear();
                    memory.accounts = None;
                    memory.units.clear();
                }
            }
        }
    }

    fn prefetch(&self, claims: &mut dyn Iterator<Item = &Claim>) {
        let mut memory = self.memory();
        // A run begins.
        memory.were_lists_fetched = false;
        for claim in claims {
            if let Target::Unit(name) = &claim.target {
                memory.expected_units.push(name.clone());
            }
            if let Target::Package(name) = &claim.target {
                memory.expected_packages.push(name.clone());
            }
        }
        let Memory { expected_units, expected_packages, .. } = &mut *memory;
        for names in [expected_units, expected_packages] {
            names.sort_unstable();
            names.dedup();
        }
    }
}

fn forget_path(memory: &mut Memory, path: &HostPath) {
    if is_manager_input(path) {
        memory.units.clear();
    }
    let path = path.as_str();
    if matches!(path, "/etc/passwd" | "/etc/group" | "/etc/shadow") {
        memory.accounts = None;
    } else if path.starts_with("/etc/apt") {
        memory.versions.clear();
        memory.real.clear();
        memory.were_lists_fetched = false;
    } else if path.starts_with("/var/lib/dpkg") {
        forget_status(memory);
        memory.shipped = None;
    }
}

fn forget_status(memory: &mut Memory) {
    (memory.status, memory.status_text, memory.automatic) = (None, None, None);
}
