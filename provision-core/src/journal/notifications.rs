//! Pending notifications: while a run is written down, and between runs, as one small file, or none if nothing is pending.

use std::collections::BTreeMap;

use foldhash::HashMap;
use serde::{Deserialize, Serialize};

use super::log;
use super::record::{Did, Intent};
use crate::effect::{Effect, PlatformEffect};
use crate::error::{Result, ResultExt};
use crate::format::Format;
use crate::id::ResourceId;
use crate::moment::Moment;
use crate::run::{PendingNotification, RunId};
use crate::state::StateStore;

const NAME: &str = "notifications";

/// What is pending between runs; see `docs/formats/notifications.md`.
pub(crate) const NOTIFICATIONS: Format =
    Format { name: "notifications", noun: "the list of pending notifications", version: 1 };

/// Pending notifications by their causes: thousands of files may notify one service.
#[derive(Default)]
pub(super) struct PendingNotifications {
    /// Each with its place in the order in which they came to be.
    by_cause: BTreeMap<ResourceId, Vec<(usize, PendingNotification)>>,
    next: usize,
    /// How many effects of the run have changed something for a resource, or may have.
    grounds: HashMap<ResourceId, usize>,
}

impl PendingNotifications {
    /// Adds a notification. The same one of an earlier time is replaced.
    pub(super) fn add(&mut self, notification: PendingNotification) {
        let pending = self.by_cause.entry(notification.because.clone()).or_default();
        pending.retain(|(_, other)| other.id != notification.id);
        pending.push((self.next, notification));
        self.next += 1;
    }

    /// Whether a change of a run notifies a resource already.
    pub(super) fn has(&self, id: &ResourceId, because: &ResourceId, run: RunId) -> bool {
        let is_it = |(_, pending): &(usize, PendingNotification)| pending.id == *id && pending.run == run;
        self.by_cause.get(because).is_some_and(|pending| pending.iter().any(is_it))
    }

    /// Takes away all notifications of a resource, and says whether there were any.
    pub(super) fn deliver(&mut self, id: &ResourceId) -> bool {
        let mut any = false;
        for pending in self.by_cause.values_mut() {
            let before = pending.len();
            pending.retain(|(_, pending)| pending.id != *id);
            any |= pending.len() < before;
        }
        any
    }

    /// Takes away notifications because of a change of a run that was undone, and says whether there were any.
    pub(super) fn cancel(&mut self, because: &ResourceId, run: RunId) -> bool {
        let Some(pending) = self.by_cause.get_mut(because) else { return false };
        let before = pending.len();
        pending.retain(|(_, pending)| pending.run != run);
        pending.len() < before
    }

    /// Takes in that an effect is about to be performed.
    pub(super) fn intended(&mut self, intent: &Intent) {
        for id in &intent.ids {
            *self.grounds.entry(id.clone()).or_default() += 1;
        }
    }

    /// Takes in what came of an effect. One that failed and has changed nothing is nothing to react to, unless another one
    /// of the run has changed something for the same resource.
    pub(super) fn concluded(&mut self, intent: &Intent, did: &Did, run: RunId) {
        self.changed(intent, &did.at);
        if did.may_have_changed(&intent.before) {
            return;
        }
        for id in &intent.ids {
            let Some(grounds) = self.grounds.get_mut(id) else { continue };
            *grounds = grounds.saturating_sub(1);
            if *grounds == 0 {
                self.cancel(id, run);
            }
        }
    }

    /// A notification is as old as the end of the effect that caused it. The units that a package's scripts start are
    /// started when its files are there, so a package transaction counts from its beginning.
    fn changed(&mut self, intent: &Intent, at: &Moment) {
        if matches!(intent.effect, Effect::Platform(PlatformEffect::Packages(_))) {
            return;
        }
        for because in &intent.ids {
            for (_, pending) in self.by_cause.get_mut(because).into_iter().flatten() {
                pending.at = at.clone();
            }
        }
    }

    /// All of them, in the order in which they came to be.
    pub(super) fn list(&self) -> Vec<PendingNotification> {
        let mut list: Vec<&(usize, PendingNotification)> = self.by_cause.values().flatten().collect();
        list.sort_unstable_by_key(|(place, _)| *place);
        list.into_iter().map(|(_, pending)| pending.clone()).collect()
    }
}

impl From<Vec<PendingNotification>> for PendingNotifications {
    fn from(list: Vec<PendingNotification>) -> PendingNotifications {
        let mut pending = PendingNotifications::default();
        list.into_iter().for_each(|notification| pending.add(notification));
        pending
    }
}

#[derive(Serialize, Deserialize)]
struct File {
    notifications: Vec<PendingNotification>,
}

/// What is pending.
pub(super) fn read(store: &dyn StateStore) -> Result<Vec<PendingNotification>> {
    let Some(bytes) = store.read(NAME)? else { return Ok(Vec::new()) };
    let file = log::read_single::<File>(&NOTIFICATIONS, &bytes)
        .while_doing(|| "reading which notifications are pending")
        .map_err(|error| {
            error.with_hint(
                "remove the file `notifications` of the journal to go on without them, and restart what they were about",
            )
        })?;
    Ok(file.notifications)
}

/// Replaces what is pending.
pub(super) fn write(store: &dyn StateStore, pending: &[PendingNotification]) -> Result<()> {
    if pending.is_empty() {
        return store.remove(NAME);
    }
    let bytes = log::single(&NOTIFICATIONS, &File { notifications: pending.to_vec() })?;
    store.replace(NAME, &bytes).while_doing(|| "writing which notifications are pending")
}
