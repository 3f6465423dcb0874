//! Reading files below a root directory that no path and no link leads out of.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, FcntlArg, OFlag, OpenHow, ResolveFlag, fcntl, openat, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode as Permissions, SFlag, fstat, fstatat};
use xattr::FileExt;

use crate::effect::{Access, Content};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{FileAttributes, FileKind, FileMetadata};
use crate::path::{HostPath, Mode};

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
}

impl RawMetadata {
    fn new(stat: &FileStat) -> RawMetadata {
        RawMetadata {
            uid: stat.st_uid,
            gid: stat.st_gid,
            kind: kind_of(stat),
            mode: Mode::new(stat.st_mode),
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            device: stat.st_dev,
        }
    }

    pub(super) fn named(self, owner: String, group: String) -> FileMetadata {
        let access = Access { owner, group, mode: self.mode };
        FileMetadata { kind: self.kind, access, size: self.size, device: self.device }
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

/// `None` for something that is not there.
fn found<T>(result: nix::Result<T>) -> Result<Option<T>> {
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
    fn open_at(&self, path: &HostPath, flags: OFlag, resolve: ResolveFlag) -> nix::Result<OwnedFd> {
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
        let opened = self.open_at(path, OFlag::O_PATH | OFlag::O_NOFOLLOW, ResolveFlag::empty());
        let Some(fd) = found(opened)? else { return Ok(None) };
        Ok(Some(fstat(&fd)?))
    }

    pub(super) fn metadata(&self, path: &HostPath) -> Result<Option<RawMetadata>> {
        Ok(self.stat(path)?.as_ref().map(RawMetadata::new))
    }

    pub(super) fn age(&self, path: &HostPath) -> Result<Option<u64>> {
        #[expect(clippy::disallowed_methods, reason = "the age of a file is a reading of the host")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let modified = self.stat(path)?.map(|stat| u64::try_from(stat.st_mtime).unwrap_or_default());
        Ok(modified.map(|modified| now.saturating_sub(modified)))
    }

    /// Opens a regular file for reading. Other kinds are refused before they are opened: a pipe would block.
    pub(super) fn open_file(&self, path: &HostPath) -> Result<Option<(File, FileStat)>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let opened = match self.open_at(path, flags, ResolveFlag::empty()) {
            Err(Errno::ELOOP) => {
                return Err(Error::new(ErrorKind::Conflict, "it is a symbolic link, not a file"));
            }
            opened => opened,
        };
        let Some(fd) = found(opened)? else { return Ok(None) };
        let stat = fstat(&fd)?;
        match kind_of(&stat) {
            FileKind::File => Ok(Some((File::from(fd), stat))),
            kind => Err(Error::new(ErrorKind::Conflict, format!("it is {}, not a file", kind.noun()))),
        }
    }

    pub(super) fn read(&self, path: &HostPath) -> Result<Option<Content>> {
        let Some((mut file, stat)) = self.open_file(path)? else { return Ok(None) };
        let mut bytes = Vec::with_capacity(usize::try_from(stat.st_size).unwrap_or_default() + 1);
        file.read_to_end(&mut bytes)?;
        Ok(Some(bytes.into()))
    }

    /// Gives the bytes of a file piece by piece.
    pub(super) fn copy_out(&self, path: &HostPath, to: &mut dyn std::io::Write) -> Result<Option<u64>> {
        let Some((mut file, _)) = self.open_file(path)? else { return Ok(None) };
        let mut piece = vec![0; 64 << 10];
        let mut length = 0;
        loop {
            let read = file.read(&mut piece)?;
            if read == 0 {
                return Ok(Some(length));
            }
            to.write_all(&piece[..read])?;
            length += read as u64;
        }
    }

    /// Time and extended attributes. Those of links and special files are not read: `fgetxattr(2)` needs an open file.
    pub(super) fn attributes(&self, path: &HostPath) -> Result<Option<FileAttributes>> {
        let Some(stat) = self.stat(path)? else { return Ok(None) };
        let mut attributes = FileAttributes {
            modified: stat.st_mtime,
            modified_nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
            ..FileAttributes::default()
        };
        if !matches!(kind_of(&stat), FileKind::File | FileKind::Directory) {
            return Ok(Some(attributes));
        }
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let Some(fd) = found(self.open_at(path, flags, ResolveFlag::empty()))? else { return Ok(None) };
        attributes.xattrs = xattrs_of(&File::from(fd))?;
        Ok(Some(attributes))
    }

    pub(super) fn read_link(&self, path: &HostPath) -> Result<Option<String>> {
        let opened = self.open_at(path, OFlag::O_PATH | OFlag::O_NOFOLLOW, ResolveFlag::empty());
        let Some(fd) = found(opened)? else { return Ok(None) };
        match readlinkat(&fd, "") {
            Ok(target) => Ok(Some(String::from_utf8_lossy(&target.into_vec()).into_owned())),
            Err(Errno::EINVAL | Errno::ENOENT) => Err(Error::new(ErrorKind::Conflict, "it is not a symbolic link")),
            Err(errno) => Err(errno.into()),
        }
    }

    pub(super) fn list(&self, path: &HostPath) -> Result<Option<Vec<String>>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let Some(fd) = found(self.open_at(path, flags, ResolveFlag::empty()))? else { return Ok(None) };
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
        let opened = self.open_at(path, OFlag::O_RDONLY, ResolveFlag::empty());
        let Some(fd) = found(opened)? else { return Ok(None) };
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

    /// Opens the directory that holds a path, to change something in it.
    ///
    /// Links on the way are followed only where the one who made them is trusted: root, or who runs this program.
    /// Others could point them elsewhere at any moment.
    pub(super) fn open_parent(&self, path: &HostPath) -> Result<OwnedFd> {
        let Some(parent) = path.parent() else {
            return Err(Error::new(ErrorKind::Refused, "the root directory itself cannot be replaced"));
        };
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        match self.open_at(&parent, flags, ResolveFlag::RESOLVE_NO_SYMLINKS) {
            Err(Errno::ELOOP) => self.walk_to(&parent),
            Err(Errno::ENOENT) => {
                Err(Error::new(ErrorKind::NotFound, format!("the directory {parent} does not exist")))
            }
            Err(Errno::ENOTDIR) => {
                Err(Error::new(ErrorKind::Conflict, format!("{parent}, or something above it, is not a directory")))
            }
            result => Ok(result?),
        }
    }

    /// Goes to a directory step by step, deciding about each link.
    fn walk_to(&self, directory: &HostPath) -> Result<OwnedFd> {
        const MOST_LINKS: u32 = 40; // as the kernel, see path_resolution(7)
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let start = || self.open_at(&HostPath::root(), flags, ResolveFlag::empty());
        let mut opened: Vec<OwnedFd> = vec![start()?];
        let mut todo: Vec<String> = split(directory.as_str());
        let mut links = 0;
        while let Some(component) = todo.pop() {
            if component == ".." {
                if opened.len() > 1 {
                    opened.pop();
                }
                continue;
            }
            let here = opened.last().expect("the root is never popped");
            let stat = fstatat(here, component.as_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
            if kind_of(&stat) != FileKind::Symlink {
                opened.push(openat(here, component.as_str(), flags, Permissions::empty())?);
                continue;
            }
            let holder = fstat(here)?;
            let trusted = |uid: u32| uid == 0 || uid == nix::unistd::geteuid().as_raw();
            if !trusted(stat.st_uid) || !trusted(holder.st_uid) {
                let message = format!(
                    "`{component}` on the way to {directory} is a symbolic link that user {} made",
                    stat.st_uid
                );
                return Err(Error::new(ErrorKind::Refused, message)
                    .with_hint("name the real path, or make root the owner of the link and of its directory"));
            }
            links += 1;
            if links > MOST_LINKS {
                return Err(Error::new(ErrorKind::Conflict, "too many symbolic links on the way"));
            }
            let target = readlinkat(here, component.as_str())?.into_vec();
            let target = String::from_utf8_lossy(&target).into_owned();
            if target.starts_with('/') {
                opened = vec![start()?];
            }
            todo.extend(split(&target));
        }
        opened.pop().ok_or_else(|| Error::new(ErrorKind::Io, "the root directory is gone"))
    }
}

/// All extended attributes of an open file; none where the file system has none.
pub(super) fn xattrs_of(file: &File) -> Result<BTreeMap<String, Content>> {
    let names = match file.list_xattr() {
        Ok(names) => names,
        Err(error) if error.raw_os_error() == Some(Errno::ENOTSUP as i32) => return Ok(BTreeMap::new()),
        Err(error) => return Err(Error::io(&error)),
    };
    let mut xattrs = BTreeMap::new();
    for name in names {
        if let Some(value) = file.get_xattr(&name)? {
            xattrs.insert(name.to_string_lossy().into_owned(), value.into());
        }
    }
    Ok(xattrs)
}

/// Components, the first one last.
fn split(path: &str) -> Vec<String> {
    path.split('/').rev().filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
}

/// The path under which the kernel shows an open directory, for libraries that want a path.
pub(super) fn path_of(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}
