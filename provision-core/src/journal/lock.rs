//! [`JournalLock`]: the right to write a journal, which one run has at a time.

use std::sync::Arc;

use super::Journal;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::state::{StateStore, StoreLock};

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
