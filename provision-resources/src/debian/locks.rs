//! Waiting for other programs that change packages or accounts, and naming them.

use std::time::{Duration, Instant};

use provision_core::effect::{Lock, PlatformEffect};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::LocalSystem;
use provision_core::path::HostPath;

/// Locks of dpkg and apt. The files stay; only POSIX locks on them count. apt's own `DPkg::Lock::Timeout` waits for the
/// first two only.
const PACKAGES: [&str; 4] =
    ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock"];

/// The lock of `lckpwdf(3)`, which useradd(8) and its kin take.
const ACCOUNTS: [&str; 1] = ["/etc/.pwd.lock"];

/// The files whose locks keep the programs from work that an effect starts.
pub(super) fn of(effect: &PlatformEffect) -> &'static [&'static str] {
    // The first is what its program locks; the scripts of packages wait for the others themselves.
    match effect.locks().first() {
        Some(Lock::Packages) => &PACKAGES,
        Some(Lock::Accounts) => &ACCOUNTS,
        Some(Lock::Units) | None => &[],
    }
}

/// Waits until no process holds any of these locks.
pub(super) fn wait(system: &LocalSystem, files: &[&str], patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    let mut announced = None;
    loop {
        let Some((file, process)) = holder(system, files)? else { return Ok(()) };
        let name = system.process_name(process).unwrap_or_else(|| "another program".to_owned());
        if Instant::now() >= deadline {
            return Err(Error::new(ErrorKind::Locked, format!("{name} (process {process}) has locked {file}"))
                .with_hint(format!(
                    "it did not let go within {} seconds; wait for it, or end it",
                    patience.as_secs()
                )));
        }
        if announced != Some(process) {
            system.progress(&format!("waiting for {name} (process {process}), which has locked {file}"));
            announced = Some(process);
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}

fn holder<'a>(system: &LocalSystem, files: &[&'a str]) -> Result<Option<(&'a str, i32)>> {
    for file in files {
        if let Some(process) = system.lock_holder(&HostPath::new(file)?)? {
            return Ok(Some((file, process)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It had been left out of a list that was written twice.
    #[test]
    fn a_change_of_members_waits_for_other_programs() {
        let members = PlatformEffect::SetMembers { group: "www".into(), members: vec!["anna".into()] };
        assert_eq!(of(&members), ACCOUNTS);
        assert_eq!(of(&PlatformEffect::RepairPackages), PACKAGES);
        assert!(of(&PlatformEffect::ReloadUnits).is_empty());
    }
}
