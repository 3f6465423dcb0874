//! [`JournalLock`]: the right to write a journal, which one run has at a time.

use std::any::Any;
use std::sync::Arc;

use super::{Journal, StateStore};
use crate::error::{Error, ErrorKind, Result, ResultExt};

/// What holds the lock of a [`StateStore`]; it is free again when this is dropped.
pub type StoreLock = Box<dyn Any + Send + Sync>;

/// The right to write a journal, for as long as this or a clone of it lives: no other run, in this process or another, has it.
#[derive(Clone)]
pub struct JournalLock {
    store: Arc<dyn StateStore>,
    _held: Arc<StoreLock>,
}

impl Journal {
    /// Takes the lock of this journal, without waiting.
    ///
    /// # Errors
    /// Another run holds it ([`ErrorKind::Locked`]), or it cannot be taken.
    pub fn lock(&self) -> Result<JournalLock> {
        let held = self.store.lock().while_doing(|| "taking the lock of the journal")?;
        Ok(JournalLock { store: Arc::clone(&self.store), _held: Arc::new(held) })
    }

    /// Refuses the lock of another journal.
    pub(super) fn require(&self, lock: &JournalLock) -> Result<()> {
        match Arc::ptr_eq(&self.store, &lock.store) {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Refused, "the lock that was given is that of another journal")),
        }
    }
}

/// The error for a lock that another run holds.
pub(crate) fn held_by_another() -> Error {
    Error::new(ErrorKind::Locked, "another run is at work on this host").with_hint("wait until it has ended")
}
