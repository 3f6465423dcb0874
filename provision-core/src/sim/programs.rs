//! Commands of a simulated host: what they say and do is declared, never guessed.

use super::Machine;
use crate::effect::{Command, Effect, Output};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{HostViewExt, PackageModel};
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
    "apt-get indextargets",
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

impl Machine<'_> {
    /// What was declared of a command: by its first words, as many of them as fit.
    fn script(&self, command: &Command) -> Option<CommandScript> {
        self.given(|given| {
            let fitting = given.commands.iter().filter(|(words, _)| begins(command, words));
            fitting.max_by_key(|(words, _)| words.len()).map(|(_, script)| script.clone())
        })
        .flatten()
    }

    /// The answer of a command that changes nothing.
    pub(super) fn answer(&self, command: &Command) -> Result<Output> {
        if let Some(script) = self.script(command) {
            return Ok(script.output);
        }
        let known = self.base().query(command);
        match &known {
            // It may be that only its program is missing, and is there by now.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported) => {
                self.only_look(command)
            }
            _ => known,
        }
    }

    /// Runs a command that changes something; a plan knows only whether it is declared.
    pub(super) fn run(&self, command: &Command) -> Result<Option<Output>> {
        match self.script(command) {
            Some(CommandScript { output, effects }) => {
                if output.success() {
                    for effect in &effects {
                        self.unsynced(effect)?;
                    }
                }
                Ok(Some(output))
            }
            None if self.debian.performs() => self.answer(command).map(Some),
            // A command that was not declared is told before anything is done.
            None => self.base().query(command).map(|_| None),
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
pub(crate) fn unmodelled(command: &Command) -> Error {
    Error::new(ErrorKind::Unsupported, format!("the simulated host does not know what `{command}` does"))
        .with_hint("declare it, with `SimHost::with_command` or in the `commands` of the test")
}
