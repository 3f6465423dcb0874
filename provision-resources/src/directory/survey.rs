//! A look at everything beneath a directory.

use std::collections::BTreeMap;

use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{FileKind, FileMetadata, HostView, HostViewExt, as_parents_are, in_words_of};
use provision_core::path::HostPath;

use super::{Difference, Directory};
use crate::ensure::Ensure;

/// What was found beneath a directory.
pub(super) struct Survey<'a> {
    directory: &'a Directory,
    host: &'a dyn HostView,
    declared: &'a [HostPath],
    mount: u64,
    /// See [`DirectoryState::Present`](super::DirectoryState::Present).
    pub(super) differing: BTreeMap<HostPath, Difference>,
    /// See [`DirectoryState::Present`](super::DirectoryState::Present).
    pub(super) unwanted: BTreeMap<HostPath, FileKind>,
}

/// A directory under way.
struct Level {
    path: HostPath,
    /// What it is; `None` for the one that is surveyed.
    found: Option<FileMetadata>,
    /// Whether it stays: itself, or something in it.
    stays: bool,
    todo: std::vec::IntoIter<String>,
}

impl<'a> Survey<'a> {
    /// Looks beneath a directory, if its declaration speaks of what is there.
    pub(super) fn of(
        directory: &'a Directory,
        path: &HostPath,
        mount: u64,
        host: &'a dyn HostView,
    ) -> Result<Survey<'a>> {
        let declared = directory.declared.as_deref();
        let (differing, unwanted) = (BTreeMap::new(), BTreeMap::new());
        let mut survey = Survey { directory, host, declared: declared.unwrap_or_default(), mount, differing, unwanted };
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

    /// Surveys everything in a directory; users may have made it deeper than a stack is.
    fn look_into(&mut self, top: &HostPath) -> Result<()> {
        let mut way = vec![self.enter(top.clone(), None, false)?];
        while let Some(level) = way.last_mut() {
            let Some(name) = level.todo.next() else {
                let Some(Level { path, found: Some(found), stays, .. }) = way.pop() else { break };
                self.settle(path, found, stays)?;
                way.iter_mut().next_back().into_iter().for_each(|above| above.stays |= stays);
                continue;
            };
            let path = level.path.join(&name)?;
            if self.declared.binary_search(&path).is_ok() {
                level.stays = true;
                continue;
            }
            // It may have gone since it was listed.
            let Some(found) = self.host.metadata(&path)? else { continue };
            let stays = self.stays(&path, &found)?;
            if found.kind == FileKind::Directory && !self.is_mount(&found) {
                let next = self.enter(path, Some(found), stays)?;
                way.push(next);
            } else {
                level.stays |= stays;
                self.settle(path, found, stays)?;
            }
        }
        Ok(())
    }

    fn enter(&self, path: HostPath, found: Option<FileMetadata>, stays: bool) -> Result<Level> {
        let todo = self.host.list(&path)?.unwrap_or_default().into_iter();
        Ok(Level { path, found, stays, todo })
    }

    fn is_mount(&self, found: &FileMetadata) -> bool {
        found.mount != self.mount
    }

    /// Whether something stays that is not declared, whatever lies beneath it.
    fn stays(&self, path: &HostPath, found: &FileMetadata) -> Result<bool> {
        if !self.removes() {
            return Ok(true);
        }
        if self.is_mount(found) {
            return Err(Error::new(ErrorKind::Refused, format!("something is mounted on {path}"))
                .with_hint(format!("unmount it, or declare what is mounted on {path}")));
        }
        if let Some(package) = self.host.package_of(path)? {
            if self.directory.ensure == Ensure::Absent {
                return Err(Error::new(ErrorKind::Refused, format!("{path} belongs to the package {package}"))
                    .with_hint(format!("remove the package {package} first")));
            }
            return Ok(true);
        }
        // What is no way cannot lead anywhere.
        Ok(matches!(found.kind, FileKind::Directory | FileKind::Symlink) && self.leads_to_declared(path))
    }

    /// Notes something that is not declared and of which all is known.
    fn settle(&mut self, path: HostPath, found: FileMetadata, stays: bool) -> Result<()> {
        if !stays {
            self.unwanted.insert(path, found.kind);
            return Ok(());
        }
        let made_on_the_way = || found.access == as_parents_are() && self.leads_to_declared(&path);
        if self.directory.recurse && !self.is_mount(&found) && !made_on_the_way() {
            self.compare(path, found)?;
        }
        Ok(())
    }

    /// Notes what owner, group and mode are otherwise than they should be.
    fn compare(&mut self, path: HostPath, found: FileMetadata) -> Result<()> {
        let Directory { owner, group, .. } = self.directory;
        let (owner, group) = (owner.as_deref(), group.as_deref());
        let access = in_words_of(self.host, owner, group, found.access)?;
        let differs =
            |found: String, wanted: Option<&str>| Some(found).filter(|found| wanted.is_some_and(|it| it != found));
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
