//! How paths were: kept before, known again afterwards.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::zeros::{Decoder, Encoder};
use super::{BLOBS, INLINE, Keeper, Kept};
use crate::canonical;
use crate::effect::{Access, Content, Effect, FileFlags, PathChange};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::{Blob, BlobSource, FileAttributes, FileImage, FileKind, HostView, HostViewExt, ImageContent};
use crate::path::HostPath;
use crate::state::{Digester, HostKey, Sealer};

/// A file for which there is no room is read to find out whether it is sparse, up to this length in bytes: holes take their time as
/// well.
const LONGEST_COUNTED: u64 = 16 << 30;

/// How a path was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PathImage {
    /// The path.
    pub path: HostPath,
    /// What was there.
    pub was: Was,
}

/// How much of something at a path is read to know it again.
#[derive(Clone, Copy)]
pub(super) struct Extent<'a> {
    /// Whether the bytes of a file count.
    pub(super) reads: bool,
    /// Whether all that lies in a directory counts.
    pub(super) deep: bool,
    /// The bytes of a file, where they are known without reading it.
    pub(super) written: Option<&'a Content>,
}

impl Extent<'_> {
    const ITSELF: Extent<'static> = Extent { reads: true, deep: false, written: None };
    pub(super) const TREE: Extent<'static> = Extent { reads: true, deep: true, written: None };
}

/// What was at a path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Was {
    /// Nothing.
    Absent,
    /// A device, a socket or a pipe, which cannot be kept.
    Special,
    /// Something else.
    There(Box<There>),
}

/// What was at a path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct There {
    /// What it was.
    pub kind: FileKind,
    /// Owner, group and mode.
    #[serde(flatten)]
    pub access: Access,
    /// Times, access control lists and other extended attributes.
    pub attributes: FileAttributes,
    /// The bytes of a file or the text of a link; `None` for a directory, and if the effect leaves the content alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Kept>,
}

/// What is enough to know something at a path again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The path.
    pub path: HostPath,
    /// What is there; `None` if nothing is.
    pub kind: Option<FileKind>,
    /// Owner, group and mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// Digest of the bytes of a file, the text of a link, or of all that lies in a directory; `None` if the content was
    /// not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Digest of extended attributes and flags; `None` if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<String>,
}

impl PathImage {
    pub(crate) fn content(&self) -> Option<&Kept> {
        match &self.was {
            Was::There(there) => there.content.as_ref(),
            Was::Absent | Was::Special => None,
        }
    }
}

impl Keeper<'_> {
    pub(super) fn paths_before(
        &self,
        path: &HostPath,
        change: PathChange,
        host: &dyn HostView,
    ) -> Result<Vec<PathImage>> {
        let mut images = Vec::new();
        match change {
            PathChange::TreeRemoved => self.tree(path, host, &mut images)?,
            PathChange::Metadata => images.push(self.image(path, false, host)?),
            PathChange::Replaced | PathChange::Removed | PathChange::SpecialRemoved => {
                images.push(self.image(path, true, host)?);
            }
        }
        Ok(images)
    }

    /// Keeps something and all that lies beneath it, directories before what they hold.
    pub(super) fn tree(&self, path: &HostPath, host: &dyn HostView, images: &mut Vec<PathImage>) -> Result<()> {
        // Users may have made it deeper than a stack is.
        let mut todo = vec![path.clone()];
        while let Some(path) = todo.pop() {
            let image = self.image(&path, true, host)?;
            let is_directory = matches!(&image.was, Was::There(there) if there.kind == FileKind::Directory);
            images.push(image);
            if !is_directory {
                continue;
            }
            for name in host.list(&path)?.unwrap_or_default().into_iter().rev() {
                todo.push(path.join(&name)?);
            }
        }
        Ok(())
    }

    fn image(&self, path: &HostPath, with_content: bool, host: &dyn HostView) -> Result<PathImage> {
        let image = |was| Ok(PathImage { path: path.clone(), was });
        let Some(found) = host.metadata(path)? else { return image(Was::Absent) };
        let content = match found.kind {
            FileKind::Fifo | FileKind::Socket | FileKind::Device => return image(Was::Special),
            FileKind::File if with_content => Some(self.keep_file(path, found.size, host)?),
            FileKind::Symlink => Some(self.keep(host.read_link(path)?.unwrap_or_default().as_bytes())?),
            FileKind::File | FileKind::Directory => None,
        };
        let attributes = host.attributes(path)?.unwrap_or_default();
        image(Was::There(Box::new(There { kind: found.kind, access: found.access, attributes, content })))
    }

    fn keep_file(&self, path: &HostPath, size: u64, host: &dyn HostView) -> Result<Kept> {
        if size <= INLINE as u64 {
            let mut bytes = zeroize::Zeroizing::new(Vec::new());
            host.copy_out(path, &mut *bytes)?;
            return self.keep(&bytes);
        }
        if let Some(free) = self.store.free_bytes().filter(|free| free / 2 < size) {
            let no_space = || {
                let message = format!("{path} has {size} bytes, and the journal has room for {free}");
                Error::new(ErrorKind::NoSpace, message)
                    .with_hint("free some space below /var/lib/provision, or move the file away yourself")
            };
            if size > LONGEST_COUNTED {
                return Err(no_space());
            }
            // There may be room for a sparse file all the same.
            let mut encoder = Encoder::new(Counter { left: free / 2 });
            let counted = host.copy_out(path, &mut encoder).and_then(|_| Ok(encoder.finish()?));
            counted.map_err(|error| if error.kind() == ErrorKind::NoSpace { no_space() } else { error })?;
        }
        let mut kept = None;
        self.store.stream(&mut |to| {
            let mut tee = Tee { digester: self.key.digester(), encoder: Encoder::new(self.key.sealer(to)?) };
            let size = host.copy_out(path, &mut tee)?.unwrap_or_default();
            tee.encoder.finish()?.finish()?;
            let digest = tee.digester.finish();
            let name = format!("{BLOBS}/{digest}");
            kept = Some(Kept::Blob { digest, size });
            Ok(name)
        })?;
        kept.ok_or_else(|| Error::new(ErrorKind::Io, "nothing was kept"))
    }

    /// The effect that puts something back. Content that not every user of the host could read is sensitive.
    pub(crate) fn restore(&self, path: &HostPath, there: &There, host: &dyn HostView) -> Result<Effect> {
        let is_open = there.access.mode.bits() & 0o004 != 0 && host.is_reachable_by_all(path);
        let content = match (&there.content, there.kind) {
            (_, FileKind::Directory) => ImageContent::Directory,
            (None, _) => ImageContent::Same,
            (Some(kept), FileKind::Symlink) => {
                ImageContent::Symlink(String::from_utf8_lossy(&self.bytes(kept)?).into_owned())
            }
            (Some(Kept::Blob { digest, size }), _) => ImageContent::Stored(Blob {
                digest: digest.clone(),
                size: *size,
                source: Some(Arc::new(Stored {
                    key: self.key.clone(),
                    store: Arc::clone(self.store),
                    digest: digest.clone(),
                })),
            }),
            (Some(kept), _) if is_open => ImageContent::File(self.bytes(kept)?.into()),
            (Some(kept), _) => {
                let bytes = zeroize::Zeroizing::new(self.bytes(kept)?);
                ImageContent::File(Content::sensitive(&*bytes))
            }
        };
        let (access, attributes) = (there.access.clone(), there.attributes.clone());
        Ok(Effect::Restore(Box::new(FileImage { path: path.clone(), content, access, attributes })))
    }

    fn bytes(&self, kept: &Kept) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(kept)?.read_to_end(&mut bytes).while_doing(|| "opening what the journal keeps")?;
        Ok(bytes)
    }

    /// Notes how paths are now.
    pub(super) fn fingerprints(
        &self,
        paths: &[PathImage],
        extent: Extent<'_>,
        host: &dyn HostView,
    ) -> Result<Vec<Fingerprint>> {
        paths.iter().map(|image| self.fingerprint(&image.path, extent, host)).collect()
    }

    fn fingerprint(&self, path: &HostPath, extent: Extent<'_>, host: &dyn HostView) -> Result<Fingerprint> {
        let Some(found) = host.metadata(path)? else {
            return Ok(Fingerprint { path: path.clone(), kind: None, access: None, content: None, attributes: None });
        };
        let content = match found.kind {
            FileKind::File => match extent.written {
                Some(written) => Some(self.key.digest(written.bytes())),
                None if extent.reads => Some(self.digest_of_file(path, host)?),
                None => None,
            },
            FileKind::Symlink => host.read_link(path)?.map(|target| self.key.digest(target.as_bytes())),
            FileKind::Directory if extent.deep => Some(self.digest_of_tree(path, host)?),
            FileKind::Directory | FileKind::Fifo | FileKind::Socket | FileKind::Device => None,
        };
        let attributes = match host.attributes(path)? {
            Some(attributes) => self.digest_of_attributes(&attributes)?,
            None => None,
        };
        Ok(Fingerprint { path: path.clone(), kind: Some(found.kind), access: Some(found.access), content, attributes })
    }

    /// Notes how something is now, whatever is to be done to it.
    pub(crate) fn fingerprint_of(&self, path: &HostPath, deep: bool, host: &dyn HostView) -> Result<Fingerprint> {
        self.fingerprint(path, Extent { deep, ..Extent::ITSELF }, host)
    }

    /// A digest of extended attributes and flags, which says nothing of times.
    fn digest_of_attributes(&self, attributes: &FileAttributes) -> Result<Option<String>> {
        #[derive(Serialize)]
        struct Timeless<'a> {
            xattrs: &'a BTreeMap<String, Content>,
            flags: &'a FileFlags,
        }
        let FileAttributes { xattrs, flags, modified: _, modified_nanos: _ } = attributes;
        let known = !(xattrs.is_empty() && flags.is_unset());
        known.then(|| self.key.digest_of("attributes/1", &Timeless { xattrs, flags })).transpose()
    }

    /// A digest of all that is known of a path.
    pub(crate) fn digest_of_path(&self, fingerprint: &Fingerprint) -> Result<String> {
        self.key.digest_of("path/1", fingerprint)
    }

    fn digest_of_file(&self, path: &HostPath, host: &dyn HostView) -> Result<String> {
        let mut digester = self.key.digester();
        host.copy_out(path, &mut Digesting(&mut digester))?;
        Ok(digester.finish())
    }

    /// A digest of all that lies in a directory, which may be deeper than a stack is.
    fn digest_of_tree(&self, path: &HostPath, host: &dyn HostView) -> Result<String> {
        let enter =
            |path: &HostPath| Ok::<_, Error>((host.list(path)?.unwrap_or_default().into_iter(), self.key.digester()));
        let update = |digester: &mut Digester, inside: &Fingerprint| {
            digester.update(&canonical::encode("path/1", inside)?);
            digester.update(b"\n");
            Ok::<_, Error>(())
        };
        let (mut names, mut digester) = enter(path)?;
        // Directories above the one that is read, each with what is known of the one in it.
        let mut way = Vec::new();
        let mut directory = path.clone();
        loop {
            if let Some(name) = names.next() {
                let inside = self.fingerprint(&directory.join(&name)?, Extent::ITSELF, host)?;
                if inside.kind == Some(FileKind::Directory) {
                    let (inner_names, inner_digester) = enter(&inside.path)?;
                    let above = std::mem::replace(&mut directory, inside.path.clone());
                    let names = std::mem::replace(&mut names, inner_names);
                    way.push((above, names, std::mem::replace(&mut digester, inner_digester), inside));
                } else {
                    update(&mut digester, &inside)?;
                }
                continue;
            }
            let Some((above, names_above, digester_above, inside)) = way.pop() else { return Ok(digester.finish()) };
            let content = Some(std::mem::replace(&mut digester, digester_above).finish());
            (directory, names) = (above, names_above);
            update(&mut digester, &Fingerprint { content, ..inside })?;
        }
    }

    /// A digest of a home directory with all that lies in it; `None` if it is not there. Who owns what is no part of it: that goes with the
    /// numbers of the user, and with the user itself.
    pub(crate) fn digest_of_home(&self, path: &HostPath, host: &dyn HostView) -> Result<Option<String>> {
        let mut found = self.fingerprint(path, Extent::ITSELF, host)?;
        let Some(kind) = found.kind else { return Ok(None) };
        if kind == FileKind::Directory {
            let mut digester = self.key.digester();
            for name in host.list(path)?.unwrap_or_default() {
                let inside = self.digest_of_home(&path.join(&name)?, host)?;
                digester.update(&canonical::encode("entry/1", &(name, inside))?);
                digester.update(b"\n");
            }
            found.content = Some(digester.finish());
        }
        let mode = found.access.map(|access| access.mode);
        let known = json!({ "kind": kind, "mode": mode, "content": found.content, "attributes": found.attributes });
        self.key.digest_of("home/1", &known).map(Some)
    }

    /// Whether something is as it was noted.
    pub(crate) fn matches(&self, noted: &Fingerprint, deep: bool, host: &dyn HostView) -> Result<bool> {
        let now =
            self.fingerprint(&noted.path, Extent { reads: noted.content.is_some(), deep, written: None }, host)?;
        let content = noted.content.is_none() || noted.content == now.content;
        let others = (noted.kind, &noted.access, &noted.attributes) == (now.kind, &now.access, &now.attributes);
        Ok(others && content)
    }

    /// Whether all of these are as they were before.
    pub(crate) fn are_as_before(&self, paths: &[PathImage], host: &dyn HostView) -> Result<bool> {
        for path in paths {
            if !self.is_as_before(path, host)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether something is as it was before.
    pub(crate) fn is_as_before(&self, image: &PathImage, host: &dyn HostView) -> Result<bool> {
        let found = host.metadata(&image.path)?;
        let (Was::There(there), Some(found)) = (&image.was, &found) else {
            let special = found.as_ref().is_some_and(|found| found.kind.is_special());
            return Ok(match image.was {
                Was::Absent => found.is_none(),
                Was::Special => special,
                Was::There(_) => false,
            });
        };
        if (found.kind, &found.access) != (there.kind, &there.access) {
            return Ok(false);
        }
        let now = self.fingerprint(&image.path, Extent { reads: there.content.is_some(), ..Extent::ITSELF }, host)?;
        let content = there.content.as_ref().is_none_or(|kept| now.content.as_deref() == Some(kept.digest()));
        Ok(content && now.attributes == self.digest_of_attributes(&there.attributes)?)
    }
}

/// Seals bytes and digests them on the way.
struct Tee<W: Write> {
    digester: Digester,
    encoder: Encoder<Sealer<W>>,
}

impl<W: Write> Write for Tee<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let length = self.encoder.write(bytes)?;
        self.digester.update(&bytes[..length]);
        Ok(length)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.encoder.flush()
    }
}

/// Counts what is written to it, up to a limit.
struct Counter {
    left: u64,
}

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or(Errno::ENOSPC)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Digesting<'a>(&'a mut Digester);

impl Write for Digesting<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A large content in the journal.
struct Stored {
    key: HostKey,
    store: Arc<dyn crate::state::StateStore>,
    digest: String,
}

impl BlobSource for Stored {
    fn open(&self) -> Result<Box<dyn Read + Send>> {
        match self.store.open(&format!("{BLOBS}/{}", self.digest))? {
            Some(sealed) => Ok(Box::new(Decoder::new(self.key.open(sealed)))),
            None => Err(Error::new(ErrorKind::NotFound, format!("the journal has lost the content {}", self.digest))),
        }
    }
}
