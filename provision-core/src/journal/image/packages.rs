//! What a package transaction has changed: packages, and what maintainer scripts leave that no package owns up to.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Fingerprint, Keeper, Kept};
use crate::effect::{Effect, PackageOptions, PackageRequest, PackageTransaction, PlatformEffect, Removal};
use crate::error::Result;
use crate::host::{
    AccountDatabase, AccountLine, FileKind, HostView, HostViewExt, PackageEntry, PackageStatus, PackageTable,
};
use crate::path::HostPath;

/// Where maintainer scripts leave things, and how deep beneath is looked. Large data lies deeper.
const WATCHED: [(&str, usize); 9] = [
    ("/etc", 16),
    ("/var", 2),
    ("/var/www", 2),
    ("/srv", 1),
    ("/opt", 1),
    ("/usr/local", 2),
    ("/home", 1),
    ("/root", 1),
    ("/boot", 1),
];

/// What package managers keep for themselves.
const THEIRS: [&str; 8] = [
    "/etc/ld.so.cache",
    "/etc/mtab",
    "/var/cache",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/provision",
    "/var/lib/systemd",
    "/var/log",
];

/// How packages were, and what else was there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PackagesImage {
    /// All that is known, as JSON.
    pub known: Kept,
}

#[derive(Default, Serialize, Deserialize)]
struct Known {
    table: PackageTable,
    users: BTreeSet<String>,
    groups: BTreeSet<String>,
    paths: BTreeSet<String>,
}

/// What a package transaction has changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PackageChanges {
    /// Packages that differ from before.
    pub packages: Vec<PackageDiff>,
    /// Users that are new.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Groups that are new.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Digest of all that is known of these users and groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<String>,
    /// Files that are new and that no package ships, and directories that are new; each before what lies beneath it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<Fingerprint>,
}

/// A package that was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageDiff {
    /// Its name, with the architecture where that is not the host's own.
    pub name: String,
    /// How it was.
    pub before: PackageEntry,
    /// How it is.
    pub after: PackageEntry,
}

impl Keeper<'_> {
    pub(super) fn packages_before(&self, host: &dyn HostView) -> Result<PackagesImage> {
        Ok(PackagesImage { known: self.keep_json(&known(host)?)? })
    }

    pub(super) fn packages_after(&self, image: &PackagesImage, host: &dyn HostView) -> Result<PackageChanges> {
        let (before, now): (Known, Known) = (self.json_of(&image.known)?, known(host)?);
        let new = |now: &BTreeSet<String>, before: &BTreeSet<String>| now.difference(before).cloned().collect();
        let (users, groups): (Vec<String>, Vec<String>) =
            (new(&now.users, &before.users), new(&now.groups, &before.groups));
        let accounts = match users.is_empty() && groups.is_empty() {
            true => None,
            false => Some(self.digest_of_accounts(&users, &groups, host)?),
        };
        let mut paths = Vec::new();
        for path in now.paths.difference(&before.paths) {
            let path = HostPath::new(path)?;
            let found = self.fingerprint_of(&path, false, host)?;
            if found.kind == Some(FileKind::Directory) || host.package_of(&path)?.is_none() {
                paths.push(found);
            }
        }
        Ok(PackageChanges { packages: difference(&before.table, &now.table), users, groups, accounts, paths })
    }

    /// Whether users and groups that came with packages are as they came.
    pub(crate) fn has_same_accounts(&self, changes: &PackageChanges, host: &dyn HostView) -> Result<bool> {
        let now = self.digest_of_accounts(&changes.users, &changes.groups, host)?;
        Ok(changes.accounts.as_ref().is_none_or(|digest| *digest == now))
    }
}

fn known(host: &dyn HostView) -> Result<Known> {
    let accounts = host.accounts()?;
    let mut paths = BTreeSet::new();
    for (path, depth) in WATCHED {
        walk(&HostPath::new(path)?, depth, host, &mut paths)?;
    }
    Ok(Known {
        table: (*host.packages()?).clone(),
        users: accounts.users.keys().cloned().collect(),
        groups: accounts.groups.keys().cloned().collect(),
        paths,
    })
}

fn walk(directory: &HostPath, depth: usize, host: &dyn HostView, paths: &mut BTreeSet<String>) -> Result<()> {
    let found = host.metadata(directory)?;
    if found.is_none_or(|found| found.kind != FileKind::Directory) {
        return Ok(());
    }
    paths.insert(directory.to_string());
    for name in host.list(directory)?.unwrap_or_default() {
        let path = directory.join(&name)?;
        // passwd(1) and its kin keep copies of the last state, with a dash at the end.
        let copy = directory.as_str() == "/etc" && name.ends_with('-');
        if !copy && !THEIRS.contains(&path.as_str()) {
            paths.insert(path.to_string());
            if depth > 1 {
                walk(&path, depth - 1, host, paths)?;
            }
        }
    }
    Ok(())
}

/// The packages that differ.
fn difference(before: &PackageTable, after: &PackageTable) -> Vec<PackageDiff> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .map(|name| PackageDiff { name: name.clone(), before: entry(before, name), after: entry(after, name) })
        .filter(|diff| diff.before != diff.after)
        .collect()
}

/// What is known of a package.
pub(crate) fn entry(table: &PackageTable, name: &str) -> PackageEntry {
    table.get(name).cloned().unwrap_or_default()
}

/// What takes changes back: first the packages, then what they leave.
pub(crate) fn inverse(changes: &PackageChanges) -> Vec<Effect> {
    let mut effects = vec![Effect::Platform(PlatformEffect::Packages(inverse_transaction(&changes.packages)))];
    for Fingerprint { path, kind, .. } in changes.paths.iter().rev() {
        let what = if *kind == Some(FileKind::Directory) { Removal::IfEmpty } else { Removal::File };
        effects.push(Effect::Remove { path: path.clone(), what });
    }
    let line = |database, name: &String| AccountLine { database, name: name.clone(), line: None, position: 0 };
    let lines = AccountDatabase::ALL.into_iter().flat_map(|database| {
        let names = if database.is_about_groups() { &changes.groups } else { &changes.users };
        names.iter().map(move |name| line(database, name))
    });
    let lines: Vec<AccountLine> = lines.collect();
    if !lines.is_empty() {
        effects.push(Effect::Platform(PlatformEffect::RestoreAccounts { lines }));
    }
    effects
}

fn inverse_transaction(changed: &[PackageDiff]) -> PackageTransaction {
    let options =
        PackageOptions { recommends: false, allow_removals: true, allow_downgrade: true, ..PackageOptions::default() };
    let mut transaction = PackageTransaction { options, ..PackageTransaction::default() };
    for PackageDiff { name, before, after } in changed {
        if after.hold && !before.hold {
            transaction.unhold.push(name.clone());
        }
        match before.status {
            PackageStatus::Installed | PackageStatus::Interrupted => {
                if (after.status, &after.version) != (before.status, &before.version) {
                    transaction.install.push(PackageRequest { name: name.clone(), version: before.version.clone() });
                }
                let marked = before.automatic != after.automatic || after.status != PackageStatus::Installed;
                if marked || after.version != before.version {
                    let marks = if before.automatic { &mut transaction.automatic } else { &mut transaction.manual };
                    marks.push(name.clone());
                }
            }
            PackageStatus::ConfigFiles if after.status != PackageStatus::ConfigFiles => {
                transaction.remove.push(name.clone());
            }
            PackageStatus::Absent if after.status != PackageStatus::Absent => transaction.purge.push(name.clone()),
            PackageStatus::ConfigFiles | PackageStatus::Absent => {}
        }
        if before.hold && !after.hold {
            transaction.hold.push(name.clone());
        }
    }
    transaction
}
