//! Units: asked for all at once with `systemctl show`, or found in the directories of a system that does not run.

mod failure;
mod watch;

use std::collections::BTreeMap;
use std::time::Duration;

use provision_core::effect::{Command, UnitAction};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{LocalSystem, UnitState};
use provision_core::path::HostPath;

pub(super) use watch::watch_for;

/// Whether systemd runs here; see `sd_booted(3)`.
pub(super) fn is_running(system: &LocalSystem) -> Result<bool> {
    Ok(system.is_running() && system.kind(&HostPath::new("/run/systemd/system")?)?.is_some())
}

/// The states of units, in one question; in two if one of them is another name of a unit that is disabled.
pub(super) fn units(system: &LocalSystem, names: &[String]) -> Result<Vec<(String, UnitState)>> {
    let mut units = show(system, names)?;
    let is_missing = |state: &UnitState| !state.exists() && state.active.as_deref() == Some("inactive");
    if units.iter().any(|(_, state)| is_missing(state)) {
        let aliases = system.unit_aliases()?;
        let missing = units.iter().filter(|(_, state)| is_missing(state));
        let real: Vec<String> = missing.filter_map(|(name, _)| aliases.get(name).cloned()).collect();
        let real: BTreeMap<String, UnitState> =
            if real.is_empty() { BTreeMap::new() } else { show(system, &real)?.into_iter().collect() };
        for (name, state) in &mut units {
            if let Some((unit, found)) = aliases.get(name).and_then(|unit| real.get_key_value(unit))
                && is_missing(state)
            {
                *state = UnitState { alias_of: Some(unit.clone()), ..found.clone() };
            }
        }
    }
    for (name, state) in &mut units {
        // Its file is gone, and systemd has not read that yet.
        if state.file_state == "bad" && state.needs_reload && !system.has_unit_file(name)? {
            "not-found".clone_into(&mut state.load);
            state.file_state.clear();
        }
        if (!state.exists() || state.file_state == "generated")
            && let Some(found) = system.unit_file_state(name)?
        {
            state.file_state = found;
        }
    }
    let real = units.iter().filter_map(|(_, state)| {
        let unit = state.alias_of.clone()?;
        Some((unit, UnitState { alias_of: None, ..state.clone() }))
    });
    let real: Vec<(String, UnitState)> = real.collect();
    units.extend(real);
    Ok(units)
}

fn show(system: &LocalSystem, names: &[String]) -> Result<Vec<(String, UnitState)>> {
    let properties = "Id,LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,CanReload,Type,RemainAfterExit,\
        ExecMainStartTimestampMonotonic,InactiveExitTimestampMonotonic";
    let argv = ["systemctl", "show", "--no-pager", "-p", properties, "--"].map(str::to_owned);
    let output = system.run_ok(&Command::new(argv.into_iter().chain(names.iter().cloned())))?;
    // Blocks come in the order of the question, also for aliases, whose `Id` is another name.
    let blocks = output.stdout.trim_end().split("\n\n");
    Ok(names.iter().zip(blocks).map(|(name, block)| (name.clone(), parse(name, block))).collect())
}

/// The value of a property in what `systemctl show` said.
fn property<'t>(shown: &'t str, key: &str) -> &'t str {
    shown.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default()
}

fn parse(name: &str, block: &str) -> UnitState {
    let value = |key: &str| property(block, key).to_owned();
    UnitState {
        load: value("LoadState"),
        active: Some(value("ActiveState")),
        sub: Some(value("SubState")),
        alias_of: Some(value("Id")).filter(|id| !id.is_empty() && id != name),
        file_state: value("UnitFileState"),
        needs_reload: value("NeedDaemonReload") == "yes",
        can_reload: value("CanReload") == "yes",
        ends_by_itself: value("Type") == "oneshot" && value("RemainAfterExit") == "no",
        starts: 0,
        // The one is that of its main process, where it has one; the other that of the unit.
        started_micros: ["ExecMainStartTimestampMonotonic", "InactiveExitTimestampMonotonic"]
            .into_iter()
            .filter_map(|property| value(property).parse().ok().filter(|micros| *micros > 0))
            .max(),
    }
}

/// Reads the unit files anew, where a manager has read them.
pub(super) fn reload_units(system: &LocalSystem) -> Result<()> {
    if is_running(system)? {
        system.run_ok(&Command::new(["systemctl", "daemon-reload"]))?;
    }
    Ok(())
}

/// Changes the state of a unit and waits for the result of its job.
pub(super) fn act(system: &LocalSystem, unit: &str, action: UnitAction) -> Result<()> {
    let lasting = matches!(action, UnitAction::Enable | UnitAction::Disable | UnitAction::Mask | UnitAction::Unmask);
    if !lasting && !is_running(system)? {
        return Err(Error::new(ErrorKind::Unsupported, "no service manager runs here")
            .with_hint("without one, as in a root directory, units can be enabled, disabled and masked"));
    }
    if action == UnitAction::ResetFailed && !has_failed(system, unit)? {
        // systemctl(1) takes a unit that is not in memory for an error.
        return Ok(());
    }
    let verb = if action == UnitAction::Reload { "reload-or-restart" } else { action.verb() };
    let since = since_1970(system);
    let output = system.run(&Command::new(["systemctl", "--no-pager", verb, "--", unit]))?;
    let attempt = failure::Attempt { unit, action, since };
    let starts = matches!(action, UnitAction::Start | UnitAction::Restart | UnitAction::Reload);
    if output.success() {
        return if starts { watch::watch(system, &attempt) } else { Ok(()) };
    }
    if starts {
        return Err(attempt.failure(system, output.stderr.trim()));
    }
    Err(Error::new(ErrorKind::CommandFailed, format!("systemctl {verb} ended with exit code {}", output.code))
        .with_cause(output.stderr.trim()))
}

fn since_1970(system: &LocalSystem) -> Duration {
    Duration::from_micros(system.now().unix_micros.try_into().unwrap_or(0))
}

fn has_failed(system: &LocalSystem, unit: &str) -> Result<bool> {
    let ask = Command::new(["systemctl", "show", "--no-pager", "-p", "ActiveState", "--", unit]);
    Ok(property(&system.run_ok(&ask)?.stdout, "ActiveState") == "failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemctl_shows_becomes_a_state() {
        let state = parse(
            "b.service",
            "Type=oneshot\nRemainAfterExit=no\nId=a.service\nLoadState=loaded\nActiveState=failed\n\
            SubState=failed\nUnitFileState=static\nNeedDaemonReload=yes\nCanReload=no",
        );
        assert!(state.exists() && state.needs_reload && state.ends_by_itself && !state.is_active());
        assert_eq!((state.active.as_deref(), state.file_state.as_str()), (Some("failed"), "static"));
        assert_eq!(state.alias_of.as_deref(), Some("a.service"));
    }
}
