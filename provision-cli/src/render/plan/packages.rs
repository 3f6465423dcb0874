//! What package transactions come to, for people.

use std::io::Write;

use provision_core::host::{PackageAction, PackageChange};
use provision_core::plan::PlannedTransaction;

use crate::exit::Failure;
use crate::render::{foreign, style};

/// Shows every transaction with its dependencies.
pub fn show(out: &mut impl Write, transactions: &[PlannedTransaction]) -> Result<(), Failure> {
    for planned in transactions {
        let Some(preview) = &planned.preview else {
            let because = planned.unknown.as_deref().unwrap_or("its content is not known");
            writeln!(out, "\nPackages: what else changes is known later: {}", foreign::line(because))?;
            continue;
        };
        if preview.changes.is_empty() {
            continue;
        }
        let asked: Vec<&str> = planned.transaction.names().collect();
        let along = preview.changes.iter().filter(|change| !asked.contains(&change.name.as_str())).count();
        let size = preview.download_bytes.map(|bytes| format!(", {} to fetch", human(bytes))).unwrap_or_default();
        let also = if along == 0 { String::new() } else { format!(", {along} of them as dependencies") };
        writeln!(out, "\nPackages: {} in one transaction{also}{size}", preview.changes.len())?;
        for change in &preview.changes {
            let (sign, style) = sign(change.action);
            let faint = if asked.contains(&change.name.as_str()) { style::ID } else { style::FAINT };
            write!(out, "    {style}{sign}{style:#} {faint}{}{faint:#}", foreign::line(&change.name))?;
            writeln!(out, " {}", foreign::line(versions(change)))?;
        }
    }
    Ok(())
}

fn sign(action: PackageAction) -> (&'static str, anstyle::Style) {
    match action {
        PackageAction::Install => ("+", style::ADD),
        PackageAction::Upgrade => ("~", style::CHANGE),
        PackageAction::Remove | PackageAction::Purge => ("-", style::REMOVE),
    }
}

fn versions(change: &PackageChange) -> String {
    match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{from} → {to}"),
        (None, Some(version)) | (Some(version), None) => version.clone(),
        (None, None) => String::new(),
    }
}

/// A size in the unit that fits, in powers of 1000 as apt has them.
fn human(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "kB", "MB"] {
        if size < 1000.0 {
            return format!("{size:.0} {unit}");
        }
        size /= 1000.0;
    }
    format!("{size:.1} GB")
}
