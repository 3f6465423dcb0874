//! [`Journal`]: what was done to a host, how it was before, and which notifications are pending.
//!
//! Before an effect is performed, its intent and what it will change are written down and survive a loss of power. So a
//! run that died is found by the next one, and what a run did can be undone. Contents are sealed with the host's own
//! key, since files that only root may read are among them.
//!
//! The state is a directory: `runs/NUMBER.open` is the log of a run under way, with how much of it is on the disk in
//! `NUMBER.mark`, and `NUMBER.done` of one that ended; `blobs/`
//! holds large contents, each once; `notifications` those that are pending between runs; `key` the host's key.

#![deny(clippy::wildcard_enum_match_arm)]

#[cfg(test)]
mod golden;
mod history;
mod image;
mod ledger;
mod lock;
mod log;
mod notifications;
mod record;
mod recorder;
mod recover;
mod undo;

use std::sync::Arc;

use crate::error::Result;

pub use crate::run::{PendingNotification, Retention, RunId};
pub use crate::state::{Digester, HostKey, MemoryStore, StateStore, StoreLock};
pub use history::{Pending, RunSummary};
pub use image::{
    AccountsImage, After, Before, Fingerprint, Kept, PackageChanges, PackageDiff, PackagesImage, PathImage, There,
    UnitImage, Was,
};
pub(crate) use ledger::Ways;
pub use ledger::{Ledger, Made, Orphan};
pub use lock::JournalLock;
pub use record::{Did, EffectRecord, Ended, Ending, Intent, Purpose, RunInfo, RunRecord};
pub use recorder::{Entry, Recorder};
pub use recover::{Recovered, Settled, SettledState};

pub(crate) use image::{Keeper, entry_of};
pub(crate) use undo::{Undo, unlocking};

/// What was done to a host.
#[derive(Clone)]
pub struct Journal {
    store: Arc<dyn StateStore>,
    retention: Retention,
}

impl Journal {
    /// The journal in a store.
    pub fn new(store: impl StateStore + 'static) -> Journal {
        Journal { store: Arc::new(store), retention: Retention::default() }
    }

    /// Keeps as much as this.
    #[must_use]
    pub fn with_retention(self, retention: Retention) -> Journal {
        Journal { retention, ..self }
    }

    /// The key of the host; `None` if it has none yet.
    ///
    /// # Errors
    /// It cannot be read, is damaged, or is lost: there is none, and runs that were written down with it.
    pub fn key(&self) -> Result<Option<HostKey>> {
        HostKey::read(&*self.store)
    }

    /// The key of the host, made now if it has none yet.
    ///
    /// # Errors
    /// It cannot be read or written, it is lost, or there is none and another run is at work.
    pub fn make_key(&self) -> Result<HostKey> {
        if let Some(key) = self.key()? {
            return Ok(key);
        }
        self.make_key_under(&self.lock()?)
    }

    /// The key of the host, made now by the holder of the lock if it has none yet.
    ///
    /// # Errors
    /// It cannot be read or written, it is lost, or the lock is that of another journal.
    pub fn make_key_under(&self, lock: &JournalLock) -> Result<HostKey> {
        self.require(lock)?;
        HostKey::read_or_make(&*self.store)
    }

    /// Gives back what this journal keeps, sealed with this key.
    pub(crate) fn keeper<'a>(&'a self, key: &'a HostKey) -> Keeper<'a> {
        Keeper { key, store: &self.store }
    }

    /// What waits from earlier runs. Nothing is written.
    ///
    /// # Errors
    /// The journal is damaged or cannot be read.
    pub fn pending(&self) -> Result<Pending> {
        Pending::read(self)
    }
}
