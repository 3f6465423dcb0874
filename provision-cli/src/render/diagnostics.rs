//! Mistakes in a site, with carets under the text that is meant.

use std::collections::BTreeMap;
use std::io::Write;

use codespan_reporting::diagnostic as codespan;
use codespan_reporting::files::SimpleFiles;
use codespan_reporting::term;
use provision_core::diagnostic::{Diagnostic, Diagnostics, Severity, Sources};

use super::{foreign, style};
use crate::output;

/// Shows what is odd about a site.
pub fn warnings(list: &[Diagnostic], sources: &Sources) {
    show(list, sources);
}

/// Shows everything that is wrong with a site, and how much it is.
pub fn all(diagnostics: &Diagnostics) {
    show(&diagnostics.list, &diagnostics.sources);
    let errors = diagnostics.list.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    let style = style::FAIL;
    let s = if errors == 1 { "" } else { "s" };
    let _ =
        writeln!(output::stderr(), "{style}{errors} error{s}{style:#}: the site is invalid, and no host was touched");
}

fn show(list: &[Diagnostic], sources: &Sources) {
    let mut files = SimpleFiles::new();
    let numbers: BTreeMap<&str, usize> =
        sources.iter().map(|(name, text)| (&**name, files.add(foreign::line(name), foreign::in_place(text)))).collect();
    let config = term::Config { end_context_lines: 2, start_context_lines: 2, ..term::Config::default() };
    let mut out = output::stderr();
    for diagnostic in list {
        let mut rendered = Vec::new();
        let prepared = prepare(diagnostic, &numbers);
        let mut styles = term::termcolor::Ansi::new(&mut rendered);
        if term::emit_to_write_style(&mut styles, &config, &files, &prepared).is_ok() {
            let _ = out.write_all(&rendered);
        } else {
            let _ = writeln!(out, "{}", foreign::line(diagnostic));
        }
    }
}

fn prepare(diagnostic: &Diagnostic, numbers: &BTreeMap<&str, usize>) -> codespan::Diagnostic<usize> {
    let severity = match diagnostic.severity {
        Severity::Warning => codespan::Severity::Warning,
        Severity::Error => codespan::Severity::Error,
    };
    let mut notes: Vec<String> = diagnostic.notes.iter().map(|note| lines(note)).collect();
    let mut labels = Vec::new();
    for label in &diagnostic.labels {
        let Some(file) = numbers.get(&*label.span.file) else {
            // Declared by a Rust program, whose text is not at hand.
            notes.push(foreign::line(format!("{}: {}", label.span, label.message)));
            continue;
        };
        let style = if label.primary { codespan::LabelStyle::Primary } else { codespan::LabelStyle::Secondary };
        let range = label.span.start..label.span.end;
        labels.push(codespan::Label::new(style, *file, range).with_message(foreign::line(&label.message)));
    }
    notes.extend(diagnostic.help.as_ref().map(|help| lines(&format!("help: {help}"))));
    codespan::Diagnostic::new(severity)
        .with_message(foreign::line(&diagnostic.message))
        .with_labels(labels)
        .with_notes(notes)
}

/// A text of several lines, each shown as foreign text.
fn lines(text: &str) -> String {
    text.split('\n').map(foreign::content).collect::<Vec<_>>().join("\n")
}
