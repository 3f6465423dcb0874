//! What is wrong with a configuration, as plain data: where, why, and what would help.
//!
//! Nothing here prints. A program renders [`Diagnostics`] as it likes; the command line draws carets under
//! the source text that [`Sources`] carries.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A place in a source file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// The file as the user named it, or as it was imported; `<stdin>` and `--set` are names too.
    pub file: Arc<str>,
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
    /// First byte in the file.
    pub start: usize,
    /// First byte after the place.
    pub end: usize,
}

impl Span {
    /// The place `start..end` (bytes) of `text`, which is the content of `file`.
    ///
    /// Offsets past the end of the text, or inside of a character, are moved back to the nearest valid one.
    pub fn locate(file: impl Into<Arc<str>>, text: &str, start: usize, end: usize) -> Span {
        let start = text.floor_char_boundary(start.min(text.len()));
        let end = text.floor_char_boundary(end.clamp(start, text.len()));
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span {
            file: file.into(),
            line: count(before.matches('\n').count()).saturating_add(1),
            column: count(before[line_start..].chars().count()).saturating_add(1),
            start,
            end,
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The texts that spans point into, by file name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources(BTreeMap<Arc<str>, Arc<str>>);

impl Sources {
    /// Keeps the text of a file.
    pub fn insert(&mut self, file: impl Into<Arc<str>>, text: impl Into<Arc<str>>) {
        self.0.insert(file.into(), text.into());
    }

    /// The text of a file, if it is known.
    pub fn get(&self, file: &str) -> Option<&Arc<str>> {
        self.0.get(file)
    }

    /// Makes what is in these places unreadable, for what is shown of the texts. All other places stay where they are.
    pub fn mask<'s>(&mut self, places: impl IntoIterator<Item = &'s Span>) {
        let mut of_file: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
        for place in places {
            of_file.entry(&place.file).or_default().push(place);
        }
        for (file, places) in of_file {
            let Some(text) = self.0.get_mut(file) else { continue };
            let mut masked = String::from(&**text);
            for place in places {
                let Some(shown) = text.get(place.start..place.end) else { continue };
                let stars: String = shown
                    .chars()
                    .flat_map(|c| std::iter::repeat_n(if c == '\n' { c } else { '*' }, c.len_utf8()))
                    .collect();
                masked.replace_range(place.start..place.end, &stars);
            }
            *text = masked.into();
        }
    }

    /// All files and their texts, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.0.iter()
    }

    /// Takes over the texts of another collection.
    pub fn extend(&mut self, other: Sources) {
        self.0.extend(other.0);
    }
}

/// How grave a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The site still converges.
    Warning,
    /// The site is not applied.
    Error,
}

/// A place that a diagnostic speaks of, and what it says there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What to say beside it; may be empty.
    pub message: String,
    /// Whether this is the place to mend, in contrast to one that explains.
    pub primary: bool,
}

/// One mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Diagnostic {
    /// How grave it is.
    pub severity: Severity,
    /// What is wrong, in one line without a final stop.
    pub message: String,
    /// Where; the first primary label is the place to mend.
    pub labels: Vec<Label>,
    /// More to know, a sentence each.
    pub notes: Vec<String>,
    /// What would help, if that is known.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error with a message and nothing else.
    pub fn error(message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            message: message.into(),
            labels: Vec::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// A warning with a message and nothing else.
    pub fn warning(message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(message) }
    }

    /// Adds the place to mend. No place leaves the diagnostic as it is.
    #[must_use]
    pub fn at(mut self, span: Option<Span>, message: impl Into<String>) -> Diagnostic {
        self.labels.extend(span.map(|span| Label { span, message: message.into(), primary: true }));
        self
    }

    /// Adds a place that explains. No place leaves the diagnostic as it is.
    #[must_use]
    pub fn see(mut self, span: Option<Span>, message: impl Into<String>) -> Diagnostic {
        self.labels.extend(span.map(|span| Label { span, message: message.into(), primary: false }));
        self
    }

    /// Adds a sentence.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Diagnostic {
        self.notes.push(note.into());
        self
    }

    /// Says what would help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// The place to mend.
    pub fn span(&self) -> Option<&Span> {
        let primary = self.labels.iter().find(|label| label.primary);
        primary.or(self.labels.first()).map(|label| &label.span)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(span) = self.span() {
            write!(f, "{span}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, " ({help})")?;
        }
        Ok(())
    }
}

/// All that is wrong with a configuration, with the texts to show it in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostics {
    /// The mistakes, in order of their places.
    pub list: Vec<Diagnostic>,
    /// The texts that their spans point into.
    #[serde(skip)]
    pub sources: Sources,
}

impl Diagnostics {
    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Sorts by place and drops repetitions.
    pub fn normalise(&mut self) {
        self.list.sort_by(|a, b| (a.span(), &a.message).cmp(&(b.span(), &b.message)));
        self.list.dedup();
    }
}

impl From<Vec<Diagnostic>> for Diagnostics {
    fn from(list: Vec<Diagnostic>) -> Diagnostics {
        Diagnostics { list, sources: Sources::default() }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            diagnostic.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// Names of more bytes are near to none: to compare two takes time for each pair of their characters.
const LONGEST_NAME: usize = 256;

/// The candidate that `name` was most likely meant to be, if one is near enough.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let can_be_compared = |candidate: &&str| name.len().max(candidate.len()) <= LONGEST_NAME;
    candidates
        .into_iter()
        .filter(can_be_compared)
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(name.len()) / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_counts_lines_and_characters() {
        let text = "a = 1,\nü = 2,\n";
        let span = Span::locate("site.ncl", text, text.find('2').unwrap(), text.len() + 9);
        assert_eq!((span.line, span.column), (2, 5));
        assert_eq!(span.end, text.len());
        assert_eq!(span.to_string(), "site.ncl:2:5");
    }

    #[test]
    fn a_name_of_many_kilobytes_is_compared_with_nothing() {
        let (long, other) = ("1e308".repeat(20_000), "1e309".repeat(20_000));
        assert_eq!(did_you_mean(&long, [other.as_str(), "nginx"]), None);
        assert_eq!(did_you_mean("ngnix", [other.as_str(), "nginx"]), Some("nginx"));
    }

    #[test]
    fn a_masked_place_is_unreadable_and_moves_no_other() {
        let text = "user = \"ü\"\npassword = m%\"\nhünter\n\"%\nshell = 1\n";
        let place = Span::locate("site.ncl", text, text.find("m%").unwrap(), text.find("\"%").unwrap() + 2);
        let mut sources = Sources::default();
        sources.insert("site.ncl", text);
        sources.mask([&place]);
        let shown = sources.get("site.ncl").unwrap();
        assert_eq!(&**shown, "user = \"ü\"\npassword = ***\n*******\n**\nshell = 1\n");
        assert_eq!(shown.len(), text.len());
    }

    #[test]
    fn a_typo_is_recognised_and_a_stranger_is_not() {
        let attributes = ["content", "source", "owner", "mode"];
        assert_eq!(did_you_mean("contnet", attributes), Some("content"));
        assert_eq!(did_you_mean("ower", attributes), Some("owner"));
        assert_eq!(did_you_mean("frobnicate", attributes), None);
    }
}
