//! After a death: the run that never ended is found, what it was doing is brought to its old or its new state, and it is
//! closed. Its pending notifications stay pending.

use serde::Serialize;

use super::image::{After, Before, Keeper};
use super::ledger::Doings;
use super::record::{Did, EffectRecord, Ended, Ending, Record, RunRecord};
use super::recorder::{done_name, mark_name, open_name};
use super::{Journal, JournalLock, log, notifications};
use crate::effect::{Effect, PathChange, PlatformEffect, Removal, Touched};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::{AccountDatabase, FileKind, Host, HostView, HostViewExt};
use crate::id::ResourceId;
use crate::path::HostPath;
use crate::run::{PendingNotification, RunId};
use crate::state::HostKey;

/// A run that never ended, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recovered {
    /// The run.
    pub run: RunId,
    /// When it began, in microseconds since 1970-01-01 00:00 UTC.
    pub began_micros: i64,
    /// What it was doing when it died.
    pub settled: Vec<Settled>,
    /// The notifications that it left pending.
    pub pending_notifications: Vec<PendingNotification>,
}

/// An effect that was under way when a run died.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settled {
    /// The resources that it was done for.
    pub ids: Vec<ResourceId>,
    /// The effect, without contents and secrets.
    pub effect: Effect,
    /// Whether it is as before, as intended, or unknown.
    pub state: SettledState,
    /// Why it could not be brought to its new state, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// What became of an effect that was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SettledState {
    /// It is as it was before.
    Old,
    /// It is as it was to be.
    New,
    /// It cannot be told: a command may have run or not.
    Unknown,
}

impl Journal {
    /// Finds runs that never ended, brings what they were doing to its old or its new state, and closes them. A run under way looks
    /// like one that died, so it takes the lock of the journal.
    ///
    /// # Errors
    /// The journal is damaged, or cannot be read or written, or the lock is that of another one.
    pub fn recover(&self, lock: &JournalLock, host: &dyn Host) -> Result<Vec<Recovered>> {
        self.require(lock)?;
        let unfinished = self.unfinished()?;
        unfinished.into_iter().filter_map(|run| self.recover_run(run, host).transpose()).collect()
    }

    fn recover_run(&self, run: RunId, host: &dyn Host) -> Result<Option<Recovered>> {
        let name = open_name(run);
        let (log, _) = self.log(run)?;
        if log.records.is_empty() {
            // It died while it wrote its first line, so it has done nothing.
            self.store.remove(&name)?;
            return Ok(None);
        }
        let (whole, mut last) = (log.whole, log.last.clone());
        self.cut(&name, whole)?;
        let record = self.run(run)?;
        let mut settled = Vec::new();
        for effect in record.effects.iter().filter(|effect| effect.outcome.is_none()) {
            let (outcome, did) = self.settle(effect, host).while_doing(|| format!("recovering run {run}"))?;
            let line = log::line(&Record::Did(Box::new(did)), &mut last)?;
            self.store.append(&name, &line, false)?;
            settled.push(outcome);
        }
        let RunRecord { pending_notifications, began, ended, effects, notifies, site_name, .. } = self.run(run)?;
        self.absorb(run, site_name.as_deref(), &Doings::of(&effects), &notifies, host)?;
        notifications::write(&*self.store, &pending_notifications)?;
        // One that died between its last line and its new name has ended.
        if ended.is_none() {
            let at_micros = host.now().unix_micros;
            let ended = Ended {
                at_micros,
                how: Ending::Died,
                counts: None,
                pending_notifications: pending_notifications.clone(),
            };
            self.store.append(&name, &log::line(&Record::Ended(Box::new(ended)), &mut last)?, true)?;
        }
        self.store.remove(&mark_name(run))?;
        self.store.rename(&name, &done_name(run))?;
        Ok(Some(Recovered { run, began_micros: began.unix_micros, settled, pending_notifications }))
    }

    /// Takes away a last line that was not written to its end.
    fn cut(&self, name: &str, whole: usize) -> Result<()> {
        let bytes = self.store.read(name)?.unwrap_or_default();
        if bytes.len() > whole {
            self.store.replace(name, &bytes[..whole])?;
        }
        Ok(())
    }

    fn settle(&self, record: &EffectRecord, host: &dyn Host) -> Result<(Settled, Did)> {
        let effect = &record.intent.effect;
        host.come_to_rest(effect)?;
        let key = HostKey::read_or_make(&*self.store)?;
        let keeper = Keeper { key: &key, store: &self.store };
        let error = keeper.roll_forward(effect, &record.intent.before, host).err();
        // What it wrote was not written down, so it is read.
        let after = keeper.after(effect, &record.intent.before, None, host)?;
        let state = match &record.intent.before {
            Before::Nothing => SettledState::Unknown,
            before if keeper.is_unchanged(before, &after, host)? => SettledState::Old,
            Before::Paths { .. } | Before::Packages(_) | Before::Accounts(_) | Before::Unit(_) => SettledState::New,
        };
        let did = Did {
            number: record.intent.number,
            after,
            error: (state == SettledState::Old).then(|| Error::new(ErrorKind::Cancelled, "the run died before")),
            left_changes: false,
            took_micros: 0,
            at: host.now(),
            recovered: true,
        };
        Ok((Settled { ids: record.intent.ids.clone(), effect: effect.clone(), state, error }, did))
    }
}

impl Keeper<'_> {
    /// Finishes what can be finished without knowing contents; what is atomic needs no more than its leftovers removed.
    fn roll_forward(&self, effect: &Effect, before: &Before, host: &dyn Host) -> Result<()> {
        for thing in effect.touches() {
            match thing {
                Touched::Path { path, change } => {
                    remove_staged(path, host)?;
                    match change {
                        PathChange::Metadata => host.perform(effect)?,
                        PathChange::TreeRemoved => match self.stranger(before, host)? {
                            None => host.perform(effect)?,
                            Some(stranger) => return Err(not_ours(&stranger, path)),
                        },
                        PathChange::Replaced | PathChange::Removed | PathChange::SpecialRemoved => {}
                    }
                }
                Touched::Packages(_) if !host.package_manager()?.interrupted.is_empty() => {
                    host.perform(&Effect::Platform(PlatformEffect::RepairPackages))?;
                }
                Touched::User(_) | Touched::Group(_) | Touched::UsersOf(_) => {
                    for database in AccountDatabase::ALL {
                        remove_staged(&HostPath::new(database.path())?, host)?;
                    }
                }
                Touched::Packages(_)
                | Touched::Home { .. }
                | Touched::PackageDatabase
                | Touched::PackageLists
                | Touched::Unit { .. }
                | Touched::ServiceManager
                | Touched::Anything(_) => {}
            }
        }
        Ok(())
    }

    /// Something in the places of before-images that has come since.
    fn stranger(&self, before: &Before, host: &dyn HostView) -> Result<Option<HostPath>> {
        let Before::Paths { paths } = before else { return Ok(None) };
        for image in paths {
            let Some(found) = host.metadata(&image.path)? else { continue };
            if !self.is_as_before(image, host)? {
                return Ok(Some(image.path.clone()));
            }
            if found.kind != FileKind::Directory {
                continue;
            }
            for name in host.list(&image.path)?.unwrap_or_default() {
                let inside = image.path.join(&name)?;
                if !paths.iter().any(|image| image.path == inside) {
                    return Ok(Some(inside));
                }
            }
        }
        Ok(None)
    }

    /// Whether an effect has left all as it was; of what nothing was kept, nothing can be told.
    pub(super) fn is_unchanged(&self, before: &Before, after: &After, host: &dyn HostView) -> Result<bool> {
        Ok(match (before, after) {
            (Before::Paths { paths }, _) => self.are_as_before(paths, host)?,
            (Before::Packages(_), After::Packages(changes)) => changes.packages.is_empty(),
            (Before::Unit(before), After::Unit(after)) => before == after,
            (Before::Accounts(image), _) => {
                self.has_lines(&self.account_lines(image)?, host)? && self.are_as_before(&image.paths, host)?
            }
            _ => false,
        })
    }
}

fn not_ours(stranger: &HostPath, path: &HostPath) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("{stranger} is not what was there before, so it was left, and {path} is not removed"),
    )
}

/// Removes files that were written beside a path and never got its name.
fn remove_staged(path: &HostPath, host: &dyn Host) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    let Ok(Some(names)) = host.list(&parent) else { return Ok(()) };
    let stem = format!(".{}.", &path.name()[..path.name().floor_char_boundary(200)]);
    for name in names {
        let random = name.strip_prefix(&stem).and_then(|rest| rest.strip_suffix(".provision"));
        if random.is_some_and(|random| random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
            host.perform(&Effect::Remove { path: parent.join(&name)?, what: Removal::File })?;
        }
    }
    Ok(())
}
