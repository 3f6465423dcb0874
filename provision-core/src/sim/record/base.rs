//! A recorded host as one that can be looked at: what a simulated host begins with.

use std::sync::Arc;

use foldhash::HashMap;

use super::{HostRecord, PathKind};
use crate::effect::{Content, Sensitive};
use crate::error::{Error, ErrorKind, Result};
use crate::host::overlay::node::not_held;
use crate::host::{Accounts, FileAttributes, FileKind, FileMetadata, PackageTable, Shadow};
use crate::path::HostPath;
use crate::sim::units::UnitCache;

/// A recorded host, ready to answer. Cheap to clone.
#[derive(Clone)]
pub(crate) struct RecordedHost(Arc<Inner>);

struct Inner {
    record: HostRecord,
    paths: HashMap<HostPath, Entry>,
    accounts: Arc<Accounts>,
    packages: Arc<PackageTable>,
    units: UnitCache,
}

/// What is known of a path.
struct Entry {
    kind: PathKind,
    /// The number of what is mounted there.
    mount: u64,
    /// The content of a file or the text of a link.
    data: Option<Content>,
    /// The names in a directory.
    names: Vec<String>,
}

impl RecordedHost {
    pub(crate) fn new(mut record: HostRecord) -> RecordedHost {
        let mut texts = std::mem::take(&mut record.texts);
        let mut paths: HashMap<HostPath, Entry> = HashMap::default();
        for (path, kind) in record.paths.iter() {
            let data = kind.holds(texts.remove(path));
            let mounted = record.mounts.iter().rposition(|mount| path.is_within(mount));
            let mount = mounted.map_or(0, |place| place as u64 + 1);
            paths.insert(path.clone(), Entry { kind: kind.clone(), mount, data, names: Vec::new() });
        }
        for (path, _) in record.paths.iter() {
            if let Some(above) = path.parent().and_then(|parent| paths.get_mut(&parent)) {
                above.names.push(path.name().to_owned());
            }
        }
        let accounts = Accounts {
            users: record.users.iter().map(|user| (user.name.clone(), user.clone())).collect(),
            groups: record.groups.iter().map(|group| (group.name.clone(), group.clone())).collect(),
        };
        let packages = Arc::new(std::mem::take(&mut record.packages));
        let (accounts, units) = (Arc::new(accounts), UnitCache::default());
        RecordedHost(Arc::new(Inner { record, paths, accounts, packages, units }))
    }

    pub(crate) fn record(&self) -> &HostRecord {
        &self.0.record
    }

    pub(crate) fn metadata(&self, path: &HostPath) -> Option<FileMetadata> {
        let entry = self.0.paths.get(path)?;
        Some(FileMetadata {
            kind: entry.kind.kind(),
            access: entry.kind.access(),
            size: entry.data.as_ref().map_or(0, |data| data.bytes().len() as u64),
            mount: entry.mount,
            links: self.0.record.hard_links.get(path).copied().unwrap_or(1),
        })
    }

    pub(crate) fn attributes(&self, path: &HostPath) -> Option<FileAttributes> {
        self.0.paths.get(path)?;
        let recorded = self.0.record.attributes.get(path).cloned().unwrap_or_default();
        Some(FileAttributes { xattrs: recorded.xattrs, flags: recorded.flags, ..FileAttributes::default() })
    }

    pub(crate) fn read(&self, path: &HostPath) -> Result<Option<Content>> {
        let Some(entry) = self.0.paths.get(path) else { return Ok(None) };
        match entry.kind.kind() {
            FileKind::File => entry.data.clone().map(Some).ok_or_else(|| not_held(path)),
            other => Err(Error::new(ErrorKind::Conflict, format!("it is {}, not a file", other.noun()))),
        }
    }

    pub(crate) fn read_link(&self, path: &HostPath) -> Result<Option<String>> {
        let Some(entry) = self.0.paths.get(path) else { return Ok(None) };
        match entry.kind.kind() {
            FileKind::Symlink => Ok(entry.data.as_ref().and_then(Content::text).map(str::to_owned)),
            _ => Err(Error::new(ErrorKind::Conflict, "it is not a symbolic link")),
        }
    }

    pub(crate) fn list(&self, path: &HostPath) -> Result<Option<Vec<String>>> {
        let Some(entry) = self.0.paths.get(path) else { return Ok(None) };
        match entry.kind.kind() {
            FileKind::Directory => Ok(Some(entry.names.clone())),
            _ => Err(Error::new(ErrorKind::Conflict, "it is not a directory")),
        }
    }

    pub(crate) fn accounts(&self) -> Arc<Accounts> {
        Arc::clone(&self.0.accounts)
    }

    pub(crate) fn units(&self) -> &UnitCache {
        &self.0.units
    }

    pub(crate) fn packages(&self) -> Arc<PackageTable> {
        Arc::clone(&self.0.packages)
    }

    pub(crate) fn shadow(&self, user: &str) -> Option<Shadow> {
        let known = self.0.record.passwords.get(user)?;
        Some(Shadow { password: Sensitive::new(known.password.as_str()), expires: known.expires })
    }
}
