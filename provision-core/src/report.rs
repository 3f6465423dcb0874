//! What a run did, as data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::diagnostic::Span;
use crate::effect::Effect;
use crate::error::Error;
use crate::id::ResourceId;
use crate::run::{PendingNotification, RunId};

pub use crate::run::Counts;
pub use crate::shared::Shared;

/// What a run did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// What became of each resource, in the order of the plan.
    pub steps: Vec<StepReport>,
    /// How many resources there are of each outcome.
    pub counts: Counts,
    /// Whether it was told to stop before it was through.
    pub cancelled: bool,
    /// Its number in the journal; `None` if it changed nothing, or was not written down.
    pub run: Option<RunId>,
    /// Notifications that are still pending: the next run delivers them.
    pub pending_notifications: Vec<PendingNotification>,
    /// What was done to undo others, because something failed.
    pub undone: Vec<StepReport>,
    /// What went wrong with the journal.
    pub journal_error: Option<Error>,
    /// How long it took, in seconds.
    #[serde(with = "seconds")]
    pub took: Duration,
}

impl Report {
    pub(crate) fn new(steps: Vec<StepReport>, cancelled: bool) -> Report {
        let counts = Counts::of(steps.iter().map(|step| &step.outcome));
        Report {
            steps,
            counts,
            cancelled,
            run: None,
            pending_notifications: Vec::new(),
            undone: Vec::new(),
            journal_error: None,
            took: Duration::ZERO,
        }
    }

    /// Whether everything is as declared now.
    pub fn is_success(&self) -> bool {
        !self.cancelled
            && self.journal_error.is_none()
            && self.counts.failed == 0
            && self.counts.skipped == 0
            && self.counts.not_run == 0
    }

    /// How many resources were decided on only when their turn came.
    pub fn deferred(&self) -> usize {
        self.steps.iter().filter(|step| step.deferred).count()
    }

    /// Whether anything on the host was changed.
    pub fn changed_anything(&self) -> bool {
        self.steps.iter().any(|step| !step.effects.is_empty())
    }
}

/// What became of a resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepReport {
    /// The resource.
    pub id: ResourceId,
    /// Where it was declared.
    pub declared_at: Option<Span>,
    /// What became of it.
    pub outcome: Outcome,
    /// What differed.
    pub changes: Shared<Change>,
    /// What was done, reactions included.
    pub effects: Shared<Effect>,
    /// The resources whose changes it reacted to.
    pub reacted_to: Vec<ResourceId>,
    /// Whether the plan could not say what to do, or was wrong about it, so that it was decided when its turn came.
    pub deferred: bool,
    /// How long it took, in seconds.
    #[serde(with = "seconds")]
    pub took: Duration,
}

impl StepReport {
    /// A report of which only the outcome is known.
    pub(crate) fn of(id: ResourceId, outcome: Outcome) -> StepReport {
        StepReport {
            id,
            declared_at: None,
            outcome,
            changes: Shared::default(),
            effects: Shared::default(),
            reacted_to: Vec::new(),
            deferred: false,
            took: Duration::ZERO,
        }
    }
}

/// What became of a resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It was as declared.
    InSync,
    /// It was changed and is as declared now, or it reacted to a change.
    Changed,
    /// It is not as declared.
    Failed {
        /// Why.
        error: Error,
    },
    /// It was left alone, because something that it requires failed or was skipped.
    Skipped {
        /// That resource.
        because: ResourceId,
    },
    /// It was changed, and that was undone because something else failed.
    RolledBack {
        /// That resource.
        because: ResourceId,
    },
    /// The run was stopped before its turn came.
    NotRun,
}

/// A time in seconds, for programs.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(Error::custom)
    }
}

impl Outcome {
    /// Whether the resource is as declared now.
    pub fn is_success(&self) -> bool {
        matches!(self, Outcome::InSync | Outcome::Changed)
    }
}

impl Counts {
    /// Counts outcomes.
    pub fn of<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Counts {
        let mut counts = Counts::default();
        for outcome in outcomes {
            *match outcome {
                Outcome::InSync => &mut counts.in_sync,
                Outcome::Changed => &mut counts.changed,
                Outcome::Failed { .. } => &mut counts.failed,
                Outcome::Skipped { .. } => &mut counts.skipped,
                Outcome::RolledBack { .. } => &mut counts.rolled_back,
                Outcome::NotRun => &mut counts.not_run,
            } += 1;
        }
        counts
    }
}
