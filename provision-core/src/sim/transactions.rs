//! Package transactions as apt has dpkg carry them out: one package after another.

use super::Machine;
use super::resolver::{Offers, resolve};
use crate::effect::PackageTransaction;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{HostViewExt, PackageAction, PackageModel, PackageState, PackageStatus, TransactionPreview};

impl TransactionPreview {
    /// How often dpkg unpacks, configures or removes a package in it.
    pub(crate) fn steps_of_dpkg(&self) -> usize {
        self.changes.iter().map(|change| if change.action == PackageAction::Remove { 1 } else { 2 }).sum()
    }
}

impl Machine<'_> {
    /// What a transaction comes to.
    pub(super) fn preview_of(&self, transaction: &PackageTransaction) -> Result<TransactionPreview> {
        let installed = self.packages()?;
        let offers = self.offers(transaction)?;
        Ok(resolve(self.catalogue(), &installed, &offers, transaction)?.preview(&installed, transaction))
    }

    pub(super) fn transact(&self, transaction: &PackageTransaction) -> Result<()> {
        let done = self.transact_step_by_step(transaction);
        // Whoever wanted dpkg to be killed meant this transaction.
        self.given(|given| given.steps_until_killed = None);
        done
    }

    fn transact_step_by_step(&self, transaction: &PackageTransaction) -> Result<()> {
        let catalogue = self.catalogue();
        let installed = self.packages()?;
        let offers = self.offers(transaction)?;
        let solution = resolve(catalogue, &installed, &offers, transaction)?;
        if self.given(|given| given.archive_moved) == Some(true) && !solution.install.is_empty() {
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
        let killed = self.given(|given| match given.steps_until_killed.as_mut() {
            None => false,
            Some(0) => true,
            Some(steps) => {
                *steps -= 1;
                false
            }
        });
        match killed {
            Some(true) => Err(Error::new(ErrorKind::CommandFailed, "dpkg was killed")),
            Some(false) | None => Ok(()),
        }
    }

    /// Versions on offer that are not those of the catalogue; a host beneath may have its own, and pins choose others.
    fn offers(&self, transaction: &PackageTransaction) -> Result<Offers> {
        let mut offers = self.given(|given| given.available.clone()).unwrap_or_default();
        for request in &transaction.install {
            if !offers.contains_key(&request.name) {
                let versions = self.base().available_versions(&request.name)?;
                if !versions.is_empty() {
                    offers.insert(request.name.clone(), versions);
                }
            }
        }
        self.pin_all(&mut offers)?;
        Ok(offers)
    }

    /// Completes what an interrupted run left behind.
    pub(super) fn repair(&self) -> Result<()> {
        self.debian.require_lock()?;
        let interrupted: Vec<String> = self.package_manager()?.interrupted;
        let mut left = Vec::new();
        for name in &interrupted {
            if let Some(package) = self.catalogue().get(name) {
                if self.configure(&package).is_err() {
                    left.push(name.as_str());
                }
            } else {
                let before = self.package(name)?;
                let state = PackageState { status: PackageStatus::Installed, ..before };
                self.model().set_package(name, state);
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        let message = format!("these packages cannot be completed: {}", left.join(", "));
        Err(Error::new(ErrorKind::Incomplete, message))
    }
}
