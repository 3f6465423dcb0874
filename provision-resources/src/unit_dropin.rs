//! The resource type `unit_dropin`.

use derive_setters::Setters;
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::fragment::{Fragment, file_in, is_plain_name, managed};
use provision_core::host::HostView;
use provision_core::path::HostPath;
use provision_core::resource::{AttributeError, Claim, ResourceId, Stage, Target};
use provision_core::secret::Text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ensure::Ensure;
use crate::unit_file::{self, Sections};

/// A file that extends a unit of systemd, such as `/etc/systemd/system/nginx.service.d/limits.conf`: the name is that of the unit, a
/// `/`, and that of the file without `.conf`. See systemd.unit(5).
///
/// The unit may be a template (`"getty@.service/x"`), an instance, all whose names begin alike (`"app-.service/x"`), or all of a kind
/// (`"service/x"`). Of several files that extend a unit the last one by name wins, in whichever directory; `systemctl edit` writes
/// `override.conf`. A file of the same name below `/usr/lib` or `/run` is hidden. A drop-in does nothing for a masked unit.
///
/// An array sets a setting several times, and `null` empties its list first, which a service needs for another command. The
/// order of settings is that of their names. `%` begins a specifier, and `%%` is a percent sign; commands expand `$NAME`, and `$$` is a
/// dollar sign. Names of settings are checked, and their values only where systemd would ignore them silently. All users may read
/// the file, and what `Environment` sets; a secret goes into a file that `LoadCredential` or `EnvironmentFile` names.
///
/// The service manager reads the file in the same run. A unit that runs keeps its former settings until it is restarted, which
/// `notifies` does.
///
/// ```nickel
/// unit_dropin."nginx.service/limits" = {
///   settings.Service = { LimitNOFILE = 65536, ExecStart = [null, "/usr/sbin/nginx -g 'daemon off;'"] },
///   notifies."service:nginx" = true,
/// },
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct UnitDropin {
    /// Whether the file is there.
    pub ensure: Ensure,
    /// Its sections, each with its settings. Required if it is present.
    pub settings: Sections,
}

/// The parts of a name: the unit, and the file.
fn parts_of(id: &ResourceId) -> Option<(&str, &str)> {
    id.name().split_once('/')
}

impl Fragment for UnitDropin {
    const TYPE: &'static str = "unit_dropin";
    const STAGE: Stage = Stage::Units;
    const READERS: &'static [&'static str] = &["systemd"];

    fn is_present(&self) -> bool {
        self.ensure == Ensure::Present
    }

    fn place(&self, id: &ResourceId) -> Result<HostPath> {
        let (unit, name) = parts_of(id).unwrap_or((id.name(), ""));
        file_in(&format!("{}/{unit}.d", unit_file::DIRECTORY), &format!("{name}.conf"))
    }

    fn text(&self, id: &ResourceId) -> Result<Text> {
        Ok((managed("#", id) + &unit_file::render(&self.settings)).into())
    }

    fn means(&self, text: &str) -> Option<Value> {
        unit_file::parse(text).map(|read| json!(read))
    }

    fn also_claims(&self, id: &ResourceId) -> Vec<Claim> {
        let file = parts_of(id).and_then(|(unit, _)| unit_file::file_of(unit));
        file.map(|file| Claim::needs(Target::Path(file))).into_iter().collect()
    }

    fn require(&self, id: &ResourceId, host: &dyn HostView) -> Result<()> {
        unit_file::require_known(&unit_file::assignments(&self.settings), host)?;
        let Some((unit, name)) = parts_of(id) else { return Ok(()) };
        // Units of other kinds come and go without a file, and so do those whose names begin alike.
        let has_file = |(stem, kind): (&str, &str)| {
            !stem.ends_with('-') && ["path", "service", "socket", "target", "timer"].contains(&kind)
        };
        if !unit_file::parts_of(unit).is_some_and(has_file) {
            return Ok(());
        }
        match unit_file::existing(unit, "the drop-in", host)?.alias_of {
            Some(other) if !unit.contains("@.") => {
                let message = format!("{unit} is another name of {other}, and the drop-in would go with that name");
                Err(Error::new(ErrorKind::Conflict, message).with_hint(format!("name it \"{other}/{name}\"")))
            }
            _ => Ok(()),
        }
    }

    fn mistakes(&self, id: &ResourceId) -> Vec<AttributeError> {
        let (unit, name) = parts_of(id).unwrap_or((id.name(), ""));
        let kind = unit_file::kind(unit).or_else(|| unit_file::parts_of(unit).map(|(_, kind)| kind));
        let read = unit_file::assignments(&self.settings);
        let mut mistakes = Vec::new();
        let mut refuse = |attribute: &str, message: String, help: &str| {
            mistakes.push(AttributeError::new(attribute, message).help(help));
        };
        if kind.is_none() || !is_plain_name(name, b"_.-@:") {
            let help = "a unit, `/` and the name of a file, such as \"nginx.service/limits\"";
            refuse("", format!("systemd reads no drop-in named {:?}", id.name()), help);
        } else if name.ends_with(".conf") {
            refuse("", "the name goes without `.conf`".into(), "leave it out");
        }
        if !self.is_present() {
            return mistakes;
        }
        if read.values().all(Vec::is_empty) {
            refuse("settings", "there is no setting".into(), "such as settings.Service.LimitNOFILE = 65536");
        }
        let wrong = kind.map(|kind| unit_file::mistakes(kind, &read, true)).unwrap_or_default();
        mistakes.extend(wrong.into_iter().map(unit_file::in_settings));
        mistakes
    }
}

#[cfg(test)]
mod tests;
