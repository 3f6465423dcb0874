//! Starting, stopping, restarting and reloading units, with those that this pulls along.

use super::{START_LIMIT, does_not_run};
use crate::effect::UnitAction;
use crate::error::{Error, ErrorKind, Result};
use crate::host::units::{Definition, Dependency, ModelledUnits};
use crate::host::{HostView, Overlay, UnitState};

impl<H: HostView> Overlay<H> {
    pub(in crate::host::overlay) fn change_unit(&self, name: &str, action: UnitAction) -> Result<()> {
        let links = [UnitAction::Enable, UnitAction::Disable, UnitAction::Mask, UnitAction::Unmask];
        if !links.contains(&action) && !self.is_running() {
            return Err(Error::new(ErrorKind::Unsupported, "no units run here")
                .with_hint("in a root directory units can be enabled, disabled and masked"));
        }
        let unit = self.unit(name)?;
        let lasting = matches!(action, UnitAction::Mask | UnitAction::Unmask);
        // Without a service manager systemctl(1) disables what is not there: it only takes links away.
        let idle = action == UnitAction::Disable && !self.is_running();
        if !unit.exists() && !lasting && !idle {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no unit {name}")));
        }
        match action {
            UnitAction::Start => self.start(name, action, &mut Vec::new()),
            UnitAction::Restart => self.restart(name, &unit),
            UnitAction::Reload if unit.is_active() && unit.can_reload => {
                self.refuse_masked(name, &unit)?;
                self.play(name, action)?;
                self.note(name, |runtime| runtime.reloads += 1);
                Ok(())
            }
            // `systemctl reload-or-restart`
            UnitAction::Reload => self.change_unit(name, UnitAction::Restart),
            UnitAction::Stop => self.stop(name),
            UnitAction::ResetFailed => {
                if unit.active.as_deref() == Some("failed") {
                    self.set_activity(name, "inactive", "dead");
                }
                self.note(name, |runtime| runtime.recent_starts.clear());
                Ok(())
            }
            UnitAction::Enable | UnitAction::Disable | UnitAction::Mask | UnitAction::Unmask => {
                self.link_unit(name, action)?;
                self.reload_units();
                Ok(())
            }
        }
    }

    pub(super) fn refuse_masked(&self, name: &str, unit: &UnitState) -> Result<()> {
        if unit.is_masked() {
            return Err(Error::new(ErrorKind::Conflict, format!("{name} is masked")));
        }
        if matches!(unit.load.as_str(), "bad-setting" | "error") {
            return Err(Error::new(ErrorKind::Invalid, format!("{name} cannot be loaded ({})", unit.load)));
        }
        Ok(())
    }

    /// Starts a unit with what it pulls in. One that runs is left alone.
    pub(super) fn start(&self, name: &str, action: UnitAction, on_the_way: &mut Vec<String>) -> Result<()> {
        let unit = self.unit_state(name)?;
        self.refuse_masked(name, &unit)?;
        if unit.is_active() || on_the_way.iter().any(|other| other == name) {
            return Ok(());
        }
        on_the_way.push(name.to_owned());
        let given = self.model().units.get(name).is_some_and(|runtime| runtime.given.is_some());
        let simulated = self.is_simulated() && !given;
        let definition = if simulated { self.definition(name)? } else { None };
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
            if self.model().is_host {
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
            runtime.recent_starts.retain(|start| now.saturating_sub(*start) < START_LIMIT.1);
            limited = runtime.recent_starts.len() >= START_LIMIT.0;
            if !limited {
                runtime.recent_starts.push(now);
            }
        });
        let limited = limited && self.is_simulated();
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
        let change = self.model().change;
        self.note(name, |runtime| {
            runtime.loaded = runtime.loaded.max(if unit.file_state.starts_with("enabled") { 0 } else { change });
            if failed.is_ok() {
                runtime.starts += 1;
                runtime.started_micros = Some(now);
                if let Some(given) = &mut runtime.given {
                    given.starts += 1;
                    given.started_micros = Some(now);
                }
            }
        });
        if failed.is_ok() && name.ends_with(".timer") {
            self.begin_timer(name)?;
        }
        failed
    }

    pub(super) fn start_needed(&self, name: &str, on_the_way: &mut Vec<String>) -> Result<()> {
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
        let given = self.model().unit_scripts.contains_key(other);
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
        self.pulled_in(unit.dependencies(Dependency::Requires), unit, &["requires"])
    }

    /// The units that one would like to run: said in its file, or by links.
    pub(super) fn wanted_by(&self, unit: &Definition) -> Result<Vec<String>> {
        let mut names = unit.dependencies(Dependency::Wants);
        names.extend(unit.words("Service", "Sockets"));
        self.pulled_in(names, unit, &["wants", "upholds"])
    }

    fn pulled_in(&self, named: Vec<&str>, unit: &Definition, links: &[&str]) -> Result<Vec<String>> {
        let mut names: Vec<String> = named.into_iter().map(str::to_owned).collect();
        let of_unit = |directory: &str| {
            directory.rsplit_once('.').is_some_and(|(stem, pulls)| stem == unit.id && links.contains(&pulls))
        };
        for directory in self.link_directories(&of_unit)? {
            names.extend(self.list(&directory)?.unwrap_or_default());
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Stops a unit with those that go with it.
    pub(super) fn stop(&self, name: &str) -> Result<()> {
        let stopped = self.take_down(name)?;
        for name in &stopped {
            self.note(name, |runtime| runtime.stops += 1);
        }
        for name in self.upheld(&stopped)? {
            let _ = self.start_needed(&name, &mut Vec::new());
        }
        Ok(())
    }

    /// Stops a unit and starts it again; those that go with it come back with it, if they ran.
    fn restart(&self, name: &str, unit: &UnitState) -> Result<()> {
        self.refuse_masked(name, unit)?;
        let stopped = self.take_down(name)?;
        let started = self.start(name, UnitAction::Restart, &mut Vec::new());
        for other in &stopped {
            let id = self.id_of(name);
            if *other == id {
                if started.is_ok() {
                    self.note(other, |runtime| runtime.restarts += 1);
                }
            } else if self.start(other, UnitAction::Restart, &mut Vec::new()).is_ok() {
                self.note(other, |runtime| runtime.restarts += 1);
            }
        }
        started
    }

    /// Takes down a unit and those that run and go with it. All that went, the first one first.
    fn take_down(&self, name: &str) -> Result<Vec<String>> {
        let id = self.id_of(name);
        let going = self.going_with(&id)?;
        for name in &going {
            self.set_activity(name, "inactive", "dead");
        }
        for name in &going {
            self.follow_up(name, Dependency::OnSuccess)?;
        }
        Ok(going)
    }

    /// A unit, if it runs, and those that run and go when it goes.
    fn going_with(&self, id: &str) -> Result<Vec<String>> {
        let runs = !matches!(self.unit_state(id)?.active.as_deref(), None | Some("inactive" | "failed"));
        let mut going: Vec<String> = if runs { vec![id.to_owned()] } else { Vec::new() };
        if !self.is_simulated() {
            return Ok(going);
        }
        let mut looked_at = 0;
        let mut gone = vec![id.to_owned()];
        while let Some(name) = gone.get(looked_at).cloned() {
            looked_at += 1;
            for unit in self.running_referrers(&name, Dependency::GoesWith, "requires")? {
                if !gone.contains(&unit) {
                    gone.push(unit.clone());
                    going.push(unit);
                }
            }
        }
        Ok(going)
    }

    /// The units among those that have stopped which another one starts again, as long as it runs.
    fn upheld(&self, stopped: &[String]) -> Result<Vec<String>> {
        let mut upheld = Vec::new();
        for name in stopped.iter().filter(|_| self.is_simulated()) {
            if !self.running_referrers(name, Dependency::Upholds, "upholds")?.is_empty() {
                upheld.push(name.clone());
            }
        }
        Ok(upheld)
    }

    /// The units that run and name another one in this way: in their files, or by links in a directory of this kind.
    fn running_referrers(&self, name: &str, dependency: Dependency, pulls: &str) -> Result<Vec<String>> {
        let mut running = Vec::new();
        for unit in self.linked_from(name, pulls)? {
            if self.runs(&unit)? {
                running.push(unit);
            }
        }
        for unit in self.referrers(name)? {
            let Some(definition) = self.definition(&unit)? else { continue };
            if definition.dependencies(dependency).contains(&name) && self.runs(&definition.id)? {
                running.push(definition.id.clone());
            }
        }
        running.sort_unstable();
        running.dedup();
        Ok(running)
    }

    /// The units that have a link to another one in their directory of this kind, as `app.service.requires`.
    fn linked_from(&self, name: &str, pulls: &str) -> Result<Vec<String>> {
        let mut units = Vec::new();
        for directory in self.link_directories(&|directory| directory.ends_with(pulls))? {
            if self.metadata(&directory.join(name)?)?.is_some() {
                units.extend(directory.name().rsplit_once('.').map(|(unit, _)| unit.to_owned()));
            }
        }
        Ok(units)
    }

    /// Starts what a unit names for the time after it.
    fn follow_up(&self, name: &str, when: Dependency) -> Result<()> {
        if !self.is_simulated() {
            return Ok(());
        }
        let Some(unit) = self.definition(name)? else { return Ok(()) };
        for other in unit.dependencies(when) {
            let _ = self.start_needed(other, &mut Vec::new());
        }
        Ok(())
    }

    /// What a test says of starting or reloading a unit.
    pub(super) fn play(&self, name: &str, action: UnitAction) -> Result<()> {
        let script = self.model().unit_scripts.get(name).cloned();
        match script {
            Some(script) => script(self, action).map_err(|error| match error.kind() {
                ErrorKind::CommandFailed => error,
                _ => does_not_run(name, &error.to_string()),
            }),
            None => Ok(()),
        }
    }
}
