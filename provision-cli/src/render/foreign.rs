//! Foreign text for people: names, contents and messages that come from a host, a program or a site.
//!
//! A terminal obeys control characters, and a line break forges a line. Foreign text is therefore written through
//! [`line()`], which shows such characters in visible form.

use std::fmt::{Display, Write};

use provision_core::bytes::escaped_byte;

/// Foreign text in one line: `\x1b` for a control character, `\n` for a line break, `\u{202e}` for a character that changes the
/// direction of text or is a line break of Unicode, `\xNN` for a byte that is not UTF-8.
pub fn line(text: impl Display) -> String {
    let mut shown = String::new();
    text.to_string().chars().for_each(|character| push(&mut shown, character));
    shown
}

/// Adds a foreign character in visible form.
pub fn push(shown: &mut String, character: char) {
    // Writing to a string does not fail.
    let _ = match character {
        '\n' => shown.write_str("\\n"),
        '\r' => shown.write_str("\\r"),
        '\t' => shown.write_str("\\t"),
        '\0'..='\u{1f}' | '\u{7f}' => write!(shown, "\\x{:02x}", u32::from(character)),
        _ if changes_the_display(character) => write!(shown, "\\u{{{:x}}}", u32::from(character)),
        _ => match escaped_byte(character) {
            Some(byte) => write!(shown, "\\x{byte:02X}"),
            None => shown.write_char(character),
        },
    };
}

/// A line of a content: as [`line()`], with tabs as they are.
pub fn content(text: &str) -> String {
    text.split('\t').map(line).collect::<Vec<_>>().join("\t")
}

/// A source text with something harmless, of the same length in bytes, in place of each character that a terminal would obey:
/// places in it stay what they are.
pub fn in_place(text: &str) -> String {
    let harmless = |character: char| match character {
        '\n' | '\t' => character,
        '\0'..='\u{1f}' | '\u{7f}' => '?',
        _ if !changes_the_display(character) => character,
        _ if character.len_utf8() == 2 => '\u{bf}',
        _ if character.len_utf8() == 3 => char::REPLACEMENT_CHARACTER,
        _ => '\u{1f7d0}',
    };
    text.replace("\r\n", " \n").replace('\r', "?").chars().map(harmless).collect()
}

/// Control characters of the second set, marks of direction (UAX #9), separators of lines and paragraphs, and tags.
pub fn changes_the_display(character: char) -> bool {
    matches!(
        character,
        '\u{80}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(line("zz\x1b[10F\x1b[Jx\ny\u{9b}m\u{202e}"), r"zz\x1b[10F\x1b[Jx\ny\u{9b}m\u{202e}");
        assert_eq!(line("J\u{10FFF6}rg"), r"J\xF6rg");
        assert_eq!(line("Jörg 😀"), "Jörg 😀");
        assert_eq!(content("a\tb\r"), "a\tb\\r");
    }

    #[test]
    fn no_control_character_passes() {
        for number in 0..=0x10_FFFF {
            let Some(character) = char::from_u32(number) else { continue };
            let shown = line(character);
            assert!(!shown.chars().any(char::is_control), "{number:x}: {shown:?}");
            let same = in_place(&character.to_string());
            assert!(same.len() == character.len_utf8() && !same.trim_matches(['\n', '\t']).contains(char::is_control));
        }
    }
}
