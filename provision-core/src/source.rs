//! [`Source`]: what a resource copies to a host.
#![expect(clippy::disallowed_types, reason = "source files lie beside the site, not on the host")]

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::effect::{Content, Digest};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::DigestCache;
use crate::regular;

/// Bytes that a resource copies to a host. Those of a large file whose digest is known are read only when they are wanted.
/// Cheap to clone.
#[derive(Clone)]
pub struct Source(Arc<Inner>);

enum Inner {
    Read { content: Content, digest: OnceLock<Digest> },
    Remembered { file: PathBuf, digest: Digest, content: OnceLock<Content> },
}

impl Source {
    /// A file beside the site; `digests` remembers large ones.
    pub(crate) fn read_from(path: &Path, digests: Option<&DigestCache>) -> Result<Source> {
        match digests {
            Some(digests) => {
                let mut file = open_regular(path)?;
                let whole = |file: &mut File| Ok(Source::from(read_whole(file)?));
                let digest = |source: &Source| source.digest().clone();
                let found = digests.known_or(&path.to_string_lossy(), &mut file, whole, digest)?;
                Ok(found.map_or_else(|source| source, |digest| Source::remembered(path, digest)))
            }
            None => Ok(Source::from(read_regular(path)?)),
        }
    }

    /// A file of which the digest is known.
    fn remembered(file: &Path, digest: Digest) -> Source {
        Source(Arc::new(Inner::Remembered { file: file.to_owned(), digest, content: OnceLock::new() }))
    }

    /// How many bytes there are.
    pub fn size(&self) -> u64 {
        match &*self.0 {
            Inner::Read { content, .. } => content.bytes().len() as u64,
            Inner::Remembered { digest, .. } => digest.size,
        }
    }

    /// Their digest, which is made at most once.
    pub fn digest(&self) -> &Digest {
        match &*self.0 {
            Inner::Read { content, digest } => digest.get_or_init(|| Digest::of(content.bytes())),
            Inner::Remembered { digest, .. } => digest,
        }
    }

    /// The bytes.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else by now.
    pub fn content(&self) -> Result<Content> {
        match &*self.0 {
            Inner::Read { content, .. } => Ok(content.clone()),
            Inner::Remembered { file, content, .. } => match content.get() {
                Some(content) => Ok(content.clone()),
                None => {
                    let read = self.read(file).while_doing(|| format!("reading the source file {}", file.display()))?;
                    Ok(content.get_or_init(|| read).clone())
                }
            },
        }
    }

    fn read(&self, file: &Path) -> Result<Content> {
        let content = Content::from(read_regular(file)?);
        if Digest::of(content.bytes()) == *self.digest() {
            return Ok(content);
        }
        let changed = Error::new(ErrorKind::Conflict, "it was changed since this run began");
        Err(changed.with_hint("run again"))
    }
}

/// Opens a regular file of the site.
fn open_regular(path: &Path) -> Result<File> {
    regular::open(path).map_err(|error| match error.kind() {
        ErrorKind::Invalid => error.with_hint("name a file that can be copied"),
        _ => error,
    })
}

fn read_regular(path: &Path) -> Result<Vec<u8>> {
    read_whole(&mut open_regular(path)?)
}

fn read_whole(file: &mut File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl<T: Into<Content>> From<T> for Source {
    fn from(content: T) -> Source {
        Source(Arc::new(Inner::Read { content: content.into(), digest: OnceLock::new() }))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Inner::Read { content, .. } => content.fmt(f),
            Inner::Remembered { .. } => write!(f, "<{} bytes>", self.size()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_or_a_device_is_no_source() {
        let place = tempfile::tempdir().unwrap();
        let pipe = place.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let digests = DigestCache::new(crate::state::MemoryStore::new());
        for path in [pipe.as_path(), Path::new("/dev/null"), place.path()] {
            for digests in [None, Some(&digests)] {
                let error = Source::read_from(path, digests).unwrap_err();
                assert_eq!(error.message(), "it is not a regular file", "{}", path.display());
            }
        }
    }
}
