//! A whole simulated Debian, built on the overlay: for tests and for `--simulate` (feature `sim`).
//!
//! A [`SimHost`] begins as a recording of a real host ([`HostRecord`]), and its packages are those of Debian, as they were
//! recorded ([`Catalogue`]).

mod accounts;
mod base;
mod beginning;
mod catalogue;
mod conffiles;
mod data;
mod debian;
mod dpkg;
mod glob;
mod kernel;
mod looks;
mod package;
mod pins;
mod programs;
mod record;
mod relations;
mod resolver;
mod seed;
mod start;
mod transactions;
mod units;
mod view;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::effect::{Effect, PlatformEffect};
use crate::error::Result;
use crate::host::{Host, HostView, Overlay};

use base::Base;
use catalogue::{Offer, Shipped};
use debian::{Debian, Machine};
use record::RecordedHost;

pub use beginning::Beginning;
pub use catalogue::Catalogue;
pub use looks::{SimFile, SimUnit};
pub use package::{CatalogueHeader, RecordedPackage, ScriptChanges};
pub use record::{
    HostRecord, PathAccess, PathKind, PathTable, RecordedAttributes, RecordedPassword, RecordedUnit, Scope,
};

/// What an effect takes on a simulated host, in microseconds.
const TICK: u64 = 1000;

/// What starting a unit takes.
const START: u64 = 2_100_000;

/// A simulated Debian host. It answers and obeys as a real one, in memory.
///
/// It begins as a minimal installation that was recorded from a real one, with systemd running, and its packages are
/// those of Debian, as they were recorded: with their files, users, units and dependencies.
///
/// ```
/// use provision_core::host::HostExt;
/// use provision_core::sim::SimHost;
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
    /// How it behaves as far as plans foresee it.
    foreseen: Debian,
    beginnings: Vec<Beginning>,
}

impl SimHost {
    /// A freshly installed Debian, by the number of its release: 12 or 13.
    ///
    /// # Panics
    /// No other release was recorded.
    #[track_caller]
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
        let debian = Debian::performing(catalogue);
        let foreseen = debian.foreseen();
        let host = Overlay::new(Base { recorded, debian, clock: 0.into(), boots: 1.into() });
        SimHost { host, foreseen, beginnings: Vec::new() }
    }

    /// The packages that it can install.
    pub fn catalogue(&self) -> &Catalogue {
        &self.foreseen.catalogue
    }

    fn machine(&self) -> Machine<'_> {
        Machine { layer: self.host.layer(), debian: &self.host.base().debian }
    }

    /// The release of Debian, such as `13`.
    pub fn release_number(&self) -> &str {
        self.catalogue().release()
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
            let _ = self.machine().boot(&names);
        }
    }

    /// Takes the power away and starts the host anew: what no program has waited for the disk to keep is gone.
    pub fn lose_power(&self) {
        self.machine().lose_unsynced();
        self.reboot();
    }

    /// Forgets how often units were started, restarted and reloaded.
    pub fn forget_counts(&self) {
        self.machine().forget_counts();
    }

    /// Lets time pass, in seconds. Timers elapse in it, and start what they are there for; see `systemd.timer(5)`.
    /// Random delays are none, and calendar events with `~` or a time zone never elapse by themselves.
    pub fn pass_time(&self, seconds: u64) {
        let base = self.host.base();
        let now = || base.clock.load(Ordering::Relaxed);
        let end = now().saturating_add(seconds.saturating_mul(1_000_000));
        let mut timers = if self.host.is_running() { self.machine().timers().unwrap_or_default() } else { Vec::new() };
        while let Ok(Some((at, timer))) = self.machine().next_timer(&timers, end) {
            base.pass(at.saturating_sub(now()));
            let last = self.machine().runtime(&timer).history.triggered_micros;
            // That its unit does not run is no mistake of the timer.
            let _ = self.machine().trigger(&timer);
            if self.machine().runtime(&timer).history.triggered_micros == last {
                timers.retain(|other| other.id != timer);
            }
            // A timer never elapses twice at once.
            base.pass(1);
        }
        base.pass(end.saturating_sub(now()));
    }

    /// Lets happen what a socket, a timer or a path waits for: a client connects, the time comes, the file is there. It
    /// starts its unit, unless that runs. A name without a suffix is that of a socket.
    ///
    /// ```
    /// use provision_core::sim::SimHost;
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
        self.machine().trigger(&name)
    }

    /// The sockets, timers and paths that start a unit.
    ///
    /// # Errors
    /// Unit files contradict one another.
    pub fn triggers_of(&self, unit: &str) -> Result<Vec<String>> {
        self.machine().triggers_of(&looks::unit_name(unit))
    }

    /// The effects performed since the last call, or since the host was made.
    pub fn take_effects(&self) -> Vec<Effect> {
        self.host.take_recorded()
    }
}

impl Host for SimHost {
    fn perform(&self, effect: &Effect) -> Result<()> {
        let takes = if matches!(effect, Effect::Platform(PlatformEffect::Unit { .. })) { START } else { TICK };
        self.host.base().pass(takes);
        self.host.perform(effect)
    }
}
