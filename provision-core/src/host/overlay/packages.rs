//! What package transactions do to the model: as dpkg and maintainer scripts do it, where packages were recorded.

use std::sync::Arc;

use super::conffiles::Conffile;
use super::model::Node;

use crate::effect::{Conffiles, PackageTransaction, UnitAction};
use crate::error::{Error, ErrorKind, Result};
use crate::host::record::PathKind;
use crate::host::sim::resolver::{Installed, resolve};
use crate::host::sim::{Catalogue, RecordedPackage, ScriptChanges};
use crate::host::units::mask_of;
use crate::host::{FileKind, HostView, Overlay, PackageState, PackageStatus, TransactionPreview};
use crate::path::HostPath;

impl<H: HostView> Overlay<H> {
    pub(super) fn change_packages(&self, transaction: &PackageTransaction) -> Result<()> {
        self.require_package_lock()?;
        self.set_holds(&transaction.unhold, false)?;
        match self.catalogue() {
            Some(catalogue) => self.transact(&catalogue, transaction)?,
            None => self.foresee(transaction)?,
        }
        self.set_holds(&transaction.hold, true)?;
        let mut model = self.model();
        for (names, automatic) in [(&transaction.automatic, true), (&transaction.manual, false)] {
            model.automatic.extend(names.iter().map(|name| (name.clone(), automatic)));
        }
        Ok(())
    }

    /// What is known beforehand of a transaction on a host whose packages nobody has recorded.
    fn foresee(&self, transaction: &PackageTransaction) -> Result<()> {
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
        for (names, purge) in [(&transaction.remove, false), (&transaction.purge, true)] {
            for name in names {
                self.forget_package(name, purge)?;
            }
        }
        Ok(())
    }

    fn forget_package(&self, name: &str, purge: bool) -> Result<()> {
        let before = self.package(name)?;
        let status = if purge { PackageStatus::Absent } else { PackageStatus::ConfigFiles };
        let version = before.version.filter(|_| !purge);
        let mut model = self.model();
        model.packages.insert(name.to_owned(), PackageState { status, version, ..PackageState::default() });
        model.automatic.insert(name.to_owned(), false);
        Ok(())
    }

    pub(super) fn set_holds(&self, names: &[String], hold: bool) -> Result<()> {
        for name in names {
            let before = self.package(name)?;
            self.model().packages.insert(name.clone(), PackageState { hold, ..before });
        }
        Ok(())
    }

    /// Fails as apt does when another program has locked the package database for too long.
    pub(super) fn require_package_lock(&self) -> Result<()> {
        match &self.model().package_lock {
            None => Ok(()),
            Some(holder) => {
                Err(Error::new(ErrorKind::Locked, format!("{holder} holds the lock of the package database")))
            }
        }
    }

    /// What is installed, with all that is known of it.
    fn installed(&self) -> Result<Installed> {
        let table = self.packages()?;
        let state = |entry: &crate::host::PackageEntry| PackageState {
            status: entry.status,
            version: entry.version.clone(),
            hold: entry.hold,
            provided_by: Vec::new(),
        };
        Ok(table.iter().map(|(name, entry)| (name.clone(), state(entry))).collect())
    }

    /// What a transaction comes to, where packages were recorded.
    pub(in crate::host) fn preview_of(&self, transaction: &PackageTransaction) -> Result<TransactionPreview> {
        let catalogue = self.catalogue().ok_or_else(|| Error::unknown("no packages were recorded"))?;
        let installed = self.installed()?;
        let offers = self.offers(transaction)?;
        Ok(resolve(&catalogue, &installed, &offers, transaction)?.preview(&installed, transaction))
    }

    fn transact(&self, catalogue: &Arc<Catalogue>, transaction: &PackageTransaction) -> Result<()> {
        let installed = self.installed()?;
        let offers = self.offers(transaction)?;
        let solution = resolve(catalogue, &installed, &offers, transaction)?;
        let declared = |name: &&String| transaction.remove.contains(*name) || transaction.purge.contains(*name);
        let undeclared: Vec<&str> = solution.remove.iter().filter(|name| !declared(name)).map(String::as_str).collect();
        if !undeclared.is_empty() && !transaction.options.allow_removals {
            let message = format!("it would remove {}, which nobody declared", undeclared.join(", "));
            return Err(Error::new(ErrorKind::Refused, message)
                .with_hint("declare these packages as absent, or set `allow_removals = true`"));
        }
        let bytes = solution.install.iter().map(|(package, _)| package.installed_size * 1024).sum();
        self.take_space(bytes)?;
        for name in &solution.remove {
            self.remove_package(catalogue, name)?;
        }
        let wanted: Vec<&str> = transaction.install.iter().map(|request| request.name.as_str()).collect();
        for (package, version) in &solution.install {
            let was_there = installed.get(&package.name).is_some_and(|state| state.status == PackageStatus::Installed);
            let known = self.package(&package.name)?.status != PackageStatus::Absent;
            self.unpack(package, version, transaction.options.conffiles)?;
            self.configure(package, known)?;
            if !was_there {
                self.model().automatic.insert(package.name.clone(), !wanted.contains(&package.name.as_str()));
            }
        }
        // What is asked for by name is wanted for itself; see apt-get(8), install.
        for name in wanted.iter().filter(|name| catalogue.get(name).is_some()) {
            self.model().automatic.insert((*name).to_owned(), false);
        }
        for name in &transaction.purge {
            self.purge(catalogue, name)?;
        }
        Ok(())
    }

    /// Versions on offer that are not those of the catalogue; a host beneath may have its own, and pins choose others.
    fn offers(&self, transaction: &PackageTransaction) -> Result<std::collections::HashMap<String, Vec<String>>> {
        let mut offers = self.model().available.clone();
        for request in &transaction.install {
            if !offers.contains_key(&request.name) {
                let versions = self.base.available_versions(&request.name)?;
                if !versions.is_empty() {
                    offers.insert(request.name.clone(), versions);
                }
            }
        }
        self.pin_all(&mut offers)?;
        Ok(offers)
    }

    /// Puts the files of a package in place.
    fn unpack(&self, package: &RecordedPackage, version: &str, conffiles: Conffiles) -> Result<()> {
        let before = self.package(&package.name)?;
        let known = before.status != PackageStatus::Absent;
        let changes = known && before.version.as_deref() != Some(version);
        for (path, kind) in package.paths.iter() {
            let there = self.metadata(path)?;
            if package.conffiles.contains(path) {
                continue;
            }
            match (kind, there) {
                // A directory that is there keeps its owner and mode.
                (PathKind::Directory(_), Some(_)) => {}
                _ => self.put_recorded(path, kind, package.texts.get(path))?,
            }
        }
        let state = PackageState {
            status: PackageStatus::Interrupted,
            version: Some(version.to_owned()),
            hold: before.hold,
            ..PackageState::default()
        };
        self.model().packages.insert(package.name.clone(), state);
        for (path, kind) in package.paths.iter().filter(|(path, _)| package.conffiles.contains(path)) {
            let text = package.texts.get(path);
            self.unpack_conffile(&Conffile { path, kind, text, known, changes }, conffiles)?;
        }
        Ok(())
    }

    fn put_recorded(&self, path: &HostPath, kind: &PathKind, text: Option<&String>) -> Result<()> {
        let data = match kind {
            PathKind::Symlink(target) => Some(target.into()),
            _ => text.map(Into::into),
        };
        self.put_beside(path, Node::new(kind.kind(), kind.access(), data))
    }

    /// Runs what an unpacked package does to become installed. Units of one that was there before are as enabled as they
    /// were; see deb-systemd-helper(1p), was-enabled.
    fn configure(&self, package: &RecordedPackage, known: bool) -> Result<()> {
        let mut changes = package.configure.clone();
        let enables = |(path, kind): &(&HostPath, &PathKind)| {
            path.as_str().starts_with("/etc/systemd/system/") && matches!(kind, PathKind::Symlink(_))
        };
        let links: Vec<HostPath> = changes.paths.iter().filter(enables).map(|(path, _)| path.clone()).collect();
        for link in links {
            // A unit that somebody has masked is not enabled either, nor one that a preset speaks against.
            let target = match changes.paths.get(&link) {
                Some(PathKind::Symlink(target)) => target.rsplit('/').next().unwrap_or_default().to_owned(),
                _ => continue,
            };
            if !self.preset_enables(&target)? {
                changes.paths.remove(&link);
            }
            let mask = mask_of(link.name())?;
            let masked = self.metadata(&mask)?.is_some_and(|found| found.kind == FileKind::Symlink)
                && self.read_link(&mask)?.as_deref() == Some("/dev/null");
            if self.metadata(&link)?.is_none() && (known || masked) {
                changes.paths.remove(&link);
            }
        }
        self.run_scripts(&changes, true)?;
        let before = self.package(&package.name)?;
        let state = PackageState { status: PackageStatus::Installed, ..before };
        self.model().packages.insert(package.name.clone(), state);
        Ok(())
    }

    /// Completes what an interrupted run left behind.
    pub(super) fn repair_packages(&self) -> Result<()> {
        self.require_package_lock()?;
        let catalogue = self.catalogue();
        let interrupted: Vec<String> = self.package_manager()?.interrupted;
        for name in &interrupted {
            if let Some(package) = catalogue.as_ref().and_then(|catalogue| catalogue.get(name)) {
                let version = self.package(name)?.version.unwrap_or_else(|| package.version.clone());
                self.unpack(&package, &version, Conffiles::Keep)?;
                self.configure(&package, false)?;
            } else if catalogue.is_some() {
                let before = self.package(name)?;
                let state = PackageState { status: PackageStatus::Installed, ..before };
                self.model().packages.insert(name.clone(), state);
            }
        }
        self.model().repaired = true;
        Ok(())
    }

    /// What maintainer scripts did when the package was recorded.
    fn run_scripts(&self, changes: &ScriptChanges, reloads: bool) -> Result<()> {
        for group in &changes.groups {
            if self.group(&group.name)?.is_none() {
                self.create_recorded_group(group)?;
            }
        }
        for user in &changes.users {
            if self.user(&user.name)?.is_none() {
                self.create_recorded_user(user, changes)?;
            }
        }
        for (group, user) in &changes.members {
            self.add_member(group, user)?;
        }
        for path in &changes.paths_gone {
            if self.metadata(path)?.is_some() {
                self.put_unsynced(path, None)?;
            }
        }
        for (path, kind) in changes.paths.iter() {
            let there = self.metadata(path)?;
            match there {
                // Scripts leave alone what was configured before.
                Some(found) if found.kind == FileKind::File && path.as_str().starts_with("/etc/") => {}
                Some(found) if found.kind == kind.kind() && found.kind != FileKind::Symlink => {
                    let access = kind.access();
                    if let Some(node) = self.node(path)? {
                        self.put_changed(path, Node { access, ..node })?;
                    }
                }
                _ => {
                    self.make_directories(path)?;
                    self.put_recorded(path, kind, changes.texts.get(path))?;
                }
            }
        }
        for name in &changes.users_gone {
            if self.user(name)?.is_some() {
                self.remove_user(name, false)?;
            }
        }
        for name in &changes.groups_gone {
            if self.group(name)?.is_some() {
                self.remove_group(name)?;
            }
        }
        if reloads {
            self.reload_units();
        }
        if self.is_running() {
            for (verb, unit) in &changes.units {
                let action = match verb.as_str() {
                    "start" => UnitAction::Start,
                    "restart" | "try-restart" => UnitAction::Restart,
                    "stop" => UnitAction::Stop,
                    _ => continue,
                };
                let state = self.unit_state(unit)?;
                // deb-systemd-invoke(1p) leaves what is disabled alone, unless it runs and is to be restarted.
                let is_off = matches!(state.file_state.as_str(), "disabled" | "masked");
                let stays = match verb.as_str() {
                    "start" => is_off,
                    "restart" => is_off && !state.is_active(),
                    "try-restart" => !state.is_active(),
                    _ => false,
                };
                // They go on if a unit does not start.
                if !stays && (state.exists() || action == UnitAction::Stop) {
                    let _ = self.change_unit(unit, action);
                }
            }
        }
        Ok(())
    }

    /// Takes a package away; its configuration files stay.
    fn remove_package(&self, catalogue: &Catalogue, name: &str) -> Result<()> {
        let before = self.package(name)?;
        if matches!(before.status, PackageStatus::Absent | PackageStatus::ConfigFiles) {
            return Ok(());
        }
        let Some(package) = catalogue.get(name) else { return self.forget_package(name, true) };
        let stops = ScriptChanges {
            units: package.remove.units.iter().filter(|(verb, _)| verb == "stop").cloned().collect(),
            ..ScriptChanges::default()
        };
        self.run_scripts(&stops, true)?;
        let mut directories = Vec::new();
        for (path, kind) in package.paths.iter() {
            match kind {
                PathKind::Directory(_) => directories.push(path),
                _ if package.conffiles.contains(path) => {}
                _ if self.metadata(path)?.is_some() => self.take_away(path)?,
                _ => {}
            }
        }
        self.remove_empty(catalogue, name, directories)?;
        // Not all packages tell the service manager that their units are gone.
        let reloads = package.remove.units.iter().any(|(verb, _)| verb == "daemon-reload");
        self.run_scripts(&ScriptChanges { units: Vec::new(), ..package.remove.clone() }, reloads)?;
        // Without configuration files, and without anything to purge, nothing of it is left.
        let left = !package.conffiles.is_empty() || !package.purge.is_empty();
        self.forget_package(name, !left)
    }

    /// Takes away what a removed package has left.
    fn purge(&self, catalogue: &Catalogue, name: &str) -> Result<()> {
        if self.package(name)?.status == PackageStatus::Absent {
            return Ok(());
        }
        if let Some(package) = catalogue.get(name) {
            for path in &package.conffiles {
                self.purge_conffile(path)?;
            }
            self.run_scripts(&package.purge, true)?;
            let directories =
                package.paths.iter().filter(|(_, kind)| matches!(kind, PathKind::Directory(_))).map(|(path, _)| path);
            self.remove_empty(catalogue, name, directories.collect())?;
        }
        self.forget_package(name, true)
    }

    /// Removes the directories of a package that are empty and that no other package has.
    fn remove_empty(&self, catalogue: &Catalogue, name: &str, directories: Vec<&HostPath>) -> Result<()> {
        for path in directories.into_iter().rev() {
            let empty = self.metadata(path)?.is_some_and(|found| found.kind == FileKind::Directory)
                && self.list(path)?.is_some_and(|names| names.is_empty());
            if !empty {
                continue;
            }
            let has = |(other, entry): (&String, &crate::host::PackageEntry)| {
                other != name
                    && entry.status == PackageStatus::Installed
                    && catalogue.get(other).is_some_and(|package| package.paths.get(path).is_some())
            };
            if !self.packages()?.iter().any(has) {
                self.take_away(path)?;
            }
        }
        Ok(())
    }

    /// The installed package that ships a path.
    pub(in crate::host) fn owner_of(&self, path: &HostPath) -> Result<Option<String>> {
        let Some(catalogue) = self.catalogue() else { return self.base.package_of(path) };
        let path = self.real(path)?;
        let ships = |(name, entry): &(&String, &crate::host::PackageEntry)| {
            entry.status == PackageStatus::Installed
                && catalogue.get(name).is_some_and(|package| package.paths.get(&path).is_some())
        };
        Ok(self.packages()?.iter().find(ships).map(|(name, _)| name.clone()))
    }
}
