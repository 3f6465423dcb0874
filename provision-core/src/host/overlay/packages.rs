//! What package transactions do to the model.

use crate::effect::PackageTransaction;
use crate::error::Result;
use crate::host::{Layer, PackageState, PackageStatus};

impl Layer<'_> {
    pub(crate) fn change_packages(&self, transaction: &PackageTransaction) -> Result<()> {
        let packages = self.package_model();
        packages.map_or(Ok(()), |packages| packages.require_lock())?;
        self.set_holds(&transaction.unhold, false)?;
        match packages {
            Some(packages) => packages.transact(self, transaction)?,
            None => self.foresee(transaction)?,
        }
        self.set_holds(&transaction.hold, true)?;
        let mut model = self.model();
        for (names, automatic) in [(&transaction.automatic, true), (&transaction.manual, false)] {
            names.iter().for_each(|name| model.set_automatic(name, automatic));
        }
        Ok(())
    }

    /// What is known beforehand of a transaction on a host whose packages are not modelled.
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

    pub(crate) fn forget_package(&self, name: &str, purge: bool) -> Result<()> {
        let before = self.package(name)?;
        let status = if purge { PackageStatus::Absent } else { PackageStatus::ConfigFiles };
        let version = before.version.filter(|_| !purge);
        let mut model = self.model();
        model.new_packages.remove(name);
        model.set_package(name, PackageState { status, version, ..PackageState::default() });
        model.set_automatic(name, false);
        Ok(())
    }

    pub(crate) fn set_holds(&self, names: &[String], hold: bool) -> Result<()> {
        for name in names {
            let before = self.package(name)?;
            self.model().set_package(name, PackageState { hold, ..before });
        }
        Ok(())
    }

    /// Completes what an interrupted run left behind.
    pub(crate) fn repair_packages(&self) -> Result<()> {
        if let Some(packages) = self.package_model() {
            packages.repair(self)?;
        }
        self.model().repaired = true;
        Ok(())
    }
}
