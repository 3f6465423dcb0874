//! Carrying out what takes effects back, for a rollback and for a run that failed.

use std::borrow::Cow;
use std::time::Instant;

use super::{Executor, Performed};
use crate::effect::{Effect, PlatformEffect, UnitAction};
use crate::error::{Error, ErrorKind, Result};
use crate::host::HostViewExt;
use crate::observe::Event;
use crate::plan::{Step, Verdict};
use crate::report::{Outcome, StepReport};
use crate::undo::Rollback;

impl Executor<'_> {
    /// Carries out all steps, in order. It ends at the first failure.
    pub(crate) fn undo(&self, rollback: &Rollback) -> Vec<StepReport> {
        let mut steps = Vec::new();
        let mut stopped = false;
        for step in &rollback.plan.steps {
            let began = Instant::now();
            let mut report = StepReport::of(step.id.clone(), Outcome::NotRun);
            let mut performed = Performed::default();
            if !stopped && !self.cancel.is_cancelled() {
                self.tell(&Event::StepStarted { id: Cow::Borrowed(&step.id) });
                report.outcome = match self.take_back(step, rollback, &mut report, &mut performed) {
                    Ok(()) => Outcome::Changed,
                    Err(error) => Outcome::Failed { error: error.of(&step.id, None) },
                };
                stopped = !report.outcome.is_success();
            }
            report.effects = performed.into_effects();
            report.took = began.elapsed();
            self.tell(&Event::StepFinished { step: Cow::Borrowed(&report) });
            steps.push(report);
        }
        steps
    }

    /// A unit that was started or told to read its old state runs afterwards, as it did before.
    fn require_running(&self, effect: &Effect) -> Result<()> {
        let Effect::Platform(PlatformEffect::Unit {
            unit,
            action: UnitAction::Start | UnitAction::Restart | UnitAction::Reload,
        }) = effect
        else {
            return Ok(());
        };
        let found = self.host.unit(unit)?;
        let ran = found.ends_by_itself && found.active.as_deref() != Some("failed");
        if found.is_active() || ran || !found.exists() {
            return Ok(());
        }
        let state = found.active.as_deref().unwrap_or("unknown");
        Err(Error::new(ErrorKind::VerificationFailed, format!("{unit} does not run with its old state: it is {state}"))
            .while_doing(effect.to_string())
            .with_hint(format!("`systemctl status {unit}` and `journalctl -u {unit}` tell why")))
    }

    fn take_back(
        &self,
        step: &Step,
        rollback: &Rollback,
        report: &mut StepReport,
        performed: &mut Performed,
    ) -> Result<()> {
        if let Verdict::Failed { error } = &step.verdict {
            return Err(error.clone());
        }
        let reactions = step.reaction.iter().flat_map(|reaction| &reaction.effects);
        let effects: Vec<&Effect> = step.effects.iter().chain(reactions).collect();
        for (place, &effect) in effects.iter().enumerate() {
            // It may have gone with its package.
            if let (Effect::Platform(PlatformEffect::Unit { unit, .. }), Some(_)) = (effect, &step.reaction)
                && !self.host.unit(unit)?.exists()
            {
                continue;
            }
            self.perform(&[&step.id], effect, |recorder| {
                if rollback.sensitive.contains(&step.id) {
                    recorder.hides(&step.id);
                }
                for follower in rollback.plan.steps.iter().filter(|step| step.reaction.is_some()) {
                    recorder.notify(&follower.id, &step.id);
                }
            })?;
            match place < step.effects.len() {
                true => performed.add(&step.effects, place..place + 1),
                false => performed.push(effect),
            }
        }
        effects.iter().try_for_each(|effect| self.require_running(effect))?;
        report.changes.clone_from(&step.changes);
        if let (Some(reaction), Some(recorder)) = (&step.reaction, self.recorder) {
            report.reacted_to.clone_from(&reaction.causes);
            recorder.notified(&step.id);
        }
        Ok(())
    }
}
