//! Standard output and standard error.
//!
//! A terminal obeys control characters, so all text for people passes a writer that shows them in visible form, whoever wrote
//! it; of escape sequences only the colours of this program pass. [`foreign::line`](crate::render::foreign::line) does more
//! for a piece of foreign text: it keeps it in one line. JSON passes a writer that escapes the same characters as JSON does.

#[cfg(test)]
pub mod captured;
#[cfg(not(test))]
mod streams;

use std::io::{self, StdoutLock, Write};

use crate::render::foreign;

#[cfg(test)]
use captured as streams;

/// What writes standard output for people.
pub type Stdout = Visible<streams::Out>;

/// Standard output for people.
pub fn stdout() -> Stdout {
    Visible(streams::out())
}

/// Standard error for people.
pub fn stderr() -> Visible<streams::Diagnostics> {
    Visible(streams::diagnostics())
}

/// Standard output for JSON.
pub fn json() -> Escaped<streams::Documents> {
    Escaped(streams::documents())
}

/// Standard output for bytes that are wanted as they are: a secret, a script, a text that this program makes.
pub fn raw() -> StdoutLock<'static> {
    #[expect(clippy::disallowed_methods, reason = "for what must not be changed")]
    io::stdout().lock()
}

/// Shows control characters in visible form, but for line breaks, tabs and the colours of this program.
pub struct Visible<W>(W);

impl<W: Write> Write for Visible<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t')) {
            return self.0.write(bytes);
        }
        self.0.write_all(visible(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn visible(mut text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 16);
    while let Some(character) = text.chars().next() {
        let own = if character == '\x1b' { own_color(text) } else { 0 };
        let length = own.max(character.len_utf8());
        match character {
            _ if own > 0 => shown.push_str(&text[..own]),
            '\n' | '\t' => shown.push(character),
            _ => foreign::push(&mut shown, character),
        }
        text = &text[length..];
    }
    shown
}

/// The length of the sequence that a text begins with, if it sets a colour or a weight that this program uses; see
/// `console_codes(4)`, "ECMA-48 Select Graphic Rendition". Black, backgrounds and what conceals text are not among them.
pub fn own_color(text: &str) -> usize {
    let Some(end) = text.strip_prefix("\x1b[").and_then(|rest| rest.find('m')) else { return 0 };
    let parameters: Vec<Option<u8>> = text[2..2 + end].split(';').map(|number| number.parse().ok()).collect();
    let is_own = match parameters[..] {
        [Some(38), Some(5), Some(color)] => matches!(color, 1..=6 | 9..=14),
        _ => parameters.iter().all(|number| matches!(number, Some(0..=4 | 22..=24 | 31..=36 | 39 | 91..=96))),
    };
    if is_own { end + 3 } else { 0 }
}

/// Escapes in JSON what a terminal would obey. Such characters stand only in texts, where `\u` may take their place.
pub struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Control characters of ASCII are escaped already, but for the last one.
        if bytes.iter().all(|byte| *byte < 0x7f) {
            return self.0.write(bytes);
        }
        let mut escaped = String::with_capacity(bytes.len() + 16);
        for character in String::from_utf8_lossy(bytes).chars() {
            if character == '\u{7f}' || foreign::changes_the_display(character) {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                escaped.push(character);
            }
        }
        self.0.write_all(escaped.as_bytes())?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::style;
    use proptest::prelude::*;

    fn written(text: &str) -> String {
        let mut out = Visible(Vec::new());
        out.write_all(text.as_bytes()).unwrap();
        String::from_utf8(out.0).unwrap()
    }

    #[test]
    fn colours_of_this_program_pass_and_other_sequences_are_shown() {
        for style in [style::ID, style::ADD, style::CHANGE, style::REMOVE, style::FAIL, style::FAINT, style::HINT] {
            let text = format!("{style}text{style:#}\n");
            assert_eq!(written(&text), text);
        }
        assert_eq!(written("\x1b[1m\x1b[38;5;9merror\x1b[0m"), "\x1b[1m\x1b[38;5;9merror\x1b[0m", "of diagnostics");
        for hostile in
            ["\x1b[8m", "\x1b[30m", "\x1b[40m", "\x1b[38;5;0m", "\x1b[m", "\x1b[2J", "\x1b]0;title\x07", "\x1b"]
        {
            assert!(!written(hostile).contains('\x1b'), "{hostile:?}");
        }
        assert_eq!(written("a\r\u{9b}m\u{202e}\tb"), "a\\r\\u{9b}m\\u{202e}\tb");
    }

    proptest! {
        #[test]
        fn no_foreign_control_character_comes_out(text in "(\\PC|\\p{C}|\x1b\\[[0-9;]{0,6}[a-zA-Z]){0,20}") {
            let shown = written(&text);
            let mut rest = shown.as_str();
            while let Some(place) = rest.find('\x1b') {
                let length = own_color(&rest[place..]);
                prop_assert!(length > 0, "{shown:?}");
                rest = &rest[place + length..];
            }
            let is_bad = |c: char| (c.is_control() && !matches!(c, '\n' | '\t' | '\x1b')) || foreign::changes_the_display(c);
            prop_assert!(!shown.contains(is_bad), "{shown:?}");
        }

        #[test]
        fn json_says_the_same_without_such_characters(text in "(\\PC|\\p{C}){0,20}") {
            let mut out = Escaped(Vec::new());
            serde_json::to_writer(&mut out, &text).unwrap();
            let written = String::from_utf8(out.0).unwrap();
            prop_assert!(!written.contains(|c: char| c.is_control() || foreign::changes_the_display(c)), "{written:?}");
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        }
    }
}
