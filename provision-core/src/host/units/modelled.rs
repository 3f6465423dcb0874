//! What a simulated host knows of its units: read once, however often a plan or a test asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{Definition, names};
use crate::error::Result;
use crate::host::HostView;

/// A simulated host that has read its units.
pub trait ModelledUnits {
    /// A unit as its files declare it.
    ///
    /// # Errors
    /// Its files cannot be read.
    fn definition(&self, name: &str) -> Result<Option<Arc<Definition>>>;

    /// The units whose files may name a unit: more than those that do, never less.
    ///
    /// # Errors
    /// Files of units cannot be read.
    fn referrers(&self, name: &str) -> Result<Vec<String>>;
}

/// The units of a host that does not change.
#[derive(Default)]
pub(in crate::host) struct UnitCache {
    definitions: Mutex<HashMap<String, Option<Arc<Definition>>>>,
    referrers: OnceLock<HashMap<String, Vec<String>>>,
}

impl UnitCache {
    pub(in crate::host) fn definition(&self, host: &dyn HostView, name: &str) -> Result<Option<Arc<Definition>>> {
        let known = self.definitions.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let read = Definition::load(host, name)?.map(Arc::new);
        self.definitions.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), read.clone());
        Ok(read)
    }

    pub(in crate::host) fn referrers(&self, host: &dyn HostView, name: &str) -> Result<Vec<String>> {
        if let Some(all) = self.referrers.get() {
            return Ok(all.get(name).cloned().unwrap_or_default());
        }
        let mut all: HashMap<String, Vec<String>> = HashMap::new();
        for unit in names(host)? {
            let Some(definition) = self.definition(host, &unit)? else { continue };
            for other in definition.all_named() {
                all.entry(other.to_owned()).or_default().push(definition.id.clone());
            }
        }
        for referrers in all.values_mut() {
            referrers.sort_unstable();
            referrers.dedup();
        }
        Ok(self.referrers.get_or_init(|| all).get(name).cloned().unwrap_or_default())
    }
}
