//! Making directories, and changing owner, group, mode and attributes of what is there.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, ResolveFlag, openat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode as Permissions, fchmodat, fstat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, fsync, unlinkat};

use super::attributes::{flags, put_xattrs, reopen, set_flags, xattrs};
use super::confined::{Root, is_trusted, kind_of, name_of, path_of};
use super::write::Numbers;
use crate::effect::{AttributeChanges, FileFlags};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{FileAttributes, FileKind};
use crate::path::{HostPath, Mode};

const HERE_ONLY: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// What changes of something; absent is unchanged.
pub(super) struct Changes<'a> {
    pub(super) owner: (Option<u32>, Option<u32>),
    pub(super) mode: Option<Mode>,
    pub(super) attributes: &'a AttributeChanges,
    pub(super) numbers: Numbers<'a>,
}

impl Root {
    /// Makes a directory, or changes the one that is there.
    pub(super) fn create_directory(&self, path: &HostPath, change: impl FnOnce(&OwnedFd) -> Result<()>) -> Result<()> {
        if path.parent().is_none() {
            return change(&self.open_node(path)?);
        }
        let parent = self.open_parent(path)?;
        let is_new = match mkdirat(&parent, &*name_of(path), Permissions::from_bits_truncate(0o700)) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            Err(errno) => return Err(errno.into()),
        };
        let directory = openat(&parent, &*name_of(path), HERE_ONLY | OFlag::O_DIRECTORY, Permissions::empty());
        let above = fstat(&parent)?;
        let done = match directory {
            Err(Errno::ENOTDIR | Errno::ELOOP) => {
                Err(Error::new(ErrorKind::Conflict, "something that is not a directory is in its place"))
            }
            Err(errno) => Err(errno.into()),
            Ok(directory) if is_new && !is_trusted(above.st_uid, 0) => {
                without_lists(&directory).and_then(|()| change(&directory))
            }
            Ok(directory) => change(&directory),
        };
        if done.is_err() && is_new {
            // Only an empty one goes; if that fails, the first error says more.
            let _ = unlinkat(&parent, &*name_of(path), UnlinkatFlags::RemoveDir);
        }
        done?;
        fsync(&parent)?;
        Ok(())
    }

    /// Makes a directory, or gives the one that is there an owner and a mode.
    pub(super) fn make_directory(&self, path: &HostPath, (uid, gid): (u32, u32), mode: Mode) -> Result<()> {
        let attributes = AttributeChanges::default();
        let numbers = |_: &_| Ok(u32::MAX);
        let owner = (Some(uid), Some(gid));
        let changes = Changes { owner, mode: Some(mode), attributes: &attributes, numbers: &numbers };
        self.create_directory(path, |directory| changes.make_to(directory))
    }

    /// Opens what is at a path, and not what a link there leads to, to change it and nothing else.
    pub(super) fn open_node(&self, path: &HostPath) -> Result<OwnedFd> {
        match path.parent() {
            Some(_) => Ok(openat(&self.open_parent(path)?, &*name_of(path), HERE_ONLY, Permissions::empty())?),
            None => Ok(self.open_at(path, HERE_ONLY, ResolveFlag::empty())?),
        }
    }

    pub(super) fn set_metadata(&self, path: &HostPath, changes: &Changes<'_>) -> Result<()> {
        let node = self.open_node(path)?;
        let stat = fstat(&node)?;
        let may_be_foreign = |directory: HostPath| Ok::<_, Error>(!self.is_private(&directory)?);
        // Who may write there could have given a name to a file from elsewhere, such as /etc/shadow.
        if kind_of(&stat) != FileKind::Directory
            && stat.st_nlink > 1
            && path.parent().map(may_be_foreign).transpose()?.unwrap_or_default()
        {
            let message = format!(
                "it has {} names (hard links), and others than root could have given it this one",
                stat.st_nlink
            );
            return Err(Error::new(ErrorKind::Refused, message).with_hint(
                "remove this name or the others; a file whose content is declared is replaced, and can have others",
            ));
        }
        changes.make_to(&node)
    }
}

/// Takes away what a new directory has from the directory of another user.
fn without_lists(directory: &OwnedFd) -> Result<()> {
    let mut own = xattrs(directory)?;
    own.retain(|name, _| name != FileAttributes::ACL && name != FileAttributes::DEFAULT_ACL);
    put_xattrs(directory, &own)
}

impl Changes<'_> {
    /// Makes the changes to what was opened with `O_PATH`: nothing is opened that was not looked at.
    pub(super) fn make_to(&self, node: &OwnedFd) -> Result<()> {
        let stat = fstat(node)?;
        let file = reopen(node, &stat)?;
        let before = file.as_ref().map(flags).transpose()?.unwrap_or_default();
        if !self.attributes.may_unlock(before) {
            // `Root::explain` says why.
            return Err(Errno::EPERM.into());
        }
        let unlock = file.as_ref().filter(|_| before.has(FileFlags::LOCKS));
        if let Some(file) = unlock {
            set_flags(file, before.without(FileFlags::LOCKS))?;
        }
        let changed = self.change_unlocked(node, &stat);
        if let Some(file) = &file {
            let wanted = if changed.is_ok() { self.attributes.flags_after(before) } else { before };
            set_flags(file, wanted)?;
            changed?;
            fsync(file)?;
            return Ok(());
        }
        changed
    }

    fn change_unlocked(&self, node: &OwnedFd, stat: &FileStat) -> Result<()> {
        let (uid, gid) = (self.owner.0.map(Uid::from_raw), self.owner.1.map(Gid::from_raw));
        let mut wanted = xattrs(node)?;
        // The list of a former owner says nothing for the new one.
        if uid.is_some_and(|uid| !is_trusted(stat.st_uid, uid.as_raw())) {
            wanted.remove(FileAttributes::ACL);
            wanted.remove(FileAttributes::DEFAULT_ACL);
        }
        if uid.is_some() || gid.is_some() {
            fchownat(node, "", uid, gid, AtFlags::AT_EMPTY_PATH)?;
        }
        if kind_of(stat) == FileKind::Symlink {
            return Ok(());
        }
        // chown(2) clears set-user-id and set-group-id of a file, for good reason: with them it would hand the new owner's
        // rights to whatever the old one wrote. It clears capabilities too, which only root can have set.
        let mode = self.mode.map_or_else(|| fstat(node).map(|stat| Mode::new(stat.st_mode)), Ok)?;
        self.attributes.change(&mut wanted, mode, self.numbers)?;
        put_xattrs(node, &wanted)?;
        let permissions = Permissions::from_bits_truncate(mode.bits());
        // The link in `/proc` leads to what is open.
        fchmodat(AT_FDCWD, path_of(node).as_str(), permissions, FchmodatFlags::FollowSymlink)?;
        Ok(())
    }
}
