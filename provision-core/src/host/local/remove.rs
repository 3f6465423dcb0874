//! Removing files and trees.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{Mode as Permissions, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

use super::attributes::{flags, reopen};
use super::confined::{Root, kind_of, name_of};
use crate::effect::{FileFlags, Removal};
use crate::error::{Error, ErrorKind, Result};
use crate::host::FileKind;
use crate::path::HostPath;

impl Root {
    /// Removes something; that survives a loss of power.
    pub(super) fn remove(&self, path: &HostPath, what: Removal) -> Result<()> {
        self.remove_unsynced(path, what)?;
        self.sync_removals([path])
    }

    /// Waits for the disk to have what was removed: once for each directory in which something was.
    pub(super) fn sync_removals<'p>(&self, removed: impl IntoIterator<Item = &'p HostPath>) -> Result<()> {
        let by_directory: BTreeMap<_, _> = removed.into_iter().map(|path| (path.parent(), path)).collect();
        for path in by_directory.into_values() {
            match self.open_parent(path) {
                // The directory was removed as well, and the one above it is among these.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                opened => fsync(&opened?)?,
            }
        }
        Ok(())
    }

    /// Removes something; that survives a loss of power once the directory is [synced](Root::sync_removals).
    pub(super) fn remove_unsynced(&self, path: &HostPath, what: Removal) -> Result<()> {
        let parent = match self.open_parent(path) {
            // What it would lie in has gone, and it with it.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let name = name_of(path);
        let stat = match fstatat(&parent, &*name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => return Ok(()),
            stat => stat?,
        };
        let kind = kind_of(&stat);
        let is_directory = kind == FileKind::Directory;
        let removed = match what {
            Removal::File if is_directory => {
                return Err(Error::new(ErrorKind::Conflict, "it is a directory"));
            }
            Removal::Special if !kind.is_special() => {
                return Err(Error::new(ErrorKind::Conflict, format!("it is {} now", kind.noun())));
            }
            Removal::Tree if is_directory => {
                let name = CString::new(name.as_bytes()).map_err(|_| Errno::EINVAL)?;
                // What cannot go is found before anything is gone.
                visit(parent.as_fd(), &name, &|directory, name, _| require_unlocked(directory, name))?;
                visit(parent.as_fd(), &name, &|directory, name, flag| Ok(unlinkat(directory, name, flag)?))?;
                return Ok(());
            }
            Removal::EmptyDirectory | Removal::IfEmpty => unlinkat(&parent, &*name, UnlinkatFlags::RemoveDir),
            _ => unlinkat(&parent, &*name, UnlinkatFlags::NoRemoveDir),
        };
        match removed {
            Err(Errno::ENOTEMPTY | Errno::EEXIST) if what == Removal::IfEmpty => return Ok(()),
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => {
                return Err(Error::new(ErrorKind::Conflict, "the directory is not empty"));
            }
            Err(Errno::EBUSY) => {
                return Err(Error::new(ErrorKind::Conflict, "something is mounted on it, so it cannot be removed")
                    .with_hint("unmount it first"));
            }
            removed => removed?,
        }
        Ok(())
    }
}

/// How many directories of a tree are kept open at most; those above are opened again when their turn comes.
const MOST_OPEN: usize = 32;

/// A directory under way in a tree.
struct Level {
    /// What it is called in the directory above it.
    name: CString,
    /// Open, unless too many are.
    fd: Option<OwnedFd>,
    /// Device and inode, by which it is known again.
    identity: (u64, u64),
    /// What is still to be visited in it.
    todo: Vec<CString>,
}

impl Level {
    fn new(fd: OwnedFd, name: CString) -> Result<Level> {
        let stat = fstat(&fd)?;
        let mut todo = Vec::new();
        for entry in Dir::from_fd(fd.try_clone()?)?.iter() {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                todo.push(entry.file_name().to_owned());
            }
        }
        Ok(Level { name, fd: Some(fd), identity: (stat.st_dev, stat.st_ino), todo })
    }

    /// The directory, opened again from one in it if it was closed.
    fn open_from(&mut self, within: &OwnedFd) -> Result<()> {
        if self.fd.is_some() {
            return Ok(());
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let above = openat(within, "..", flags, Permissions::empty())?;
        let stat = fstat(&above)?;
        // Whoever moves a directory leads its `..` elsewhere.
        if (stat.st_dev, stat.st_ino) != self.identity {
            let message = format!("`{}` was moved while it was removed", self.name.to_string_lossy());
            return Err(Error::new(ErrorKind::Conflict, message).with_hint("run again"));
        }
        self.fd = Some(above);
        Ok(())
    }
}

/// Visits a directory and all beneath it, what lies in a directory before the directory itself. Trees may be deeper than
/// there may be open files, or than a stack.
///
/// # Errors
/// Another file system, or another part of the same one, is mounted on something there.
fn visit(
    parent: BorrowedFd<'_>,
    name: &CStr,
    act: &dyn Fn(BorrowedFd<'_>, &CStr, UnlinkatFlags) -> Result<()>,
) -> Result<()> {
    let enter = |above: BorrowedFd<'_>, name: CString| {
        let fd = open_here(above, &name, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        Level::new(fd, name)
    };
    let mut way = vec![enter(parent, name.to_owned())?];
    while let Some(level) = way.last_mut() {
        let fd = level.fd.as_ref().ok_or(Errno::EBADF)?;
        match level.todo.pop() {
            Some(entry) => match kind_of(&fstat(&open_here(fd.as_fd(), &entry, OFlag::O_PATH)?)?) {
                FileKind::Directory => {
                    let next = enter(fd.as_fd(), entry)?;
                    if let Some(far) = way.len().checked_sub(MOST_OPEN) {
                        way[far].fd = None;
                    }
                    way.push(next);
                }
                _ => act(fd.as_fd(), &entry, UnlinkatFlags::NoRemoveDir)?,
            },
            None => {
                let Some(Level { name, fd: Some(within), .. }) = way.pop() else { break };
                let above = match way.last_mut() {
                    Some(above) => {
                        above.open_from(&within)?;
                        above.fd.as_ref().map_or(parent, AsFd::as_fd)
                    }
                    None => parent,
                };
                act(above, &name, UnlinkatFlags::RemoveDir)?;
            }
        }
    }
    Ok(())
}

/// Fails if flags keep something from being removed.
fn require_unlocked(directory: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    let node = open_here(directory, name, OFlag::O_PATH)?;
    let Some(file) = reopen(&node, &fstat(&node)?)? else { return Ok(()) };
    if flags(&file)?.has(FileFlags::LOCKS) {
        let message = format!("`{}` in it is immutable or append-only (chattr +i, +a)", name.to_string_lossy());
        return Err(Error::new(ErrorKind::PermissionDenied, message).with_hint("take the flag away with `chattr -ia`"));
    }
    Ok(())
}

/// Opens what lies in a directory, if nothing is mounted there; a bind mount is found by `RESOLVE_NO_XDEV` alone.
fn open_here(parent: BorrowedFd<'_>, name: &CStr, flags: OFlag) -> Result<OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_BENEATH;
    let how = OpenHow::new().flags(flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).resolve(resolve);
    loop {
        match openat2(parent, name, how) {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(Errno::EXDEV) => {
                let message = format!("something is mounted on `{}`", name.to_string_lossy());
                return Err(Error::new(ErrorKind::Refused, message).with_hint("unmount it first"));
            }
            opened => return Ok(opened?),
        }
    }
}
