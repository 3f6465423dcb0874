//! Starting and reloading units, with those that this pulls along.

use super::definition::Dependency;
use crate::effect::UnitAction;
use crate::error::{Error, ErrorKind, Result};
use crate::host::overlay::does_not_run;
use crate::host::units::Definition;
use crate::host::{HostView, PackageModel, UnitIndex, UnitState};
use crate::sim::Machine;

/// How often a unit may be started in so many microseconds; systemd-system.conf(5), DefaultStartLimitBurst.
const START_LIMIT: (usize, u64) = (5, 10_000_000);

impl Machine<'_> {
    /// Starts, restarts, reloads or stops a unit.
    pub(in crate::sim) fn act(&self, name: &str, unit: &UnitState, action: UnitAction) -> Result<()> {
        match action {
            UnitAction::Start => self.start(name, action, &mut Vec::new()),
            UnitAction::Reload if unit.is_active() && unit.can_reload => {
                self.refuse_masked(name, unit)?;
                self.play(name, action)?;
                self.note(name, |runtime| runtime.history.reloads += 1);
                Ok(())
            }
            UnitAction::Stop => self.stop(name),
            // `systemctl reload-or-restart`
            _ => self.restart(name, unit),
        }
    }

    /// Starts a unit with what it pulls in. One that runs is left alone.
    pub(crate) fn start(&self, name: &str, action: UnitAction, on_the_way: &mut Vec<String>) -> Result<()> {
        let unit = self.unit_state(name)?;
        self.refuse_masked(name, &unit)?;
        if unit.is_active() || on_the_way.iter().any(|other| other == name) {
            return Ok(());
        }
        on_the_way.push(name.to_owned());
        let given = self.model().units.get(name).is_some_and(|runtime| runtime.given.is_some());
        let definition = if given { None } else { self.definition(name)? };
        if let Some(definition) = &definition {
            if !self.conditions_hold(definition)? {
                return Ok(());
            }
            for other in definition.dependencies(Dependency::Conflicts) {
                if self.unit_state(other)?.is_active() {
                    self.stop(other)?;
                }
            }
            for other in self.required_by(definition)? {
                if let Err(error) = self.start_needed(&other, on_the_way)
                    && self.must_wait_for(definition, &other)?
                {
                    let message = format!("{name} does not run: it needs {other}");
                    return Err(Error::new(ErrorKind::CommandFailed, message).with_cause(error.to_string()));
                }
            }
            // A plan does not foresee these: it does not for a real host, and what comes before may still fail.
            if self.debian.performs() {
                self.require_running(definition)?;
                self.require_triggered(definition)?;
            }
            for other in self.wanted_by(definition)? {
                // What is only wanted may fail.
                let _ = self.start_needed(&other, on_the_way);
            }
        }
        let now = self.now().monotonic_micros;
        let mut limited = false;
        self.note(name, |runtime| {
            runtime.history.recent_starts.retain(|start| now.saturating_sub(*start) < START_LIMIT.1);
            limited = runtime.history.recent_starts.len() >= START_LIMIT.0;
            if !limited {
                runtime.history.recent_starts.push(now);
            }
        });
        let failed = match (limited, &definition) {
            (true, _) => Err(does_not_run(name, "start-limit-hit: it was started too often")),
            (false, Some(definition)) => self.require_parts(name, definition),
            (false, None) => Ok(()),
        };
        let failed = failed.and_then(|()| self.play(name, action));
        let ends = unit.ends_by_itself;
        let given = if ends { ("inactive", "dead") } else { ("active", "running") };
        let (active, sub) = match &failed {
            Err(_) => ("failed", "failed"),
            Ok(()) => definition.as_deref().map_or(given, Definition::started),
        };
        self.set_activity(name, active, sub);
        match (&failed, ends) {
            (Err(_), _) if !limited => self.follow_up(name, Dependency::OnFailure)?,
            (Ok(()), true) => self.follow_up(name, Dependency::OnSuccess)?,
            _ => {}
        }
        self.note_start(name, &unit, failed.is_ok());
        if failed.is_ok() && name.ends_with(".timer") {
            self.begin_timer(name)?;
        }
        failed
    }

    pub(crate) fn start_needed(&self, name: &str, on_the_way: &mut Vec<String>) -> Result<()> {
        let unit = self.unit_state(name)?;
        if !unit.exists() {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no unit {name}")));
        }
        self.start(name, UnitAction::Start, on_the_way)
    }

    /// Whether a unit that is required, and does not start, keeps this one from starting; see `systemd.unit(5)`,
    /// `Requires=`: only if it is ordered after it, and if starting the other is not done before its program runs.
    fn must_wait_for(&self, unit: &Definition, other: &str) -> Result<bool> {
        let state = self.unit_state(other)?;
        if !state.exists() || state.is_masked() || unit.words("Unit", "BindsTo").contains(&other) {
            return Ok(true);
        }
        let ordered = unit.words("Unit", "After").contains(&other);
        let given = self.given(|given| given.unit_scripts.contains_key(other)) == Some(true);
        let blind = !given && self.definition(other)?.is_some_and(|other| other.starts_blindly());
        Ok(ordered && !blind)
    }

    /// Fails if a unit that has to run already does not; see `systemd.unit(5)`, `Requisite=`.
    fn require_running(&self, unit: &Definition) -> Result<()> {
        for other in unit.dependencies(Dependency::Requisite) {
            if !self.unit_state(other)?.is_active() {
                let message = format!("{} does not run: {other} does not run yet", unit.id);
                return Err(Error::new(ErrorKind::CommandFailed, message));
            }
        }
        Ok(())
    }

    /// The units that one cannot start without: said in its file, or by links.
    fn required_by(&self, unit: &Definition) -> Result<Vec<String>> {
        self.pulled_in(unit.dependencies(Dependency::Requires), unit, Dependency::Requires)
    }

    /// The units that one would like to run: said in its file, or by links.
    pub(crate) fn wanted_by(&self, unit: &Definition) -> Result<Vec<String>> {
        let mut names = unit.dependencies(Dependency::Wants);
        names.extend(unit.words("Service", "Sockets"));
        self.pulled_in(names, unit, Dependency::Wants)
    }

    fn pulled_in(&self, named: Vec<&str>, unit: &Definition, dependency: Dependency) -> Result<Vec<String>> {
        let mut names: Vec<String> = named.into_iter().map(str::to_owned).collect();
        let of_unit = |directory: &str| {
            directory
                .rsplit_once('.')
                .is_some_and(|(stem, pulls)| stem == unit.id && dependency.links().contains(&pulls))
        };
        for directory in self.link_directories(&of_unit)? {
            names.extend(self.list(&directory)?.unwrap_or_default());
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Starts what a unit names for the time after it.
    pub(crate) fn follow_up(&self, name: &str, when: Dependency) -> Result<()> {
        let Some(unit) = self.definition(name)? else { return Ok(()) };
        for other in unit.dependencies(when) {
            let _ = self.start_needed(other, &mut Vec::new());
        }
        Ok(())
    }

    /// What a test says of starting or reloading a unit.
    pub(crate) fn play(&self, name: &str, action: UnitAction) -> Result<()> {
        let script = self.given(|given| given.unit_scripts.get(name).cloned()).flatten();
        match script {
            Some(script) => {
                script(&self.layer, action).map_err(|error| match error.kind() == ErrorKind::CommandFailed {
                    true => error,
                    false => does_not_run(name, &error.to_string()),
                })
            }
            None => Ok(()),
        }
    }
}
