//! Reading files below a root directory that no path and no link leads out of.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, OpenHow, ResolveFlag, fcntl, openat, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode as Permissions, SFlag, fstat};
use rustix::fs::{AtFlags, StatxFlags, statx};
use serde::{Deserialize, Serialize};

use crate::bytes;
use crate::effect::{Access, Content};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{Accounts, FileKind, FileMetadata};
use crate::path::{HostPath, Mode};

/// The largest file that is held in memory, in bytes. A user can give a file any size without filling it.
const LARGEST: u64 = 256 << 20;

/// What is read first of a file of unknown length, in bytes. Files below `/proc/sys` have the length 0, and many of them give
/// all of their value to the first read and nothing at any other offset; see `proc_dointvec` in the kernel's `sysctl.c`.
const UNKNOWN_LENGTH: usize = 64 << 10;

/// The kernel takes no path of more bytes at once; see `path_resolution(7)`. Directories may lie deeper.
const LONGEST_PATH: usize = 4000;

/// An open directory that all paths are resolved in, as if it were `/`.
pub(super) struct Root {
    fd: OwnedFd,
}

/// What `stat(2)` says, before numbers become names.
pub(super) struct RawMetadata {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) kind: FileKind,
    pub(super) mode: Mode,
    size: u64,
    mount: u64,
    links: u64,
}

impl RawMetadata {
    /// What lies at a name in a directory, or what is open if the name is empty. A link at the end is not followed.
    ///
    /// The mount is told by `statx(2)` alone: a part of a file system that is mounted elsewhere (`mount --bind`) has the device
    /// number of the whole. Where the kernel does not tell (before Linux 5.8), the device stands for it.
    pub(super) fn at(directory: impl AsFd, name: &OsStr) -> nix::Result<RawMetadata> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
        let stat = statx(directory, name, flags, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID)
            .map_err(|errno| Errno::from_raw(errno.raw_os_error()))?;
        let kind = kind_of_mode(u32::from(stat.stx_mode));
        let device = u64::from(stat.stx_dev_major) << 32 | u64::from(stat.stx_dev_minor);
        Ok(RawMetadata {
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            kind,
            mode: Mode::new(u32::from(stat.stx_mode)),
            size: stat.stx_size,
            mount: if stat.stx_mask & StatxFlags::MNT_ID.bits() == 0 { device } else { stat.stx_mnt_id },
            // What file systems count for a directory are its subdirectories.
            links: if kind == FileKind::Directory { 1 } else { u64::from(stat.stx_nlink) },
        })
    }

    /// The length of a regular file, in bytes.
    pub(super) fn length(&self) -> Option<u64> {
        (self.kind == FileKind::File).then_some(self.size)
    }

    /// Its owner, by name where there is one.
    pub(super) fn owner(&self, accounts: &Accounts) -> String {
        named(accounts.user_name(self.uid), self.uid)
    }

    /// Its group, by name where there is one.
    pub(super) fn group(&self, accounts: &Accounts) -> String {
        named(accounts.group_name(self.gid), self.gid)
    }

    pub(super) fn owned_by(self, owner: String, group: String) -> FileMetadata {
        let access = Access { owner, group, mode: self.mode };
        FileMetadata { kind: self.kind, access, size: self.size, mount: self.mount, links: self.links }
    }
}

fn named(known: Option<&str>, number: u32) -> String {
    match known {
        Some(name) => name.to_owned(),
        None if number == 0 => "root".to_owned(),
        None => number.to_string(),
    }
}

/// How long something is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// Since its content was modified, as far as it says so (`st_mtime`).
    pub since_modified: Duration,
    /// Since anything of it was changed (`st_ctime`, which no program can set).
    pub since_changed: Duration,
}

/// What tells a file from others that were at its path before: where it lies, its length, and when it was last changed. See
/// `inode(7)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
    size: i64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileIdentity {
    pub(super) fn new(stat: &FileStat) -> FileIdentity {
        FileIdentity {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    /// Its length, in bytes.
    pub(super) fn size(&self) -> u64 {
        u64::try_from(self.size).unwrap_or_default()
    }

    /// When anything of it was last changed: seconds since 1970, and nanoseconds.
    pub(super) fn changed(&self) -> (i64, i64) {
        self.changed
    }
}

pub(super) fn kind_of(stat: &FileStat) -> FileKind {
    kind_of_mode(stat.st_mode)
}

fn kind_of_mode(mode: u32) -> FileKind {
    match SFlag::from_bits_truncate(mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => FileKind::File,
        SFlag::S_IFDIR => FileKind::Directory,
        SFlag::S_IFLNK => FileKind::Symlink,
        SFlag::S_IFIFO => FileKind::Fifo,
        SFlag::S_IFSOCK => FileKind::Socket,
        _ => FileKind::Device,
    }
}

/// Whether a user may say what belongs to a file of an owner: root, who runs this program, or the owner.
pub(super) fn is_trusted(uid: u32, owner: u32) -> bool {
    uid == 0 || uid == nix::unistd::geteuid().as_raw() || uid == owner
}

/// `None` for something that is not there.
pub(super) fn found<T>(result: nix::Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::ENOENT) => Ok(None),
        Err(Errno::ENOTDIR) => Err(Error::new(ErrorKind::Conflict, "something above it is not a directory")),
        Err(errno) => Err(errno.into()),
    }
}

/// A name, a path or the text of a link as the kernel has it.
pub(super) fn raw(text: &str) -> Cow<'_, OsStr> {
    match bytes::to_bytes(text) {
        Cow::Borrowed(bytes) => Cow::Borrowed(OsStr::from_bytes(bytes)),
        Cow::Owned(bytes) => Cow::Owned(OsString::from_vec(bytes)),
    }
}

/// A name, a path or the text of a link from the kernel.
pub(super) fn told(bytes: &[u8]) -> String {
    bytes::from_bytes(bytes).into_owned()
}

/// The last component of a path as the kernel has it.
pub(super) fn name_of(path: &HostPath) -> Cow<'_, OsStr> {
    raw(path.name())
}

/// The path below the root; the root itself is `.`.
fn relative(path: &HostPath) -> &str {
    match path.as_str().trim_start_matches('/') {
        "" => ".",
        relative => relative,
    }
}

impl Root {
    pub(super) fn open(directory: &Path) -> Result<Root> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Root { fd: nix::fcntl::open(directory, flags, Permissions::empty())? })
    }

    /// Opens a path inside of the root.
    pub(super) fn open_at(&self, path: &HostPath, flags: OFlag, resolve: ResolveFlag) -> nix::Result<OwnedFd> {
        open_beneath(self.fd.as_fd(), raw(relative(path)).as_bytes(), flags, resolve)
    }

    pub(super) fn stat(&self, path: &HostPath) -> Result<Option<FileStat>> {
        let Some(fd) = self.look_up(path, OFlag::O_PATH)? else { return Ok(None) };
        Ok(Some(fstat(&fd)?))
    }

    pub(super) fn metadata(&self, path: &HostPath) -> Result<Option<RawMetadata>> {
        match self.look_up(path, OFlag::O_PATH) {
            Ok(node) => Ok(node.map(|node| RawMetadata::at(node, OsStr::new(""))).transpose()?),
            Err(error) => Err(self.no_directory_above(path).unwrap_or(error)),
        }
    }

    /// Names what stands where a directory would have to be.
    fn no_directory_above(&self, path: &HostPath) -> Option<Error> {
        let (above, stat) =
            path.ancestors().find_map(|above| Some((self.stat(&above).ok()??, above))).map(|(s, a)| (a, s))?;
        let kind = kind_of(&stat);
        let stands = !matches!(kind, FileKind::Directory | FileKind::Symlink);
        let message = || format!("{above} is {}, so nothing can be in it", kind.noun());
        stands.then(|| Error::new(ErrorKind::Conflict, message()))
    }

    pub(super) fn age(&self, path: &HostPath) -> Result<Option<Age>> {
        #[expect(clippy::disallowed_methods, reason = "the age of a file is a reading of the host")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = |seconds: i64, nanos: i64| {
            let nanos = u32::try_from(nanos).unwrap_or_default();
            now.saturating_sub(Duration::new(u64::try_from(seconds).unwrap_or_default(), nanos))
        };
        Ok(self.stat(path)?.map(|stat| Age {
            since_modified: since(stat.st_mtime, stat.st_mtime_nsec),
            since_changed: since(stat.st_ctime, stat.st_ctime_nsec),
        }))
    }

    /// Opens a regular file for reading. Other kinds are refused; `O_NONBLOCK` keeps a pipe from blocking.
    pub(super) fn open_file(&self, path: &HostPath) -> Result<Option<(File, FileStat)>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let Some(fd) = self.look_up(path, flags)? else { return Ok(None) };
        let stat = fstat(&fd)?;
        match kind_of(&stat) {
            FileKind::File => Ok(Some((File::from(fd), stat))),
            kind => Err(Error::new(ErrorKind::Conflict, format!("it is {}, not a file", kind.noun()))),
        }
    }

    pub(super) fn read(&self, path: &HostPath) -> Result<Option<Content>> {
        let Some((mut file, stat)) = self.open_file(path)? else { return Ok(None) };
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        let first = match usize::try_from(size.min(LARGEST)).unwrap_or_default() {
            0 => UNKNOWN_LENGTH,
            length => length + 1,
        };
        let mut bytes = vec![0; first];
        let read = loop {
            match file.read(&mut bytes) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        // A read that leaves room has come to the end of a file, if it is as long as it was said to be. What the kernel
        // makes up is said to be empty.
        bytes.truncate(read);
        if bytes.is_empty() || bytes.len() as u64 != size {
            Read::take(&mut file, LARGEST + 1 - bytes.len() as u64).read_to_end(&mut bytes)?;
        }
        if bytes.len() as u64 > LARGEST {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("it has {size} bytes, too many to be read at once"),
            ));
        }
        Ok(Some(Content::owned(bytes.into())))
    }

    /// Hands over the bytes of a file piece by piece, and says how many there were.
    pub(super) fn copy_out(&self, path: &HostPath, to: &mut dyn std::io::Write) -> Result<Option<u64>> {
        let Some((mut file, _)) = self.open_file(path)? else { return Ok(None) };
        Ok(Some(std::io::copy(&mut file, to)?))
    }

    pub(super) fn read_link(&self, path: &HostPath) -> Result<Option<String>> {
        let Some(fd) = self.look_up(path, OFlag::O_PATH)? else { return Ok(None) };
        match readlinkat(&fd, "") {
            Ok(target) => Ok(Some(told(&target.into_vec()))),
            Err(Errno::EINVAL | Errno::ENOENT) => Err(Error::new(ErrorKind::Conflict, "it is not a symbolic link")),
            Err(errno) => Err(errno.into()),
        }
    }

    pub(super) fn list(&self, path: &HostPath) -> Result<Option<Vec<String>>> {
        let Some(fd) = self.open_directory(path)? else { return Ok(None) };
        let mut names = Vec::new();
        for entry in Dir::from_fd(fd)?.iter() {
            let name = told(entry?.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(Some(names))
    }

    pub(super) fn lock_holder(&self, path: &HostPath) -> Result<Option<i32>> {
        // F_GETLK on a descriptor that may only be read tells of write locks as well.
        let Some(fd) = self.look_up(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)? else { return Ok(None) };
        let mut lock = nix::libc::flock {
            l_type: nix::libc::F_WRLCK as i16,
            l_whence: nix::libc::SEEK_SET as i16,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        fcntl(&fd, FcntlArg::F_GETLK(&mut lock))?;
        Ok((i32::from(lock.l_type) != nix::libc::F_UNLCK).then_some(lock.l_pid))
    }

    /// Takes a write lock on a file, as `lckpwdf(3)` does; see `fcntl_locking(2)`.
    pub(super) fn lock(&self, path: &HostPath) -> Result<File> {
        let parent = self.open_parent(path)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(&parent, &*name_of(path), flags, Permissions::from_bits_truncate(0o600))?;
        let lock = nix::libc::flock {
            l_type: nix::libc::F_WRLCK as i16,
            l_whence: nix::libc::SEEK_SET as i16,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        match fcntl(&file, FcntlArg::F_SETLK(&lock)) {
            Ok(_) => Ok(File::from(file)),
            Err(Errno::EAGAIN | Errno::EACCES) => Err(Error::new(ErrorKind::Locked, "another program has locked it")),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Opens a path beneath a directory, as if that were `/`.
fn open_beneath(directory: BorrowedFd<'_>, path: &[u8], flags: OFlag, resolve: ResolveFlag) -> nix::Result<OwnedFd> {
    if path.len() > LONGEST_PATH && resolve.contains(ResolveFlag::RESOLVE_NO_SYMLINKS) {
        // Without links, what lies beneath a part of the way lies beneath all of it.
        let start = path[..LONGEST_PATH].iter().rposition(|byte| *byte == b'/').ok_or(Errno::ENAMETOOLONG)?;
        let here = open_beneath(directory, &path[..start], OFlag::O_PATH | OFlag::O_DIRECTORY, resolve)?;
        return open_beneath(here.as_fd(), &path[start + 1..], flags, resolve);
    }
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(resolve | ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    // EAGAIN: a rename elsewhere raced with the look-up of a `..`, see openat2(2).
    loop {
        match openat2(directory, path, how) {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// The path under which the kernel shows what is open in this thread, which may have a table of open files of its own, for calls
/// that want a path; see `proc_pid_fd(5)` and `proc_thread-self(5)`.
pub(super) fn path_of(fd: &impl AsRawFd) -> String {
    format!("/proc/thread-self/fd/{}", fd.as_raw_fd())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make files and compare with what the kernel says")]
mod tests {
    use super::*;

    fn files_below(directory: &Path, files: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => files_below(&entry.path(), files),
                _ => files.push(entry.path()),
            }
        }
    }

    #[test]
    fn values_of_the_kernel_are_read_whole() {
        let root = Root::open(Path::new("/")).unwrap();
        let mut files = Vec::new();
        ["vm", "kernel", "net"].iter().for_each(|of| files_below(&Path::new("/proc/sys").join(of), &mut files));
        let mut compared = 0;
        for file in files {
            // Some are for writing alone, some count what happens.
            let (Ok(before), Ok(after)) = (std::fs::read(&file), std::fs::read(&file)) else { continue };
            if before != after {
                continue;
            }
            let path = HostPath::new(file.to_str().unwrap()).unwrap();
            let read = root.read(&path).unwrap().unwrap();
            assert_eq!(String::from_utf8_lossy(read.bytes()), String::from_utf8_lossy(&before), "{path}");
            compared += 1;
        }
        assert!(compared > 50, "{compared}");
    }

    #[test]
    fn names_and_links_that_are_not_utf_8_are_bytes() {
        let place = tempfile::tempdir().unwrap();
        let name = OsStr::from_bytes(b"J\xF6rg");
        std::fs::write(place.path().join(name), "1").unwrap();
        std::os::unix::fs::symlink(name, place.path().join("link")).unwrap();
        let root = Root::open(place.path()).unwrap();
        let listed = root.list(&HostPath::root()).unwrap().unwrap();
        let path = HostPath::root().join(listed.iter().find(|name| *name != "link").unwrap()).unwrap();
        assert_eq!(root.read(&path).unwrap().unwrap().bytes(), b"1");
        assert_eq!(root.read_link(&HostPath::new("/link").unwrap()).unwrap().as_deref(), Some(path.name()));
        root.write_bytes(&path, b"2", (0, 0), Mode::new(0o600)).unwrap();
        assert_eq!(std::fs::read(place.path().join(name)).unwrap(), b"2");
        root.remove(&path, crate::effect::Removal::File).unwrap();
        assert_eq!(root.list(&HostPath::root()).unwrap().unwrap(), ["link"]);
    }

    #[test]
    fn a_tree_deeper_than_a_path_may_be_long_is_read_and_removed() {
        let place = tempfile::tempdir().unwrap();
        let mut here = nix::fcntl::open(place.path(), OFlag::O_DIRECTORY, Permissions::empty()).unwrap();
        let mut path = HostPath::root();
        for _ in 0..3000 {
            nix::sys::stat::mkdirat(&here, "deep", Permissions::S_IRWXU).unwrap();
            here = openat(&here, "deep", OFlag::O_DIRECTORY, Permissions::empty()).unwrap();
            path = path.join("deep").unwrap();
        }
        let root = Root::open(place.path()).unwrap();
        assert_eq!(root.metadata(&path).unwrap().unwrap().kind, FileKind::Directory);
        root.write_bytes(&path.join("file").unwrap(), b"1", (0, 0), Mode::new(0o600)).unwrap();
        assert_eq!(root.list(&path).unwrap().unwrap(), ["file"]);
        drop(here);
        root.remove(&HostPath::new("/deep").unwrap(), crate::effect::Removal::Tree).unwrap();
        assert_eq!(root.list(&HostPath::root()).unwrap().unwrap(), [""; 0]);
    }
}
