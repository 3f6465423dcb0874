//! What effects on units do to the model: a small systemd, see `systemd.unit(5)` and `systemctl(1)`.

use std::sync::Arc;

use super::model::Node;
use super::seed::root_access;
use crate::effect::UnitAction;
use crate::error::{Error, ErrorKind, Result};
use crate::host::units::{self, Definition, Dependency, drop_in_directories, template_of};
use crate::host::{FileKind, HostView, Overlay, UnitState};
use crate::path::HostPath;

/// Whether a unit of a simulated host starts, restarts or reloads: an error says why not.
pub type UnitScript = Arc<dyn Fn(&dyn HostView, UnitAction) -> Result<()> + Send + Sync>;

/// What a unit does, and has done.
#[derive(Clone, Debug, Default)]
pub(in crate::host) struct Runtime {
    /// What a test says of a unit that has no file.
    pub(in crate::host) given: Option<UnitState>,
    /// `ActiveState` and `SubState`, once it was acted upon.
    pub(super) activity: Option<(String, String)>,
    /// `UnitFileState` of a unit whose file the model cannot read.
    file_state: Option<String>,
    pub(in crate::host) starts: u32,
    pub(in crate::host) stops: u32,
    pub(in crate::host) restarts: u32,
    pub(in crate::host) reloads: u32,
    started_micros: Option<u64>,
    /// The last change of unit files that it has seen.
    loaded: u64,
    /// When it was started, lately.
    recent_starts: Vec<u64>,
}

/// How often a unit may be started in so many microseconds; systemd-system.conf(5), DefaultStartLimitBurst.
const START_LIMIT: (usize, u64) = (5, 10_000_000);

impl<H: HostView> Overlay<H> {
    /// How a unit is.
    pub(super) fn unit_state(&self, name: &str) -> Result<UnitState> {
        let known = self.model().units.get(name).cloned();
        if let Some(given) = known.as_ref().and_then(|runtime| runtime.given.clone()) {
            return Ok(self.as_it_runs(given));
        }
        let definition = if self.declares(name) { Definition::load(self, name)? } else { None };
        let Some(definition) = definition else {
            let base = self.base.unit(name)?;
            let gone = self.is_simulated() && !self.is_recorded_alone(name)?;
            let state = match known {
                // Its file is gone, and it still runs.
                Some(runtime) if gone && runtime.runs() => {
                    let load = if self.has_unread_units() { "loaded" } else { "not-found" };
                    let state =
                        UnitState { load: load.to_owned(), needs_reload: load == "loaded", ..UnitState::not_found() };
                    runtime.over(state)
                }
                _ if gone => UnitState { active: Some("inactive".into()), ..UnitState::not_found() },
                Some(runtime) => runtime.over(base),
                None => base,
            };
            return Ok(self.as_it_runs(UnitState { needs_reload: self.is_outdated(name, &state), ..state }));
        };
        let runtime = self.model().units.get(&definition.id).cloned().unwrap_or_default();
        let base = self.base.unit(&definition.id)?;
        let state = UnitState {
            load: if definition.is_masked() { "masked" } else { "loaded" }.to_owned(),
            active: base.active.clone().or(Some("inactive".into())),
            sub: base.sub.clone().or(Some("dead".into())),
            file_state: units::file_state(self, &definition)?.to_owned(),
            needs_reload: base.needs_reload,
            can_reload: definition.can_reload(),
            ends_by_itself: definition.ends_by_itself(),
            starts: runtime.starts,
            started_micros: base.started_micros,
        };
        let state = runtime.over(state);
        Ok(self.as_it_runs(UnitState { needs_reload: self.is_outdated(&definition.id, &state), ..state }))
    }

    /// Whether unit files have changed since the service manager read them.
    fn has_unread_units(&self) -> bool {
        let model = self.model();
        model.units_read < model.change
    }

    fn as_it_runs(&self, state: UnitState) -> UnitState {
        match self.model().switched_off {
            true => UnitState { active: None, sub: None, needs_reload: false, ..state },
            false => state,
        }
    }

    /// Whether the model has to read the files of a unit: the host beneath knows nothing of what effects have changed.
    fn declares(&self, name: &str) -> bool {
        self.is_simulated() || self.has_changed(name)
    }

    /// Whether effects have changed the files of a unit, or the links to it.
    fn has_changed(&self, name: &str) -> bool {
        let template = template_of(name);
        let about = |path: &HostPath| {
            let is_it = |part: &str| {
                let part = part.strip_suffix(".d").unwrap_or(part);
                part == name || Some(part) == template.as_deref()
            };
            is_it(path.name()) || path.parent().is_some_and(|parent| is_it(parent.name()))
        };
        self.model().unit_changes.keys().any(about)
    }

    /// Whether a recorded unit never had a file, as those that are made at boot.
    fn is_recorded_alone(&self, name: &str) -> Result<bool> {
        Ok(self.base.unit(name)?.exists() && Definition::load(&self.base, name)?.is_none())
    }

    /// Whether the files of a unit that is in memory have changed since they were read.
    fn is_outdated(&self, name: &str, state: &UnitState) -> bool {
        let runs = !matches!(state.active.as_deref(), None | Some("inactive"));
        let in_memory = runs || state.file_state.starts_with("enabled");
        let model = self.model();
        let read = model.units.get(name).map_or(0, |runtime| runtime.loaded).max(model.units_read);
        let mut paths = drop_in_directories(name);
        for directory in units::DIRECTORIES {
            let names = [Some(name.to_owned()), template_of(name)];
            paths.extend(names.iter().flatten().filter_map(|name| HostPath::new(&format!("{directory}/{name}")).ok()));
        }
        let newer =
            |(path, change): (&HostPath, &u64)| *change > read && paths.iter().any(|other| path.is_within(other));
        in_memory && (model.unit_changes.iter().any(newer) || (state.needs_reload && model.units_read == 0))
    }

    /// The service manager reads all unit files.
    pub(super) fn reload_units(&self) {
        let mut model = self.model();
        model.change += 1;
        model.units_read = model.change;
        for runtime in model.units.values_mut() {
            if let Some(given) = &mut runtime.given {
                given.needs_reload = false;
            }
        }
    }

    pub(super) fn change_unit(&self, name: &str, action: UnitAction) -> Result<()> {
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
            UnitAction::Restart => {
                self.refuse_masked(name, &unit)?;
                let ran = unit.is_active();
                if ran {
                    self.stop(name, true)?;
                }
                self.start(name, action, &mut Vec::new())?;
                self.note(name, |runtime| runtime.restarts += u32::from(ran));
                Ok(())
            }
            UnitAction::Reload if unit.is_active() && unit.can_reload => {
                self.refuse_masked(name, &unit)?;
                self.play(name, action)?;
                self.note(name, |runtime| runtime.reloads += 1);
                Ok(())
            }
            // `systemctl reload-or-restart`
            UnitAction::Reload => self.change_unit(name, UnitAction::Restart),
            UnitAction::Stop => self.stop(name, false),
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

    fn refuse_masked(&self, name: &str, unit: &UnitState) -> Result<()> {
        if unit.is_masked() {
            return Err(Error::new(ErrorKind::Conflict, format!("{name} is masked")));
        }
        if matches!(unit.load.as_str(), "bad-setting" | "error") {
            return Err(Error::new(ErrorKind::Invalid, format!("{name} cannot be loaded ({})", unit.load)));
        }
        Ok(())
    }

    /// The name that the state of a unit is kept under.
    fn id_of(&self, name: &str) -> String {
        let given = self.model().units.get(name).is_some_and(|runtime| runtime.given.is_some());
        let definition = if given { None } else { Definition::load(self, name).ok().flatten() };
        definition.map_or_else(|| name.to_owned(), |definition| definition.id)
    }

    fn note(&self, name: &str, change: impl FnOnce(&mut Runtime)) {
        let id = self.id_of(name);
        change(self.model().units.entry(id).or_default());
    }

    fn set_activity(&self, name: &str, active: &str, sub: &str) {
        self.note(name, |runtime| match &mut runtime.given {
            Some(given) => (given.active, given.sub) = (Some(active.to_owned()), Some(sub.to_owned())),
            None => runtime.activity = Some((active.to_owned(), sub.to_owned())),
        });
    }

    /// Starts a unit with what it pulls in. One that runs is left alone.
    fn start(&self, name: &str, action: UnitAction, on_the_way: &mut Vec<String>) -> Result<()> {
        let unit = self.unit_state(name)?;
        self.refuse_masked(name, &unit)?;
        if unit.is_active() || on_the_way.iter().any(|other| other == name) {
            return Ok(());
        }
        on_the_way.push(name.to_owned());
        let given = self.model().units.get(name).is_some_and(|runtime| runtime.given.is_some());
        let simulated = self.is_simulated() && !given;
        let definition = if simulated { Definition::load(self, name)? } else { None };
        if let Some(definition) = &definition {
            if !self.conditions_hold(definition)? {
                return Ok(());
            }
            for other in definition.dependencies(Dependency::Conflicts) {
                if self.unit_state(other)?.is_active() {
                    self.stop(other, false)?;
                }
            }
            for other in definition.dependencies(Dependency::Requires) {
                self.start_needed(other, on_the_way).map_err(|error| {
                    Error::new(ErrorKind::CommandFailed, format!("{name} does not run: it needs {other}"))
                        .with_cause(error.to_string())
                })?;
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
            runtime.recent_starts.push(now);
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
            Ok(()) => definition.as_ref().map_or(given, Definition::started),
        };
        self.set_activity(name, active, sub);
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
        failed
    }

    fn start_needed(&self, name: &str, on_the_way: &mut Vec<String>) -> Result<()> {
        let unit = self.unit_state(name)?;
        if !unit.exists() {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no unit {name}")));
        }
        self.start(name, UnitAction::Start, on_the_way)
    }

    /// The units that one would like to run: said in its file, or by links.
    fn wanted_by(&self, unit: &Definition) -> Result<Vec<String>> {
        let mut names: Vec<String> = unit.dependencies(Dependency::Wants).into_iter().map(str::to_owned).collect();
        for directory in units::DIRECTORIES {
            let directory = HostPath::new(&format!("{directory}/{}.wants", unit.id))?;
            names.extend(self.list(&directory)?.unwrap_or_default());
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Stops a unit with those that cannot run without it.
    fn stop(&self, name: &str, comes_back: bool) -> Result<()> {
        let unit = self.unit_state(name)?;
        if matches!(unit.active.as_deref(), None | Some("inactive" | "failed")) {
            return Ok(());
        }
        self.set_activity(name, "inactive", "dead");
        if !comes_back {
            self.note(name, |runtime| runtime.stops += 1);
        }
        Ok(())
    }

    /// What a test says of starting or reloading a unit.
    fn play(&self, name: &str, action: UnitAction) -> Result<()> {
        let script = self.model().unit_scripts.get(name).cloned();
        match script {
            Some(script) => script(self, action).map_err(|error| match error.kind() {
                ErrorKind::CommandFailed => error,
                _ => does_not_run(name, &error.to_string()),
            }),
            None => Ok(()),
        }
    }

    /// Conditions that the model can decide; see `systemd.unit(5)`. The others hold.
    fn conditions_hold(&self, unit: &Definition) -> Result<bool> {
        let decided = ["ConditionPathExists", "ConditionPathIsDirectory", "ConditionFileIsExecutable"];
        for key in decided {
            for value in unit.values("Unit", key) {
                let (wanted, path) = match value.strip_prefix('!') {
                    Some(path) => (false, path),
                    None => (true, value),
                };
                let Ok(path) = HostPath::new(path.trim_start_matches('|')) else { continue };
                if self.leads_to(&path)?.is_some() != wanted {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Fails as systemd would, if the program, the user or the directory of a service is not there;
    /// the codes are those of `systemd.exec(5)`, "Process Exit Codes".
    fn require_parts(&self, name: &str, unit: &Definition) -> Result<()> {
        for line in unit.values("Service", "ExecStartPre").into_iter().chain(unit.values("Service", "ExecStart")) {
            let program = line.split_whitespace().next().unwrap_or_default();
            let plain = program.trim_start_matches(['@', ':', '+', '!', '|']);
            if plain.starts_with('-') || plain.contains(['%', '$']) {
                continue;
            }
            let found = match HostPath::new(plain) {
                Ok(path) => self.leads_to(&path)?,
                Err(_) => self.program(plain)?,
            };
            if found.is_none() {
                return Err(does_not_run(name, &format!("203/EXEC: there is no {plain}")));
            }
        }
        for (key, what) in [("User", "user"), ("Group", "group")] {
            let Some(value) = unit.value("Service", key).filter(|value| !value.contains('%')) else { continue };
            let dynamic = matches!(unit.value("Service", "DynamicUser"), Some("yes" | "true" | "1" | "on"));
            let known = value == "root"
                || value.parse::<u32>().is_ok()
                || match what {
                    "user" => self.accounts()?.users.contains_key(value),
                    _ => self.accounts()?.groups.contains_key(value),
                };
            if !known && !dynamic {
                let code = if key == "User" { "217/USER" } else { "216/GROUP" };
                return Err(does_not_run(name, &format!("{code}: there is no {what} {value}")));
            }
        }
        if let Some(value) = unit.value("Service", "WorkingDirectory")
            && let Ok(path) = HostPath::new(value)
            && self.leads_to(&path)?.is_none()
        {
            return Err(does_not_run(name, &format!("200/CHDIR: there is no {value}")));
        }
        for value in unit.values("Service", "EnvironmentFile") {
            if let Ok(path) = HostPath::new(value)
                && !value.contains(['*', '%'])
                && self.leads_to(&path)?.is_none()
            {
                return Err(does_not_run(name, &format!("resources: there is no {value}")));
            }
        }
        Ok(())
    }

    /// Enables, disables, masks or unmasks a unit.
    fn link_unit(&self, name: &str, action: UnitAction) -> Result<()> {
        let given = self.model().units.get(name).is_some_and(|runtime| runtime.given.is_some());
        let definition = if given { None } else { Definition::load(self, name)? };
        let mask = units::mask_of(name)?;
        match (action, definition) {
            (UnitAction::Enable, Some(unit)) => {
                if unit.is_masked() {
                    return Err(Error::new(ErrorKind::Conflict, format!("{name} is masked")));
                }
                self.enable(&unit, &mut Vec::new())
            }
            (UnitAction::Disable, Some(unit)) => self.disable(&unit, &mut Vec::new()),
            (UnitAction::Mask, definition) => {
                if let Some(found) = self.metadata(&mask)? {
                    if found.kind == FileKind::Symlink && self.read_link(&mask)?.as_deref() == Some("/dev/null") {
                        return Ok(());
                    }
                    return Err(Error::new(ErrorKind::Conflict, format!("{mask} is there already")));
                }
                self.keep_given(name, definition.is_some(), |given| {
                    "masked".clone_into(&mut given.load);
                    "masked".clone_into(&mut given.file_state);
                });
                self.make_directories(&mask)?;
                self.put_unsynced(
                    &mask,
                    Some(Node::new(FileKind::Symlink, root_access(0o777), Some("/dev/null".into()))),
                )
            }
            (UnitAction::Unmask, definition) => {
                self.keep_given(name, definition.is_some(), |given| {
                    "loaded".clone_into(&mut given.load);
                    "disabled".clone_into(&mut given.file_state);
                });
                let masks = self.metadata(&mask)?.is_some_and(|found| found.kind == FileKind::Symlink)
                    && self.read_link(&mask)?.as_deref() == Some("/dev/null");
                if masks { self.put_unsynced(&mask, None) } else { Ok(()) }
            }
            (UnitAction::Disable, None) if !self.unit_state(name)?.exists() => self.remove_links_to(name),
            // A unit without a file that the model can read.
            (action, None) => {
                let state = if action == UnitAction::Enable { "enabled" } else { "disabled" };
                self.keep_given(name, false, |given| state.clone_into(&mut given.file_state));
                self.note(name, |runtime| runtime.file_state = Some(state.to_owned()));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn keep_given(&self, name: &str, has_file: bool, change: impl FnOnce(&mut UnitState)) {
        if !has_file && let Some(given) = self.model().units.get_mut(name).and_then(|runtime| runtime.given.as_mut()) {
            change(given);
        }
    }

    fn enable(&self, unit: &Definition, done: &mut Vec<String>) -> Result<()> {
        done.push(unit.id.clone());
        for (link, target) in units::links_of(unit, &self.vendor_units()?)? {
            if self.metadata(&link)?.is_some() {
                continue;
            }
            self.make_directories(&link)?;
            self.put_unsynced(&link, Some(Node::new(FileKind::Symlink, root_access(0o777), Some(target.into()))))?;
        }
        for other in unit.words("Install", "Also") {
            if !done.iter().any(|name| name == other)
                && let Some(other) = Definition::load(self, other)?
            {
                self.enable(&other, done)?;
            }
        }
        Ok(())
    }

    fn disable(&self, unit: &Definition, done: &mut Vec<String>) -> Result<()> {
        done.push(unit.id.clone());
        self.remove_links_to(&unit.id)?;
        for other in unit.words("Install", "Also") {
            if !done.iter().any(|name| name == other)
                && let Some(other) = Definition::load(self, other)?
            {
                self.disable(&other, done)?;
            }
        }
        Ok(())
    }

    fn remove_links_to(&self, unit: &str) -> Result<()> {
        for link in units::links_to(self, &HostPath::new(units::DIRECTORIES[0])?, unit)? {
            self.put_unsynced(&link, None)?;
            if let Some(directory) = link.parent()
                && directory.as_str() != units::DIRECTORIES[0]
                && self.list(&directory)?.is_some_and(|names| names.is_empty())
            {
                self.put_unsynced(&directory, None)?;
            }
        }
        Ok(())
    }

    /// How systemd names the directory of packaged units: Debian 12 and older look through `/lib`.
    fn vendor_units(&self) -> Result<String> {
        let os = crate::facts::Facts::gather(self).map(|facts| facts.os).unwrap_or_default();
        let old = os.version.parse::<u32>().is_ok_and(|version| version <= 12);
        Ok(if old { "/lib/systemd/system" } else { "/usr/lib/systemd/system" }.to_owned())
    }

    /// Starts the host anew: what is enabled runs, and what ran at the recording and has no say in it.
    pub(in crate::host) fn boot(&self, at_boot: &[String]) -> Result<()> {
        let names: Vec<String> = {
            let mut model = self.model();
            for runtime in model.units.values_mut() {
                runtime.activity = Some(("inactive".into(), "dead".into()));
                runtime.recent_starts.clear();
                (runtime.started_micros, runtime.loaded) = (None, 0);
                if let Some(given) = &mut runtime.given {
                    let starts = given.file_state == "enabled" && !given.ends_by_itself;
                    let (active, sub) = if starts { ("active", "running") } else { ("inactive", "dead") };
                    (given.active, given.sub) = (Some(active.to_owned()), Some(sub.to_owned()));
                    given.started_micros = starts.then_some(self.base.now().monotonic_micros);
                    given.needs_reload = false;
                }
            }
            at_boot.to_vec()
        };
        self.reload_units();
        for name in names {
            let unit = self.unit_state(&name)?;
            let can_be_off = matches!(unit.file_state.as_str(), "disabled" | "masked");
            if !unit.exists() || can_be_off {
                self.set_activity(&name, "inactive", "dead");
            } else {
                self.note(&name, |runtime| runtime.activity = None);
            }
        }
        for target in ["multi-user.target", "sockets.target", "timers.target", "graphical.target", "sysinit.target"] {
            if let Some(target) = Definition::load(self, target)? {
                for unit in self.wanted_by(&target)? {
                    // What was recorded as off after a boot has its reasons, unless something has changed since.
                    if self.has_changed(&unit) || !self.base.unit(&unit)?.exists() {
                        let _ = self.start_needed(&unit, &mut Vec::new());
                    }
                }
            }
        }
        Ok(())
    }
}

impl Runtime {
    /// A unit without a file, in a state.
    pub(super) fn given(state: UnitState) -> Runtime {
        Runtime { given: Some(state), ..Runtime::default() }
    }

    fn runs(&self) -> bool {
        self.activity.as_ref().is_some_and(|(active, _)| active == "active")
    }

    /// A state with what was done since.
    fn over(&self, state: UnitState) -> UnitState {
        let mut state = UnitState { starts: self.starts, ..state };
        if let Some((active, sub)) = &self.activity {
            (state.active, state.sub) = (Some(active.clone()), Some(sub.clone()));
        }
        if let Some(file_state) = &self.file_state {
            file_state.clone_into(&mut state.file_state);
        }
        state.started_micros = self.started_micros.or(state.started_micros);
        state
    }
}

fn does_not_run(unit: &str, why: &str) -> Error {
    Error::new(ErrorKind::CommandFailed, format!("{unit} does not run ({why})"))
}
