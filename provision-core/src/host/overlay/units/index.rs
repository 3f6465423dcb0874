//! What a modelled host knows of its units beyond each by itself: those of the host beneath, and what effects changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::Result;
use crate::host::models::UnitIndex;
use crate::host::units::{self, Definition};
use crate::host::{HostView, Layer, Overlay};
use crate::path::HostPath;

impl UnitIndex for Layer<'_> {
    fn definition(&self, name: &str) -> Result<Option<Arc<Definition>>> {
        Layer::definition(self, name)
    }

    fn referrers(&self, name: &str) -> Result<Vec<String>> {
        let known = self.base.unit_index().map(|units| units.referrers(name)).transpose()?;
        let mut names: BTreeSet<String> = known.unwrap_or_default().into_iter().collect();
        let model = self.model();
        // Instances run without a file of their own.
        names.extend(model.units.keys().cloned());
        for path in model.unit_changes.keys() {
            let parent = path.parent().unwrap_or_else(HostPath::root);
            let extended = parent.name().strip_suffix(".d").filter(|name| units::is_unit(name));
            let unit = Some(path.name()).filter(|name| units::is_unit(name));
            names.extend(extended.or(unit).filter(|name| !name.contains("@.")).map(str::to_owned));
        }
        Ok(names.into_iter().collect())
    }

    fn link_directories(&self, fits: &dyn Fn(&str) -> bool) -> Result<Vec<HostPath>> {
        let mut directories = match self.base.unit_index() {
            Some(units) => units.link_directories(fits)?,
            None => Vec::new(),
        };
        let model = self.model();
        let parents = model.unit_changes.keys().filter_map(HostPath::parent);
        for parent in parents.filter(|parent| units::pulls(parent.name()) && fits(parent.name())) {
            if !directories.contains(&parent) {
                directories.push(parent);
            }
        }
        Ok(directories)
    }

    fn alias_target(&self, name: &str) -> Result<Option<String>> {
        self.unlinked_alias(name)
    }

    fn timer_names(&self) -> Result<Vec<String>> {
        let mut names = match self.base.unit_index() {
            Some(units) if !self.model().has_linked_units => units.timer_names()?,
            _ => return units::names_like(self, &[".timer"]),
        };
        let model = self.model();
        let changed = model.unit_changes.keys().map(HostPath::name);
        names.extend(changed.filter(|name| name.ends_with(".timer") && !name.contains("@.")).map(str::to_owned));
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
}

impl<H: HostView> UnitIndex for Overlay<H> {
    fn definition(&self, name: &str) -> Result<Option<Arc<Definition>>> {
        self.layer().definition(name)
    }
    fn referrers(&self, name: &str) -> Result<Vec<String>> {
        self.layer().referrers(name)
    }
    fn link_directories(&self, fits: &dyn Fn(&str) -> bool) -> Result<Vec<HostPath>> {
        self.layer().link_directories(fits)
    }
    fn alias_target(&self, name: &str) -> Result<Option<String>> {
        self.layer().alias_target(name)
    }
    fn timer_names(&self) -> Result<Vec<String>> {
        self.layer().timer_names()
    }
}
