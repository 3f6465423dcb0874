//! Where secrets come from beside a store: files, the environment and commands of the machine that this program runs on.

use std::path::Path;
use std::process::Stdio;

use zeroize::Zeroizing;

use super::SecretStore;
use crate::effect::Sensitive;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::regular;

/// Answers names with their prefix: `file:/path`, `env:NAME`, `command:program argument`; and all others by a store.
///
/// These are files, variables and commands of the machine that this program runs on, whatever root directory is worked
/// on.
pub struct Sources<'a> {
    /// Answers names without a prefix.
    pub store: &'a dyn SecretStore,
    /// The environment of this program; commands have all of it.
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
                let bytes = regular::read(Path::new(path)).while_doing(|| format!("reading the secret {path}"))?;
                String::from_utf8(bytes).map(Sensitive::new).map_err(|_| {
                    Error::new(ErrorKind::Invalid, "it is not UTF-8 text")
                        .while_doing(format!("reading the secret {path}"))
                })
            }
            Some(("env", variable)) => (self.environment)(variable).map(Sensitive::new).ok_or_else(|| {
                Error::new(ErrorKind::NotFound, format!("the environment has no variable {variable}"))
                    .with_hint("set it where this program is started; sudo(8) passes on only what it is told to")
            }),
            Some(("command", line)) => ask(line),
            _ => self.store.read(name),
        }
    }
}

/// Runs a program in the environment and at the terminal of this one: password managers have an agent, and may ask.
fn ask(line: &str) -> Result<Sensitive> {
    let failed = |message: String| {
        Error::new(ErrorKind::CommandFailed, message).while_doing(format!("asking `{line}` for a secret"))
    };
    let mut words = line.split_whitespace();
    #[expect(clippy::disallowed_methods, reason = "the program runs on this machine, whatever host is worked on")]
    let mut command = std::process::Command::new(words.next().unwrap_or_default());
    let started = command.args(words).stdout(Stdio::piped()).spawn();
    let child = started.map_err(|error| failed(Error::io(&error).message().to_owned()))?;
    let output = child.wait_with_output().while_doing(|| format!("asking `{line}` for a secret"))?;
    let stdout = Zeroizing::new(output.stdout);
    if !output.status.success() {
        // What it says may be the secret, so no more is told than how it ended.
        return Err(failed(output.status.to_string()));
    }
    if stdout.is_empty() {
        return Err(failed("it wrote nothing".to_owned()));
    }
    let text = std::str::from_utf8(&stdout).map_err(|_| failed("what it wrote is not UTF-8 text".to_owned()))?;
    Ok(Sensitive::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::MemorySecrets;

    /// To open a pipe waits for a writer, and a device may never end.
    #[test]
    fn a_pipe_or_a_device_is_no_secret() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("k");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let store = MemorySecrets::default();
        let sources = Sources { store: &store, environment: &|_| None };
        for name in ["file:/dev/zero", &format!("file:{}", pipe.display())] {
            let error = sources.read(name).unwrap_err();
            assert!(error.message().contains("not a regular file"), "{name}: {error}");
        }
    }

    #[test]
    fn every_source_answers_for_itself() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file.as_file(), b"from a file").unwrap();
        let store = MemorySecrets::new([("a", "from the store")]);
        let environment = |name: &str| (name == "A").then(|| "from the environment".to_owned());
        let sources = Sources { store: &store, environment: &environment };
        let file = format!("file:{}", file.path().display());
        for (name, expected) in [
            ("a", "from the store"),
            ("env:A", "from the environment"),
            ("command:printf %s-a-command from", "from-a-command"),
            (file.as_str(), "from a file"),
        ] {
            assert_eq!(sources.read(name).unwrap().reveal(), expected);
        }
        for name in ["b", "env:B", "command:false", "command:/no/such/program", "file:/does/not/exist"] {
            assert!(sources.read(name).is_err(), "{name}");
        }
    }
}
