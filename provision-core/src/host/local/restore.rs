//! Putting something back exactly as it was: content, owner, mode, times, extended attributes, flags.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;

use nix::sys::stat::fstat;

use super::attributes::{put_xattrs, reopen, set_flags, set_modified};
use super::change::Changes;
use super::confined::{Root, is_trusted, kind_of};
use super::write::{Belongings, Others};
use crate::effect::{AttributeChanges, FileFlags, HardLinks};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::{FileAttributes, FileImage, FileKind, ImageContent};
use crate::path::Mode;

/// As many zeros as this are left out when a file is written, in bytes.
const HOLE: usize = 4 << 10;

impl Root {
    /// Puts something back; the name holds what is there now or all of the old, at every instant.
    pub(super) fn restore(&self, image: &FileImage, owner: (u32, u32)) -> Result<()> {
        match &image.content {
            ImageContent::File(content) => self.restore_file(image, &mut content.bytes(), owner),
            ImageContent::Stored(blob) => self.restore_file(image, &mut *blob.open()?, owner),
            ImageContent::Symlink(target) => self.create_symlink(&image.path, target, owner, |link| {
                put_xattrs(link, &image.attributes.xattrs)?;
                set_modified(link, &image.attributes)
            }),
            ImageContent::Directory => self.create_directory(&image.path, |directory| finish(directory, image, owner)),
            ImageContent::Same => {
                let node = self.open_node(&image.path)?;
                let stat = fstat(&node)?;
                match kind_of(&stat) {
                    // Whoever owned it meanwhile may have written to it: that gets no rights.
                    FileKind::File if !is_trusted(stat.st_uid, owner.0) => finish(&node, &harmless(image), owner),
                    FileKind::File | FileKind::Directory => finish(&node, image, owner),
                    kind => Err(Error::new(ErrorKind::Conflict, format!("it is {} now", kind.noun()))),
                }
            }
        }
    }

    fn restore_file(&self, image: &FileImage, content: &mut dyn Read, owner: (u32, u32)) -> Result<()> {
        let others = Others::Given(&image.attributes);
        let belongings =
            Belongings { owner, mode: image.access.mode, hard_links: HardLinks::Break, confidential: false, others };
        let fill = |file: &mut File| {
            let mut piece = vec![0; 64 << 10];
            let mut length = 0;
            loop {
                let read = content.read(&mut piece).while_doing(|| "reading what the journal kept")?;
                let bytes = &piece[..read];
                match bytes {
                    // A hole at the end is not there before the length says so.
                    [] => return Ok(file.set_len(length)?),
                    // Zeros that are not written take no room.
                    _ if bytes.len() >= HOLE && bytes.iter().all(|byte| *byte == 0) => {
                        file.seek_relative(i64::try_from(read).unwrap_or(i64::MAX))?;
                    }
                    _ => file.write_all(bytes)?,
                }
                length += bytes.len() as u64;
            }
        };
        self.write_file(&image.path, &belongings, fill, |_| Ok(()))
    }
}

/// Without what would let a program run with the rights of another.
fn harmless(image: &FileImage) -> FileImage {
    let mut image = image.clone();
    image.access.mode = Mode::new(image.access.mode.bits() & 0o1777);
    image.attributes.xattrs.remove(FileAttributes::CAPABILITIES);
    image
}

/// Gives what is open everything but its content.
fn finish(node: &OwnedFd, image: &FileImage, owner: (u32, u32)) -> Result<()> {
    // Whatever flags it has now, it is unlocked, and gets those of the image at the end.
    let unlocked = AttributeChanges { clear_flags: FileFlags::LOCKS, ..AttributeChanges::default() };
    let numbers = |_: &_| Err(Error::new(ErrorKind::Invalid, "an image has no names in its lists"));
    let owner = (Some(owner.0), Some(owner.1));
    let changes = Changes { owner, mode: Some(image.access.mode), attributes: &unlocked, numbers: &numbers };
    changes.make_to(node)?;
    put_xattrs(node, &image.attributes.xattrs)?;
    set_modified(node, &image.attributes)?;
    if let Some(file) = reopen(node, &fstat(node)?)? {
        set_flags(&file, image.attributes.flags)?;
        file.sync_all()?;
    }
    Ok(())
}
