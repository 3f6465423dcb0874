//! How a simulated Debian behaves: what a model asks instead of a package manager and a service manager.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::{HashMap, HashSet};

use super::Catalogue;
use super::programs::CommandScript;
use crate::effect::{Command, Output, PackageTransaction, UnitAction};
use crate::error::{Error, ErrorKind, Result};
use crate::host::units::Definition;
use crate::host::{HostView, Layer, PackageModel, TransactionPreview, UnitModel, UnitState};
use crate::path::HostPath;

/// Whether a unit of a simulated host starts, restarts or reloads: an error says why not.
pub(super) type UnitScript = Arc<dyn Fn(&dyn HostView, UnitAction) -> Result<()> + Send + Sync>;

/// How a simulated Debian behaves.
pub(super) struct Debian {
    pub(super) catalogue: Arc<Catalogue>,
    /// What a test has given the host. A plan for it foresees nothing of that, and has none.
    given: Option<Mutex<Given>>,
}

/// What a test gives a simulated host, and no effect brings about.
#[derive(Clone, Default)]
pub(super) struct Given {
    /// Seconds since the package lists were fetched.
    pub(super) lists_age: Option<Option<u64>>,
    /// The versions of packages on offer.
    pub(super) available: HashMap<String, Vec<String>>,
    /// Packages whose scripts fail when they are configured.
    pub(super) failing_scripts: HashSet<String>,
    /// Whether the archive has other files by now than the lists say.
    pub(super) archive_moved: bool,
    /// Who holds the lock of the package database.
    pub(super) package_lock: Option<String>,
    /// How many packages dpkg still unpacks, configures or removes before it is killed.
    pub(super) steps_until_killed: Option<usize>,
    /// What decides whether units start.
    pub(super) unit_scripts: HashMap<String, UnitScript>,
    /// What commands say and do, by their first words.
    pub(super) commands: HashMap<String, CommandScript>,
    /// Whether it is a directory in which nothing runs.
    pub(super) switched_off: bool,
    /// When it was last started.
    pub(super) booted_micros: u64,
}

impl Debian {
    /// That of a host.
    pub(super) fn performing(catalogue: Arc<Catalogue>) -> Debian {
        Debian { catalogue, given: Some(Mutex::default()) }
    }

    /// That of plans for it.
    pub(super) fn foreseen(&self) -> Debian {
        Debian { catalogue: Arc::clone(&self.catalogue), given: None }
    }

    /// Reads or changes what a test has given. `None` in a plan.
    pub(super) fn given<T>(&self, with: impl FnOnce(&mut Given) -> T) -> Option<T> {
        self.lock().map(|mut given| with(&mut given))
    }

    fn lock(&self) -> Option<MutexGuard<'_, Given>> {
        self.given.as_ref().map(|given| given.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn at<'s>(&'s self, layer: &Layer<'s>) -> Machine<'s> {
        Machine { layer: *layer, debian: self }
    }
}

impl Clone for Debian {
    fn clone(&self) -> Debian {
        Debian { catalogue: Arc::clone(&self.catalogue), given: self.lock().map(|given| given.clone().into()) }
    }
}

/// A simulated Debian at work on a model.
pub(super) struct Machine<'s> {
    pub(super) layer: Layer<'s>,
    pub(super) debian: &'s Debian,
}

impl<'s> Machine<'s> {
    pub(super) fn catalogue(&self) -> &'s Arc<Catalogue> {
        &self.debian.catalogue
    }

    /// See [`Debian::given`].
    pub(super) fn given<T>(&self, with: impl FnOnce(&mut Given) -> T) -> Option<T> {
        self.debian.given(with)
    }
}

impl<'s> Deref for Machine<'s> {
    type Target = Layer<'s>;

    fn deref(&self) -> &Layer<'s> {
        &self.layer
    }
}

impl PackageModel for Debian {
    fn performs(&self) -> bool {
        self.given.is_some()
    }
    fn transact(&self, layer: &Layer<'_>, transaction: &PackageTransaction) -> Result<()> {
        self.at(layer).transact(transaction)
    }
    fn preview(&self, layer: &Layer<'_>, transaction: &PackageTransaction) -> Result<TransactionPreview> {
        self.at(layer).preview_of(transaction)
    }
    fn repair(&self, layer: &Layer<'_>) -> Result<()> {
        self.at(layer).repair()
    }
    fn refresh_lists(&self) -> Result<()> {
        self.require_lock()?;
        self.given(|given| given.archive_moved = false);
        Ok(())
    }
    fn require_lock(&self) -> Result<()> {
        match self.given(|given| given.package_lock.clone()).flatten() {
            None => Ok(()),
            Some(holder) => {
                Err(Error::new(ErrorKind::Locked, format!("{holder} holds the lock of the package database")))
            }
        }
    }
    fn arranged(&self, layer: &Layer<'_>, name: &str, offered: Vec<String>) -> Result<Vec<String>> {
        self.at(layer).pinned(name, offered)
    }
    fn has_conffile(&self, package: &str, path: &HostPath) -> bool {
        self.catalogue.get(package).is_some_and(|package| package.conffiles.contains(path))
    }
    fn answer(&self, layer: &Layer<'_>, command: &Command) -> Result<Output> {
        self.at(layer).answer(command)
    }
    fn run(&self, layer: &Layer<'_>, command: &Command) -> Result<Option<Output>> {
        self.at(layer).run(command)
    }
}

impl UnitModel for Debian {
    fn act(&self, layer: &Layer<'_>, name: &str, unit: &UnitState, action: UnitAction) -> Result<()> {
        self.at(layer).act(name, unit, action)
    }
    fn before_reload(&self, layer: &Layer<'_>) -> Result<()> {
        self.at(layer).fail_lost_timers()
    }
    fn sub_state(&self, layer: &Layer<'_>, unit: &Definition, state: &UnitState) -> Result<Option<&'static str>> {
        self.at(layer).sub_of_trigger(unit, state)
    }
}
