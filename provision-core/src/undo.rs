//! The plan that takes a run back: its effects in reverse, as a plan like any other.

mod changes;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::change::Change;
use crate::effect::{Effect, PackageTransaction, PlatformEffect, Sensitive, Touched, UnitAction};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::{Host, HostView, HostViewExt, Overlay, is_manager_input};
use crate::id::ResourceId;
use crate::journal::{Before, EffectRecord, Journal, Keeper, Recorder, Undo};
use crate::path::HostPath;
use crate::plan::{Plan, PlannedTransaction, Reaction, Step, Verdict};
use crate::run::RunId;
use crate::shared::Shared;
use crate::state::lost;

/// How a run is taken back.
#[derive(Clone, Copy, Debug, Default)]
pub struct RollbackOptions {
    /// What something else has changed since stays as it is; otherwise nothing is taken back then.
    pub keep_changed: bool,
}

/// What would take a run back.
#[derive(Clone, Debug, Serialize)]
pub struct Rollback {
    /// The run.
    pub of: RunId,
    /// What is done.
    pub plan: Plan,
    /// What stays, because something else has changed it since.
    pub kept: Vec<Left>,
    /// What stays, because it cannot be undone.
    pub irreversible: Vec<Left>,
    /// Resources of which no content is shown.
    #[serde(skip)]
    pub sensitive: BTreeSet<ResourceId>,
}

/// An effect that is not taken back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Left {
    /// The resources that it was done for.
    pub ids: Vec<ResourceId>,
    /// The effect.
    pub effect: Effect,
    /// Why.
    pub because: String,
}

impl Journal {
    /// Finds what would take a run back. Nothing is changed.
    ///
    /// # Errors
    /// There is no such run, its log or what it kept is damaged, or the host cannot be read.
    pub fn rollback(&self, run: RunId, host: &dyn HostView, options: RollbackOptions) -> Result<Rollback> {
        let record = self.run(run)?;
        if record.effects.is_empty() {
            return Ok(Rollback::nothing(run));
        }
        let key = self.key()?.ok_or_else(lost)?;
        Undoing::new(self.keeper(&key), host, options).plan(run, record.effects)
    }
}

/// Finds what would undo what a run under way has done to some resources so far.
pub(crate) fn of_run_under_way(
    recorder: &Recorder,
    ids: &BTreeSet<ResourceId>,
    host: &dyn HostView,
) -> Result<Rollback> {
    let mine = |effect: &EffectRecord| effect.intent.ids.iter().any(|id| ids.contains(id));
    let effects = recorder.effects()?.into_iter().filter(mine).collect();
    let options = RollbackOptions { keep_changed: true };
    Undoing::new(recorder.keeper()?, host, options).plan(recorder.run().unwrap_or_default(), effects)
}

impl Rollback {
    fn nothing(of: RunId) -> Rollback {
        let plan = Plan {
            steps: Vec::new(),
            transactions: Vec::new(),
            dropped_notifications: Vec::new(),
            orphans: Vec::new(),
            others: Vec::new(),
        };
        Rollback { of, plan, kept: Vec::new(), irreversible: Vec::new(), sensitive: BTreeSet::new() }
    }
}

/// A plan to undo, in the making.
struct Undoing<'a> {
    keeper: Keeper<'a>,
    overlay: Overlay<&'a dyn HostView>,
    options: RollbackOptions,
    steps: Vec<Step>,
    /// What belongs to the last of them, to which more may be added.
    last: (Vec<Effect>, Vec<Change>),
    transactions: Vec<PlannedTransaction>,
    kept: Vec<Left>,
    irreversible: Vec<Left>,
    sensitive: BTreeSet<ResourceId>,
    /// Unit files were changed, and the service manager has not read them.
    stale_units: bool,
}

impl<'a> Undoing<'a> {
    fn new(keeper: Keeper<'a>, host: &'a dyn HostView, options: RollbackOptions) -> Undoing<'a> {
        Undoing {
            keeper,
            overlay: Overlay::new(host),
            options,
            steps: Vec::new(),
            last: Default::default(),
            transactions: Vec::new(),
            kept: Vec::new(),
            irreversible: Vec::new(),
            sensitive: BTreeSet::new(),
            stale_units: false,
        }
    }

    fn plan(mut self, of: RunId, effects: Vec<EffectRecord>) -> Result<Rollback> {
        let mut starts = Vec::new();
        for effect in effects.iter().rev() {
            let start = self.take_back(effect).while_doing(|| format!("planning how to undo run {of}"))?;
            starts.extend(start.map(|start| (effect, start)));
        }
        // A unit starts once all is back that it, or a unit that it needs, is made of.
        for (record, start) in starts {
            let Effect::Platform(PlatformEffect::Unit { unit, .. }) = &start else { continue };
            let found = self.overlay.unit(unit)?;
            if found.exists() && !found.is_active() {
                self.undo_with(record, vec![start])?;
            }
        }
        if !self.steps.is_empty() {
            self.react(&effects)?;
        }
        self.finish_step();
        let plan = Plan {
            steps: self.steps,
            transactions: self.transactions,
            dropped_notifications: Vec::new(),
            orphans: Vec::new(),
            others: Vec::new(),
        };
        Ok(Rollback { of, plan, kept: self.kept, irreversible: self.irreversible, sensitive: self.sensitive })
    }

    /// Takes an effect back, but for the start of a unit: what that needs may not be back yet.
    fn take_back(&mut self, record: &EffectRecord) -> Result<Option<Effect>> {
        let left = |because| Left { ids: record.intent.ids.clone(), effect: record.intent.effect.clone(), because };
        let undo = self.keeper.undo(record, &self.overlay)?;
        if let Some(because) = record.intent.effect.point_of_no_return().filter(|_| !matches!(undo, Undo::Nothing)) {
            self.irreversible.push(left(because));
        }
        match undo {
            Undo::Nothing => {}
            Undo::Impossible(because) => {
                if record.intent.effect.point_of_no_return().is_none() {
                    self.irreversible.push(left(because));
                }
            }
            Undo::Changed(what) if self.options.keep_changed => {
                self.kept.push(left(format!("{what} has changed since")));
            }
            Undo::Changed(what) => {
                let error =
                    Error::new(ErrorKind::Conflict, format!("{what} has changed since, and that would be lost"))
                        .with_hint("undo it with --keep-changed to leave such things as they are now");
                self.push(record, Verdict::Failed { error }, Vec::new(), Vec::new());
            }
            Undo::Effects(effects) => match <[Effect; 1]>::try_from(effects) {
                Ok([start @ Effect::Platform(PlatformEffect::Unit { action: UnitAction::Start, .. })]) => {
                    return Ok(Some(start));
                }
                Ok(effect) => self.undo_with(record, effect.to_vec())?,
                Err(effects) => self.undo_with(record, effects)?,
            },
        }
        Ok(None)
    }

    fn undo_with(&mut self, record: &EffectRecord, mut effects: Vec<Effect>) -> Result<()> {
        let is_unit = |effect: &Effect| matches!(effect, Effect::Platform(PlatformEffect::Unit { .. }));
        if self.stale_units && effects.iter().any(is_unit) {
            effects.insert(0, Effect::Platform(PlatformEffect::ReloadUnits));
            self.stale_units = false;
        }
        let mut changes = self.changes(&effects);
        if record.intent.sensitive {
            self.sensitive.extend(record.intent.ids.first().cloned());
            effects = effects.into_iter().map(Effect::into_sensitive).collect();
            changes.iter_mut().for_each(|change| change.hide(Sensitive::HIDDEN));
        }
        let with_packages =
            effects.iter().any(|effect| matches!(effect, Effect::Platform(PlatformEffect::Packages(_))));
        for effect in &effects {
            self.stale_units |= touches_unit_files(effect);
            if let Effect::Platform(PlatformEffect::Packages(transaction)) = effect {
                let preview = self.overlay.base().preview(&self.with_releases(transaction)?);
                let unknown = preview.as_ref().err().map(ToString::to_string);
                if let Some(error) = preview.as_ref().err().filter(|error| error.kind() != ErrorKind::Unknown) {
                    let verdict = Verdict::Failed { error: error.clone() };
                    self.push(record, verdict, Vec::new(), Vec::new());
                    return Ok(());
                }
                self.transactions.push(PlannedTransaction {
                    ids: record.intent.ids.clone(),
                    transaction: transaction.clone(),
                    preview: preview.ok(),
                    unknown,
                });
            }
            // What goes with a package is still there in the model.
            let modelled = self.overlay.perform(effect);
            if !with_packages {
                modelled?;
            }
        }
        self.push(record, Verdict::Change, effects, changes);
        Ok(())
    }

    /// A transaction as it would be alone: with the releases of held packages that come before it in this plan.
    fn with_releases(&self, transaction: &PackageTransaction) -> Result<PackageTransaction> {
        let mut alone = transaction.clone();
        for name in transaction.names() {
            let released = self.overlay.base().package(name)?.hold && !self.overlay.package(name)?.hold;
            if released && !alone.unhold.iter().any(|known| known == name) {
                alone.unhold.push(name.to_owned());
            }
        }
        Ok(alone)
    }

    /// What people see of it: texts that all may read, and kinds.
    fn changes(&self, effects: &[Effect]) -> Vec<Change> {
        effects.iter().flat_map(|effect| changes::changes(effect, &self.overlay)).collect()
    }

    fn push(&mut self, record: &EffectRecord, verdict: Verdict, effects: Vec<Effect>, changes: Vec<Change>) {
        let Some(id) = record.intent.ids.first() else { return };
        let goes_on = verdict == Verdict::Change
            && self.steps.last().is_some_and(|step| step.id == *id && step.verdict == verdict);
        if !goes_on {
            self.begin_step(id.clone(), verdict, None);
        }
        self.last.0.extend(effects);
        self.last.1.extend(changes);
    }

    fn begin_step(&mut self, id: ResourceId, verdict: Verdict, reaction: Option<Reaction>) {
        self.finish_step();
        self.steps.push(Step {
            id,
            declared_at: None,
            phase: self.steps.len(),
            verdict,
            changes: Shared::default(),
            effects: Shared::default(),
            reaction,
            assumes: Vec::new(),
            tags: Vec::new(),
        });
    }

    fn finish_step(&mut self) {
        let (effects, changes) = std::mem::take(&mut self.last);
        if let Some(step) = self.steps.last_mut() {
            (step.effects, step.changes) = (effects.into(), changes.into());
        }
    }

    /// What has read the new state reads the old one again: once, after everything else.
    fn react(&mut self, records: &[EffectRecord]) -> Result<()> {
        let mut causes: Vec<ResourceId> = self.steps.iter().map(|step| step.id.clone()).collect();
        causes.dedup();
        let mut done: Vec<Effect> = Vec::new();
        for effect in records {
            let Effect::Platform(PlatformEffect::Unit { unit, action: UnitAction::Restart | UnitAction::Reload }) =
                &effect.intent.effect
            else {
                continue;
            };
            let Some(id) = effect.intent.ids.first() else { continue };
            let again = effect.intent.effect.clone();
            let ran = matches!(&effect.intent.before, Before::Unit(before) if before.active == Some(true));
            let failed = effect.outcome.as_ref().is_some_and(|outcome| outcome.error.is_some());
            let found = self.overlay.unit(unit)?;
            let runs = found.is_active();
            // One that was masked before is so again, and cannot react.
            if found.is_masked() {
                continue;
            }
            // One that failed with the new state, at once or later, ran with the old one.
            let is_broken = failed || matches!(found.active.as_deref(), Some("failed" | "activating"));
            let wanted = runs || (ran && is_broken);
            // What does not run cannot read anything again.
            let again = match (runs, again) {
                (false, Effect::Platform(PlatformEffect::Unit { unit, .. })) => {
                    Effect::Platform(PlatformEffect::Unit { unit, action: UnitAction::Restart })
                }
                (_, again) => again,
            };
            if done.contains(&again) || !wanted || self.goes_with_its_package(unit)? {
                continue;
            }
            let mut effects = vec![again.clone()];
            if !runs {
                effects.insert(
                    0,
                    Effect::Platform(PlatformEffect::Unit { unit: unit.clone(), action: UnitAction::ResetFailed }),
                );
            }
            if std::mem::take(&mut self.stale_units) {
                effects.insert(0, Effect::Platform(PlatformEffect::ReloadUnits));
            }
            // It is watched for as long as it was.
            let watched = |record: &&EffectRecord| matches!(&record.intent.effect, Effect::Platform(PlatformEffect::WatchUnit { unit: other, .. }) if other == unit);
            let watch = records.iter().find(watched).map(|record| record.intent.effect.clone());
            effects.extend(watch);
            done.push(again);
            self.push_reaction(id.clone(), causes.clone(), effects);
        }
        if self.stale_units
            && let Some(id) = causes.first().cloned()
        {
            self.push_reaction(id, causes, vec![Effect::Platform(PlatformEffect::ReloadUnits)]);
        }
        Ok(())
    }

    /// Whether the package that ships a unit is taken away again.
    fn goes_with_its_package(&self, unit: &str) -> Result<bool> {
        for directory in ["/usr/lib/systemd/system", "/lib/systemd/system"] {
            let Some(owner) = self.overlay.package_of(&HostPath::new(&format!("{directory}/{unit}"))?)? else {
                continue;
            };
            let goes = |planned: &PlannedTransaction| {
                planned.transaction.purge.contains(&owner) || planned.transaction.remove.contains(&owner)
            };
            return Ok(self.transactions.iter().any(goes));
        }
        Ok(false)
    }

    fn push_reaction(&mut self, id: ResourceId, causes: Vec<ResourceId>, effects: Vec<Effect>) {
        let reaction = Reaction { causes, pending_notifications: Vec::new(), effects, certain: true };
        self.begin_step(id, Verdict::InSync, Some(reaction));
    }
}

fn touches_unit_files(effect: &Effect) -> bool {
    effect.touches().iter().filter_map(Touched::path).any(is_manager_input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::SimHost;
    use crate::state::{HostKey, MemoryStore, StateStore};

    /// Asked about its removal, apt knows nothing of the release that comes before it in the same undo.
    #[test]
    fn a_package_that_was_installed_and_then_held_can_be_removed_again() -> Result<()> {
        let names = || vec!["hello".to_owned()];
        let host = SimHost::debian(13).with_package("hello").with_held_package("hello");
        let (key, store) = (HostKey::random()?, MemoryStore::new());
        let store: std::sync::Arc<dyn StateStore> = std::sync::Arc::new(store);
        let undoing = Undoing::new(Keeper { key: &key, store: &store }, &host, RollbackOptions::default());
        let purge = PackageTransaction { purge: names(), ..PackageTransaction::default() };
        assert_eq!(undoing.with_releases(&purge)?.unhold, Vec::<String>::new());
        let release = PackageTransaction { unhold: names(), ..PackageTransaction::default() };
        undoing.overlay.perform(&Effect::Platform(PlatformEffect::Packages(release)))?;
        assert_eq!(undoing.with_releases(&purge)?.unhold, names());
        Ok(())
    }
}
