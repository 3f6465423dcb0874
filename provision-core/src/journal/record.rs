//! What a log of a run holds, record by record, and what it comes to.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::image::{After, Before};
use super::log::Log;
use super::notifications::PendingNotifications;
use crate::effect::Effect;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::id::ResourceId;
use crate::moment::Moment;
use crate::run::{Counts, PendingNotification, RunId};

/// How much of the log of a run under way is on the disk; see `docs/formats/run-log.md`.
pub(super) const MARK: Format = Format { name: "mark", noun: "the mark of a run", version: 1 };

/// The log of a run; see `docs/formats/run-log.md`.
pub(crate) const RUN_LOG: Format = Format { name: "run", noun: "the log of the run", version: 1 };

/// What a run is for, and at whose wish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// What is done.
    #[serde(flatten)]
    pub purpose: Purpose,
    /// Who asked for it, such as `alice (as root)`.
    pub who: String,
    /// From where the site came, as the caller names it.
    pub site: String,
    /// Digest of the site, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site_digest: Option<String>,
}

/// What a run is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "purpose", rename_all = "snake_case")]
pub enum Purpose {
    /// A site is applied.
    Apply,
    /// An earlier run is undone.
    Rollback {
        /// That run.
        of: RunId,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(super) enum Record {
    Began(Box<Began>),
    /// A notification is pending from here on; written together with the first effect that causes it.
    NotificationPending(PendingNotification),
    Intends(Box<Intent>),
    Did(Box<Did>),
    /// A resource has reacted, or had no need to.
    NotificationsDelivered {
        id: ResourceId,
    },
    /// Notifications because of a resource are not pending any more: its change was undone.
    NotificationsCancelled {
        because: ResourceId,
    },
    Ended(Box<Ended>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Began {
    pub(super) run: RunId,
    /// The version of the program.
    pub(super) program: String,
    #[serde(flatten)]
    pub(super) info: RunInfo,
    /// The name of the site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) site_name: Option<String>,
    pub(super) at: Moment,
    /// What was pending before.
    pub(super) pending_notifications: Vec<PendingNotification>,
}

/// What was about to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The number of the effect in its run, from 1.
    pub number: usize,
    /// The resources that it was done for.
    pub ids: Vec<ResourceId>,
    /// Those of them that own what the effect is about: what it makes is theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<ResourceId>,
    /// Whether one of them is sensitive: then no content is shown of what takes the effect back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
    /// The effect, without contents and secrets.
    pub effect: Effect,
    /// How it was before.
    pub before: Before,
    /// Microseconds since 1970-01-01 00:00 UTC.
    pub at_micros: i64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Did {
    /// The number of the effect.
    pub number: usize,
    /// How it was afterwards.
    pub after: After,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
    /// Whether it failed half-way: something is not as it was before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_changes: bool,
    /// Microseconds that it took.
    pub took_micros: u64,
    /// When it was over.
    pub at: Moment,
    /// Whether a later run found out: the one that did it died meanwhile.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recovered: bool,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// Microseconds since 1970-01-01 00:00 UTC.
    pub at_micros: i64,
    /// How.
    pub how: Ending,
    /// How many resources there were of each outcome; none for a run that died.
    pub counts: Option<Counts>,
    /// Notifications that are still pending.
    pub pending_notifications: Vec<PendingNotification>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Everything was done.
    Done,
    /// Something failed.
    Failed,
    /// It was told to stop.
    Stopped,
    /// It never ended: it was killed, or the host lost its power.
    Died,
    /// Something failed, and what it had done was undone.
    RolledBack,
}

/// An effect in the journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EffectRecord {
    /// What was about to be done.
    #[serde(flatten)]
    pub intent: Intent,
    /// What came of it; `None` if the run died meanwhile.
    pub outcome: Option<Did>,
}

impl Did {
    /// Whether something may be as it was not before.
    pub(super) fn may_have_changed(&self, before: &Before) -> bool {
        self.error.is_none() || self.left_changes || *before == Before::Nothing
    }
}

impl EffectRecord {
    /// Whether it was done, wholly or in part, as far as is known.
    pub fn is_done(&self) -> bool {
        self.outcome.as_ref().is_some_and(|did| did.error.is_none() || did.left_changes)
    }
}

/// A run in the journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunRecord {
    /// Its number.
    pub run: RunId,
    /// The version of the program.
    pub program: String,
    /// What it was for.
    #[serde(flatten)]
    pub info: RunInfo,
    /// The name of the site that was applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_name: Option<String>,
    /// When it began.
    pub began: Moment,
    /// How it ended; `None` if it has not, or died.
    pub ended: Option<Ended>,
    /// What it did, in order.
    pub effects: Vec<EffectRecord>,
    /// What was pending in the end.
    pub pending_notifications: Vec<PendingNotification>,
    /// For each resource that changed, those that react to it.
    #[serde(skip)]
    pub(super) notifies: BTreeMap<ResourceId, BTreeSet<ResourceId>>,
}

impl RunRecord {
    /// Puts the records of a log together.
    pub(super) fn new(log: Log<Record>) -> Result<RunRecord> {
        let mut records = log.records.into_iter();
        let Some(Record::Began(began)) = records.next() else {
            return Err(Error::new(ErrorKind::Damaged, "its beginning is missing"));
        };
        let Began { run, program, info, site_name, at, pending_notifications } = *began;
        let mut pending = PendingNotifications::from(pending_notifications);
        let (ended, effects, pending_notifications, notifies) = Default::default();
        let mut record =
            RunRecord { run, program, info, site_name, began: at, ended, effects, pending_notifications, notifies };
        for next in records {
            record.take(next, &mut pending)?;
        }
        record.pending_notifications = pending.list();
        Ok(record)
    }

    fn take(&mut self, record: Record, pending: &mut PendingNotifications) -> Result<()> {
        let misplaced = |what: &str| Error::new(ErrorKind::Damaged, format!("{what} is out of place"));
        match record {
            Record::Began(_) => return Err(misplaced("its beginning")),
            Record::NotificationPending(notification) => {
                self.notifies.entry(notification.because.clone()).or_default().insert(notification.id.clone());
                pending.add(notification);
            }
            Record::Intends(intent) => {
                pending.intended(&intent);
                self.effects.push(EffectRecord { intent: *intent, outcome: None });
            }
            Record::Did(did) => {
                let mut newest = self.effects.iter_mut().rev();
                let effect = newest.find(|effect| effect.intent.number == did.number);
                let effect = effect.ok_or_else(|| misplaced("an outcome"))?;
                pending.concluded(&effect.intent, &did, self.run);
                effect.outcome = Some(*did);
            }
            Record::NotificationsDelivered { id } => {
                pending.deliver(&id);
            }
            Record::NotificationsCancelled { because } => {
                pending.cancel(&because, self.run);
            }
            Record::Ended(ended) => self.ended = Some(*ended),
        }
        Ok(())
    }
}
