//! The resource type `unit`.

use derive_setters::Setters;
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::fragment::{Fragment, file_in, managed};
use provision_core::host::{FileKind, HostView};
use provision_core::path::HostPath;
use provision_core::resource::{AttributeError, Claim, ResourceId, Stage};
use provision_core::secret::Text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ensure::Ensure;
use crate::unit_file::{self, Assignments, Sections};

/// A unit of systemd, in a file of its own in `/etc/systemd/system`, named in full (`app.service`, `srv-data.mount`). See systemd.unit(5).
///
/// An array sets a setting several times. The order of settings is that of their names; where another one counts, as for the
/// sockets of a socket unit, write `content`. `%` begins a specifier, and `%%` is a percent sign; commands expand `$NAME`, and `$$` is a
/// dollar sign. Names of settings are checked, and their values only where systemd would ignore them silently. All users may read
/// what `Environment` sets; a secret goes into a file that `LoadCredential` or `EnvironmentFile` names. Units that `After` and the
/// like name need not be there.
///
/// The service manager reads the file in the same run; `service` starts and enables the unit, after its file. A unit that runs keeps
/// its former definition until it is restarted, which `notifies` does, and one that is enabled keeps its links if `[Install]`
/// changes, until `systemctl reenable`. A unit that is removed is stopped and disabled. A mask in its place is replaced.
///
/// ```nickel
/// unit."app.service" = {
///   settings = {
///     Unit = { Description = "The app", After = "network-online.target", Wants = "network-online.target" },
///     Service = { ExecStart = "/usr/local/bin/app --port 80", User = "app", Restart = "on-failure" },
///     Install.WantedBy = "multi-user.target",
///   },
///   notifies."service:app" = true,
/// },
/// service.app = {},
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct Unit {
    /// Whether the unit file is there.
    pub ensure: Ensure,
    /// Its sections, each with its settings. Required if it is present and has no `content`.
    pub settings: Sections,
    /// The text of its file, in place of `settings`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Text>,
    /// Whether it may hide a unit of the same name that a package brought. A `unit_dropin` changes parts of one.
    #[serde(rename = "override")]
    pub overrides: bool,
}

impl Unit {
    /// What it assigns; `None` if it has a text that cannot be read, or that holds secrets.
    fn assignments(&self) -> Option<Assignments> {
        match &self.content {
            Some(content) if content.is_secret() => None,
            Some(content) => unit_file::parse(content.reveal().ok()?),
            None => Some(unit_file::assignments(&self.settings)),
        }
    }
}

impl Fragment for Unit {
    const TYPE: &'static str = "unit";
    const STAGE: Stage = Stage::Units;
    const READERS: &'static [&'static str] = &["systemd"];

    fn is_present(&self) -> bool {
        self.ensure == Ensure::Present
    }

    fn place(&self, id: &ResourceId) -> Result<HostPath> {
        file_in(unit_file::DIRECTORY, id.name())
    }

    fn text(&self, id: &ResourceId) -> Result<Text> {
        let rendered = || (managed("#", id) + &unit_file::render(&self.settings)).into();
        Ok(self.content.clone().unwrap_or_else(rendered))
    }

    fn means(&self, text: &str) -> Option<Value> {
        unit_file::parse(text).map(|read| json!(read))
    }

    fn secrets(&mut self) -> Vec<(&'static str, &mut Text)> {
        self.content.iter_mut().map(|content| ("content", content)).collect()
    }

    fn also_claims(&self, _: &ResourceId) -> Vec<Claim> {
        let read = self.assignments().filter(|_| self.is_present());
        read.map(|read| unit_file::accounts(&read)).unwrap_or_default()
    }

    fn require(&self, id: &ResourceId, host: &dyn HostView) -> Result<()> {
        unit_file::require_known(&self.assignments().unwrap_or_default(), host)?;
        for directory in ["/usr/local/lib/systemd/system", "/usr/lib/systemd/system"] {
            let shipped = HostPath::new(directory)?.join(id.name())?;
            if !self.overrides && host.metadata(&shipped)?.is_some() {
                let message = format!("it would hide {shipped}");
                let help = "extend that unit with a `unit_dropin`, or say `override = true`";
                return Err(Error::new(ErrorKind::Conflict, message).with_hint(help));
            }
        }
        let place = self.place(id)?;
        let is_link = host.metadata(&place)?.is_some_and(|found| found.kind == FileKind::Symlink);
        let link = if is_link { host.read_link(&place)?.unwrap_or_default() } else { String::new() };
        match link.rsplit('/').next() {
            Some(other) if unit_file::parts_of(other).is_some() && other != id.name() && !self.overrides => {
                let message = format!("{} is another name of {other}", id.name());
                let help = "give the unit another name, or say `override = true`";
                Err(Error::new(ErrorKind::Conflict, message).with_hint(help))
            }
            _ => Ok(()),
        }
    }

    fn mistakes(&self, id: &ResourceId) -> Vec<AttributeError> {
        // Those of the other kinds have no files.
        let kind =
            unit_file::parts_of(id.name()).map(|(_, kind)| kind).filter(|kind| !["device", "scope"].contains(kind));
        let mut mistakes = Vec::new();
        let mut refuse = |attribute: &str, message: String, help: &str| {
            mistakes.push(AttributeError::new(attribute, message).help(help));
        };
        if kind.is_none() {
            refuse(
                "",
                format!("systemd loads no unit named {:?}", id.name()),
                "such as \"app.service\" or \"app@.socket\"",
            );
        }
        if !self.is_present() {
            return mistakes;
        }
        match &self.content {
            Some(_) if !self.settings.is_empty() => {
                refuse("content", "it stands in place of `settings`".into(), "leave one of them out");
            }
            None if self.settings.is_empty() => {
                refuse("settings", "a unit needs `settings` or `content`".into(), "such as settings.Service.ExecStart");
            }
            Some(content) if !content.is_secret() && self.assignments().is_none() => {
                let help = "sections, assignments and comments, and no other lines; an empty file would mask the unit";
                refuse("content", "systemd would not take all of its lines".into(), help);
            }
            _ => {}
        }
        let is_declared = self.content.is_some() || !self.settings.is_empty();
        let read = self.assignments().filter(|_| is_declared);
        if let (Some(kind), Some(read)) = (kind, &read) {
            mistakes.extend(unit_file::mistakes(kind, read, false).into_iter().map(|mistake| match &self.content {
                Some(_) => unit_file::in_text("content", mistake),
                None => unit_file::in_settings(mistake),
            }));
        }
        mistakes
    }
}

#[cfg(test)]
mod tests;
