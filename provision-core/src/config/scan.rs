//! What must not reach Nickel's parsers: a number whose exponent would take all memory to write out, and an import of
//! what is no regular file and would be waited for.
//!
//! Texts are only skimmed, strings and comments skipped. What is not recognised here is left to the parsers.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use nickel_lang_core::cache::InputFormat;

use super::files::{self, Loaded, NOWHERE};
use super::session::LIBRARY;
use crate::diagnostic::{Diagnostic, Sources, Span};

/// Powers of ten beyond this are no quantity of anything.
const MAX_EXPONENT: u64 = 100_000;

/// A piece of a text that matters here.
#[derive(Debug, PartialEq)]
enum Found {
    /// A number that is too large, or too close to zero.
    Number(std::ops::Range<usize>),
    /// The file that an import names.
    Import(std::ops::Range<usize>, String),
}

/// Skims the sources of a site and all that they import.
pub(super) fn check(
    loaded: &[Loaded],
    import_paths: &[PathBuf],
    overrides: &[(String, String)],
) -> (Vec<Diagnostic>, Sources) {
    let (mut diagnostics, mut sources) = (Vec::new(), Sources::default());
    for (path, value) in overrides {
        if skim(value, InputFormat::Nickel).iter().any(|found| matches!(found, Found::Number(_))) {
            let message = format!("--set {path}: the number {value} is out of all bounds");
            diagnostics.push(Diagnostic::error(message).help(format!("exponents go up to {MAX_EXPONENT}")));
        }
    }
    let mut seen: BTreeSet<PathBuf> = loaded.iter().map(|source| source.path.clone()).collect();
    let mut todo: Vec<(String, PathBuf, InputFormat, Arc<str>)> = loaded
        .iter()
        .map(|source| (source.name.clone(), source.path.clone(), source.format, source.text.as_str().into()))
        .collect();
    while let Some((name, path, format, text)) = todo.pop() {
        for found in skim(&text, format) {
            let (range, message, help) = match found {
                Found::Number(range) => {
                    let message = format!("the number {} is out of all bounds", &text[range.clone()]);
                    (range, message, format!("exponents go up to {MAX_EXPONENT}"))
                }
                Found::Import(range, import) => {
                    let directory = path.parent().filter(|directory| !directory.starts_with(NOWHERE));
                    let places = directory.into_iter().chain(import_paths.iter().map(PathBuf::as_path));
                    let Some(imported) = places.map(|place| place.join(&import)).find(|path| files::is_readable(path))
                    else {
                        continue;
                    };
                    if files::is_file(&imported) {
                        let is_library = imported.file_name().is_some_and(|name| name == LIBRARY);
                        if !is_library
                            && seen.insert(imported.clone())
                            && let Ok(text) = files::read(&imported)
                        {
                            // A file of another name may be imported as a text.
                            let format = InputFormat::from_path(&imported).unwrap_or(InputFormat::Text);
                            todo.push((imported.display().to_string(), imported, format, text.into()));
                        }
                        continue;
                    }
                    let help = "imports are read more than once, so a pipe or a device cannot be one".to_owned();
                    (range, format!("cannot import `{import}`: it is not a regular file"), help)
                }
            };
            let span = Span::locate(name.as_str(), &text, range.start, range.end);
            sources.insert(name.as_str(), Arc::clone(&text));
            diagnostics.push(Diagnostic::error(message).at(Some(span), "").help(help));
        }
    }
    (diagnostics, sources)
}

/// What matters in a text.
fn skim(text: &str, format: InputFormat) -> Vec<Found> {
    let mut skimming = Skimming { text, bytes: text.as_bytes(), at: 0, found: Vec::new() };
    match format {
        InputFormat::Nickel => skimming.nickel(false),
        InputFormat::Text => {}
        _ => skimming.data(),
    }
    skimming.found
}

struct Skimming<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    found: Vec<Found>,
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'\'') || byte >= 0x80
}

impl Skimming<'_> {
    fn next(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn is_next(&self, text: &str) -> bool {
        self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(text.as_bytes()))
    }

    /// An expression, to its end or, within a string, to the brace that ends it.
    fn nickel(&mut self, within: bool) {
        let mut depth = 0_usize;
        while let Some(byte) = self.next() {
            match byte {
                b'#' => self.skip_line(),
                b'"' => {
                    self.string();
                }
                b'{' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' if within && depth == 0 => return,
                b'}' => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                b'0'..=b'9' => self.number(),
                _ if is_of_word(byte) => self.word(),
                _ => self.at += 1,
            }
        }
    }

    fn word(&mut self) {
        let start = self.at;
        while self.next().is_some_and(is_of_word) {
            self.at += 1;
        }
        let word = &self.text[start..self.at];
        // m%"…"% and the like: any tag may stand before the percent signs.
        let percents = self.bytes[self.at..].iter().take_while(|byte| **byte == b'%').count();
        if percents > 0 && self.bytes.get(self.at + percents) == Some(&b'"') && (word == "m" || word.contains("-s")) {
            self.at += percents + 1;
            self.multiline(percents);
        } else if word == "import" {
            while self.next().is_some_and(|byte| byte.is_ascii_whitespace()) {
                self.at += 1;
            }
            if self.next() == Some(b'"') {
                let start = self.at;
                if let Some(path) = self.string() {
                    self.found.push(Found::Import(start..self.at, path));
                }
            }
        }
    }

    /// A string in quotes; its text if it is a plain one.
    fn string(&mut self) -> Option<String> {
        self.at += 1;
        let start = self.at;
        let mut plain = true;
        while let Some(byte) = self.next() {
            match byte {
                b'\\' => {
                    plain = false;
                    self.at += 2;
                }
                b'"' => {
                    let text = plain.then(|| self.text.get(start..self.at).map(str::to_owned)).flatten();
                    self.at += 1;
                    return text;
                }
                b'%' if self.is_next("%{") => {
                    plain = false;
                    self.at += 2;
                    self.nickel(true);
                    self.at += 1;
                }
                _ => self.at += 1,
            }
        }
        None
    }

    fn multiline(&mut self, percents: usize) {
        let end = format!("\"{}", "%".repeat(percents));
        let begin = format!("{}{{", "%".repeat(percents));
        while self.at < self.bytes.len() {
            if self.is_next(&end) {
                self.at += end.len();
                return;
            }
            if self.is_next(&begin) {
                self.at += begin.len();
                self.nickel(true);
            }
            self.at += 1;
        }
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }

    /// JSON, TOML or YAML, which have strings in quotes, and words that are none.
    fn data(&mut self) {
        while let Some(byte) = self.next() {
            match byte {
                b'#' => self.skip_line(),
                b'"' | b'\'' => self.quoted(byte),
                b'0'..=b'9' => self.number(),
                _ if is_of_word(byte) && byte != b'-' => {
                    while self.next().is_some_and(is_of_word) {
                        self.at += 1;
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    fn quoted(&mut self, quote: u8) {
        self.at += 1;
        while let Some(byte) = self.next() {
            match byte {
                b'\\' if quote == b'"' => self.at += 1,
                _ if byte == quote => break,
                _ => {}
            }
            self.at += 1;
        }
        self.at += 1;
    }

    /// Digits and what belongs to them. Only a number as a whole is one: `1e9x` is a word.
    fn number(&mut self) {
        let start = self.at;
        while self.next().is_some_and(|byte| is_of_word(byte) || matches!(byte, b'.' | b'+')) {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return };
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let is_number = mantissa.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'_'))
            && !digits.is_empty()
            && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
        let digits = digits.replace('_', "");
        if is_number && digits.parse::<u64>().map_or(true, |exponent| exponent > MAX_EXPONENT) {
            self.found.push(Found::Number(start..self.at));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(text: &str, format: InputFormat) -> usize {
        skim(text, format).iter().filter(|found| matches!(found, Found::Number(_))).count()
    }

    #[test]
    fn only_numbers_that_no_parser_should_see_are_found() {
        for (text, count) in [
            ("{ a = 1e9999999999999 }", 1),
            ("[1e-9999999, 1E+999999999999999999999999]", 2),
            ("{ a = 1e5, b = 12.5e-3, c = 1e100000 }", 0),
            ("{ a = \"1e9999999999\", b = m%\"1e9999999999\"% } # 1e9999999999", 0),
            ("\"%{std.to_string 1e9999999}\"", 1),
            ("m%%\"%{1e9999999}%%{1e9999999}\"%%", 1),
            ("a1e9999999 + 1e9999999x", 0),
        ] {
            assert_eq!(numbers(text, InputFormat::Nickel), count, "{text}");
        }
        for (text, count) in [
            ("{ \"a\": 1e9999999999999, \"1e9999999\": \"\\\"1e9999999\" }", 1),
            ("a: 1e9999999\nb: 'it 1e9999999'\nc: 0x1e9999999\nd: 31e99999ff\n", 1),
            ("a = 1_0e9_999_999 # 1e9999999", 1),
        ] {
            assert_eq!(numbers(text, InputFormat::Yaml), count, "{text}");
        }
    }

    #[test]
    fn imports_are_found() {
        let found =
            skim("let a = import \"a b.ncl\" in import\n  \"%{x}\" & import \"c.json\" as 'Json", InputFormat::Nickel);
        let imports: Vec<_> = found
            .into_iter()
            .filter_map(|found| if let Found::Import(_, path) = found { Some(path) } else { None })
            .collect();
        assert_eq!(imports, ["a b.ncl", "c.json"]);
    }

    proptest! {
        #[test]
        fn any_text_is_skimmed(text in "[\\PC\"%{}#'\\\\\n0-9e]{0,60}") {
            for format in [InputFormat::Nickel, InputFormat::Json] {
                skim(&text, format);
            }
        }
    }
}
