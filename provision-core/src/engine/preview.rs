//! [`Preview`]: a host and its past, to be read only.

use std::sync::Arc;

use super::{Options, Parts, PlanError, with_notifications};
use crate::error::{ErrorKind, Result};
use crate::facts::Facts;
use crate::host::HostView;
use crate::journal::{Journal, Pending};
use crate::plan::{PlanOptions, Planned};
use crate::rollback::{Rollback, RollbackOptions};
use crate::run::RunId;
use crate::site::Site;
use crate::state::HostKey;

/// A host and its past, to be read only: it takes no lock and writes nothing, so it waits for no other run, and what
/// it shows may be different as soon as one does its work. A user who may not read the past plans without it.
///
/// ```
/// use provision_core::engine::{Options, Preview};
/// use provision_core::sim::SimHost;
/// use provision_core::journal::{Journal, MemoryStore};
/// use provision_core::plan::PlanOptions;
/// use provision_core::site::Site;
///
/// let preview = Preview::open(SimHost::debian(13), Journal::new(MemoryStore::new()), Options::new("example"))?;
/// let planned = preview.plan(Site::new(), &PlanOptions::default())?;
/// assert!(planned.plan().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Preview<H> {
    parts: Parts<H>,
    pending: Option<Pending>,
}

impl<H: HostView> Preview<H> {
    /// A host with its journal.
    ///
    /// # Errors
    /// The journal is damaged, or cannot be read for another reason than that it may not be.
    pub fn open(host: H, journal: Journal, options: Options) -> Result<Preview<H>> {
        let pending = if_allowed(journal.pending())?;
        Ok(Preview { parts: Parts { host, journal, options }, pending })
    }

    /// The host.
    pub fn host(&self) -> &H {
        &self.parts.host
    }

    /// Its journal.
    pub fn journal(&self) -> &Journal {
        &self.parts.journal
    }

    /// What waits from earlier runs; `None` if this user may not read it.
    pub fn pending(&self) -> Option<&Pending> {
        self.pending.as_ref()
    }

    /// The facts of the host.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn facts(&self) -> Result<Facts> {
        Facts::gather(self.host())
    }

    /// Finds what an [`Engine`](super::Engine) would do.
    ///
    /// # Errors
    /// As [`Engine::plan`](super::Engine::plan).
    pub fn plan(&self, site: Site, options: &PlanOptions) -> Result<Planned<'static>, PlanError> {
        let orphans = if_allowed(self.parts.orphans(&site, options))?.unwrap_or_default();
        // Without the key of the host digests are compared in this plan only.
        let key = || self.journal().key().ok().flatten().map_or_else(HostKey::random, Ok);
        let pending = self.pending.as_ref().map(|pending| pending.notifications.clone()).unwrap_or_default();
        let options = with_notifications(pending, options);
        let graph = self.parts.resolved(self.parts.graph(site, orphans, &options)?, &options.only, key)?;
        let planned = graph.plan(self.host(), &options)?;
        Ok(planned.held_by(Arc::clone(&graph)))
    }

    /// Finds what would take a run back.
    ///
    /// # Errors
    /// As [`Journal::rollback`].
    pub fn rollback(&self, run: RunId, options: RollbackOptions) -> Result<Rollback> {
        self.journal().rollback(run, self.host(), options)
    }
}

/// What was read; `None` if this user may not read it.
fn if_allowed<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(None),
        read => read.map(Some),
    }
}
