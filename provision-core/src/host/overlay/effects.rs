//! What effects do to the model: the one place that knows every kind, and those on files.

use super::node::{Node, made_of};
use crate::effect::{Access, AttributeChanges, Effect, PlatformEffect, Rebuild, Removal, WriteFile};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{FileImage, FileKind, HostView, ImageContent, Layer, digest_of_sources};
use crate::host::{missing_account, no_kernel_value, require_kernel_value};
use crate::path::{HostPath, Mode};

impl Layer<'_> {
    /// Lets an effect happen to the model, or fails as a real host would.
    pub(crate) fn carry_out(&self, effect: &Effect) -> Result<()> {
        if let Effect::Run(command) = effect {
            return self.run(command);
        }
        self.happen(effect)?;
        if matches!(effect, Effect::Platform(PlatformEffect::WatchUnit { .. })) {
            return Ok(());
        }
        if effect.path().is_some_and(is_package_source) {
            self.model().sources_changed = true;
        }
        #[cfg(feature = "sim")]
        self.sync_after(effect)?;
        Ok(())
    }

    fn happen(&self, effect: &Effect) -> Result<()> {
        match effect {
            Effect::WriteFile(file) => {
                self.require_names(Some(&file.access.owner), Some(&file.access.group))?;
                self.refuse_directory(&file.path)?;
                self.require_parent(&file.path)?;
                self.validate(file)?;
                self.put_file(file)?;
            }
            Effect::CopyFile { from, to } => {
                self.refuse_directory(to)?;
                self.require_parent(to)?;
                self.require_unlocked(to)?;
                self.put_copy(from, to)?;
            }
            Effect::CreateDirectory { path, access, attributes } => {
                self.require_names(Some(&access.owner), Some(&access.group))?;
                self.require_parent(path)?;
                match self.metadata(path)?.map(|metadata| metadata.kind) {
                    Some(FileKind::Directory) => {
                        let (owner, group) = (Some(access.owner.as_str()), Some(access.group.as_str()));
                        return self.set_metadata(path, owner, group, Some(access.mode), attributes);
                    }
                    Some(_) => {
                        return Err(Error::new(
                            ErrorKind::Conflict,
                            "something that is not a directory is in its place",
                        ));
                    }
                    None => {
                        let mut node = Node::new(FileKind::Directory, access.clone(), None);
                        node.attributes = Some(self.inherit(path, &node)?);
                        self.change_attributes(path, &mut node, attributes)?;
                        self.put_beside(path, node)?;
                    }
                }
            }
            Effect::CreateSymlink { path, target, owner, group } => {
                self.require_names(Some(owner), Some(group))?;
                self.refuse_directory(path)?;
                self.require_parent(path)?;
                self.require_unlocked(path)?;
                let access = Access { owner: owner.clone(), group: group.clone(), mode: Mode::new(0o777) };
                self.put_beside(path, Node::new(FileKind::Symlink, access, Some(target.into())))?;
            }
            Effect::SetMetadata { path, owner, group, mode, attributes } => {
                self.set_metadata(path, owner.as_deref(), group.as_deref(), *mode, attributes)?;
            }
            Effect::SetKernel { path, value } => self.set_kernel(path, value)?,
            Effect::Restore(image) => self.restore(image)?,
            Effect::Remove { path, what } => self.remove(path, *what)?,
            Effect::Platform(effect) => self.happen_on_platform(effect)?,
            Effect::Run(_) => {}
            Effect::Rebuild(rebuild) => self.rebuild(rebuild)?,
        }
        Ok(())
    }

    fn set_kernel(&self, path: &HostPath, value: &str) -> Result<()> {
        require_kernel_value(path)?;
        let Some(node) = self.node(path)? else { return Err(no_kernel_value(path)) };
        self.put_changed(path, Node { data: Some(format!("{value}\n").into()), ..node })
    }

    /// What a command makes is there afterwards, whatever it holds.
    fn rebuild(&self, rebuild: &Rebuild) -> Result<()> {
        let Rebuild { command, products, stamp, .. } = rebuild;
        let as_usual = || Access::root(0o644);
        let write = |text: &str| match stamp {
            Some(stamp) => {
                self.require_parent(stamp)?;
                self.put_file(&WriteFile::new(stamp.clone(), text, as_usual()))
            }
            None => Ok(()),
        };
        let digest = digest_of_sources(self, rebuild)?;
        write(Rebuild::UNFINISHED)?;
        let is_known = match self.run_known(command) {
            // What it comes to is declared.
            Err(error) if error.kind() == ErrorKind::Unsupported => false,
            known => known?,
        };
        for product in products {
            if is_known {
                self.metadata(product)?.ok_or_else(|| rebuild.is_without(product))?;
                continue;
            }
            self.refuse_directory(product)?;
            self.require_parent(product).map_err(|error| {
                error.with_hint("declare its directory: that a command makes it cannot be foreseen")
            })?;
            let access = self.node(product)?.map_or_else(as_usual, |node| node.access);
            self.put_file(&WriteFile::new(product.clone(), made_of(&digest), access))?;
        }
        write(&(digest + "\n"))
    }

    fn happen_on_platform(&self, effect: &PlatformEffect) -> Result<()> {
        match effect {
            PlatformEffect::RepairPackages => self.repair_packages()?,
            PlatformEffect::RefreshPackageLists => {
                if let Some(packages) = self.package_model() {
                    packages.refresh_lists()?;
                }
                let mut model = self.model();
                (model.lists_refreshed, model.lists_fetched, model.sources_changed) = (true, true, false);
            }
            PlatformEffect::Packages(transaction) => self.change_packages(transaction)?,
            PlatformEffect::CreateUser(user) => self.create_user(user)?,
            PlatformEffect::ChangeUser { name, changes } => self.change_user(name, changes)?,
            PlatformEffect::RemoveUser { name, remove_home } => self.remove_user(name, *remove_home)?,
            PlatformEffect::CreateGroup { name, gid, system } => self.create_group(name, *gid, *system)?,
            PlatformEffect::ChangeGroup { name, gid } => {
                let old = self.gid_of(name)?;
                self.change_group(name, |group| group.gid = *gid)?;
                let mut model = self.model();
                // groupmod(8): it stays the primary group of its users.
                let users = &mut self.accounts_of(&mut model)?.users;
                users.values_mut().filter(|user| user.gid == old).for_each(|user| user.gid = *gid);
                model.rename_group(name, &old.to_string());
                model.rename_group(&gid.to_string(), name);
            }
            PlatformEffect::SetMembers { group, members } => {
                for member in members {
                    self.require_user(member)?;
                }
                self.change_group(group, |group| group.members.clone_from(members))?;
            }
            PlatformEffect::RemoveGroup { name } => self.remove_group(name)?,
            PlatformEffect::RestoreAccounts { lines } => self.restore_accounts(lines)?,
            PlatformEffect::Unit { unit, action } => self.change_unit(unit, *action)?,
            PlatformEffect::ReloadUnits => self.reload_units()?,
            PlatformEffect::WatchUnit { unit, .. } => self.require_up(unit)?,
        }
        Ok(())
    }

    pub(crate) fn require_names(&self, owner: Option<&str>, group: Option<&str>) -> Result<()> {
        if let Some(owner) = owner {
            self.require_user(owner)?;
        }
        match group {
            Some(name) if !is_number(name) && name != "root" && self.group(name)?.is_none() => {
                Err(missing_account("group", name))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn require_user(&self, name: &str) -> Result<()> {
        if is_number(name) || name == "root" || self.user(name)?.is_some() {
            return Ok(());
        }
        Err(missing_account("user", name))
    }

    pub(crate) fn refuse_directory(&self, path: &HostPath) -> Result<()> {
        match self.metadata(path)?.map(|metadata| metadata.kind) {
            Some(FileKind::Directory) => Err(Error::new(ErrorKind::Conflict, "a directory is in its place")),
            _ => Ok(()),
        }
    }

    pub(crate) fn set_metadata(
        &self,
        path: &HostPath,
        owner: Option<&str>,
        group: Option<&str>,
        mode: Option<Mode>,
        attributes: &AttributeChanges,
    ) -> Result<()> {
        self.require_names(owner, group)?;
        let Some(mut node) = self.node(path)? else {
            return Err(Error::new(ErrorKind::NotFound, "no such file or directory"));
        };
        if owner.is_some_and(|new| node.access.owner != "root" && node.access.owner != new) {
            self.drop_lists(path, &mut node)?;
        }
        owner.into_iter().for_each(|owner| owner.clone_into(&mut node.access.owner));
        group.into_iter().for_each(|group| group.clone_into(&mut node.access.group));
        let kept = match node.kind {
            FileKind::File if owner.is_some() || group.is_some() => after_chown(node.access.mode),
            FileKind::File
            | FileKind::Directory
            | FileKind::Symlink
            | FileKind::Fifo
            | FileKind::Socket
            | FileKind::Device => node.access.mode,
        };
        node.access.mode = mode.unwrap_or(kept);
        self.change_attributes(path, &mut node, attributes)?;
        self.put_changed(path, node)
    }

    pub(crate) fn restore(&self, image: &FileImage) -> Result<()> {
        let FileImage { path, content, access, attributes } = image;
        self.require_names(Some(&access.owner), Some(&access.group))?;
        self.require_parent(path)?;
        let data = match content {
            ImageContent::Same => return self.restore_in_place(image),
            ImageContent::Directory => match self.metadata(path)?.map(|found| found.kind) {
                Some(FileKind::Directory) => return self.restore_in_place(image),
                Some(_) => {
                    return Err(Error::new(ErrorKind::Conflict, "something that is not a directory is in its place"));
                }
                None => None,
            },
            ImageContent::Symlink(target) => Some(target.into()),
            ImageContent::File(content) => Some(content.clone()),
            // A simulated host keeps it for longer than others do.
            ImageContent::Stored(blob) if self.stands_on_record() => Some(blob.content()?),
            ImageContent::Stored(_) => None,
        };
        if !matches!(content, ImageContent::Directory) {
            self.refuse_directory(path)?;
        }
        let kind = match content {
            ImageContent::Directory => FileKind::Directory,
            ImageContent::Symlink(_) => FileKind::Symlink,
            ImageContent::File(_) | ImageContent::Stored(_) | ImageContent::Same => FileKind::File,
        };
        let mut node = Node { attributes: Some(attributes.clone()), ..Node::new(kind, access.clone(), data) };
        if let (ImageContent::Stored(blob), None) = (content, &node.data) {
            node.size = blob.size;
            node.stored = Some(blob.clone());
        }
        self.put_beside(path, node)
    }

    /// Puts everything back but what it holds.
    fn restore_in_place(&self, image: &FileImage) -> Result<()> {
        let Some(node) = self.node(&image.path)? else {
            return Err(Error::new(ErrorKind::NotFound, "no such file or directory"));
        };
        let node = Node { access: image.access.clone(), attributes: Some(image.attributes.clone()), ..node };
        self.put_changed(&image.path, node)
    }

    pub(crate) fn remove(&self, path: &HostPath, what: Removal) -> Result<()> {
        let Some(found) = self.metadata(path)? else { return Ok(()) };
        self.require_unlocked(path)?;
        let is_directory = found.kind == FileKind::Directory;
        let above = path.parent().map(|parent| self.node(&parent)).transpose()?.flatten();
        if above.is_some_and(|above| above.mount != found.mount) {
            return Err(Error::new(ErrorKind::Conflict, "something is mounted on it, so it cannot be removed")
                .with_hint("unmount it first"));
        }
        if what == Removal::Tree && is_directory {
            self.require_no_mount_beneath(path, found.mount)?;
        }
        match what {
            Removal::File if is_directory => return Err(Error::new(ErrorKind::Conflict, "it is a directory")),
            Removal::Special if !found.kind.is_special() => {
                return Err(Error::new(ErrorKind::Conflict, format!("it is {} now", found.kind.noun())));
            }
            Removal::IfEmpty if self.list(path)?.is_some_and(|names| !names.is_empty()) => {}
            Removal::EmptyDirectory if self.list(path)?.is_some_and(|names| !names.is_empty()) => {
                return Err(Error::new(ErrorKind::Conflict, "the directory is not empty"));
            }
            Removal::File | Removal::Special | Removal::IfEmpty | Removal::EmptyDirectory | Removal::Tree => {
                self.take_away(path)?;
            }
        }
        Ok(())
    }

    fn require_no_mount_beneath(&self, top: &HostPath, mount: u64) -> Result<()> {
        let mut directories = vec![top.clone()];
        while let Some(directory) = directories.pop() {
            for name in self.list(&directory)?.unwrap_or_default() {
                let path = directory.join(&name)?;
                let Some(found) = self.metadata(&path)? else { continue };
                if found.mount != mount {
                    let message = format!("something is mounted on `{name}`");
                    return Err(Error::new(ErrorKind::Refused, message).with_hint("unmount it first"));
                }
                if found.kind == FileKind::Directory {
                    directories.push(path);
                }
            }
        }
        Ok(())
    }
}

/// Whether a change of a path changes what apt has on offer; see `sources.list(5)`.
pub(crate) fn is_package_source(path: &HostPath) -> bool {
    let directory = "/etc/apt/sources.list.d";
    let path = path.as_str();
    path == "/etc/apt/sources.list"
        || path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
        || directory.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
}

/// What chown(2) leaves of the mode of a file.
fn after_chown(mode: Mode) -> Mode {
    let group_may_execute = mode.bits() & 0o010 != 0;
    Mode::new(mode.bits() & if group_may_execute { 0o1777 } else { 0o3777 })
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|digit| digit.is_ascii_digit())
}
