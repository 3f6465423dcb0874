//! Stopping and restarting units, with those that go when they go.

use super::definition::Dependency;
use crate::effect::UnitAction;
use crate::error::Result;
use crate::host::{HostView, HostViewExt, UnitIndex, UnitState};
use crate::sim::Machine;

impl Machine<'_> {
    /// Whether a unit runs, by the name of its file.
    pub(in crate::sim) fn runs(&self, id: &str) -> Result<bool> {
        let known = self.model().units.get(id).and_then(|runtime| match (&runtime.given, &runtime.activity) {
            (Some(given), _) => Some(given.is_active()),
            (None, activity) => activity.as_ref().map(|(active, _)| active == "active"),
        });
        match known {
            Some(runs) => Ok(runs),
            None => Ok(self.base().unit(id)?.is_active()),
        }
    }

    /// Stops a unit with those that go with it.
    pub(in crate::sim) fn stop(&self, name: &str) -> Result<()> {
        let stopped = self.take_down(name)?;
        for name in &stopped {
            self.note(name, |runtime| runtime.history.stops += 1);
        }
        for name in self.upheld(&stopped)? {
            let _ = self.start_needed(&name, &mut Vec::new());
        }
        Ok(())
    }

    /// Stops a unit and starts it again; those that go with it come back with it, if they ran.
    pub(in crate::sim) fn restart(&self, name: &str, unit: &UnitState) -> Result<()> {
        self.refuse_masked(name, unit)?;
        let stopped = self.take_down(name)?;
        let started = self.start(name, UnitAction::Restart, &mut Vec::new());
        for other in &stopped {
            let id = self.id_of(name);
            if *other == id {
                if started.is_ok() {
                    self.note(other, |runtime| runtime.history.restarts += 1);
                }
            } else if self.start(other, UnitAction::Restart, &mut Vec::new()).is_ok() {
                self.note(other, |runtime| runtime.history.restarts += 1);
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
        let mut looked_at = 0;
        let mut gone = vec![id.to_owned()];
        while let Some(name) = gone.get(looked_at).cloned() {
            looked_at += 1;
            for unit in self.running_referrers(&name, Dependency::GoesWith)? {
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
        for name in stopped {
            if !self.running_referrers(name, Dependency::Upholds)?.is_empty() {
                upheld.push(name.clone());
            }
        }
        Ok(upheld)
    }

    /// The units that run and name another one in this way: in their files, or by links.
    fn running_referrers(&self, name: &str, dependency: Dependency) -> Result<Vec<String>> {
        let mut running = Vec::new();
        for unit in self.linked_from(name, dependency)? {
            if self.runs(&unit)? {
                running.push(unit);
            }
        }
        for unit in self.referrers(name)? {
            let Some(definition) = self.definition(&unit)? else { continue };
            let names_it = |other: &&str| *other == name || self.id_of(other) == name;
            if definition.dependencies(dependency).iter().any(names_it) && self.runs(&definition.id)? {
                running.push(definition.id.clone());
            }
        }
        running.sort_unstable();
        running.dedup();
        Ok(running)
    }

    /// The units that have a link to another one in a directory that says this, as `app.service.requires`.
    fn linked_from(&self, name: &str, dependency: Dependency) -> Result<Vec<String>> {
        let says =
            |directory: &str| directory.rsplit_once('.').is_some_and(|(_, pulls)| dependency.links().contains(&pulls));
        let mut units = Vec::new();
        for directory in self.link_directories(&says)? {
            if self.metadata(&directory.join(name)?)?.is_some() {
                units.extend(directory.name().rsplit_once('.').map(|(unit, _)| unit.to_owned()));
            }
        }
        Ok(units)
    }
}
