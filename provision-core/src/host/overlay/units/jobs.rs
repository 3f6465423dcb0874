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
            return Err(Error::new(ErrorKind::Unsupported, "no service manager runs here")
                .with_hint("without one, as in a root directory, units can be enabled, disabled and masked"));
        }
        let unit = self.unit(name)?;
        let lasting = matches!(action, UnitAction::Mask | UnitAction::Unmask);
        // Without a service manager systemctl(1) disables what is not there: it only takes links away, as it does where links
        // are left of a unit whose file is gone.
        let disables = action == UnitAction::Disable && (!self.is_running() || unit.file_state.starts_with("enabled"));
        // One whose file is gone may run, or have failed.
        let ends = matches!(action, UnitAction::Stop | UnitAction::ResetFailed)
            && !matches!(unit.active.as_deref(), None | Some("inactive"));
        if !unit.exists() && !lasting && !disables && !ends {
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
                self.reload_units()
            }
        }
    }

    /// Fails unless a unit still runs, or ends by itself.
    pub(in crate::host::overlay) fn require_up(&self, name: &str) -> Result<()> {
        let unit = self.unit(name)?;
        if unit.is_active() || unit.ends_by_itself && unit.active.as_deref() != Some("failed") {
            return Ok(());
        }
        Err(does_not_run(name, unit.active.as_deref().unwrap_or("inactive")))
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
        self.pulled_in(unit.dependencies(Dependency::Requires), unit, Dependency::Requires)
    }

    /// The units that one would like to run: said in its file, or by links.
    pub(super) fn wanted_by(&self, unit: &Definition) -> Result<Vec<String>> {
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
    pub(super) fn follow_up(&self, name: &str, when: Dependency) -> Result<()> {
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
            Some(script) => script(self, action).map_err(|error| match error.kind() == ErrorKind::CommandFailed {
                true => error,
                false => does_not_run(name, &error.to_string()),
            }),
            None => Ok(()),
        }
    }
}
