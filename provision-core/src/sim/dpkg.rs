//! What dpkg does to the model, one package at a time, and the maintainer scripts that it runs.

use super::record::PathKind;
use super::{Catalogue, Machine, Offer, RecordedPackage, ScriptChanges, Shipped};
use crate::effect::{Conffiles, UnitAction};
use crate::error::{Error, ErrorKind, Result};
use crate::host::overlay::node::Node;
use crate::host::units::mask_of;
use crate::host::{FileKind, HostView, PackageEntry, PackageState, PackageStatus};
use crate::path::HostPath;

impl Machine<'_> {
    /// Puts the files of a package in place.
    pub(super) fn unpack(&self, offer: &Offer, version: &str, conffiles: Conffiles) -> Result<()> {
        let package = &offer.package;
        let before = self.package(&package.name)?;
        let known = before.status != PackageStatus::Absent;
        let changes = known && before.version.as_deref() != Some(version);
        for Shipped { path, kind, data, .. } in offer.ships.iter().filter(|shipped| !shipped.is_conffile) {
            let there = self.metadata(path)?;
            match (kind, there) {
                // A directory that is there keeps its owner and mode.
                (PathKind::Directory(_), Some(_)) => {}
                _ => self.put_beside(path, Node::new(kind.kind(), kind.access(), data.clone()))?,
            }
        }
        let state = PackageState {
            status: PackageStatus::Interrupted,
            version: Some(version.to_owned()),
            hold: before.hold,
            ..PackageState::default()
        };
        if !known {
            self.model().new_packages.insert(package.name.clone());
        }
        self.model().set_package(&package.name, state);
        let mut conffiles_of = offer.ships.iter().filter(|shipped| shipped.is_conffile);
        conffiles_of.try_for_each(|file| self.unpack_conffile(file, known, changes, conffiles))
    }

    /// Runs what an unpacked package does to become installed. Units of one that was there before are as enabled as they
    /// were; see deb-systemd-helper(1p), was-enabled.
    pub(super) fn configure(&self, package: &RecordedPackage) -> Result<()> {
        if self.given(|given| given.failing_scripts.contains(&package.name)) == Some(true) {
            let why = format!("installed {} package post-installation script subprocess returned error", package.name);
            return Err(Error::new(ErrorKind::CommandFailed, format!("dpkg failed: {why}")));
        }
        let known = !self.model().new_packages.remove(&package.name);
        let changes = &package.configure;
        let enables = |(path, kind): &(&HostPath, &PathKind)| {
            path.as_str().starts_with("/etc/systemd/system/") && matches!(kind, PathKind::Symlink(_))
        };
        let mut unwanted = Vec::new();
        for (link, kind) in changes.paths.iter().filter(enables) {
            // A unit that is masked is not enabled either, nor one that a preset speaks against.
            let PathKind::Symlink(target) = kind else { continue };
            let refused = !self.preset_enables(target.rsplit('/').next().unwrap_or_default())?;
            let mask = mask_of(link.name())?;
            if refused || (self.metadata(link)?.is_none() && (known || self.is_masked_by(&mask)?)) {
                unwanted.push(link);
            }
        }
        self.run_scripts(changes, &unwanted, true)?;
        self.act_on_units(changes.units.iter())?;
        let before = self.package(&package.name)?;
        let state = PackageState { status: PackageStatus::Installed, ..before };
        self.model().set_package(&package.name, state);
        Ok(())
    }

    /// What maintainer scripts did to accounts and paths when the package was recorded, without some of the paths that
    /// they made. Not all tell the service manager of what they have done.
    fn run_scripts(&self, changes: &ScriptChanges, unwanted: &[&HostPath], reloads: bool) -> Result<()> {
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
        for (path, kind) in changes.paths.iter().filter(|(path, _)| !unwanted.contains(path)) {
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
                    let data = kind.holds(changes.texts.get(path));
                    self.put_beside(path, Node::new(kind.kind(), kind.access(), data))?;
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
            self.reload_units()?;
        }
        Ok(())
    }

    /// What maintainer scripts asked the service manager for.
    fn act_on_units<'c>(&self, asked: impl Iterator<Item = &'c (String, String)>) -> Result<()> {
        for (verb, unit) in asked.filter(|_| self.is_running()) {
            // invoke-rc.d(8) starts what is disabled as well.
            let (verb, by_init) = match verb.strip_prefix("invoke-rc.d ") {
                Some(verb) => (verb, true),
                None => (verb.as_str(), false),
            };
            let action = match verb {
                "start" => UnitAction::Start,
                "restart" | "try-restart" => UnitAction::Restart,
                "stop" => UnitAction::Stop,
                _ => continue,
            };
            let state = self.unit_state(unit)?;
            // deb-systemd-invoke(1p) leaves what is disabled alone, unless it runs and is to be restarted.
            let is_off = !by_init && matches!(state.file_state.as_str(), "disabled" | "masked");
            let stays = match verb {
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
        Ok(())
    }

    /// Takes a package away; its configuration files stay.
    pub(super) fn remove_package(&self, catalogue: &Catalogue, name: &str) -> Result<()> {
        let before = self.package(name)?;
        if matches!(before.status, PackageStatus::Absent | PackageStatus::ConfigFiles) {
            return Ok(());
        }
        let Some(package) = catalogue.get(name) else { return self.forget_package(name, true) };
        self.reload_units()?;
        self.act_on_units(package.remove.units.iter().filter(|(verb, _)| verb == "stop"))?;
        let mut directories = Vec::new();
        for (path, kind) in package.paths.iter() {
            if matches!(kind, PathKind::Directory(_)) {
                directories.push(path);
            } else if !package.conffiles.contains(path) && self.metadata(path)?.is_some() {
                self.take_away(path)?;
            }
        }
        self.remove_empty(catalogue, name, directories)?;
        let reloads = package.remove.units.iter().any(|(verb, _)| verb == "daemon-reload");
        self.run_scripts(&package.remove, &[], reloads)?;
        // Without configuration files, and without a script to purge it, dpkg forgets it.
        let left = !package.conffiles.is_empty() || package.has_postrm;
        self.forget_package(name, !left)
    }

    /// Takes away what a removed package has left.
    pub(super) fn purge(&self, catalogue: &Catalogue, name: &str) -> Result<()> {
        if self.package(name)?.status == PackageStatus::Absent {
            return Ok(());
        }
        if let Some(package) = catalogue.get(name) {
            for path in &package.conffiles {
                self.purge_conffile(path)?;
            }
            self.run_scripts(&package.purge, &[], true)?;
            self.act_on_units(package.purge.units.iter())?;
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
            if self.shipper(catalogue, path, Some(name))?.is_none() {
                self.take_away(path)?;
            }
        }
        Ok(())
    }

    /// The installed package that ships a path.
    pub(crate) fn owner_of(&self, path: &HostPath) -> Result<Option<String>> {
        self.shipper(self.catalogue(), &self.real(path)?, None)
    }

    /// The first installed package that ships a path, apart from one.
    fn shipper(&self, catalogue: &Catalogue, path: &HostPath, but: Option<&str>) -> Result<Option<String>> {
        let ships = |(name, entry): &(&String, &PackageEntry)| {
            but != Some(name.as_str())
                && entry.status == PackageStatus::Installed
                && catalogue.get(name).is_some_and(|package| package.paths.get(path).is_some())
        };
        Ok(self.packages()?.iter().find(ships).map(|(name, _)| name.clone()))
    }
}
