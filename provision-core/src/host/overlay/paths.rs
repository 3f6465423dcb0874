//! Where a path leads in the model: links on the way are followed as a real host follows them.

use super::node::{Directory, Node, not_held};

use crate::error::{Error, ErrorKind, Result};
use crate::host::{FileKind, HostView, Layer};
use crate::path::HostPath;

/// As the kernel, see `path_resolution(7)`.
const MOST_LINKS: u32 = 40;

impl Layer<'_> {
    /// The path by which the model knows something: without links on the way.
    pub(crate) fn real(&self, path: &HostPath) -> Result<HostPath> {
        self.model().note_read(path);
        Ok(self.placed(path)?.0)
    }

    /// The same, with the mount of the directory that it lies in.
    pub(crate) fn placed(&self, path: &HostPath) -> Result<(HostPath, Option<u64>)> {
        let Some(parent) = path.parent_text() else { return Ok((path.clone(), None)) };
        let known = self.model().directories.get(parent).cloned();
        let directory = match known {
            Some(known) => known,
            None => self.directory(&path.parent().unwrap_or_else(HostPath::root), 0)?,
        };
        let real = if directory.path.as_str() == parent { path.clone() } else { directory.path.join(path.name())? };
        Ok((real, directory.mount))
    }

    /// Where a directory really is, and whether only root can change what its path leads to.
    fn directory(&self, path: &HostPath, links: u32) -> Result<Directory> {
        // From the nearest that is known; a user may have made it deeper than a stack is.
        let mut known = None;
        let mut way = Vec::new();
        for directory in std::iter::once(path.clone()).chain(path.ancestors()) {
            known = self.model().directories.get(&directory).cloned();
            if known.is_some() {
                break;
            }
            way.push(directory);
        }
        while let Some(directory) = way.pop() {
            known = Some(self.directory_in(known, &directory, links)?);
        }
        known.ok_or_else(|| Error::new(ErrorKind::Io, "the root directory is gone"))
    }

    /// The same of a directory, whose parent is known.
    fn directory_in(&self, above: Option<Directory>, path: &HostPath, links: u32) -> Result<Directory> {
        let (above, here) = match above.zip(path.parent()) {
            Some((above, parent)) => {
                let here = if parent == above.path { path.clone() } else { above.path.join(path.name())? };
                (above, here)
            }
            None => (Directory { path: path.clone(), is_private: true, mount: None }, path.clone()),
        };
        // What cannot be looked at is left to the host beneath to complain of.
        let found = match self.modelled(&here, Node::metadata) {
            Some(found) => found,
            None => self.base.metadata(&here).ok().flatten(),
        };
        let directory = match found {
            Some(found) if found.kind == FileKind::Symlink => {
                let is_ours = above.is_private && found.access.owner == "root";
                match self.linked(&here, is_ours)? {
                    _ if links >= MOST_LINKS => {
                        return Err(Error::new(ErrorKind::Conflict, "too many symbolic links on the way"));
                    }
                    Some(target) => {
                        let parent = above.path.linked(&target)?;
                        self.directory(&parent, links + 1)?
                    }
                    None => Directory { path: here.clone(), is_private: false, mount: Some(found.mount) },
                }
            }
            Some(found) if found.kind != FileKind::Directory => {
                let message = format!("{here} is {}, so nothing can be in it", found.kind.noun());
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            Some(found) => {
                let is_ours = found.access.owner == "root" && found.access.mode.bits() & 0o022 == 0;
                Directory { path: here.clone(), is_private: above.is_private && is_ours, mount: Some(found.mount) }
            }
            None => Directory { path: here.clone(), is_private: above.is_private, mount: None },
        };
        let mut model = self.model();
        model.directories.insert(path.clone(), directory.clone());
        // By its real name as well, by which it is forgotten.
        model.directories.insert(here, directory.clone());
        Ok(directory)
    }

    /// The text of a link on the way, if it is followed. One that another user may have put there is not.
    fn linked(&self, link: &HostPath, is_ours: bool) -> Result<Option<String>> {
        let modelled = self.modelled(link, Node::target).flatten();
        if !is_ours {
            // A real host refuses it itself.
            return if modelled.is_some() || self.stands_on_record() { Err(foreign_link(link)) } else { Ok(None) };
        }
        match modelled.flatten() {
            Some(target) => Ok(Some(target)),
            None => self.base.read_link(link),
        }
    }

    /// Fails as a real host would, if the directory of a path is not there.
    pub(crate) fn require_parent(&self, path: &HostPath) -> Result<()> {
        let Some(parent) = path.parent() else { return Ok(()) };
        if self.model().known_directories.contains(&parent) {
            return Ok(());
        }
        let directory = self.directory(&parent, 0)?.path;
        match self.at(&directory)?.map(|node| node.kind) {
            Some(FileKind::Directory) => {
                self.model().known_directories.insert(parent);
                Ok(())
            }
            // The host beneath follows this link, or refuses to.
            Some(FileKind::Symlink) if !self.stands_on_record() => Ok(()),
            Some(_) => {
                Err(Error::new(ErrorKind::Conflict, format!("{parent}, or something above it, is not a directory")))
            }
            None => Err(Error::new(ErrorKind::NotFound, format!("the directory {parent} does not exist"))),
        }
    }

    /// What is at a path, to be changed; what effects have not touched comes from the host beneath.
    pub(crate) fn node(&self, path: &HostPath) -> Result<Option<Node>> {
        self.at(&self.real(path)?)
    }

    /// The same for a path without links on the way.
    fn at(&self, path: &HostPath) -> Result<Option<Node>> {
        if let Some(node) = self.modelled(path, Node::clone) {
            return Ok(node);
        }
        let found = self.base.metadata(path)?.map(|found| self.model().with_names(found));
        Ok(found.map(|found| Node {
            kind: found.kind,
            access: found.access,
            data: None,
            stored: None,
            size: found.size,
            mount: found.mount,
            links: found.links,
            inode: None,
            attributes: None,
            is_new: false,
        }))
    }

    /// The kind of what a path leads to, all links followed; `None` if that is nowhere.
    pub(crate) fn leads_to(&self, path: &HostPath) -> Result<Option<HostPath>> {
        let mut path = self.real(path)?;
        for _ in 0..MOST_LINKS {
            let Some(node) = self.at(&path)? else { return Ok(None) };
            if node.kind != FileKind::Symlink {
                return Ok(Some(path));
            }
            let target = self.read_link(&path)?.unwrap_or_default();
            let parent = path.parent().unwrap_or_else(HostPath::root);
            path = self.real(&parent.linked(&target)?)?;
        }
        Ok(None)
    }

    /// Fails as a real host would, if nothing can be changed at a path.
    pub(crate) fn require_writable(&self, path: &HostPath) -> Result<()> {
        let model = self.model();
        match model.read_only.iter().any(|mount| path.is_within(mount)) {
            false => Ok(()),
            true => Err(Error::new(ErrorKind::ReadOnly, "the file system is read-only")),
        }
    }

    /// Takes space for a file, if it is limited.
    pub(crate) fn take_space(&self, bytes: u64) -> Result<()> {
        let mut model = self.model();
        if let Some(free) = &mut model.free_bytes {
            *free = free
                .checked_sub(bytes)
                .ok_or_else(|| Error::new(ErrorKind::NoSpace, "no space is left on the file system"))?;
        }
        Ok(())
    }

    /// Puts something at a path, on the file system that its directory lies on.
    pub(crate) fn put_beside(&self, path: &HostPath, node: Node) -> Result<()> {
        let (path, mount) = self.placed(path)?;
        self.require_writable(&path)?;
        self.model().put(&path, Node { mount: mount.unwrap_or_default(), ..node });
        Ok(())
    }

    /// Puts a node back that has been changed where it is.
    pub(crate) fn put_changed(&self, path: &HostPath, node: Node) -> Result<()> {
        let path = self.real(path)?;
        self.require_writable(&path)?;
        self.model().change(&path, node);
        Ok(())
    }

    /// Takes away what is at a path, with all beneath it.
    pub(crate) fn take_away(&self, path: &HostPath) -> Result<()> {
        let path = self.real(path)?;
        self.require_writable(&path)?;
        self.model().remove(&path);
        Ok(())
    }

    /// The error for a file of which it is not known what it holds.
    pub(super) fn unknown(&self, path: &HostPath) -> Error {
        if self.stands_on_record() {
            return not_held(path);
        }
        Error::new(ErrorKind::Unknown, format!("what {path} holds is known when the command that makes it has run"))
    }

    /// Whether the host beneath is only a recording, which follows no links.
    pub(super) fn stands_on_record(&self) -> bool {
        self.package_model().is_some()
    }
}

fn foreign_link(link: &HostPath) -> Error {
    let message = format!("{link} is a symbolic link on the way, and others than root may have put it there");
    Error::new(ErrorKind::Refused, message).with_hint(
        "name the real path, or say `links = 'follow`; or make root the owner of the link and of all directories above \
         it, and let no other user write to them",
    )
}
