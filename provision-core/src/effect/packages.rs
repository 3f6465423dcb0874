//! Changes of packages that are carried out together.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Changes of packages that are carried out together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageTransaction {
    /// Packages to install or to bring to a version.
    pub install: Vec<PackageRequest>,
    /// Packages to remove; their configuration files stay.
    pub remove: Vec<String>,
    /// Packages to remove with their configuration files.
    pub purge: Vec<String>,
    /// Packages that upgrades shall leave alone from now on; done last.
    pub hold: Vec<String>,
    /// Packages that upgrades may change again; done first, so that a package in both lists can be changed.
    pub unhold: Vec<String>,
    /// Packages to mark as having come along with others, so that they go when nothing needs them; see `apt-mark(8)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub automatic: Vec<String>,
    /// Packages to mark as wanted for themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manual: Vec<String>,
    /// Packages that may not come along with others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// How the transaction is carried out.
    pub options: PackageOptions,
}

impl PackageTransaction {
    /// Whether it changes which packages, or which versions of them, are installed.
    pub fn changes_packages(&self) -> bool {
        !(self.install.is_empty() && self.remove.is_empty() && self.purge.is_empty())
    }

    /// Adds the changes of another transaction, if both can be carried out together.
    /// Otherwise the other is given back.
    pub fn merge(&mut self, other: PackageTransaction) -> Option<PackageTransaction> {
        let alike =
            self.options.recommends == other.options.recommends && self.options.conffiles == other.options.conffiles;
        if !alike && self.changes_packages() && other.changes_packages() {
            return Some(other);
        }
        if !self.changes_packages() {
            self.options.recommends = other.options.recommends;
            self.options.conffiles = other.options.conffiles;
        }
        self.options.allow_removals |= other.options.allow_removals;
        self.options.allow_downgrade |= other.options.allow_downgrade;
        extend(&mut self.install, other.install);
        for (all, more) in [
            (&mut self.remove, other.remove),
            (&mut self.purge, other.purge),
            (&mut self.hold, other.hold),
            (&mut self.unhold, other.unhold),
            (&mut self.automatic, other.automatic),
            (&mut self.manual, other.manual),
            (&mut self.exclude, other.exclude),
        ] {
            extend(all, more);
        }
        None
    }

    /// Names of all packages that it may change, as it says.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let lists = [&self.remove, &self.purge, &self.hold, &self.unhold, &self.automatic, &self.manual];
        self.install.iter().map(|request| request.name.as_str()).chain(lists.into_iter().flatten().map(String::as_str))
    }
}

/// Adds what is not there yet: one package may be declared by two names.
fn extend<T: PartialEq>(all: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !all.contains(&one) {
            all.push(one);
        }
    }
}

/// A package to install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageRequest {
    /// Name, with `:architecture` where it is not the host's own.
    pub name: String,
    /// Exactly this version; otherwise the one that the package manager prefers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// How a package transaction is carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageOptions {
    /// Whether recommended packages are installed too.
    pub recommends: bool,
    /// What happens to configuration files that were changed here and come anew with a package.
    pub conffiles: Conffiles,
    /// Whether packages that are not declared may be removed.
    pub allow_removals: bool,
    /// Whether a package may go to a lower version.
    pub allow_downgrade: bool,
}

impl Default for PackageOptions {
    fn default() -> PackageOptions {
        PackageOptions { recommends: true, conffiles: Conffiles::Keep, allow_removals: false, allow_downgrade: false }
    }
}

/// What happens to a configuration file of a package that was changed on the host, when the package brings another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Conffiles {
    /// The changed file stays.
    #[default]
    Keep,
    /// The package's file takes its place.
    New,
    /// The transaction fails.
    Fail,
}

impl fmt::Display for PackageTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let install: Vec<String> = self
            .install
            .iter()
            .map(|request| match &request.version {
                Some(version) => format!("{}={version}", request.name),
                None => request.name.clone(),
            })
            .collect();
        let lists = [
            ("install", &install),
            ("remove", &self.remove),
            ("purge", &self.purge),
            ("hold", &self.hold),
            ("unhold", &self.unhold),
            ("mark as automatic", &self.automatic),
            ("mark as manual", &self.manual),
            ("keep out", &self.exclude),
        ];
        let mut first = true;
        for (verb, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
            let comma = if first { "" } else { ", " };
            write!(f, "{comma}{verb} {}", names.join(" "))?;
            first = false;
        }
        Ok(())
    }
}
