//! Digests of large files, remembered for as long as the files are the same.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::stat::fstat;
use nix::sys::statfs::{BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, F2FS_SUPER_MAGIC, FsType, XFS_SUPER_MAGIC, fstatfs};
use sha2::{Digest as _, Sha256};

use super::clock;
use super::confined::{FileIdentity, kind_of};
use crate::bytes::hex;
use crate::effect::Digest;
use crate::error::Result;
use crate::format::Format;
use crate::host::FileKind;
use crate::state::{Shelf, StateStore};

/// Digests, with what tells that the files are the same.
const DIGESTS: Shelf = Shelf { format: DIGEST, directory: "digests", most: 4096 };

/// See `docs/formats/caches.md`.
const DIGEST: Format = Format { name: "digest", noun: "a remembered digest", version: 1 };

/// Files of more bytes are worth it: those that `file` compares by digests.
const LARGE: u64 = 256 * 1024;

/// How long a file has to have been left alone at least.
const SETTLED: Duration = Duration::from_secs(60);

/// How long a file has to have been left alone. What a program writes to a file that it has mapped shows in the times of
/// the file with the first write to a page, and again only after the kernel has written that page to the disk. It looks for such
/// pages every `dirty_writeback_centisecs`, and takes those that are older than `dirty_expire_centisecs` (proc_sys_vm(5)).
/// `None` if it never does.
fn settled() -> Option<Duration> {
    let centiseconds = |name: &str| {
        #[expect(clippy::disallowed_methods, reason = "`/proc` belongs to this host, not to the root directory")]
        let text = std::fs::read_to_string(format!("/proc/sys/vm/{name}")).ok()?;
        text.trim().parse::<u64>().ok().filter(|time| *time > 0)
    };
    let both = centiseconds("dirty_writeback_centisecs")?.checked_add(centiseconds("dirty_expire_centisecs")?)?;
    Some(SETTLED.max(Duration::from_millis(both.checked_mul(20)?)))
}

/// Whether a file is on a file system that tells.
fn is_telling(file: &File) -> bool {
    fstatfs(file).is_ok_and(|system| TELLING.contains(&system.filesystem_type()))
}

/// File systems that tell each change of a file by its time of change (`st_ctime`, inode(7)), which cannot be set. Those of
/// other machines and of programs may not, and tmpfs does not tell of writes to mapped files.
const TELLING: [FsType; 4] = [EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC];

/// Remembers digests of large files, so that they need not be read again while they are the same.
///
/// A file counts as the same while its device, inode, size, time of modification and time of change are the same, and
/// the machine was not started again. A digest is remembered only of a file that has not changed for a minute, and only
/// on ext2 to ext4, XFS, Btrfs and F2FS. What changes a file without the knowledge of its file system is not noticed: a
/// disk that forgets, or a program that writes to the device beneath it.
#[derive(Clone)]
pub struct DigestCache {
    store: Arc<dyn StateStore>,
    settled: fn() -> Option<Duration>,
    is_telling: fn(&File) -> bool,
}

impl std::fmt::Debug for DigestCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DigestCache")
    }
}

impl DigestCache {
    /// Remembers in a store that no other user can write to, such as [`LocalHost::cache`](super::LocalHost::cache).
    pub fn new(store: impl StateStore + 'static) -> DigestCache {
        DigestCache { store: Arc::new(store), settled, is_telling }
    }

    /// The digest of an open file of this name, if it is large and the digest is known; otherwise what `read` makes of the
    /// file, which is remembered if the file is large.
    pub(crate) fn known_or<T>(
        &self,
        name: &str,
        file: &mut File,
        read: impl FnOnce(&mut File) -> Result<T>,
        digest_of: impl FnOnce(&T) -> Digest,
    ) -> Result<std::result::Result<Digest, T>> {
        let stat = fstat(&*file)?;
        let seen = FileIdentity::new(&stat);
        let is_large = kind_of(&stat) == FileKind::File && seen.size() > LARGE;
        if is_large && let Some(known) = self.known(name, &seen) {
            return Ok(Ok(known));
        }
        let read = read(file)?;
        if is_large {
            self.remember(name, file, &seen, &digest_of(&read));
        }
        Ok(Err(read))
    }

    /// The digest of an open file of this name.
    pub(super) fn digest(&self, name: &str, file: &mut File) -> Result<Digest> {
        let (Ok(digest) | Err(digest)) = self.known_or(name, file, digest_of, Digest::clone)?;
        Ok(digest)
    }

    /// What is remembered of a file, if it is the same.
    fn known(&self, name: &str, seen: &FileIdentity) -> Option<Digest> {
        let bytes = DIGESTS.read(&*self.store, &entry(name)).ok()??;
        let (boot, of, digest): (String, FileIdentity, Digest) = rmp_serde::from_slice(&bytes).ok()?;
        (*boot == *clock::now().boot && !boot.is_empty() && of == *seen).then_some(digest)
    }

    /// Remembers the digest of a file that was seen to be so before it was read.
    fn remember(&self, name: &str, file: &File, seen: &FileIdentity, digest: &Digest) {
        let is_settled = || (self.settled)().is_some_and(|settled| seen.is_settled(settled));
        let is_same = fstat(file).is_ok_and(|now| FileIdentity::new(&now) == *seen) && digest.size == seen.size();
        if !(is_same && (self.is_telling)(file) && is_settled()) {
            return;
        }
        if let Err(error) = DIGESTS.write(&*self.store, &entry(name), &(&*clock::now().boot, seen, digest)) {
            tracing::debug!("the digest of {name} is not remembered: {error}");
        }
    }
}

impl FileIdentity {
    /// Whether it was left alone for so long. A time in the future is no answer.
    fn is_settled(&self, settled: Duration) -> bool {
        #[expect(clippy::disallowed_methods, reason = "how long ago that was is a reading of the host")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, nanoseconds) = self.changed();
        let changed = u64::try_from(seconds).ok().zip(u32::try_from(nanoseconds).ok());
        changed.is_some_and(|(seconds, nanoseconds)| {
            now.checked_sub(Duration::new(seconds, nanoseconds)).is_some_and(|since| since >= settled)
        })
    }
}

fn entry(name: &str) -> String {
    hex(&Sha256::digest(name)[..16])
}

/// The digest of all that is in a file.
pub(super) fn digest_of(file: &mut File) -> Result<Digest> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    let mut size = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Digest { sha256: hex(&hash.finalize()), size }),
            Ok(read) => {
                hash.update(&buffer[..read]);
                size += read as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests;
