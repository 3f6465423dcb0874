//! Many looks in a short time: a directory that was come to is kept open for what lies in it.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::HashMap;
use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag, openat};
use nix::sys::stat::Mode as Permissions;

use super::LocalHost;
use super::confined::{RawMetadata, Root, name_of};
use crate::effect::Content;
use crate::error::Result;
use crate::host::{Accounts, FileMetadata, HostView, HostViewExt};
use crate::path::HostPath;

/// Files no longer than this are read in one call, in bytes.
const SHORT: usize = 64 * 1024;

/// A view of a host that does not live long.
pub(super) struct Glance<'h> {
    host: &'h LocalHost,
    accounts: Arc<Accounts>,
    last: Mutex<Last>,
}

/// What the looks came by.
#[derive(Default)]
struct Last {
    /// The directory, without links on the way to it.
    directory: Option<(String, OwnedFd)>,
    /// A regular file in it, and its length in bytes.
    file: Option<(HostPath, usize)>,
    /// What files are read into.
    buffer: Vec<u8>,
    /// Names of users and groups, by their numbers: there may be many to look through.
    owners: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl<'h> Glance<'h> {
    pub(super) fn new(host: &'h LocalHost) -> Result<Glance<'h>> {
        Ok(Glance { host, accounts: host.accounts()?, last: Mutex::default() })
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Last {
    /// The directory that holds a path; `None` if the way to it is not plain.
    fn directory_of(&mut self, root: &Root, path: &HostPath) -> Option<&OwnedFd> {
        let parent = path.parent_text()?;
        if self.directory.as_ref().is_none_or(|(known, _)| known != parent) {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
            let opened = root.open_at(&path.parent()?, flags, ResolveFlag::RESOLVE_NO_SYMLINKS).ok()?;
            self.directory = Some((parent.to_owned(), opened));
        }
        self.directory.as_ref().map(|(_, directory)| directory)
    }

    #[expect(clippy::option_option, reason = "that nothing is there is an answer")]
    fn metadata(&mut self, root: &Root, path: &HostPath, accounts: &Accounts) -> Option<Option<FileMetadata>> {
        self.file = None;
        let directory = self.directory_of(root, path)?;
        let raw = match RawMetadata::at(directory, &name_of(path)) {
            Err(Errno::ENOENT) => return Some(None),
            raw => raw.ok()?,
        };
        let size = raw.length().and_then(|size| usize::try_from(size).ok()).filter(|size| (1..=SHORT).contains(size));
        self.file = size.map(|size| (path.clone(), size));
        let owner = self.owners.entry(raw.uid).or_insert_with(|| raw.owner(accounts)).clone();
        let group = self.groups.entry(raw.gid).or_insert_with(|| raw.group(accounts)).clone();
        Some(Some(raw.owned_by(owner, group)))
    }

    /// The content of the file that was looked at last, if it is still as long as it was then.
    fn read(&mut self, root: &Root, path: &HostPath) -> Option<Content> {
        let (_, size) = self.file.take().filter(|(file, _)| file == path)?;
        let directory = self.directory_of(root, path)?;
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(directory, &*name_of(path), flags, Permissions::empty()).ok()?);
        if self.buffer.len() <= size {
            self.buffer.resize(size + 1, 0);
        }
        let length = file.read(&mut self.buffer[..=size]).ok().filter(|length| *length == size)?;
        Some(Content::from(&self.buffer[..length]))
    }
}

/// What is not plain, is asked of the host, which says what is wrong.
#[deny(clippy::missing_trait_methods)]
impl HostView for Glance<'_> {
    fn metadata(&self, path: &HostPath) -> Result<Option<FileMetadata>> {
        match self.last().metadata(&self.host.system.root, path, &self.accounts) {
            Some(found) => Ok(found),
            None => self.host.metadata(path),
        }
    }

    fn read(&self, path: &HostPath) -> Result<Option<Content>> {
        match self.last().read(&self.host.system.root, path) {
            Some(content) => Ok(Some(content)),
            None => self.host.read(path),
        }
    }

    crate::forward_view!(but files: self => self.host);
}
