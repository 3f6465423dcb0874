//! What keeps a user, or its home directory, from being removed.

use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{FileKind, HostView, HostViewExt, User as Found};
use provision_core::path::HostPath;

/// Directories of the system, in and below which no user is at home; see hier(7).
const OF_THE_SYSTEM: [&str; 12] =
    ["/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr", "/var/lib/dpkg"];

/// Directories that hold those of users, and belong to no user alone.
const SHARED: [&str; 12] = [
    "/var/backups",
    "/var/cache",
    "/var/lib",
    "/var/lib/apt",
    "/var/local",
    "/var/log",
    "/var/mail",
    "/var/opt",
    "/var/run",
    "/var/spool",
    "/var/tmp",
    "/var/www",
];

/// Refuses what would harm others, and what userdel(8) would leave half done: it removes the user first, and then ends with
/// an error if the home directory or the mail spool is not the user's own.
pub(super) fn refuse_harm(user: &Found, remove_home: bool, host: &dyn HostView) -> Result<()> {
    if user.uid == 0 {
        return Err(Error::new(ErrorKind::Refused, format!("user {} is root by its number, 0", user.name)));
    }
    if !remove_home {
        return Ok(());
    }
    let home = HostPath::new(&user.home)?;
    match harm(user, &home, host)? {
        None => Ok(()),
        Some(why) => Err(Error::new(ErrorKind::Refused, why).with_hint("leave `remove_home` out")),
    }
}

/// Whom or what it would harm to remove a user with its home directory.
fn harm(user: &Found, home: &HostPath, host: &dyn HostView) -> Result<Option<String>> {
    let name = &user.name;
    let is_within = |directory: &&str| HostPath::new(directory).is_ok_and(|directory| home.is_within(&directory));
    let is_top = home.parent().is_none_or(|above| above.as_str() == "/");
    if is_top || OF_THE_SYSTEM.iter().any(is_within) || SHARED.contains(&home.as_str()) {
        return Ok(Some(format!("the home directory of user {name} is {home}, which is not its own")));
    }
    let accounts = host.accounts()?;
    for other in accounts.users.values().filter(|other| other.name != *name) {
        let theirs = HostPath::new(&other.home);
        if theirs.is_ok_and(|theirs| theirs.is_within(home)) {
            return Ok(Some(format!("user {} has its home directory in {home} as well as user {name}", other.name)));
        }
    }
    let is_own = |owner: &str| owner == name || accounts.users.get(owner).is_some_and(|owner| owner.uid == user.uid);
    if let Some(found) = host.metadata(home)? {
        if found.kind != FileKind::Directory {
            return Ok(Some(format!("the home directory {home} of user {name} is {}", found.kind.noun())));
        }
        if !is_own(&found.access.owner) {
            let owner = &found.access.owner;
            return Ok(Some(format!("the home directory {home} of user {name} belongs to {owner}")));
        }
        let above = home.parent().map(|above| host.metadata(&above)).transpose()?.flatten();
        if above.is_some_and(|above| above.mount != found.mount) {
            return Ok(Some(format!("something is mounted on the home directory {home} of user {name}")));
        }
    }
    let spool = HostPath::new(&format!("/var/mail/{name}"))?;
    let owner = host.metadata(&spool)?.map(|found| found.access.owner);
    Ok(owner.filter(|owner| !is_own(owner)).map(|owner| format!("the mail spool {spool} belongs to {owner}")))
}
