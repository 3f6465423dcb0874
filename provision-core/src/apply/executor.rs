//! [`Executor`]: the one place that performs effects, for what is applied and for what is taken back.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Cancel;
use crate::effect::{Effect, Lock};
use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;
use crate::id::ResourceId;
use crate::journal::{Ending, Recorder};
use crate::observe::{Event, Observer};
use crate::report::Report;
use crate::run::PendingNotification;

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
        let _held: Vec<MutexGuard<'_, ()>> = effect.locks().iter().map(|lock| self.hold(*lock)).collect();
        if self.cancel.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "the run was told to stop"));
        }
        let named = || ids.iter().copied().map(Cow::Borrowed).collect();
        self.tell(&Event::EffectStarted { ids: named(), effect: Cow::Borrowed(effect) });
        let started = Instant::now();
        let result = self.perform_recorded(ids, effect, note);
        tracing::debug!(%effect, ok = result.is_ok(), "performed");
        let error = result.as_ref().err();
        let (effect, error) = (Cow::Borrowed(effect), error.map(Cow::Borrowed));
        self.tell(&Event::EffectFinished { ids: named(), effect, error, took: started.elapsed() });
        result
    }

    /// Nothing is done before it is written down, with the notifications that it makes pending.
    fn perform_recorded(&self, ids: &[&ResourceId], effect: &Effect, note: impl FnOnce(&Recorder)) -> Result<()> {
        let perform = || self.host.perform(effect).map_err(self.redact);
        let Some(recorder) = self.recorder else { return perform() };
        note(recorder);
        let entry = recorder.intend(ids, effect, self.host)?;
        let result = perform();
        recorder.conclude(&entry, effect, result.as_ref().err(), self.host);
        result
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
