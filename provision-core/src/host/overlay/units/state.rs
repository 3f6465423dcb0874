//! How units are: what their files say, and what they have done since.

use std::sync::Arc;

use super::Runtime;
use crate::error::Result;
use crate::host::units::{self, Definition, drop_in_directories, template_of};
use crate::host::{HostView, HostViewExt, Layer, UnitState};
use crate::path::HostPath;

impl Layer<'_> {
    /// A unit as its files declare it; read once until files of units change.
    pub(crate) fn definition(&self, name: &str) -> Result<Option<Arc<Definition>>> {
        if let Some(units) = self.base.unit_index()
            && !self.has_changed(name)
        {
            // What it does not know may be a link that leads somewhere by now.
            if let Some(known) = units.definition(name)?
                && !known.is_linked()
                && !self.has_changed(&known.id)
            {
                return Ok(Some(known));
            }
        }
        let changes = {
            let model = self.model();
            if let Some(known) = model.definitions.get(name) {
                return Ok(Some(Arc::clone(known)));
            }
            model.unit_file_changes
        };
        let Some(read) = Definition::load(self, name)?.map(Arc::new) else { return Ok(None) };
        let mut model = self.model();
        model.has_linked_units |= read.is_linked();
        if model.unit_file_changes == changes {
            model.definitions.insert(name.to_owned(), Arc::clone(&read));
        }
        Ok(Some(read))
    }

    /// Whether a unit is enabled, as its files and the links to it say; looked up once until these change.
    fn file_state(&self, unit: &Definition) -> Result<&'static str> {
        let changes = {
            let model = self.model();
            if let Some(known) = model.file_states.get(&unit.id) {
                return Ok(known);
            }
            model.unit_file_changes
        };
        let found = units::file_state(self, unit)?;
        let mut model = self.model();
        if model.unit_file_changes == changes {
            model.file_states.insert(unit.id.clone(), found);
        }
        Ok(found)
    }

    /// How a unit is.
    pub(crate) fn unit_state(&self, name: &str) -> Result<UnitState> {
        let known = self.model().units.get(name).cloned();
        if let Some(given) = known.as_ref().and_then(|runtime| runtime.given.clone()) {
            return Ok(self.as_it_runs(given));
        }
        let definition = if self.declares(name) { self.definition(name)? } else { None };
        let Some(definition) = definition else {
            let base = self.without_mask(name, self.base.unit(name)?)?;
            if let Some(unit) = base.alias_of {
                return Ok(UnitState { alias_of: Some(unit.clone()), ..self.unit_state(&unit)? });
            }
            if let Some(script) = self.simulated_script(name)? {
                let state = UnitState {
                    load: "loaded".to_owned(),
                    active: base.active.clone().or(Some("inactive".into())),
                    sub: base.sub.clone().or(Some("dead".into())),
                    file_state: script.file_state().to_owned(),
                    ..base
                };
                return Ok(self.as_it_runs(known.map_or_else(|| state.clone(), |runtime| runtime.over(state.clone()))));
            }
            if !base.exists()
                && let Some(unit) = self.unlinked_alias(name)?
            {
                return Ok(UnitState { alias_of: Some(unit.clone()), ..self.unit_state(&unit)? });
            }
            let gone = match self.base.unit_index() {
                Some(_) => !self.is_recorded_alone(name)?,
                // Nothing was behind the mask that is taken away.
                None => base.is_masked() && self.has_changed(name) && !units::is_generated(self, name)?,
            };
            let state = match known {
                // Its file is gone, and it still runs, or has failed.
                Some(runtime) if gone && (runtime.runs() || runtime.has_failed()) => {
                    let load = if self.has_unread_units() { "loaded" } else { "not-found" };
                    let state =
                        UnitState { load: load.to_owned(), needs_reload: load == "loaded", ..UnitState::not_found() };
                    runtime.over(state)
                }
                _ if gone && self.is_remembered(name)? => UnitState {
                    load: "loaded".to_owned(),
                    active: Some("inactive".into()),
                    sub: Some("dead".into()),
                    file_state: "enabled".to_owned(),
                    needs_reload: true,
                    ..UnitState::not_found()
                },
                _ if gone => UnitState { active: Some("inactive".into()), ..UnitState::not_found() },
                Some(runtime) => runtime.over(base),
                None => base,
            };
            let state = match state.exists() || !self.has_changed(name) {
                true => state,
                false => UnitState { file_state: self.state_of_links(name)?, ..state },
            };
            return Ok(self.as_it_runs(UnitState { needs_reload: self.is_outdated(name, &state), ..state }));
        };
        let runtime = self.model().units.get(&definition.id).cloned().unwrap_or_default();
        let base = self.base.unit(&definition.id)?;
        let state = UnitState {
            load: match () {
                () if definition.is_masked() => "masked",
                () if definition.is_bad() => "bad-setting",
                () => "loaded",
            }
            .to_owned(),
            active: base.active.clone().or(Some("inactive".into())),
            sub: base.sub.clone().or(Some("dead".into())),
            alias_of: Some(definition.id.clone()).filter(|id| id != name),
            file_state: self.file_state(&definition)?.to_owned(),
            needs_reload: base.needs_reload,
            can_reload: definition.can_reload(),
            ends_by_itself: definition.ends_by_itself(),
            starts: runtime.starts,
            started_micros: base.started_micros,
        };
        let mut state = runtime.over(state);
        if let Some(manager) = self.unit_model()
            && let Some(sub) = manager.sub_state(self, &definition, &state)?
        {
            state.sub = Some(sub.to_owned());
        }
        Ok(self.as_it_runs(UnitState { needs_reload: self.is_outdated(&definition.id, &state), ..state }))
    }

    /// Whether the service manager has not read yet that the file of a unit is gone, and something still wants the unit:
    /// what nothing refers to is forgotten at once; see `systemd.unit(5)`, `CollectMode=`.
    fn is_remembered(&self, name: &str) -> Result<bool> {
        let is_unread = {
            let model = self.model();
            let is_file = |path: &HostPath| path.parent().is_some_and(|parent| !units::pulls(parent.name()));
            let mut changes = model.unit_changes.iter();
            changes.any(|(path, change)| path.name() == name && is_file(path) && *change > model.units_read)
        };
        Ok(is_unread && self.is_running() && !units::links_to(self, &HostPath::new(units::ETC)?, name)?.is_empty())
    }

    /// Whether unit files have changed since the service manager read them.
    pub(crate) fn has_unread_units(&self) -> bool {
        let model = self.model();
        model.units_read < model.change
    }

    pub(crate) fn as_it_runs(&self, state: UnitState) -> UnitState {
        match self.base.is_running() {
            true => state,
            false => UnitState { active: None, sub: None, needs_reload: false, ..state },
        }
    }

    /// Whether the model has to read the files of a unit: the host beneath knows nothing of what effects have changed.
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.unit_model().is_some() || self.has_changed(name)
    }

    /// Whether effects have changed the files of a unit, or the links to it.
    pub(crate) fn has_changed(&self, name: &str) -> bool {
        let model = self.model();
        if model.unit_changes.is_empty() && !model.has_linked_units {
            return false;
        }
        let template = template_of(name);
        let about = |path: &HostPath| {
            let is_it = |part: &str| {
                let part = part.strip_suffix(".d").unwrap_or(part);
                part == name || Some(part) == template.as_deref()
            };
            is_it(path.name()) || path.parent().is_some_and(|parent| is_it(parent.name()))
        };
        model.has_linked_units || model.unit_changes.keys().any(about)
    }

    /// Whether a recorded unit never had a file, as those that are made at boot.
    pub(crate) fn is_recorded_alone(&self, name: &str) -> Result<bool> {
        let recorded = self.base.unit(name)?;
        // One that can be enabled had a file; the service manager had not read that it is gone.
        let is_forgotten = recorded.file_state == "enabled" && self.model().units_read > 0;
        let had_file = match self.base.unit_index() {
            Some(units) => units.definition(name)?.is_some(),
            None => Definition::load(self.base, name)?.is_some(),
        };
        Ok(recorded.exists() && !is_forgotten && !had_file)
    }

    /// Whether the files of a unit that is in memory have changed since they were read.
    pub(crate) fn is_outdated(&self, name: &str, state: &UnitState) -> bool {
        let runs = !matches!(state.active.as_deref(), None | Some("inactive"));
        let in_memory = runs || state.file_state.starts_with("enabled");
        let model = self.model();
        let read = model.units.get(name).map_or(0, |runtime| runtime.loaded).max(model.units_read);
        // The service manager itself knows what it has in memory.
        if state.needs_reload && model.units_read == 0 {
            return true;
        }
        if !in_memory || model.unit_changes.values().all(|change| *change <= read) {
            return false;
        }
        let mut paths = drop_in_directories(name);
        for directory in units::DIRECTORIES {
            let names = [Some(name.to_owned()), template_of(name)];
            paths.extend(names.iter().flatten().filter_map(|name| HostPath::new(&format!("{directory}/{name}")).ok()));
        }
        let newer =
            |(path, change): (&HostPath, &u64)| *change > read && paths.iter().any(|other| path.is_within(other));
        model.unit_changes.iter().any(newer)
    }

    /// The service manager reads all unit files.
    pub(crate) fn reload_units(&self) -> Result<()> {
        self.unit_model().map_or(Ok(()), |manager| manager.before_reload(self))?;
        let mut model = self.model();
        model.change += 1;
        model.units_read = model.change;
        for runtime in model.units.values_mut() {
            if let Some(given) = &mut runtime.given {
                given.needs_reload = false;
            }
        }
        Ok(())
    }

    /// The name that the state of a unit is kept under.
    pub(crate) fn id_of(&self, name: &str) -> String {
        let given = self.model().units.get(name).is_some_and(|runtime| runtime.given.is_some());
        let definition = if given { None } else { self.definition(name).ok().flatten() };
        definition.map_or_else(|| name.to_owned(), |definition| definition.id.clone())
    }

    pub(crate) fn note(&self, name: &str, change: impl FnOnce(&mut Runtime)) {
        let id = self.id_of(name);
        change(self.model().units.entry(id).or_default());
    }

    pub(crate) fn set_activity(&self, name: &str, active: &str, sub: &str) {
        #[cfg(feature = "sim")]
        let now = self.now().monotonic_micros;
        self.note(name, |runtime| {
            #[cfg(feature = "sim")]
            if active != "active" {
                runtime.history.ended_micros = Some(now);
            }
            match &mut runtime.given {
                Some(given) => (given.active, given.sub) = (Some(active.to_owned()), Some(sub.to_owned())),
                None => runtime.activity = Some((active.to_owned(), sub.to_owned())),
            }
        });
    }
}
