//! Looking back: the runs that are written down, what waits from them, and which of them go.

use std::collections::BTreeSet;

use serde::Serialize;

use super::record::{Ended, MARK, RUN_LOG, Record, RunInfo, RunRecord};
use super::recorder::{done_name, mark_name, open_name};
use super::{Journal, log, notifications};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::format::Body;
use crate::moment::Moment;
use crate::run::{PendingNotification, Retention, RunId};
use crate::state::BLOBS;

/// A run, in short.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunSummary {
    /// Its number.
    pub run: RunId,
    /// What it was for.
    #[serde(flatten)]
    pub info: RunInfo,
    /// When it began.
    pub began: Moment,
    /// How it ended; `None` if it has not, or died.
    pub ended: Option<Ended>,
    /// How many effects it performed, or tried to.
    pub effects: usize,
    /// How many of them were done, wholly or in part, as far as is known.
    pub done: usize,
}

/// What waits from earlier runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pending {
    /// Pending notifications.
    pub notifications: Vec<PendingNotification>,
    /// Runs that never ended: they are under way, or died.
    pub unfinished: Vec<RunId>,
}

impl Pending {
    pub(super) fn read(journal: &Journal) -> Result<Pending> {
        let unfinished = journal.died()?;
        let notifications = match unfinished.last() {
            // It began with what was pending then.
            Some(run) => journal.run(*run)?.pending_notifications,
            None => notifications::read(&*journal.store)?,
        };
        Ok(Pending { notifications, unfinished })
    }
}

impl Journal {
    /// The numbers of all runs, oldest first.
    pub(super) fn numbers(&self) -> Result<Vec<RunId>> {
        let names = self.store.list("runs").while_doing(|| "listing the runs of the journal")?;
        let mut numbers = BTreeSet::new();
        for name in &names {
            match name.split_once('.') {
                Some((number, "done")) => numbers.extend(number.parse::<RunId>()),
                Some((number, "open")) if self.has_begun(name)? => numbers.extend(number.parse::<RunId>()),
                // It was moved out of the way.
                _ => {}
            }
        }
        Ok(numbers.into_iter().collect())
    }

    /// Whether there is anything in the log of a run: one that could not even write that has done nothing.
    fn has_begun(&self, name: &str) -> Result<bool> {
        Ok(self.store.size(&format!("runs/{name}"))? > 0)
    }

    pub(super) fn next_run(&self) -> Result<RunId> {
        Ok(self.numbers()?.last().map_or(1, |last| last + 1))
    }

    pub(super) fn unfinished(&self) -> Result<Vec<RunId>> {
        let names = self.store.list("runs").while_doing(|| "listing the runs of the journal")?;
        Ok(names.iter().filter_map(|name| name.strip_suffix(".open")?.parse().ok()).collect())
    }

    /// The runs that died after they had written something.
    fn died(&self) -> Result<Vec<RunId>> {
        let mut runs = self.unfinished()?;
        // A first line that was not written to its end says nothing yet.
        runs.retain(|run| !matches!(self.log(*run), Ok((log, _)) if log.records.is_empty()));
        Ok(runs)
    }

    /// All runs, newest first, with those that cannot be read as errors.
    ///
    /// # Errors
    /// The journal cannot be read at all.
    pub fn runs(&self) -> Result<Vec<(RunId, Result<RunSummary>)>> {
        let numbers = self.numbers()?;
        let summary = |run: RunRecord| RunSummary {
            run: run.run,
            info: run.info,
            began: run.began,
            ended: run.ended,
            effects: run.effects.len(),
            done: run.effects.iter().filter(|effect| effect.is_done()).count(),
        };
        Ok(numbers.into_iter().rev().map(|run| (run, self.run(run).map(summary))).collect())
    }

    /// A run with all that it did.
    ///
    /// # Errors
    /// There is no such run, or its log is damaged.
    pub fn run(&self, run: RunId) -> Result<RunRecord> {
        let (log, ended) = self.log(run)?;
        let read = RunRecord::new(log).and_then(|record| match &record.ended {
            None if ended => Err(Error::new(ErrorKind::Damaged, "its end is missing")),
            _ if record.run != run => Err(Error::new(ErrorKind::Damaged, format!("it is about run {}", record.run))),
            _ => Ok(record),
        });
        read.map_err(|error| damaged(run, ended, error))
    }

    /// How much of the log of a run under way was on the disk, at least: each line of a log is bound to all before it, and only
    /// this tells that lines are missing at its end. It may be less, for it is not waited for; what is no number is none.
    fn mark(&self, run: RunId) -> Result<usize> {
        let bytes = self.store.read(&mark_name(run))?.unwrap_or_default();
        let Ok(Body::Whole(body)) = MARK.body(&bytes) else { return Ok(0) };
        let number = |line: &[u8]| str::from_utf8(line.strip_suffix(b"\n")?).ok()?.parse().ok();
        Ok(body.split_inclusive(|byte| *byte == b'\n').map_while(number).last().unwrap_or_default())
    }

    /// The log of a run, and whether the run has ended.
    pub(super) fn log(&self, run: RunId) -> Result<(log::Log<Record>, bool)> {
        for (name, ended) in [(open_name(run), false), (done_name(run), true)] {
            if let Some(bytes) = self.store.read(&name).while_doing(|| format!("reading the journal of run {run}"))? {
                let log: log::Log<Record> = log::read(&RUN_LOG, &bytes).map_err(|error| damaged(run, ended, error))?;
                if !ended && log.whole < self.mark(run)? {
                    let error = Error::new(ErrorKind::Damaged, "it was cut: more of it had been written to the disk");
                    return Err(damaged(run, ended, error));
                }
                return Ok((log, ended));
            }
        }
        let numbers = self.numbers()?;
        let error = Error::new(ErrorKind::NotFound, format!("there is no run {run} in the journal"));
        Err(match (numbers.first(), numbers.last()) {
            (Some(first), Some(last)) if first == last => error.with_hint(format!("the only one is run {first}")),
            (Some(first), Some(last)) => error.with_hint(format!("there are runs {first} to {last}")),
            _ => error.with_hint("nothing was done to this host yet, or its journal was removed"),
        })
    }

    /// Takes old runs away, and contents that none of the others needs.
    pub(super) fn prune(&self) -> Result<()> {
        let numbers = self.numbers()?;
        let mut sizes = Vec::new();
        for run in &numbers {
            sizes.push(self.store.size(&done_name(*run))? + self.store.size(&open_name(*run))?);
        }
        let blobs = self.store.list(BLOBS)?;
        let mut bytes: u64 = sizes.iter().sum();
        for blob in &blobs {
            bytes += self.store.size(&format!("{BLOBS}/{blob}"))?;
        }
        // To find what a run needs its log is read, so that is not done after each run.
        let Retention { runs, bytes: most } = self.retention;
        if numbers.len() <= runs.saturating_add(runs / 10) && bytes <= most.saturating_add(most / 10) {
            return Ok(());
        }
        let open = self.unfinished()?;
        let mut kept: Vec<(RunId, BTreeSet<String>)> = Vec::new();
        let mut room = self.retention.bytes;
        let (mut all_are_read, mut is_full) = (true, false);
        for (run, size) in numbers.iter().zip(&sizes).rev() {
            let names = match self.run(*run) {
                Ok(run) => run.blobs(),
                // It may be read again, or by a later version, and what it needs is not known.
                Err(error) => {
                    tracing::warn!(run, "not pruned: {error}");
                    all_are_read = false;
                    kept.push((*run, BTreeSet::new()));
                    continue;
                }
            };
            let known: BTreeSet<&String> = kept.iter().flat_map(|(_, names)| names).collect();
            let mut needs = *size;
            for name in names.iter().filter(|name| !known.contains(name)) {
                needs += self.store.size(&format!("{BLOBS}/{name}"))?;
            }
            let newest = kept.is_empty();
            is_full |= kept.len() >= self.retention.runs || needs > room;
            if newest || open.contains(run) || !is_full {
                room = room.saturating_sub(needs);
                kept.push((*run, names));
            }
        }
        for run in numbers.iter().filter(|run| !kept.iter().any(|(kept, _)| kept == *run)) {
            tracing::debug!(run, "pruned");
            self.store.remove(&done_name(*run))?;
        }
        if !all_are_read {
            return Ok(());
        }
        let needed: BTreeSet<&String> = kept.iter().flat_map(|(_, names)| names).collect();
        for blob in blobs.iter().filter(|blob| !needed.contains(blob)) {
            self.store.remove(&format!("{BLOBS}/{blob}"))?;
        }
        Ok(())
    }
}

impl RunRecord {
    /// The names of the large contents that it keeps.
    pub(super) fn blobs(&self) -> BTreeSet<String> {
        self.effects.iter().flat_map(|effect| effect.intent.before.blobs()).map(str::to_owned).collect()
    }
}

fn damaged(run: RunId, ended: bool, error: Error) -> Error {
    let name = if ended { done_name(run) } else { open_name(run) };
    let lost = if ended {
        "it cannot be undone"
    } else {
        "what it did, and which notifications it left pending, is not known in full"
    };
    error
        .while_doing(format!("reading the journal of run {run}"))
        .with_hint(format!("{lost}; move `{name}` out of the journal to go on without it"))
}
