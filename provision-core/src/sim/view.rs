//! How a simulated host answers.

use crate::claim::Claim;
use crate::effect::{Content, Digest};
use crate::error::Result;
use crate::host::{
    Answer, FileAttributes, FileMetadata, HostView, HostViewExt, PackageModel, PackageState, PackageStatus, Question,
    UnitIndex, UnitModel,
};
use crate::moment::Moment;
use crate::path::HostPath;

use super::SimHost;

#[deny(clippy::missing_trait_methods)]
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
    fn digest(&self, path: &HostPath) -> Result<Option<Digest>> {
        self.host.digest(path)
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
    fn ask(&self, question: &Question<'_>) -> Result<Answer> {
        match question {
            Question::Package(name) => self.package_or_providers(name).map(Answer::Package),
            Question::Preview(transaction) => self.host.preview_of(transaction).map(Answer::Preview),
            Question::PackageOf(path) => self.machine().owner_of(path).map(Answer::PackageOf),
            _ => self.host.ask(question),
        }
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
    fn package_model(&self) -> Option<&dyn PackageModel> {
        Some(&self.foreseen)
    }
    fn unit_model(&self) -> Option<&dyn UnitModel> {
        Some(&self.foreseen)
    }
    fn unit_index(&self) -> Option<&dyn UnitIndex> {
        self.host.unit_index()
    }
    fn at_a_glance(&self) -> Option<Box<dyn HostView + '_>> {
        None
    }
}

impl SimHost {
    /// The state of a package; one that there is not may stand for packages that provide its name.
    fn package_or_providers(&self, name: &str) -> Result<PackageState> {
        let mut state = self.host.package(name)?;
        if state.status == PackageStatus::Absent && !self.machine().has_package_of(name) {
            for (provider, _) in self.catalogue().providers(name) {
                if self.host.package(provider)?.status == PackageStatus::Installed {
                    state.provided_by.push((*provider).to_owned());
                }
            }
        }
        Ok(state)
    }
}
