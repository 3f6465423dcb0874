//! What a simulated host begins with, which does not change, and its clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::effect::Content;
use crate::error::{Error, ErrorKind, Result};
use crate::host::overlay::node::unrecorded;
use crate::host::units::Definition;
use crate::host::{
    Answer, FileAttributes, FileMetadata, HostView, PackageManager, PackageModel, PackageState, Question,
    TransactionPreview, UnitIndex, UnitModel, UnitState, lines, system,
};
use crate::moment::Moment;
use crate::path::HostPath;

use super::Debian;
use super::kernel;
use super::record::RecordedHost;

/// When simulated hosts were switched on: 2026-01-01 00:00 UTC, in microseconds.
const FIRST_INSTANT: i64 = 1_767_225_600_000_000;

/// The recording that a simulated host begins with, and its clock.
pub(crate) struct Base {
    pub(super) recorded: RecordedHost,
    pub(super) debian: Debian,
    /// Microseconds that have passed; every effect takes some.
    pub(super) clock: AtomicU64,
    /// How often the host was started.
    pub(super) boots: AtomicU64,
}

impl Clone for Base {
    fn clone(&self) -> Base {
        Base {
            recorded: self.recorded.clone(),
            debian: self.debian.clone(),
            clock: self.clock.load(Ordering::Relaxed).into(),
            boots: self.boots.load(Ordering::Relaxed).into(),
        }
    }
}

impl Base {
    fn package(&self, name: &str) -> PackageState {
        let packages = self.recorded.packages();
        let Some(entry) = packages.get(name) else { return PackageState::default() };
        let (status, version, hold) = (entry.status, entry.version.clone(), entry.hold);
        PackageState { status, version, hold, automatic: entry.automatic, provided_by: Vec::new() }
    }

    fn package_manager(&self) -> PackageManager {
        let recorded = self.recorded.record().package_manager.clone();
        let age = recorded.lists_age.map(|age| age + self.clock.load(Ordering::Relaxed) / 1_000_000);
        let given = self.debian.given(|given| given.lists_age).flatten();
        PackageManager { lists_age: given.unwrap_or(age), ..recorded }
    }

    fn available_versions(&self, name: &str) -> Vec<String> {
        let given = self.debian.given(|given| given.available.get(name).cloned()).flatten();
        given.unwrap_or_else(|| self.debian.catalogue.version(name).map(str::to_owned).into_iter().collect())
    }

    fn unit(&self, name: &str) -> UnitState {
        let recorded = self.recorded.record().units.get(name);
        let inactive = UnitState { active: Some("inactive".into()), ..UnitState::not_found() };
        recorded.map_or(inactive, |unit| UnitState {
            load: unit.load.clone(),
            active: unit.active.clone(),
            sub: unit.sub.clone(),
            file_state: unit.file.clone(),
            ..UnitState::not_found()
        })
    }

    pub(super) fn pass(&self, micros: u64) {
        self.clock.fetch_add(micros, Ordering::Relaxed);
    }
}

impl HostView for Base {
    fn metadata(&self, path: &HostPath) -> Result<Option<FileMetadata>> {
        Ok(self.recorded.metadata(path).or_else(|| kernel::metadata(path)))
    }
    fn attributes(&self, path: &HostPath) -> Result<Option<FileAttributes>> {
        Ok(self.recorded.attributes(path).or_else(|| kernel::metadata(path).map(|_| FileAttributes::default())))
    }
    fn read(&self, path: &HostPath) -> Result<Option<Content>> {
        match kernel::value(path).filter(|_| self.recorded.metadata(path).is_none()) {
            Some(value) => Ok(Some(format!("{value}\n").into())),
            None => self.recorded.read(path),
        }
    }
    fn read_link(&self, path: &HostPath) -> Result<Option<String>> {
        self.recorded.read_link(path)
    }
    fn list(&self, path: &HostPath) -> Result<Option<Vec<String>>> {
        self.recorded.list(path)
    }
    fn ask(&self, question: &Question<'_>) -> Result<Answer> {
        let accounts = || self.recorded.accounts();
        Ok(match question {
            Question::Package(name) => Answer::Package(self.package(name)),
            Question::AvailableVersions(name) => Answer::AvailableVersions(self.available_versions(name)),
            Question::InterruptedPackages => Answer::InterruptedPackages(self.package_manager().interrupted),
            Question::PackageManager => Answer::PackageManager(self.package_manager()),
            Question::Packages => Answer::Packages(self.recorded.packages()),
            Question::Preview(_) => Answer::Preview(TransactionPreview::default()),
            Question::PackageOf(_) => Answer::PackageOf(None),
            Question::Unit(name) => Answer::Unit(self.unit(name)),
            Question::User(name) => Answer::User(accounts().users.get(*name).cloned()),
            Question::Group(name) => Answer::Group(accounts().groups.get(*name).cloned()),
            Question::Accounts => Answer::Accounts(accounts()),
            Question::Shadow(user) => Answer::Shadow(self.recorded.shadow(user)),
            Question::AccountLines(users, groups) => Answer::AccountLines(lines::of_model(self, users, groups)?),
            Question::Query(command) | Question::QueryWith(command, _) => {
                let message = format!("the record does not hold the output of `{command}`");
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            Question::Architecture => Answer::Architecture(system::architecture(self)?),
        })
    }
    fn is_running(&self) -> bool {
        let is_off = self.debian.given(|given| given.switched_off) == Some(true);
        self.recorded.record().is_running && !is_off
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
    fn copy_out(&self, path: &HostPath, to: &mut dyn std::io::Write) -> Result<Option<u64>> {
        let content = match self.read(path) {
            Ok(content) => content,
            // What is only to be kept, and put back, need not be known.
            Err(error) if error.kind() == ErrorKind::Unsupported => Some(unrecorded(path)),
            Err(error) => return Err(error),
        };
        let Some(content) = content else { return Ok(None) };
        to.write_all(content.bytes())?;
        Ok(Some(content.bytes().len() as u64))
    }
    fn package_model(&self) -> Option<&dyn PackageModel> {
        Some(&self.debian)
    }
    fn unit_model(&self) -> Option<&dyn UnitModel> {
        Some(&self.debian)
    }
    fn unit_index(&self) -> Option<&dyn UnitIndex> {
        Some(self)
    }
}

impl UnitIndex for Base {
    fn definition(&self, name: &str) -> Result<Option<Arc<Definition>>> {
        self.recorded.units().definition(self, name)
    }
    fn referrers(&self, name: &str) -> Result<Vec<String>> {
        self.recorded.units().referrers(self, name)
    }
    fn link_directories(&self, fits: &dyn Fn(&str) -> bool) -> Result<Vec<HostPath>> {
        self.recorded.units().link_directories(self, fits)
    }
    fn alias_target(&self, name: &str) -> Result<Option<String>> {
        self.recorded.units().alias_target(self, name)
    }
    fn timer_names(&self) -> Result<Vec<String>> {
        self.recorded.units().timer_names(self)
    }
}
