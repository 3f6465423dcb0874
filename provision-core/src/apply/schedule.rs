//! The steps of a wave: in order, or as many at a time as allowed.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};

use super::Run;
use crate::plan::Verdict;

/// Runs the steps of a wave. With one worker they run in the order of the plan.
pub(super) fn run(run: &Run<'_>, wave: &[usize], jobs: usize) {
    let busy = wave.iter().filter(|step| run.step(**step).verdict != Verdict::InSync).count();
    if jobs.min(busy) <= 1 {
        wave.iter().for_each(|step| run.run_step(*step));
        return;
    }
    let queue = Queue::new(run, wave);
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(busy) {
            scope.spawn(|| {
                while let Some(step) = queue.next() {
                    run.run_step(step);
                    queue.done(step);
                }
            });
        }
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
}

impl Queue {
    fn new(run: &Run<'_>, wave: &[usize]) -> Queue {
        // A wave is a stretch of the plan, so places in it are numbers of steps less the first one's.
        let first = wave[0];
        let mut followers = vec![Vec::new(); wave.len()];
        let mut waiting = vec![0; wave.len()];
        for (place, step) in wave.iter().enumerate() {
            for (before, _, _) in run.before(*step).filter(|(before, _, _)| *before >= first) {
                followers[before - first].push(place);
                waiting[place] += 1;
            }
        }
        let ready = (0..wave.len()).filter(|place| waiting[*place] == 0).collect();
        let state = Mutex::new(State { waiting, ready, left: wave.len() });
        Queue { first, followers, state, changed: Condvar::new() }
    }

    /// The next step that may run; waits for one. `None` when there are no more.
    fn next(&self) -> Option<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(place) = state.ready.pop_first() {
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
