//! What happens when something fails: it is tried again, nothing new is begun, or what was done is undone.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Cancel, Executor, Run};
use crate::effect::Effect;
use crate::error::{Error, ErrorKind, Result};
use crate::id::ResourceId;
use crate::journal::Recorder;
use crate::observe::Event;
use crate::policy::OnFailure;
use crate::report::{Outcome, StepReport};
use crate::undo;

/// The longest wait before something is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How often a wait looks whether the run was told to stop.
const PATIENCE: Duration = Duration::from_millis(50);

impl Run<'_> {
    fn policy(&self, number: usize) -> OnFailure {
        self.node(number).common.on_failure.unwrap_or(self.planned.graph.policy().on_failure)
    }

    /// Whether the site as a whole is undone if a step fails.
    fn undoes_everything(&self, number: usize) -> bool {
        self.node(number).common.on_failure.is_none() && self.policy(number) == OnFailure::Rollback
    }

    /// Waits, and says whether a step is tried again.
    pub(super) fn waits_to_retry(&self, number: usize, started: Instant, attempts: u32, error: &Error) -> bool {
        let common = &self.node(number).common;
        if attempts > common.retries || self.verbatim || !is_passing(error.kind()) {
            return false;
        }
        let first = Duration::from_secs(common.retry_delay.0.as_seconds());
        let after = first.saturating_mul(2_u32.saturating_pow(attempts - 1)).min(LONGEST_WAIT);
        let until = Instant::now() + after;
        if self.deadline(number, started).is_some_and(|deadline| deadline <= until) {
            return false;
        }
        self.tell(&Event::StepRetried {
            id: Cow::Borrowed(&self.step(number).id),
            error: Cow::Borrowed(error),
            attempts,
            after,
        });
        while Instant::now() < until {
            if self.executor.cancel.is_cancelled() {
                return false;
            }
            std::thread::sleep(PATIENCE.min(until.saturating_duration_since(Instant::now())));
        }
        true
    }

    fn deadline(&self, number: usize, started: Instant) -> Option<Instant> {
        let timeout = self.node(number).common.timeout.as_ref()?;
        Some(started + Duration::from_secs(timeout.as_seconds()))
    }

    /// An effect that ends in time, where it can be ended; an error if the time is up.
    pub(super) fn within_timeout<'e>(
        &self,
        number: usize,
        started: Instant,
        effect: &'e Effect,
    ) -> Result<Cow<'e, Effect>> {
        let Some(deadline) = self.deadline(number, started) else { return Ok(Cow::Borrowed(effect)) };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.too_late(number).while_doing(effect.to_string()));
        }
        let mut effect = effect.clone();
        if let Some(command) = effect.command_mut() {
            let left = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            command.timeout_seconds = command.timeout_seconds.min(left);
        }
        Ok(Cow::Owned(effect))
    }

    /// A command that was ended because the time of its resource was up is told by that time, not by what was left of it.
    pub(super) fn naming_its_timeout(&self, number: usize, started: Instant, error: Error) -> Error {
        let is_over = self.deadline(number, started).is_some_and(|deadline| deadline <= Instant::now());
        if error.kind() != ErrorKind::TimedOut || !is_over {
            return error;
        }
        let operation = error.operation().unwrap_or_default().to_owned();
        self.too_late(number).while_doing(operation).with_cause(error.cause().unwrap_or_default())
    }

    fn too_late(&self, number: usize) -> Error {
        let timeout = self.node(number).common.timeout.as_ref().map(ToString::to_string).unwrap_or_default();
        Error::new(ErrorKind::TimedOut, format!("it took longer than its timeout of {timeout}"))
    }

    /// A resource that failed and takes this one along, because they share a tag.
    pub(super) fn failed_group_member(&self, number: usize) -> Option<ResourceId> {
        let failed = self.failed_tags.lock().unwrap_or_else(PoisonError::into_inner);
        self.step(number).tags.iter().find_map(|tag| failed.get(tag).cloned())
    }

    fn undoes_its_group(&self, number: usize) -> bool {
        self.node(number).common.on_failure == Some(OnFailure::Rollback)
    }

    /// Keeps others from beginning, if a failure calls for that.
    pub(super) fn note_failure(&self, number: usize, outcome: &Outcome) {
        if !matches!(outcome, Outcome::Failed { .. }) {
            return;
        }
        if self.policy(number) == OnFailure::Stop || self.undoes_everything(number) {
            self.stop.store(true, Ordering::Relaxed);
        }
        if self.node(number).common.on_failure == Some(OnFailure::Rollback) {
            let mut failed = self.failed_tags.lock().unwrap_or_else(PoisonError::into_inner);
            for tag in &self.step(number).tags {
                failed.entry(tag.clone()).or_insert_with(|| self.step(number).id.clone());
            }
        }
    }

    /// Undoes what failures call for. The steps tell afterwards what was undone, and it is told how.
    pub(super) fn undo_because_of_failures(&self, steps: &mut [StepReport]) -> Vec<StepReport> {
        let Some(recorder) = self.executor.recorder else { return Vec::new() };
        let has_failed = |number: &usize| matches!(steps[*number].outcome, Outcome::Failed { .. });
        let failed: Vec<usize> = (0..steps.len()).filter(has_failed).collect();
        let mut told = Vec::new();
        for number in failed {
            let because = self.step(number).id.clone();
            let group: BTreeSet<ResourceId> = if self.undoes_everything(number) {
                steps.iter().map(|step| step.id.clone()).collect()
            } else if self.undoes_its_group(number) {
                let tags = &self.step(number).tags;
                let shares =
                    |other: &usize| *other == number || self.step(*other).tags.iter().any(|tag| tags.contains(tag));
                (0..steps.len()).filter(shares).map(|other| self.step(other).id.clone()).collect()
            } else {
                continue;
            };
            told.extend(self.undo(recorder, &group, &because, steps));
        }
        told
    }

    fn undo(
        &self,
        recorder: &Recorder,
        group: &BTreeSet<ResourceId>,
        because: &ResourceId,
        steps: &mut [StepReport],
    ) -> Vec<StepReport> {
        let rollback = match undo::of_run_under_way(recorder, group, self.executor.host) {
            Ok(rollback) => rollback,
            Err(error) => {
                let error = error.of(because, None);
                return vec![StepReport::of(because.clone(), Outcome::Failed { error })];
            }
        };
        let ids: Vec<ResourceId> = group.iter().cloned().collect();
        self.tell(&Event::RollbackStarted { ids: (&ids).into(), because: Cow::Borrowed(because) });
        // What is begun is undone to its end, even if the run was told to stop.
        let (never, as_it_is) = (Cancel::default(), |error| error);
        let observer = |event: &Event<'_>| self.tell(event);
        let told = Executor::new(self.executor.host, Some(recorder), &never, &observer, &as_it_is).undo(&rollback);
        let all_undone = told.iter().all(|step| step.outcome.is_success());
        for step in steps.iter_mut().filter(|step| step.outcome == Outcome::Changed && group.contains(&step.id)) {
            // What could not be undone is still changed.
            let left = rollback.irreversible.iter().chain(&rollback.kept).any(|left| left.ids.contains(&step.id));
            let failed = told.iter().any(|told| told.id == step.id && !told.outcome.is_success());
            if !left && !failed {
                step.outcome = Outcome::RolledBack { because: because.clone() };
            }
        }
        if all_undone {
            recorder.cancel_notifications(group);
        }
        told
    }
}

/// Whether a failure may go by itself.
fn is_passing(kind: ErrorKind) -> bool {
    use ErrorKind::{CommandFailed, Incomplete, Io, Locked, NotFound, TimedOut, VerificationFailed};
    matches!(kind, CommandFailed | Incomplete | Io | Locked | NotFound | TimedOut | VerificationFailed)
}
