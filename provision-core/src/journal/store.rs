//! Where state is kept: a few named files, and contents by their digest.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};

/// Where the state of a host is kept: what was done, what is owed, what is owned.
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

/// A file of a format, with what tells that all of it is as it was written.
pub(crate) fn stamped(format: &[u8], body: &[u8]) -> Vec<u8> {
    [format, &Sha256::digest(body), body].concat()
}

/// What was stamped so. `None` if it is damaged, or of another format.
pub(crate) fn unstamped<'b>(format: &[u8], bytes: &'b [u8]) -> Option<&'b [u8]> {
    let (digest, body) = bytes.strip_prefix(format)?.split_at_checked(32)?;
    (Sha256::digest(body)[..] == *digest).then_some(body)
}

/// Removes what is kept in a directory if there are so many files: all of it can be made again.
pub(crate) fn make_room(store: &dyn StateStore, directory: &str, most: usize) -> Result<()> {
    let files = store.list(directory)?;
    if files.len() >= most {
        // What is no file of ours may stay.
        files.iter().for_each(|file| drop(store.remove(&format!("{directory}/{file}"))));
    }
    Ok(())
}

/// State that is kept in memory, for simulated hosts. Clones are the same state.
#[derive(Clone, Default)]
pub struct MemoryStore {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    off: Arc<AtomicBool>,
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
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
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
        Ok(self.lock().get(name).cloned())
    }
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.require_power()?;
        self.lock().insert(name.to_owned(), bytes.to_owned());
        Ok(())
    }
    fn append(&self, name: &str, bytes: &[u8], _: bool) -> Result<()> {
        self.require_power()?;
        self.lock().entry(name.to_owned()).or_default().extend_from_slice(bytes);
        Ok(())
    }
    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.require_power()?;
        let mut files = self.lock();
        let bytes = files.remove(from).ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no {from}")))?;
        files.insert(to.to_owned(), bytes);
        Ok(())
    }
    fn remove(&self, name: &str) -> Result<()> {
        self.require_power()?;
        self.lock().remove(name);
        Ok(())
    }
    fn list(&self, directory: &str) -> Result<Vec<String>> {
        let files = self.lock();
        let inside = files.keys().filter_map(|name| name.strip_prefix(directory)?.strip_prefix('/'));
        Ok(inside.map(str::to_owned).collect())
    }
    fn stream(&self, fill: &mut dyn FnMut(&mut dyn Write) -> Result<String>) -> Result<()> {
        self.require_power()?;
        let mut bytes = Vec::new();
        let name = fill(&mut bytes)?;
        self.lock().entry(name).or_insert(bytes);
        Ok(())
    }
    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>> {
        let bytes = self.read(name)?;
        Ok(bytes.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn Read + Send>))
    }
    fn size(&self, name: &str) -> Result<u64> {
        Ok(self.lock().get(name).map_or(0, |bytes| bytes.len() as u64))
    }
}
