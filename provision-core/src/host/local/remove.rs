//! Removing files and trees.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{fstat, fstatat};
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

use super::attributes::{flags, reopen};
use super::confined::{Root, kind_of};
use crate::effect::{FileFlags, Removal};
use crate::error::{Error, ErrorKind, Result};
use crate::host::FileKind;
use crate::path::HostPath;

impl Root {
    pub(super) fn remove(&self, path: &HostPath, what: Removal) -> Result<()> {
        let parent = match self.open_parent(path) {
            // What it would lie in has gone, and it with it.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let stat = match fstatat(&parent, path.name(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => return Ok(()),
            stat => stat?,
        };
        let is_directory = kind_of(&stat) == FileKind::Directory;
        let removed = match what {
            Removal::File if is_directory => {
                return Err(Error::new(ErrorKind::Conflict, "it is a directory"));
            }
            Removal::Tree if is_directory => {
                let name = CString::new(path.name()).map_err(|_| Errno::EINVAL)?;
                // What cannot go is found before anything is gone.
                visit(parent.as_fd(), &name, &|directory, name, _| require_unlocked(directory, name))?;
                visit(parent.as_fd(), &name, &|directory, name, flag| Ok(unlinkat(directory, name, flag)?))?;
                fsync(&parent)?;
                return Ok(());
            }
            Removal::EmptyDirectory | Removal::IfEmpty => unlinkat(&parent, path.name(), UnlinkatFlags::RemoveDir),
            _ => unlinkat(&parent, path.name(), UnlinkatFlags::NoRemoveDir),
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
        fsync(&parent)?;
        Ok(())
    }
}

/// Visits a directory and all beneath it, what lies in a directory before the directory itself.
///
/// # Errors
/// Another file system, or another part of the same one, is mounted on something there.
fn visit(
    parent: BorrowedFd<'_>,
    name: &CStr,
    act: &dyn Fn(BorrowedFd<'_>, &CStr, UnlinkatFlags) -> Result<()>,
) -> Result<()> {
    let directory = open_here(parent, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
    let mut listing = Dir::from_fd(directory.try_clone()?)?;
    for entry in listing.iter() {
        let entry = entry?;
        let entry = entry.file_name();
        if matches!(entry.to_bytes(), b"." | b"..") {
            continue;
        }
        let node = open_here(directory.as_fd(), entry, OFlag::O_PATH)?;
        match kind_of(&fstat(&node)?) {
            FileKind::Directory => visit(directory.as_fd(), entry, act)?,
            _ => act(directory.as_fd(), entry, UnlinkatFlags::NoRemoveDir)?,
        }
    }
    act(parent, name, UnlinkatFlags::RemoveDir)
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
