//! The steps of a phase: in order, or as many at a time as allowed.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};

use super::Run;
use crate::plan::Verdict;
use crate::random::Random;

/// Runs the steps of a phase. With one worker they run in the order of the plan, unless it is to be another.
pub(super) fn run(run: &Run<'_>, phase: &[usize], jobs: usize, shuffle: Option<u64>) {
    let busy = phase.iter().filter(|step| run.step(**step).verdict != Verdict::InSync).count();
    if shuffle.is_none() && jobs.min(busy) <= 1 {
        phase.iter().for_each(|step| run.run_step(*step));
        return;
    }
    let queue = Queue::new(run, phase, shuffle);
    std::thread::scope(|scope| {
        let work = || {
            while let Some(step) = queue.next() {
                run.run_step(step);
                queue.done(step);
            }
        };
        // This thread works too, and where no more can be had (`pids.max`, see cgroups(7)) it does with fewer.
        for _ in 1..jobs.min(busy) {
            if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
}

/// Steps that wait, by what they wait for.
struct Queue {
    first: usize,
    followers: Vec<Vec<usize>>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    waiting: Vec<usize>,
    ready: BTreeSet<usize>,
    left: usize,
    /// Draws the next step.
    random: Option<Random>,
}

impl Queue {
    fn new(run: &Run<'_>, phase: &[usize], shuffle: Option<u64>) -> Queue {
        // A phase is a stretch of the plan, so places in it are numbers of steps less the first one's.
        let first = phase[0];
        let mut followers = vec![Vec::new(); phase.len()];
        let mut waiting = vec![0; phase.len()];
        for (place, step) in phase.iter().enumerate() {
            for (before, _, _) in run.before(*step).filter(|(before, _, _)| *before >= first) {
                followers[before - first].push(place);
                waiting[place] += 1;
            }
        }
        let ready = (0..phase.len()).filter(|place| waiting[*place] == 0).collect();
        let random = shuffle.map(|seed| Random::new(seed.wrapping_add(first as u64)));
        let state = Mutex::new(State { waiting, ready, left: phase.len(), random });
        Queue { first, followers, state, changed: Condvar::new() }
    }

    /// The next step that may run; waits for one. `None` when there are no more.
    fn next(&self) -> Option<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let State { ready, random, .. } = &mut *state;
            let drawn = random.as_mut().filter(|_| !ready.is_empty()).map_or(0, |random| random.below(ready.len()));
            let next = ready.iter().nth(drawn).copied();
            if let Some(place) = next {
                state.ready.remove(&place);
                state.left -= 1;
                return Some(self.first + place);
            }
            if state.left == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, step: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for place in &self.followers[step - self.first] {
            state.waiting[*place] -= 1;
            if state.waiting[*place] == 0 {
                state.ready.insert(*place);
            }
        }
        drop(state);
        self.changed.notify_all();
    }
}
