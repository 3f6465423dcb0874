//! The state directory of a host, and the lock that lets one run at a time work on it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode as Permissions};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{fsync, geteuid};
use serde::{Deserialize, Serialize};

use super::confined::Root;
use super::stage::{FRESH, Staged, is_staged};
use crate::effect::Removal;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::moment::Moment;
use crate::path::{HostPath, Mode};
use crate::state::{StateStore, StoreLock, held_by_another};

/// Where state lies.
pub(super) const STATE: &str = "/var/lib/provision";

/// Where lies what can be made again.
pub(super) const CACHE: &str = "/var/cache/provision";

/// Who works on a host. Whoever can open a file can lock it (`flock(2)`), so it lies where only its owner may enter.
const LOCK: &str = "/run/provision/lock";

/// How often a lock that is held is tried again.
const PAUSE: Duration = Duration::from_millis(200);

const PRIVATE: Permissions = Permissions::from_bits_truncate(0o600);

/// A directory of a host in which this program keeps something, such as `/var/lib/provision`; only its owner may enter
/// it (`0700`). It is made when something is written.
pub struct DirectoryStore {
    root: Root,
    directory: HostPath,
    /// Whether files of others are not read.
    only_ours: bool,
    /// Logs that are being written.
    open: Mutex<HashMap<String, Arc<File>>>,
}

impl DirectoryStore {
    pub(super) fn new(root: &Path, directory: &str) -> Result<DirectoryStore> {
        Ok(DirectoryStore {
            root: Root::open(root)?,
            directory: HostPath::new(directory)?,
            only_ours: false,
            open: Mutex::default(),
        })
    }

    /// Refuses a directory or a file of another user, and makes no more than the directory itself.
    pub(super) fn only_ours(self) -> Result<DirectoryStore> {
        match self.root.stat(&self.directory)? {
            Some(stat) if !is_ours(&stat) => return Err(untrusted(&self.directory)),
            None if self.directory.parent().is_some_and(|above| !matches!(self.root.stat(&above), Ok(Some(_)))) => {
                return Err(Error::new(ErrorKind::NotFound, format!("there is no directory for {}", self.directory)));
            }
            _ => {}
        }
        Ok(DirectoryStore { only_ours: true, ..self })
    }

    fn path(&self, name: &str) -> Result<HostPath> {
        self.directory.join(name)
    }

    /// Makes the directory of a name, and refuses one that others may write to.
    fn prepare(&self, path: &HostPath) -> Result<()> {
        let mut missing = Vec::new();
        for above in path.ancestors() {
            match self.root.stat(&above)? {
                None => missing.push(above),
                Some(stat) if above == self.directory => {
                    return if is_ours(&stat) { self.make(&missing) } else { Err(untrusted(&above)) };
                }
                Some(_) if !above.is_within(&self.directory) => return self.make(&missing),
                Some(_) => {}
            }
        }
        self.make(&missing)
    }

    /// Removes files that a run which died had staged.
    fn remove_strays(&self) -> Result<()> {
        let directories = [self.directory.clone(), self.path("runs")?, self.path("blobs")?];
        for directory in directories {
            for name in self.root.list(&directory)?.unwrap_or_default() {
                if is_staged(&name) {
                    self.root.remove(&directory.join(&name)?, Removal::File)?;
                }
            }
        }
        Ok(())
    }

    fn make(&self, missing: &[HostPath]) -> Result<()> {
        let owner = (geteuid().as_raw(), nix::unistd::getegid().as_raw());
        for directory in missing.iter().rev() {
            let mode = if directory.is_within(&self.directory) { 0o700 } else { 0o755 };
            self.root.make_directory(directory, owner, Mode::new(mode))?;
        }
        Ok(())
    }
}

fn is_ours(stat: &FileStat) -> bool {
    stat.st_uid == geteuid().as_raw() && stat.st_mode & 0o022 == 0
}

fn untrusted(path: &HostPath) -> Error {
    Error::new(ErrorKind::Refused, format!("{path} belongs to another user, or others may write to it")).with_hint(
        "what is kept there decides what this program does; remove it, or give it to yourself with mode 0700",
    )
}

impl StateStore for DirectoryStore {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path(name)?;
        match self.root.open_file(&path).while_doing(|| format!("reading {path}"))? {
            Some((_, stat)) if self.only_ours && !is_ours(&stat) => Err(untrusted(&path)),
            Some((mut file, _)) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).while_doing(|| format!("reading {path}"))?;
                Ok(Some(bytes))
            }
            None => Ok(None),
        }
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name)?;
        self.prepare(&path)?;
        let owner = (geteuid().as_raw(), nix::unistd::getegid().as_raw());
        self.root.write_bytes(&path, bytes, owner, Mode::new(0o600)).while_doing(|| format!("writing {path}"))
    }

    fn append(&self, name: &str, bytes: &[u8], durably: bool) -> Result<()> {
        let path = self.path(name)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match open.get(name) {
            Some(file) => file.clone(),
            None => {
                self.prepare(&path)?;
                let parent = self.root.open_parent(&path)?;
                let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let file = Arc::new(File::from(openat(&parent, path.name(), flags, PRIVATE)?));
                fsync(&parent)?;
                open.insert(name.to_owned(), file.clone());
                file
            }
        };
        (&*file).write_all(bytes).while_doing(|| format!("writing {path}"))?;
        // Others may write while the disk is waited for.
        drop(open);
        if durably {
            file.sync_data().while_doing(|| format!("syncing {path}"))?;
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (old, new) = (self.path(from)?, self.path(to)?);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(from);
        let (old_parent, new_parent) = (self.root.open_parent(&old)?, self.root.open_parent(&new)?);
        renameat(&old_parent, old.name(), &new_parent, new.name()).while_doing(|| format!("renaming {old}"))?;
        fsync(&new_parent)?;
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path = self.path(name)?;
        self.root.remove(&path, Removal::File).while_doing(|| format!("removing {path}"))
    }

    fn list(&self, directory: &str) -> Result<Vec<String>> {
        let path = self.path(directory)?;
        Ok(self.root.list(&path).while_doing(|| format!("listing {path}"))?.unwrap_or_default())
    }

    /// The lock is that of the directory itself, which no other program has a reason to remove.
    fn lock(&self) -> Result<StoreLock> {
        let key = self.path("key")?;
        self.prepare(&key)?;
        let directory = File::from(self.root.open_parent(&key)?);
        match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => {
                self.remove_strays()?;
                Ok(Box::new(locked))
            }
            Err((_, Errno::EWOULDBLOCK)) => Err(held_by_another()),
            Err((_, errno)) => Err(Error::from(errno)),
        }
    }

    fn stream(&self, fill: &mut dyn FnMut(&mut dyn Write) -> Result<String>) -> Result<()> {
        let place = self.path("blobs/content")?;
        self.prepare(&place)?;
        let parent = self.root.open_parent(&place)?;
        let staged = Staged::new(&parent, &place, |name| {
            Ok(File::from(openat(&parent, name, FRESH | OFlag::O_WRONLY, PRIVATE)?))
        })?;
        let mut writer = std::io::BufWriter::with_capacity(128 << 10, staged.file());
        let name = fill(&mut writer)?;
        writer.flush()?;
        drop(writer);
        let path = self.path(&name)?;
        if self.root.stat(&path)?.is_some() {
            return Ok(());
        }
        staged.file().sync_all()?;
        staged.put_as(path.name()).map(drop)
    }

    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>> {
        let file = self.root.open_file(&self.path(name)?)?;
        Ok(file.map(|(file, _)| Box::new(file) as Box<dyn Read + Send>))
    }

    fn free_bytes(&self) -> Option<u64> {
        let place = self.path("key").ok()?;
        let parent = self.root.open_parent(&place).ok()?;
        let room = fstatvfs(&parent).ok()?;
        Some(room.blocks_available() * room.fragment_size())
    }

    fn size(&self, name: &str) -> Result<u64> {
        let stat = self.root.stat(&self.path(name)?)?;
        Ok(stat.map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or_default()))
    }
}

/// Who works on a host, for others who want to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    /// Who asked for it, such as `alice (as root)`.
    pub who: String,
    /// What is done, such as `provision apply site.ncl`.
    pub what: String,
    /// The number of the process.
    pub process: u32,
    /// Since when.
    pub since: Moment,
}

/// The right to change a host, for as long as this lives.
pub struct RunLock(Flock<File>);

impl Drop for RunLock {
    fn drop(&mut self) {
        // What is left would name a process that is not at work.
        let _ = self.0.set_len(0);
    }
}

impl RunLock {
    /// Takes the lock, or waits for it. `busy` is told once who holds it.
    pub(super) fn take(
        root: &Root,
        holder: &LockHolder,
        patience: Duration,
        busy: &dyn Fn(Option<&LockHolder>),
    ) -> Result<RunLock> {
        let path = HostPath::new(LOCK)?;
        let deadline = Instant::now() + patience;
        let mut file = open_lock(root, &path)?;
        let mut told = false;
        loop {
            file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(mut locked) => {
                    locked.set_len(0)?;
                    let _ = locked.write_all(serde_json::to_string(holder).unwrap_or_default().as_bytes());
                    return Ok(RunLock(locked));
                }
                Err((file, Errno::EWOULDBLOCK)) => file,
                Err((_, errno)) => return Err(Error::from(errno)),
            };
            // Whoever has just taken it may not have said yet who it is.
            let other = root.read(&path)?.and_then(|text| serde_json::from_slice(text.bytes()).ok());
            if Instant::now() >= deadline {
                return Err(taken(other.as_ref(), &holder.since));
            }
            if !std::mem::replace(&mut told, true) {
                busy(other.as_ref());
            }
            std::thread::sleep(PAUSE.min(deadline.saturating_duration_since(Instant::now())));
        }
    }
}

fn open_lock(root: &Root, path: &HostPath) -> Result<File> {
    let owner = (geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let directory = path.parent().unwrap_or_else(HostPath::root);
    for (above, mode) in [(directory.parent(), 0o755), (Some(directory.clone()), 0o700)] {
        let Some(above) = above else { continue };
        match root.stat(&above)? {
            None => root.make_directory(&above, owner, Mode::new(mode))?,
            Some(stat) if above == directory && !is_ours(&stat) => return Err(untrusted(&above)),
            Some(_) => {}
        }
    }
    let parent = root.open_parent(path)?;
    nix::sys::stat::fchmod(&parent, Permissions::from_bits_truncate(0o700))
        .while_doing(|| format!("opening {path}"))?;
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(&parent, path.name(), flags, PRIVATE).map(File::from).while_doing(|| format!("opening {path}"))
}

fn taken(other: Option<&LockHolder>, now: &Moment) -> Error {
    let message = match other {
        Some(other) => {
            let seconds = (now.unix_micros - other.since.unix_micros).max(0) / 1_000_000;
            let process = other.process;
            format!("{} is at work on this host for {seconds} s: {} (process {process})", other.who, other.what)
        }
        None => "another run is at work on this host".to_owned(),
    };
    Error::new(ErrorKind::Locked, message).with_hint("wait for it with --lock-timeout SECONDS")
}
