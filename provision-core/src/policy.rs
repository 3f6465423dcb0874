//! What resources of every type have in common, and what a site decides as a whole.

mod set;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;
use crate::id::ResourceId;
use crate::run::Retention;

/// Attributes that resources of every type have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Common {
    /// Resources that must have succeeded before this one, which is skipped otherwise. An id is written `type:name`. An array,
    /// or a record to which several layers can add: `requires."package:nginx" = true`.
    #[serde(deserialize_with = "set::ids")]
    #[schemars(with = "set::Ids")]
    pub requires: Vec<ResourceId>,
    /// Resources that come before this one, whether they succeed or not.
    #[serde(deserialize_with = "set::ids")]
    #[schemars(with = "set::Ids")]
    pub after: Vec<ResourceId>,
    /// Resources that come after this one, whether it succeeds or not.
    #[serde(deserialize_with = "set::ids")]
    #[schemars(with = "set::Ids")]
    pub before: Vec<ResourceId>,
    /// Resources that react if this one changes: a service restarts or reloads, once, after all of its causes. An array, or a
    /// record to which several layers can add: `notifies."service:nginx" = true`.
    #[serde(deserialize_with = "set::ids")]
    #[schemars(with = "set::Ids")]
    pub notifies: Vec<ResourceId>,
    /// Resources whose changes this one reacts to.
    #[serde(deserialize_with = "set::ids")]
    #[schemars(with = "set::Ids")]
    pub subscribes: Vec<ResourceId>,
    /// Whether the resource takes part at all; for conditions on facts.
    pub when: When,
    /// Labels to choose resources by, as in `--only web`. An array, or a record: `tags.web = true`.
    #[serde(deserialize_with = "set::names")]
    #[schemars(with = "set::Names")]
    pub tags: Vec<String>,
    /// Whether differences are hidden in what people and programs are shown.
    pub sensitive: bool,
    /// How often it is tried again if it fails. What to do is decided anew each time.
    pub retries: u32,
    /// How long to wait before it is tried again; the double before the next time, and so on, but at most a minute.
    pub retry_delay: RetryDelay,
    /// How long all of it may take: a command of its own is ended then, nothing more is begun, and it is not tried again.
    /// Package changes and jobs of units in progress are not interrupted.
    pub timeout: Option<Duration>,
    /// What happens if it fails: what does not require it goes on, nothing new is begun, or what the run has done to it and
    /// to all that share one of its tags is undone. What the site says as a whole if this is not said; there, `rollback`
    /// undoes everything.
    pub on_failure: Option<OnFailure>,
}

/// How long to wait before a resource is tried again; a second by default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct RetryDelay(pub Duration);

impl Default for RetryDelay {
    fn default() -> RetryDelay {
        RetryDelay(Duration::seconds(1))
    }
}

/// What happens when a resource fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[non_exhaustive]
pub enum OnFailure {
    /// What does not require it goes on.
    #[default]
    Continue,
    /// Nothing new is begun.
    Stop,
    /// What this run has done is undone: said of a resource, what was done to it and to all that share one of its tags;
    /// said of the site, everything, and nothing new is begun.
    Rollback,
}

/// What holds for a site as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SitePolicy {
    /// What happens when a resource fails that says nothing about it.
    pub on_failure: OnFailure,
    /// Whether what this program made and the site no longer declares is removed, and not only named.
    pub prune: bool,
    /// How much of the past is kept.
    pub journal: Retention,
}

/// Whether a resource takes part; it does unless that is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct When(pub bool);

impl Default for When {
    fn default() -> When {
        When(true)
    }
}
