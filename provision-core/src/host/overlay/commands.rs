//! Commands in the model: what they say and do is declared, never guessed.

use crate::effect::{Command, Effect, Output, WriteFile};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{HostView, HostViewExt, Overlay, failed_validation};
use crate::path::HostPath;

/// What a command of a simulated host says and does.
#[derive(Clone, Debug, Default)]
pub struct CommandScript {
    /// What it says, and its exit code.
    pub output: Output,
    /// What it does to the host, if its exit code is 0.
    pub effects: Vec<Effect>,
}

impl From<Output> for CommandScript {
    fn from(output: Output) -> CommandScript {
        CommandScript { output, effects: Vec::new() }
    }
}

/// Where programs are looked for; as real hosts run commands with.
const PATH: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];

/// Programs that only look, with the words that make them do so. What they look at is taken to be right.
const ONLY_LOOK: &[&str] = &[
    "apache2ctl configtest",
    "apache2ctl -t",
    "bash -n",
    "dovecot -n",
    "haproxy -c",
    "named-checkconf",
    "named-checkzone",
    "nft -c",
    "nginx -t",
    "perl -c",
    "php-fpm -t",
    "postfix check",
    "promtool check",
    "rsyslogd -N1",
    "sh -n",
    "squid -k parse",
    "sshd -t",
    "sudo -n true",
    "systemd-analyze verify",
    "true",
    "unbound-checkconf",
    "varnishd -C",
    "visudo -c",
];

impl<H: HostView> Overlay<H> {
    /// What was declared of a command: by its first words, as many of them as fit.
    fn script(&self, command: &Command) -> Option<CommandScript> {
        let model = self.model();
        let fits = |words: &str| begins(command, words);
        let best = model.commands.iter().filter(|(words, _)| fits(words)).max_by_key(|(words, _)| words.len());
        best.map(|(_, script)| script.clone())
    }

    /// The answer of a command that changes nothing.
    pub(super) fn answer(&self, command: &Command) -> Result<Output> {
        if let Some(script) = self.script(command) {
            return Ok(script.output);
        }
        if !self.is_simulated() {
            if self.model().changed {
                return Err(Error::unknown(format!("`{command}` asks the host itself, which is yet to be changed")));
            }
            return self.base.query(command);
        }
        let known = self.base.query(command);
        match &known {
            // It may be that only its program is missing, and is there by now.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported) => {
                self.only_look(command)
            }
            _ => known,
        }
    }

    /// A command of the table: it says nothing, and all is well.
    fn only_look(&self, command: &Command) -> Result<Output> {
        let name = command.argv.first().map(String::as_str).unwrap_or_default();
        if name == "false" {
            return Ok(Output { code: 1, ..Output::default() });
        }
        let looks = ONLY_LOOK.iter().any(|words| begins(command, words));
        let program = self.program(name)?;
        match (program, looks) {
            (Some(_), true) => Ok(Output::default()),
            (None, true) => Err(Error::new(ErrorKind::NotFound, format!("there is no program {name}"))
                .while_doing(format!("running {command}"))),
            (_, false) => Err(unmodelled(command)),
        }
    }

    /// Carries out a command that changes something.
    pub(super) fn run(&self, command: &Command) -> Result<()> {
        let output = match self.script(command) {
            Some(CommandScript { output, effects }) => {
                if output.success() {
                    for effect in &effects {
                        self.unsynced(effect)?;
                    }
                }
                output
            }
            None if self.model().is_host => self.answer(command)?,
            None => {
                // What nobody has declared is told before anything is done.
                if self.is_simulated() {
                    self.base.query(command)?;
                }
                self.model().opaque.push(format!("command `{command}`"));
                return Ok(());
            }
        };
        match output.code {
            0 => Ok(()),
            code => Err(Error::new(ErrorKind::CommandFailed, format!("exit code {code}"))
                .while_doing(format!("running {command}"))
                .with_cause(output.stderr.trim())),
        }
    }

    /// Lets the check of a new file decide, where it is known what it says.
    pub(super) fn validate(&self, file: &WriteFile) -> Result<()> {
        // A plan does not run it.
        let Some(command) = file.validate.as_ref().filter(|_| self.model().is_host) else { return Ok(()) };
        let output = self.answer(command)?;
        if output.success() { Ok(()) } else { Err(failed_validation(command, &output, file.content.is_sensitive())) }
    }

    /// Where a program lies.
    pub(super) fn program(&self, name: &str) -> Result<Option<HostPath>> {
        if name.starts_with('/') {
            return self.leads_to(&HostPath::new(name)?);
        }
        for directory in PATH {
            if let Some(found) = self.leads_to(&HostPath::new(&format!("{directory}/{name}"))?)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Whether a command begins with these words; a path of its program does not matter.
fn begins(command: &Command, words: &str) -> bool {
    let mut argv = command.argv.iter();
    words.split_whitespace().enumerate().all(|(place, word)| {
        let argument = argv.next().map(String::as_str).unwrap_or_default();
        let name = argument.rsplit('/').next().unwrap_or_default();
        // `-c` also stands for `-cf`.
        let option = word.len() == 2 && word.starts_with('-') && argument.starts_with(word);
        argument == word || option || (place == 0 && name == word)
    })
}

/// The error for a command of which nothing is known.
pub(super) fn unmodelled(command: &Command) -> Error {
    Error::new(ErrorKind::Unsupported, format!("the simulated host does not know what `{command}` does"))
        .with_hint("declare it, with `SimHost::with_command` or in the `commands` of the test")
}
