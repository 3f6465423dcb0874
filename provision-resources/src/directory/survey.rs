//! A look at everything beneath a directory.

use std::collections::BTreeMap;

use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{FileKind, FileMetadata, HostView};
use provision_core::path::HostPath;

use super::{Difference, Directory};
use crate::access::{as_parents_are, in_words_of};
use crate::ensure::Ensure;

/// What was found beneath a directory.
pub(super) struct Survey<'a> {
    directory: &'a Directory,
    host: &'a dyn HostView,
    declared: &'a [HostPath],
    device: u64,
    /// See [`DirectoryState::Present`](super::DirectoryState::Present).
    pub(super) differing: BTreeMap<HostPath, Difference>,
    /// See [`DirectoryState::Present`](super::DirectoryState::Present).
    pub(super) unwanted: BTreeMap<HostPath, FileKind>,
}

impl<'a> Survey<'a> {
    /// Looks beneath a directory, if its declaration speaks of what is there.
    pub(super) fn of(
        directory: &'a Directory,
        path: &HostPath,
        device: u64,
        host: &'a dyn HostView,
    ) -> Result<Survey<'a>> {
        let declared = directory.declared.as_deref();
        let (differing, unwanted) = (BTreeMap::new(), BTreeMap::new());
        let mut survey =
            Survey { directory, host, declared: declared.unwrap_or_default(), device, differing, unwanted };
        if directory.recurse || directory.purge {
            if declared.is_none() {
                let message = "it is not known what else the site declares beneath it";
                return Err(Error::new(ErrorKind::Invalid, message).with_hint("call `Resource::prepare` first"));
            }
            survey.look_into(path)?;
        }
        Ok(survey)
    }

    /// Whether what is there and not declared has to go.
    fn removes(&self) -> bool {
        self.directory.purge || self.directory.ensure == Ensure::Absent
    }

    /// Whether something beneath a path is declared. All that lies in `/a` sorts directly after `/a/`.
    fn leads_to_declared(&self, path: &HostPath) -> bool {
        let beneath = format!("{path}/");
        let first = self.declared.partition_point(|declared| declared.as_str() < beneath.as_str());
        self.declared.get(first).is_some_and(|declared| declared.as_str().starts_with(&beneath))
    }

    /// Looks at everything in a directory, and says whether something of it stays.
    fn look_into(&mut self, directory: &HostPath) -> Result<bool> {
        let mut something_stays = false;
        for name in self.host.list(directory)?.unwrap_or_default() {
            let path = directory.join(&name)?;
            if self.declared.binary_search(&path).is_ok() {
                something_stays = true;
                continue;
            }
            // It may have gone since it was listed.
            let Some(found) = self.host.metadata(&path)? else { continue };
            something_stays |= self.look_at(path, found)?;
        }
        Ok(something_stays)
    }

    /// Looks at something that is not declared, and says whether it stays.
    fn look_at(&mut self, path: HostPath, found: FileMetadata) -> Result<bool> {
        let is_mount = found.device != self.device;
        if is_mount && self.removes() {
            return Err(Error::new(ErrorKind::Refused, format!("another file system is mounted on {path}"))
                .with_hint(format!("unmount it, or declare what is mounted on {path}")));
        }
        let leads_to_declared = self.leads_to_declared(&path);
        let mut stays = leads_to_declared || !self.removes();
        if self.removes()
            && let Some(package) = self.host.package_of(&path)?
        {
            if self.directory.ensure == Ensure::Absent {
                return Err(Error::new(ErrorKind::Refused, format!("{path} belongs to the package {package}"))
                    .with_hint(format!("remove the package {package} first")));
            }
            stays = true;
        }
        if found.kind == FileKind::Directory && !is_mount {
            stays |= self.look_into(&path)?;
        }
        if !stays {
            self.unwanted.insert(path, found.kind);
        } else if self.directory.recurse && !is_mount && !(leads_to_declared && found.access == as_parents_are()) {
            self.compare(path, found)?;
        }
        Ok(stays)
    }

    /// Notes what owner, group and mode are otherwise than they should be.
    fn compare(&mut self, path: HostPath, found: FileMetadata) -> Result<()> {
        let Directory { owner, group, .. } = self.directory;
        let access = in_words_of(self.host, owner, group, found.access)?;
        let differs = |found: String, wanted: &str| (found != wanted).then_some(found);
        let mode = self.directory.mode_beneath(found.kind, access.mode);
        let difference = Difference {
            kind: found.kind,
            owner: differs(access.owner, owner),
            group: differs(access.group, group),
            mode: (mode != access.mode).then_some(access.mode),
        };
        if difference.owner.is_some() || difference.group.is_some() || difference.mode.is_some() {
            self.differing.insert(path, difference);
        }
        Ok(())
    }
}
