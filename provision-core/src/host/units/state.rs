//! What files alone tell of the state of units: whether they are enabled, by which other names they go, and how a unit is where
//! no service manager runs.

use std::collections::BTreeMap;

use super::{DIRECTORIES, Definition, ETC, Fragment, UnitFiles, links_to, names, sysv_script};
use crate::error::Result;
use crate::host::{LocalSystem, UnitState};
use crate::path::HostPath;

/// `UnitFileState`, see `systemctl(1)`, is-enabled.
pub(crate) fn file_state(host: &(impl UnitFiles + ?Sized), unit: &Definition) -> Result<&'static str> {
    let at_run = |fragment: &Fragment| fragment.path.as_str().starts_with("/run/");
    let fragment = unit.fragment.as_ref();
    if unit.is_masked() {
        return Ok(if fragment.is_some_and(at_run) { "masked-runtime" } else { "masked" });
    }
    for (directory, state) in [(ETC, "enabled"), (DIRECTORIES[1], "enabled-runtime")] {
        if !links_to(host, &HostPath::new(directory)?, &unit.id)?.is_empty() {
            return Ok(state);
        }
    }
    Ok(match () {
        () if unit.is_linked() => "linked",
        () if unit.can_be_enabled() => "disabled",
        () if !unit.install("Also").is_empty() => "indirect",
        () => "static",
    })
}

/// Whether something may make a unit at boot: a generator, see `systemd.generator(7)`, or from an init script.
pub(crate) fn is_generated(host: &(impl UnitFiles + ?Sized), unit: &str) -> Result<bool> {
    let made = ["generator.early", "generator", "generator.late"].map(|kind| format!("/run/systemd/{kind}/{unit}"));
    for path in made {
        if host.kind(&HostPath::new(&path)?)?.is_some() {
            return Ok(true);
        }
    }
    Ok(sysv_script(host, unit)?.is_some())
}

/// Names that units would have as well if they were enabled (`Alias=`), each with the name of its unit. While a unit is disabled no
/// link says so.
pub(crate) fn aliases(host: &(impl UnitFiles + ?Sized)) -> Result<BTreeMap<String, String>> {
    let mut aliases = BTreeMap::new();
    for name in names(host)? {
        if let Some(unit) = Definition::load(host, &name)? {
            for alias in unit.install("Alias") {
                aliases.entry(alias.to_owned()).or_insert_with(|| unit.id.clone());
            }
        }
    }
    Ok(aliases)
}

impl LocalSystem {
    /// How a unit is where no service manager runs: what its files say.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn unit_from_files(&self, name: &str) -> Result<UnitState> {
        let found = match Definition::load(self, name)? {
            Some(unit) => Some(unit),
            None if sysv_script(self, name)?.is_some() => None,
            None => match aliases(self)?.get(name) {
                Some(unit) => Definition::load(self, unit)?,
                None => None,
            },
        };
        let Some(unit) = found else {
            let state =
                UnitState { file_state: self.unit_file_state(name)?.unwrap_or_default(), ..UnitState::not_found() };
            let load = if sysv_script(self, name)?.is_some() { "loaded" } else { "not-found" };
            return Ok(UnitState { load: load.to_owned(), ..state });
        };
        Ok(UnitState {
            load: if unit.is_masked() { "masked" } else { "loaded" }.to_owned(),
            file_state: file_state(self, &unit)?.to_owned(),
            can_reload: unit.can_reload(),
            ends_by_itself: unit.ends_by_itself(),
            alias_of: Some(unit.id).filter(|id| id != name),
            ..UnitState::not_found()
        })
    }

    /// Whether a unit without a file of its own is enabled: one that is made from an init script is `enabled` or `disabled` as
    /// `systemctl is-enabled` has it; one whose file is gone is `enabled` while links to it are left. `None` for any other.
    ///
    /// # Errors
    /// Directories cannot be read.
    pub fn unit_file_state(&self, name: &str) -> Result<Option<String>> {
        if let Some(script) = sysv_script(self, name)? {
            return Ok(Some(script.file_state().to_owned()));
        }
        let is_left = !links_to(self, &HostPath::new(ETC)?, name)?.is_empty();
        Ok(is_left.then(|| "enabled".to_owned()))
    }

    /// Whether a file declares a unit, or masks it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn has_unit_file(&self, name: &str) -> Result<bool> {
        Ok(Definition::load(self, name)?.is_some())
    }

    /// What must hold for a unit to start, as its files have it: `ConditionPathExists=/etc/app`.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn unit_conditions(&self, name: &str) -> Result<Vec<String>> {
        Ok(Definition::load(self, name)?.map(|unit| unit.conditions()).unwrap_or_default())
    }

    /// Names that units would have as well if they were enabled (`Alias=` in `systemd.unit(5)`), each with its unit.
    ///
    /// # Errors
    /// Unit files cannot be read.
    pub fn unit_aliases(&self) -> Result<BTreeMap<String, String>> {
        aliases(self)
    }
}
