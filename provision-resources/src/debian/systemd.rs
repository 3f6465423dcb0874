//! Units: asked for all at once with `systemctl show`, or found in the directories of a system that does not run.

use std::time::{Duration, Instant};

use provision_core::effect::{Command, UnitAction};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{LocalSystem, UnitState};
use provision_core::path::HostPath;

/// Where unit files lie, the strongest first; see `systemd.unit(5)`.
const DIRECTORIES: [&str; 4] =
    ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// How long a unit that is taken for started at once is watched for an early death.
const WATCH: Duration = Duration::from_millis(300);

/// Whether systemd runs here; see `sd_booted(3)`.
pub(super) fn is_running(system: &LocalSystem) -> Result<bool> {
    Ok(system.is_running() && system.age(&HostPath::new("/run/systemd/system")?)?.is_some())
}

/// The states of units, in one question.
pub(super) fn units(system: &LocalSystem, names: &[String]) -> Result<Vec<(String, UnitState)>> {
    let properties = "Id,LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,CanReload,Type,RemainAfterExit,\
        ExecMainStartTimestampMonotonic,InactiveExitTimestampMonotonic";
    let argv = ["systemctl", "show", "--no-pager", "-p", properties, "--"].map(str::to_owned);
    let output = system.run_ok(&Command::new(argv.into_iter().chain(names.iter().cloned())))?;
    // Blocks come in the order of the question, also for aliases, whose `Id` is another name.
    let blocks = output.stdout.trim_end().split("\n\n");
    Ok(names.iter().cloned().zip(blocks.map(parse)).collect())
}

fn parse(block: &str) -> UnitState {
    let value = |key: &str| {
        let found = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        found.unwrap_or_default().to_owned()
    };
    UnitState {
        load: value("LoadState"),
        active: Some(value("ActiveState")),
        sub: Some(value("SubState")),
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

/// What the files of a system that does not run say of a unit.
pub(super) fn unit_offline(system: &LocalSystem, name: &str) -> Result<UnitState> {
    let Some((text, masked)) = unit_file(system, name)? else { return Ok(UnitState::not_found()) };
    let has = |line: &str| text.lines().any(|other| other.trim() == line);
    let file_state = match () {
        () if masked => "masked",
        () if is_wanted(system, name)? => "enabled",
        () if has("[Install]") => "disabled",
        () => "static",
    };
    Ok(UnitState {
        load: if masked { "masked" } else { "loaded" }.to_owned(),
        active: None,
        sub: None,
        file_state: file_state.to_owned(),
        needs_reload: false,
        can_reload: text.lines().any(|line| line.trim_start().starts_with("ExecReload=")),
        ends_by_itself: has("Type=oneshot") && !has("RemainAfterExit=yes") && !has("RemainAfterExit=true"),
        starts: 0,
        started_micros: None,
    })
}

/// The text of a unit file, and whether it is masked.
fn unit_file(system: &LocalSystem, name: &str) -> Result<Option<(String, bool)>> {
    let template = name
        .split_once('@')
        .and_then(|(stem, rest)| rest.rsplit_once('.').map(|(_, suffix)| format!("{stem}@.{suffix}")));
    for name in [Some(name), template.as_deref()].into_iter().flatten() {
        for directory in DIRECTORIES {
            let path = HostPath::new(&format!("{directory}/{name}"))?;
            match system.read(&path) {
                Ok(Some(content)) if content.bytes().is_empty() => return Ok(Some((String::new(), true))),
                Ok(Some(content)) => return Ok(Some((String::from_utf8_lossy(content.bytes()).into_owned(), false))),
                Ok(None) => {}
                // A link: to nothing it masks, to another unit it is an alias.
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    let target = system.read_link(&path)?.unwrap_or_default();
                    if target == "/dev/null" {
                        return Ok(Some((String::new(), true)));
                    }
                    let real = target.rsplit('/').next().unwrap_or_default();
                    return if real == name { Ok(Some((String::new(), false))) } else { unit_file(system, real) };
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(None)
}

/// Whether a link in `/etc/systemd/system` makes something want the unit; see `systemctl(1)`, enable.
fn is_wanted(system: &LocalSystem, name: &str) -> Result<bool> {
    let directory = "/etc/systemd/system";
    for entry in system.list(&HostPath::new(directory)?)?.unwrap_or_default() {
        let pulls = entry.ends_with(".wants") || entry.ends_with(".requires");
        if pulls && system.age(&HostPath::new(&format!("{directory}/{entry}/{name}"))?)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
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
        return Err(Error::new(ErrorKind::Unsupported, "no units run here")
            .with_hint("in a root directory units can be enabled, disabled and masked"));
    }
    let verb = if action == UnitAction::Reload { "reload-or-restart" } else { action.verb() };
    let output = system.run(&Command::new(["systemctl", "--no-pager", verb, "--", unit]))?;
    let starts = matches!(action, UnitAction::Start | UnitAction::Restart | UnitAction::Reload);
    if output.success() {
        return if starts { watch(system, unit) } else { Ok(()) };
    }
    if starts {
        return Err(failure(system, unit, output.stderr.trim()));
    }
    Err(Error::new(ErrorKind::CommandFailed, format!("systemctl {verb} ended with exit code {}", output.code))
        .with_cause(output.stderr.trim()))
}

/// A unit of type `simple` counts as started before its program has done anything, so one that dies at once is seen only
/// a moment later.
fn watch(system: &LocalSystem, unit: &str) -> Result<()> {
    let ask = Command::new(["systemctl", "show", "--no-pager", "-p", "Type,ActiveState", "--", unit]);
    let deadline = Instant::now() + WATCH;
    loop {
        let output = system.run_ok(&ask)?;
        let says = |line: &str| output.stdout.lines().any(|other| other == line);
        if says("ActiveState=failed") {
            return Err(failure(system, unit, ""));
        }
        let trusting = says("Type=simple") || says("Type=exec") || says("Type=idle");
        if !trusting || Instant::now() >= deadline {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Why a unit did not start, with its last words.
fn failure(system: &LocalSystem, unit: &str, said: &str) -> Error {
    let properties = "LoadState,ActiveState,Result,ExecMainStatus";
    let state = system.run(&Command::new(["systemctl", "show", "--no-pager", "-p", properties, "--", unit]));
    let state = state.map(|output| output.stdout.trim().replace('\n', ", ")).unwrap_or_default();
    let journal = Command::new(["journalctl", "--no-pager", "-q", "-o", "cat", "-n", "10", "-u", unit]);
    let journal = system.run(&journal).map(|output| output.stdout).unwrap_or_default();
    let cause = if journal.trim().is_empty() { said } else { journal.trim() };
    Error::new(ErrorKind::CommandFailed, format!("{unit} does not run ({state})"))
        .with_cause(cause)
        .with_hint(format!("`systemctl status {unit}` and `journalctl -u {unit}` have more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemctl_shows_becomes_a_state() {
        let state = parse(
            "Type=oneshot\nRemainAfterExit=no\nId=a.service\nLoadState=loaded\nActiveState=failed\n\
            SubState=failed\nUnitFileState=static\nNeedDaemonReload=yes\nCanReload=no",
        );
        assert!(state.exists() && state.needs_reload && state.ends_by_itself && !state.is_active());
        assert_eq!((state.active.as_deref(), state.file_state.as_str()), (Some("failed"), "static"));
    }
}
