//! Bytes of a host as text, and back, without a loss.
//!
//! File names, targets of links, account files and the files of the package manager are bytes; that they are UTF-8 is a
//! habit, which programs and users break. Text that comes from a host is therefore *host text*: valid UTF-8 stays as it is,
//! and each byte `0x80..=0xFF` of an invalid sequence becomes the character `U+10FF00` plus that byte, from the end of a
//! private plane. Bytes of those characters themselves count as invalid, so two different texts of bytes never become
//! one. The idea is that of `surrogateescape` of Python (PEP 383).
//!
//! What is ASCII stays ASCII, and nothing else becomes it: host text can be split at `:`, `/` and line breaks.

use std::borrow::Cow;
use std::fmt;

/// The character that stands for the byte 0, if that byte needed one.
const BASE: u32 = 0x10_FF00;

/// How the characters that stand for bytes begin in UTF-8: `F4 8F BE` and `F4 8F BF`.
fn stands_for_a_byte(encoded: &[u8]) -> bool {
    matches!(encoded, [0xF4, 0x8F, 0xBE | 0xBF, _, ..])
}

/// The byte that a character stands for; `None` for every character that means itself.
pub fn escaped_byte(character: char) -> Option<u8> {
    let byte = u8::try_from(u32::from(character).checked_sub(BASE)?).ok()?;
    (byte >= 0x80).then_some(byte)
}

/// The character that stands for a byte of an invalid sequence.
fn escape(byte: u8) -> char {
    char::from_u32(BASE + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Bytes as host text. Nothing is copied if they are plain UTF-8.
///
/// ```
/// use provision_core::bytes::{from_bytes, to_bytes, visible};
///
/// let name = from_bytes(b"J\xF6rg");
/// assert_eq!(*to_bytes(&name), *b"J\xF6rg");
/// assert_eq!(visible(&name).to_string(), r"J\xF6rg");
/// ```
pub fn from_bytes(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && !has_escapes(text)
    {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 2);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match escaped_byte(character) {
                None => text.push(character),
                Some(_) => {
                    let mut encoded = [0; 4];
                    text.extend(character.encode_utf8(&mut encoded).bytes().map(escape));
                }
            }
        }
        text.extend(chunk.invalid().iter().copied().map(escape));
    }
    Cow::Owned(text)
}

/// The bytes that host text stands for. Nothing is copied if it is plain UTF-8.
pub fn to_bytes(text: &str) -> Cow<'_, [u8]> {
    if !has_escapes(text) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match escaped_byte(character) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

/// Whether host text stands for bytes that are not its own UTF-8.
pub fn has_escapes(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut from = 0;
    // Such characters are rare: their first byte begins no other but those of a private plane.
    while let Some(found) = bytes[from..].iter().position(|byte| *byte == 0xF4) {
        if stands_for_a_byte(&bytes[from + found..]) {
            return true;
        }
        from += found + 1;
    }
    false
}

/// Host text for people: a byte that is not UTF-8 is shown as `\xNN`. Everything else is shown as it is.
pub fn visible(text: &str) -> Visible<'_> {
    Visible(text)
}

/// See [`visible`].
#[derive(Clone, Copy, Debug)]
pub struct Visible<'t>(&'t str);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !has_escapes(self.0) {
            return f.write_str(self.0);
        }
        for character in self.0.chars() {
            match escaped_byte(character) {
                Some(byte) => write!(f, "\\x{byte:02X}")?,
                None => write!(f, "{character}")?,
            }
        }
        Ok(())
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes that are valid here and there, and now and then a character that stands for a byte.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            "[a-zé€😀:/\n]{0,4}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..4),
            (0x10_FF00u32..=0x10_FFFF).prop_map(|c| char::from_u32(c).unwrap().to_string().into_bytes()),
            Just(vec![0xF4, 0x8F]),
            Just(vec![0xBE]),
        ];
        proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    #[test]
    fn a_name_that_is_not_utf_8_is_shown_with_its_bytes() {
        let text = from_bytes(b"a\xF6/\xE2\x82");
        assert_eq!(visible(&text).to_string(), r"a\xF6/\xE2\x82");
        assert_eq!(text, "a\u{10FFF6}/\u{10FFE2}\u{10FF82}");
        assert_eq!(visible("Jörg").to_string(), "Jörg");
        assert!(matches!(from_bytes("Jörg 😀".as_bytes()), Cow::Borrowed("Jörg 😀")));
        // What stands for a byte does not stand for itself.
        let genuine = "\u{10FFF6}".as_bytes();
        assert_eq!(visible(&from_bytes(genuine)).to_string(), r"\xF4\x8F\xBF\xB6");
    }

    proptest! {
        #[test]
        fn bytes_survive_being_text(bytes in bytes()) {
            let text = from_bytes(&bytes);
            prop_assert_eq!(&*to_bytes(&text), &*bytes);
            prop_assert_eq!(from_bytes(&to_bytes(&text)).into_owned(), text.into_owned());
        }

        #[test]
        fn any_text_means_bytes_and_text_without_escapes_itself(text in any::<String>(), escapes in "[\u{10FF80}-\u{10FFFF}a]{0,6}") {
            if !has_escapes(&text) {
                prop_assert_eq!(&*to_bytes(&text), text.as_bytes());
                prop_assert_eq!(&*from_bytes(text.as_bytes()), &*text);
            }
            let text = text + &escapes;
            let bytes = to_bytes(&text).into_owned();
            prop_assert_eq!(to_bytes(&from_bytes(&bytes)).into_owned(), bytes);
        }

        #[test]
        fn text_is_split_where_bytes_are(bytes in bytes()) {
            let of_text: Vec<Vec<u8>> = from_bytes(&bytes).split(':').map(|part| to_bytes(part).into_owned()).collect();
            let of_bytes: Vec<Vec<u8>> = bytes.split(|byte| *byte == b':').map(<[u8]>::to_vec).collect();
            prop_assert_eq!(of_text, of_bytes);
        }
    }
}
