//! How a simulated host answers.

use std::sync::Arc;

use crate::claim::Claim;
use crate::effect::{Command, Content, Output, PackageTransaction};
use crate::error::Result;
use crate::host::units::ModelledUnits;
use crate::host::{
    Accounts, FileAttributes, FileMetadata, Group, HostView, PackageManager, PackageState, PackageStatus, PackageTable,
    Shadow, TransactionPreview, UnitState, User,
};
use crate::moment::Moment;
use crate::path::HostPath;

use super::{Catalogue, SimHost};

impl HostView for SimHost {
    fn metadata(&self, path: &HostPath) -> Result<Option<FileMetadata>> {
        self.host.metadata(path)
    }
    fn attributes(&self, path: &HostPath) -> Result<Option<FileAttributes>> {
        self.host.attributes(path)
    }
    fn copy_out(&self, path: &HostPath, to: &mut dyn std::io::Write) -> Result<Option<u64>> {
        self.host.copy_out(path, to)
    }
    fn read(&self, path: &HostPath) -> Result<Option<Content>> {
        self.host.read(path)
    }
    fn read_link(&self, path: &HostPath) -> Result<Option<String>> {
        self.host.read_link(path)
    }
    fn list(&self, path: &HostPath) -> Result<Option<Vec<String>>> {
        self.host.list(path)
    }
    fn package(&self, name: &str) -> Result<PackageState> {
        let mut state = self.host.package(name)?;
        if state.status == PackageStatus::Absent && !self.host.has_package_of(name) {
            for (provider, _) in self.host.base().catalogue.providers(name) {
                if self.host.package(provider)?.status == PackageStatus::Installed {
                    state.provided_by.push((*provider).to_owned());
                }
            }
        }
        Ok(state)
    }
    fn available_versions(&self, name: &str) -> Result<Vec<String>> {
        self.host.available_versions(name)
    }
    fn package_manager(&self) -> Result<PackageManager> {
        self.host.package_manager()
    }
    fn preview(&self, transaction: &PackageTransaction) -> Result<TransactionPreview> {
        self.host.preview_of(transaction)
    }
    fn package_of(&self, path: &HostPath) -> Result<Option<String>> {
        self.host.owner_of(path)
    }
    fn unit(&self, name: &str) -> Result<UnitState> {
        HostView::unit(&self.host, name)
    }
    fn user(&self, name: &str) -> Result<Option<User>> {
        self.host.user(name)
    }
    fn group(&self, name: &str) -> Result<Option<Group>> {
        self.host.group(name)
    }
    fn accounts(&self) -> Result<Arc<Accounts>> {
        self.host.accounts()
    }
    fn shadow(&self, user: &str) -> Result<Option<Shadow>> {
        self.host.shadow(user)
    }
    fn query(&self, command: &Command) -> Result<Output> {
        self.host.query(command)
    }
    fn packages(&self) -> Result<Arc<PackageTable>> {
        self.host.packages()
    }
    fn architecture(&self) -> Result<Option<String>> {
        self.host.architecture()
    }
    fn is_running(&self) -> bool {
        self.host.is_running()
    }
    fn now(&self) -> Moment {
        self.host.now()
    }
    fn prefetch(&self, claims: &mut dyn Iterator<Item = &Claim>) {
        self.host.prefetch(claims);
    }
    fn catalogue(&self) -> Option<Arc<Catalogue>> {
        self.host.catalogue()
    }
    fn modelled_units(&self) -> Option<&dyn ModelledUnits> {
        self.host.modelled_units()
    }
}
