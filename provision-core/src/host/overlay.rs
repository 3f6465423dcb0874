//! The model of a host: keeps effects in memory over what the host beneath says, and records them.
//!
//! Planning runs every resource against an overlay, so each sees the host as the effects before it will have left it.

#![deny(clippy::wildcard_enum_match_arm)]

mod accounts;
mod answers;
mod attributes;
mod commands;
mod conffiles;
mod dpkg;
mod effects;
mod model;
mod node;
mod packages;
mod paths;
mod seed;
mod units;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::claim::Claim;
use crate::effect::{Content, Digest, Effect};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::record::{is_unrecorded, not_held, unrecorded};
use crate::host::units::ModelledUnits;
use crate::host::{
    Accounts, Answer, Catalogue, FileAttributes, FileKind, FileMetadata, Host, HostView, HostViewExt, Question, lines,
};
use crate::moment::Moment;
use crate::path::HostPath;

use model::Model;
use node::Node;

pub use commands::CommandScript;
pub(in crate::host) use units::Runtime;
pub use units::UnitScript;

/// A host with effects that have not been done.
pub struct Overlay<H> {
    base: H,
    model: Mutex<Model>,
}

/// Something that was taken to be absent, although an effect that cannot be modelled may bring it:
/// nobody knows the users, units and files of a package before it is installed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Doubt {
    /// What was looked for: `user postgres`.
    pub about: String,
    /// What may bring it: `package postgresql`.
    pub because: String,
}

impl<H: Clone> Clone for Overlay<H> {
    fn clone(&self) -> Overlay<H> {
        let model = self.model.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Overlay { base: self.base.clone(), model: Mutex::new(model) }
    }
}

impl<H: HostView> Overlay<H> {
    /// A model that begins as the host is.
    pub fn new(base: H) -> Overlay<H> {
        Overlay { base, model: Mutex::default() }
    }

    /// The same, which notes where it is read.
    pub(crate) fn noting_reads(base: H) -> Overlay<H> {
        Overlay { base, model: Mutex::new(Model { reads: Some(Vec::new()), ..Model::default() }) }
    }

    /// The host beneath.
    pub fn base(&self) -> &H {
        &self.base
    }

    /// The effects performed since the last call.
    pub fn take_recorded(&self) -> Vec<Effect> {
        std::mem::take(&mut self.model().recorded)
    }

    /// What was taken to be absent since the last call, without being sure.
    pub fn take_doubts(&self) -> Vec<Doubt> {
        std::mem::take(&mut self.model().doubts).into_iter().collect()
    }

    /// The paths that were read since the last call.
    pub(crate) fn take_reads(&self) -> Vec<HostPath> {
        self.model().reads.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Notes paths that were read ahead of their turn.
    pub(crate) fn note_reads(&self, paths: Vec<HostPath>) {
        if let Some(reads) = self.model().reads.as_mut() {
            reads.extend(paths);
        }
    }

    /// A path without links on the way, as far as it leads anywhere.
    pub(crate) fn real_path(&self, path: &HostPath) -> HostPath {
        self.placed(path).map_or_else(|_| path.clone(), |(real, _)| real)
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the host beneath is still as it was found, as far as these paths go.
    pub(crate) fn leaves_alone(&self, paths: &[HostPath]) -> bool {
        {
            let model = self.model();
            if !model.changed {
                return true;
            }
            // What nobody can foresee may be anywhere, and owners may have other names by now.
            if !model.opaque.is_empty() || model.accounts.is_some() {
                return false;
            }
        }
        // Where a link leads may have changed.
        let is_itself = |path: &HostPath| self.real(path).is_ok_and(|real| real == *path);
        paths.iter().all(|path| is_itself(path) && self.modelled(path, |_| ()).is_none())
    }

    /// Notes that something was not found, which may change.
    fn doubt(&self, about: impl FnOnce() -> String) {
        let mut model = self.model();
        if let Some(because) = model.opaque.last().cloned() {
            let about = about();
            model.doubts.insert(Doubt { about, because });
        }
    }

    /// What is on offer is not known yet if the lists change first. A simulated host has all of its packages on offer.
    fn require_settled_lists(&self) -> Result<()> {
        if self.is_simulated() {
            return Ok(());
        }
        let model = self.model();
        match (model.sources_changed, model.lists_refreshed) {
            (true, _) => Err(Error::unknown("the package sources change first")),
            (_, true) => Err(Error::unknown("the package lists are refreshed first")),
            _ => Ok(()),
        }
    }

    /// What the model says of a path without links on the way; `None` leaves it to the host beneath.
    fn modelled<T>(&self, path: &HostPath, say: impl FnOnce(&Node) -> T) -> Option<Option<T>> {
        self.model().node(path).map(|node| node.map(say))
    }

    /// The accounts, for changing them.
    fn accounts_of<'m>(&self, model: &'m mut Model) -> Result<&'m mut Accounts> {
        if model.accounts.is_none() {
            model.accounts = Some(self.base.accounts()?);
        }
        let accounts = model.accounts.get_or_insert_default();
        Ok(Arc::make_mut(accounts))
    }
}

#[deny(clippy::missing_trait_methods)]
impl<H: HostView> HostView for Overlay<H> {
    fn metadata(&self, path: &HostPath) -> Result<Option<FileMetadata>> {
        let path = &self.real(path)?;
        let found = match self.modelled(path, Node::metadata) {
            Some(found) => found,
            None => self.base.metadata(path)?.map(|found| self.model().with_names(found)),
        };
        if found.is_none() {
            self.doubt(|| format!("path {path}"));
        }
        Ok(found)
    }

    fn attributes(&self, path: &HostPath) -> Result<Option<FileAttributes>> {
        let path = &self.real(path)?;
        match self.modelled(path, |node| node.attributes.clone()) {
            Some(None) => Ok(None),
            Some(Some(Some(attributes))) => Ok(Some(attributes)),
            // Only owner or mode are modelled.
            Some(Some(None)) => Ok(Some(self.base.attributes(path)?.unwrap_or_default())),
            None => self.base.attributes(path),
        }
    }

    fn copy_out(&self, path: &HostPath, to: &mut dyn std::io::Write) -> Result<Option<u64>> {
        let path = &self.real(path)?;
        if self.modelled(path, |_| ()).is_none() && !self.is_simulated() {
            return self.base.copy_out(path, to);
        }
        let content = match self.read(path) {
            Ok(Some(content)) => content,
            Ok(None) => return Ok(None),
            // What is only to be kept, and put back, need not be known.
            Err(error) if error.kind() == ErrorKind::Unsupported => unrecorded(path),
            Err(error) => return Err(error),
        };
        to.write_all(content.bytes())?;
        Ok(Some(content.bytes().len() as u64))
    }

    fn read(&self, path: &HostPath) -> Result<Option<Content>> {
        let path = &self.real(path)?;
        match self.modelled(path, |node| (node.kind, node.content(), node.is_new)) {
            Some(None) => Ok(None),
            Some(Some((_, Some(content), _))) if is_unrecorded(&content) => Err(not_held(path)),
            Some(Some((_, Some(content), _))) => Ok(Some(content)),
            Some(Some((FileKind::File, None, true))) => Err(not_held(path)),
            // Only owner or mode are modelled; the content is still the host's.
            Some(Some((FileKind::File, None, false))) | None => self.base.read(path),
            Some(Some((kind, ..))) => {
                Err(Error::new(ErrorKind::Conflict, format!("it is {}, not a file", kind.noun())))
            }
        }
    }

    fn digest(&self, path: &HostPath) -> Result<Option<Digest>> {
        let real = &self.real(path)?;
        match self.modelled(real, |node| (node.kind, node.content().is_some(), node.is_new)) {
            // Only owner or mode are modelled; the content is still the host's.
            Some(Some((FileKind::File, false, false))) | None => self.base.digest(real),
            Some(_) => Ok(self.read(path)?.map(|content| Digest::of(content.bytes()))),
        }
    }

    fn read_link(&self, path: &HostPath) -> Result<Option<String>> {
        let path = &self.real(path)?;
        match self.modelled(path, |node| (node.kind, node.target())) {
            Some(None) => Ok(None),
            Some(Some((_, Some(target)))) => Ok(Some(target)),
            Some(Some((FileKind::Symlink, None))) | None => self.base.read_link(path),
            Some(Some(_)) => Err(Error::new(ErrorKind::Conflict, "it is not a symbolic link")),
        }
    }

    fn list(&self, path: &HostPath) -> Result<Option<Vec<String>>> {
        let path = &self.real(path)?;
        match self.modelled(path, |node| (node.kind, node.is_new)) {
            Some(None) => Ok(None),
            Some(Some((kind, _))) if kind != FileKind::Directory => {
                Err(Error::new(ErrorKind::Conflict, "it is not a directory"))
            }
            Some(Some((_, true))) => Ok(Some(self.model().children(path, Vec::new()))),
            _ => Ok(self.base.list(path)?.map(|names| self.model().children(path, names))),
        }
    }

    fn ask(&self, question: &Question<'_>) -> Result<Answer> {
        Ok(match question {
            Question::Package(name) => Answer::Package(self.package(name)?),
            Question::AvailableVersions(name) => Answer::AvailableVersions(self.available_versions(name)?),
            Question::InterruptedPackages => Answer::InterruptedPackages(self.interrupted_packages()?),
            Question::PackageManager => Answer::PackageManager(self.package_manager()?),
            Question::Packages => Answer::Packages(self.packages()?),
            Question::Preview(_) => {
                self.require_settled_lists()?;
                self.base.ask(question)?
            }
            Question::PackageOf(_) => self.base.ask(question)?,
            Question::Unit(name) => Answer::Unit(self.unit(name)?),
            Question::User(name) => Answer::User(self.user(name)?),
            Question::Group(name) => Answer::Group(self.group(name)?),
            Question::Accounts => Answer::Accounts(self.accounts()?),
            Question::Shadow(user) => Answer::Shadow(self.shadow(user)?),
            Question::AccountLines(users, groups) => Answer::AccountLines(lines::of_model(self, users, groups)?),
            Question::Query(command) => Answer::Query(self.answer(command)?),
            Question::Architecture => Answer::Architecture(self.architecture()?),
        })
    }

    fn is_running(&self) -> bool {
        !self.model().switched_off && self.base.is_running()
    }

    fn now(&self) -> Moment {
        self.base.now()
    }

    fn catalogue(&self) -> Option<Arc<Catalogue>> {
        self.base.catalogue()
    }

    fn modelled_units(&self) -> Option<&dyn ModelledUnits> {
        if self.is_simulated() { Some(self) } else { None }
    }

    fn prefetch(&self, claims: &mut dyn Iterator<Item = &Claim>) {
        // A run begins.
        self.model().lists_fetched = false;
        self.base.prefetch(claims);
    }

    fn at_a_glance(&self) -> Option<Box<dyn HostView + '_>> {
        None
    }
}

impl<H: HostView> Host for Overlay<H> {
    fn perform(&self, effect: &Effect) -> Result<()> {
        self.carry_out(effect).while_doing(|| effect.to_string())?;
        let mut model = self.model();
        model.changed = true;
        model.recorded.push(effect.clone());
        Ok(())
    }
}
