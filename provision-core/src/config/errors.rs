//! From Nickel's errors to diagnostics that speak of the site.

use std::path::Path;

use codespan_reporting::diagnostic::{Diagnostic as Report, Label as ReportLabel, LabelStyle, Severity};
use nickel_lang_core::error::{
    Error, EvalErrorData, EvalErrorKind, ImportErrorKind, IntoDiagnostics, TypecheckErrorKind,
};
use nickel_lang_core::files::{FileId, Files};
use nickel_lang_core::position::{RawSpan, TermPos};

use crate::diagnostic::{Diagnostic, Label, Span};

use super::files::{NOWHERE, read};
use super::places::{Origin, Places};

/// What is wrong, for people. Most errors are one diagnostic; syntax errors come several at a time.
pub(super) fn describe(error: Error, files: &Files, places: &mut Places) -> Vec<Diagnostic> {
    if let Some(ImportErrorKind::IOError(path, _, position)) = import_error(&error) {
        return vec![missing_import(&path, position, files, places)];
    }
    let merged_at = match &error {
        Error::EvalError(eval) if is_array_conflict(&error) => merge_position(eval),
        _ => None,
    };
    let conflict = matches!(&error, Error::EvalError(error)
        if matches!(error.error, EvalErrorKind::MergeIncompatibleArgs { .. }));
    let is_array_conflict = is_array_conflict(&error);
    // Describing adds made-up snippets to the files: a copy keeps them out of the session.
    let mut files = files.clone();
    let reports = error.into_diagnostics(&mut files);
    let mut diagnostics = convert(reports, &files, places);
    if let Some(diagnostic) = diagnostics.first_mut() {
        if conflict {
            reword_conflict(diagnostic);
        } else if is_array_conflict {
            let span = places.user_span(&files, merged_at);
            *diagnostic = diagnostic.clone().see(span, "merged here");
            reword_conflict(diagnostic);
            diagnostic.notes.push("Arrays do not add up: only equal ones can be merged".to_owned());
        }
    }
    diagnostics
}

/// What is wrong with an import, if that is the error. The type checker finds it, or what runs later without it.
pub(super) fn import_error(error: &Error) -> Option<ImportErrorKind> {
    match error {
        Error::ImportError(kind) => Some((**kind).clone()),
        Error::TypecheckError(error) => match error.borrow_error() {
            TypecheckErrorKind::ImportError(kind) => Some(kind.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// How Nickel explains the contract that it makes up to compare two arrays.
const ARRAY_CONTRACT: &str = "This equality contract was auto-generated from a merge operation on two arrays";

/// Whether two arrays were merged that are not equal.
pub(super) fn is_array_conflict(error: &Error) -> bool {
    let Error::EvalError(error) = error else { return false };
    let EvalErrorKind::BlameError { label, .. } = &error.error else { return false };
    let notes = label.diagnostics.iter().flat_map(|reason| &reason.notes);
    notes.into_iter().any(|note| note.starts_with(ARRAY_CONTRACT))
}

/// Two arrays for one field.
pub(super) fn array_conflict(field: &str, one: Option<Span>, other: Option<Span>) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(CONFLICT).at(one, "this value").at(other, "conflicts with this one");
    diagnostic = diagnostic.note("Arrays do not add up: only equal ones can be merged");
    diagnostic.note(format!("Found while evaluating `{field}`")).help(CONFLICT_HELP)
}

const CONFLICT: &str = "two different values for one field";
const CONFLICT_HELP: &str = "give one of them a lower priority with `| default`, or a higher one with `| force`";

/// Where two arrays were merged that are not equal: Nickel reports that as a contract of its own making.
fn merge_position(error: &EvalErrorData) -> Option<RawSpan> {
    match &error.error {
        EvalErrorKind::BlameError { label, .. } => error.ctxt.pos_table.get(label.span).into_opt(),
        _ => None,
    }
}

fn reword_conflict(diagnostic: &mut Diagnostic) {
    diagnostic.message = CONFLICT.to_owned();
    diagnostic.notes.clear();
    for label in &mut diagnostic.labels {
        label.message = match label.message.as_str() {
            "cannot merge this expression" | "applied to this expression" => "this value".to_owned(),
            "with this expression" => "conflicts with this one".to_owned(),
            "originally merged here" => "merged here".to_owned(),
            other => other.to_owned(),
        };
    }
    diagnostic.help = Some(CONFLICT_HELP.to_owned());
}

fn missing_import(path: &str, position: TermPos, files: &Files, places: &mut Places) -> Diagnostic {
    let span = places.user_span(files, position.into_opt());
    let importing = position.src_id().map(|file| Path::new(files.name(file)));
    // Nickel tries the next directory when a file is there but cannot be read, and then says that it is not there.
    let why = match importing.filter(|importing| !importing.starts_with(NOWHERE)) {
        Some(importing) => read(&importing.with_file_name(path)).err(),
        None => None,
    };
    let why = why.unwrap_or_else(|| "there is no such file".to_owned());
    Diagnostic::error(format!("cannot import `{path}`: {why}"))
        .at(span, "imported here")
        .note("Imports are looked up beside the file that imports, then in the import paths")
}

/// Takes Nickel's reports over: an error, and the notes that follow it, are one diagnostic.
fn convert(reports: Vec<Report<FileId>>, files: &Files, places: &mut Places) -> Vec<Diagnostic> {
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    for report in reports {
        let mut labels = labels(&report.labels, files, places);
        match diagnostics.last_mut() {
            Some(diagnostic) if report.severity <= Severity::Note => {
                if !report.message.is_empty() {
                    diagnostic.notes.push(one_line(&report.message));
                }
                diagnostic.notes.extend(report.notes.iter().map(|note| one_line(note)));
                for label in &mut labels.user {
                    label.primary = false;
                }
                diagnostic.labels.append(&mut labels.user);
            }
            _ => {
                let mut diagnostic = Diagnostic::error(message(&report.message));
                diagnostic.labels = if labels.user.is_empty() { labels.library } else { labels.user };
                diagnostic.notes = report.notes.iter().map(|note| one_line(note)).collect();
                diagnostic.notes.append(&mut labels.values);
                diagnostics.push(diagnostic);
            }
        }
    }
    diagnostics
}

/// The labels of a report, by whose text they point into.
#[derive(Default)]
struct Labels {
    user: Vec<Label>,
    library: Vec<Label>,
    /// Values that stand in no text, said in words.
    values: Vec<String>,
}

/// A value longer than this is not worth a note.
const SHORT: usize = 60;

fn labels(reported: &[ReportLabel<FileId>], files: &Files, places: &mut Places) -> Labels {
    let mut labels = Labels::default();
    for label in reported {
        let raw = RawSpan::from_range(label.file_id, label.range.clone());
        let (span, origin) = places.span(files, raw);
        let text = files.source(label.file_id).get(span.start..span.end).unwrap_or_default();
        match origin {
            Origin::User => {
                let primary = label.style == LabelStyle::Primary;
                labels.user.push(Label { span, message: one_line(&label.message), primary });
            }
            Origin::Library => {
                labels.library.push(Label { span, message: one_line(&label.message), primary: false });
            }
            Origin::MadeUp => {
                // The contract that Nickel made up to compare arrays says nothing to a reader.
                let worth_saying =
                    text.len() <= SHORT && !text.contains('\n') && !label.message.starts_with("expected");
                if worth_saying && !label.message.is_empty() {
                    labels.values.push(format!("{}: {text}", one_line(&label.message)));
                }
            }
        }
    }
    let shown: Vec<&str> =
        reported.iter().filter_map(|label| files.source(label.file_id).get(label.range.clone())).collect();
    labels.values.retain(|value| {
        let text = value.split_once(": ").map_or(value.as_str(), |(_, text)| text);
        shown.iter().filter(|other| **other == text).count() < 2
    });
    labels
}

fn message(text: &str) -> String {
    let text = one_line(text);
    // The name of the file is the internal one, and the label says it.
    match text.split_once(" when parsing ") {
        Some((what @ "unexpected end of file", _)) => what.to_owned(),
        _ => text,
    }
}

/// Nickel breaks long messages into indented lines; the first break stands for a colon.
fn one_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let Some(first) = lines.next() else { return String::new() };
    lines.fold(first.to_owned(), |line, next| {
        let separator = if line.ends_with([':', ',', '.', ';']) { " " } else { ": " };
        line + separator + next.trim_start_matches(": ")
    })
}
