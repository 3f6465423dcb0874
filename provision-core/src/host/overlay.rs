//! The model of a host: keeps effects in memory over what the host beneath says, and records them.
//!
//! Planning runs every resource against an overlay, so each sees the host as the effects before it will have left it.

#![deny(clippy::wildcard_enum_match_arm)]

mod accounts;
mod answers;
mod attributes;
mod commands;
mod effects;
mod layer;
mod model;
pub(crate) mod node;
mod packages;
mod paths;
mod placing;
mod units;
#[cfg(feature = "sim")]
mod unsynced;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::effect::{Effect, PackageTransaction};
use crate::error::{Error, Result, ResultExt};
use crate::host::models::{PackageModel, UnitIndex, UnitModel};
use crate::host::{Accounts, Host, HostView, HostViewExt, TransactionPreview};
use crate::path::HostPath;

use model::Model;
use node::Node;

#[cfg(feature = "sim")]
pub(crate) use units::{Runtime, does_not_run};

/// A host with effects that have not been done.
pub struct Overlay<H> {
    base: H,
    model: Mutex<Model>,
}

/// Something that was taken to be absent, although an effect that cannot be modelled may bring it:
/// the users, units and files of a package are not known before it is installed.
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

    /// The same for whatever works with any host.
    pub(crate) fn layer(&self) -> Layer<'_> {
        Layer { base: &self.base, model: &self.model }
    }

    /// The effects performed since the last call.
    pub fn take_recorded(&self) -> Vec<Effect> {
        std::mem::take(&mut self.layer().model().recorded)
    }

    /// What was taken to be absent since the last call, without being sure.
    pub fn take_doubts(&self) -> Vec<Doubt> {
        std::mem::take(&mut self.layer().model().doubts).into_iter().collect()
    }

    /// The paths that were read since the last call.
    pub(crate) fn take_reads(&self) -> Vec<HostPath> {
        self.layer().model().reads.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Notes paths that were read ahead of their turn.
    pub(crate) fn note_reads(&self, paths: Vec<HostPath>) {
        if let Some(reads) = self.layer().model().reads.as_mut() {
            reads.extend(paths);
        }
    }

    /// A path without links on the way, as far as it leads anywhere.
    pub(crate) fn real_path(&self, path: &HostPath) -> HostPath {
        self.layer().placed(path).map_or_else(|_| path.clone(), |(real, _)| real)
    }

    /// Where a path leads, all links followed; `None` if that is nowhere, or behind a link that is not followed.
    pub(crate) fn leads_to(&self, path: &HostPath) -> Option<HostPath> {
        self.layer().leads_to(path).ok().flatten()
    }

    /// Whether the host beneath is still as it was found, as far as these paths go.
    pub(crate) fn leaves_alone(&self, paths: &[HostPath]) -> bool {
        let layer = self.layer();
        {
            let model = layer.model();
            if !model.changed {
                return true;
            }
            // What cannot be foreseen may be anywhere, and owners may have other names by now.
            if !model.opaque.is_empty() || model.accounts.is_some() {
                return false;
            }
        }
        // Where a link leads may have changed.
        let is_itself = |path: &HostPath| layer.real(path).is_ok_and(|real| real == *path);
        paths.iter().all(|path| is_itself(path) && layer.modelled(path, |_| ()).is_none())
    }

    /// What a transaction comes to, where packages are modelled.
    pub(crate) fn preview_of(&self, transaction: &PackageTransaction) -> Result<TransactionPreview> {
        let model =
            self.base.package_model().ok_or_else(|| Error::unknown("the packages of this host are not modelled"))?;
        model.preview(&self.layer(), transaction)
    }
}

/// An overlay over a host of whatever kind: what happens to the model is written once for all.
#[derive(Clone, Copy)]
pub struct Layer<'h> {
    base: &'h dyn HostView,
    model: &'h Mutex<Model>,
}

impl<'h> Layer<'h> {
    /// The host beneath.
    pub(crate) fn base(&self) -> &'h dyn HostView {
        self.base
    }

    /// How packages behave, where they are modelled.
    pub(crate) fn package_model(&self) -> Option<&'h dyn PackageModel> {
        self.base.package_model()
    }

    /// How the service manager behaves, where it is modelled.
    pub(crate) fn unit_model(&self) -> Option<&'h dyn UnitModel> {
        self.base.unit_model()
    }

    pub(crate) fn model(&self) -> MutexGuard<'h, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something was not found, which may change.
    pub(crate) fn doubt(&self, about: impl FnOnce() -> String) {
        let mut model = self.model();
        if let Some(because) = model.opaque.last().cloned() {
            let about = about();
            model.doubts.insert(Doubt { about, because });
        }
    }

    /// What is on offer is not known yet if the lists change first. A simulated host has all of its packages on offer.
    pub(crate) fn require_settled_lists(&self) -> Result<()> {
        if self.package_model().is_some() {
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
    pub(crate) fn modelled<T>(&self, path: &HostPath, say: impl FnOnce(&Node) -> T) -> Option<Option<T>> {
        self.model().node(path).map(|node| node.map(say))
    }

    /// The accounts, for changing them.
    pub(crate) fn accounts_of<'m>(&self, model: &'m mut Model) -> Result<&'m mut Accounts> {
        if model.accounts.is_none() {
            model.accounts = Some(self.base.accounts()?);
        }
        let accounts = model.accounts.get_or_insert_default();
        Ok(Arc::make_mut(accounts))
    }
}

#[deny(clippy::missing_trait_methods)]
impl<H: HostView> HostView for Overlay<H> {
    crate::forward_view!(files: self => self.layer());
    crate::forward_view!(rest: self => self.layer());
    crate::forward_view!(models: self => self.base);
    fn unit_index(&self) -> Option<&dyn UnitIndex> {
        self.base.unit_index().map(|_| self as &dyn UnitIndex)
    }
    fn at_a_glance(&self) -> Option<Box<dyn HostView + '_>> {
        None
    }
}

impl<H: HostView> Host for Overlay<H> {
    fn perform(&self, effect: &Effect) -> Result<()> {
        self.layer().carry_out(effect).while_doing(|| effect.to_string())?;
        let layer = self.layer();
        let mut model = layer.model();
        model.changed = true;
        model.recorded.push(effect.clone());
        Ok(())
    }
}
