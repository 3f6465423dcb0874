//! Units that die soon after they were started: seen for a moment by default, and for as long as a site asks.

use std::time::{Duration, Instant};

use provision_core::effect::{Command, UnitAction};
use provision_core::error::Result;
use provision_core::host::LocalSystem;

use super::failure::Attempt;
use super::property;

/// How long a service is watched that counts as started before its program has shown that it runs.
const SETTLE: Duration = Duration::from_millis(1200);

/// How often a unit that is watched is asked for.
const PACE: Duration = Duration::from_millis(100);

const PROPERTIES: &str = "Type,RemainAfterExit,ActiveState,SubState,NRestarts";

/// Watches a unit that was just started. A service of type `simple`, `exec`, `idle` or `forking` counts as started before its
/// program has done anything; the others say themselves when they are ready, see `systemd.service(5)`.
pub(super) fn watch(system: &LocalSystem, attempt: &Attempt<'_>) -> Result<()> {
    let first = shown(system, attempt.unit)?;
    let trusting = matches!(property(&first, "Type"), "simple" | "exec" | "idle" | "forking");
    follow(system, attempt, &first, if trusting { SETTLE } else { Duration::ZERO })
}

/// Watches a unit for that long: it must go on running.
pub(in crate::debian) fn watch_for(system: &LocalSystem, unit: &str, seconds: u64) -> Result<()> {
    let since = super::since_1970(system);
    let attempt = Attempt { unit, action: UnitAction::Reload, since: since.saturating_sub(SETTLE) };
    let first = shown(system, unit)?;
    follow(system, &attempt, &first, Duration::from_secs(seconds))
}

fn follow(system: &LocalSystem, attempt: &Attempt<'_>, first: &str, how_long: Duration) -> Result<()> {
    let restarts = |shown: &str| property(shown, "NRestarts").parse::<u32>().unwrap_or(0);
    // Starting a unit sets its count of automatic restarts to 0.
    let before = if attempt.action == UnitAction::Reload { restarts(first) } else { 0 };
    let deadline = Instant::now() + how_long;
    let mut now = first.to_owned();
    loop {
        let ends_by_itself = property(&now, "Type") == "oneshot" && property(&now, "RemainAfterExit") == "no";
        if restarts(&now) > before || property(&now, "SubState").starts_with("auto-restart") {
            return Err(attempt.restarts_for_ever(system, restarts(&now)));
        }
        match property(&now, "ActiveState") {
            "failed" => return Err(attempt.failure(system, "")),
            "inactive" if !ends_by_itself => return Err(attempt.failure(system, "")),
            _ => {}
        }
        if Instant::now() >= deadline {
            return Ok(());
        }
        std::thread::sleep(PACE.min(deadline.saturating_duration_since(Instant::now())));
        now = shown(system, attempt.unit)?;
    }
}

fn shown(system: &LocalSystem, unit: &str) -> Result<String> {
    let ask = Command::new(["systemctl", "show", "--no-pager", "-p", PROPERTIES, "--", unit]);
    Ok(system.run_ok(&ask)?.stdout)
}
