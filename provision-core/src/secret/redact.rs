//! Secrets that programs repeat: a validation that quotes the line it does not like, a service that logs its password.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::SecretStore;
use crate::effect::Sensitive;
use crate::error::{Error, Result};
use crate::state::Digester;

/// Takes secrets out of what others have said.
#[derive(Default)]
pub(crate) struct Redactor(Vec<Sensitive>);

/// A shorter text is found everywhere, and no secret.
const SHORTEST: usize = 4;

impl Redactor {
    /// Knows these secrets, whole and line by line.
    pub(crate) fn new(secrets: impl IntoIterator<Item = Sensitive>) -> Redactor {
        let mut known = Vec::new();
        for secret in secrets {
            let whole = secret.reveal().trim();
            let pieces = std::iter::once(whole).chain(whole.lines().map(str::trim));
            for piece in pieces.filter(|piece| piece.len() >= SHORTEST) {
                // Programs quote what they repeat, as JSON does or as languages do.
                let quoted =
                    [format!("{piece:?}"), serde_json::Value::from(piece).to_string(), piece.replace('\\', "\\\\")];
                let bare = quoted.iter().map(|quoted| quoted.trim_matches('"'));
                known.extend(bare.chain([piece]).map(Sensitive::new));
            }
        }
        // The longest first: one may be part of another.
        known.sort_by(|a, b| (b.reveal().len(), b.reveal()).cmp(&(a.reveal().len(), a.reveal())));
        known.dedup();
        Redactor(known)
    }

    /// A text without secrets.
    pub(crate) fn text(&self, text: String) -> String {
        self.0.iter().fold(text, |text, secret| match text.contains(secret.reveal()) {
            true => text.replace(secret.reveal(), Sensitive::HIDDEN),
            false => text,
        })
    }

    /// An error without secrets.
    pub(crate) fn error(&self, error: Error) -> Error {
        if self.0.is_empty() { error } else { error.map_texts(|text| self.text(text)) }
    }
}

/// A digest of a secret that only a host can make.
pub(crate) fn digest_of(secret: &Sensitive, digester: &Digester) -> (u64, u64) {
    let mut digester = digester.clone();
    digester.update(b"secret");
    digester.finish_short(secret.reveal().as_bytes())
}

/// Asks a store for each secret once, and remembers them all.
pub(crate) struct Remembering<'s> {
    store: &'s dyn SecretStore,
    known: Mutex<BTreeMap<String, Sensitive>>,
}

impl<'s> Remembering<'s> {
    pub(crate) fn new(store: &'s dyn SecretStore) -> Remembering<'s> {
        Remembering { store, known: Mutex::default() }
    }

    /// The names of all, with digests that only a host can make.
    pub(crate) fn digests(&self, digester: &Digester) -> Vec<(String, (u64, u64))> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().map(|(name, secret)| (name.clone(), digest_of(secret, digester))).collect()
    }

    pub(crate) fn redactor(self) -> Redactor {
        Redactor::new(self.known.into_inner().unwrap_or_else(PoisonError::into_inner).into_values())
    }
}

impl SecretStore for Remembering<'_> {
    fn read(&self, name: &str) -> Result<Sensitive> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(secret) = known.get(name) {
            return Ok(secret.clone());
        }
        let secret = self.store.read(name)?;
        known.insert(name.to_owned(), secret.clone());
        Ok(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn an_error_is_told_without_the_secrets_that_a_program_repeats() {
        let secrets = ["hunter2\n", "hunter2-and-more", "-----BEGIN-----\nabcd1234\n-----END-----\n", "a"];
        let redactor = Redactor::new(secrets.map(Sensitive::new));
        let error = Error::new(ErrorKind::CommandFailed, "exit code 1 for hunter2")
            .while_doing("checking")
            .with_cause("line 3: password=hunter2-and-more\nabcd1234 is no key");
        assert_eq!(
            Redactor::new([Sensitive::new("hun\"ter\\2")]).text(r#"'hun"ter\\2' "hun\"ter\\2""#.into()),
            "'<sensitive>' \"<sensitive>\""
        );
        let clean = redactor.error(error);
        assert_eq!(clean.to_string(), "checking: exit code 1 for <sensitive>");
        assert_eq!(clean.cause(), Some("line 3: password=<sensitive>\n<sensitive> is no key"));
    }

    #[test]
    fn a_store_is_asked_once_for_each_secret() {
        struct Once(Mutex<u32>);
        impl SecretStore for Once {
            fn read(&self, _: &str) -> Result<Sensitive> {
                *self.0.lock().unwrap() += 1;
                Ok(Sensitive::new("hunter2"))
            }
        }
        let once = Once(Mutex::new(0));
        let store = Remembering::new(&once);
        assert_eq!(store.read("a").unwrap(), store.read("a").unwrap());
        assert_eq!(*once.0.lock().unwrap(), 1);
        assert_eq!(store.redactor().text("hunter2!".into()), "<sensitive>!");
    }
}
