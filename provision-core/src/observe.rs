//! What happens in a run, as events. The libraries print nothing; a program renders these as it likes.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::effect::Effect;
use crate::error::Error;
use crate::id::ResourceId;
use crate::report::StepReport;
use crate::run::Counts;

/// Something that happened. It can be read back from the JSON that it is written as.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
        id: Cow<'a, ResourceId>,
    },
    /// The state of a resource was not as the plan had to assume, so what to do was decided anew.
    StepDecided {
        /// The resource.
        id: Cow<'a, ResourceId>,
        /// What is done now.
        effects: Cow<'a, [Effect]>,
    },
    /// An effect is about to be performed.
    EffectStarted {
        /// The resources it is performed for.
        ids: Vec<Cow<'a, ResourceId>>,
        /// The effect.
        effect: Cow<'a, Effect>,
    },
    /// An effect was performed, or failed.
    EffectFinished {
        /// The resources it was performed for.
        ids: Vec<Cow<'a, ResourceId>>,
        /// The effect.
        effect: Cow<'a, Effect>,
        /// Why it failed, if it did.
        error: Option<Cow<'a, Error>>,
        /// How long it took.
        #[serde(with = "crate::report::seconds")]
        took: Duration,
    },
    /// A resource failed, and is tried again after a while.
    StepRetried {
        /// The resource.
        id: Cow<'a, ResourceId>,
        /// Why it failed.
        error: Cow<'a, Error>,
        /// How often it was tried so far.
        attempts: u32,
        /// How long is waited.
        #[serde(with = "crate::report::seconds")]
        after: Duration,
    },
    /// Something failed, and what was done to these resources is undone.
    RollbackStarted {
        /// The resources.
        ids: Cow<'a, [ResourceId]>,
        /// The one that failed.
        because: Cow<'a, ResourceId>,
    },
    /// A resource is done with.
    StepFinished {
        /// What became of it.
        step: Cow<'a, StepReport>,
    },
    /// The run is over.
    RunFinished {
        /// How many resources there are of each outcome.
        counts: Counts,
    },
    /// An event that this version does not know; only where events are read.
    #[serde(other)]
    Other,
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
