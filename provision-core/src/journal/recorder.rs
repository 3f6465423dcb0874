//! A run that is being written down: what is about to be done is durable before it is done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use foldhash::HashMap;

use super::image::{Before, Keeper};
use super::ledger::Doings;
use super::notifications::PendingNotifications;
use super::record::{Began, Did, EffectRecord, Ended, Ending, Intent, MARK, RUN_LOG, Record, RunInfo};
use super::{Journal, JournalLock, log, notifications};
use crate::claim::{Claim, Hold, Target};
use crate::effect::{Effect, PathChange, Touched};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::HostView;
use crate::id::ResourceId;
use crate::moment::Moment;
use crate::run::{Counts, PendingNotification, RunId};
use crate::state::{HostKey, StateStore};

/// Writes a run down. Nothing is written before its first effect, so a run that finds nothing to do leaves no trace.
pub struct Recorder {
    journal: Journal,
    /// No other run may write while this one does.
    _lock: JournalLock,
    info: RunInfo,
    key: OnceLock<HostKey>,
    state: Mutex<State>,
    /// Up to which effect the log survives a loss of power.
    synced: Mutex<usize>,
}

/// What of the run is written already.
struct State {
    run: Option<RunId>,
    /// The digest of the last line.
    last: String,
    /// The length of the log in bytes.
    length: usize,
    /// Whether how much of it is on the disk cannot be noted: then nothing can follow what was noted by half.
    is_unmarked: bool,
    /// How many effects were written down.
    intended: usize,
    /// What was done, for the ledger. Contents and states are in the log alone, for there may be very many effects.
    doings: Doings,
    pending_notifications: PendingNotifications,
    pending_before: Vec<PendingNotification>,
    /// Notifications that become pending with the next effect.
    causes: Vec<(ResourceId, ResourceId)>,
    /// For each resource that changed, those that react to it.
    notifies: BTreeMap<ResourceId, BTreeSet<ResourceId>>,
    /// The name of the site that is applied.
    site: Option<String>,
    /// What resources own.
    owned: HashMap<ResourceId, BTreeSet<Target>>,
    /// Resources of which no content is shown.
    sensitive: BTreeSet<ResourceId>,
    /// What went wrong, to be told of at the end.
    failed: Option<Error>,
    /// Why the log cannot be continued.
    broken: Option<Error>,
}

/// An effect under way.
pub struct Entry {
    intent: Intent,
    started: Instant,
}

impl Recorder {
    fn new(journal: Journal, lock: JournalLock, info: RunInfo) -> Result<Recorder> {
        let pending_notifications = notifications::read(&*journal.store)?;
        super::ledger::admit(&*journal.store)?;
        let state = State {
            run: None,
            last: log::start(&RUN_LOG),
            length: 0,
            is_unmarked: false,
            intended: 0,
            doings: Doings::default(),
            pending_before: pending_notifications.clone(),
            pending_notifications: pending_notifications.into(),
            causes: Vec::new(),
            notifies: BTreeMap::new(),
            site: None,
            owned: HashMap::default(),
            sensitive: BTreeSet::new(),
            failed: None,
            broken: None,
        };
        Ok(Recorder {
            journal,
            _lock: lock,
            info,
            key: OnceLock::new(),
            state: Mutex::new(state),
            synced: Mutex::new(0),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self) -> &dyn StateStore {
        &*self.journal.store
    }

    pub(super) fn key(&self) -> Result<&HostKey> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        // Two that make it at the same time would make two.
        let _one_at_a_time = self.state();
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let key = HostKey::read_or_make(self.store())?;
        Ok(self.key.get_or_init(|| key))
    }

    /// The number of the run, if it has done anything yet.
    pub fn run(&self) -> Option<RunId> {
        self.state().run
    }

    /// Notifications that are pending at this moment.
    pub fn pending_notifications(&self) -> Vec<PendingNotification> {
        self.state().pending_notifications.list()
    }

    /// Notes the name of the site for which the run makes what it makes.
    pub fn of_site(&self, name: &str) {
        self.state().site = Some(name.to_owned());
    }

    /// Notes what a resource owns: only that can have been made for it. What no resource owns is never removed by a later run.
    pub fn claims(&self, id: &ResourceId, claims: &[Claim]) {
        let mut state = self.state();
        if !state.owned.contains_key(id) {
            let owned = claims.iter().filter(|claim| claim.hold == Hold::Owns).map(|claim| claim.target.clone());
            state.owned.insert(id.clone(), owned.collect());
        }
    }

    /// Notes that a resource is sensitive: no content is shown of what takes its effects back.
    pub fn hides(&self, id: &ResourceId) {
        let mut state = self.state();
        if !state.sensitive.contains(id) {
            state.sensitive.insert(id.clone());
        }
    }

    /// Notes that `id` has to react as soon as the next effect, for `because`, is done. It is written with that effect.
    pub fn notify(&self, id: &ResourceId, because: &ResourceId) {
        let mut state = self.state();
        state.notifies.entry(because.clone()).or_default().insert(id.clone());
        state.causes.push((id.clone(), because.clone()));
    }

    /// Writes down what is about to be done and how it is now. When this returns, both survive a loss of power.
    ///
    /// # Errors
    /// The host cannot be read, or the journal not written: then the effect must not be performed.
    pub fn intend(&self, ids: &[&ResourceId], effect: &Effect, host: &dyn HostView) -> Result<Entry> {
        let mut entries = self.intend_all(ids, std::slice::from_ref(effect), host)?;
        entries.pop().ok_or_else(|| Error::new(ErrorKind::Invalid, "there is no effect"))
    }

    /// As [`intend`](Recorder::intend), for effects that touch different things: all of them wait for the disk once. The entries are those of the first
    /// effects; there are fewer than effects if the host cannot be read for the next one.
    ///
    /// # Errors
    /// As [`intend`](Recorder::intend), for the first effect.
    pub(crate) fn intend_all(
        &self,
        ids: &[&ResourceId],
        effects: &[Effect],
        host: &dyn HostView,
    ) -> Result<Vec<Entry>> {
        let causes = self.take_causes(ids);
        let keeper = self.keeper()?;
        let mut images = Vec::with_capacity(effects.len());
        for effect in effects {
            match keeper.before(effect, host).while_doing(|| format!("keeping what was before: {effect}")) {
                Err(error) if images.is_empty() => return Err(error),
                Err(_) => break,
                Ok(before) => images.push((effect, before)),
            }
        }
        let now = host.now();
        let mut state = self.state();
        if let Some(error) = &state.broken {
            return Err(error.clone());
        }
        let mut bytes = Vec::new();
        let run = match state.run {
            Some(run) => run,
            None => self.begin_log(&mut state, &now, &mut bytes)?,
        };
        for (id, because) in causes {
            if state.pending_notifications.has(&id, &because, run) {
                continue;
            }
            let notification = PendingNotification { id, because, run, at: now.clone() };
            bytes.extend(log::line(&Record::NotificationPending(notification.clone()), &mut state.last)?);
            state.pending_notifications.add(notification);
        }
        let mut entries = Vec::with_capacity(images.len());
        for (effect, before) in images {
            let is_owner = |id: &&&ResourceId| state.owned.get(**id).is_some_and(|owned| is_owned(effect, owned));
            let intent = Intent {
                number: state.intended + entries.len() + 1,
                ids: ids.iter().map(|id| (*id).clone()).collect(),
                owners: ids.iter().filter(is_owner).map(|id| (*id).clone()).collect(),
                sensitive: ids.iter().any(|id| state.sensitive.contains(*id)),
                effect: effect.without_content(),
                before,
                at_micros: now.unix_micros,
            };
            let record = Record::Intends(Box::new(intent));
            bytes.extend(log::line(&record, &mut state.last)?);
            let Record::Intends(intent) = record else { continue };
            entries.push(Entry { intent: *intent, started: Instant::now() });
        }
        self.append(&mut state, run, &bytes, false)?;
        state.intended += entries.len();
        let State { pending_notifications, intended, .. } = &mut *state;
        entries.iter().for_each(|entry| pending_notifications.intended(&entry.intent));
        let number = *intended;
        drop(state);
        self.sync(run, number)?;
        Ok(entries)
    }

    /// The number of the run, whose first lines are put before those of its first effect.
    fn begin_log(&self, state: &mut State, now: &Moment, bytes: &mut Vec<u8>) -> Result<RunId> {
        self.journal.require_all_ended()?;
        let run = self.journal.next_run()?;
        bytes.extend(RUN_LOG.header().into_bytes());
        let began = Began {
            run,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            info: self.info.clone(),
            site_name: state.site.clone(),
            at: now.clone(),
            pending_notifications: state.pending_notifications.list(),
        };
        bytes.extend(log::line(&Record::Began(Box::new(began)), &mut state.last)?);
        state.run = Some(run);
        Ok(run)
    }

    /// Notifications because of these resources. If their effect does not come to be performed, none is pending.
    fn take_causes(&self, ids: &[&ResourceId]) -> Vec<(ResourceId, ResourceId)> {
        let mut state = self.state();
        let (mine, others) =
            std::mem::take(&mut state.causes).into_iter().partition(|(_, because)| ids.contains(&because));
        state.causes = others;
        mine
    }

    /// Waits for the disk to have all up to an effect. One wait serves all who wrote before it began.
    fn sync(&self, run: RunId, number: usize) -> Result<()> {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced >= number {
            return Ok(());
        }
        let state = self.state();
        // What the disk has once failed to take it may say later that it has.
        if let Some(error) = &state.broken {
            return Err(error.clone());
        }
        let (written, length) = (state.intended, state.length);
        drop(state);
        let result = self.store().append(&open_name(run), &[], true).while_doing(|| "writing the journal");
        if let Err(error) = result {
            return Err(self.broken(&mut self.state(), error));
        }
        self.mark(run, length, *synced == 0);
        *synced = written;
        Ok(())
    }

    /// Notes how much of the log is on the disk, so that one that is cut is noticed. A run goes on without it.
    fn mark(&self, run: RunId, length: usize, is_first: bool) {
        if self.state().is_unmarked {
            return;
        }
        let header = if is_first { MARK.header() } else { String::new() };
        let result = match is_first {
            // One of another run of this number, whose log was moved away, would say too much.
            true => self.store().remove(&mark_name(run)),
            false => Ok(()),
        };
        let mark = format!("{header}{length}\n");
        let result = result.and_then(|()| self.store().append(&mark_name(run), mark.as_bytes(), false));
        if let Err(error) = result {
            tracing::debug!("how much of the log is on the disk is not noted: {error}");
            self.state().is_unmarked = true;
        }
    }

    /// Writes down what came of an effect. A journal that cannot be written is told of when the run is finished.
    pub fn conclude(&self, entry: Entry, effect: &Effect, error: Option<&Error>, host: &dyn HostView) {
        let took = entry.started.elapsed();
        self.conclude_all(vec![(entry, effect, took, error.cloned())], host);
    }

    /// As [`conclude`](Recorder::conclude), for effects that were written down together: how long each took, and why it failed.
    pub(crate) fn conclude_all(&self, entries: Vec<(Entry, &Effect, Duration, Option<Error>)>, host: &dyn HostView) {
        let mut all = Vec::with_capacity(entries.len());
        for (Entry { intent, .. }, effect, took, error) in entries {
            let did = self.outcome(&intent, effect, took, error, host);
            let did = did.map_err(|error| self.keep_failure(Err(error))).ok();
            all.push((intent, did));
        }
        let mut state = self.state();
        let run = state.run.unwrap_or_default();
        let result = all.into_iter().try_fold(Vec::new(), |mut bytes, (intent, did)| {
            state.doings.add(&intent, did.as_ref());
            if let Some(did) = did {
                state.pending_notifications.concluded(&intent, &did, run);
                bytes.extend(log::line(&Record::Did(Box::new(did)), &mut state.last)?);
            }
            Ok(bytes)
        });
        let result = result.and_then(|bytes| self.append(&mut state, run, &bytes, false));
        drop(state);
        self.keep_failure(result);
    }

    fn outcome(
        &self,
        intent: &Intent,
        effect: &Effect,
        took: Duration,
        error: Option<Error>,
        host: &dyn HostView,
    ) -> Result<Did> {
        let keeper = self.keeper()?;
        let before = &intent.before;
        let after = keeper.after(effect, before, effect.content(), host)?;
        Ok(Did {
            number: intent.number,
            left_changes: error.is_some()
                && !matches!(before, Before::Nothing)
                && !keeper.is_unchanged(before, &after, host).unwrap_or_default(),
            after,
            error,
            took_micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            at: host.now(),
            recovered: false,
        })
    }

    /// Notes that a resource has reacted, or need not.
    pub fn notified(&self, id: &ResourceId) {
        let mut state = self.state();
        if state.pending_notifications.deliver(id) && state.run.is_some() {
            let result = self.write(&mut state, &Record::NotificationsDelivered { id: id.clone() }, false);
            drop(state);
            self.keep_failure(result);
        }
    }

    /// Cancels notifications because of changes of this run that were undone.
    pub(crate) fn cancel_notifications(&self, undone: &BTreeSet<ResourceId>) {
        let mut state = self.state();
        let Some(run) = state.run else { return };
        for because in undone {
            if state.pending_notifications.cancel(because, run) {
                let result =
                    self.write(&mut state, &Record::NotificationsCancelled { because: because.clone() }, false);
                if let Err(error) = result {
                    state.failed.get_or_insert(error);
                }
            }
        }
    }

    /// What this run has done so far, read from its log.
    pub(crate) fn effects(&self) -> Result<Vec<EffectRecord>> {
        self.run().map_or(Ok(Vec::new()), |run| Ok(self.journal.run(run)?.effects))
    }

    /// Gives back what this run keeps.
    pub(crate) fn keeper(&self) -> Result<Keeper<'_>> {
        Ok(Keeper { key: self.key()?, store: &self.journal.store })
    }

    /// Ends the run: what is still pending is kept, and old runs go.
    ///
    /// # Errors
    /// The journal could not be written, now or before.
    pub fn finish(&self, how: Ending, counts: Counts, host: &dyn HostView) -> Result<()> {
        let mut state = self.state();
        if let Some(error) = state.failed.as_ref().or(state.broken.as_ref()) {
            return Err(error.clone());
        }
        let pending_notifications = state.pending_notifications.list();
        if pending_notifications != state.pending_before {
            notifications::write(self.store(), &pending_notifications)?;
        }
        let Some(run) = state.run else { return Ok(()) };
        self.journal.absorb(run, state.site.as_deref(), &state.doings, &state.notifies, host)?;
        let ended = Ended { at_micros: host.now().unix_micros, how, counts: Some(counts), pending_notifications };
        self.write(&mut state, &Record::Ended(Box::new(ended)), true)?;
        self.store().remove(&mark_name(run)).while_doing(|| "closing the journal")?;
        self.store().rename(&open_name(run), &done_name(run)).while_doing(|| "closing the journal")?;
        drop(state);
        self.journal.prune()
    }

    fn write(&self, state: &mut State, record: &Record, durably: bool) -> Result<()> {
        let Some(run) = state.run else { return Ok(()) };
        let line = log::line(record, &mut state.last)?;
        self.append(state, run, &line, durably)
    }

    /// A line that could not be written may have been begun, and nothing can follow it: then this run writes no more, and
    /// changes no more. The next one finds it as if it had died.
    fn append(&self, state: &mut State, run: RunId, bytes: &[u8], durably: bool) -> Result<()> {
        if let Some(error) = &state.broken {
            return Err(error.clone());
        }
        let written = self.store().append(&open_name(run), bytes, durably).while_doing(|| "writing the journal");
        written.map_err(|error| self.broken(state, error))?;
        state.length += bytes.len();
        Ok(())
    }

    fn broken(&self, state: &mut State, error: Error) -> Error {
        let error = error.with_hint("nothing is changed that could not be undone");
        state.broken.get_or_insert(error).clone()
    }

    fn keep_failure(&self, result: Result<()>) {
        if let Err(error) = result {
            self.state().failed.get_or_insert(error);
        }
    }
}

/// Whether what an effect is about is owned. A directory on the way to what is owned is as well: it goes only when it is empty.
fn is_owned(effect: &Effect, owned: &BTreeSet<Target>) -> bool {
    let owns_any = |is_it: &dyn Fn(&Target) -> bool| owned.iter().any(is_it);
    match effect.touches().first() {
        Some(Touched::Path { path, change: PathChange::Metadata }) => {
            owns_any(&|target| matches!(target, Target::Path(owned) if owned.is_within(path)))
        }
        Some(Touched::Path { path, .. }) => owned.contains(&Target::Path((*path).clone())),
        Some(Touched::User(name)) => owned.contains(&Target::User((*name).to_owned())),
        Some(Touched::Group(name)) => owned.contains(&Target::Group((*name).to_owned())),
        Some(Touched::Packages(_)) => owns_any(&|target| matches!(target, Target::Package(_))),
        Some(
            Touched::UsersOf(_)
            | Touched::Home { .. }
            | Touched::PackageDatabase
            | Touched::PackageLists
            | Touched::Unit { .. }
            | Touched::ServiceManager
            | Touched::Anything(_),
        )
        | None => false,
    }
}

/// The name of the log of a run that has not ended.
pub(super) fn open_name(run: RunId) -> String {
    format!("runs/{run:08}.open")
}

/// The name of the file that says how much of the log of a run under way is on the disk.
pub(super) fn mark_name(run: RunId) -> String {
    format!("runs/{run:08}.mark")
}

/// The name of the log of a run that has ended.
pub(super) fn done_name(run: RunId) -> String {
    format!("runs/{run:08}.done")
}

impl Journal {
    /// Begins to write a run down.
    ///
    /// # Errors
    /// A run that never ended has not been [recovered](Journal::recover), pending notifications cannot be read, the ledger was
    /// written by a newer version of this program, or the lock is that of another journal.
    pub fn begin(&self, lock: &JournalLock, info: RunInfo) -> Result<Arc<Recorder>> {
        self.require(lock)?;
        self.require_all_ended()?;
        Recorder::new(self.clone(), lock.clone(), info).map(Arc::new)
    }

    /// Refuses to go on beside a run that never ended: its pending notifications, and what it was doing, would be lost.
    pub(super) fn require_all_ended(&self) -> Result<()> {
        let Some(run) = self.unfinished()?.into_iter().next() else { return Ok(()) };
        Err(Error::new(ErrorKind::Conflict, format!("run {run} never ended, and was not recovered"))
            .while_doing("beginning a run")
            .with_hint("call `Journal::recover` before a run begins"))
    }
}
