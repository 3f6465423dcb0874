//! What a package transaction has changed, found by comparing all packages before and after.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::effect::{PackageOptions, PackageRequest, PackageTransaction};
use crate::host::{PackageEntry, PackageStatus, PackageTable};

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

/// The packages that differ.
pub(super) fn difference(before: &PackageTable, after: &PackageTable) -> Vec<PackageDiff> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let entry = |table: &PackageTable, name: &str| table.get(name).cloned().unwrap_or_default();
    names
        .into_iter()
        .map(|name| PackageDiff { name: name.clone(), before: entry(before, name), after: entry(after, name) })
        .filter(|diff| diff.before != diff.after)
        .collect()
}

/// The transaction that takes changes back.
pub(in crate::journal) fn inverse(changed: &[PackageDiff]) -> PackageTransaction {
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
