//! What package transactions do to the model: as dpkg and maintainer scripts do it, where packages were recorded.

use std::sync::Arc;

use crate::effect::PackageTransaction;
use crate::error::{Error, ErrorKind, Result};
use crate::host::sim::Catalogue;
use crate::host::sim::resolver::{Offers, resolve};
use crate::host::{HostView, HostViewExt, Overlay, PackageState, PackageStatus, TransactionPreview};

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
            names.iter().for_each(|name| model.set_automatic(name, automatic));
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
            model.set_package(&request.name, state);
            // What is asked for by name is wanted for itself; see apt-get(8), install.
            model.set_automatic(&request.name, false);
        }
        for (names, purge) in [(&transaction.remove, false), (&transaction.purge, true)] {
            for name in names {
                self.forget_package(name, purge)?;
            }
        }
        Ok(())
    }

    pub(super) fn forget_package(&self, name: &str, purge: bool) -> Result<()> {
        let before = self.package(name)?;
        let status = if purge { PackageStatus::Absent } else { PackageStatus::ConfigFiles };
        let version = before.version.filter(|_| !purge);
        let mut model = self.model();
        model.new_packages.remove(name);
        model.set_package(name, PackageState { status, version, ..PackageState::default() });
        model.set_automatic(name, false);
        Ok(())
    }

    pub(super) fn set_holds(&self, names: &[String], hold: bool) -> Result<()> {
        for name in names {
            let before = self.package(name)?;
            self.model().set_package(name, PackageState { hold, ..before });
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

    /// What a transaction comes to, where packages were recorded.
    pub(crate) fn preview_of(&self, transaction: &PackageTransaction) -> Result<TransactionPreview> {
        let catalogue = self.catalogue().ok_or_else(|| Error::unknown("no packages were recorded"))?;
        let installed = self.packages()?;
        let offers = self.offers(transaction)?;
        Ok(resolve(&catalogue, &installed, &offers, transaction)?.preview(&installed, transaction))
    }

    fn transact(&self, catalogue: &Arc<Catalogue>, transaction: &PackageTransaction) -> Result<()> {
        let done = self.transact_step_by_step(catalogue, transaction);
        // Whoever wanted dpkg to be killed meant this transaction.
        self.model().steps_until_killed = None;
        done
    }

    fn transact_step_by_step(&self, catalogue: &Arc<Catalogue>, transaction: &PackageTransaction) -> Result<()> {
        let installed = self.packages()?;
        let offers = self.offers(transaction)?;
        let solution = resolve(catalogue, &installed, &offers, transaction)?;
        if self.model().archive_moved && !solution.install.is_empty() {
            let message = "a package source no longer has a file that the package lists name";
            return Err(Error::new(ErrorKind::Stale, message));
        }
        let declared = |name: &&String| transaction.remove.contains(*name) || transaction.purge.contains(*name);
        let undeclared: Vec<&str> = solution.remove.iter().filter(|name| !declared(name)).map(String::as_str).collect();
        if !undeclared.is_empty() && !transaction.options.allow_removals {
            let message = format!("it would remove {}, which is not declared", undeclared.join(", "));
            return Err(Error::new(ErrorKind::Refused, message)
                .with_hint("declare these packages as absent, or set `allow_removals = true`"));
        }
        let bytes = solution.install.iter().map(|(offer, _)| offer.package.installed_size * 1024).sum();
        self.take_space(bytes)?;
        // apt writes down what comes along before dpkg begins. What is asked for by name is wanted for itself; see
        // apt-get(8), install.
        let wanted: Vec<&str> = transaction.install.iter().map(|request| request.name.as_str()).collect();
        for (offer, _) in &solution.install {
            let name = offer.package.name.as_str();
            if self.package(name)?.status != PackageStatus::Installed && !wanted.contains(&name) {
                self.model().set_automatic(name, true);
            }
        }
        for name in wanted.iter().filter(|name| catalogue.version(name).is_some()) {
            self.model().set_automatic(name, false);
        }
        for name in &solution.remove {
            self.step_of_dpkg()?;
            self.remove_package(catalogue, name)?;
        }
        for (offer, version) in &solution.install {
            self.step_of_dpkg()?;
            self.unpack(offer, version, transaction.options.conffiles)?;
        }
        let mut failed = None;
        for (offer, _) in &solution.install {
            self.step_of_dpkg()?;
            // Others are configured all the same.
            if let Err(error) = self.configure(&offer.package) {
                failed = failed.or(Some(error));
            }
        }
        for name in &transaction.purge {
            self.step_of_dpkg()?;
            self.purge(catalogue, name)?;
        }
        failed.map_or(Ok(()), Err)
    }

    /// One more package is about to be unpacked, configured or removed: where a test wants it, dpkg is killed instead.
    fn step_of_dpkg(&self) -> Result<()> {
        let mut model = self.model();
        match model.steps_until_killed.as_mut() {
            None => Ok(()),
            Some(0) => Err(Error::new(ErrorKind::CommandFailed, "dpkg was killed")),
            Some(steps) => {
                *steps -= 1;
                Ok(())
            }
        }
    }

    /// Versions on offer that are not those of the catalogue; a host beneath may have its own, and pins choose others.
    fn offers(&self, transaction: &PackageTransaction) -> Result<Offers> {
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

    /// Completes what an interrupted run left behind.
    pub(super) fn repair_packages(&self) -> Result<()> {
        self.require_package_lock()?;
        let catalogue = self.catalogue();
        let interrupted: Vec<String> = self.package_manager()?.interrupted;
        let mut left = Vec::new();
        for name in &interrupted {
            if let Some(package) = catalogue.as_ref().and_then(|catalogue| catalogue.get(name)) {
                if self.configure(&package).is_err() {
                    left.push(name.as_str());
                }
            } else if catalogue.is_some() {
                let before = self.package(name)?;
                let state = PackageState { status: PackageStatus::Installed, ..before };
                self.model().set_package(name, state);
            }
        }
        if !left.is_empty() {
            let message = format!("these packages cannot be completed: {}", left.join(", "));
            return Err(Error::new(ErrorKind::Incomplete, message));
        }
        self.model().repaired = true;
        Ok(())
    }
}
