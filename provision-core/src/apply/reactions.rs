//! Reactions to changes: of this run, and those that earlier runs left pending.

use foldhash::HashSet;

use super::{Progress, Run, Task};
use crate::effect::Effect;
use crate::error::Result;
use crate::host::Overlay;
use crate::id::ResourceId;
use crate::moment::Moment;
use crate::plan::drop_settled;
use crate::report::Outcome;

/// A change that calls for a reaction, and when it was made.
pub(super) type Cause = (ResourceId, Moment);

impl Run<'_> {
    /// The resources that notify a step and have changed, in this run or in earlier ones whose notification is pending.
    pub(super) fn causes(&self, number: usize) -> Vec<Cause> {
        let id = &self.step(number).id;
        let pending_notifications = self.planned.pending_notifications.iter().filter(|pending| pending.id == *id);
        let mut causes: Vec<Cause> =
            pending_notifications.map(|pending| (pending.because.clone(), pending.at.clone())).collect();
        let notified = self.before(number).filter(|(_, _, notifies)| *notifies);
        for (step, _, _) in notified {
            let changed = self.results[step].get().is_some_and(|report| report.outcome == Outcome::Changed);
            if changed {
                let at = self.changed_at[step].get().cloned().unwrap_or_else(|| self.executor.host.now());
                causes.push((self.step(step).id.clone(), at));
            }
        }
        // Of several times of one cause the last one counts.
        let mut known: HashSet<ResourceId> = HashSet::default();
        causes.reverse();
        causes.retain(|(id, _)| known.insert(id.clone()));
        causes.reverse();
        causes
    }

    /// The resources that react to changes of a step, whether they take part in this run or not.
    pub(super) fn followers(&self, number: usize) -> impl Iterator<Item = &ResourceId> {
        let graph = &*self.planned.graph;
        graph.notified(self.planned.steps[number].node).map(|node| &graph.nodes[node].id)
    }

    /// Reacts to changes: as planned, or as it turns out now.
    pub(super) fn react(&self, number: usize, task: &Task, causes: Vec<Cause>, progress: &mut Progress) -> Result<()> {
        if causes.is_empty() {
            return Ok(());
        }
        let (step, node) = (self.step(number), self.node(number));
        let mut effects: Vec<Effect> = match &step.reaction {
            Some(reaction) if !task.is_new => reaction.effects.clone(),
            _ => {
                let overlay = Overlay::new(self.executor.host);
                node.react(&task.before, &overlay)?;
                node.hiding(overlay.take_recorded())
            }
        };
        drop_settled(&mut effects, &causes.iter().map(|(_, at)| at).collect::<Vec<_>>(), self.executor.host);
        for effect in &effects {
            self.perform(&[number], effect)?;
            progress.effects.push(effect);
        }
        if !effects.is_empty() {
            progress.reacted_to = causes.into_iter().map(|(id, _)| id).collect();
            self.verify(number, &task.want, &effects)?;
        }
        if let Some(recorder) = self.executor.recorder {
            recorder.notified(&step.id);
        }
        Ok(())
    }
}
