//! What the effects of a plan touch, and how it is now.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Plan, ReliedOn};
use crate::effect::{PathChange, Touched};
use crate::error::Result;
use crate::host::{HostView, HostViewExt};
use crate::journal::{Keeper, entry_of};
use crate::state::{HostKey, MemoryStore, StateStore};

/// Everything that the effects of a plan touch, with digests of how it is.
pub(super) fn relied_on(plan: &Plan, host: &dyn HostView, key: &HostKey) -> Result<Vec<ReliedOn>> {
    let store: std::sync::Arc<dyn StateStore> = std::sync::Arc::new(MemoryStore::new());
    let keeper = Keeper { key, store: &store };
    let mut found = BTreeMap::new();
    let reactions = plan.steps.iter().flat_map(|step| &step.reaction).flat_map(|reaction| &reaction.effects);
    for effect in plan.steps.iter().flat_map(|step| step.effects.iter()).chain(reactions) {
        for thing in effect.touches() {
            keeper.relied(&thing, host, &mut found)?;
        }
    }
    Ok(found.into_iter().map(|(what, digest)| ReliedOn { what, digest }).collect())
}

impl Keeper<'_> {
    /// Enters how a thing is now, by its name.
    fn relied(&self, thing: &Touched<'_>, host: &dyn HostView, found: &mut BTreeMap<String, String>) -> Result<()> {
        let none: &[&str] = &[];
        match thing {
            Touched::Path { path, change } => {
                let now = self.fingerprint_of(path, *change == PathChange::TreeRemoved, host)?;
                found.insert(format!("path {path}"), self.digest_of_path(&now)?);
            }
            Touched::User(name) => {
                found.insert(format!("user {name}"), self.digest_of_accounts(&[name], none, host)?);
            }
            Touched::Group(name) => {
                found.insert(format!("group {name}"), self.digest_of_accounts(none, &[name], host)?);
            }
            Touched::UsersOf(group) => {
                found.insert(format!("users of group {group}"), self.accounts_digest(&[*thing], host)?);
            }
            Touched::Packages(transaction) => {
                let table = host.packages()?;
                for name in transaction.names() {
                    let digest = self.key.digest_of("package/1", &entry_of(&table, name))?;
                    found.insert(format!("package {name}"), digest);
                }
            }
            // What a unit does changes by itself; what the plan made of it is compared with the plan.
            Touched::Unit { unit, .. } => {
                let known = json!({ "file_state": host.unit(unit).map(|unit| unit.file_state).ok() });
                found.insert(format!("unit {unit}"), self.key.digest_of("unit/1", &known)?);
            }
            // The user stands for the home directory, which changes while it is in use.
            Touched::Home { .. }
            | Touched::PackageDatabase
            | Touched::PackageLists
            | Touched::ServiceManager
            | Touched::Anything(_) => {}
        }
        Ok(())
    }
}
