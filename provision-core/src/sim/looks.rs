//! What a test asks of a simulated host.

use std::collections::{BTreeMap, BTreeSet};

use super::{HostRecord, Scope, SimHost};
use crate::error::Result;
use crate::host::overlay::Runtime;
use crate::host::{FileKind, FileMetadata, HostView, HostViewExt, PackageStatus, UnitState};
use crate::path::HostPath;

/// What is at a path of a simulated host.
pub struct SimFile<'h> {
    host: &'h SimHost,
    path: HostPath,
}

/// What a unit of a simulated host does, and has done.
pub struct SimUnit {
    state: UnitState,
    runtime: Runtime,
}

/// A name with its suffix: a name without one is that of a service, as for `systemctl(1)`.
pub(super) fn unit_name(name: &str) -> String {
    let known = [".service", ".socket", ".timer", ".path", ".mount", ".target", ".automount", ".swap", ".slice"];
    if known.iter().any(|suffix| name.ends_with(suffix)) { name.to_owned() } else { format!("{name}.service") }
}

impl SimHost {
    /// What is at a path, to be looked at.
    ///
    /// # Panics
    /// The path is not absolute.
    #[track_caller]
    pub fn file(&self, path: &str) -> SimFile<'_> {
        SimFile { host: self, path: HostPath::new(path).expect("an absolute path") }
    }

    /// What a path leads to, all links followed; nothing if that is nowhere.
    #[cfg(all(feature = "testing", feature = "nickel"))]
    pub(crate) fn leads_to(&self, path: &HostPath) -> Result<Option<FileKind>> {
        let Some(end) = self.machine().leads_to(path)? else { return Ok(None) };
        Ok(self.metadata(&end)?.map(|found| found.kind))
    }

    /// A unit, to be looked at; a name without a suffix is that of a service.
    ///
    /// # Panics
    /// Its files contradict one another.
    pub fn unit(&self, name: &str) -> SimUnit {
        let name = unit_name(name);
        let state = HostViewExt::unit(self, &name).expect("the unit can be looked at");
        SimUnit { state, runtime: self.machine().runtime(&name) }
    }

    /// Whether a package is installed.
    pub fn has_package(&self, name: &str) -> bool {
        self.package(name).is_ok_and(|state| state.status == PackageStatus::Installed)
    }

    /// Whether there is a user.
    pub fn has_user(&self, name: &str) -> bool {
        self.user(name).is_ok_and(|user| user.is_some())
    }

    /// Everything that can be observed of the host.
    ///
    /// # Errors
    /// The simulation contradicts itself.
    pub fn record(&self) -> Result<HostRecord> {
        HostRecord::of(self, &Scope::fixture())
    }

    /// Everything that differs from how the host began, a line each, by what it is about: to compare it with a clone of
    /// itself, or with how it was before.
    ///
    /// # Panics
    /// Never, unless the simulation contradicts itself.
    pub fn differences(&self) -> BTreeMap<String, String> {
        let mut lines = BTreeMap::new();
        let mut add = |what: String, now: Option<String>, before: Option<String>| {
            if now != before {
                lines.insert(what, now.unwrap_or_else(|| "gone".to_owned()));
            }
        };
        let base = self.host.base();
        for path in self.machine().touched_paths() {
            let now = path_line(self, &path).expect("every path can be looked at");
            add(format!("path {path}"), now, path_line(base, &path).expect("every path can be looked at"));
        }
        let (now, before) = (self.packages().expect("known"), base.packages().expect("known"));
        for name in now.keys().chain(before.keys()).collect::<BTreeSet<_>>() {
            let line = |table: &crate::host::PackageTable| table.get(name).map(|entry| format!("{entry:?}"));
            add(format!("package {name}"), line(&now), line(&before));
        }
        let (now, before) = (self.accounts().expect("known"), base.accounts().expect("known"));
        for name in now.users.keys().chain(before.users.keys()).collect::<BTreeSet<_>>() {
            let line = |host: &dyn HostView| {
                let user = host.user(name).ok().flatten()?;
                let shadow = host.shadow(name).ok().flatten();
                let shadow = shadow.map(|shadow| (shadow.password.reveal().to_owned(), shadow.expires));
                Some(format!("{user:?} {shadow:?}"))
            };
            add(format!("user {name}"), line(self), line(base));
        }
        for name in now.groups.keys().chain(before.groups.keys()).collect::<BTreeSet<_>>() {
            let line = |accounts: &crate::host::Accounts| accounts.groups.get(name).map(|group| format!("{group:?}"));
            add(format!("group {name}"), line(&now), line(&before));
        }
        for name in self.machine().touched_units() {
            let line = |state: UnitState| {
                let shown = format!("{} {:?} {:?} {}", state.load, state.active, state.sub, state.file_state);
                state.exists().then_some(shown)
            };
            let before = base.unit(&name).ok().and_then(line);
            add(format!("unit {name}"), HostViewExt::unit(self, &name).ok().and_then(line), before);
        }
        lines
    }
}

fn path_line(host: &dyn HostView, path: &HostPath) -> Result<Option<String>> {
    let Some(found) = host.metadata(path)? else { return Ok(None) };
    let attributes = host.attributes(path)?.unwrap_or_default();
    let holds = match found.kind {
        FileKind::File => {
            host.read(path).ok().flatten().map(|content| String::from_utf8_lossy(content.bytes()).into_owned())
        }
        FileKind::Symlink => host.read_link(path)?,
        _ => None,
    };
    let FileMetadata { kind, access, links, .. } = found;
    let names = if links > 1 { format!(" {links} names") } else { String::new() };
    Ok(Some(format!("{kind:?} {access:?} {:?} {:?}{names} {holds:?}", attributes.xattrs, attributes.flags)))
}

impl SimFile<'_> {
    #[track_caller]
    fn metadata(&self) -> Option<FileMetadata> {
        self.host.metadata(&self.path).expect("it can be looked at")
    }

    #[track_caller]
    fn there(&self) -> FileMetadata {
        let Some(found) = self.metadata() else { panic!("there is no {}", self.path) };
        found
    }

    /// Whether something is there.
    pub fn exists(&self) -> bool {
        self.metadata().is_some()
    }

    /// What a file holds, or the target of a link.
    ///
    /// # Panics
    /// Nothing is there, or nothing that has a text.
    #[track_caller]
    pub fn text(&self) -> String {
        if self.there().kind == FileKind::Symlink {
            return self.host.read_link(&self.path).ok().flatten().unwrap_or_default();
        }
        match self.host.read(&self.path) {
            Ok(content) => {
                let content = content.unwrap_or_else(|| panic!("there is no {}", self.path));
                String::from_utf8_lossy(content.bytes()).into_owned()
            }
            Err(error) => panic!("{} has no text: {error}", self.path),
        }
    }

    /// What is there.
    ///
    /// # Panics
    /// Nothing is there.
    #[track_caller]
    pub fn kind(&self) -> FileKind {
        self.there().kind
    }

    /// Permission bits.
    ///
    /// # Panics
    /// Nothing is there.
    #[track_caller]
    pub fn mode(&self) -> u32 {
        self.there().access.mode.bits()
    }

    /// The user that owns it.
    ///
    /// # Panics
    /// Nothing is there.
    #[track_caller]
    pub fn owner(&self) -> String {
        self.there().access.owner
    }

    /// The group that owns it.
    ///
    /// # Panics
    /// Nothing is there.
    #[track_caller]
    pub fn group(&self) -> String {
        self.there().access.group
    }
}

impl SimUnit {
    /// Whether there is such a unit.
    pub fn exists(&self) -> bool {
        self.state.exists()
    }

    /// Whether it runs.
    pub fn is_active(&self) -> bool {
        self.state.is_active()
    }

    /// Whether it has failed.
    pub fn has_failed(&self) -> bool {
        self.state.active.as_deref() == Some("failed")
    }

    /// Whether it starts at boot.
    pub fn is_enabled(&self) -> bool {
        self.state.file_state == "enabled"
    }

    /// Whether it is masked.
    pub fn is_masked(&self) -> bool {
        self.state.is_masked()
    }

    /// How often it was started, restarts included.
    pub fn starts(&self) -> u32 {
        self.runtime.starts
    }

    /// How often it was restarted while it ran.
    pub fn restarts(&self) -> u32 {
        self.runtime.history.restarts
    }

    /// How often it read its configuration anew.
    pub fn reloads(&self) -> u32 {
        self.runtime.history.reloads
    }

    /// How often it was stopped and did not come back.
    pub fn stops(&self) -> u32 {
        self.runtime.history.stops
    }
}
