//! What a host knows of its packages, and what a transaction would do to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{HostView, HostViewExt};
use crate::error::Result;

/// The state of a package, as `dpkg-query(1)` names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageState {
    /// Whether it is there.
    pub status: PackageStatus,
    /// The installed version, or the one whose configuration files remain.
    pub version: Option<String>,
    /// Whether upgrades leave it alone.
    pub hold: bool,
    /// Whether it came along with another package, so that it may go when no other package needs it; see `apt-mark(8)`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub automatic: bool,
    /// For a purely virtual package: the installed packages that provide it. A name that a package has, even if it is not
    /// installed, is that package's own; see Debian policy 3.6.
    pub provided_by: Vec<String>,
}

/// The name of a package without the qualifiers that mean the host's own architecture: its name, and `all`, which apt
/// takes for the same; see `apt-get(8)`.
///
/// # Errors
/// The package database cannot be read.
pub fn native_package_name<'n>(name: &'n str, host: &dyn HostView) -> Result<&'n str> {
    let Some((plain, architecture)) = name.split_once(':') else { return Ok(name) };
    let is_native = architecture == "all" || host.architecture()?.as_deref() == Some(architecture);
    Ok(if is_native { plain } else { name })
}

/// Every package that is known on a host, by `name` or `name:architecture`.
pub type PackageTable = BTreeMap<String, PackageEntry>;

/// What is known of a package on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageEntry {
    /// Whether it is there.
    pub status: PackageStatus,
    /// The installed version, or the one whose configuration files remain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether upgrades leave it alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hold: bool,
    /// Whether it came along with another package, so that it may go when nothing needs it; see `apt-mark(8)`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub automatic: bool,
}

/// Whether a package is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PackageStatus {
    /// Nothing of it.
    #[default]
    Absent,
    /// Only its configuration files.
    ConfigFiles,
    /// Unpacked or half-configured: an installation was interrupted.
    Interrupted,
    /// `install ok installed`.
    Installed,
}

/// How the package manager itself is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageManager {
    /// Packages whose installation was interrupted.
    pub interrupted: Vec<String>,
    /// Seconds since all package lists were last fetched with success; `None` if there are none.
    pub lists_age: Option<u64>,
    /// Whether the lists are not those of the package sources: a source was changed later, or the last fetch failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub are_lists_outdated: bool,
    /// Whether the lists were fetched in the run that is under way.
    #[serde(skip)]
    pub were_lists_fetched: bool,
}

/// What a transaction would do in full.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionPreview {
    /// Every package that would change, in the package manager's order.
    pub changes: Vec<PackageChange>,
    /// Bytes to fetch, where that is known.
    pub download_bytes: Option<u64>,
}

/// What happens to one package in a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageChange {
    /// Name, with `:architecture` where it is not the host's own.
    pub name: String,
    /// What happens.
    pub action: PackageAction,
    /// The version before, if it is installed.
    pub from: Option<String>,
    /// The version afterwards, if it is then installed.
    pub to: Option<String>,
}

/// What happens to one package in a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PackageAction {
    /// It is not installed now.
    Install,
    /// It goes to another version.
    Upgrade,
    /// It goes; its configuration files stay.
    Remove,
    /// It goes with its configuration files.
    Purge,
}
