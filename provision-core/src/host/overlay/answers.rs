//! What a model answers: what it has changed, and else what the host beneath it says.

use std::sync::Arc;

use super::Overlay;
use crate::error::{Error, Result};
use crate::host::{
    Accounts, Group, HostView, HostViewExt, PackageManager, PackageState, PackageStatus, PackageTable, Shadow,
    UnitState, User, system,
};

impl<H: HostView> Overlay<H> {
    pub(in crate::host) fn package(&self, name: &str) -> Result<PackageState> {
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
                if model.lists_refreshed && !state.provided_by.is_empty() && !self.is_simulated() {
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

    pub(super) fn available_versions(&self, name: &str) -> Result<Vec<String>> {
        self.require_settled_lists()?;
        let offered = self.model().available.get(name).cloned();
        self.pinned(name, offered.map_or_else(|| self.base.available_versions(name), Ok)?)
    }

    pub(super) fn interrupted_packages(&self) -> Result<Vec<String>> {
        let repaired = self.model().repaired;
        match self.is_simulated() {
            true => Ok(self.package_manager()?.interrupted),
            false if repaired => Ok(Vec::new()),
            false => self.base.interrupted_packages(),
        }
    }

    pub(super) fn package_manager(&self) -> Result<PackageManager> {
        let mut state = self.base.package_manager()?;
        let table = if self.is_simulated() { Some(self.packages()?) } else { None };
        let model = self.model();
        state.lists_age = if model.lists_refreshed { Some(0) } else { model.lists_age.unwrap_or(state.lists_age) };
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

    pub(super) fn packages(&self) -> Result<Arc<PackageTable>> {
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

    pub(super) fn unit(&self, name: &str) -> Result<UnitState> {
        let state = self.unit_state(name)?;
        if !state.exists() {
            self.doubt(|| format!("unit {name}"));
        }
        Ok(state)
    }

    pub(super) fn user(&self, name: &str) -> Result<Option<User>> {
        let user = self.accounts()?.users.get(name).cloned();
        if user.is_none() {
            self.doubt(|| format!("user {name}"));
        }
        Ok(user)
    }

    pub(super) fn group(&self, name: &str) -> Result<Option<Group>> {
        let group = self.accounts()?.groups.get(name).cloned();
        if group.is_none() {
            self.doubt(|| format!("group {name}"));
        }
        Ok(group)
    }

    pub(super) fn accounts(&self) -> Result<Arc<Accounts>> {
        match &self.model().accounts {
            Some(accounts) => Ok(Arc::clone(accounts)),
            None => self.base.accounts(),
        }
    }

    pub(super) fn shadow(&self, user: &str) -> Result<Option<Shadow>> {
        if let Some(shadow) = self.model().shadows.get(user) {
            return Ok(shadow.clone());
        }
        self.base.shadow(user)
    }

    pub(super) fn architecture(&self) -> Result<Option<String>> {
        match self.is_simulated() {
            true => system::architecture(self),
            false => self.base.architecture(),
        }
    }
}
