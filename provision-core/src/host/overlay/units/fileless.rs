//! Units that have no file of their own: those of init scripts, other names of a unit, and those whose file is gone.

use crate::error::Result;
use crate::host::models::PackageModel;
use crate::host::units::{self, SysvScript};
use crate::host::{Layer, PackageStatus, UnitState};
use crate::path::HostPath;

impl Layer<'_> {
    /// A state of the host beneath, once an effect has taken the mask away from a unit that is made at boot.
    pub(crate) fn without_mask(&self, name: &str, base: UnitState) -> Result<UnitState> {
        if !base.is_masked() || !self.has_changed(name) || !units::is_generated(self, name)? {
            return Ok(base);
        }
        let script = units::sysv_script(self, name)?;
        let file_state = script.map_or("generated", |script| script.file_state()).to_owned();
        Ok(UnitState { load: "loaded".to_owned(), file_state, active: base.active.or(Some("inactive".into())), ..base })
    }

    /// The init script that a unit of a simulated host is made from.
    pub(crate) fn simulated_script(&self, name: &str) -> Result<Option<SysvScript>> {
        let Some(packages) = self.package_model() else { return Ok(None) };
        Ok(match units::sysv_script(self, name)? {
            Some(script) if !self.is_left_over(packages, &script)? => Some(script),
            _ => None,
        })
    }

    /// Whether an init script belongs to a package that was removed: its maintainer scripts have made it one that cannot be
    /// executed, see dh_installinit(1).
    fn is_left_over(&self, packages: &dyn PackageModel, script: &SysvScript) -> Result<bool> {
        let path = HostPath::new("/etc/init.d")?.join(&script.name)?;
        let table = self.packages()?;
        let mut removed = table.iter().filter(|(_, entry)| entry.status == PackageStatus::ConfigFiles);
        Ok(removed.any(|(name, _)| packages.has_conffile(name, &path)))
    }

    /// The unit that a name would stand for if that unit were enabled.
    pub(crate) fn unlinked_alias(&self, name: &str) -> Result<Option<String>> {
        let changed: Vec<HostPath> = self.model().unit_changes.keys().cloned().collect();
        let changed = changed.iter().map(|path| path.name().to_owned()).filter(|name| units::is_unit(name));
        let known = self.base.unit_index().map(|units| units.alias_target(name)).transpose()?.flatten();
        for unit in changed.chain(known) {
            if let Some(unit) = self.definition(&unit)?
                && unit.install("Alias").contains(&name)
            {
                return Ok(Some(unit.id.clone()));
            }
        }
        Ok(None)
    }

    /// What links say of a unit that has no file.
    pub(crate) fn state_of_links(&self, name: &str) -> Result<String> {
        let links = units::links_to(self, &HostPath::new(units::ETC)?, name)?;
        Ok(if links.is_empty() { "" } else { "enabled" }.to_owned())
    }
}
