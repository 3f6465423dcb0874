//! What is owed between runs: one small file, and none if nothing is.

use serde::{Deserialize, Serialize};

use super::log;
use super::record::Owed;
use super::store::StateStore;
use crate::error::{Error, ErrorKind, Result, ResultExt};

const NAME: &str = "owed";

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    owed: Vec<Owed>,
}

/// What is owed.
pub(super) fn read(store: &dyn StateStore) -> Result<Vec<Owed>> {
    let Some(bytes) = store.read(NAME)? else { return Ok(Vec::new()) };
    let file = log::read::<File>(&bytes).and_then(|log| match log.records.into_iter().next() {
        Some(file) => Ok(file),
        None => Err(Error::new(ErrorKind::Damaged, "it is cut off")),
    });
    let file = file.while_doing(|| "reading which reactions are owed").map_err(|error| {
        error.with_hint("remove the file `owed` of the journal to go on without them, and restart what they were about")
    })?;
    Ok(file.owed)
}

/// Replaces what is owed.
pub(super) fn write(store: &dyn StateStore, owed: &[Owed]) -> Result<()> {
    if owed.is_empty() {
        return store.remove(NAME);
    }
    let line = log::line(&File { version: 1, owed: owed.to_vec() }, &mut log::START.to_owned())?;
    store.replace(NAME, &line).while_doing(|| "writing which reactions are owed")
}
