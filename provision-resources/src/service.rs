//! `service`: a unit runs, and starts at boot, or neither.

mod refusals;
#[cfg(test)]
mod tests;

use derive_setters::Setters;
use provision_core::duration::Duration;
use provision_core::effect::{Effect, PlatformEffect, UnitAction};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{Host, HostViewExt, UnitState};
use provision_core::path::HostPath;
use provision_core::resource::{
    ApplyContext, AttributeError, CheckContext, Claim, PlanContext, Resource, ResourceId, Stage, Target,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use refusals::{can_be_enabled, refuse_runtime_mask, refuse_to_enable, refuse_unusable};

/// A unit of systemd. `nginx` is short for `nginx.service`; sockets, timers, paths, mounts and targets are named in full,
/// and instances of templates too (`getty@tty2`). Another name of a unit (`Alias=`, as `sshd` on Debian) stands for that unit.
///
/// If neither `running` nor `enabled` is set, it runs and starts at boot. If only one of them is set, the other one is left as it
/// is: whoever stops a service for a day does not mean to enable it, and whoever enables one for the next boot may not want it now.
/// It is restarted when a resource notifies it. Where no service manager runs, as in a root directory or in `chroot(1)`, it is
/// only enabled, disabled or masked.
///
/// Units that cannot be enabled (`static`, `indirect`, `generated` and `transient` ones; see systemctl(1)) are left as they are,
/// unless `enabled = true` is set: that is an error, which says what to enable instead. Init scripts are enabled and disabled with
/// update-rc.d(8). A service that a socket, timer or path activates does not stay stopped: stop that unit too.
///
/// A service of `Type=oneshot` without `RemainAfterExit=yes` ends by itself, so that nothing tells whether it has run. It is started
/// when it is enabled, by this run or at boot, and when a resource notifies it, and otherwise only if it has failed. One that
/// cannot be enabled is what a timer, a socket or another unit starts; `running = true` is an error for it.
///
/// A unit that is started or restarted is watched for about a second, so that one which dies at once is reported, with what it
/// logged; `ready` makes that longer. Units that no run has started are not watched.
///
/// ```nickel
/// service.nginx = { on_change = 'reload },
/// service.app = { ready = "5s" },
/// service."apt-daily.timer" = { running = false, enabled = false },
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(into, strip_option)]
pub struct Service {
    /// Whether it runs. It does if neither this nor `enabled` is set, unless it is masked.
    pub running: Option<bool>,
    /// Whether it starts at boot. It does if neither this nor `running` is set, unless it is masked.
    pub enabled: Option<bool>,
    /// Whether it is impossible to start; such a unit neither runs nor starts at boot. A unit that is to run or to be enabled is
    /// unmasked; a mask on another one is left alone if this is unset.
    pub masked: Option<bool>,
    /// What happens when a resource that notifies it has changed: only if it runs, and was not started in this very run.
    pub on_change: Reaction,
    /// How long a unit must go on running that this run has started, restarted or reloaded, such as `"5s"`.
    pub ready: Option<Duration>,
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
    /// `None` where no units run, or if it is not managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    activity: Option<Activity>,
    /// `None` if it is not managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
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

    fn check(&self, cx: &CheckContext<'_>) -> Result<State> {
        let host = cx.host();
        let name = full_name(cx.id().name());
        let unit = host.unit(&name)?;
        let is_wanted = self.wanted_running() == Some(true) || self.wanted_enabled() == Some(true);
        if is_wanted {
            refuse_unusable(&name, &unit)?;
        }
        if self.wanted_masked().is_some() {
            refuse_runtime_mask(&name, &unit, self.wanted_masked() == Some(true))?;
        }
        if self.enabled == Some(true) && !unit.is_masked() {
            refuse_to_enable(&name, &unit)?;
        }
        if self.running == Some(true) && !unit.is_masked() && host.is_running() {
            self.refuse_to_keep_running(&name, &unit)?;
        }
        Ok(State {
            activity: self.wanted_running().filter(|_| host.is_running()).map(|wanted| self.activity(wanted, &unit)),
            // A link to a unit file elsewhere is not yet one that starts it.
            enabled: self.wanted_enabled().map(|wanted| {
                is_enabled(wanted, &unit) && !(self.enabled == Some(true) && unit.file_state.starts_with("linked"))
            }),
            masked: self.wanted_masked().map(|_| unit.is_masked()),
            outdated: unit.needs_reload && host.is_running(),
        })
    }

    fn plan(&self, _: &PlanContext<'_>, now: &State) -> Result<State> {
        let wanted = self.wanted_running() == Some(true);
        let activity = now.activity.map(|now| match (wanted, now) {
            (true, _) => Activity::Running,
            (false, Activity::Failed) => Activity::Failed,
            (false, _) => Activity::Stopped,
        });
        Ok(State { activity, enabled: self.wanted_enabled(), masked: self.wanted_masked(), outdated: false })
    }

    fn apply(&self, cx: &ApplyContext<'_>, now: &State, want: &State) -> Result<()> {
        let host = cx.host();
        let name = full_name(cx.id().name());
        if now.outdated {
            host.perform(&Effect::Platform(PlatformEffect::ReloadUnits))?;
        }
        let found = host.unit(&name)?;
        let name = found.alias_of.clone().unwrap_or(name);
        let act = |action| host.perform(&Effect::Platform(PlatformEffect::Unit { unit: name.clone(), action }));
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
        let unit = if unmasks { host.unit(&name)? } else { found };
        if unmasks && self.enabled == Some(true) {
            refuse_to_enable(&name, &unit)?;
        }
        let enables = match want.enabled {
            Some(wanted) if want.masked != Some(true) => {
                let enabled = if unmasks { Some(is_enabled(wanted, &unit)) } else { now.enabled };
                (enabled != want.enabled).then_some(wanted)
            }
            _ => None,
        };
        let starts = want.activity == Some(Activity::Running) && now.activity != want.activity;
        let start = || {
            if now.activity == Some(Activity::Failed) {
                // It may have been started too often; systemd.unit(5), StartLimitBurst.
                act(UnitAction::ResetFailed)?;
            }
            act(UnitAction::Start)?;
            self.watch(&name, host)
        };
        // Being enabled is what tells that one which ends by itself was started, so that comes last.
        if starts && unit.ends_by_itself {
            start()?;
        }
        match enables {
            Some(true) => act(UnitAction::Enable)?,
            Some(false) => act(UnitAction::Disable)?,
            None => {}
        }
        if starts && !unit.ends_by_itself { start() } else { Ok(()) }
    }

    fn react(&self, cx: &ApplyContext<'_>, before: &State) -> Result<()> {
        let host = cx.host();
        let started_now = before.activity.is_some_and(|activity| activity != Activity::Running);
        if self.on_change == Reaction::Nothing
            || self.wanted_running() == Some(false)
            || started_now
            || !host.is_running()
        {
            return Ok(());
        }
        let name = full_name(cx.id().name());
        let unit = host.unit(&name)?;
        // One that ends by itself is run again, but for one that nothing here decides about.
        let ended =
            self.wanted_running().is_some() && unit.ends_by_itself && unit.active.as_deref() == Some("inactive");
        let runs = unit.is_active() || unit.active.as_deref() == Some("refreshing") || ended;
        if !(runs || is_starting(&unit)) || unit.is_masked() {
            return Ok(());
        }
        if unit.needs_reload {
            host.perform(&Effect::Platform(PlatformEffect::ReloadUnits))?;
        }
        let action = match self.on_change {
            Reaction::Reload if unit.can_reload => UnitAction::Reload,
            _ => UnitAction::Restart,
        };
        let name = unit.alias_of.unwrap_or(name);
        host.perform(&Effect::Platform(PlatformEffect::Unit { unit: name.clone(), action }))?;
        self.watch(&name, host)
    }
}

impl Service {
    /// Whether it is to run; `None` leaves it as it is.
    fn wanted_running(&self) -> Option<bool> {
        self.running.or_else(|| self.unless_other(self.enabled))
    }

    /// Whether it is to start at boot; `None` leaves it as it is.
    fn wanted_enabled(&self) -> Option<bool> {
        self.enabled.or_else(|| self.unless_other(self.running))
    }

    /// What holds of `running` and `enabled` if it is unset: a mask decides about both, and one alone leaves the other as it is.
    fn unless_other(&self, other: Option<bool>) -> Option<bool> {
        match (self.masked, other) {
            (Some(true), _) => Some(false),
            (_, None) => Some(true),
            (_, Some(_)) => None,
        }
    }

    /// Whether it is to be masked; `None` leaves a mask alone.
    fn wanted_masked(&self) -> Option<bool> {
        let is_wanted = self.wanted_running() == Some(true) || self.wanted_enabled() == Some(true);
        self.masked.or(is_wanted.then_some(false))
    }

    fn watch(&self, name: &str, host: &dyn Host) -> Result<()> {
        if let Some(ready) = &self.ready {
            host.perform(&Effect::Platform(PlatformEffect::WatchUnit {
                unit: name.to_owned(),
                seconds: ready.as_seconds(),
            }))?;
        }
        Ok(())
    }

    /// What the unit does, as an answer to what it should do: on its way there it is not there yet.
    fn activity(&self, wanted: bool, unit: &UnitState) -> Activity {
        let active = unit.active.as_deref().unwrap_or("inactive");
        if active == "failed" {
            return Activity::Failed;
        }
        // It was started when it was enabled, and at each boot since.
        let has_run = unit.ends_by_itself
            && (active == "inactive" || active == "activating")
            && (self.wanted_enabled().is_none() || is_enabled(true, unit));
        let runs = if wanted {
            // `refreshing` is new in systemd 257
            unit.is_active() || active == "refreshing" || (has_run && unit.exists() && !unit.is_masked())
        } else {
            active != "inactive"
        };
        if runs { Activity::Running } else { Activity::Stopped }
    }

    /// Refuses `running = true` for what ends by itself, and what nothing starts because of it.
    fn refuse_to_keep_running(&self, name: &str, unit: &UnitState) -> Result<()> {
        let is_started = self.wanted_enabled() == Some(true) && can_be_enabled(unit);
        if !unit.ends_by_itself || is_started {
            return Ok(());
        }
        let message = format!("{name} ends by itself (Type=oneshot), so it cannot be kept running");
        Err(Error::new(ErrorKind::Invalid, message).with_hint(
            "leave `running` out and let a timer, the boot (`enabled = true`) or a notification start it, or add \
            RemainAfterExit=yes to its unit file",
        ))
    }
}

/// Whether it starts at boot. What cannot be enabled counts as what is wanted. A mask hides whether a unit is enabled.
fn is_enabled(wanted: bool, unit: &UnitState) -> bool {
    match unit.file_state.as_str() {
        "enabled" => true,
        // Until the next boot only; see systemctl(1), enable --runtime.
        "enabled-runtime" | "disabled" => false,
        _ if unit.is_masked() || !unit.exists() => false,
        _ => wanted,
    }
}

fn is_starting(unit: &UnitState) -> bool {
    unit.active.as_deref() == Some("activating")
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
