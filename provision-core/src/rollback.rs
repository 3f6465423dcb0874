//! Taking a run back: a [`Rollback`] is found by [`Journal::rollback`](crate::journal::Journal::rollback) and carried out as a run
//! of its own.

use std::time::Instant;

use crate::apply::{ApplyOptions, Executor};
use crate::host::Host;
use crate::observe::{Event, Observer};
use crate::report::Report;

pub use crate::undo::{Left, Rollback, RollbackOptions};

impl Rollback {
    /// Carries it out, in order. It ends at the first failure: what comes later was done earlier, and may be needed.
    pub fn apply(&self, host: &dyn Host, options: &ApplyOptions, observer: &dyn Observer) -> Report {
        let started = Instant::now();
        let as_it_is = |error| error;
        let executor = Executor::new(host, options.recorder.as_deref(), &options.cancel, observer, &as_it_is);
        executor.tell(&Event::RunStarted { steps: self.plan.steps.len() });
        let steps = executor.undo(self);
        let mut report = Report::new(steps, options.cancel.is_cancelled());
        executor.close(&mut report, &[]);
        report.took = started.elapsed();
        executor.tell(&Event::RunFinished { counts: report.counts });
        report
    }
}
