//! Where a host keeps what outlives a run, and the key that seals it.

mod key;
mod shelf;
mod store;

pub use key::{Digester, HostKey};
pub use store::{MemoryStore, StateStore, StoreLock};

#[cfg(test)]
pub(crate) use key::KEY;
#[cfg(test)]
pub(crate) use key::with_fixed_randomness;
pub(crate) use key::{Sealer, lost};
pub(crate) use shelf::Shelf;
pub(crate) use store::held_by_another;

/// Where large contents lie.
pub(crate) const BLOBS: &str = "blobs";
