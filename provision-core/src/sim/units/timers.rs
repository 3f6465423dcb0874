//! When timers elapse: `systemd.timer(5)`.

use std::sync::Arc;

use super::calendar::{Calendar, time_span};
use crate::error::Result;
use crate::host::units::Definition;
use crate::host::{HostView, UnitIndex};
use crate::sim::Machine;

impl Machine<'_> {
    /// A timer has been started: what is overdue elapses at once.
    pub(in crate::sim) fn begin_timer(&self, name: &str) -> Result<()> {
        let Some(timer) = self.definition(name)? else { return Ok(()) };
        let now = self.now();
        self.note(name, |runtime| {
            runtime.history.triggered_micros = None;
            if is_persistent(&timer) {
                runtime.history.stamp_micros.get_or_insert(now.unix_micros);
            }
        });
        if self.next_elapse(&timer)?.is_some_and(|at| at <= now.monotonic_micros) {
            // That its service does not run is no mistake of the timer.
            let _ = self.trigger(name);
        }
        Ok(())
    }

    /// Timers that wait and whose files are gone or masked have nothing to start any more: they fail when the service
    /// manager reads. Sockets and paths go on.
    pub(in crate::sim) fn fail_lost_timers(&self) -> Result<()> {
        let changed: Vec<String> = {
            let model = self.model();
            let changes = model.unit_changes.iter().filter(|(_, change)| **change > model.units_read);
            changes.map(|(path, _)| path.name()).filter(|name| name.ends_with(".timer")).map(str::to_owned).collect()
        };
        for name in changed {
            if self.runs(&name)? && self.definition(&name)?.is_none_or(|timer| timer.is_masked()) {
                self.set_activity(&name, "failed", "failed");
            }
        }
        Ok(())
    }

    /// All timers.
    pub(in crate::sim) fn timers(&self) -> Result<Vec<Arc<Definition>>> {
        let names = self.timer_names()?;
        names.iter().filter_map(|name| self.definition(name).transpose()).collect()
    }

    /// The running timer that elapses first, until a time on the clock of `Moment::monotonic_micros`.
    pub(in crate::sim) fn next_timer(&self, timers: &[Arc<Definition>], until: u64) -> Result<Option<(u64, String)>> {
        let mut first: Option<(u64, String)> = None;
        for timer in timers {
            if !self.runs(&timer.id)? {
                continue;
            }
            // One that has started a service waits for that to end.
            let has_elapsed = self.runtime(&timer.id).history.triggered_micros.is_some();
            if has_elapsed && self.unit_state(&timer.id)?.sub.as_deref() == Some("running") {
                continue;
            }
            if let Some(at) = self.next_elapse(timer)?
                && at <= until
                && first.as_ref().is_none_or(|(earliest, _)| at < *earliest)
            {
                first = Some((at, timer.id.clone()));
            }
        }
        Ok(first)
    }

    /// When a timer that runs and waits elapses next.
    pub(in crate::sim) fn next_elapse(&self, timer: &Definition) -> Result<Option<u64>> {
        let now = self.now();
        let booted = self.given(|given| given.booted_micros).unwrap_or_default();
        let own = self.runtime(&timer.id);
        let unit = timer.triggers().map(|triggered| self.runtime(&self.id_of(&triggered))).unwrap_or_default();
        let began = own.started_micros.unwrap_or(booted);
        let mut all = Vec::new();
        // These elapse once.
        for (key, from) in [("OnActiveSec", began), ("OnBootSec", booted), ("OnStartupSec", booted)] {
            let spans = timer.values("Timer", key).into_iter().filter_map(time_span);
            all.extend(
                spans
                    .map(|span| from.saturating_add(span))
                    .filter(|at| own.history.triggered_micros.is_none_or(|last| *at > last)),
            );
        }
        for (key, since) in [("OnUnitActiveSec", unit.started_micros), ("OnUnitInactiveSec", unit.history.ended_micros)]
        {
            let Some(from) = since.max(own.history.triggered_micros) else { continue };
            // No shorter than a second: the accuracy of timers is a minute, see `AccuracySec=`.
            let spans = timer.values("Timer", key).into_iter().filter_map(time_span);
            all.extend(spans.map(|span| from.saturating_add(span.max(SHORTEST_MICROS))));
        }
        let unix = |micros: u64| now.unix_micros - i64::try_from(now.monotonic_micros - micros).unwrap_or_default();
        let last = own.history.triggered_micros.map(unix).or(own.history.stamp_micros.filter(|_| is_persistent(timer)));
        for text in timer.values("Timer", "OnCalendar") {
            let after = last.unwrap_or_else(|| unix(began));
            if let Some(next) = Calendar::parse(text).and_then(|calendar| calendar.next(after / 1_000_000)) {
                let left = (next * 1_000_000).saturating_sub(now.unix_micros).max(0);
                all.push(now.monotonic_micros + u64::try_from(left).unwrap_or_default());
            }
        }
        Ok(all.into_iter().min())
    }
}

/// How long a timer waits at least before it elapses again.
const SHORTEST_MICROS: u64 = 1_000_000;

/// Whether a timer remembers when it last elapsed; see `systemd.timer(5)`, `Persistent=`.
fn is_persistent(timer: &Definition) -> bool {
    timer.is_on("Timer", "Persistent")
}
