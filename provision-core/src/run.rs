//! Words for all that deals with runs: their numbers, the notifications that they leave pending, and how many of them are kept.

use serde::{Deserialize, Serialize};

use crate::id::ResourceId;
use crate::moment::Moment;

/// The number of a run on a host: 1, 2, 3 …
pub type RunId = u64;

/// A reaction that a change called for and that has not happened yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingNotification {
    /// The resource that has to react.
    pub id: ResourceId,
    /// The resource that changed.
    pub because: ResourceId,
    /// The run in which it changed.
    pub run: RunId,
    /// When it changed.
    pub at: Moment,
}

/// How many resources there are of each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// As declared before.
    pub in_sync: usize,
    /// Changed.
    pub changed: usize,
    /// Failed.
    pub failed: usize,
    /// Left alone because of a failure.
    pub skipped: usize,
    /// Changed, and undone because of a failure.
    #[serde(default)]
    pub rolled_back: usize,
    /// Not reached.
    pub not_run: usize,
}

/// How much of the past is kept. The newest run stays, however large it is. Old runs go when there are a tenth more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// How many runs.
    pub runs: usize,
    /// How many bytes of logs and contents.
    pub bytes: u64,
}

impl Retention {
    /// All of the past.
    pub const ALL: Retention = Retention { runs: usize::MAX, bytes: u64::MAX };
}

impl Default for Retention {
    /// A hundred runs, in at most 1 GiB.
    fn default() -> Retention {
        Retention { runs: 100, bytes: 1 << 30 }
    }
}
