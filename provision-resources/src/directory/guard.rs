//! The directories that are never removed, purged or given to one owner.

use provision_core::path::HostPath;

/// Directories of the system: never removed, never purged.
///
/// Beside these: `/lib` and its likes, everything directly in `/usr`, and everything in `/boot`, `/dev`, `/proc`, `/sys`,
/// `/var/lib/dpkg` and `/var/lib/provision`.
const OF_THE_SYSTEM: &[&str] = &[
    "/",
    "/bin",
    "/etc",
    "/etc/alternatives",
    "/etc/apt",
    "/etc/default",
    "/etc/init.d",
    "/etc/initramfs-tools",
    "/etc/network",
    "/etc/pam.d",
    "/etc/security",
    "/etc/ssh",
    "/etc/ssl",
    "/etc/systemd",
    "/etc/systemd/system",
    "/home",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/tmp",
    "/usr",
    "/var",
    "/var/backups",
    "/var/cache",
    "/var/cache/apt",
    "/var/lib",
    "/var/lib/apt",
    "/var/lib/systemd",
    "/var/log",
    "/var/mail",
    "/var/spool",
    "/var/tmp",
];

/// Everything in here is of the system too.
const WITH_ALL_IN_IT: &[&str] = &["/boot", "/dev", "/proc", "/sys", "/var/lib/dpkg", "/var/lib/provision"];

/// Of these, a host may have given all that is in them to one owner.
const FOR_LOCAL_USE: &[&str] = &["/media", "/mnt", "/opt", "/root", "/srv", "/usr/local"];

/// Whether a directory is never removed and never purged.
pub(super) fn is_of_the_system(path: &HostPath) -> bool {
    let text = path.as_str();
    let is_in = |above: &str| text.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let directly_in = |above: &str| path.parent().is_some_and(|parent| parent.as_str() == above);
    OF_THE_SYSTEM.contains(&text)
        || WITH_ALL_IN_IT.iter().any(|above| is_in(above))
        || directly_in("/usr")
        || (directly_in("/") && text.starts_with("/lib"))
}

/// Whether what lies in a directory belongs to many owners, so that it is never given to one.
pub(super) fn has_many_owners(path: &HostPath) -> bool {
    is_of_the_system(path) && !FOR_LOCAL_USE.contains(&path.as_str())
}
