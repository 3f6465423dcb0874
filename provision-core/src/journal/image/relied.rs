//! What the effects of a plan touch, and how it is now.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Keeper, packages};
use crate::effect::{Effect, Removal};
use crate::error::Result;
use crate::host::HostView;
use crate::journal::{HostKey, MemoryStore, StateStore};
use crate::plan::{Plan, ReliedOn};

/// Everything that the effects of a plan touch, with digests of how it is.
pub(crate) fn relied_on(plan: &Plan, host: &dyn HostView, key: &HostKey) -> Result<Vec<ReliedOn>> {
    let store: std::sync::Arc<dyn StateStore> = std::sync::Arc::new(MemoryStore::new());
    let keeper = Keeper { key, store: &store };
    let mut found = BTreeMap::new();
    let reactions = plan.steps.iter().flat_map(|step| &step.reaction).flat_map(|reaction| &reaction.effects);
    for effect in plan.steps.iter().flat_map(|step| &step.effects).chain(reactions) {
        for (what, digest) in keeper.touched(effect, host)? {
            found.insert(what, digest);
        }
    }
    Ok(found.into_iter().map(|(what, digest)| ReliedOn { what, digest }).collect())
}

impl Keeper<'_> {
    fn touched(&self, effect: &Effect, host: &dyn HostView) -> Result<Vec<(String, String)>> {
        if let Some(path) = effect.path() {
            let deep = matches!(effect, Effect::Remove { what: Removal::Tree, .. });
            let now = self.fingerprint_of(path, deep, host)?;
            return Ok(vec![(format!("path {path}"), self.digest_of_path(&now)?)]);
        }
        Ok(match effect {
            Effect::Packages(transaction) => {
                let table = host.packages()?;
                let digest = |name| self.key.digest_of("package/1", &packages::entry(&table, name));
                let names = transaction.names().map(|name| Ok((format!("package {name}"), digest(name)?)));
                names.collect::<Result<_>>()?
            }
            // What a unit does changes by itself; what the plan made of it is compared with the plan.
            Effect::Unit { unit, .. } => {
                let known = json!({ "file_state": host.unit(unit).map(|unit| unit.file_state).ok() });
                vec![(format!("unit {unit}"), self.key.digest_of("unit/1", &known)?)]
            }
            effect if super::accounts::names(effect).is_some() => {
                let what = effect.to_string();
                vec![(format!("what it takes to {what}"), self.accounts_digest(effect, host)?)]
            }
            _ => Vec::new(),
        })
    }
}
