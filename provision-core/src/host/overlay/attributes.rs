//! The model of extended attributes and flags.

use super::node::Node;

use crate::effect::{Access, AclSubject, AttributeChanges, FileFlags, HardLinks, WriteFile, inherited};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{FileAttributes, FileKind, HostView, Layer, locked, missing_account, several_names};
use crate::path::{HostPath, Mode};

impl Layer<'_> {
    /// The attributes of a node, which may be those of the host beneath.
    fn attributes_of(&self, path: &HostPath, node: &Node) -> Result<FileAttributes> {
        match &node.attributes {
            Some(attributes) => Ok(attributes.clone()),
            None => Ok(self.base().attributes(&self.real(path)?)?.unwrap_or_default()),
        }
    }

    /// Puts a file in the place of another, of which it keeps what is not to change.
    pub(crate) fn put_file(&self, file: &WriteFile) -> Result<()> {
        let path = &file.path;
        let mut node = Node::new(FileKind::File, file.access.clone(), Some(file.content.clone()));
        let old = self.node(path)?.filter(|old| old.kind == FileKind::File);
        let mut attributes = match &old {
            Some(old) => {
                let kept = self.attributes_of(path, old)?;
                if !file.attributes.may_unlock(kept.flags) {
                    return Err(locked("it", path, kept.flags));
                }
                if file.hard_links == HardLinks::Refuse && old.links > 1 {
                    return Err(several_names(old.links));
                }
                kept
            }
            None => self.inherit(path, &node)?,
        };
        // A list that another user may have made is none that root has agreed to.
        let foreign = old.is_some_and(|old| old.access.owner != "root" && old.access.owner != file.access.owner);
        if file.content.is_sensitive() || foreign {
            attributes.xattrs.remove(FileAttributes::ACL);
        }
        self.change(&mut attributes, &node, &file.attributes)?;
        self.touch(&mut attributes);
        node.attributes = Some(attributes);
        self.take_space(node.size)?;
        self.put_beside(path, node)
    }

    /// Puts a copy of a file in a place: with its list, and without what would let it be run with the rights of another.
    pub(crate) fn put_copy(&self, from: &HostPath, to: &HostPath) -> Result<()> {
        let (Some(original), Some(content)) = (self.node(from)?, self.read(from)?) else {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no {from}")));
        };
        let mut attributes = self.attributes_of(from, &original)?;
        attributes.xattrs.remove(FileAttributes::CAPABILITIES);
        attributes.flags = FileFlags::none();
        let access = Access { mode: Mode::new(original.access.mode.bits() & 0o1777), ..original.access };
        let node = Node { attributes: Some(attributes), ..Node::new(FileKind::File, access, Some(content)) };
        self.take_space(node.size)?;
        self.put_beside(to, node)
    }

    /// Says that something was changed now.
    fn touch(&self, attributes: &mut FileAttributes) {
        let micros = self.base().now().unix_micros;
        attributes.modified = micros.div_euclid(1_000_000);
        attributes.modified_nanos = u32::try_from(micros.rem_euclid(1_000_000) * 1000).unwrap_or_default();
    }

    /// The list of a former owner says nothing for the new one.
    pub(crate) fn drop_lists(&self, path: &HostPath, node: &mut Node) -> Result<()> {
        let mut attributes = self.attributes_of(path, node)?;
        attributes.xattrs.retain(|name, _| name != FileAttributes::ACL && name != FileAttributes::DEFAULT_ACL);
        node.attributes = Some(attributes);
        Ok(())
    }

    /// Changes attributes of a node that has its final mode.
    pub(crate) fn change_attributes(&self, path: &HostPath, node: &mut Node, changes: &AttributeChanges) -> Result<()> {
        // Most effects change nothing of them, and then no look is needed.
        if changes.is_empty() && node.attributes.is_none() {
            return Ok(());
        }
        let mut attributes = self.attributes_of(path, node)?;
        if !changes.may_unlock(attributes.flags) {
            return Err(locked("it", path, attributes.flags));
        }
        self.change(&mut attributes, node, changes)?;
        node.attributes = Some(attributes);
        Ok(())
    }

    fn change(&self, attributes: &mut FileAttributes, node: &Node, changes: &AttributeChanges) -> Result<()> {
        let number_of = |subject: &AclSubject| {
            let (what, name, known) = match subject {
                AclSubject::User(name) => ("user", name, self.user(name)?.map(|user| user.uid)),
                AclSubject::Group(name) => ("group", name, self.group(name)?.map(|group| group.gid)),
                AclSubject::Owner | AclSubject::OwningGroup | AclSubject::Mask | AclSubject::Other => {
                    return Ok(u32::MAX);
                }
            };
            let known = known.or_else(|| if name == "root" { Some(0) } else { name.parse().ok() });
            known.ok_or_else(|| missing_account(what, name))
        };
        changes.change(&mut attributes.xattrs, node.access.mode, &number_of)?;
        attributes.flags = changes.flags_after(attributes.flags);
        Ok(())
    }

    /// What something new has from the directory that it lies in: the default list, see `acl(5)`.
    pub(crate) fn inherit(&self, path: &HostPath, new: &Node) -> Result<FileAttributes> {
        let mut attributes = FileAttributes::default();
        let Some(parent) = path.parent() else { return Ok(attributes) };
        // Only where a list can have been declared; a host beneath is not asked about each of its directories.
        let Some(Some(directory)) = self.modelled(&self.real(&parent)?, Node::clone) else { return Ok(attributes) };
        if directory.access.owner != "root" && directory.access.owner != new.access.owner {
            return Ok(attributes);
        }
        let Some(of_directory) = &directory.attributes else { return Ok(attributes) };
        let Some(list) = of_directory.xattrs.get(FileAttributes::DEFAULT_ACL) else { return Ok(attributes) };
        if let Some(own) = inherited(list.bytes(), new.access.mode) {
            attributes.xattrs.insert(FileAttributes::ACL.to_owned(), own.into());
        }
        if new.kind == FileKind::Directory {
            attributes.xattrs.insert(FileAttributes::DEFAULT_ACL.to_owned(), list.clone());
        }
        Ok(attributes)
    }

    /// Fails as a real host would, if something may not be removed or replaced.
    pub(crate) fn require_unlocked(&self, path: &HostPath) -> Result<()> {
        let Some(Some(node)) = self.modelled(&self.real(path)?, Node::clone) else { return Ok(()) };
        let flags = self.attributes_of(path, &node)?.flags;
        if AttributeChanges::default().may_unlock(flags) { Ok(()) } else { Err(locked("it", path, flags)) }
    }
}
