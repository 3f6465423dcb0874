//! How packages, programs and units behave where a whole host is modelled. A real host has none of these: its package manager
//! and its service manager are asked, and a plan foresees of them what is certain.

use std::sync::Arc;

use super::units::Definition;
use super::{Layer, TransactionPreview, UnitState};
use crate::effect::{Command, Output, PackageTransaction, UnitAction};
use crate::error::Result;
use crate::path::HostPath;

/// How the packages of a host behave, and their programs.
pub trait PackageModel: Send + Sync {
    /// Whether effects happen here; on a plan for the host they are only foreseen.
    fn performs(&self) -> bool;

    /// Carries out a transaction as apt and dpkg do.
    ///
    /// # Errors
    /// As those.
    fn transact(&self, layer: &Layer<'_>, transaction: &PackageTransaction) -> Result<()>;

    /// What a transaction comes to.
    ///
    /// # Errors
    /// There is no solution.
    fn preview(&self, layer: &Layer<'_>, transaction: &PackageTransaction) -> Result<TransactionPreview>;

    /// Completes what an interrupted run of dpkg left behind.
    ///
    /// # Errors
    /// Something cannot be completed.
    fn repair(&self, layer: &Layer<'_>) -> Result<()>;

    /// Fetches the package lists.
    ///
    /// # Errors
    /// Another program has locked the package database.
    fn refresh_lists(&self) -> Result<()>;

    /// Fails as apt does when another program has locked the package database for too long.
    ///
    /// # Errors
    /// It is locked.
    fn require_lock(&self) -> Result<()>;

    /// The versions of a package on offer, as preferences arrange them.
    ///
    /// # Errors
    /// The preferences cannot be read.
    fn arranged(&self, layer: &Layer<'_>, name: &str, offered: Vec<String>) -> Result<Vec<String>>;

    /// Whether a path is a configuration file of a package.
    fn has_conffile(&self, package: &str, path: &HostPath) -> bool;

    /// What a command says that changes nothing.
    ///
    /// # Errors
    /// It is not known.
    fn answer(&self, layer: &Layer<'_>, command: &Command) -> Result<Output>;

    /// Runs a command that changes something. `None` if it cannot be foreseen what it does.
    ///
    /// # Errors
    /// It is not known, or what it does fails.
    fn run(&self, layer: &Layer<'_>, command: &Command) -> Result<Option<Output>>;
}

/// How the service manager of a host behaves.
pub trait UnitModel: Send + Sync {
    /// Starts, restarts, reloads or stops a unit, with those that go with it.
    ///
    /// # Errors
    /// As the service manager.
    fn act(&self, layer: &Layer<'_>, name: &str, unit: &UnitState, action: UnitAction) -> Result<()>;

    /// What happens to units when the service manager reads all unit files.
    ///
    /// # Errors
    /// Unit files cannot be read.
    fn before_reload(&self, layer: &Layer<'_>) -> Result<()>;

    /// `SubState` of a unit that starts another one. `None` if it is the recorded one.
    ///
    /// # Errors
    /// Unit files cannot be read.
    fn sub_state(&self, layer: &Layer<'_>, unit: &Definition, state: &UnitState) -> Result<Option<&'static str>>;
}

/// What a modelled host knows of its unit files: read once, however often a plan or a test asks.
pub trait UnitIndex {
    /// A unit as its files declare it.
    ///
    /// # Errors
    /// Its files cannot be read.
    fn definition(&self, name: &str) -> Result<Option<Arc<Definition>>>;

    /// The units whose files may name a unit: more than those that do, never less.
    ///
    /// # Errors
    /// Files of units cannot be read.
    fn referrers(&self, name: &str) -> Result<Vec<String>>;

    /// The directories with links to what units pull in, such as `app.service.requires`, with a name that fits.
    ///
    /// # Errors
    /// Directories cannot be read.
    fn link_directories(&self, fits: &dyn Fn(&str) -> bool) -> Result<Vec<HostPath>>;

    /// The unit that a name would stand for if that unit were enabled (`Alias=`).
    ///
    /// # Errors
    /// Files of units cannot be read.
    fn alias_target(&self, name: &str) -> Result<Option<String>>;

    /// The names of all timers that may have a file.
    ///
    /// # Errors
    /// Directories cannot be read.
    fn timer_names(&self) -> Result<Vec<String>>;
}
