//! What is owed: while a run is written down, and between runs, as one small file, or none if nothing is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::log;
use super::record::Intent;
use crate::effect::Effect;
use crate::error::{Result, ResultExt};
use crate::format::Format;
use crate::id::ResourceId;
use crate::moment::Moment;
use crate::run::{Owed, RunId};
use crate::state::StateStore;

const NAME: &str = "owed";

/// What is owed between runs; see `docs/formats/notifications.md`.
pub(crate) const NOTIFICATIONS: Format =
    Format { name: "notifications", noun: "the list of pending notifications", version: 1 };

/// What is owed, by its causes: thousands of files may notify one service.
#[derive(Default)]
pub(super) struct Debts {
    /// Each with its place in the order in which they came to be.
    by_cause: BTreeMap<ResourceId, Vec<(usize, Owed)>>,
    next: usize,
}

impl Debts {
    /// Adds a debt. The same one of an earlier time is replaced.
    pub(super) fn owe(&mut self, owed: Owed) {
        let debts = self.by_cause.entry(owed.because.clone()).or_default();
        debts.retain(|(_, other)| other.id != owed.id);
        debts.push((self.next, owed));
        self.next += 1;
    }

    /// Whether a resource owes it already to a change of a run.
    pub(super) fn has(&self, id: &ResourceId, because: &ResourceId, run: RunId) -> bool {
        self.by_cause.get(because).is_some_and(|debts| debts.iter().any(|(_, owed)| owed.id == *id && owed.run == run))
    }

    /// Takes away all that a resource owes, and says whether that was anything.
    pub(super) fn pay(&mut self, id: &ResourceId) -> bool {
        let mut any = false;
        for debts in self.by_cause.values_mut() {
            let before = debts.len();
            debts.retain(|(_, owed)| owed.id != *id);
            any |= debts.len() < before;
        }
        any
    }

    /// Takes away what is owed because of a change of a run that was undone, and says whether that was anything.
    pub(super) fn forgive(&mut self, because: &ResourceId, run: RunId) -> bool {
        let Some(debts) = self.by_cause.get_mut(because) else { return false };
        let before = debts.len();
        debts.retain(|(_, owed)| owed.run != run);
        debts.len() < before
    }

    /// What is owed because of an effect is owed since it was over. The units that a package's scripts start are started
    /// when its files are there, so a package transaction counts from its beginning.
    pub(super) fn changed(&mut self, intent: &Intent, at: &Moment) {
        if matches!(intent.effect, Effect::Packages(_)) {
            return;
        }
        for because in &intent.ids {
            for (_, owed) in self.by_cause.get_mut(because).into_iter().flatten() {
                owed.at = at.clone();
            }
        }
    }

    /// All of it, in the order in which it came to be.
    pub(super) fn list(&self) -> Vec<Owed> {
        let mut list: Vec<&(usize, Owed)> = self.by_cause.values().flatten().collect();
        list.sort_unstable_by_key(|(place, _)| *place);
        list.into_iter().map(|(_, owed)| owed.clone()).collect()
    }
}

impl From<Vec<Owed>> for Debts {
    fn from(owed: Vec<Owed>) -> Debts {
        let mut debts = Debts::default();
        owed.into_iter().for_each(|owed| debts.owe(owed));
        debts
    }
}

#[derive(Serialize, Deserialize)]
struct File {
    owed: Vec<Owed>,
}

/// What is owed.
pub(super) fn read(store: &dyn StateStore) -> Result<Vec<Owed>> {
    let Some(bytes) = store.read(NAME)? else { return Ok(Vec::new()) };
    let file = log::read_single::<File>(&NOTIFICATIONS, &bytes)
        .while_doing(|| "reading which reactions are owed")
        .map_err(|error| {
            error.with_hint(
                "remove the file `owed` of the journal to go on without them, and restart what they were about",
            )
        })?;
    Ok(file.owed)
}

/// Replaces what is owed.
pub(super) fn write(store: &dyn StateStore, owed: &[Owed]) -> Result<()> {
    if owed.is_empty() {
        return store.remove(NAME);
    }
    let bytes = log::single(&NOTIFICATIONS, &File { owed: owed.to_vec() })?;
    store.replace(NAME, &bytes).while_doing(|| "writing which reactions are owed")
}
