//! Putting something back exactly as it was: content, owner, mode, times, extended attributes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode as Permissions, UtimensatFlags, fchmod, fstat, futimens, mkdirat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, fchownat, fsync, symlinkat};
use xattr::FileExt;

use super::confined::{Root, kind_of, xattrs_of};
use super::write::{FRESH, file_name, put_in_place, stage};
use crate::effect::Content;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::{FileAttributes, FileImage, FileKind, ImageContent};
use crate::path::HostPath;

impl Root {
    /// Puts something back; the name holds what is there now or all of the old, at every instant.
    pub(super) fn restore(&self, image: &FileImage, owner: (u32, u32)) -> Result<()> {
        match &image.content {
            ImageContent::File(content) => self.restore_file(image, &mut content.bytes(), owner),
            ImageContent::Stored(blob) => self.restore_file(image, &mut *blob.open()?, owner),
            ImageContent::Symlink(target) => self.restore_link(image, target, owner),
            ImageContent::Directory => self.restore_directory(image, owner),
            ImageContent::Same => {
                let parent = self.open_parent(&image.path)?;
                let flags =
                    OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
                let file = File::from(openat(&parent, image.path.name(), flags, Permissions::empty())?);
                match kind_of(&fstat(&file)?) {
                    FileKind::File | FileKind::Directory => finish(&file, image, owner),
                    kind => Err(Error::new(ErrorKind::Conflict, format!("it is {} now", kind.noun()))),
                }
            }
        }
    }

    fn restore_file(&self, image: &FileImage, content: &mut dyn Read, owner: (u32, u32)) -> Result<()> {
        let parent = self.open_parent(&image.path)?;
        let staged = stage(&parent, &image.path, |name| {
            // Nobody else may open it before owner and mode are final.
            let private = Permissions::from_bits_truncate(0o600);
            Ok(File::from(openat(&parent, name, FRESH | OFlag::O_RDWR, private)?))
        })?;
        let mut file = staged.as_file();
        let mut piece = vec![0; 64 << 10];
        loop {
            let read = content.read(&mut piece).while_doing(|| "reading what the journal kept")?;
            if read == 0 {
                break;
            }
            file.write_all(&piece[..read])?;
        }
        finish(file, image, owner)?;
        put_in_place(&parent, staged.path(), &image.path)?;
        staged.keep().map_err(|error| Error::io(&error.error))?;
        Ok(())
    }

    fn restore_link(&self, image: &FileImage, target: &str, owner: (u32, u32)) -> Result<()> {
        let parent = self.open_parent(&image.path)?;
        let staged = stage(&parent, &image.path, |name| {
            symlinkat(target, &parent, name)?;
            Ok(())
        })?;
        let name = file_name(staged.path())?;
        let (uid, gid) = (Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1)));
        fchownat(&parent, name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let (accessed, modified) = times(&image.attributes);
        utimensat(&parent, name, &accessed, &modified, UtimensatFlags::NoFollowSymlink)?;
        put_in_place(&parent, staged.path(), &image.path)?;
        staged.keep().map_err(|error| Error::io(&error.error))?;
        Ok(())
    }

    fn restore_directory(&self, image: &FileImage, owner: (u32, u32)) -> Result<()> {
        let path: &HostPath = &image.path;
        let parent = if path.parent().is_some() {
            self.open_parent(path)?
        } else {
            self.open_parent(&HostPath::new("/.provision")?)?
        };
        let name = if path.parent().is_some() { path.name() } else { "." };
        match mkdirat(&parent, name, Permissions::from_bits_truncate(0o700)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = match openat(&parent, name, flags, Permissions::empty()) {
            Err(Errno::ENOTDIR | Errno::ELOOP) => {
                return Err(Error::new(ErrorKind::Conflict, "something that is not a directory is in its place"));
            }
            opened => File::from(opened?),
        };
        finish(&directory, image, owner)?;
        fsync(&parent)?;
        Ok(())
    }
}

/// Gives an open file everything but its content, and syncs it.
fn finish(file: &File, image: &FileImage, owner: (u32, u32)) -> Result<()> {
    // chown(2) clears set-user-id, set-group-id and capabilities, and an access control list changes the mode.
    fchown(file, Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1)))?;
    set_xattrs(file, &image.attributes.xattrs)?;
    fchmod(file, Permissions::from_bits_truncate(image.access.mode.bits()))?;
    let (accessed, modified) = times(&image.attributes);
    futimens(file, &accessed, &modified)?;
    file.sync_all()?;
    Ok(())
}

fn times(attributes: &FileAttributes) -> (TimeSpec, TimeSpec) {
    (TimeSpec::UTIME_OMIT, TimeSpec::new(attributes.modified, attributes.modified_nanos.into()))
}

fn set_xattrs(file: &File, wanted: &BTreeMap<String, Content>) -> Result<()> {
    let present = xattrs_of(file)?;
    for name in present.keys().filter(|name| !wanted.contains_key(*name)) {
        file.remove_xattr(name).while_doing(|| format!("removing the extended attribute {name}"))?;
    }
    for (name, value) in wanted.iter().filter(|(name, value)| present.get(*name) != Some(value)) {
        file.set_xattr(name, value.bytes()).while_doing(|| format!("restoring the extended attribute {name}"))?;
    }
    Ok(())
}
