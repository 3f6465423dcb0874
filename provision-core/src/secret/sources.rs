//! Where secrets come from beside a store: files, the environment and commands of the machine that this program runs on.

use super::SecretStore;
use crate::effect::{Command, Sensitive};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::HostView;

/// Answers names with their prefix: `file:/path`, `env:NAME`, `command:program argument`; and all others by a store.
///
/// These are files, variables and commands of the machine that this program runs on, whatever root directory is worked
/// on.
pub struct Sources<'a> {
    /// Answers names without a prefix.
    pub store: &'a dyn SecretStore,
    /// The machine that this program runs on.
    pub machine: &'a dyn HostView,
    /// Its environment.
    pub environment: &'a (dyn Fn(&str) -> Option<String> + Sync),
}

/// Whether a text can name a secret.
pub(super) fn is_reference(name: &str) -> bool {
    match name.split_once(':') {
        Some(("file", path)) => path.starts_with('/'),
        Some(("env", name)) => !name.is_empty() && !name.contains('='),
        Some(("command", line)) => !line.trim().is_empty(),
        _ => is_store_name(name),
    }
}

/// Whether a text can name a secret of a store: words that are separated by slashes, none of which leads elsewhere.
pub fn is_store_name(name: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "._-@+".contains(c);
    name.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && part.chars().all(plain))
}

impl SecretStore for Sources<'_> {
    fn read(&self, name: &str) -> Result<Sensitive> {
        match name.split_once(':') {
            Some(("file", path)) => {
                #[expect(clippy::disallowed_methods, reason = "the file lies on the machine that this program runs on")]
                let bytes = std::fs::read(path).while_doing(|| format!("reading the secret {path}"))?;
                String::from_utf8(bytes).map(Sensitive::new).map_err(|_| {
                    Error::new(ErrorKind::Invalid, "it is not UTF-8 text")
                        .while_doing(format!("reading the secret {path}"))
                })
            }
            Some(("env", variable)) => (self.environment)(variable).map(Sensitive::new).ok_or_else(|| {
                Error::new(ErrorKind::NotFound, format!("the environment has no variable {variable}"))
                    .with_hint("set it where this program is started; sudo(8) passes on only what it is told to")
            }),
            Some(("command", line)) => {
                // What it says is the secret, so a failure tells no more than its exit code.
                let command = Command::new(line.split_whitespace());
                let output = self.machine.query(&command)?;
                match output.success() {
                    true => Ok(Sensitive::new(output.stdout)),
                    false => Err(Error::new(ErrorKind::CommandFailed, format!("exit code {}", output.code))
                        .while_doing(format!("asking `{command}` for a secret"))),
                }
            }
            _ => self.store.read(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Output;
    use crate::host::SimHost;
    use crate::secret::MemorySecrets;

    #[test]
    fn every_source_answers_for_itself() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file.as_file(), b"from a file").unwrap();
        let said = Output { stdout: "from a command".into(), ..Output::default() };
        let machine =
            SimHost::debian().with_command("pass", said).with_command("fails", Output { code: 3, ..Output::default() });
        let store = MemorySecrets::new([("a", "from the store")]);
        let environment = |name: &str| (name == "A").then(|| "from the environment".to_owned());
        let sources = Sources { store: &store, machine: &machine, environment: &environment };
        let file = format!("file:{}", file.path().display());
        for (name, expected) in [
            ("a", "from the store"),
            ("env:A", "from the environment"),
            ("command:pass show a", "from a command"),
            (file.as_str(), "from a file"),
        ] {
            assert_eq!(sources.read(name).unwrap().reveal(), expected);
        }
        for name in ["b", "env:B", "command:fails", "file:/does/not/exist"] {
            assert!(sources.read(name).is_err(), "{name}");
        }
    }
}
