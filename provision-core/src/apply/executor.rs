//! [`Executor`]: the one place that performs effects, for what is applied and for what is taken back.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Cancel;
use crate::effect::{Effect, Lock};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::Host;
use crate::id::ResourceId;
use crate::journal::{Ending, Recorder};
use crate::observe::{Event, Observer};
use crate::report::Report;
use crate::run::PendingNotification;

/// How long an effect took, and why it failed.
type Outcome = (Duration, Option<Error>);

/// How many effects were performed.
fn done(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|(_, error)| error.is_none()).count()
}

/// Performs effects: under their locks, written down before and after, and told to the observer.
pub(crate) struct Executor<'a> {
    pub(super) host: &'a dyn Host,
    pub(super) recorder: Option<&'a Recorder>,
    pub(super) cancel: &'a Cancel,
    observer: Mutex<&'a dyn Observer>,
    locks: [Mutex<()>; 3],
    /// Programs repeat what they are given, so an error may hold a secret: this takes it out.
    redact: &'a (dyn Fn(Error) -> Error + Sync),
}

impl<'a> Executor<'a> {
    pub(crate) fn new(
        host: &'a dyn Host,
        recorder: Option<&'a Recorder>,
        cancel: &'a Cancel,
        observer: &'a dyn Observer,
        redact: &'a (dyn Fn(Error) -> Error + Sync),
    ) -> Executor<'a> {
        Executor { host, recorder, cancel, observer: Mutex::new(observer), locks: Default::default(), redact }
    }

    /// One event at a time, whichever thread it happens on.
    pub(crate) fn tell(&self, event: &Event<'_>) {
        self.observer.lock().unwrap_or_else(PoisonError::into_inner).event(event);
    }

    /// Performs an effect for resources. `note` enters what is to be written down together with the intent.
    pub(crate) fn perform(&self, ids: &[&ResourceId], effect: &Effect, note: impl FnOnce(&Recorder)) -> Result<()> {
        self.perform_all(ids, std::slice::from_ref(effect), note).1
    }

    /// Performs effects that touch different things, in order: they are written down together, and wait for the disk together.
    /// The number is that of the first effects that were performed; there may be more to do even without an error.
    pub(crate) fn perform_all(
        &self,
        ids: &[&ResourceId],
        effects: &[Effect],
        note: impl FnOnce(&Recorder),
    ) -> (usize, Result<()>) {
        let Some(first) = effects.first() else { return (0, Ok(())) };
        let locks: BTreeSet<Lock> = effects.iter().flat_map(Effect::locks).copied().collect();
        let _held: Vec<MutexGuard<'_, ()>> = locks.into_iter().map(|lock| self.hold(lock)).collect();
        if self.cancel.is_cancelled() {
            return (0, Err(Error::new(ErrorKind::Cancelled, "the run was told to stop")));
        }
        self.tell_started(ids, first);
        let begun = Instant::now();
        let Some(recorder) = self.recorder else {
            let (outcomes, result) = self.perform_unrecorded(ids, effects);
            return (done(&outcomes), result);
        };
        note(recorder);
        // Nothing is done before it is written down, with the notifications that it makes pending.
        let entries = match recorder.intend_all(ids, effects, self.host) {
            Ok(entries) => entries,
            Err(error) => {
                self.tell_finished(ids, first, Some(&error), begun.elapsed());
                return (0, Err(error));
            }
        };
        let (mut outcomes, result) = self.perform_unrecorded(ids, &effects[..entries.len()]);
        let done = done(&outcomes);
        let not_begun = || Error::new(ErrorKind::Cancelled, "it was not begun, because an effect before it failed");
        outcomes.resize_with(entries.len(), || (Duration::ZERO, Some(not_begun())));
        let concluded = entries.into_iter().zip(effects).zip(outcomes);
        recorder.conclude_all(
            concluded.map(|((entry, effect), (took, error))| (entry, effect, took, error)).collect(),
            self.host,
        );
        (done, result)
    }

    /// Performs effects up to the first that fails, and waits for the disk. Each outcome is how long it took and why it failed.
    fn perform_unrecorded(&self, ids: &[&ResourceId], effects: &[Effect]) -> (Vec<Outcome>, Result<()>) {
        let mut outcomes = Vec::with_capacity(effects.len());
        let mut result = Ok(());
        for effect in effects {
            if !outcomes.is_empty() {
                self.tell_started(ids, effect);
            }
            let started = Instant::now();
            result = self.host.perform_unsynced(effect).map_err(self.redact);
            tracing::debug!(%effect, ok = result.is_ok(), "performed");
            let (took, error) = (started.elapsed(), result.as_ref().err());
            self.tell_finished(ids, effect, error, took);
            outcomes.push((took, error.cloned()));
            if result.is_err() {
                break;
            }
        }
        let synced = self.host.sync(&effects[..outcomes.len()]).while_doing(|| "waiting for the disk");
        if let Err(error) = &synced {
            outcomes
                .iter_mut()
                .filter(|(_, failed)| failed.is_none())
                .for_each(|(_, failed)| *failed = Some(error.clone()));
        }
        (outcomes, result.and(synced))
    }

    fn tell_started(&self, ids: &[&ResourceId], effect: &Effect) {
        let ids = ids.iter().copied().map(Cow::Borrowed).collect();
        self.tell(&Event::EffectStarted { ids, effect: Cow::Borrowed(effect) });
    }

    fn tell_finished(&self, ids: &[&ResourceId], effect: &Effect, error: Option<&Error>, took: Duration) {
        let ids = ids.iter().copied().map(Cow::Borrowed).collect();
        let error = error.map(Cow::Borrowed);
        self.tell(&Event::EffectFinished { ids, effect: Cow::Borrowed(effect), error, took });
    }

    fn hold(&self, lock: Lock) -> MutexGuard<'_, ()> {
        let place = match lock {
            Lock::Packages => 0,
            Lock::Accounts => 1,
            Lock::Units => 2,
        };
        self.locks[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the run, and tells its report what the journal knows. Dropped notifications are not pending any more.
    pub(crate) fn close(&self, report: &mut Report, dropped_notifications: &[PendingNotification]) {
        let Some(recorder) = self.recorder else { return };
        dropped_notifications.iter().for_each(|pending| recorder.notified(&pending.id));
        let how = match report {
            _ if report.cancelled => Ending::Stopped,
            _ if report.is_success() => Ending::Done,
            _ if report.counts.rolled_back > 0 && report.counts.changed == 0 => Ending::RolledBack,
            _ => Ending::Failed,
        };
        report.run = recorder.run();
        report.pending_notifications = recorder.pending_notifications();
        report.journal_error = recorder.finish(how, report.counts, self.host).err();
    }
}
