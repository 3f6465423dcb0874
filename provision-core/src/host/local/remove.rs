//! Removing files and trees.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode as Permissions, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

use super::confined::{Root, kind_of};
use crate::effect::Removal;
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
                return remove_tree(parent.as_fd(), path.name(), stat.st_dev).and_then(|()| Ok(fsync(&parent)?));
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

/// Removes a directory and all beneath it. What is mounted there stays, and is an error.
fn remove_tree(parent: BorrowedFd<'_>, name: &str, device: u64) -> Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let directory = openat(parent, name, flags, Permissions::empty())?;
    if fstat(&directory)?.st_dev != device {
        return Err(Error::new(ErrorKind::Refused, format!("another file system is mounted on `{name}`"))
            .with_hint("unmount it first"));
    }
    let mut listing = nix::dir::Dir::from_fd(directory.try_clone()?)?;
    for entry in listing.iter() {
        let entry = entry?;
        let entry = entry.file_name();
        if matches!(entry.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = fstatat(&directory, entry, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        match (kind_of(&stat), entry.to_str()) {
            (FileKind::Directory, Ok(entry)) => remove_tree(directory.as_fd(), entry, device)?,
            (FileKind::Directory, Err(_)) => {
                return Err(Error::new(ErrorKind::Unsupported, "a directory beneath it has a name that is not UTF-8"));
            }
            _ => unlinkat(&directory, entry, UnlinkatFlags::NoRemoveDir)?,
        }
    }
    unlinkat(parent, name, UnlinkatFlags::RemoveDir)?;
    Ok(())
}
