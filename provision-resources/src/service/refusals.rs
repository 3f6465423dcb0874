//! What a unit cannot be, and what helps.

use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::UnitState;

/// Refuses a unit that is not there, or that systemd cannot load.
pub(super) fn refuse_unusable(name: &str, unit: &UnitState) -> Result<()> {
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

/// Whether systemctl(1) can enable it, or has.
pub(super) fn can_be_enabled(unit: &UnitState) -> bool {
    matches!(unit.file_state.as_str(), "enabled" | "enabled-runtime" | "disabled" | "linked" | "linked-runtime")
}

/// Refuses to enable what has nothing that could be enabled, and says what to enable instead.
pub(super) fn refuse_to_enable(name: &str, unit: &UnitState) -> Result<()> {
    if can_be_enabled(unit) || !unit.exists() || unit.is_masked() {
        return Ok(());
    }
    let (state, help) = match unit.file_state.as_str() {
        "indirect" => {
            ("it only names other units to enable (Also= in its [Install] section)", "enable one of those instead")
        }
        "static" => (
            "its [Install] section says nothing of when to start it",
            "enable the timer, socket or other unit that starts it, or add `[Install]` with `WantedBy=multi-user.target` in a file \
            below /etc/systemd/system",
        ),
        "generated" => ("a generator makes it at boot", "change what it is generated from, such as /etc/fstab"),
        _ => ("it has no unit file that could be enabled", "give it a unit file with an [Install] section"),
    };
    let hint = format!("{help}; leave `enabled` out to have it as it is");
    Err(Error::new(ErrorKind::Invalid, format!("{name} cannot be enabled: {state}")).with_hint(hint))
}

/// A mask that goes with the next boot is an administrator's for the time being, and `systemctl unmask` does not see it.
pub(super) fn refuse_runtime_mask(name: &str, unit: &UnitState, masks: bool) -> Result<()> {
    if masks || unit.file_state != "masked-runtime" {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Conflict, format!("{name} is masked until the next boot (systemctl mask --runtime)"))
        .with_hint(format!("take the mask away with `systemctl unmask --runtime {name}`")))
}
