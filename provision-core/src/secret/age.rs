//! Secrets in files that the `age` program opens as well: `NAME.age` in a directory beside the site.
//!
//! The format is that of <https://age-encryption.org/v1>. Who may read is written in `.recipients`: one recipient a line,
//! and comments after `#`. The one nearest to a secret counts, in its own directory or in one above it: so
//! `web1/.recipients` holds for `web1/password`, and `.recipients` for all that have none of their own.
#![expect(clippy::disallowed_methods, reason = "secrets lie beside the site, not on the host")]

use std::fs;
use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use age::armor::ArmoredReader;
use age::secrecy::ExposeSecret;
use age::x25519;
use zeroize::Zeroizing;

use super::{SecretStore, is_store_name, missing};
use crate::effect::Sensitive;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::regular;

/// The file that says who may read.
const RECIPIENTS: &str = ".recipients";

/// Secrets in a directory of age files.
#[derive(Clone, Debug)]
pub struct AgeSecrets {
    directory: PathBuf,
    identities: Vec<PathBuf>,
}

/// A key pair: who has the identity can read what is encrypted to the recipient.
pub struct KeyPair {
    /// The private part: the text of an identity file.
    pub identity: Sensitive,
    /// The public part, such as `age1…`.
    pub recipient: String,
}

impl KeyPair {
    /// A new one.
    pub fn generate() -> KeyPair {
        let identity = x25519::Identity::generate();
        let recipient = identity.to_public().to_string();
        let text = format!("# public key: {recipient}\n{}\n", identity.to_string().expose_secret());
        KeyPair { identity: Sensitive::new(text), recipient }
    }
}

impl AgeSecrets {
    /// The secrets of a directory, opened with the identities in these files. Nothing is read before a secret is asked for.
    pub fn new(directory: impl Into<PathBuf>, identities: Vec<PathBuf>) -> AgeSecrets {
        AgeSecrets { directory: directory.into(), identities }
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        if !is_store_name(name) {
            return Err(Error::new(ErrorKind::Invalid, format!("{name:?} is not the name of a secret"))
                .with_hint("a name is words with slashes between them, such as \"db/password\""));
        }
        Ok(self.directory.join(format!("{name}.age")))
    }

    /// The names of all secrets, sorted.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        collect(&self.directory, "", &mut names)?;
        names.sort_unstable();
        Ok(names)
    }

    fn identities(&self) -> Result<Vec<x25519::Identity>> {
        let mut identities = Vec::new();
        for path in &self.identities {
            let reading = || format!("reading the identity {}", path.display());
            // A shell may hand it over by a pipe.
            let text = Zeroizing::new(fs::read_to_string(path).while_doing(reading)?);
            for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
                let identity = x25519::Identity::from_str(line).map_err(|_| {
                    Error::new(ErrorKind::Invalid, "it is not an age identity").with_hint(
                        "an identity is a line that begins with AGE-SECRET-KEY-1, from `provision secret keygen`",
                    )
                });
                identities.push(identity.while_doing(reading)?);
            }
        }
        if identities.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, "there is no identity to open secrets with")
                .with_hint("name its file with --identity, or put it at /etc/provision/identity"));
        }
        Ok(identities)
    }

    /// Who may read a secret: the nearest list, from its own directory up.
    fn recipients(&self, name: &str) -> Result<Vec<x25519::Recipient>> {
        let inside =
            Path::new(name).ancestors().skip(1).map(|directory| self.directory.join(directory).join(RECIPIENTS));
        let nearest = inside.into_iter().find(|path| fs::symlink_metadata(path).is_ok());
        let path = nearest.unwrap_or_else(|| self.directory.join(RECIPIENTS));
        let reading = || format!("reading who may read secrets from {}", path.display());
        let text = match regular::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Error::new(ErrorKind::NotFound, "there is no such file").while_doing(reading()).with_hint(
                    "write one recipient a line into it: what `provision secret keygen` prints on each host",
                ));
            }
            bytes => String::from_utf8(bytes.while_doing(reading)?)
                .map_err(|_| Error::new(ErrorKind::Invalid, "it is not UTF-8 text").while_doing(reading()))?,
        };
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        let recipients = lines.filter(|line| !line.is_empty()).map(|line| {
            x25519::Recipient::from_str(line).map_err(|_| {
                Error::new(ErrorKind::Invalid, format!("{line:?} is not a recipient"))
                    .while_doing(reading())
                    .with_hint("a recipient begins with age1")
            })
        });
        let recipients = recipients.collect::<Result<Vec<_>>>()?;
        if recipients.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "it names no recipient").while_doing(reading()));
        }
        Ok(recipients)
    }

    /// Encrypts a secret to its recipients, in the place of an old one.
    ///
    /// # Errors
    /// The name is none, there are no recipients, or the file cannot be written; an old one stays.
    pub fn write(&self, name: &str, secret: &Sensitive) -> Result<()> {
        let path = self.path(name)?;
        let encrypted = encrypt(&self.recipients(name)?, secret.reveal().as_bytes())
            .while_doing(|| format!("encrypting the secret `{name}`"))?;
        put(&path, &encrypted).while_doing(|| format!("writing {}", path.display()))
    }

    /// Encrypts secrets anew to the recipients of now; all if none are named. Nothing is written unless all can be read.
    ///
    /// # Errors
    /// One of them cannot be read or written.
    pub fn rekey(&self, names: &[String]) -> Result<Vec<String>> {
        let names = if names.is_empty() { self.names()? } else { names.to_vec() };
        let mut encrypted = Vec::new();
        for name in &names {
            let secret = self.read(name)?;
            encrypted.push((self.path(name)?, encrypt(&self.recipients(name)?, secret.reveal().as_bytes())?));
        }
        for (path, bytes) in encrypted {
            put(&path, &bytes).while_doing(|| format!("writing {}", path.display()))?;
        }
        Ok(names)
    }
}

impl SecretStore for AgeSecrets {
    fn read(&self, name: &str) -> Result<Sensitive> {
        let path = self.path(name)?;
        let reading = || format!("reading the secret `{name}` from {}", path.display());
        let encrypted = match regular::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let names = self.names().unwrap_or_default();
                if !self.directory.is_dir() {
                    let message = format!("there is no secret `{name}`: {} is no directory", self.directory.display());
                    return Err(Error::new(ErrorKind::NotFound, message)
                        .with_hint("secrets lie in `secrets` beside the site; --secrets names another directory"));
                }
                return Err(missing(name, names.iter().map(String::as_str)));
            }
            encrypted => encrypted.while_doing(reading)?,
        };
        let identities = self.identities().while_doing(reading)?;
        decrypt(&identities, &encrypted).while_doing(reading)
    }
}

fn collect(directory: &Path, prefix: &str, names: &mut Vec<String>) -> Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(()),
        entries => entries.while_doing(|| format!("listing {}", directory.display()))?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            if !name.starts_with('.') {
                collect(&entry.path(), &format!("{prefix}{name}/"), names)?;
            }
        } else if let Some(stem) = name.strip_suffix(".age") {
            // What is kept there under other names is no secret of a site.
            names.extend(Some(format!("{prefix}{stem}")).filter(|name| is_store_name(name)));
        }
    }
    Ok(())
}

fn encrypt(recipients: &[x25519::Recipient], secret: &[u8]) -> Result<Vec<u8>> {
    let failed = |error: &dyn std::fmt::Display| Error::new(ErrorKind::Io, format!("age: {error}"));
    let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).map_err(|error| failed(&error))?;
    let mut encrypted = Vec::new();
    let mut writer = encryptor.wrap_output(&mut encrypted)?;
    writer.write_all(secret)?;
    writer.finish()?;
    Ok(encrypted)
}

fn decrypt(identities: &[x25519::Identity], encrypted: &[u8]) -> Result<Sensitive> {
    let damaged = || {
        Error::new(ErrorKind::Damaged, "it is not a whole age file")
            .with_hint("restore it, or encrypt the secret again")
    };
    let decryptor = age::Decryptor::new_buffered(ArmoredReader::new(encrypted)).map_err(|_| damaged())?;
    let identities = identities.iter().map(|identity| identity as &dyn age::Identity);
    let mut reader = decryptor.decrypt(identities).map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => {
            Error::new(ErrorKind::PermissionDenied, "none of the identities here may read it").with_hint(
                "add this host's recipient to `.recipients`, and run `provision secret rekey` where it can be read",
            )
        }
        _ => damaged(),
    })?;
    let mut secret = Zeroizing::new(Vec::with_capacity(encrypted.len()));
    reader.read_to_end(&mut secret).map_err(|_| damaged())?;
    match std::str::from_utf8(&secret) {
        Ok(text) => Ok(Sensitive::new(text)),
        Err(_) => Err(Error::new(ErrorKind::Invalid, "it is not UTF-8 text")),
    }
}

/// Puts a file in place in one step.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let mut staged = tempfile::NamedTempFile::new_in(directory)?;
    staged.write_all(bytes)?;
    staged.as_file().sync_all()?;
    staged.persist(path).map_err(|error| Error::io(&error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with a store in it, and one identity that may read.
    fn store() -> (tempfile::TempDir, AgeSecrets) {
        let place = tempfile::tempdir().unwrap();
        let pair = KeyPair::generate();
        let identity = place.path().join("identity");
        fs::write(&identity, pair.identity.reveal()).unwrap();
        let secrets = place.path().join("secrets");
        fs::create_dir(&secrets).unwrap();
        fs::write(secrets.join(RECIPIENTS), format!("# hosts\n{} # one\n", pair.recipient)).unwrap();
        let store = AgeSecrets::new(secrets, vec![identity]);
        (place, store)
    }

    #[test]
    fn what_is_encrypted_is_read_and_listed() {
        let (_place, store) = store();
        store.write("db/password", &Sensitive::new("hunter2\n")).unwrap();
        store.write("api", &Sensitive::new("key")).unwrap();
        assert_eq!(store.read("db/password").unwrap().reveal(), "hunter2\n");
        assert_eq!(store.names().unwrap(), ["api", "db/password"]);
        assert_eq!(store.read("db/pasword").unwrap_err().hint(), Some("did you mean `db/password`?"));
        assert!(store.write("../api", &Sensitive::new("x")).is_err());
    }

    /// To open a pipe waits for a writer.
    #[test]
    fn a_pipe_is_no_secret_and_names_no_recipients() {
        let (directory, secrets) = store();
        for name in ["k.age", ".recipients"] {
            let path = directory.path().join("secrets").join(name);
            let _ = fs::remove_file(&path);
            nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        }
        for error in [secrets.read("k").unwrap_err(), secrets.write("other", &Sensitive::new("x")).unwrap_err()] {
            assert!(error.message().contains("not a regular file"), "{error}");
        }
    }

    #[test]
    fn a_damaged_secret_is_an_error_and_no_panic() {
        let (_place, store) = store();
        store.write("a", &Sensitive::new("hunter2")).unwrap();
        let path = store.path("a").unwrap();
        let whole = fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            fs::write(&path, &damaged).unwrap();
            let error = store.read("a").unwrap_err();
            assert!(error.hint().is_some(), "byte {place}: {error:?}");
            fs::write(&path, &whole[..place]).unwrap();
            assert!(store.read("a").is_err(), "cut at {place}");
        }
    }

    #[test]
    fn others_cannot_read_until_it_is_encrypted_to_them() {
        let (place, store) = store();
        store.write("a", &Sensitive::new("hunter2")).unwrap();
        let other = KeyPair::generate();
        let identity = place.path().join("other");
        fs::write(&identity, other.identity.reveal()).unwrap();
        let theirs = AgeSecrets::new(place.path().join("secrets"), vec![identity]);
        assert_eq!(theirs.read("a").unwrap_err().kind(), ErrorKind::PermissionDenied);
        let recipients = place.path().join("secrets").join(RECIPIENTS);
        let known = fs::read_to_string(&recipients).unwrap();
        fs::write(&recipients, format!("{known}{}\n", other.recipient)).unwrap();
        assert_eq!(store.rekey(&[]).unwrap(), ["a"]);
        assert_eq!(theirs.read("a").unwrap().reveal(), "hunter2");
        assert_eq!(store.read("a").unwrap().reveal(), "hunter2");
    }

    /// The list at the top was taken, so that each host could read the secrets of all.
    #[test]
    fn the_nearest_recipients_up_the_tree_count() {
        let (place, store) = store();
        let secrets = place.path().join("secrets");
        let web1 = KeyPair::generate();
        let identity = place.path().join("web1");
        fs::write(&identity, web1.identity.reveal()).unwrap();
        fs::create_dir_all(secrets.join("web1/tls")).unwrap();
        fs::write(secrets.join("web1").join(RECIPIENTS), format!("{}\n", web1.recipient)).unwrap();
        let hosts = AgeSecrets::new(&secrets, vec![identity]);
        for name in ["web1/password", "web1/tls/key", "shared"] {
            store.write(name, &Sensitive::new("x")).unwrap();
        }
        for name in ["web1/password", "web1/tls/key"] {
            assert_eq!(store.read(name).unwrap_err().kind(), ErrorKind::PermissionDenied, "{name}");
            assert_eq!(hosts.read(name).unwrap().reveal(), "x");
        }
        assert_eq!(store.read("shared").unwrap().reveal(), "x");
        assert_eq!(hosts.read("shared").unwrap_err().kind(), ErrorKind::PermissionDenied);
        let both = AgeSecrets::new(&secrets, vec![place.path().join("identity"), place.path().join("web1")]);
        both.rekey(&[]).unwrap();
        assert_eq!(store.read("web1/password").unwrap_err().kind(), ErrorKind::PermissionDenied);
    }

    #[test]
    fn missing_identities_and_recipients_are_named() {
        let (place, store) = store();
        store.write("a", &Sensitive::new("x")).unwrap();
        let without = AgeSecrets::new(place.path().join("secrets"), Vec::new());
        assert!(without.read("a").unwrap_err().hint().unwrap().contains("--identity"));
        let recipients = place.path().join("secrets").join(RECIPIENTS);
        for text in ["", "# none\n", "age1nonsense\n"] {
            fs::write(&recipients, text).unwrap();
            assert!(store.write("b", &Sensitive::new("x")).is_err(), "{text:?}");
        }
        fs::remove_file(&recipients).unwrap();
        assert!(store.write("b", &Sensitive::new("x")).unwrap_err().hint().unwrap().contains("keygen"));
    }
}
