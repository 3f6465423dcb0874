//! The resource type `validation`.

use derive_setters::Setters;
use provision_core::effect::Command;
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::HostViewExt;
use provision_core::path::HostPath;
use provision_core::resource::{ApplyContext, AttributeError, CheckContext, Claim, PlanContext, Resource, ResourceId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command_line::CommandLine;

/// A program that judges a set of files before any of them lands.
///
/// The command runs if something that the site declares within the paths is about to change. It sees all of these files at their real
/// places, as the changes together would leave them, in a throw-away view of the host: what it writes to files is gone
/// afterwards, so a validator leaves no logs behind. If it ends with an error, nothing within the paths is changed. What others change
/// there is not judged.
///
/// The view needs root and a kernel that allows mounts (`CAP_SYS_ADMIN`); network and processes in it are the host's. Without root,
/// `plan` leaves the judgement to `apply`, as it does while a package that the command may need is yet to be installed.
///
/// ```nickel
/// validation.nginx = { command = "nginx -t", paths = ["/etc/nginx"] },
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(into)]
pub struct Validation {
    /// The command; it runs without a shell.
    pub command: CommandLine,
    /// The files and directories that it judges, with all that lies beneath them.
    pub paths: Vec<HostPath>,
}

impl Validation {
    /// What a command says of files.
    pub fn new(command: impl Into<CommandLine>, paths: impl Into<Vec<HostPath>>) -> Validation {
        Validation { command: command.into(), paths: paths.into() }
    }
}

impl Resource for Validation {
    const TYPE: &'static str = "validation";
    /// It leaves nothing on the host.
    type State = ();

    fn validate(&self, _: &ResourceId) -> Vec<AttributeError> {
        let mut mistakes: Vec<AttributeError> = self.command.words("command").err().into_iter().collect();
        if self.paths.is_empty() {
            let mistake = AttributeError::new("paths", "there is nothing to judge");
            mistakes.push(mistake.help("name the files or directories that the command reads"));
        }
        mistakes
    }

    fn claims(&self, _: &ResourceId) -> Vec<Claim> {
        self.paths.iter().cloned().map(Claim::judges).collect()
    }

    fn check(&self, _: &CheckContext<'_>) -> Result<()> {
        Ok(())
    }

    fn plan(&self, _: &PlanContext<'_>, (): &()) -> Result<()> {
        Ok(())
    }

    fn apply(&self, _: &ApplyContext<'_>, (): &(), (): &()) -> Result<()> {
        Ok(())
    }

    fn judge(&self, cx: &CheckContext<'_>) -> Result<()> {
        let words = self.command.words("command").map_err(|mistake| Error::new(ErrorKind::Invalid, mistake.message))?;
        let command = Command::new(words);
        let output = cx.host().query(&command)?;
        if output.success() {
            return Ok(());
        }
        let message = format!("`{command}` refuses what is about to change, so nothing of it was put in place");
        let said = match output.excerpt() {
            said if said.is_empty() => format!("exit code {}", output.code),
            said => said,
        };
        Err(Error::new(ErrorKind::CommandFailed, message).with_cause(said))
    }
}

#[cfg(test)]
mod tests;
