//! What is recorded of a package: what it says of itself, what it ships, and what its scripts do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::record::PathTable;
use crate::host::{Group, User};
use crate::path::HostPath;

/// The first line of a file of recorded packages; each other line is a [`RecordedPackage`], sorted by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueHeader {
    /// Always [`CatalogueHeader::FORMAT`].
    pub format: String,
    /// `VERSION_ID` of the release, such as `12`.
    pub release: String,
    /// `VERSION_CODENAME` of the release, such as `bookworm`.
    pub codename: String,
    /// Architecture of all packages that are not `all`.
    pub architecture: String,
    /// How many lines follow.
    pub packages: usize,
}

impl CatalogueHeader {
    /// What the files of this version of the program say of themselves.
    pub const FORMAT: &str = "provision-packages/1";
}

/// A package: its fields in the words of `deb-control(5)`, what it ships, and what its maintainer scripts did when they ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordedPackage {
    /// Its name. Comes first in a line, so that a package is found without reading all of it.
    pub name: String,
    /// The version that the release has.
    pub version: String,
    /// `amd64` or `all`.
    pub architecture: String,
    /// `Essential`, or `Protected`: it may not be removed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub essential: bool,
    /// `Priority`, such as `required` or `optional`.
    pub priority: String,
    /// Bytes to fetch.
    pub size: u64,
    /// `Installed-Size`: KiB on disk.
    pub installed_size: u64,
    /// `Pre-Depends` and `Depends`, as they are written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub depends: String,
    /// `Recommends`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub recommends: String,
    /// `Conflicts`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub conflicts: String,
    /// `Breaks`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub breaks: String,
    /// `Replaces`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub replaces: String,
    /// `Provides`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub provides: String,
    /// What it ships; documentation, translations and the like are left out, and directories that an essential package
    /// ships as well.
    #[serde(skip_serializing_if = "PathTable::is_empty")]
    pub paths: PathTable,
    /// Its configuration files, see `deb-conffiles(5)`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conffiles: Vec<HostPath>,
    /// Whether it has a `postrm` script, see `deb-postrm(5)`: then dpkg does not forget it when it is removed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_postrm: bool,
    /// The texts of those shipped files that something may want to read: configuration, units, system users.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<HostPath, String>,
    /// What an installation did beyond that.
    #[serde(skip_serializing_if = "ScriptChanges::is_empty")]
    pub configure: ScriptChanges,
    /// What a removal did, beyond taking away what was shipped and is no configuration file.
    #[serde(skip_serializing_if = "ScriptChanges::is_empty")]
    pub remove: ScriptChanges,
    /// What a purge of the removed package did, beyond taking its configuration files away.
    #[serde(skip_serializing_if = "ScriptChanges::is_empty")]
    pub purge: ScriptChanges,
}

/// What maintainer scripts and triggers changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptChanges {
    /// Users that are new, with the numbers that they happened to get, or that were changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<User>,
    /// Groups that are new, without their members, or that got another number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// Users that came into groups: group, user.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<(String, String)>,
    /// Users that went.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users_gone: Vec<String>,
    /// Groups that went.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups_gone: Vec<String>,
    /// Paths that are new, or that were changed; of a shipped file perhaps the owner or the mode alone.
    #[serde(skip_serializing_if = "PathTable::is_empty")]
    pub paths: PathTable,
    /// Texts of small files among them: not those that were shipped or there before, nor what may be secret.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<HostPath, String>,
    /// Paths that went, each one by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths_gone: Vec<HostPath>,
    /// What the scripts asked the service manager for, in order: a verb of `systemctl(1)`, and a unit or nothing.
    /// `invoke-rc.d` before the verb says that invoke-rc.d(8) was the one who asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<(String, String)>,
}

impl ScriptChanges {
    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        *self == ScriptChanges::default()
    }
}
