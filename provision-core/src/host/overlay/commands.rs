//! Commands in the model: what they say and do is known where a whole host is modelled, and else cannot be foreseen.

use super::model::Model;
use super::node::{Node, is_unrecorded};
use crate::effect::{Access, AttributeChanges, Command, Effect, Output, Removal, WriteFile};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{FileKind, Host, HostViewExt, Layer, Overlay, failed_validation};
use crate::path::HostPath;

impl Layer<'_> {
    /// The answer of a command that changes nothing.
    pub(crate) fn answer(&self, command: &Command) -> Result<Output> {
        match self.package_model() {
            Some(programs) => programs.answer(self, command),
            None if !self.model().changed => self.base.query(command),
            None => self.base.query_with(command, &self.staged(command)?),
        }
    }

    /// The same, after more effects than those of the model.
    pub(crate) fn answer_with(&self, command: &Command, more: &[Effect]) -> Result<Output> {
        if self.package_model().is_some() {
            let with_more = Overlay::new(self);
            more.iter().try_for_each(|effect| with_more.perform(effect))?;
            return with_more.layer().answer(command);
        }
        let staged = if self.model().changed { self.staged(command)? } else { Vec::new() };
        self.base.query_with(command, &[&staged, more].concat())
    }

    /// What leads from the host beneath to the model, for a command that sees nothing but files.
    fn staged(&self, command: &Command) -> Result<Vec<Effect>> {
        let model = self.model();
        let because = match &*model {
            Model { opaque, .. } if !opaque.is_empty() => format!("{} is carried out first", opaque[0]),
            model if model.differs_beside_files() => "more than files is changed first".to_owned(),
            model => return model.nodes.iter().map(|(path, node)| staged(path, node.as_deref())).collect(),
        };
        Err(Error::unknown(format!("`{command}` asks the host itself, and {because}")))
    }

    /// Carries out a command that changes something.
    pub(crate) fn run(&self, command: &Command) -> Result<()> {
        if !self.run_known(command)? {
            self.model().opaque.push(format!("command `{command}`"));
        }
        Ok(())
    }

    /// Lets a command run of which it is known what it does. Whether it is.
    pub(super) fn run_known(&self, command: &Command) -> Result<bool> {
        let output = self.package_model().map(|programs| programs.run(self, command)).transpose()?.flatten();
        let Some(output) = output else { return Ok(false) };
        match output.code {
            0 => Ok(true),
            code => Err(Error::new(ErrorKind::CommandFailed, format!("exit code {code}"))
                .while_doing(format!("running {command}"))
                .with_cause(output.stderr.trim())),
        }
    }

    /// Lets the check of a new file decide, where it is known what it says.
    pub(crate) fn validate(&self, file: &WriteFile) -> Result<()> {
        // A plan does not run it.
        let performs = self.package_model().is_some_and(|packages| packages.performs());
        let Some(command) = file.validate.as_ref().filter(|_| performs) else { return Ok(()) };
        let output = self.answer(command)?;
        if output.success() { Ok(()) } else { Err(failed_validation(command, &output, file.content.is_sensitive())) }
    }
}

/// What leads to this node from what the host beneath has at its path, as far as programs look at it.
fn staged(path: &HostPath, node: Option<&Node>) -> Result<Effect> {
    let path = path.clone();
    let Some(node) = node else { return Ok(Effect::Remove { path, what: Removal::Tree }) };
    let (access, attributes) = (node.access.clone(), AttributeChanges::default());
    Ok(match (node.kind, node.content()?, node.target()) {
        (FileKind::File, Some(content), _) if !is_unrecorded(&content) => {
            Effect::WriteFile(WriteFile::new(path, content, access))
        }
        (FileKind::Directory, ..) => Effect::CreateDirectory { path, access, attributes },
        (FileKind::Symlink, _, Some(target)) => {
            Effect::CreateSymlink { path, target, owner: access.owner, group: access.group }
        }
        _ if node.is_new => return Err(Error::unknown(format!("what {path} will hold is not known"))),
        _ => {
            let Access { owner, group, mode } = access;
            Effect::SetMetadata { path, owner: Some(owner), group: Some(group), mode: Some(mode), attributes }
        }
    })
}
