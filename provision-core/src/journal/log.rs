//! The form of a log: a record a line, each bound to all before it by its digest.
//!
//! The first line names the format and its version. Each other line is 32 hexadecimal digits, a space, and a record as JSON without line breaks. The digits are the first half of
//! the SHA-256 of the digits of the line before, or of the first line, and of this record. So a changed byte, and a line that is missing or in
//! another place, are noticed; a last line that was never written to its end is known from one that was damaged.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::bytes::hex;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Body, Format};

const DIGITS: usize = 32;

/// What the first record is bound to: the line that names the format.
pub(super) fn start(format: &Format) -> String {
    format.header().trim_end().to_owned()
}

/// A whole log of one record.
pub(super) fn single<T: Serialize>(format: &Format, record: &T) -> Result<Vec<u8>> {
    Ok([format.header().into_bytes(), line(record, &mut start(format))?].concat())
}

/// Reads a log of one record that was put in place whole.
///
/// # Errors
/// It is damaged, cut off, or of a later version.
pub(super) fn read_single<'a, T: Deserialize<'a>>(format: &Format, bytes: &'a [u8]) -> Result<T> {
    let record = read(format, bytes)?.records.into_iter().next();
    record.ok_or_else(|| Error::new(ErrorKind::Damaged, "it is cut off"))
}

/// A record as a line that follows the one with the digest `last`; the digest of the new line takes its place.
pub(super) fn line<T: Serialize>(record: &T, last: &mut String) -> Result<Vec<u8>> {
    let json = serde_json::to_string(record)
        .map_err(|error| Error::new(ErrorKind::Invalid, format!("a record cannot be written down: {error}")))?;
    *last = digest(last, json.as_bytes());
    Ok(format!("{last} {json}\n").into_bytes())
}

/// What a log holds.
#[derive(Debug)]
pub(super) struct Log<T> {
    pub(super) records: Vec<T>,
    /// The digest of the last line.
    pub(super) last: String,
    /// The length of the lines that are whole, in bytes.
    pub(super) whole: usize,
}

/// Reads a log. A last line that was not written to its end is passed over: what it was about to say did not happen yet.
///
/// # Errors
/// A line is damaged, and the message says which; or it is of a later version.
pub(super) fn read<'a, T: Deserialize<'a>>(format: &Format, bytes: &'a [u8]) -> Result<Log<T>> {
    let mut log = Log { records: Vec::new(), last: String::new(), whole: 0 };
    let Body::Whole(body) = format.body(bytes)? else { return Ok(log) };
    log.whole = bytes.len() - body.len();
    log.last = str::from_utf8(&bytes[..log.whole]).unwrap_or_default().trim_end().to_owned();
    while log.whole < bytes.len() {
        let rest = &bytes[log.whole..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return if is_torn(rest, &log.last) { Ok(log) } else { Err(damaged(log.records.len())) };
        };
        let json = checked(&rest[..end], &log.last).ok_or_else(|| damaged(log.records.len()))?;
        let record = serde_json::from_slice(json).map_err(|error| {
            Error::new(ErrorKind::Damaged, format!("record {} is not understood: {error}", log.records.len() + 1))
        })?;
        log.last = digest(&log.last, json);
        log.records.push(record);
        log.whole += end + 1;
    }
    Ok(log)
}

/// The record of a line whose digest is right.
fn checked<'a>(line: &'a [u8], last: &str) -> Option<&'a [u8]> {
    let (digits, rest) = line.split_at_checked(DIGITS)?;
    let json = rest.strip_prefix(b" ")?;
    (digits == digest(last, json).as_bytes()).then_some(json)
}

/// Whether bytes are the beginning of a line, and not a whole one whose end was changed.
fn is_torn(rest: &[u8], last: &str) -> bool {
    rest.split_last().is_none_or(|(_, line)| checked(line, last).is_none())
}

fn damaged(before: usize) -> Error {
    Error::new(ErrorKind::Damaged, format!("record {} is damaged", before + 1))
}

fn digest(last: &str, json: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(last.as_bytes());
    hash.update(json);
    hex(&hash.finalize()[..DIGITS / 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FORMAT: Format = Format { name: "test", noun: "the log", version: 1 };

    fn written(records: &[String]) -> Vec<u8> {
        let mut last = start(&FORMAT);
        let lines = records.iter().flat_map(|record| line(record, &mut last).unwrap());
        FORMAT.header().into_bytes().into_iter().chain(lines).collect()
    }

    proptest! {
        #[test]
        fn a_log_cut_anywhere_holds_a_prefix(records in proptest::collection::vec("[a-z\n\"é]{0,12}", 0..5), cut in 0usize..400) {
            let bytes = written(&records);
            let cut = cut.min(bytes.len());
            let log = read::<String>(&FORMAT, &bytes[..cut]).unwrap();
            prop_assert!(records.starts_with(&log.records));
            prop_assert!(log.whole <= cut);
        }

        #[test]
        fn a_changed_byte_is_noticed(records in proptest::collection::vec("[a-z]{0,12}", 1..5), place in 0usize..400, flip in 1u8..) {
            let mut bytes = written(&records);
            let place = place % bytes.len();
            bytes[place] ^= flip;
            prop_assert!(read::<String>(&FORMAT, &bytes).is_err());
        }
    }
}
