//! [`Shelf`]: a directory of a store for what can be made again.

use std::io::Read;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::StateStore;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;

/// The length of the digest in an entry.
const DIGEST: usize = 32;

/// More than the first line of any format has.
const LONGEST_HEADER: u64 = 64;

/// A directory of a store for what can be made again. Each entry has what tells that all of it is as it was written.
pub(crate) struct Shelf {
    /// The digest of the rest follows the first line.
    pub(crate) format: Format,
    pub(crate) directory: &'static str,
    /// When there are so many entries, all go, but for those of a later version.
    pub(crate) most: usize,
}

impl Shelf {
    /// What an entry holds, as MessagePack.
    ///
    /// # Errors
    /// It cannot be read, is damaged, or of a later version. An entry of an earlier one is none.
    pub(crate) fn read(&self, store: &dyn StateStore, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(mut bytes) = store.read(&self.path(name))? else { return Ok(None) };
        let rest = self.format.whole_body(&bytes)?;
        if !bytes.starts_with(self.format.header().as_bytes()) {
            return Ok(None);
        }
        let (digest, body) = rest.split_at_checked(DIGEST).ok_or_else(Shelf::damaged)?;
        if Sha256::digest(body)[..] != *digest {
            return Err(Shelf::damaged());
        }
        let start = bytes.len() - body.len();
        bytes.drain(..start);
        Ok(Some(bytes))
    }

    /// Writes an entry.
    ///
    /// # Errors
    /// It cannot be written, or one of a later version is there.
    pub(crate) fn write(&self, store: &dyn StateStore, name: &str, value: &impl Serialize) -> Result<()> {
        if let Some(error) = self.newer(store, name) {
            return Err(error);
        }
        let others = store.list(self.directory)?;
        if others.len() >= self.most {
            // What is no entry of ours may stay.
            let others = others.iter().filter(|other| self.newer(store, other).is_none());
            others.for_each(|other| drop(store.remove(&self.path(other))));
        }
        let body = rmp_serde::to_vec(value).map_err(|error| Error::new(ErrorKind::Damaged, error.to_string()))?;
        let header = self.format.header();
        store.replace(&self.path(name), &[header.as_bytes(), &Sha256::digest(&body), &body].concat())
    }

    /// The error for an entry that a later version wrote, if one is there.
    fn newer(&self, store: &dyn StateStore, name: &str) -> Option<Error> {
        self.format.admit_file(store, &self.path(name)).err().filter(|error| error.kind() == ErrorKind::Newer)
    }

    /// The error for an entry that is not as it was written.
    pub(crate) fn damaged() -> Error {
        Error::new(ErrorKind::Damaged, "it is damaged")
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.directory)
    }
}

impl Format {
    /// Reads no more of a file than its first line; none is all right.
    ///
    /// # Errors
    /// It is no file of this format, or of a later version, or it cannot be read.
    pub(crate) fn admit_file(&self, store: &dyn StateStore, name: &str) -> Result<()> {
        let Some(file) = store.open(name)? else { return Ok(()) };
        let mut start = Vec::new();
        file.take(LONGEST_HEADER).read_to_end(&mut start)?;
        self.body(&start).map(drop)
    }
}
