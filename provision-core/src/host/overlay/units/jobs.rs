//! What acting upon a unit does to the model: that it is done, where the service manager is not modelled.

use crate::effect::UnitAction;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{HostView, Layer, UnitState};

impl Layer<'_> {
    pub(crate) fn change_unit(&self, name: &str, action: UnitAction) -> Result<()> {
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
            UnitAction::Start | UnitAction::Restart | UnitAction::Reload | UnitAction::Stop => {
                match self.unit_model() {
                    Some(manager) => manager.act(self, name, &unit, action),
                    None => self.foresee_unit(name, &unit, action),
                }
            }
            UnitAction::ResetFailed => {
                if unit.active.as_deref() == Some("failed") {
                    self.set_activity(name, "inactive", "dead");
                }
                #[cfg(feature = "sim")]
                self.note(name, |runtime| runtime.history.recent_starts.clear());
                Ok(())
            }
            UnitAction::Enable | UnitAction::Disable | UnitAction::Mask | UnitAction::Unmask => {
                self.link_unit(name, action)?;
                self.reload_units()
            }
        }
    }

    /// Fails unless a unit still runs, or ends by itself.
    pub(crate) fn require_up(&self, name: &str) -> Result<()> {
        let unit = self.unit(name)?;
        if unit.is_active() || unit.ends_by_itself && unit.active.as_deref() != Some("failed") {
            return Ok(());
        }
        Err(does_not_run(name, unit.active.as_deref().unwrap_or("inactive")))
    }

    /// Starts, restarts, reloads or stops a unit, and nothing else with it.
    fn foresee_unit(&self, name: &str, unit: &UnitState, action: UnitAction) -> Result<()> {
        if action == UnitAction::Stop {
            if !matches!(unit.active.as_deref(), None | Some("inactive" | "failed")) {
                self.set_activity(name, "inactive", "dead");
            }
            return Ok(());
        }
        self.refuse_masked(name, unit)?;
        let stays = action == UnitAction::Start || action == UnitAction::Reload && unit.can_reload;
        if !(stays && unit.is_active()) {
            let (active, sub) = if unit.ends_by_itself { ("inactive", "dead") } else { ("active", "running") };
            self.set_activity(name, active, sub);
            self.note_start(name, unit, true);
        }
        Ok(())
    }

    /// Notes that a unit was started now, in vain or not.
    pub(crate) fn note_start(&self, name: &str, unit: &UnitState, has_started: bool) {
        let now = self.now().monotonic_micros;
        let change = self.model().change;
        self.note(name, |runtime| {
            runtime.loaded = runtime.loaded.max(if unit.file_state.starts_with("enabled") { 0 } else { change });
            if has_started {
                runtime.starts += 1;
                runtime.started_micros = Some(now);
                if let Some(given) = &mut runtime.given {
                    given.starts += 1;
                    given.started_micros = Some(now);
                }
            }
        });
    }

    pub(crate) fn refuse_masked(&self, name: &str, unit: &UnitState) -> Result<()> {
        if unit.is_masked() {
            return Err(Error::new(ErrorKind::Conflict, format!("{name} is masked")));
        }
        if matches!(unit.load.as_str(), "bad-setting" | "error") {
            return Err(Error::new(ErrorKind::Invalid, format!("{name} cannot be loaded ({})", unit.load)));
        }
        Ok(())
    }
}

pub(crate) fn does_not_run(unit: &str, why: &str) -> Error {
    Error::new(ErrorKind::CommandFailed, format!("{unit} does not run ({why})"))
}
