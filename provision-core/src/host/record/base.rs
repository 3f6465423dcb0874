//! A recorded host as one that can be looked at: what a simulated host begins with.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{HostRecord, PathKind};
use crate::effect::{Content, Sensitive};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{Accounts, FileAttributes, FileMetadata, PackageTable, Shadow};
use crate::path::HostPath;

/// A recorded host, ready to answer. Cheap to clone.
#[derive(Clone)]
pub(in crate::host) struct RecordedHost(Arc<Inner>);

struct Inner {
    record: HostRecord,
    contents: BTreeMap<HostPath, Content>,
    /// The names in each directory.
    children: BTreeMap<HostPath, Vec<String>>,
    accounts: Arc<Accounts>,
    packages: Arc<PackageTable>,
}

impl RecordedHost {
    pub(in crate::host) fn new(mut record: HostRecord) -> RecordedHost {
        let mut children: BTreeMap<HostPath, Vec<String>> = BTreeMap::new();
        for (path, _) in record.paths.iter() {
            if let Some(parent) = path.parent() {
                children.entry(parent).or_default().push(path.name().to_owned());
            }
        }
        let accounts = Accounts {
            users: record.users.iter().map(|user| (user.name.clone(), user.clone())).collect(),
            groups: record.groups.iter().map(|group| (group.name.clone(), group.clone())).collect(),
        };
        let contents = std::mem::take(&mut record.texts);
        let contents = contents.into_iter().map(|(path, text)| (path, Content::from(text))).collect();
        let packages = Arc::new(std::mem::take(&mut record.packages));
        RecordedHost(Arc::new(Inner { record, contents, children, accounts: Arc::new(accounts), packages }))
    }

    pub(in crate::host) fn record(&self) -> &HostRecord {
        &self.0.record
    }

    fn kind(&self, path: &HostPath) -> Option<&PathKind> {
        self.0.record.paths.get(path)
    }

    pub(in crate::host) fn metadata(&self, path: &HostPath) -> Option<FileMetadata> {
        let found = self.kind(path)?;
        let size = match found {
            PathKind::Symlink(target) => target.len(),
            _ => self.0.contents.get(path).map_or(0, |content| content.bytes().len()),
        };
        let mounts = &self.0.record.mounts;
        let device = mounts.iter().rposition(|mount| path.is_within(mount)).map_or(0, |place| place + 1);
        Some(FileMetadata {
            kind: found.kind(),
            access: found.access(),
            size: size as u64,
            device: device as u64,
            links: self.0.record.hard_links.get(path).copied().unwrap_or(1),
        })
    }

    pub(in crate::host) fn attributes(&self, path: &HostPath) -> Option<FileAttributes> {
        self.kind(path)?;
        let recorded = self.0.record.attributes.get(path).cloned().unwrap_or_default();
        Some(FileAttributes { xattrs: recorded.xattrs, flags: recorded.flags, ..FileAttributes::default() })
    }

    pub(in crate::host) fn read(&self, path: &HostPath) -> Result<Option<Content>> {
        match self.kind(path) {
            None => Ok(None),
            Some(PathKind::File(_)) => match self.0.contents.get(path) {
                Some(content) => Ok(Some(content.clone())),
                None => Err(not_held(path)),
            },
            Some(other) => Err(Error::new(ErrorKind::Conflict, format!("it is {}, not a file", other.kind().noun()))),
        }
    }

    pub(in crate::host) fn read_link(&self, path: &HostPath) -> Result<Option<String>> {
        match self.kind(path) {
            None => Ok(None),
            Some(PathKind::Symlink(target)) => Ok(Some(target.clone())),
            Some(_) => Err(Error::new(ErrorKind::Conflict, "it is not a symbolic link")),
        }
    }

    pub(in crate::host) fn list(&self, path: &HostPath) -> Result<Option<Vec<String>>> {
        match self.kind(path) {
            None => Ok(None),
            Some(PathKind::Directory(_)) => Ok(Some(self.0.children.get(path).cloned().unwrap_or_default())),
            Some(_) => Err(Error::new(ErrorKind::Conflict, "it is not a directory")),
        }
    }

    pub(in crate::host) fn accounts(&self) -> Arc<Accounts> {
        Arc::clone(&self.0.accounts)
    }

    pub(in crate::host) fn packages(&self) -> Arc<PackageTable> {
        Arc::clone(&self.0.packages)
    }

    pub(in crate::host) fn shadow(&self, user: &str) -> Option<Shadow> {
        let known = self.0.record.passwords.get(user)?;
        Some(Shadow { password: Sensitive::new(known.password.as_str()), expires: known.expires })
    }
}

/// The error for a file of which only the name is known.
pub(in crate::host) fn not_held(path: &HostPath) -> Error {
    Error::new(ErrorKind::Unsupported, format!("the simulated host has {path}, and does not know what it holds"))
        .with_hint("say what it holds, with `SimHost::with_file` or in the `files` of the test")
}

const UNRECORDED: &str = "\0nobody has recorded what this file holds: ";

/// What stands for a content that nobody has recorded: it can be kept and put back.
pub(in crate::host) fn unrecorded(path: &HostPath) -> Content {
    format!("{UNRECORDED}{path}").into()
}

/// Whether a content is only a stand-in.
pub(in crate::host) fn is_unrecorded(content: &Content) -> bool {
    content.bytes().starts_with(UNRECORDED.as_bytes())
}
