//! Making something beside its place, and putting it there in one step.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{OFlag, renameat};
use nix::unistd::fsync;

use super::attributes::flags;
use super::confined::{path_of, raw, told};
use crate::effect::FileFlags;
use crate::error::{Error, ErrorKind, Result};
use crate::path::HostPath;

/// How a file is opened that does not exist yet.
pub(super) const FRESH: OFlag = OFlag::O_CREAT.union(OFlag::O_EXCL).union(OFlag::O_CLOEXEC);

/// Whether a name is one that a staged file has.
pub(super) fn is_staged(name: &str) -> bool {
    let random = name.strip_suffix(".provision").and_then(|rest| rest.rsplit_once('.'));
    random.is_some_and(|(stem, random)| {
        stem.starts_with('.') && random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Something that is complete but for its name; gone again unless it is put in place.
pub(super) struct Staged<'a, T> {
    file: tempfile::NamedTempFile<T>,
    directory: &'a OwnedFd,
    path: &'a HostPath,
}

impl<'a, T> Staged<'a, T> {
    /// Makes something under a name that nothing has yet, in the directory that its path lies in.
    pub(super) fn new(
        directory: &'a OwnedFd,
        path: &'a HostPath,
        make: impl Fn(&OsStr) -> std::io::Result<T>,
    ) -> Result<Staged<'a, T>> {
        // In a directory that only grows, what is staged could neither be renamed nor removed.
        if flags(directory)?.has(FileFlags::LOCKS) {
            return Err(Errno::EPERM.into());
        }
        // A leading dot and the suffix: run-parts(8), sudo and cron pass over such a file.
        let file = tempfile::Builder::new()
            .prefix(&*raw(&format!(".{}.", shortened(path.name()))))
            .suffix(".provision")
            .make_in(path_of(directory), |staged| make(staged.file_name().unwrap_or_default()))
            .map_err(|error| Error::io(&error))?;
        Ok(Staged { file, directory, path })
    }

    pub(super) fn file(&self) -> &T {
        self.file.as_file()
    }

    pub(super) fn file_mut(&mut self) -> &mut T {
        self.file.as_file_mut()
    }

    pub(super) fn name(&self) -> &OsStr {
        self.file.path().file_name().unwrap_or_default()
    }

    /// The path as a command sees it that runs in the same root directory.
    pub(super) fn path(&self) -> Result<HostPath> {
        self.path.parent().unwrap_or_else(HostPath::root).join(&told(self.name().as_bytes()))
    }

    /// Gives it its name, whatever has that name now but a directory.
    pub(super) fn put_in_place(self) -> Result<T> {
        let name = self.path.name();
        self.put_as(name)
    }

    /// As [`put_in_place`](Staged::put_in_place), under another name in the same directory.
    pub(super) fn put_as(self, name: &str) -> Result<T> {
        match renameat(self.directory, self.name(), self.directory, &*raw(name)) {
            Ok(()) => {}
            Err(Errno::EISDIR | Errno::ENOTDIR | Errno::ENOTEMPTY | Errno::EEXIST) => {
                return Err(a_directory_is_there());
            }
            Err(Errno::EBUSY) => {
                let message = "something is mounted on it, so it cannot be replaced; it is as it was";
                return Err(Error::new(ErrorKind::Conflict, message)
                    .with_hint("unmount it, or declare the file that is mounted there under its own path"));
            }
            Err(errno) => return Err(errno.into()),
        }
        let (file, _) = self.file.keep().map_err(|error| Error::io(&error.error))?;
        fsync(self.directory)?;
        Ok(file)
    }
}

pub(super) fn a_directory_is_there() -> Error {
    Error::new(ErrorKind::Conflict, "a directory is in its place")
}

/// A name has at most 255 bytes, and the staged one is longer than the final one.
fn shortened(name: &str) -> &str {
    &name[..name.floor_char_boundary(200)]
}
