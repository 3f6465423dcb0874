//! The key of a host: digests that tell nothing without it, and contents that only this host can open.

use std::fmt;
use std::io::{self, Read, Write};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use hmac::{Hmac, Mac};
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{BLOBS, StateStore};
use crate::bytes::hex;
use crate::canonical;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::format::Format;

const NAME: &str = "key";

/// The key of a host; see `docs/formats/key.md`.
pub(crate) const KEY: Format = Format { name: "key", noun: "the key of this host", version: 1 };

const LENGTH: usize = 32;
/// How much is sealed at once.
const CHUNK: usize = 64 << 10;
const TAG: usize = 16;

/// The key of a host. It never leaves the host's state.
#[derive(Clone, PartialEq, Eq)]
pub struct HostKey(Zeroizing<[u8; LENGTH]>);

impl HostKey {
    /// Any key, for state that does not outlive the program.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn random() -> Result<HostKey> {
        Ok(HostKey(Zeroizing::new(random_bytes()?)))
    }

    /// The key in a store; `None` if it has none yet.
    ///
    /// # Errors
    /// It cannot be read, is none, is lost, or was written by a newer version of this program.
    pub fn read(store: &dyn StateStore) -> Result<Option<HostKey>> {
        let Some(bytes) = store.read(NAME)?.map(Zeroizing::new) else {
            return if has_past(store)? { Err(lost()) } else { Ok(None) };
        };
        let body = KEY.whole_body(&bytes).and_then(|body| {
            let key = body.first_chunk().map(|key| Zeroizing::new(*key)).filter(|key| body[LENGTH..] == check_of(key));
            key.ok_or_else(|| Error::new(ErrorKind::Damaged, "it is damaged"))
        });
        let key = body.while_doing(|| "reading the key of this host's journal").map_err(|error| {
            error.with_hint("without it, what is sealed in the journal is lost: restore it, or remove the journal")
        })?;
        Ok(Some(HostKey(key)))
    }

    /// The key in a store, made now if it has none.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn read_or_make(store: &dyn StateStore) -> Result<HostKey> {
        if let Some(key) = HostKey::read(store)? {
            return Ok(key);
        }
        let key = HostKey::random()?;
        store.replace(NAME, &key.file()).while_doing(|| "writing the key of this host's journal")?;
        Ok(key)
    }

    /// What is in its file.
    fn file(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([KEY.header().as_bytes(), &self.0[..], &check_of(&self.0)].concat())
    }

    /// A running digest (HMAC-SHA-256): equal contents have equal ones, and without the key the content cannot be
    /// guessed by trial.
    pub fn digester(&self) -> Digester {
        Digester(Hmac::new_from_slice(&*self.0).expect("a key of any length will do"))
    }

    /// The digest of bytes.
    pub fn digest(&self, bytes: &[u8]) -> String {
        let mut digester = self.digester();
        digester.update(bytes);
        digester.finish()
    }

    /// The digest of the canonical encoding of a value; `what` names what it is, and its version.
    pub(crate) fn digest_of(&self, what: &str, value: &impl Serialize) -> Result<String> {
        Ok(self.digest(&canonical::encode(what, value)?))
    }

    /// Seals what is written to it, piece by piece.
    ///
    /// The form is the salt of the content's own key, and pieces of 64 KiB, each sealed with ChaCha20-Poly1305 under the
    /// number of the piece and whether it is the last.
    ///
    /// # Errors
    /// The system gives no random bytes, or the salt cannot be written.
    pub fn sealer<W: Write>(&self, mut to: W) -> Result<Sealer<W>> {
        let salt: [u8; LENGTH] = random_bytes()?;
        to.write_all(&salt)?;
        Ok(Sealer { to, cipher: self.cipher(&salt), number: 0, piece: Zeroizing::new(Vec::with_capacity(CHUNK)) })
    }

    /// Seals bytes.
    ///
    /// # Errors
    /// As [`sealer`](HostKey::sealer).
    pub fn seal(&self, content: &[u8]) -> Result<Vec<u8>> {
        let mut sealer = self.sealer(Vec::with_capacity(LENGTH + content.len() + TAG))?;
        sealer.write_all(content)?;
        sealer.finish()
    }

    /// Opens what was sealed, piece by piece.
    pub fn open<R: Read>(&self, sealed: R) -> Opened<R> {
        Opened {
            sealed,
            key: self.clone(),
            cipher: None,
            number: 0,
            next: Vec::new(),
            ready: Zeroizing::default(),
            at: 0,
        }
    }

    fn cipher(&self, salt: &[u8]) -> ChaCha20Poly1305 {
        let mut own = <Hmac<Sha256>>::new_from_slice(&*self.0).expect("a key of any length will do");
        own.update(b"seal");
        own.update(salt);
        ChaCha20Poly1305::new(&own.finalize().into_bytes())
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostKey")
    }
}

/// A digest in the making.
#[derive(Clone)]
pub struct Digester(Hmac<Sha256>);

impl Digester {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Half of the digest, with these bytes at the end.
    pub(crate) fn finish_short(mut self, bytes: &[u8]) -> (u64, u64) {
        self.0.update(bytes);
        let whole = self.0.finalize().into_bytes();
        let number = |from: usize| u64::from_le_bytes(std::array::from_fn(|at| whole[from + at]));
        (number(0), number(8))
    }

    /// The digest, in hexadecimal.
    pub fn finish(self) -> String {
        hex(&self.0.finalize().into_bytes())
    }
}

/// Seals what is written to it. Without [`finish`](Sealer::finish) it does not open again.
pub struct Sealer<W> {
    to: W,
    cipher: ChaCha20Poly1305,
    number: u64,
    piece: Zeroizing<Vec<u8>>,
}

impl<W: Write> Sealer<W> {
    /// Seals the last piece.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self) -> Result<W> {
        self.flush_piece(true)?;
        Ok(self.to)
    }

    fn flush_piece(&mut self, last: bool) -> io::Result<()> {
        let sealed = self.cipher.encrypt(&nonce(self.number, last), Payload::from(self.piece.as_slice()));
        self.to.write_all(&sealed.map_err(|_| io::Error::other("a content cannot be sealed"))?)?;
        self.piece.clear();
        self.number += 1;
        Ok(())
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full piece waits until more comes: it may be the last.
        if self.piece.len() == CHUNK && !bytes.is_empty() {
            self.flush_piece(false)?;
        }
        let length = bytes.len().min(CHUNK - self.piece.len());
        self.piece.extend_from_slice(&bytes[..length]);
        Ok(length)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A sealed content that is being read.
pub struct Opened<R> {
    sealed: R,
    key: HostKey,
    cipher: Option<ChaCha20Poly1305>,
    number: u64,
    next: Vec<u8>,
    ready: Zeroizing<Vec<u8>>,
    at: usize,
}

impl<R: Read> Opened<R> {
    /// Opens the next piece; whether there was one.
    fn advance(&mut self) -> io::Result<bool> {
        let cipher = match &self.cipher {
            Some(cipher) => cipher,
            None => {
                let mut salt = [0; LENGTH];
                self.sealed.read_exact(&mut salt)?;
                fill_to(&mut self.sealed, &mut self.next, CHUNK + TAG)?;
                self.cipher.insert(self.key.cipher(&salt))
            }
        };
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a sealed content is damaged, or not of this host");
        if self.next.is_empty() {
            // Even of nothing one piece is sealed.
            return if self.number == 0 { Err(damaged()) } else { Ok(false) };
        }
        let piece = std::mem::take(&mut self.next);
        fill_to(&mut self.sealed, &mut self.next, CHUNK + TAG)?;
        let opened = cipher.decrypt(&nonce(self.number, self.next.is_empty()), Payload::from(piece.as_slice()));
        self.ready = Zeroizing::new(opened.map_err(|_| damaged())?);
        self.number += 1;
        self.at = 0;
        Ok(true)
    }
}

impl<R: Read> Read for Opened<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.ready.len() {
            if !self.advance()? {
                return Ok(0);
            }
        }
        let length = buffer.len().min(self.ready.len() - self.at);
        buffer[..length].copy_from_slice(&self.ready[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

/// Whether something was written down with a key.
fn has_past(store: &dyn StateStore) -> Result<bool> {
    Ok(store.size("ledger")? > 0 || !store.list("runs")?.is_empty() || !store.list(BLOBS)?.is_empty())
}

/// The error for a journal that was written with a key, and has none.
pub(crate) fn lost() -> Error {
    Error::new(ErrorKind::NotFound, "the key of this host is lost").with_hint(
        "what earlier runs kept is sealed with it: restore the file `key` of the journal from a backup, or move the whole journal away \
         to go on without its past",
    )
}

/// What follows the key in its file, so that a damaged one is known.
fn check_of(key: &[u8; LENGTH]) -> [u8; 8] {
    let digest = Sha256::digest(key);
    std::array::from_fn(|place| digest[place])
}

fn nonce(number: u64, last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    nonce[8] = last.into();
    nonce.into()
}

fn fill_to(content: &mut impl Read, piece: &mut Vec<u8>, most: usize) -> io::Result<()> {
    piece.clear();
    content.take(most as u64).read_to_end(piece).map(drop)
}

pub(super) fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    #[cfg(test)]
    if let Some(next) = tests::FIXED.take() {
        tests::FIXED.set(Some(next.wrapping_add(1)));
        return Ok([next; N]);
    }
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::new(ErrorKind::Io, format!("the system gives no random bytes: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
pub(crate) use tests::with_fixed_randomness;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::MemoryStore;
    use proptest::prelude::*;

    thread_local! {
        /// The next byte, where randomness is fixed.
        pub(super) static FIXED: std::cell::Cell<Option<u8>> = const { std::cell::Cell::new(None) };
    }

    /// Keys and seals are the same each time.
    pub(crate) fn with_fixed_randomness<T>(work: impl FnOnce() -> T) -> T {
        FIXED.set(Some(1));
        let result = work();
        FIXED.set(None);
        result
    }

    fn opened(key: &HostKey, sealed: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        key.open(sealed).read_to_end(&mut content).map(|_| content)
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_key_only() {
        let key = HostKey::random().unwrap();
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let content: Vec<u8> = (0..length).map(|place| (place % 251) as u8).collect();
            let sealed = key.seal(&content).unwrap();
            assert_eq!(opened(&key, &sealed).unwrap(), content, "{length}");
            assert!(opened(&HostKey::random().unwrap(), &sealed).is_err());
        }
    }

    /// It had been taken for a content of nothing.
    #[test]
    fn a_sealed_content_of_which_only_the_salt_is_left_does_not_open() {
        let key = HostKey::random().unwrap();
        let sealed = key.seal(b"content").unwrap();
        assert!(opened(&key, &sealed[..LENGTH]).is_err());
    }

    #[test]
    fn a_store_keeps_its_key() {
        let store = MemoryStore::new();
        let key = HostKey::read_or_make(&store).unwrap();
        assert_eq!(HostKey::read_or_make(&store).unwrap().digest(b"x"), key.digest(b"x"));
        store.replace(NAME, b"short").unwrap();
        assert_eq!(HostKey::read(&store).unwrap_err().kind(), ErrorKind::Damaged);
    }

    proptest! {
        #[test]
        fn a_sealed_content_that_was_changed_or_cut_does_not_open(length in 0usize..200, place in 0usize..400, flip in 0u8..) {
            let key = HostKey::random().unwrap();
            let content = vec![7; length];
            let mut sealed = key.seal(&content).unwrap();
            let place = place % sealed.len();
            if flip == 0 { sealed.truncate(place) } else { sealed[place] ^= flip }
            prop_assert!(opened(&key, &sealed).is_err());
        }

    }

    #[test]
    fn whole_pieces_that_were_cut_off_are_missed() {
        let key = HostKey::random().unwrap();
        let sealed = key.seal(&vec![1; 3 * CHUNK]).unwrap();
        for pieces in [1, 2] {
            assert!(opened(&key, &sealed[..LENGTH + pieces * (CHUNK + TAG)]).is_err());
        }
    }
}
