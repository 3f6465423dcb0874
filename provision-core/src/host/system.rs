//! Which operating system a host has, and for which architecture.

use serde::{Deserialize, Serialize};

use super::{HostView, HostViewExt};
use crate::error::{Error, ErrorKind, Result};
use crate::path::HostPath;

/// The operating system, from `os-release(5)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Os {
    /// `ID`: `debian`.
    pub id: String,
    /// `VERSION_ID`: `12`; empty for Debian unstable.
    pub version: String,
    /// `VERSION_CODENAME`: `bookworm`.
    pub codename: String,
}

impl Os {
    /// The operating system of a host that has to say which it has: a directory that does not was named by mistake.
    ///
    /// # Errors
    /// There is no `os-release(5)`, it does not set `ID`, or it cannot be read.
    pub fn require<H: HostView + ?Sized>(host: &H) -> Result<Os> {
        let missing = match os_release(host)?.map(|text| os_of(&text)) {
            Some(os) if !os.id.is_empty() => return Ok(os),
            Some(_) => "/etc/os-release does not set ID, so this is no Debian system",
            None => "/etc/os-release is missing, so this is no Debian system",
        };
        Err(Error::new(ErrorKind::Unsupported, missing).with_hint(
            "--root names the directory that has the `etc` of a Debian system in it; the package base-files brings \
             /etc/os-release, with `ID=debian`",
        ))
    }
}

/// `/etc/os-release` is a link by design, see `os-release(5)`.
fn os_release<H: HostView + ?Sized>(host: &H) -> Result<Option<String>> {
    for path in ["/usr/lib/os-release", "/etc/os-release"] {
        let is_link = host.read_link(&HostPath::new(path)?).is_ok_and(|target| target.is_some());
        if is_link {
            continue;
        }
        if let Some(text) = host.read_text(path)? {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

/// The operating system of a host; all fields are empty if it does not say.
pub(crate) fn os<H: HostView + ?Sized>(host: &H) -> Result<Os> {
    os_release(host).map(|text| os_of(&text.unwrap_or_default()))
}

pub(crate) fn os_of(text: &str) -> Os {
    let value = |key: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        found.unwrap_or_default().trim_matches('"').to_owned()
    };
    Os { id: value("ID"), version: value("VERSION_ID"), codename: value("VERSION_CODENAME") }
}

/// Debian's name of the architecture, as dpkg's own files tell it: the first of `/var/lib/dpkg/arch`, which is there once a
/// foreign one was added, or that of the package `dpkg`. See dpkg(1), `--print-architecture` and `--add-architecture`.
pub(crate) fn architecture<H: HostView + ?Sized>(host: &H) -> Result<Option<String>> {
    let text = |path: &str| host.read_text(path).map(Option::unwrap_or_default);
    let first = text("/var/lib/dpkg/arch")?.lines().next().map(str::to_owned);
    Ok(first.or(native_architecture(&text("/var/lib/dpkg/status")?)))
}

/// The architecture of the package `dpkg`, of the text of dpkg's status.
pub fn native_architecture(status: &str) -> Option<String> {
    let start = if status.starts_with("Package: dpkg\n") { 0 } else { status.find("\nPackage: dpkg\n")? + 1 };
    let record = status[start..].split("\n\n").next()?;
    record.lines().find_map(|line| line.strip_prefix("Architecture: ")).map(str::to_owned)
}
