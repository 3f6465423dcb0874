//! Replacing files so that a crash leaves the old or the new: beside its place, synced, renamed, directory synced.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, ResolveFlag, openat};
use nix::sys::stat::{FileStat, Mode as Permissions, fchmod, fstat};
use nix::unistd::{Gid, Uid, fchown, fchownat, symlinkat};

use super::attributes::{flags, put_xattrs, reopen, require_flags, set_flags, set_modified, times, xattrs};
use super::confined::{Root, is_trusted, kind_of, name_of, raw};
use super::stage::{FRESH, Staged, a_directory_is_there};
use crate::effect::{AclSubject, AttributeChanges, Content, FileFlags, HardLinks};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{FileAttributes, FileKind, no_kernel_value, several_names};
use crate::path::{HostPath, Mode};

/// Gives the number of a user or group.
pub(super) type Numbers<'a> = &'a dyn Fn(&AclSubject) -> Result<u32>;

/// What a new file has beside its content.
pub(super) struct Belongings<'a> {
    pub(super) owner: (u32, u32),
    pub(super) mode: Mode,
    pub(super) hard_links: HardLinks,
    /// Whether users that are not declared may not read it.
    pub(super) confidential: bool,
    pub(super) others: Others<'a>,
}

/// Extended attributes, flags and times of a new file.
pub(super) enum Others<'a> {
    /// Those of the file that it replaces, but for these changes.
    Kept(&'a AttributeChanges, Numbers<'a>),
    /// Exactly these.
    Given(&'a FileAttributes),
}

/// The regular file that is replaced.
struct Old {
    file: File,
    stat: FileStat,
    xattrs: BTreeMap<String, Content>,
    flags: FileFlags,
}

impl Root {
    /// Replaces a whole file. `check` sees the new one under its temporary name, complete; if it objects, or anything
    /// else fails, the old one stays.
    pub(super) fn write_file(
        &self,
        path: &HostPath,
        belongings: &Belongings<'_>,
        fill: impl FnOnce(&mut File) -> Result<()>,
        check: impl FnOnce(&HostPath) -> Result<()>,
    ) -> Result<()> {
        let parent = self.open_parent(path)?;
        let old = old_file(&parent, path)?;
        if let Some(old) = &old {
            belongings.allow_replacing(old)?;
        }
        let mut staged = Staged::new(&parent, path, |name| {
            // No other user may open it before owner and mode are final.
            let private = Permissions::from_bits_truncate(0o600);
            Ok(File::from(openat(&parent, name, FRESH | OFlag::O_WRONLY, private)?))
        })?;
        fill(staged.file_mut())?;
        let flags = belongings.hand_over(staged.file(), old.as_ref(), &parent)?;
        check(&staged.path()?)?;
        staged.file().sync_all()?;
        let locked = old.as_ref().filter(|old| old.flags.has(FileFlags::LOCKS));
        if let Some(old) = locked {
            set_flags(&old.file, old.flags.without(FileFlags::LOCKS))?;
        }
        let placed = staged.put_in_place();
        if let Some(old) = locked.filter(|old| placed.is_err() || old.stat.st_nlink > 1) {
            // Its other names, or the file that stays after all, are as they were.
            set_flags(&old.file, old.flags)?;
        }
        let file = placed?;
        // Only now: a file that nothing may change cannot be renamed either. A crash in between leaves the new file
        // without the flag, which the next run finds and sets.
        if flags.has(FileFlags::LOCKS) {
            set_flags(&file, flags).map_err(|error| error.while_doing("locking the new file, which is in place"))?;
            file.sync_all()?;
        }
        Ok(())
    }

    /// Replaces a whole file by these bytes; all but owner and mode is kept.
    pub(super) fn write_bytes(&self, path: &HostPath, bytes: &[u8], owner: (u32, u32), mode: Mode) -> Result<()> {
        let changes = AttributeChanges::default();
        let others = Others::Kept(&changes, &|_| Ok(u32::MAX));
        let belongings = Belongings { owner, mode, hard_links: HardLinks::Break, confidential: false, others };
        self.write_file(path, &belongings, |new| Ok(new.write_all(bytes)?), |_| Ok(()))
    }

    /// Gives the kernel a value, in one piece: it takes each write for a whole one. See `proc_sys(5)`.
    pub(super) fn set_kernel(&self, path: &HostPath, value: &[u8]) -> Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = match self.open_at(path, flags, ResolveFlag::RESOLVE_NO_SYMLINKS) {
            Err(Errno::ENOENT) => return Err(no_kernel_value(path)),
            file => file?,
        };
        // An empty value is a line without anything.
        let value = if value.is_empty() { b"\n" } else { value };
        match nix::unistd::write(&file, value) {
            Ok(_) => Ok(()),
            Err(Errno::EINVAL) => {
                let message =
                    format!("the kernel does not take {:?} for {path}", String::from_utf8_lossy(value).trim_end());
                Err(Error::new(ErrorKind::Invalid, message))
            }
            Err(errno) => Err(errno.into()),
        }
    }

    pub(super) fn copy_file(&self, from: &HostPath, to: &HostPath) -> Result<()> {
        let Some((mut old, stat)) = self.open_file(from)? else {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no {from}")));
        };
        let attributes = FileAttributes { xattrs: copied(xattrs(&old)?), ..times(&stat) };
        // A copy is no program to be run with the rights of another.
        let mode = Mode::new(stat.st_mode & 0o1777);
        let owner = (stat.st_uid, stat.st_gid);
        let others = Others::Given(&attributes);
        let belongings = Belongings { owner, mode, hard_links: HardLinks::Break, confidential: true, others };
        let fill = |new: &mut File| Ok(std::io::copy(&mut old, new).map(drop)?);
        self.write_file(to, &belongings, fill, |_| Ok(()))
    }

    pub(super) fn create_symlink(
        &self,
        path: &HostPath,
        target: &str,
        owner: (u32, u32),
        finish: impl FnOnce(&OwnedFd) -> Result<()>,
    ) -> Result<()> {
        let parent = self.open_parent(path)?;
        let staged = Staged::new(&parent, path, |name| Ok(symlinkat(&*raw(target), &parent, name)?))?;
        // Held by a descriptor: where others may write, its name may lead elsewhere by now, even to a file of root's.
        let link =
            openat(&parent, staged.name(), OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Permissions::empty())?;
        let stat = fstat(&link)?;
        if kind_of(&stat) != FileKind::Symlink || stat.st_nlink != 1 {
            return Err(Error::new(ErrorKind::Refused, "another process exchanged the new link while it was made"));
        }
        fchownat(&link, "", Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1)), AtFlags::AT_EMPTY_PATH)?;
        finish(&link)?;
        staged.put_in_place()
    }
}

impl Belongings<'_> {
    fn allow_replacing(&self, old: &Old) -> Result<()> {
        if self.hard_links == HardLinks::Refuse && old.stat.st_nlink > 1 {
            return Err(several_names(old.stat.st_nlink));
        }
        match &self.others {
            Others::Kept(changes, _) if !changes.may_unlock(old.flags) => {
                // `Root::explain` says why.
                Err(Errno::EPERM.into())
            }
            _ => Ok(()),
        }
    }

    /// Gives a new file all but its name and the flags that would keep it from getting one; says what flags it shall have.
    fn hand_over(&self, new: &File, old: Option<&Old>, directory: &OwnedFd) -> Result<FileFlags> {
        let (wanted, flags) = match &self.others {
            Others::Given(attributes) => (attributes.xattrs.clone(), attributes.flags),
            Others::Kept(changes, numbers) => {
                let (mut wanted, before, made_by) = match old {
                    Some(old) => (without_digests(old.xattrs.clone()), old.flags, old.stat.st_uid),
                    None => (xattrs(new)?, flags(new)?, fstat(directory)?.st_uid),
                };
                // A list that another user may have made, or that a directory of another user has given to the new file,
                // is none that root has agreed to.
                if self.confidential || !is_trusted(made_by, self.owner.0) {
                    wanted.remove(FileAttributes::ACL);
                }
                changes.change(&mut wanted, self.mode, numbers)?;
                (wanted, changes.flags_after(before))
            }
        };
        // chown(2) clears capabilities, set-user-id and set-group-id, so it comes first.
        fchown(new, Some(Uid::from_raw(self.owner.0)), Some(Gid::from_raw(self.owner.1)))?;
        put_xattrs(new, &wanted)?;
        fchmod(new, Permissions::from_bits_truncate(self.mode.bits()))?;
        require_flags(new, flags)?;
        set_flags(new, flags.without(FileFlags::LOCKS))?;
        if let Others::Given(attributes) = &self.others {
            set_modified(new, attributes)?;
        }
        Ok(flags)
    }
}

/// The regular file in a place, open.
fn old_file(parent: &OwnedFd, path: &HostPath) -> Result<Option<Old>> {
    let flags_here = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let found = match openat(parent, &*name_of(path), flags_here, Permissions::empty()) {
        Err(Errno::ENOENT) => return Ok(None),
        found => found?,
    };
    let stat = fstat(&found)?;
    match kind_of(&stat) {
        FileKind::File => {}
        FileKind::Directory => return Err(a_directory_is_there()),
        _ => return Ok(None),
    }
    let Some(file) = reopen(&found, &stat)? else { return Ok(None) };
    let (xattrs, flags) = (xattrs(&found)?, flags(&file)?);
    Ok(Some(Old { file, stat, xattrs, flags }))
}

/// What a copy has of the original: neither digests nor capabilities.
fn copied(xattrs: BTreeMap<String, Content>) -> BTreeMap<String, Content> {
    let mut copied = without_digests(xattrs);
    copied.remove(FileAttributes::CAPABILITIES);
    copied
}

/// Without the attributes that are digests of the old content; see `evm` and `ima` in the kernel's documentation.
fn without_digests(mut xattrs: BTreeMap<String, Content>) -> BTreeMap<String, Content> {
    xattrs.retain(|name, _| !matches!(name.as_str(), "security.ima" | "security.evm"));
    xattrs
}
