//! Starting the host anew.

use crate::error::Result;
use crate::host::HostViewExt;
use crate::sim::Machine;

impl Machine<'_> {
    /// Starts the host anew: what is enabled runs, and what ran at the recording and has no say in it.
    pub(in crate::sim) fn boot(&self, at_boot: &[String]) -> Result<()> {
        let names: Vec<String> = {
            let now = self.base().now().monotonic_micros;
            self.given(|given| given.booted_micros = now);
            let mut model = self.model();
            for runtime in model.units.values_mut() {
                runtime.activity = Some(("inactive".into(), "dead".into()));
                runtime.history.recent_starts.clear();
                (runtime.started_micros, runtime.history.ended_micros, runtime.history.triggered_micros) =
                    (None, None, None);
                runtime.loaded = 0;
                if let Some(given) = &mut runtime.given {
                    let starts = given.file_state == "enabled" && !given.ends_by_itself;
                    let (active, sub) = if starts { ("active", "running") } else { ("inactive", "dead") };
                    (given.active, given.sub) = (Some(active.to_owned()), Some(sub.to_owned()));
                    given.started_micros = starts.then_some(now);
                    given.needs_reload = false;
                }
            }
            at_boot.to_vec()
        };
        self.reload_units()?;
        for name in names {
            let unit = self.unit_state(&name)?;
            let can_be_off = matches!(unit.file_state.as_str(), "disabled" | "masked");
            if !unit.exists() || can_be_off {
                self.set_activity(&name, "inactive", "dead");
            } else {
                self.note(&name, |runtime| runtime.activity = None);
            }
        }
        for target in ["sysinit.target", "sockets.target", "timers.target", "multi-user.target", "graphical.target"] {
            if let Some(target) = self.definition(target)? {
                for unit in self.wanted_by(&target)? {
                    // What was recorded as off after a boot has its reasons, unless something has changed since.
                    if self.has_changed(&unit) || !self.base().unit(&unit)?.exists() {
                        let _ = self.start_needed(&unit, &mut Vec::new());
                    }
                }
            }
        }
        Ok(())
    }
}
