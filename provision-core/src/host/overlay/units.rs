//! What effects on units do to the model.

use crate::effect::UnitAction;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{HostView, Overlay, UnitState};

impl<H: HostView> Overlay<H> {
    pub(super) fn change_unit(&self, name: &str, action: UnitAction) -> Result<()> {
        let mut unit = self.unit(name)?;
        let lasting = matches!(action, UnitAction::Mask | UnitAction::Unmask);
        if !unit.exists() && !lasting {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no unit {name}")));
        }
        let starts = matches!(action, UnitAction::Start | UnitAction::Restart | UnitAction::Reload);
        if unit.is_masked() && starts {
            return Err(Error::new(ErrorKind::Conflict, format!("{name} is masked")));
        }
        let set = |unit: &mut UnitState, active: &str, sub: &str| {
            unit.active = Some(active.to_owned());
            unit.sub = Some(sub.to_owned());
        };
        match action {
            UnitAction::Start | UnitAction::Restart if unit.ends_by_itself => {
                set(&mut unit, "inactive", "dead");
                unit.starts += 1;
            }
            UnitAction::Start | UnitAction::Restart => {
                set(&mut unit, "active", "running");
                unit.starts += 1;
            }
            UnitAction::Reload => set(&mut unit, "active", "running"),
            UnitAction::Stop | UnitAction::ResetFailed => set(&mut unit, "inactive", "dead"),
            UnitAction::Enable => "enabled".clone_into(&mut unit.file_state),
            UnitAction::Disable => "disabled".clone_into(&mut unit.file_state),
            UnitAction::Mask => {
                "masked".clone_into(&mut unit.load);
                "masked".clone_into(&mut unit.file_state);
            }
            UnitAction::Unmask => {
                "loaded".clone_into(&mut unit.load);
                "disabled".clone_into(&mut unit.file_state);
            }
        }
        if starts {
            unit.needs_reload = false;
        }
        if matches!(action, UnitAction::Start | UnitAction::Restart) {
            unit.started_micros = Some(self.now().monotonic_micros);
        }
        self.model().units.insert(name.to_owned(), unit);
        Ok(())
    }
}
