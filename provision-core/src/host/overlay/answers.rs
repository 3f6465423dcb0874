//! What a model answers: what it has changed, and else what the host beneath it says.

use std::sync::Arc;

use super::Layer;
use crate::error::{Error, Result};
use crate::host::{
    Accounts, Group, HostViewExt, PackageManager, PackageState, PackageStatus, PackageTable, Shadow, UnitState, User,
    system,
};

impl Layer<'_> {
    pub(crate) fn package(&self, name: &str) -> Result<PackageState> {
        let modelled = self.model().packages.get(name).cloned();
        let mut state = match modelled {
            Some(state) => state,
            None => {
                let mut state = self.base.package(name)?;
                let model = self.model();
                if state.status == PackageStatus::Interrupted && model.repaired {
                    state.status = PackageStatus::Installed;
                }
                // New lists may have a package of that name.
                if model.lists_refreshed && !state.provided_by.is_empty() && self.package_model().is_none() {
                    return Err(Error::unknown("the package lists are refreshed first"));
                }
                state
            }
        };
        if let Some(automatic) = self.model().automatic.get(name) {
            state.automatic = *automatic;
        }
        Ok(state)
    }

    pub(crate) fn available_versions(&self, name: &str) -> Result<Vec<String>> {
        self.require_settled_lists()?;
        let offered = self.base.available_versions(name)?;
        match self.package_model() {
            Some(model) => model.arranged(self, name, offered),
            None => Ok(offered),
        }
    }

    pub(crate) fn interrupted_packages(&self) -> Result<Vec<String>> {
        let repaired = self.model().repaired;
        match self.package_model() {
            Some(_) => Ok(self.package_manager()?.interrupted),
            None if repaired => Ok(Vec::new()),
            None => self.base.interrupted_packages(),
        }
    }

    pub(crate) fn package_manager(&self) -> Result<PackageManager> {
        let mut state = self.base.package_manager()?;
        let table = self.package_model().map(|_| self.packages()).transpose()?;
        let model = self.model();
        state.lists_age = if model.lists_refreshed { Some(0) } else { state.lists_age };
        state.are_lists_outdated = model.sources_changed || (state.are_lists_outdated && !model.lists_refreshed);
        state.were_lists_fetched = !model.sources_changed && (model.lists_fetched || state.were_lists_fetched);
        match table {
            Some(table) => {
                let interrupted = table.iter().filter(|(_, entry)| entry.status == PackageStatus::Interrupted);
                state.interrupted = interrupted.map(|(name, _)| name.clone()).collect();
            }
            None if model.repaired => state.interrupted.clear(),
            None => {}
        }
        Ok(state)
    }

    pub(crate) fn packages(&self) -> Result<Arc<PackageTable>> {
        if let Some(table) = &self.model().package_table {
            return Ok(Arc::clone(table));
        }
        let mut table = self.base.packages()?;
        let mut model = self.model();
        if model.packages.is_empty() && model.automatic.is_empty() {
            return Ok(table);
        }
        let all = Arc::make_mut(&mut table);
        for name in model.packages.keys().chain(model.automatic.keys()) {
            model.enter_package(all, name);
        }
        model.package_table = Some(Arc::clone(&table));
        Ok(table)
    }

    pub(crate) fn unit(&self, name: &str) -> Result<UnitState> {
        let state = self.unit_state(name)?;
        if !state.exists() {
            self.doubt(|| format!("unit {name}"));
        }
        Ok(state)
    }

    pub(crate) fn user(&self, name: &str) -> Result<Option<User>> {
        let user = self.accounts()?.users.get(name).cloned();
        if user.is_none() {
            self.doubt(|| format!("user {name}"));
        }
        Ok(user)
    }

    pub(crate) fn group(&self, name: &str) -> Result<Option<Group>> {
        let group = self.accounts()?.groups.get(name).cloned();
        if group.is_none() {
            self.doubt(|| format!("group {name}"));
        }
        Ok(group)
    }

    pub(crate) fn accounts(&self) -> Result<Arc<Accounts>> {
        match &self.model().accounts {
            Some(accounts) => Ok(Arc::clone(accounts)),
            None => self.base.accounts(),
        }
    }

    pub(crate) fn shadow(&self, user: &str) -> Result<Option<Shadow>> {
        if let Some(shadow) = self.model().shadows.get(user) {
            return Ok(shadow.clone());
        }
        self.base.shadow(user)
    }

    pub(crate) fn architecture(&self) -> Result<Option<String>> {
        // A recording answers from its files, which effects may have changed.
        match self.package_model() {
            Some(_) => system::architecture(self),
            None => self.base.architecture(),
        }
    }
}
