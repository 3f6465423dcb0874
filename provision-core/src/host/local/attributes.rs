//! Reading and changing what belongs to a file beside its content: always through the descriptor of what was looked at.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::sys::stat::{FileStat, Mode as Permissions, UtimensatFlags, fstat, utimensat};
use nix::sys::time::TimeSpec;
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

use super::confined::{Root, kind_of, path_of};
use crate::effect::{Content, FileFlags};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::{FileAttributes, FileKind};
use crate::path::HostPath;

impl Root {
    pub(super) fn attributes(&self, path: &HostPath) -> Result<Option<FileAttributes>> {
        let Some(fd) = self.look_up(path, OFlag::O_PATH)? else { return Ok(None) };
        let stat = fstat(&fd)?;
        Ok(Some(FileAttributes { xattrs: xattrs(&fd)?, flags: flags_of(&fd, &stat)?, ..times(&stat) }))
    }
}

/// Attributes of which only the times are known.
pub(super) fn times(stat: &FileStat) -> FileAttributes {
    FileAttributes {
        modified: stat.st_mtime,
        modified_nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
        ..FileAttributes::default()
    }
}

/// The extended attributes of what is open, even if it was opened with `O_PATH`.
///
/// The link in `/proc` leads to the very file that is open, a symbolic link included; see `proc_pid_fd(5)`.
pub(super) fn xattrs(fd: &impl AsRawFd) -> Result<BTreeMap<String, Content>> {
    let names = match xattr::list_deref(path_of(fd)) {
        Ok(names) => names,
        Err(error) if error.raw_os_error() == Some(Errno::ENOTSUP as i32) => return Ok(BTreeMap::new()),
        Err(error) => return Err(Error::io(&error).while_doing("reading extended attributes")),
    };
    let mut values = BTreeMap::new();
    for name in names {
        let Some(text) = name.to_str() else {
            return Err(Error::new(ErrorKind::Unsupported, "an extended attribute has a name that is not UTF-8"));
        };
        let value = xattr::get_deref(path_of(fd), &name).while_doing(|| format!("reading the attribute {text}"))?;
        // Gone since it was listed.
        if let Some(value) = value {
            values.insert(text.to_owned(), Content::from(value));
        }
    }
    Ok(values)
}

/// The flags of what was opened with `O_PATH`. Only files and directories have some, and only these are safe to open.
fn flags_of(fd: &OwnedFd, stat: &FileStat) -> Result<FileFlags> {
    match reopen(fd, stat) {
        Ok(Some(file)) => flags(&file),
        Ok(None) => Ok(FileFlags::none()),
        // A plan can be made without the right to carry it out.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(FileFlags::none()),
        Err(error) => Err(error),
    }
}

/// Opens for reading what was opened with `O_PATH`. Only files and directories: to open a pipe or a device has effects.
pub(super) fn reopen(fd: &OwnedFd, stat: &FileStat) -> Result<Option<File>> {
    if !matches!(kind_of(stat), FileKind::File | FileKind::Directory) {
        return Ok(None);
    }
    let how = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    Ok(Some(File::from(nix::fcntl::open(path_of(fd).as_str(), how, Permissions::empty())?)))
}

/// Makes these the extended attributes of what is open, even if it was opened with `O_PATH`.
///
/// Labels of security modules are set and never removed: the kernel gives each new file its own.
pub(super) fn put_xattrs(fd: &impl AsRawFd, wanted: &BTreeMap<String, Content>) -> Result<()> {
    let found = xattrs(fd)?;
    for name in found.keys().filter(|name| !wanted.contains_key(*name)) {
        if !name.starts_with("security.") || name == FileAttributes::CAPABILITIES {
            xattr::remove_deref(path_of(fd), name).while_doing(|| format!("removing the attribute {name}"))?;
        }
    }
    for (name, value) in wanted {
        if found.get(name) == Some(value) {
            continue;
        }
        match xattr::set_deref(path_of(fd), name, value.bytes()) {
            Err(error) if error.raw_os_error() == Some(Errno::ENOTSUP as i32) => {
                return Err(Error::new(ErrorKind::Unsupported, format!("this file system cannot keep {name}"))
                    .with_hint("leave the attribute out, or mount a file system that has it"));
            }
            set => set.while_doing(|| format!("setting the attribute {name}"))?,
        }
    }
    Ok(())
}

/// Sets when it was last modified, even if it was opened with `O_PATH`.
pub(super) fn set_modified(fd: &impl AsRawFd, of: &FileAttributes) -> Result<()> {
    let modified = TimeSpec::new(of.modified, i64::from(of.modified_nanos));
    let follow = UtimensatFlags::FollowSymlink; // the link in `/proc`, which leads to what is open
    utimensat(AT_FDCWD, path_of(fd).as_str(), &TimeSpec::UTIME_OMIT, &modified, follow)?;
    Ok(())
}

/// The lasting flags; none where the file system has no flags.
pub(super) fn flags(file: &impl AsFd) -> Result<FileFlags> {
    Ok(raw_flags(file)?.map_or(FileFlags::none(), |all| FileFlags::from_bits(all.bits())))
}

fn raw_flags(file: &impl AsFd) -> Result<Option<IFlags>> {
    match ioctl_getflags(file).map_err(std::io::Error::from) {
        Ok(all) => Ok(Some(all)),
        Err(error) if no_flags(&error) => Ok(None),
        Err(error) => Err(Error::io(&error).while_doing("reading the flags of the file")),
    }
}

/// Sets the lasting flags to exactly these; what the file system keeps beside them stays.
pub(super) fn set_flags(file: &File, wanted: FileFlags) -> Result<()> {
    let Some(all) = raw_flags(file)? else {
        return if wanted.is_empty() { Ok(()) } else { Err(unsupported(wanted)) };
    };
    let bits = (all.bits() & !FileFlags::all().bits()) | wanted.bits();
    if bits == all.bits() {
        return Ok(());
    }
    match ioctl_setflags(file, IFlags::from_bits_retain(bits)).map_err(std::io::Error::from) {
        Ok(()) => Ok(()),
        Err(error) if no_flags(&error) => Err(unsupported(wanted)),
        Err(error) => Err(Error::io(&error).while_doing("setting the flags of the file")),
    }
}

/// Fails if the file system of an open file has no flags at all, and some are wanted.
pub(super) fn require_flags(file: &File, wanted: FileFlags) -> Result<()> {
    if wanted.is_empty() || raw_flags(file)?.is_some() { Ok(()) } else { Err(unsupported(wanted)) }
}

fn unsupported(wanted: FileFlags) -> Error {
    let names: Vec<&str> = wanted.names().collect();
    Error::new(ErrorKind::Unsupported, format!("this file system has no flag {}", names.join(", ")))
        .with_hint("leave the flag out: not every file system has the flags of chattr(1)")
}

/// What a file system without flags, or without a flag, answers.
fn no_flags(error: &std::io::Error) -> bool {
    let codes = [Errno::ENOTTY, Errno::EOPNOTSUPP, Errno::EINVAL, Errno::ENOSYS];
    error.raw_os_error().is_some_and(|code| codes.contains(&Errno::from_raw(code)))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make files and look at them from outside")]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_those_of_the_link_and_not_of_what_it_leads_to() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        std::fs::write(at("file"), "a").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), Permissions::S_IRWXU).unwrap();
        let modified = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000, 42);
        File::options().write(true).open(at("file")).unwrap().set_modified(modified).unwrap();
        let has_xattrs = xattr::set(at("file"), "user.note", b"\xff").is_ok();

        let root = Root::open(place.path()).unwrap();
        let look = |name: &str| root.attributes(&HostPath::new(name).unwrap()).unwrap();
        let file = look("/file").unwrap();
        assert_eq!((file.modified, file.modified_nanos), (1_000_000, 42));
        assert_eq!(file.xattrs.get("user.note").is_some_and(|value| value.bytes() == b"\xff"), has_xattrs);
        let link = look("/link").unwrap();
        assert_ne!(link.modified, file.modified);
        assert_eq!((link.flags, link.xattrs.get("user.note")), (FileFlags::none(), None));
        assert_eq!(
            look("/pipe").unwrap().flags,
            FileFlags::none(),
            "a pipe is not opened, which would wait for a writer"
        );
        assert_eq!(look("/absent"), None);
        let json = serde_json::to_string(&file).unwrap();
        assert_eq!(serde_json::from_str::<FileAttributes>(&json).unwrap(), file);

        let mut copy = Vec::new();
        assert_eq!(root.copy_out(&HostPath::new("/file").unwrap(), &mut copy).unwrap(), Some(1));
        assert_eq!(copy, b"a");
    }
}
