//! What a recorded host knows of its units: read once, however often a plan or a test asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use foldhash::HashMap;

use crate::error::Result;
use crate::host::HostView;
use crate::host::units::{DIRECTORIES, Definition, aliases, names, names_like, pulls};
use crate::path::HostPath;

/// The units of a host that does not change.
#[derive(Default)]
pub(in crate::sim) struct UnitCache {
    definitions: Mutex<HashMap<String, Option<Arc<Definition>>>>,
    referrers: OnceLock<HashMap<String, Vec<String>>>,
    link_directories: OnceLock<Vec<HostPath>>,
    timers: OnceLock<Vec<String>>,
    aliases: OnceLock<BTreeMap<String, String>>,
}

impl UnitCache {
    pub(in crate::sim) fn definition(&self, host: &dyn HostView, name: &str) -> Result<Option<Arc<Definition>>> {
        let known = self.definitions.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let read = Definition::load(host, name)?.map(Arc::new);
        self.definitions.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), read.clone());
        Ok(read)
    }

    pub(in crate::sim) fn referrers(&self, host: &dyn HostView, name: &str) -> Result<Vec<String>> {
        let all = once(&self.referrers, || self.all_referrers(host))?;
        Ok(all.get(name).cloned().unwrap_or_default())
    }

    fn all_referrers(&self, host: &dyn HostView) -> Result<HashMap<String, Vec<String>>> {
        let mut all: HashMap<String, Vec<String>> = HashMap::default();
        for unit in names(host)? {
            let Some(definition) = self.definition(host, &unit)? else { continue };
            for other in definition.all_named() {
                // By its own name, if this is an alias.
                let named = self.definition(host, other)?.map_or_else(|| other.to_owned(), |named| named.id.clone());
                all.entry(named).or_default().push(definition.id.clone());
            }
        }
        for referrers in all.values_mut() {
            referrers.sort_unstable();
            referrers.dedup();
        }
        Ok(all)
    }

    pub(in crate::sim) fn link_directories(
        &self,
        host: &dyn HostView,
        fits: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<HostPath>> {
        let all = once(&self.link_directories, || link_directories(host))?;
        Ok(all.iter().filter(|directory| fits(directory.name())).cloned().collect())
    }

    pub(in crate::sim) fn alias_target(&self, host: &dyn HostView, name: &str) -> Result<Option<String>> {
        Ok(once(&self.aliases, || aliases(host))?.get(name).cloned())
    }

    pub(in crate::sim) fn timer_names(&self, host: &dyn HostView) -> Result<Vec<String>> {
        once(&self.timers, || names_like(host, &[".timer"])).cloned()
    }
}

/// What is known, or is found out now and known from then on.
fn once<T>(known: &OnceLock<T>, find: impl FnOnce() -> Result<T>) -> Result<&T> {
    match known.get() {
        Some(known) => Ok(known),
        None => find().map(|found| known.get_or_init(|| found)),
    }
}

/// The directories whose links make units pull in others.
fn link_directories(host: &dyn HostView) -> Result<Vec<HostPath>> {
    let mut all = Vec::new();
    for directory in DIRECTORIES {
        let directory = HostPath::new(directory)?;
        for entry in host.list(&directory)?.unwrap_or_default() {
            if pulls(&entry) {
                all.push(directory.join(&entry)?);
            }
        }
    }
    Ok(all)
}
