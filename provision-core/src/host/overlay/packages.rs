//! What package transactions do to the model.

use super::model::Node;

use crate::effect::{CreateUser, PackageTransaction, UserChanges};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{Catalogue, HostView, Overlay, PackageState, PackageStatus, UnitState};

impl<H: HostView> Overlay<H> {
    pub(super) fn change_packages(&self, transaction: &PackageTransaction) -> Result<()> {
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
                let mut model = self.model();
                model.packages.insert(name.clone(), PackageState { status, version, ..PackageState::default() });
                model.automatic.insert(name.clone(), false);
            }
        }
        self.set_holds(&transaction.hold, true)?;
        let mut model = self.model();
        for (names, automatic) in [(&transaction.automatic, true), (&transaction.manual, false)] {
            model.automatic.extend(names.iter().map(|name| (name.clone(), automatic)));
        }
        Ok(())
    }

    pub(super) fn set_holds(&self, names: &[String], hold: bool) -> Result<()> {
        for name in names {
            let before = self.package(name)?;
            self.model().packages.insert(name.clone(), PackageState { hold, ..before });
        }
        Ok(())
    }

    /// Brings the packages of a transaction to the versions that it asks for, once they are installed.
    pub(super) fn set_versions(&self, transaction: &PackageTransaction) -> Result<()> {
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
    pub(super) fn install_from(&self, catalogue: &Catalogue, transaction: &PackageTransaction) -> Result<()> {
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
            let (runs, now) = (self.is_running(), self.now());
            let mut model = self.model();
            for unit in &package.units {
                let started_micros = runs.then_some(now.monotonic_micros);
                let state = UnitState { started_micros, ..catalogue.unit(unit, runs) };
                model.units.entry(unit.clone()).or_insert(state);
            }
            let state = PackageState {
                status: PackageStatus::Installed,
                version: Some(package.version.clone()),
                ..PackageState::default()
            };
            model.packages.insert(package.name.clone(), state);
            model.automatic.insert(package.name.clone(), !wanted.contains(&package.name.as_str()));
        }
        // What is asked for by name is wanted for itself; see apt-get(8), install.
        self.model().automatic.extend(wanted.iter().map(|name| ((*name).to_owned(), false)));
        self.set_versions(transaction)
    }
}
