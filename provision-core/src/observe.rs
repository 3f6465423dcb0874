//! What happens in a run, as events. The libraries print nothing; a program renders these as it likes.

use std::time::Duration;

use serde::Serialize;

use crate::effect::Effect;
use crate::error::Error;
use crate::id::ResourceId;
use crate::report::StepReport;

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event<'a> {
    /// A plan is being carried out.
    RunStarted {
        /// How many resources it is about.
        steps: usize,
    },
    /// A resource that has something to do is begun.
    StepStarted {
        /// The resource.
        id: &'a ResourceId,
    },
    /// The state of a resource was not as the plan had to assume, so what to do was decided anew.
    StepDecided {
        /// The resource.
        id: &'a ResourceId,
        /// What is done now.
        effects: &'a [Effect],
    },
    /// An effect is about to be performed.
    EffectStarted {
        /// The resources it is performed for.
        ids: &'a [&'a ResourceId],
        /// The effect.
        effect: &'a Effect,
    },
    /// An effect was performed, or failed.
    EffectFinished {
        /// The resources it was performed for.
        ids: &'a [&'a ResourceId],
        /// The effect.
        effect: &'a Effect,
        /// Why it failed, if it did.
        error: Option<&'a Error>,
        /// How long it took.
        #[serde(serialize_with = "crate::report::seconds::serialize")]
        took: Duration,
    },
    /// A resource failed, and is tried again after a while.
    StepRetried {
        /// The resource.
        id: &'a ResourceId,
        /// Why it failed.
        error: &'a Error,
        /// How often it was tried so far.
        attempts: u32,
        /// How long is waited.
        #[serde(serialize_with = "crate::report::seconds::serialize")]
        after: Duration,
    },
    /// Something failed, and what was done to these resources is undone.
    RollbackStarted {
        /// The resources.
        ids: &'a [ResourceId],
        /// The one that failed.
        because: &'a ResourceId,
    },
    /// A resource is done with.
    StepFinished {
        /// What became of it.
        step: &'a StepReport,
    },
    /// The run is over.
    RunFinished {
        /// How many resources there are of each outcome.
        counts: &'a crate::run::Counts,
    },
}

/// Told of everything that happens, one event at a time, from whichever thread it happens on.
pub trait Observer: Sync {
    /// Something happened.
    fn event(&self, event: &Event<'_>);
}

/// Ignores everything.
impl Observer for () {
    fn event(&self, _: &Event<'_>) {}
}

impl<F: Fn(&Event<'_>) + Sync> Observer for F {
    fn event(&self, event: &Event<'_>) {
        self(event);
    }
}
