//! Units that are made from init scripts: `systemd-sysv-generator(8)`, and what `update-rc.d(8)` makes of enabling them.

use super::UnitFiles;
use crate::error::Result;
use crate::path::HostPath;

/// An init script that a unit is made from.
#[derive(Clone, Debug)]
pub(crate) struct SysvScript {
    /// Its name in `/etc/init.d`.
    pub(crate) name: String,
    /// Whether it starts at boot, as systemd-sysv-install(8) tells.
    is_enabled: bool,
}

impl SysvScript {
    /// What `systemctl is-enabled` says of it; `UnitFileState` is always `generated`.
    pub(crate) fn file_state(&self) -> &'static str {
        if self.is_enabled { "enabled" } else { "disabled" }
    }
}

/// The init script that a unit is made from. A unit file of the same name comes first; that is for the caller to know.
pub(crate) fn sysv_script(host: &(impl UnitFiles + ?Sized), unit: &str) -> Result<Option<SysvScript>> {
    let Some(name) = unit.strip_suffix(".service").filter(|name| !name.is_empty()) else { return Ok(None) };
    // One of a package that was removed may no longer be executed, and is no unit.
    if !host.is_program(&HostPath::new("/etc/init.d")?.join(name)?)? {
        return Ok(None);
    }
    let mut is_enabled = false;
    for level in ["S", "5"] {
        let links = host.names(&HostPath::new(&format!("/etc/rc{level}.d"))?)?.unwrap_or_default();
        is_enabled |= links.iter().any(|link| starts(link, name));
    }
    Ok(Some(SysvScript { name: name.to_owned(), is_enabled }))
}

/// Whether a link in a directory of a run level starts a script: `S01exim4`.
fn starts(link: &str, name: &str) -> bool {
    let number = link.strip_prefix('S').and_then(|rest| rest.strip_suffix(name));
    number.is_some_and(|number| number.len() == 2)
}
