//! A whole simulated Debian, built on the overlay: for tests and for `--simulate`.

mod beginning;
mod catalogue;
mod looks;
mod package;
pub(in crate::host) mod pins;
mod relations;
pub(in crate::host) mod resolver;
mod start;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::effect::{Command, Content, Effect, Output, PackageTransaction};
use crate::error::{Error, ErrorKind, Result};
use crate::host::record::RecordedHost;
use crate::host::units::{Definition, ModelledUnits};
use crate::host::{
    Accounts, FileAttributes, FileMetadata, Group, Host, HostRecord, HostView, Overlay, PackageManager, PackageState,
    PackageStatus, PackageTable, Shadow, TransactionPreview, UnitState, User,
};
use crate::moment::Moment;
use crate::path::HostPath;

pub use beginning::Beginning;
pub use catalogue::Catalogue;
pub(in crate::host) use catalogue::{Offer, Shipped};
pub use looks::{SimFile, SimUnit};
pub use package::{CatalogueHeader, RecordedPackage, ScriptChanges};

/// What an effect takes on a simulated host, in microseconds.
const TICK: u64 = 1000;

/// What starting a unit takes.
const START: u64 = 2_100_000;

/// When simulated hosts were switched on: 2026-01-01 00:00 UTC, in microseconds.
const FIRST_INSTANT: i64 = 1_767_225_600_000_000;

/// A simulated Debian host. It answers and obeys as a real one, in memory.
///
/// It begins as a minimal installation that was recorded from a real one, with systemd running, and its packages are
/// those of Debian, as they were recorded: with their files, users, units and dependencies.
///
/// ```
/// use provision_core::host::{HostExt, SimHost};
///
/// let host = SimHost::debian(13).with_package("nginx").with_file("/etc/motd", "old");
/// assert!(host.unit("nginx").is_active());
/// host.write_text("/etc/motd", "new\n")?;
/// assert_eq!(host.file("/etc/motd").text(), "new\n");
/// # Ok::<(), provision_core::error::Error>(())
/// ```
#[derive(Clone)]
pub struct SimHost {
    host: Overlay<Base>,
    beginnings: Vec<Beginning>,
}

/// The recording that a simulated host begins with, and its clock.
struct Base {
    recorded: RecordedHost,
    catalogue: Arc<Catalogue>,
    /// Microseconds that have passed; every effect takes some.
    clock: AtomicU64,
    /// How often the host was started.
    boots: AtomicU64,
}

impl Clone for Base {
    fn clone(&self) -> Base {
        Base {
            recorded: self.recorded.clone(),
            catalogue: Arc::clone(&self.catalogue),
            clock: self.clock.load(Ordering::Relaxed).into(),
            boots: self.boots.load(Ordering::Relaxed).into(),
        }
    }
}

impl Base {
    fn pass(&self, micros: u64) {
        self.clock.fetch_add(micros, Ordering::Relaxed);
    }
}

impl SimHost {
    /// A freshly installed Debian, by the number of its release: 12 or 13.
    ///
    /// # Panics
    /// No other release was recorded.
    pub fn debian(release: u32) -> SimHost {
        match SimHost::release(&release.to_string()) {
            Ok(host) => host,
            Err(error) => panic!("{error}; {}", error.hint().unwrap_or_default()),
        }
    }

    /// A freshly installed Debian, by `VERSION_ID` of its release.
    ///
    /// # Errors
    /// It was not recorded.
    pub fn release(release: &str) -> Result<SimHost> {
        let catalogue = Catalogue::debian(release)?;
        Ok(SimHost::over(start::base(release)?, catalogue))
    }

    /// A host as it was recorded, with the packages of its release on offer.
    ///
    /// # Errors
    /// It is of a release whose packages were not recorded.
    pub fn from_record(record: HostRecord) -> Result<SimHost> {
        let catalogue = Catalogue::debian(&record.os.version)?;
        let host = SimHost::over(RecordedHost::new(record), catalogue);
        Ok(host.noting(Beginning::Simulated("what was recorded of another host")))
    }

    fn over(recorded: RecordedHost, catalogue: Arc<Catalogue>) -> SimHost {
        let runs = recorded.record().is_running;
        let host = Overlay::new(Base { recorded, catalogue, clock: 0.into(), boots: 1.into() });
        host.be_host();
        if !runs {
            host.switch_off();
        }
        SimHost { host, beginnings: Vec::new() }
    }

    /// The release of Debian, such as `13`.
    pub fn release_number(&self) -> &str {
        &self.host.base().catalogue.header().release
    }

    /// Starts the host anew: what is enabled runs, from now on.
    pub fn reboot(&self) {
        let base = self.host.base();
        base.boots.fetch_add(1, Ordering::Relaxed);
        base.pass(START);
        if self.host.is_running() {
            let units = &base.recorded.record().units;
            let ran = units.iter().filter(|(_, unit)| unit.active.as_deref() == Some("active"));
            let names: Vec<String> = ran.map(|(name, _)| name.clone()).collect();
            // A unit that does not start keeps no host from starting.
            let _ = self.host.boot(&names);
        }
    }

    /// Takes the power away and starts the host anew: what no program has waited for the disk to keep is gone.
    pub fn lose_power(&self) {
        self.host.lose_unsynced();
        self.reboot();
    }

    /// Forgets how often units were started, restarted and reloaded.
    pub fn forget_counts(&self) {
        self.host.forget_counts();
    }

    /// Lets time pass, in seconds. Timers elapse in it, and start what they are there for; see `systemd.timer(5)`.
    /// Random delays are none, and calendar events with `~` or a time zone never elapse by themselves.
    pub fn pass_time(&self, seconds: u64) {
        let base = self.host.base();
        let now = || base.clock.load(Ordering::Relaxed);
        let end = now().saturating_add(seconds.saturating_mul(1_000_000));
        let mut timers = if self.host.is_running() { self.host.timers().unwrap_or_default() } else { Vec::new() };
        while let Ok(Some((at, timer))) = self.host.next_timer(&timers, end) {
            base.pass(at.saturating_sub(now()));
            let last = self.host.runtime(&timer).triggered_micros;
            // That its unit does not run is no mistake of the timer.
            let _ = self.host.trigger(&timer);
            if self.host.runtime(&timer).triggered_micros == last {
                timers.retain(|other| other.id != timer);
            }
            // A timer never elapses twice at once.
            base.pass(1);
        }
        base.pass(end.saturating_sub(now()));
    }

    /// Lets happen what a socket, a timer or a path waits for: somebody connects, the time comes, the file is there. It
    /// starts its unit, unless that runs. A name without a suffix is that of a socket.
    ///
    /// ```
    /// use provision_core::host::SimHost;
    ///
    /// let host = SimHost::debian(13)
    ///     .with_file("/etc/systemd/system/app.socket", "[Socket]\nListenStream=/run/app.sock\n")
    ///     .with_file("/etc/systemd/system/app.service", "[Service]\nExecStart=/bin/sleep infinity\n")
    ///     .with_started_unit("app.socket");
    /// assert!(!host.unit("app").is_active());
    /// host.trigger("app.socket")?;
    /// assert!(host.unit("app").is_active());
    /// # Ok::<(), provision_core::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// It is no such unit, it does not run, or what it starts does not run.
    pub fn trigger(&self, unit: &str) -> Result<()> {
        let name = if unit.contains('.') { unit.to_owned() } else { format!("{unit}.socket") };
        self.host.trigger(&name)
    }

    /// The sockets, timers and paths that start a unit.
    ///
    /// # Errors
    /// Unit files contradict one another.
    pub fn triggers_of(&self, unit: &str) -> Result<Vec<String>> {
        self.host.triggers_of(&looks::unit_name(unit))
    }

    /// The effects performed since the last call, or since the host was made.
    pub fn take_effects(&self) -> Vec<Effect> {
        self.host.take_recorded()
    }
}

impl HostView for Base {
    fn metadata(&self, path: &HostPath) -> Result<Option<FileMetadata>> {
        Ok(self.recorded.metadata(path))
    }
    fn attributes(&self, path: &HostPath) -> Result<Option<FileAttributes>> {
        Ok(self.recorded.attributes(path))
    }
    fn read(&self, path: &HostPath) -> Result<Option<Content>> {
        self.recorded.read(path)
    }
    fn read_link(&self, path: &HostPath) -> Result<Option<String>> {
        self.recorded.read_link(path)
    }
    fn list(&self, path: &HostPath) -> Result<Option<Vec<String>>> {
        self.recorded.list(path)
    }
    fn package(&self, name: &str) -> Result<PackageState> {
        let packages = self.recorded.packages();
        let Some(entry) = packages.get(name) else { return Ok(PackageState::default()) };
        let (status, version, hold) = (entry.status, entry.version.clone(), entry.hold);
        Ok(PackageState { status, version, hold, provided_by: Vec::new() })
    }
    fn available_versions(&self, name: &str) -> Result<Vec<String>> {
        Ok(self.catalogue.version(name).map(str::to_owned).into_iter().collect())
    }
    fn package_manager(&self) -> Result<PackageManager> {
        let recorded = self.recorded.record().package_manager.clone();
        let age = recorded.lists_age.map(|age| age + self.clock.load(Ordering::Relaxed) / 1_000_000);
        Ok(PackageManager { lists_age: age, ..recorded })
    }
    fn preview(&self, _: &PackageTransaction) -> Result<TransactionPreview> {
        Ok(TransactionPreview::default())
    }
    fn package_of(&self, _: &HostPath) -> Result<Option<String>> {
        Ok(None)
    }
    fn unit(&self, name: &str) -> Result<UnitState> {
        let recorded = self.recorded.record().units.get(name);
        let inactive = UnitState { active: Some("inactive".into()), ..UnitState::not_found() };
        Ok(recorded.map_or(inactive, |unit| UnitState {
            load: unit.load.clone(),
            active: unit.active.clone(),
            sub: unit.sub.clone(),
            file_state: unit.file.clone(),
            ..UnitState::not_found()
        }))
    }
    fn user(&self, name: &str) -> Result<Option<User>> {
        Ok(self.recorded.accounts().users.get(name).cloned())
    }
    fn group(&self, name: &str) -> Result<Option<Group>> {
        Ok(self.recorded.accounts().groups.get(name).cloned())
    }
    fn accounts(&self) -> Result<Arc<Accounts>> {
        Ok(self.recorded.accounts())
    }
    fn shadow(&self, user: &str) -> Result<Option<Shadow>> {
        Ok(self.recorded.shadow(user))
    }
    fn query(&self, command: &Command) -> Result<Output> {
        Err(Error::new(ErrorKind::Unsupported, format!("nobody has recorded what `{command}` says")))
    }
    fn packages(&self) -> Result<Arc<PackageTable>> {
        Ok(self.recorded.packages())
    }
    fn is_running(&self) -> bool {
        self.recorded.record().is_running
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
    fn modelled_units(&self) -> Option<&dyn ModelledUnits> {
        Some(self)
    }
}

impl ModelledUnits for Base {
    fn definition(&self, name: &str) -> Result<Option<Arc<Definition>>> {
        self.recorded.units().definition(self, name)
    }
    fn referrers(&self, name: &str) -> Result<Vec<String>> {
        self.recorded.units().referrers(self, name)
    }
    fn link_directories(&self, fits: &dyn Fn(&str) -> bool) -> Result<Vec<HostPath>> {
        self.recorded.units().link_directories(self, fits)
    }
    fn timer_names(&self) -> Result<Vec<String>> {
        self.recorded.units().timer_names(self)
    }
}

impl HostView for SimHost {
    fn metadata(&self, path: &HostPath) -> Result<Option<FileMetadata>> {
        self.host.metadata(path)
    }
    fn attributes(&self, path: &HostPath) -> Result<Option<FileAttributes>> {
        self.host.attributes(path)
    }
    fn copy_out(&self, path: &HostPath, to: &mut dyn std::io::Write) -> Result<Option<u64>> {
        self.host.copy_out(path, to)
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
        if state.status == PackageStatus::Absent {
            for (provider, _) in self.host.base().catalogue.providers(name) {
                if self.host.package(provider)?.status == PackageStatus::Installed {
                    state.provided_by.push((*provider).to_owned());
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
        self.host.preview_of(transaction)
    }
    fn package_of(&self, path: &HostPath) -> Result<Option<String>> {
        self.host.owner_of(path)
    }
    fn unit(&self, name: &str) -> Result<UnitState> {
        HostView::unit(&self.host, name)
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
        self.host.query(command)
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
    fn modelled_units(&self) -> Option<&dyn ModelledUnits> {
        self.host.modelled_units()
    }
}

impl Host for SimHost {
    fn perform(&self, effect: &Effect) -> Result<Output> {
        let takes = if matches!(effect, Effect::Unit { .. }) { START } else { TICK };
        self.host.base().pass(takes);
        self.host.perform(effect)
    }
}
