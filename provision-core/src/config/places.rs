//! From the positions that Nickel keeps to spans in files that the user knows.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nickel_lang_core::files::{FileId, Files};
use nickel_lang_core::position::RawSpan;

use crate::diagnostic::{Sources, Span};

/// Whose text a place lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A site file, a file that it imports, or an override.
    User,
    /// The contract library, or Nickel's standard library.
    Library,
    /// A snippet that Nickel made up to show a value that no text gave.
    MadeUp,
}

/// A text as it is shown: lines are found by bisection, since every value of a site asks for one.
#[derive(Clone)]
struct Shown {
    name: Arc<str>,
    text: Arc<str>,
    line_starts: Vec<usize>,
}

/// How the text of an override that Nickel sees relates to the one that the user gave.
#[derive(Clone)]
struct Override {
    shown: usize,
    /// Where the value lies in the text that Nickel sees.
    value: Range<usize>,
    /// Where path and value lie in the text that is shown.
    shown_path: Range<usize>,
    shown_value: Range<usize>,
    /// Whether the value is the same text in both.
    verbatim: bool,
}

/// Knows the names and texts of files, and collects the ones that spans point into.
#[derive(Clone, Default)]
pub(super) struct Places {
    /// Files whose name is not the path that Nickel knows them by.
    names: HashMap<FileId, (Arc<str>, Origin)>,
    overrides: HashMap<FileId, Override>,
    shown: Vec<Shown>,
    by_file: HashMap<FileId, (usize, Origin)>,
    /// Imported files inside of it are named relative to it.
    directory: Option<PathBuf>,
    sources: Sources,
}

/// Where an override lies in the text of all overrides, and in the one that Nickel sees.
pub(super) struct OverridePlaces {
    pub value: Range<usize>,
    pub shown_path: Range<usize>,
    pub shown_value: Range<usize>,
    pub verbatim: bool,
}

impl Places {
    /// Names imported files relative to `directory` where they lie in it.
    pub(super) fn relative_to(directory: Option<PathBuf>) -> Places {
        Places { directory, ..Places::default() }
    }

    /// Calls a file of Nickel's by another name.
    pub(super) fn name(&mut self, file: FileId, name: &str, origin: Origin) {
        self.names.insert(file, (name.into(), origin));
    }

    /// Whether the file was given a name, because it is a source of the request's or of our own.
    pub(super) fn is_named(&self, file: FileId) -> bool {
        self.names.contains_key(&file) || self.overrides.contains_key(&file)
    }

    /// Keeps the text that stands for all overrides.
    pub(super) fn add_shown(&mut self, name: &str, text: Arc<str>) -> usize {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        self.shown.push(Shown { name: name.into(), text, line_starts });
        self.shown.len() - 1
    }

    /// Says where the override that Nickel sees as `file` was given.
    pub(super) fn add_override(&mut self, file: FileId, shown: usize, places: OverridePlaces) {
        let OverridePlaces { value, shown_path, shown_value, verbatim } = places;
        self.overrides.insert(file, Override { shown, value, shown_path, shown_value, verbatim });
    }

    /// The span for a range of a shown text.
    pub(super) fn shown_span(&mut self, shown: usize, range: Range<usize>) -> Span {
        let Shown { name, text, line_starts } = &self.shown[shown];
        if self.sources.get(name).is_none() {
            self.sources.insert(name.clone(), text.clone());
        }
        let start = boundary(text, range.start);
        let end = boundary(text, range.end.max(start));
        let line = line_starts.partition_point(|&line_start| line_start <= start);
        let column = text[line_starts[line - 1]..start].chars().count() + 1;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span { file: name.clone(), line: count(line), column: count(column), start, end }
    }

    /// The span for a position of Nickel's, and whose text it lies in.
    pub(super) fn span(&mut self, files: &Files, raw: RawSpan) -> (Span, Origin) {
        let range = raw.start.to_usize()..raw.end.to_usize();
        if let Some(place) = self.overrides.get(&raw.src_id) {
            let (shown, value) = (place.shown, place.value.clone());
            let range = if range.end <= value.start {
                place.shown_path.clone()
            } else if place.verbatim && value.start <= range.start && range.end <= value.end {
                let offset = place.shown_value.start;
                range.start - value.start + offset..range.end - value.start + offset
            } else {
                place.shown_value.clone()
            };
            return (self.shown_span(shown, range), Origin::User);
        }
        let (shown, origin) = match self.by_file.get(&raw.src_id) {
            Some(&found) => found,
            None => {
                let (name, origin) = self.identify(files, raw.src_id);
                let found = (self.add_shown(&name, files.clone_source(raw.src_id)), origin);
                self.by_file.insert(raw.src_id, found);
                found
            }
        };
        (self.shown_span(shown, range), origin)
    }

    /// The span for a position of Nickel's, if it lies in a text of the user's.
    pub(super) fn user_span(&mut self, files: &Files, raw: Option<RawSpan>) -> Option<Span> {
        let raw = raw?;
        if self.origin(files, raw.src_id) != Origin::User {
            return None;
        }
        Some(self.span(files, raw).0)
    }

    /// Whether a file is one of the site's, or one that these import: neither of ours nor an override.
    pub(super) fn is_site_file(&self, files: &Files, file: FileId) -> bool {
        !self.overrides.contains_key(&file) && self.origin(files, file) == Origin::User
    }

    fn origin(&self, files: &Files, file: FileId) -> Origin {
        match self.by_file.get(&file) {
            Some(&(_, origin)) => origin,
            None => self.identify(files, file).1,
        }
    }

    fn identify(&self, files: &Files, file: FileId) -> (Arc<str>, Origin) {
        if let Some((name, origin)) = self.names.get(&file) {
            return (name.clone(), *origin);
        }
        if self.overrides.contains_key(&file) {
            return ("--set".into(), Origin::User);
        }
        let path = Path::new(files.name(file));
        if files.is_stdlib(file) {
            return (path.display().to_string().into(), Origin::Library);
        }
        if !path.is_absolute() {
            return (path.display().to_string().into(), Origin::MadeUp);
        }
        (self.short(path).display().to_string().into(), Origin::User)
    }

    /// The path as the user would write it.
    pub(super) fn short<'p>(&self, path: &'p Path) -> &'p Path {
        let inside = self.directory.as_ref().and_then(|directory| path.strip_prefix(directory).ok());
        inside.unwrap_or(path)
    }

    /// The texts that spans point into.
    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }
}

/// The offset itself, or the nearest one before it that is inside of the text and between two characters.
fn boundary(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}
