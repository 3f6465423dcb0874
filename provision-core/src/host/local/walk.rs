//! Going to a path without being led astray: by links, and by who may move them.
//!
//! A link is followed only where no user but root, or the one who runs this program, could have put it: it is theirs, and so is
//! every directory on the way to it, none of which others may write to. Beneath a directory that others may write to
//! nothing is followed, for names there can be exchanged at any moment, even those of root's own links and directories.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode as Permissions, fstat};

use super::confined::{Root, found, is_trusted, kind_of, name_of, raw, told};
use crate::error::{Error, ErrorKind, Result};
use crate::host::FileKind;
use crate::path::HostPath;

/// A directory on the way, and whether only root, or who runs this program, can change what its path leads to.
struct Step {
    fd: OwnedFd,
    is_private: bool,
}

impl Step {
    fn new(fd: OwnedFd, above_is_private: bool) -> Result<Step> {
        let stat = fstat(&fd)?;
        // An access control list that lets others write shows in the group bits: they are its mask, see acl(5).
        let is_private = above_is_private && is_ours(&stat) && stat.st_mode & 0o022 == 0;
        Ok(Step { fd, is_private })
    }
}

fn is_ours(stat: &FileStat) -> bool {
    is_trusted(stat.st_uid, 0)
}

impl Root {
    /// Opens what is at a path and not what a link at its end leads to. `None` if nothing is there.
    pub(super) fn look_up(&self, path: &HostPath, flags: OFlag) -> Result<Option<OwnedFd>> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = match (self.open_at(path, flags, ResolveFlag::RESOLVE_NO_SYMLINKS), path.parent()) {
            (Err(Errno::ELOOP), Some(parent)) => match self.walk_to(&parent) {
                Ok(parent) => openat(&parent.fd, &*name_of(path), flags, Permissions::empty()),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            },
            (opened, _) => opened,
        };
        match opened {
            Err(Errno::ELOOP) => Err(Error::new(ErrorKind::Conflict, "it is a symbolic link, not a file")),
            opened => found(opened),
        }
    }

    /// Opens a directory, or one that a link leads to. `None` if nothing is there.
    pub(super) fn open_directory(&self, path: &HostPath) -> Result<Option<OwnedFd>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        match self.open_at(path, flags, ResolveFlag::RESOLVE_NO_SYMLINKS) {
            Err(Errno::ELOOP) => match self.walk_to(path) {
                Ok(step) => Ok(Some(step.fd)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
            opened => found(opened),
        }
    }

    /// Opens the directory that holds a path, to change something in it.
    pub(super) fn open_parent(&self, path: &HostPath) -> Result<OwnedFd> {
        let Some(parent) = path.parent() else {
            return Err(Error::new(ErrorKind::Refused, "the root directory itself cannot be replaced"));
        };
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        match self.open_at(&parent, flags, ResolveFlag::RESOLVE_NO_SYMLINKS) {
            Err(Errno::ELOOP) => Ok(self.walk_to(&parent)?.fd),
            Err(Errno::ENOENT) => {
                Err(Error::new(ErrorKind::NotFound, format!("the directory {parent} does not exist")))
            }
            Err(Errno::ENOTDIR) => {
                Err(Error::new(ErrorKind::Conflict, format!("{parent}, or something above it, is not a directory")))
            }
            result => Ok(result?),
        }
    }

    /// Whether only root, or who runs this program, can put something into a directory, or another in its place.
    pub(super) fn is_private(&self, directory: &HostPath) -> Result<bool> {
        Ok(self.walk_to(directory)?.is_private)
    }

    /// Goes to a directory step by step, deciding about each link.
    fn walk_to(&self, directory: &HostPath) -> Result<Step> {
        const MOST_LINKS: u32 = 40; // as the kernel, see path_resolution(7)
        let here_only = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let start = || Step::new(self.open_at(&HostPath::root(), here_only, ResolveFlag::empty())?, true);
        let mut way = vec![start()?];
        let mut todo: Vec<OsString> = split(&raw(directory.as_str()));
        let mut links = 0;
        while let Some(component) = todo.pop() {
            if component == ".." {
                if way.len() > 1 {
                    way.pop();
                }
                continue;
            }
            let Some(here) = way.last() else { break };
            let next = openat(&here.fd, &*component, here_only, Permissions::empty())?;
            let stat = fstat(&next)?;
            match kind_of(&stat) {
                FileKind::Directory => {
                    let is_private = here.is_private;
                    way.push(Step::new(next, is_private)?);
                    continue;
                }
                FileKind::Symlink => {}
                kind => {
                    let component = told(component.as_bytes());
                    let message = format!("`{component}` on the way to {directory} is {}", kind.noun());
                    return Err(Error::new(ErrorKind::Conflict, message));
                }
            }
            if !here.is_private || !is_ours(&stat) {
                return Err(foreign_link(&told(component.as_bytes()), directory, &stat));
            }
            links += 1;
            if links > MOST_LINKS {
                return Err(Error::new(ErrorKind::Conflict, "too many symbolic links on the way"));
            }
            let target = readlinkat(&next, "")?;
            if target.as_bytes().starts_with(b"/") {
                way = vec![start()?];
            }
            todo.extend(split(&target));
        }
        let Some(last) = way.pop() else {
            return Err(Error::new(ErrorKind::Io, "the root directory is gone"));
        };
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = openat(last.fd.as_fd(), ".", flags, Permissions::empty())?;
        Ok(Step { fd, is_private: last.is_private })
    }
}

fn foreign_link(component: &str, directory: &HostPath, link: &FileStat) -> Error {
    let whose = match is_ours(link) {
        true => ", and others than root may put one there".to_owned(),
        false => format!(" that user {} made", link.st_uid),
    };
    let message = format!("`{component}` on the way to {directory} is a symbolic link{whose}");
    Error::new(ErrorKind::Refused, message).with_hint(
        "name the real path, or say `links = 'follow`; or make root the owner of the link and of all directories above \
         it, and let no other user write to them",
    )
}

/// Components, the first one last.
fn split(path: &OsStr) -> Vec<OsString> {
    let parts = path.as_bytes().split(|byte| *byte == b'/').rev();
    parts.filter(|part| !matches!(*part, b"" | b".")).map(|part| OsStr::from_bytes(part).to_owned()).collect()
}
