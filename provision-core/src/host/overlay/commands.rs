//! Commands in the model: what they say and do is known where a whole host is modelled, and else cannot be foreseen.

use crate::effect::{Command, Output, WriteFile};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{HostViewExt, Layer, failed_validation};

impl Layer<'_> {
    /// The answer of a command that changes nothing.
    pub(crate) fn answer(&self, command: &Command) -> Result<Output> {
        match self.package_model() {
            Some(programs) => programs.answer(self, command),
            None if self.model().changed => {
                Err(Error::unknown(format!("`{command}` asks the host itself, which is yet to be changed")))
            }
            None => self.base.query(command),
        }
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
