//! `service`: a unit runs, and starts at boot, or neither.

#[cfg(test)]
mod tests;

use provision_core::effect::{Effect, UnitAction};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{Host, HostView, UnitState};
use provision_core::path::HostPath;
use provision_core::resource::{AttributeError, Claim, Resource, ResourceId, Stage, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A unit of systemd. `nginx` is short for `nginx.service`; sockets, timers, paths, mounts and targets are named in full,
/// and instances of templates too (`getty@tty2`).
///
/// Without attributes it runs, starts at boot, and is restarted when something notifies it. In a root directory nothing
/// runs; there it is only enabled, disabled or masked.
///
/// Units that cannot be enabled (`static`, `indirect`, `generated`, `alias`, `linked` and `transient` ones; see
/// systemctl(1)) are left as they are, whatever `enabled` says: enable what starts them, or the unit that an alias stands for.
/// A service that a socket, timer or path activates does not stay stopped: stop that unit too.
///
/// ```nickel
/// service.nginx = { on_change = 'reload },
/// service."apt-daily.timer" = { running = false, enabled = false },
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Service {
    /// Whether it runs. It does if this is not said, unless it is masked.
    pub running: Option<bool>,
    /// Whether it starts at boot. It does if this is not said, unless it is masked.
    pub enabled: Option<bool>,
    /// Whether it is impossible to start. A unit that is to run or to be enabled is unmasked; another one is left alone
    /// if this is not said.
    pub masked: Option<bool>,
    /// What happens when something that notifies it has changed: only if it runs, and was not started in this very run.
    pub on_change: Reaction,
}

/// What happens to a service when something that notifies it has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// It is restarted.
    #[default]
    Restart,
    /// It reads its configuration anew; if it cannot do that, it is restarted.
    Reload,
    /// Nothing.
    Nothing,
}

/// How a unit is, as far as its declaration cares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// `None` where no units run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    activity: Option<Activity>,
    enabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    masked: Option<bool>,
    /// Whether its file has changed since systemd read it.
    outdated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Activity {
    Running,
    Stopped,
    Failed,
}

/// The kinds of units that a name may end with; anything else is the name of a service, as for systemctl(1).
const SUFFIXES: [&str; 9] =
    [".service", ".socket", ".timer", ".path", ".mount", ".target", ".automount", ".swap", ".slice"];

impl Resource for Service {
    const TYPE: &'static str = "service";
    const STAGE: Stage = Stage::Services;
    type State = State;

    fn validate(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut errors = Vec::new();
        let unit = full_name(id.name());
        let (stem, _) = unit.rsplit_once('.').unwrap_or((&unit, ""));
        // systemd.unit(5)
        let plain = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
        if stem.is_empty() || stem.starts_with('@') || unit.len() > 255 || !unit.chars().all(plain) {
            let message = format!("{:?} is not the name of a unit", id.name());
            errors.push(AttributeError::new("", message).help("such as \"nginx\", \"ssh.socket\" or \"getty@tty2\""));
        } else if stem.ends_with('@') {
            let help = format!("name an instance, such as \"{stem}one\"");
            errors.push(AttributeError::new("", "a template cannot run").help(help));
        }
        for (attribute, wanted) in [("running", self.running), ("enabled", self.enabled)] {
            if self.masked == Some(true) && wanted == Some(true) {
                let message = format!("a masked unit cannot be {attribute}");
                errors.push(AttributeError::new(attribute, message).help("leave one of them out"));
            }
        }
        errors
    }

    fn claims(&self, id: &ResourceId) -> Vec<Claim> {
        let unit = full_name(id.name());
        let mut claims = vec![Claim::owns(Target::Unit(unit.clone()))];
        let stem = unit.split(['@', '.']).next().unwrap_or_default();
        claims.push(Claim::needs(Target::Package(stem.to_owned())));
        for name in [Some(unit.clone()), template_of(&unit)].into_iter().flatten() {
            let file = HostPath::new(&format!("/etc/systemd/system/{name}"));
            claims.extend(file.ok().map(|path| Claim::needs(Target::Path(path))));
        }
        claims
    }

    fn check(&self, id: &ResourceId, host: &dyn HostView) -> Result<State> {
        let name = full_name(id.name());
        let unit = host.unit(&name)?;
        if self.wants_running() || self.wants_enabled() {
            refuse_unusable(&name, &unit)?;
        }
        Ok(State {
            activity: host.is_running().then(|| self.activity(&unit)),
            enabled: self.is_enabled(&unit),
            masked: self.wants_masked().map(|_| unit.is_masked()),
            outdated: unit.needs_reload && host.is_running(),
        })
    }

    fn plan(&self, _: &ResourceId, now: &State) -> Result<State> {
        let activity = now.activity.map(|now| match (self.wants_running(), now) {
            (true, _) => Activity::Running,
            (false, Activity::Failed) => Activity::Failed,
            (false, _) => Activity::Stopped,
        });
        Ok(State { activity, enabled: self.wants_enabled(), masked: self.wants_masked(), outdated: false })
    }

    fn apply(&self, id: &ResourceId, now: &State, want: &State, host: &dyn Host) -> Result<()> {
        let name = full_name(id.name());
        let act = |action| host.perform(&Effect::Unit { unit: name.clone(), action });
        if now.outdated {
            host.perform(&Effect::ReloadUnits)?;
        }
        let unmasks = now.masked == Some(true) && want.masked == Some(false);
        if unmasks {
            act(UnitAction::Unmask)?;
        }
        if want.activity == Some(Activity::Stopped) && now.activity != want.activity {
            act(UnitAction::Stop)?;
        }
        if want.masked == Some(true) && now.masked == Some(false) {
            // Its links would start it again once it is unmasked.
            if host.unit(&name)?.file_state.starts_with("enabled") {
                act(UnitAction::Disable)?;
            }
            act(UnitAction::Mask)?;
        }
        // What the mask hid is seen only now.
        let enabled = if unmasks { self.is_enabled(&host.unit(&name)?) } else { now.enabled };
        match want.enabled {
            _ if want.masked == Some(true) => {}
            true if !enabled => act(UnitAction::Enable)?,
            false if enabled => act(UnitAction::Disable)?,
            _ => {}
        }
        if want.activity == Some(Activity::Running) && now.activity != want.activity {
            if now.activity == Some(Activity::Failed) {
                // It may have been started too often; systemd.unit(5), StartLimitBurst.
                act(UnitAction::ResetFailed)?;
            }
            act(UnitAction::Start)?;
        }
        Ok(())
    }

    fn react(&self, id: &ResourceId, before: &State, host: &dyn Host) -> Result<()> {
        let started_now = before.activity != Some(Activity::Running);
        if self.on_change == Reaction::Nothing || !self.wants_running() || started_now || !host.is_running() {
            return Ok(());
        }
        let name = full_name(id.name());
        let unit = host.unit(&name)?;
        let runs = self.activity(&unit) == Activity::Running || is_starting(&unit);
        if !runs || unit.is_masked() {
            return Ok(());
        }
        if unit.needs_reload {
            host.perform(&Effect::ReloadUnits)?;
        }
        let action = match self.on_change {
            Reaction::Reload if unit.can_reload => UnitAction::Reload,
            _ => UnitAction::Restart,
        };
        host.perform(&Effect::Unit { unit: name, action })?;
        Ok(())
    }
}

impl Service {
    fn wants_running(&self) -> bool {
        self.running.unwrap_or(self.masked != Some(true))
    }

    fn wants_enabled(&self) -> bool {
        self.enabled.unwrap_or(self.masked != Some(true))
    }

    /// `None` leaves a mask alone.
    fn wants_masked(&self) -> Option<bool> {
        self.masked.or((self.wants_running() || self.wants_enabled()).then_some(false))
    }

    /// What the unit does, as an answer to what it should do: on its way there it is not there yet.
    fn activity(&self, unit: &UnitState) -> Activity {
        let active = unit.active.as_deref().unwrap_or("inactive");
        if active == "failed" {
            return Activity::Failed;
        }
        let has_run = unit.ends_by_itself && (active == "inactive" || active == "activating");
        let runs = if self.wants_running() {
            // `refreshing` is new in systemd 257
            unit.is_active() || active == "refreshing" || (has_run && unit.exists() && !unit.is_masked())
        } else {
            active != "inactive"
        };
        if runs { Activity::Running } else { Activity::Stopped }
    }

    /// What cannot be enabled counts as what is wanted. A mask hides whether a unit is enabled.
    fn is_enabled(&self, unit: &UnitState) -> bool {
        match unit.file_state.as_str() {
            "enabled" => true,
            // Until the next boot only; see systemctl(1), enable --runtime.
            "enabled-runtime" | "disabled" => false,
            _ if unit.is_masked() || !unit.exists() => false,
            _ => self.wants_enabled(),
        }
    }
}

fn is_starting(unit: &UnitState) -> bool {
    unit.active.as_deref() == Some("activating")
}

fn refuse_unusable(name: &str, unit: &UnitState) -> Result<()> {
    if !unit.exists() {
        let stem = name.split(['@', '.']).next().unwrap_or_default();
        return Err(Error::new(ErrorKind::NotFound, format!("there is no unit {name}")).with_hint(format!(
            "declare the package that brings it (`package.{stem}`?) or its unit file, or correct the name"
        )));
    }
    if matches!(unit.load.as_str(), "bad-setting" | "error") || unit.file_state == "bad" {
        let message = format!("systemd cannot load {name} ({})", unit.load);
        return Err(Error::new(ErrorKind::Invalid, message)
            .with_hint(format!("`systemd-analyze verify {name}` says what is wrong with its file")));
    }
    Ok(())
}

/// The name with its suffix.
fn full_name(name: &str) -> String {
    match SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
        true => name.to_owned(),
        false => format!("{name}.service"),
    }
}

/// `getty@.service` for `getty@tty2.service`.
fn template_of(unit: &str) -> Option<String> {
    let (stem, rest) = unit.split_once('@')?;
    let (_, suffix) = rest.rsplit_once('.')?;
    Some(format!("{stem}@.{suffix}"))
}
