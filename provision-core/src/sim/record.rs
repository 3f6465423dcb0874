//! The state of a host, written down: as a fixture that tests begin with, and to compare two hosts.

mod base;
mod paths;
mod scope;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::effect::{Content, Digest, FileFlags};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::format::Format;
use crate::host::system::{self, Os};
use crate::host::{
    FileAttributes, FileKind, FileMetadata, Group, HostView, HostViewExt, PackageManager, PackageTable, User,
};
use crate::path::HostPath;

pub(super) use base::RecordedHost;
pub use paths::{PathAccess, PathKind, PathTable};
pub use scope::Scope;

/// See `docs/formats/host.md`.
pub(crate) const HOST: Format = Format { name: "host", noun: "the record of a host", version: 1 };

/// The files that [`Facts::gather`](crate::facts::Facts::gather) reads and that lie where the kernel and systemd show themselves.
const FACT_FILES: &[&str] = &[
    "/proc/1/comm",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/net/fib_trie",
    "/proc/net/if_inet6",
    "/proc/self/status",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/osrelease",
    "/run/systemd/container",
    "/sys/class/dmi/id/sys_vendor",
    "/var/lib/dpkg/arch",
];

/// What can be observed of a host, without secrets.
///
/// It is made of readings of a [`HostView`] alone, so it is the same for a real host, a root directory and a simulated one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostRecord {
    /// [`HostRecord::FORMAT`], or that of an earlier version.
    pub format: String,
    /// The release.
    pub os: Os,
    /// Everything at a path.
    pub paths: PathTable,
    /// The contents of files, where they are text.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<HostPath, String>,
    /// Digests of the files whose contents are not held, where they were asked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<HostPath, String>,
    /// Access control lists, capabilities and the like, and flags, where there are any.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<HostPath, RecordedAttributes>,
    /// Files with several names: how many.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hard_links: BTreeMap<HostPath, u64>,
    /// Directories that another file system is mounted on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<HostPath>,
    /// Packages.
    pub packages: PackageTable,
    /// How the package manager is doing.
    pub package_manager: PackageManager,
    /// Users.
    pub users: Vec<User>,
    /// Groups.
    pub groups: Vec<Group>,
    /// What is known of passwords, and when accounts end.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub passwords: BTreeMap<String, RecordedPassword>,
    /// Units that are there, where units run, with their activity; otherwise nothing.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub units: BTreeMap<String, RecordedUnit>,
    /// Whether units run there.
    pub is_running: bool,
}

/// What belongs to a path beside owner, group and mode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordedAttributes {
    /// Extended attributes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, Content>,
    /// The lasting flags of `chattr(1)`.
    #[serde(skip_serializing_if = "FileFlags::is_unset")]
    pub flags: FileFlags,
}

/// What is known of a password without telling it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedPassword {
    /// `*`, `!` and the like as they are; `set` or `!set` for a hash.
    pub password: String,
    /// Day after which the account is closed, in days since 1970-01-01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
}

/// The state of a unit, in systemd's own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedUnit {
    /// `LoadState`.
    pub load: String,
    /// `UnitFileState`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// `ActiveState`, where units run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// `SubState`, where units run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
}

impl HostRecord {
    /// What the records of this version of the program say of themselves.
    pub const FORMAT: &str = "provision-host/1";

    /// Looks at a host.
    ///
    /// # Errors
    /// Something of it cannot be read.
    pub fn of(host: &dyn HostView, scope: &Scope) -> Result<HostRecord> {
        let mut record = HostRecord {
            format: HostRecord::FORMAT.to_owned(),
            os: system::os(host)?,
            is_running: host.is_running(),
            packages: (*host.packages()?).clone(),
            package_manager: host.package_manager()?,
            ..HostRecord::default()
        };
        let accounts = host.accounts()?;
        record.users = accounts.users.values().cloned().collect();
        record.groups = accounts.groups.values().cloned().collect();
        for user in accounts.users.keys() {
            if let Some(shadow) = host.shadow(user)? {
                let password = without_hash(shadow.password.reveal());
                record.passwords.insert(user.clone(), RecordedPassword { password, expires: shadow.expires });
            }
        }
        let root = HostPath::root();
        let Some(found) = host.metadata(&root)? else { return Ok(record) };
        record.add_tree(host, scope, root, found)?;
        if scope.facts {
            record.add_facts(host)?;
        }
        record.add_units(host)?;
        Ok(record)
    }

    /// Records something and all beneath it; users may have made it deeper than a stack is.
    fn add_tree(&mut self, host: &dyn HostView, scope: &Scope, top: HostPath, found: FileMetadata) -> Result<()> {
        let mut todo = vec![(top, found, None, true)];
        while let Some((path, found, above, is_reachable)) = todo.pop() {
            self.add(host, scope, &path, &found, is_reachable)?;
            if found.kind != FileKind::Directory {
                continue;
            }
            if above.is_some_and(|mount| mount != found.mount) {
                self.mounts.push(path.clone());
            }
            if !scope.enters(&path) {
                continue;
            }
            let is_reachable = is_reachable && found.access.mode.bits() & 0o001 != 0;
            for name in host.list(&path)?.unwrap_or_default().into_iter().rev() {
                let inner = path.join(&name)?;
                // Between the listing and now it may have gone.
                if let Some(next) = host.metadata(&inner)?.filter(|next| scope.holds(&inner, next.kind)) {
                    todo.push((inner, next, Some(found.mount), is_reachable));
                }
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        host: &dyn HostView,
        scope: &Scope,
        path: &HostPath,
        found: &FileMetadata,
        is_reachable: bool,
    ) -> Result<()> {
        let access = PathAccess::from(&found.access);
        let kind = match found.kind {
            FileKind::File => PathKind::File(access),
            FileKind::Directory => PathKind::Directory(access),
            FileKind::Symlink => PathKind::Symlink(host.read_link(path)?.unwrap_or_default()),
            FileKind::Fifo | FileKind::Socket | FileKind::Device => PathKind::Other(access),
        };
        self.paths.insert(path.clone(), kind);
        if let Some(FileAttributes { xattrs, flags, .. }) = host.attributes(path)?
            && !(xattrs.is_empty() && flags.is_unset())
        {
            self.attributes.insert(path.clone(), RecordedAttributes { xattrs, flags });
        }
        if found.kind == FileKind::File {
            if found.links > 1 {
                self.hard_links.insert(path.clone(), found.links);
            }
            self.add_content(host, scope, path, found, is_reachable)?;
        }
        Ok(())
    }

    fn add_content(
        &mut self,
        host: &dyn HostView,
        scope: &Scope,
        path: &HostPath,
        found: &FileMetadata,
        is_reachable: bool,
    ) -> Result<()> {
        let is_text = scope.reads(path, found, is_reachable);
        if !(is_text || scope.digests) {
            return Ok(());
        }
        let content = match host.read(path) {
            Ok(Some(content)) => content,
            Ok(None) => return Ok(()),
            // A model knows that it is there, and not what it holds.
            Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()),
            Err(error) => return Err(error).while_doing(|| format!("reading {path}")),
        };
        match content.text().filter(|_| is_text) {
            Some(text) => drop(self.texts.insert(path.clone(), text.to_owned())),
            None if scope.digests => {
                let digest = Digest::of(content.bytes()).sha256;
                self.digests.insert(path.clone(), digest);
            }
            None => {}
        }
        Ok(())
    }

    /// What facts are made from; most of it lies where nothing else is looked at.
    fn add_facts(&mut self, host: &dyn HostView) -> Result<()> {
        for path in FACT_FILES {
            let path = HostPath::new(path)?;
            let content = match host.read(&path) {
                Ok(Some(content)) => content,
                // Where there is one architecture only, dpkg writes no list of them.
                _ if path.name() == "arch" => {
                    let Some(architecture) = host.architecture()? else { continue };
                    format!("{architecture}\n").into()
                }
                _ => continue,
            };
            let Some(text) = content.text() else { continue };
            for above in path.ancestors().filter(|above| self.paths.get(above).is_none()).collect::<Vec<_>>() {
                self.paths.insert(above, PathKind::Directory(PathAccess::root(0o555)));
            }
            self.paths.insert(path.clone(), PathKind::File(PathAccess::root(0o444)));
            self.texts.insert(path.clone(), scope::only_facts(&path, text));
        }
        Ok(())
    }

    fn add_units(&mut self, host: &dyn HostView) -> Result<()> {
        let names = crate::host::units::names(host)?;
        let claims: Vec<_> =
            names.iter().map(|name| crate::claim::Claim::owns(crate::claim::Target::Unit(name.clone()))).collect();
        host.prefetch(&mut claims.iter());
        for name in names {
            let unit = host.unit(&name)?;
            if unit.exists() {
                let recorded =
                    RecordedUnit { load: unit.load, file: unit.file_state, active: unit.active, sub: unit.sub };
                self.units.insert(name, recorded);
            }
        }
        Ok(())
    }

    /// Writes it down: a line for each path's directory and each other thing, so that two records can be compared by line.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a record.
    ///
    /// # Errors
    /// It is none, or was written by a newer version of this program.
    pub fn from_json(text: &str) -> Result<HostRecord> {
        /// What every version says, whatever else it holds.
        #[derive(Deserialize)]
        struct Head {
            format: String,
        }
        let wrong =
            |error: serde_json::Error| Error::new(ErrorKind::Damaged, format!("it is no record of a host: {error}"));
        let read = serde_json::from_str::<HostRecord>(text);
        if let Ok(record) = &read
            && record.format == HostRecord::FORMAT
        {
            return read.map_err(wrong);
        }
        let Head { format } = serde_json::from_str(text).map_err(wrong)?;
        let version = format.strip_prefix("provision-host/").and_then(|version| version.parse().ok());
        let version = version.filter(|version| *version > 0).ok_or_else(|| {
            Error::new(ErrorKind::Damaged, format!("it is no record of a host: its format is {format:?}"))
        })?;
        HOST.admit(version)?;
        read.map_err(wrong)
    }

    /// Every observation, a line each, by what it is about: to compare two records, and to show where they differ.
    pub fn lines(&self) -> BTreeMap<String, String> {
        let mut lines = BTreeMap::new();
        for (path, kind) in self.paths.iter() {
            let mut line = kind.to_string();
            if let Some(other) = self.attributes.get(path) {
                line += &format!(" {other:?}");
            }
            if let Some(links) = self.hard_links.get(path) {
                line += &format!(" {links} names");
            }
            if let Some(text) = self.texts.get(path) {
                line += &format!(" {text:?}");
            } else if let Some(digest) = self.digests.get(path) {
                line += &format!(" {digest}");
            }
            lines.insert(format!("path {path}"), line);
        }
        lines.extend(self.mounts.iter().map(|path| (format!("mount {path}"), String::new())));
        lines.extend(self.packages.iter().map(|(name, entry)| (format!("package {name}"), format!("{entry:?}"))));
        for user in &self.users {
            lines.insert(format!("user {}", user.name), format!("{user:?} {:?}", self.passwords.get(&user.name)));
        }
        lines.extend(self.groups.iter().map(|group| (format!("group {}", group.name), format!("{group:?}"))));
        lines.extend(self.units.iter().map(|(name, unit)| (format!("unit {name}"), format!("{unit:?}"))));
        lines
    }
}

fn without_hash(password: &str) -> String {
    let open = password.trim_start_matches('!');
    let locks = &password[..password.len() - open.len()];
    if open.is_empty() || open == "*" { password.to_owned() } else { format!("{locks}set") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::sim::SimHost;

    fn record() -> HostRecord {
        let mut small = HostRecord { format: HostRecord::FORMAT.to_owned(), ..HostRecord::default() };
        small.os.version = "13".to_owned();
        let host = SimHost::from_record(small).unwrap().with_user("app").with_file("/etc/motd", "hello\n");
        let host = host.with_file("/etc/os-release", "ID=debian\nVERSION_ID=13\n");
        let host = host.with_access("/etc/motd", "app", "app", 0o640).with_link("/etc/link", "motd");
        let mut record = HostRecord::of(&host, &Scope::comparison()).unwrap();
        record.hard_links.insert(HostPath::new("/etc/motd").unwrap(), 2);
        record
    }

    /// Whoever may make directories could make the record overflow the stack.
    #[test]
    fn a_deep_directory_is_recorded_on_a_small_stack() {
        let deep = format!("/srv{}", "/d".repeat(1_000));
        let host = SimHost::from_record(record()).unwrap().with_directory(&deep);
        let work = move || HostRecord::of(&host, &Scope::comparison()).unwrap().paths;
        let paths = std::thread::Builder::new().stack_size(256 << 10).spawn(work).unwrap().join().unwrap();
        assert!(paths.iter().any(|(path, _)| path.as_str() == deep));
    }

    #[test]
    fn golden_records_of_every_version_are_read() {
        for bytes in golden::versions("host.json", record().to_json().as_bytes()) {
            let read = HostRecord::from_json(str::from_utf8(&bytes).unwrap()).unwrap();
            assert_eq!(read, record());
            SimHost::from_record(read).unwrap();
        }
    }

    #[test]
    fn a_golden_record_of_a_newer_version_is_refused_by_name() {
        let text = record().to_json().replacen("provision-host/1", "provision-host/2", 1);
        let text = text.replacen('{', "{ \"new\": 1,", 1);
        golden::assert_newer(&HostRecord::from_json(&text).unwrap_err(), &HOST);
        for wrong in ["provision-host/0", "provision-host/", "provision-host/1 ", "host"] {
            let text = record().to_json().replacen("provision-host/1", wrong, 1);
            assert_eq!(HostRecord::from_json(&text).unwrap_err().kind(), ErrorKind::Damaged, "{wrong}");
        }
    }
}
