//! Enabling, disabling and masking: the links that do it, see `systemctl(1)`.

use crate::effect::{Access, UnitAction};
use crate::error::{Error, ErrorKind, Result};
use crate::host::overlay::node::Node;
use crate::host::units::{self, Definition};
use crate::host::{FileKind, HostView, Layer, UnitState};
use crate::path::HostPath;

impl Layer<'_> {
    /// Enables, disables, masks or unmasks a unit.
    pub(crate) fn link_unit(&self, name: &str, action: UnitAction) -> Result<()> {
        let given = self.model().units.get(name).is_some_and(|runtime| runtime.given.is_some());
        let definition = if given { None } else { self.definition(name)? };
        let script = if definition.is_none() { self.simulated_script(name)? } else { None };
        let mask = units::mask_of(name)?;
        match (action, definition) {
            (UnitAction::Enable, Some(unit)) => {
                if unit.is_masked() {
                    return Err(Error::new(ErrorKind::Conflict, format!("{name} is masked")));
                }
                self.enable(&unit, &mut Vec::new())
            }
            (UnitAction::Disable, Some(unit)) => self.disable(&unit, &mut Vec::new()),
            (UnitAction::Mask, definition) => {
                if self.is_masked_by(&mask)? {
                    return Ok(());
                }
                if self.metadata(&mask)?.is_some() {
                    return Err(Error::new(ErrorKind::Conflict, format!("{mask} is there already")));
                }
                self.keep_given(name, definition.is_some(), |given| {
                    "masked".clone_into(&mut given.load);
                    "masked".clone_into(&mut given.file_state);
                });
                self.make_directories(&mask)?;
                self.put_unsynced(
                    &mask,
                    Some(Node::new(FileKind::Symlink, Access::root(0o777), Some("/dev/null".into()))),
                )
            }
            (UnitAction::Unmask, definition) => {
                self.keep_given(name, definition.is_some(), |given| {
                    "loaded".clone_into(&mut given.load);
                    "disabled".clone_into(&mut given.file_state);
                });
                if self.is_masked_by(&mask)? { self.put_unsynced(&mask, None) } else { Ok(()) }
            }
            (UnitAction::Disable, None) if !self.unit_state(name)?.exists() => {
                self.keep_given(name, false, |given| given.file_state.clear());
                self.remove_links_to(name)
            }
            (UnitAction::Enable | UnitAction::Disable, None) if script.is_some() => {
                script.map_or(Ok(()), |script| self.link_script(&script.name, action == UnitAction::Enable))
            }
            // A unit without a file that the model can read.
            (action, None) => {
                let state = if action == UnitAction::Enable { "enabled" } else { "disabled" };
                self.keep_given(name, false, |given| state.clone_into(&mut given.file_state));
                self.note(name, |runtime| runtime.file_state = Some(state.to_owned()));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether the link that masks a unit is at a path.
    pub(crate) fn is_masked_by(&self, mask: &HostPath) -> Result<bool> {
        Ok(self.metadata(mask)?.is_some_and(|found| found.kind == FileKind::Symlink)
            && self.read_link(mask)?.as_deref() == Some("/dev/null"))
    }

    pub(crate) fn keep_given(&self, name: &str, has_file: bool, change: impl FnOnce(&mut UnitState)) {
        if !has_file && let Some(given) = self.model().units.get_mut(name).and_then(|runtime| runtime.given.as_mut()) {
            change(given);
        }
    }

    pub(crate) fn enable(&self, unit: &Definition, done: &mut Vec<String>) -> Result<()> {
        done.push(unit.id.clone());
        for (link, target) in units::links_of(unit, &self.vendor_units()?)? {
            if self.metadata(&link)?.is_some() {
                continue;
            }
            self.make_directories(&link)?;
            self.put_unsynced(&link, Some(Node::new(FileKind::Symlink, Access::root(0o777), Some(target.into()))))?;
        }
        for other in unit.install("Also") {
            // It may be another name of one that is done.
            if let Some(other) = self.definition(other)?.filter(|other| !done.contains(&other.id)) {
                self.enable(&other, done)?;
            }
        }
        Ok(())
    }

    pub(crate) fn disable(&self, unit: &Definition, done: &mut Vec<String>) -> Result<()> {
        // systemctl(1) says that it ignores it, and ends well.
        if unit.is_masked() {
            return Ok(());
        }
        done.push(unit.id.clone());
        self.remove_links_to(&unit.id)?;
        for other in unit.install("Also") {
            // It may be another name of one that is done.
            if let Some(other) = self.definition(other)?.filter(|other| !done.contains(&other.id)) {
                self.disable(&other, done)?;
            }
        }
        Ok(())
    }

    /// Has an init script started at boot, or not, as `update-rc.d(8)` does.
    fn link_script(&self, script: &str, starts: bool) -> Result<()> {
        for level in 0..=6 {
            let directory = HostPath::new(&format!("/etc/rc{level}.d"))?;
            for link in self.list(&directory)?.unwrap_or_default() {
                if link.len() == script.len() + 3 && link.ends_with(script) {
                    self.put_unsynced(&directory.join(&link)?, None)?;
                }
            }
            let begins = if starts && (2..=5).contains(&level) { 'S' } else { 'K' };
            let link = directory.join(&format!("{begins}01{script}"))?;
            self.make_directories(&link)?;
            let target = format!("../init.d/{script}");
            self.put_unsynced(&link, Some(Node::new(FileKind::Symlink, Access::root(0o777), Some(target.into()))))?;
        }
        Ok(())
    }

    fn remove_links_to(&self, unit: &str) -> Result<()> {
        for link in units::links_to(self, &HostPath::new(units::ETC)?, unit)? {
            self.put_unsynced(&link, None)?;
            if let Some(directory) = link.parent()
                && directory.as_str() != units::ETC
                && self.list(&directory)?.is_some_and(|names| names.is_empty())
            {
                self.put_unsynced(&directory, None)?;
            }
        }
        Ok(())
    }

    /// How systemd names the directory of packaged units: Debian 12 and older look through `/lib`.
    pub(crate) fn vendor_units(&self) -> Result<String> {
        let os = crate::host::system::os(self).unwrap_or_default();
        let old = os.version.parse::<u32>().is_ok_and(|version| version <= 12);
        Ok(if old { "/lib/systemd/system" } else { "/usr/lib/systemd/system" }.to_owned())
    }
}
