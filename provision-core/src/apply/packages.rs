//! The packages of a wave: one transaction for all of them.

use std::time::Instant;

use super::{Progress, Run, Task};
use crate::effect::Effect;
use crate::error::{Error, ErrorKind};
use crate::observe::Event;
use crate::plan::{is_transaction, merge_transactions};
use crate::report::Outcome;

impl Run<'_> {
    /// Carries out a wave of package resources. One whose effects are more than package changes runs by itself.
    pub(super) fn packages(&self, wave: &[usize]) {
        let mut members: Vec<(usize, Task, Instant)> = Vec::new();
        for number in wave.iter().copied() {
            let started = Instant::now();
            // A package that another one of this wave is for must wait for it all the same.
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
        let parts = members.iter().enumerate().flat_map(|(place, (_, task, _))| {
            task.effects.iter().filter_map(move |effect| Some((place, effect.transaction()?)))
        });
        let transactions = merge_transactions(parts);
        for (number, task, _) in &members {
            let id = &self.step(*number).id;
            self.tell(&Event::StepStarted { id });
            if task.is_new {
                self.tell(&Event::StepDecided { id, effects: &task.effects });
            }
        }
        let mut failures: Vec<Option<Error>> = members.iter().map(|_| None).collect();
        for (mut places, transaction) in transactions {
            places.dedup();
            let steps: Vec<usize> = places.iter().map(|place| members[*place].0).collect();
            // What the packages' scripts restart is restarted with the new files.
            let began = self.host.now();
            let result = self.perform(&steps, &Effect::Packages(transaction));
            steps.iter().for_each(|number| drop(self.changed_at[*number].set(began.clone())));
            if let Err(error) = result {
                places.iter().for_each(|place| failures[*place] = Some(error.clone()));
            }
        }
        for ((number, task, started), failure) in members.into_iter().zip(failures) {
            self.conclude(number, task, started, failure);
        }
    }

    /// Even if the transaction failed, some of its packages may be as wanted; that is looked at, not guessed.
    fn conclude(&self, number: usize, task: Task, started: Instant, failure: Option<Error>) {
        let mut progress = Progress { deferred: task.is_new, ..Progress::default() };
        let verified = self.verify(number, &task.want);
        let outcome = match (verified, failure) {
            (Ok(()), _) => {
                progress.changes.clone_from(&task.changes);
                progress.effects.clone_from(&task.effects);
                let causes = self.causes(number);
                match self.react(number, &task, causes, &mut progress) {
                    Ok(()) => Outcome::Changed,
                    Err(error) => Outcome::Failed { error: self.blame(number, error) },
                }
            }
            (Err(_), Some(error)) if error.kind() == ErrorKind::Cancelled => Outcome::NotRun,
            // Another try is its own affair: what failed may have been another package.
            (Err(_), Some(error)) | (Err(error), None) if self.waits_to_retry(number, started, 1, &error) => {
                self.try_until_done(number, started, &mut progress)
            }
            (Err(_), Some(error)) | (Err(error), None) => Outcome::Failed { error: self.blame(number, error) },
        };
        self.finish(number, started, progress, outcome);
    }
}
