//! Sockets, timers and paths: units that start others. See `systemd.socket(5)`, `systemd.timer(5)`, `systemd.path(5)`.

use crate::effect::UnitAction;
use crate::error::{Error, ErrorKind, Result};
use crate::host::units::{self, Definition};
use crate::host::{HostView, UnitState};
use crate::sim::Machine;

impl Machine<'_> {
    /// Lets happen what a socket, a timer or a path waits for: it starts its unit, unless that runs.
    pub(in crate::sim) fn trigger(&self, name: &str) -> Result<()> {
        let missing = || Error::new(ErrorKind::NotFound, format!("{name} is no socket, timer or path"));
        let unit = self.definition(name)?.ok_or_else(missing)?;
        let mut triggered = unit.triggers().ok_or_else(missing)?;
        if !self.unit_state(name)?.is_active() {
            return Err(Error::new(ErrorKind::Conflict, format!("{name} does not run")));
        }
        let now = self.now();
        if unit.accepts() {
            let connections = self.runtime(&unit.id).history.connections;
            self.note(name, |runtime| runtime.history.connections += 1);
            triggered = triggered.replace("@.", &format!("@{connections}."));
        }
        self.note(name, |runtime| {
            runtime.history.triggered_micros = Some(now.monotonic_micros);
            runtime.history.stamp_micros = Some(now.unix_micros);
        });
        let started = self.start(&triggered, UnitAction::Start, &mut Vec::new());
        if started.is_err() && name.ends_with(".socket") && !unit.accepts() {
            // What waits at the socket starts the service again and again, until that is too often.
            self.set_activity(name, "failed", "failed");
        }
        started
    }

    /// The sockets, timers and paths that start a unit: `TriggeredBy`.
    pub(in crate::sim) fn triggers_of(&self, name: &str) -> Result<Vec<String>> {
        let id = self.id_of(name);
        let mut triggers = Vec::new();
        for name in units::names_like(&self.layer, &[".socket", ".timer", ".path"])? {
            if let Some(unit) = self.definition(&name)?
                && unit.triggers().is_some_and(|triggered| triggered == id)
                && !triggers.contains(&unit.id)
            {
                triggers.push(unit.id.clone());
            }
        }
        Ok(triggers)
    }

    /// Fails if what a socket, a timer or a path would start is not there, or runs without its socket.
    pub(in crate::sim) fn require_triggered(&self, unit: &Definition) -> Result<()> {
        let Some(triggered) = unit.triggers().filter(|_| !unit.accepts()) else { return Ok(()) };
        let state = self.unit_state(&triggered)?;
        let refuse = |why: &str| {
            let message = format!("{} does not start: {triggered} {why}", unit.id);
            Err(Error::new(ErrorKind::CommandFailed, message))
        };
        if state.load != "loaded" {
            return refuse(&format!("cannot be loaded ({})", state.load));
        }
        if unit.id.ends_with(".socket") && state.is_active() {
            return refuse("runs already");
        }
        Ok(())
    }

    /// `SubState` of a socket, a timer or a path that runs. `None` if nothing has happened to it since the recording.
    pub(in crate::sim) fn sub_of_trigger(&self, unit: &Definition, state: &UnitState) -> Result<Option<&'static str>> {
        let Some(triggered) = unit.triggers().filter(|_| state.is_active()) else { return Ok(None) };
        if unit.accepts() {
            return Ok(Some("listening"));
        }
        let (own, other) = (self.runtime(&unit.id), self.runtime(&self.id_of(&triggered)));
        if own.activity.is_none()
            && own.history.triggered_micros.is_none()
            && other.activity.is_none()
            && other.given.is_none()
        {
            return Ok(None);
        }
        let service = self.unit_state(&triggered)?;
        let by_it =
            own.history.triggered_micros.is_some_and(|at| service.started_micros.is_none_or(|start| start <= at));
        Ok(Some(match unit.id.rsplit('.').next() {
            Some("socket") if service.is_active() => "running",
            Some("socket") => "listening",
            _ if service.is_active() && by_it => "running",
            Some("timer") if self.next_elapse(unit)?.is_none() => "elapsed",
            _ => "waiting",
        }))
    }
}
