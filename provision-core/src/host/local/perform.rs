//! Effects: those on files, with numbers in the place of names; commands; and the rest, by the platform.

use std::fs::File;
use std::io::Write;

use super::LocalHost;
use super::change::Changes;
use super::confined::Root;
use super::write::{Belongings, Others};
use crate::effect::{Access, AclSubject, Command, Effect, Rebuild, WriteFile};
use crate::error::{ErrorKind, Result};
use crate::host::{
    HostView, HostViewExt, ImageContent, digest_of_sources, failed_validation, missing_account, require_kernel_value,
};
use crate::path::HostPath;

impl LocalHost {
    fn resolve_access(&self, owner: Option<&str>, group: Option<&str>) -> Result<(Option<u32>, Option<u32>)> {
        let accounts = self.accounts()?;
        let uid = owner.map(|name| accounts.uid(name).ok_or_else(|| missing_account("user", name)));
        let gid = group.map(|name| accounts.gid(name).ok_or_else(|| missing_account("group", name)));
        Ok((uid.transpose()?, gid.transpose()?))
    }

    /// Carries out an effect.
    pub(super) fn carry_out(&self, effect: &Effect) -> Result<()> {
        self.carry_out_in(&self.system.root, effect)
    }

    /// Carries out an effect; those on files below this root.
    pub(super) fn carry_out_in(&self, root: &Root, effect: &Effect) -> Result<()> {
        let access = |owner: &str, group: &str| -> Result<(u32, u32)> {
            let (uid, gid) = self.resolve_access(Some(owner), Some(group))?;
            Ok((uid.unwrap_or_default(), gid.unwrap_or_default()))
        };
        let numbers = |subject: &AclSubject| self.number_of(subject);
        let done = match effect {
            Effect::WriteFile(file) => {
                let belongings = Belongings {
                    owner: access(&file.access.owner, &file.access.group)?,
                    mode: file.access.mode,
                    hard_links: file.hard_links,
                    confidential: file.content.is_sensitive(),
                    others: Others::Kept(&file.attributes, &numbers),
                };
                let fill = |new: &mut File| Ok(new.write_all(file.content.bytes())?);
                let check = |staged: &HostPath| match &file.validate {
                    Some(command) => self.validate(command, staged, file.content.is_sensitive()),
                    None => Ok(()),
                };
                root.write_file(&file.path, &belongings, fill, check)
            }
            Effect::CopyFile { from, to } => root.copy_file(from, to),
            Effect::CreateDirectory { path, access: wanted, attributes } => {
                let (uid, gid) = access(&wanted.owner, &wanted.group)?;
                let owner = (Some(uid), Some(gid));
                let changes = Changes { owner, mode: Some(wanted.mode), attributes, numbers: &numbers };
                root.create_directory(path, |directory| changes.make_to(directory))
            }
            Effect::CreateSymlink { path, target, owner, group } => {
                root.create_symlink(path, target, access(owner, group)?, |_| Ok(()))
            }
            Effect::SetMetadata { path, owner, group, mode, attributes } => {
                let owner = self.resolve_access(owner.as_deref(), group.as_deref())?;
                root.set_metadata(path, &Changes { owner, mode: *mode, attributes, numbers: &numbers })
            }
            Effect::SetKernel { path, value } => {
                require_kernel_value(path)?;
                root.set_kernel(path, value.as_bytes())
            }
            Effect::Restore(image) if require_kernel_value(&image.path).is_ok() => match &image.content {
                ImageContent::File(value) => root.set_kernel(&image.path, value.bytes()),
                // Only the value was changed.
                _ => Ok(()),
            },
            Effect::Restore(image) => root.restore(image, access(&image.access.owner, &image.access.group)?),
            Effect::Remove { path, what } => root.remove_unsynced(path, *what),
            Effect::Run(command) => return self.system.run_ok(command).map(drop),
            Effect::Rebuild(rebuild) => return self.rebuild(rebuild),
            Effect::Platform(effect) => return self.platform.perform(&self.system, effect),
        };
        done.map_err(|error| match error.kind() {
            // A file is old or new.
            ErrorKind::NoSpace => error.with_hint("free some space; what was there before is unchanged"),
            _ => root.explain(effect, error),
        })
    }

    /// The digest is of what was there before: what changes meanwhile is found by the next look. A command that does not end
    /// well leaves a stamp that says so, whatever it has made.
    fn rebuild(&self, rebuild: &Rebuild) -> Result<()> {
        let Rebuild { command, products, stamp, .. } = rebuild;
        let access = Access::root(0o644);
        let write = |text: &str| match stamp {
            Some(stamp) => self.carry_out(&Effect::WriteFile(WriteFile::new(stamp.clone(), text, access.clone()))),
            None => Ok(()),
        };
        let digest = digest_of_sources(self, rebuild)?;
        write(Rebuild::UNFINISHED)?;
        self.system.run_ok(command)?;
        for product in products {
            self.metadata(product)?.ok_or_else(|| rebuild.is_without(product))?;
        }
        write(&(digest + "\n"))
    }

    fn number_of(&self, subject: &AclSubject) -> Result<u32> {
        let (uid, gid) = match subject {
            AclSubject::User(name) => self.resolve_access(Some(name), None)?,
            AclSubject::Group(name) => self.resolve_access(None, Some(name))?,
            AclSubject::Owner | AclSubject::OwningGroup | AclSubject::Mask | AclSubject::Other => (None, None),
        };
        Ok(uid.or(gid).unwrap_or(u32::MAX))
    }

    fn validate(&self, command: &Command, staged: &HostPath, confidential: bool) -> Result<()> {
        let mut command = command.clone();
        for argument in &mut command.argv {
            *argument = argument.replace('%', staged.as_str());
        }
        let output = self.system.run(&command)?;
        if output.success() { Ok(()) } else { Err(failed_validation(&command, &output, confidential)) }
    }
}
