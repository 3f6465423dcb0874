//! Changing files so that a crash leaves the old or the new: beside its place, synced, renamed, directory synced.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode as Permissions, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, fsync, symlinkat, unlinkat};
use xattr::FileExt;

use super::confined::{Root, kind_of, path_of, xattrs_of};
use crate::effect::Removal;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::FileKind;
use crate::path::{HostPath, Mode};

pub(super) const FRESH: OFlag = OFlag::O_CREAT.union(OFlag::O_EXCL).union(OFlag::O_CLOEXEC);

impl Root {
    /// Writes a whole file. `check` sees it under its temporary name, complete; if it objects, nothing changes.
    pub(super) fn write_file(
        &self,
        path: &HostPath,
        content: &[u8],
        owner: (u32, u32),
        mode: Mode,
        check: impl Fn(&HostPath) -> Result<()>,
    ) -> Result<()> {
        let parent = self.open_parent(path)?;
        let staged = stage(&parent, path, |name| {
            // Nobody else may open it before owner and mode are final.
            let private = Permissions::from_bits_truncate(0o600);
            Ok(File::from(openat(&parent, name, FRESH | OFlag::O_WRONLY, private)?))
        })?;
        let mut file = staged.as_file();
        file.write_all(content)?;
        self.keep_attributes(path, file)?;
        // chown(2) clears set-user-id and set-group-id, so the mode comes last.
        fchown(file, Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1)))?;
        fchmod(file, Permissions::from_bits_truncate(mode.bits()))?;
        check(&staged_path(path, staged.path())?)?;
        file.sync_all()?;
        put_in_place(&parent, staged.path(), path)?;
        staged.keep().map_err(|error| Error::io(&error.error))?;
        Ok(())
    }

    /// Gives a new file the access control list and extended attributes of the one that it replaces.
    fn keep_attributes(&self, path: &HostPath, new: &File) -> Result<()> {
        let Ok(Some((old, _))) = self.open_file(path) else { return Ok(()) };
        for (name, value) in xattrs_of(&old)? {
            new.set_xattr(&name, value.bytes()).while_doing(|| format!("keeping the extended attribute {name}"))?;
        }
        Ok(())
    }

    pub(super) fn copy_file(&self, from: &HostPath, to: &HostPath) -> Result<()> {
        let Some((mut old, stat)) = self.open_file(from)? else {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no {from}")));
        };
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut old, &mut content)?;
        self.write_file(to, &content, (stat.st_uid, stat.st_gid), Mode::new(stat.st_mode), |_| Ok(()))
    }

    pub(super) fn create_directory(&self, path: &HostPath, owner: (u32, u32), mode: Mode) -> Result<()> {
        if path.parent().is_none() {
            return self.set_metadata(path, Some(owner.0), Some(owner.1), Some(mode));
        }
        let parent = self.open_parent(path)?;
        match mkdirat(&parent, path.name(), Permissions::from_bits_truncate(0o700)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = match openat(&parent, path.name(), flags, Permissions::empty()) {
            Err(Errno::ENOTDIR | Errno::ELOOP) => {
                return Err(Error::new(ErrorKind::Conflict, "something that is not a directory is in its place"));
            }
            opened => opened?,
        };
        fchown(&directory, Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1)))?;
        fchmod(&directory, Permissions::from_bits_truncate(mode.bits()))?;
        fsync(&directory)?;
        fsync(&parent)?;
        Ok(())
    }

    pub(super) fn create_symlink(&self, path: &HostPath, target: &str, owner: (u32, u32)) -> Result<()> {
        let parent = self.open_parent(path)?;
        let staged = stage(&parent, path, |name| {
            symlinkat(target, &parent, name)?;
            Ok(())
        })?;
        let name = file_name(staged.path())?;
        let (uid, gid) = (Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1)));
        fchownat(&parent, name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        put_in_place(&parent, staged.path(), path)?;
        staged.keep().map_err(|error| Error::io(&error.error))?;
        Ok(())
    }

    pub(super) fn set_metadata(
        &self,
        path: &HostPath,
        uid: Option<u32>,
        gid: Option<u32>,
        mode: Option<Mode>,
    ) -> Result<()> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        let (parent, name) = match path.parent() {
            Some(_) => (self.open_parent(path)?, path.name()),
            None => (self.open_parent(&HostPath::new("/.provision")?)?, "."),
        };
        let stat = fstatat(&parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        if kind_of(&stat) == FileKind::Symlink {
            fchownat(&parent, name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)?;
            return Ok(());
        }
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let file = openat(&parent, name, flags, Permissions::empty())?;
        let before = fstat(&file)?;
        if uid.is_some() || gid.is_some() {
            fchown(&file, uid, gid)?;
        }
        // chown(2) clears set-user-id and set-group-id; a mode that was not to change stays.
        let bits = mode.unwrap_or(Mode::new(before.st_mode)).bits();
        fchmod(&file, Permissions::from_bits_truncate(bits))?;
        fsync(&file)?;
        Ok(())
    }

    pub(super) fn remove(&self, path: &HostPath, what: Removal) -> Result<()> {
        let Some(stat) = self.stat(path)? else { return Ok(()) };
        let is_directory = kind_of(&stat) == FileKind::Directory;
        let parent = self.open_parent(path)?;
        match what {
            Removal::File if is_directory => {
                return Err(Error::new(ErrorKind::Conflict, "it is a directory"));
            }
            Removal::IfEmpty => match unlinkat(&parent, path.name(), UnlinkatFlags::RemoveDir) {
                Err(Errno::ENOTEMPTY | Errno::EEXIST) => return Ok(()),
                result => result?,
            },
            Removal::Tree if is_directory => remove_tree(parent.as_fd(), path.name(), stat.st_dev)?,
            Removal::EmptyDirectory => match unlinkat(&parent, path.name(), UnlinkatFlags::RemoveDir) {
                Err(Errno::ENOTEMPTY | Errno::EEXIST) => {
                    return Err(Error::new(ErrorKind::Conflict, "the directory is not empty"));
                }
                result => result?,
            },
            _ => unlinkat(&parent, path.name(), UnlinkatFlags::NoRemoveDir)?,
        }
        fsync(&parent)?;
        Ok(())
    }
}

/// Makes something under a name that nothing has yet, beside its place; gone again unless it is kept.
pub(super) fn stage<T>(
    parent: &OwnedFd,
    path: &HostPath,
    make: impl Fn(&str) -> std::io::Result<T>,
) -> Result<tempfile::NamedTempFile<T>> {
    // A leading dot and the suffix: run-parts(8), sudo and cron pass over such a file.
    tempfile::Builder::new()
        .prefix(&format!(".{}.", shortened(path.name())))
        .suffix(".provision")
        .make_in(path_of(parent), |staged| make(staged.file_name().and_then(|name| name.to_str()).unwrap_or_default()))
        .map_err(|error| Error::io(&error))
}

/// A name has at most 255 bytes, and the staged one is longer than the final one.
fn shortened(name: &str) -> &str {
    &name[..name.floor_char_boundary(200)]
}

pub(super) fn file_name(staged: &std::path::Path) -> Result<&str> {
    let name = staged.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| Error::new(ErrorKind::Invalid, "the file name is not UTF-8"))
}

/// The staged file as a command sees it that runs in the same root directory.
fn staged_path(path: &HostPath, staged: &std::path::Path) -> Result<HostPath> {
    path.parent().unwrap_or_else(HostPath::root).join(file_name(staged)?)
}

pub(super) fn put_in_place(parent: &OwnedFd, staged: &std::path::Path, path: &HostPath) -> Result<()> {
    match renameat(parent, file_name(staged)?, parent, path.name()) {
        Ok(()) => {}
        Err(Errno::EISDIR | Errno::ENOTDIR | Errno::ENOTEMPTY | Errno::EEXIST) => {
            return Err(Error::new(ErrorKind::Conflict, "a directory is in its place"));
        }
        Err(Errno::EBUSY) => {
            return Err(Error::new(ErrorKind::Conflict, "something is mounted on it, so it cannot be replaced"));
        }
        Err(errno) => return Err(errno.into()),
    }
    fsync(parent)?;
    Ok(())
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
