//! The packages of a phase: one transaction for all of them.

use std::borrow::Cow;
use std::time::Instant;

use super::{Progress, Run, Task};
use crate::effect::{Effect, PackageTransaction, PlatformEffect};
use crate::error::{Error, ErrorKind, Result};
use crate::host::HostViewExt;
use crate::observe::Event;
use crate::plan::{Foreseen, PlannedTransaction, is_transaction, settle_transactions};
use crate::report::Outcome;

impl Run<'_> {
    /// Carries out a phase of package resources. One whose effects are more than package changes runs by itself.
    pub(super) fn packages(&self, phase: &[usize]) {
        let mut members: Vec<(usize, Task, Instant)> = Vec::new();
        for number in phase.iter().copied() {
            let started = Instant::now();
            // A package that another one of this phase is for must wait for it all the same.
            let hindrance = self.hindrance(number);
            match hindrance.map_or_else(
                || self.decide(number).map_err(|error| self.blame(number, error)),
                |outcome| {
                    self.finish(number, started, Progress::default(), outcome);
                    Err(Error::new(ErrorKind::Cancelled, "finished already"))
                },
            ) {
                Ok(task) if is_transaction(&task.effects) => members.push((number, task, started)),
                Ok(_) => self.run_step(number),
                Err(_) if self.results[number].get().is_some() => {}
                Err(error) => self.finish(number, started, Progress::default(), Outcome::Failed { error }),
            }
        }
        for (number, task, _) in &members {
            let id = &self.step(*number).id;
            self.tell(&Event::StepStarted { id: Cow::Borrowed(id) });
            if task.is_new {
                self.tell(&Event::StepDecided { id: Cow::Borrowed(id), effects: Cow::Borrowed(&task.effects) });
            }
        }
        let all: Vec<usize> = (0..members.len()).collect();
        let mut failures: Vec<Option<Error>> = members.iter().map(|_| None).collect();
        let outdated = self.transact(&members, &all, &mut failures, true);
        if !outdated.is_empty() {
            self.refresh_and_decide_anew(&mut members, &outdated, &mut failures);
        }
        for ((number, task, started), failure) in members.into_iter().zip(failures) {
            self.conclude(number, task, started, failure);
        }
    }

    /// Carries out what some members have to do, as few transactions as their options allow. Tells which of them failed
    /// because the package lists are older than the archive, if that may be mended.
    fn transact(
        &self,
        members: &[(usize, Task, Instant)],
        places: &[usize],
        failures: &mut [Option<Error>],
        may_refresh: bool,
    ) -> Vec<usize> {
        let parts = places.iter().flat_map(|place| {
            members[*place].1.effects.iter().filter_map(|effect| match effect {
                Effect::Platform(PlatformEffect::Packages(transaction)) => Some((*place, transaction.clone())),
                _ => None,
            })
        });
        let (settled, spoilers) = settle_transactions(parts.collect(), &|transaction| self.foresee(transaction));
        spoilers.into_iter().for_each(|(place, error)| failures[place] = Some(error));
        let mut outdated = Vec::new();
        for (mut places, Foreseen { transaction, .. }) in settled {
            places.dedup();
            let steps: Vec<usize> = places.iter().map(|place| members[*place].0).collect();
            // What the packages' scripts restart is restarted with the new files.
            let began = self.executor.host.now();
            let result = self.perform(&steps, &Effect::Platform(PlatformEffect::Packages(transaction)));
            steps.iter().for_each(|number| drop(self.changed_at[*number].set(began.clone())));
            if let Err(error) = result {
                if error.kind() == ErrorKind::Stale && may_refresh && !self.verbatim {
                    outdated.extend(&places);
                }
                places.iter().for_each(|place| failures[*place] = Some(error.clone()));
            }
        }
        outdated
    }

    /// The plan knows what a transaction comes to, unless it could not.
    fn foresee(&self, transaction: &PackageTransaction) -> Result<Foreseen> {
        let is_it = |planned: &&PlannedTransaction| {
            let PackageTransaction { exclude, .. } = transaction;
            planned.preview.is_some()
                && PackageTransaction { exclude: exclude.clone(), ..planned.transaction.clone() } == *transaction
        };
        match self.planned.plan.transactions.iter().find(is_it) {
            Some(PlannedTransaction { transaction, preview, .. }) => {
                Ok(Foreseen { transaction: transaction.clone(), preview: preview.clone(), unknown: None })
            }
            None => {
                let declared = &self.planned.declared_packages;
                declared.foresee(transaction, &|transaction| self.executor.host.preview(transaction))
            }
        }
    }

    /// The archive has moved on: with new lists, versions may be others too.
    fn refresh_and_decide_anew(
        &self,
        members: &mut [(usize, Task, Instant)],
        places: &[usize],
        failures: &mut [Option<Error>],
    ) {
        let steps: Vec<usize> = places.iter().map(|place| members[*place].0).collect();
        if let Err(error) = self.perform(&steps, &Effect::Platform(PlatformEffect::RefreshPackageLists)) {
            return places.iter().for_each(|place| failures[*place] = Some(error.clone()));
        }
        let mut left = Vec::new();
        for place in places {
            let (number, task, _) = &mut members[*place];
            match self.decide_anew(*number) {
                Ok(new) => {
                    self.tell(&Event::StepDecided {
                        id: Cow::Borrowed(&self.step(*number).id),
                        effects: Cow::Borrowed(&new.effects),
                    });
                    *task = new;
                    failures[*place] = None;
                    left.push(*place);
                }
                Err(error) => failures[*place] = Some(error),
            }
        }
        self.transact(members, &left, failures, false);
    }

    /// Even if the transaction failed, some of its packages may be as wanted; that is looked at, not guessed.
    fn conclude(&self, number: usize, task: Task, started: Instant, failure: Option<Error>) {
        let mut progress = Progress { deferred: task.is_new, ..Progress::default() };
        let verified = self.verify(number, &task.want, &task.effects);
        let outcome = match (verified, failure) {
            (Ok(()), _) => {
                progress.changes = task.changes.clone();
                progress.effects.add(&task.effects, 0..task.effects.len());
                let causes = self.causes(number);
                match self.react(number, &task, causes, &mut progress) {
                    Ok(()) => Outcome::Changed,
                    Err(error) => Outcome::Failed { error: self.blame(number, error) },
                }
            }
            (Err(_), Some(error)) if error.kind() == ErrorKind::Cancelled => Outcome::NotRun,
            // Another try is its own affair: what failed may have been another package.
            (Err(_), Some(error)) | (Err(error), None) if self.waits_to_retry(number, started, 1, &error) => {
                self.try_until_done(number, started, 1, &mut progress)
            }
            (Err(_), Some(error)) | (Err(error), None) => Outcome::Failed { error: self.blame(number, error) },
        };
        self.finish(number, started, progress, outcome);
    }
}
