//! Reading files below a root directory that no path and no link leads out of.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, OpenHow, ResolveFlag, fcntl, openat, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode as Permissions, SFlag, fstat};

use serde::{Deserialize, Serialize};

use crate::effect::{Access, Content};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{Accounts, FileKind, FileMetadata};
use crate::path::{HostPath, Mode};

/// The largest file that is held in memory, in bytes. A user can give a file any size without filling it.
const LARGEST: u64 = 256 << 20;

/// An open directory that all paths are resolved in, as if it were `/`.
pub(super) struct Root {
    fd: OwnedFd,
}

/// What `stat(2)` says, before numbers become names.
pub(super) struct RawMetadata {
    pub(super) uid: u32,
    pub(super) gid: u32,
    kind: FileKind,
    mode: Mode,
    size: u64,
    device: u64,
    links: u64,
}

impl RawMetadata {
    pub(super) fn new(stat: &FileStat) -> RawMetadata {
        RawMetadata {
            uid: stat.st_uid,
            gid: stat.st_gid,
            kind: kind_of(stat),
            mode: Mode::new(stat.st_mode),
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            device: stat.st_dev,
            // What file systems count for a directory are its subdirectories.
            links: if kind_of(stat) == FileKind::Directory { 1 } else { stat.st_nlink },
        }
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
        FileMetadata { kind: self.kind, access, size: self.size, device: self.device, links: self.links }
    }
}

fn named(known: Option<&str>, number: u32) -> String {
    match known {
        Some(name) => name.to_owned(),
        None if number == 0 => "root".to_owned(),
        None => number.to_string(),
    }
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
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => FileKind::File,
        SFlag::S_IFDIR => FileKind::Directory,
        SFlag::S_IFLNK => FileKind::Symlink,
        _ => FileKind::Other,
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
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(resolve | ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        // EAGAIN: a rename elsewhere raced with the look-up of a `..`, see openat2(2).
        loop {
            match openat2(self.fd.as_fd(), relative(path), how) {
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                result => return result,
            }
        }
    }

    pub(super) fn stat(&self, path: &HostPath) -> Result<Option<FileStat>> {
        let Some(fd) = self.look_up(path, OFlag::O_PATH)? else { return Ok(None) };
        Ok(Some(fstat(&fd)?))
    }

    pub(super) fn metadata(&self, path: &HostPath) -> Result<Option<RawMetadata>> {
        match self.stat(path) {
            Ok(stat) => Ok(stat.as_ref().map(RawMetadata::new)),
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

    pub(super) fn age(&self, path: &HostPath) -> Result<Option<u64>> {
        #[expect(clippy::disallowed_methods, reason = "the age of a file is a reading of the host")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let modified = self.stat(path)?.map(|stat| u64::try_from(stat.st_mtime).unwrap_or_default());
        Ok(modified.map(|modified| now.saturating_sub(modified)))
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
        let mut bytes = vec![0; usize::try_from(size.min(LARGEST)).unwrap_or_default() + 1];
        let read = match file.read(&mut bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => 0,
            read => read?,
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
            Ok(target) => Ok(Some(String::from_utf8_lossy(&target.into_vec()).into_owned())),
            Err(Errno::EINVAL | Errno::ENOENT) => Err(Error::new(ErrorKind::Conflict, "it is not a symbolic link")),
            Err(errno) => Err(errno.into()),
        }
    }

    pub(super) fn list(&self, path: &HostPath) -> Result<Option<Vec<String>>> {
        let Some(fd) = self.open_directory(path)? else { return Ok(None) };
        let mut names = Vec::new();
        for entry in Dir::from_fd(fd)?.iter() {
            let name = String::from_utf8_lossy(entry?.file_name().to_bytes()).into_owned();
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
        let file = openat(&parent, path.name(), flags, Permissions::from_bits_truncate(0o600))?;
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

/// The path under which the kernel shows what is open in this thread, which may have a table of open files of its own, for calls
/// that want a path; see `proc_pid_fd(5)` and `proc_thread-self(5)`.
pub(super) fn path_of(fd: &impl AsRawFd) -> String {
    format!("/proc/thread-self/fd/{}", fd.as_raw_fd())
}
