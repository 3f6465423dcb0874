//! Where state is kept: a few named files, and contents by their digest.

use std::any::Any;
use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind, Result};

/// What holds the lock of a [`StateStore`]; it is free again when this is dropped.
pub type StoreLock = Box<dyn Any + Send + Sync>;

/// Where the state of a host is kept: what was done, what is pending, what is owned.
///
/// Names have at most one slash. What a method that writes has returned from survives a loss of power, but for
/// [`append`](StateStore::append) without `durably`.
pub trait StateStore: Send + Sync {
    /// The bytes of a file. `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Puts a whole file in place: a crash leaves the old one or the new one.
    ///
    /// # Errors
    /// It cannot be written; the old one stays.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<()>;

    /// Adds to the end of a file. With `durably` everything that was added so far survives a loss of power.
    ///
    /// # Errors
    /// It cannot be written; a part of it may have been.
    fn append(&self, name: &str, bytes: &[u8], durably: bool) -> Result<()>;

    /// Gives a file another name.
    ///
    /// # Errors
    /// There is no such file.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Removes a file. What is gone already is no error.
    ///
    /// # Errors
    /// It cannot be removed.
    fn remove(&self, name: &str) -> Result<()>;

    /// The names in a directory, sorted; none if there is no such directory.
    ///
    /// # Errors
    /// It cannot be read.
    fn list(&self, directory: &str) -> Result<Vec<String>>;

    /// Writes a file piece by piece, without holding it in memory. `fill` gives the pieces and then the final name; a
    /// file that is there under that name already is kept instead.
    ///
    /// # Errors
    /// `fill` failed, or it cannot be written; then nothing is left of it.
    fn stream(&self, fill: &mut dyn FnMut(&mut dyn Write) -> Result<String>) -> Result<()>;

    /// Opens a file to read it piece by piece. `None` if there is none.
    ///
    /// # Errors
    /// It cannot be opened.
    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>>;

    /// Takes the lock that lets one run at a time write here, without waiting. It is free again when what is given back is
    /// dropped, or the process has ended.
    ///
    /// # Errors
    /// Another run holds it ([`ErrorKind::Locked`]), or it cannot be taken.
    fn lock(&self) -> Result<StoreLock>;

    /// Bytes that can still be written; `None` if there is no telling.
    fn free_bytes(&self) -> Option<u64> {
        None
    }

    /// Bytes of a file, or 0.
    ///
    /// # Errors
    /// It cannot be looked at.
    fn size(&self, name: &str) -> Result<u64>;
}

/// State that is kept in memory, for simulated hosts. Clones are the same state.
#[derive(Clone, Default)]
pub struct MemoryStore {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    is_locked: Arc<AtomicBool>,
    off: Arc<AtomicBool>,
}

/// Holds the lock of a [`MemoryStore`].
struct MemoryLock(Arc<AtomicBool>);

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl MemoryStore {
    /// With nothing in it.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// A store that fails as soon as this switch is on: its machine has lost its power.
    #[must_use]
    pub fn switched_by(self, off: Arc<AtomicBool>) -> MemoryStore {
        MemoryStore { off, ..self }
    }

    /// Every file with its bytes.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.table().clone()
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn require_power(&self) -> Result<()> {
        match self.off.load(Ordering::Relaxed) {
            true => Err(Error::new(ErrorKind::Io, "the host has lost its power")),
            false => Ok(()),
        }
    }
}

impl StateStore for MemoryStore {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.table().get(name).cloned())
    }
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.require_power()?;
        self.table().insert(name.to_owned(), bytes.to_owned());
        Ok(())
    }
    fn append(&self, name: &str, bytes: &[u8], _: bool) -> Result<()> {
        self.require_power()?;
        self.table().entry(name.to_owned()).or_default().extend_from_slice(bytes);
        Ok(())
    }
    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.require_power()?;
        let mut files = self.table();
        let bytes = files.remove(from).ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no {from}")))?;
        files.insert(to.to_owned(), bytes);
        Ok(())
    }
    fn remove(&self, name: &str) -> Result<()> {
        self.require_power()?;
        self.table().remove(name);
        Ok(())
    }
    fn list(&self, directory: &str) -> Result<Vec<String>> {
        let files = self.table();
        let inside = files.keys().filter_map(|name| name.strip_prefix(directory)?.strip_prefix('/'));
        Ok(inside.map(str::to_owned).collect())
    }
    fn lock(&self) -> Result<StoreLock> {
        match self.is_locked.swap(true, Ordering::Acquire) {
            true => Err(held_by_another()),
            false => Ok(Box::new(MemoryLock(Arc::clone(&self.is_locked)))),
        }
    }
    fn stream(&self, fill: &mut dyn FnMut(&mut dyn Write) -> Result<String>) -> Result<()> {
        self.require_power()?;
        let mut bytes = Vec::new();
        let name = fill(&mut bytes)?;
        self.table().entry(name).or_insert(bytes);
        Ok(())
    }
    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>> {
        let bytes = self.read(name)?;
        Ok(bytes.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn Read + Send>))
    }
    fn size(&self, name: &str) -> Result<u64> {
        Ok(self.table().get(name).map_or(0, |bytes| bytes.len() as u64))
    }
}

/// The error for a lock that another run holds.
pub(crate) fn held_by_another() -> Error {
    Error::new(ErrorKind::Locked, "another run is at work on this host").with_hint("wait until it has ended")
}
