//! How a model answers: with what effects have made of a host, and else with what the host beneath says.

use super::Layer;
use super::node::{Node, is_made, is_unrecorded, unrecorded};
use crate::claim::Claim;
use crate::effect::{Content, Digest};
use crate::error::{Error, ErrorKind, Result};
use crate::host::models::{PackageModel, UnitIndex, UnitModel};
use crate::host::{Answer, FileAttributes, FileKind, FileMetadata, HostView, Question, lines};
use crate::moment::Moment;
use crate::path::HostPath;

#[deny(clippy::missing_trait_methods)]
impl HostView for Layer<'_> {
    fn metadata(&self, path: &HostPath) -> Result<Option<FileMetadata>> {
        let path = &self.real(path)?;
        let found = match self.modelled(path, Node::metadata) {
            Some(found) => found,
            None => self.base.metadata(path)?.map(|found| self.model().with_names(found)),
        };
        if found.is_none() {
            self.doubt(|| format!("path {path}"));
        }
        Ok(found)
    }

    fn attributes(&self, path: &HostPath) -> Result<Option<FileAttributes>> {
        let path = &self.real(path)?;
        match self.modelled(path, |node| node.attributes.clone()) {
            Some(None) => Ok(None),
            Some(Some(Some(attributes))) => Ok(Some(attributes)),
            // Only owner or mode are modelled.
            Some(Some(None)) => Ok(Some(self.base.attributes(path)?.unwrap_or_default())),
            None => self.base.attributes(path),
        }
    }

    fn copy_out(&self, path: &HostPath, to: &mut dyn std::io::Write) -> Result<Option<u64>> {
        let path = &self.real(path)?;
        match self.modelled(path, |node| (node.kind, node.has_content(), node.is_new)) {
            // Only owner or mode are modelled; the content is still the host's.
            Some(Some((FileKind::File, false, false))) | None => return self.base.copy_out(path, to),
            Some(_) => {}
        }
        let content = match self.read(path) {
            Ok(Some(content)) => content,
            Ok(None) => return Ok(None),
            // What is only to be kept, and put back, need not be known.
            Err(error) if error.kind() == ErrorKind::Unsupported => unrecorded(path),
            Err(error) => return Err(error),
        };
        to.write_all(content.bytes())?;
        Ok(Some(content.bytes().len() as u64))
    }

    fn read(&self, path: &HostPath) -> Result<Option<Content>> {
        let path = &self.real(path)?;
        let look = |node: &Node| -> Result<_> { Ok((node.kind, node.content()?, node.is_new)) };
        let modelled = self.modelled(path, look).map(Option::transpose).transpose()?;
        match modelled {
            Some(None) => Ok(None),
            Some(Some((_, Some(content), _))) if is_unrecorded(&content) => Err(self.unknown(path)),
            Some(Some((_, Some(content), _))) => Ok(Some(content)),
            Some(Some((FileKind::File, None, true))) => Err(self.unknown(path)),
            // Only owner or mode are modelled; the content is still the host's.
            Some(Some((FileKind::File, None, false))) | None => self.base.read(path),
            Some(Some((kind, ..))) => {
                Err(Error::new(ErrorKind::Conflict, format!("it is {}, not a file", kind.noun())))
            }
        }
    }

    fn digest(&self, path: &HostPath) -> Result<Option<Digest>> {
        let real = &self.real(path)?;
        let made =
            |node: &Node| node.data.as_ref().filter(|content| is_made(content)).map(|made| Digest::of(made.bytes()));
        match self.modelled(real, |node| (node.kind, node.has_content(), node.is_new, made(node))) {
            Some(Some((.., Some(made)))) => Ok(Some(made)),
            // Only owner or mode are modelled; the content is still the host's.
            Some(Some((FileKind::File, false, false, None))) | None => self.base.digest(real),
            Some(_) => Ok(self.read(path)?.map(|content| Digest::of(content.bytes()))),
        }
    }

    fn read_link(&self, path: &HostPath) -> Result<Option<String>> {
        let path = &self.real(path)?;
        match self.modelled(path, |node| (node.kind, node.target())) {
            Some(None) => Ok(None),
            Some(Some((_, Some(target)))) => Ok(Some(target)),
            Some(Some((FileKind::Symlink, None))) | None => self.base.read_link(path),
            Some(Some(_)) => Err(Error::new(ErrorKind::Conflict, "it is not a symbolic link")),
        }
    }

    fn list(&self, path: &HostPath) -> Result<Option<Vec<String>>> {
        let path = &self.real(path)?;
        match self.modelled(path, |node| (node.kind, node.is_new)) {
            Some(None) => Ok(None),
            Some(Some((kind, _))) if kind != FileKind::Directory => {
                Err(Error::new(ErrorKind::Conflict, "it is not a directory"))
            }
            Some(Some((_, true))) => Ok(Some(self.model().children(path, Vec::new()))),
            _ => Ok(self.base.list(path)?.map(|names| self.model().children(path, names))),
        }
    }

    fn ask(&self, question: &Question<'_>) -> Result<Answer> {
        Ok(match question {
            Question::Package(name) => Answer::Package(self.package(name)?),
            Question::AvailableVersions(name) => Answer::AvailableVersions(self.available_versions(name)?),
            Question::InterruptedPackages => Answer::InterruptedPackages(self.interrupted_packages()?),
            Question::PackageManager => Answer::PackageManager(self.package_manager()?),
            Question::Packages => Answer::Packages(self.packages()?),
            Question::Preview(_) => {
                self.require_settled_lists()?;
                self.base.ask(question)?
            }
            Question::PackageOf(_) => self.base.ask(question)?,
            Question::Unit(name) => Answer::Unit(self.unit(name)?),
            Question::User(name) => Answer::User(self.user(name)?),
            Question::Group(name) => Answer::Group(self.group(name)?),
            Question::Accounts => Answer::Accounts(self.accounts()?),
            Question::Shadow(user) => Answer::Shadow(self.shadow(user)?),
            Question::AccountLines(users, groups) => Answer::AccountLines(lines::of_model(self, users, groups)?),
            Question::Query(command) => Answer::Query(self.answer(command)?),
            Question::QueryWith(command, staged) => Answer::QueryWith(self.answer_with(command, staged)?),
            Question::Architecture => Answer::Architecture(self.architecture()?),
        })
    }

    fn is_running(&self) -> bool {
        self.base.is_running()
    }

    fn now(&self) -> Moment {
        self.base.now()
    }

    fn package_model(&self) -> Option<&dyn PackageModel> {
        self.base.package_model()
    }

    fn unit_model(&self) -> Option<&dyn UnitModel> {
        self.base.unit_model()
    }

    fn unit_index(&self) -> Option<&dyn UnitIndex> {
        self.base.unit_index().map(|_| self as &dyn UnitIndex)
    }

    fn prefetch(&self, claims: &mut dyn Iterator<Item = &Claim>) {
        // A run begins.
        self.model().lists_fetched = false;
        self.base.prefetch(claims);
    }

    fn at_a_glance(&self) -> Option<Box<dyn HostView + '_>> {
        None
    }
}
