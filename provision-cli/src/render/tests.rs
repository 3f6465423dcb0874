//! What tests came to: for people, for programs, and as JUnit XML.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use provision_core::testing::{Coverage, Failure as TestFailure};
use serde_json::json;

use super::{foreign, style};
use crate::cli::{Format, Options};
use crate::commands::test::Outcome;
use crate::exit::Failure;
use crate::output;

/// The line that moves while checks run: only for people, at a terminal.
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// For so many checks.
    pub fn new(options: &Options, checks: usize) -> Progress {
        let shows = options.format == Format::Text && !options.quiet && std::io::stderr().is_terminal();
        let bar = shows.then(|| {
            let bar = ProgressBar::new(checks as u64);
            if let Ok(style) = ProgressStyle::with_template("{pos}/{len} {wide_msg}") {
                bar.set_style(style);
            }
            bar
        });
        Progress(bar)
    }

    /// One more is done.
    pub fn step(&self, name: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(foreign::line(name));
            bar.inc(1);
        }
    }

    /// All are done.
    pub fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Shows what failed, and a summary.
pub fn show(outcomes: &[Outcome], coverage: &Coverage, took: Duration, options: &Options) -> Result<(), Failure> {
    if options.format == Format::Json {
        return super::json::print(&document(outcomes, coverage));
    }
    let mut out = output::stdout();
    for outcome in outcomes {
        match &outcome.result {
            Ok(says) if !options.quiet => {
                let (ok, faint) = (style::ADD, style::FAINT);
                let says =
                    if says.is_empty() { String::new() } else { format!("  {faint}{}{faint:#}", foreign::line(says)) };
                writeln!(out, "{ok}ok{ok:#}   {}{says}", foreign::line(&outcome.name))?;
            }
            Ok(_) => {}
            Err(failure) => {
                let fail = style::FAIL;
                writeln!(out, "{fail}FAIL{fail:#} {}", foreign::line(&outcome.name))?;
                lines(failure).iter().try_for_each(|line| writeln!(out, "     {line}"))?;
            }
        }
    }
    let (untouched, untaken) = (coverage.untouched(), coverage.untaken_branches());
    if !options.quiet {
        let untouched = untouched
            .iter()
            .map(|(id, span)| (id.to_string(), span.as_ref().map(|span| format!("{}:{}", span.file, span.line))));
        show_untried(&mut out, "No check has changed", &untouched.collect::<Vec<_>>())?;
        let untaken = untaken.iter().map(|branch| (branch.to_string(), Some(branch.at.to_string())));
        show_untried(&mut out, "No check has taken", &untaken.collect::<Vec<_>>())?;
        let unwatched = coverage.unwatched().into_iter().map(|why| (why, None));
        show_untried(&mut out, "Branches that were not watched", &unwatched.collect::<Vec<_>>())?;
    }
    let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    let passed = outcomes.len() - failed;
    let resources = exercised(coverage.resources(), untouched.len(), "resources");
    let branches = match coverage.branches() {
        0 => String::new(),
        all => format!(", {}", exercised(all, untaken.len(), "branches")),
    };
    let seconds = took.as_secs_f64();
    writeln!(out, "\n{passed} passed, {failed} failed; {resources}{branches} exercised ({seconds:.1} s)")?;
    Ok(())
}

/// Why a test fails: what fails, with the lines of a content that it shows, and the details.
pub fn lines(failure: &TestFailure) -> Vec<String> {
    let text = failure.to_string();
    let mut shown: Vec<String> = Vec::new();
    for line in failure.what().split('\n') {
        match shown.last_mut() {
            Some(last) if !line.starts_with("  | ") => *last += &format!("\\n{}", foreign::line(line)),
            Some(_) => shown.push(foreign::content(line)),
            None => shown.push(foreign::line(line)),
        }
    }
    let details = text.strip_prefix(failure.what()).unwrap_or_default().lines().skip(1);
    shown.extend(details.map(foreign::content));
    shown
}

fn exercised(all: usize, left_out: usize, what: &str) -> String {
    format!("{} of {all} {what}", all - left_out)
}

/// Shows what was not tried, each with where it was written.
pub fn show_untried(out: &mut impl Write, heading: &str, all: &[(String, Option<String>)]) -> std::io::Result<()> {
    let faint = style::FAINT;
    if !all.is_empty() {
        writeln!(out, "\n{heading}:")?;
    }
    for (what, at) in all {
        let place = at.as_ref().map(|at| format!("  {}", foreign::line(at))).unwrap_or_default();
        writeln!(out, "  {}{faint}{place}{faint:#}", foreign::line(what))?;
    }
    Ok(())
}

/// What programs are shown.
pub fn document(outcomes: &[Outcome], coverage: &Coverage) -> serde_json::Value {
    let checks: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            let failure = outcome.result.as_ref().err();
            json!({
                "name": outcome.name,
                "passed": outcome.result.is_ok(),
                "says": outcome.result.as_ref().ok(),
                "failure": failure.map(|failure| failure.what()),
                "details": failure.map(ToString::to_string),
                "resource": failure.and_then(|failure| failure.resource()),
                "at": failure.and_then(|failure| failure.declared_at()),
                "seconds": outcome.took.as_secs_f64(),
            })
        })
        .collect();
    let untouched: Vec<_> =
        coverage.untouched().into_iter().map(|(id, span)| json!({ "id": id, "declared_at": span })).collect();
    json!({
        "schema": "provision/test/1",
        "passed": outcomes.iter().filter(|outcome| outcome.result.is_ok()).count(),
        "failed": outcomes.iter().filter(|outcome| outcome.result.is_err()).count(),
        "checks": checks,
        "coverage": {
            "resources": coverage.resources(),
            "untouched": untouched,
            "branches": coverage.branches(),
            "untaken": coverage.untaken_branches(),
            "unwatched": coverage.unwatched(),
        },
    })
}

/// The same in the form that continuous integration reads, as Jenkins defines it.
pub fn junit(outcomes: &[Outcome]) -> String {
    let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    let seconds: f64 = outcomes.iter().map(|outcome| outcome.took.as_secs_f64()).sum();
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let _ = writeln!(
        xml,
        "<testsuites tests=\"{0}\" failures=\"{failed}\">\n<testsuite name=\"provision\" tests=\"{0}\" failures=\"{failed}\" time=\"{seconds:.3}\">",
        outcomes.len()
    );
    for outcome in outcomes {
        let (class, name) = class_and_name(&outcome.name);
        let _ = write!(
            xml,
            "<testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
            escaped(&class),
            escaped(name),
            outcome.took.as_secs_f64()
        );
        let _ = match &outcome.result {
            Ok(_) => writeln!(xml, "/>"),
            Err(failure) => writeln!(
                xml,
                "><failure message=\"{}\">{}</failure></testcase>",
                escaped(failure.what()),
                escaped(&failure.to_string())
            ),
        };
    }
    xml.push_str("</testsuite>\n</testsuites>\n");
    xml
}

/// `Debian 13, bare: can be undone`, or `Debian 13, test a large host is marked`, in the terms of JUnit.
fn class_and_name(check: &str) -> (String, &str) {
    match (check.split_once(", test "), check.split_once(": ")) {
        (Some((release, test)), _) => (format!("{release}, tests"), test),
        (None, Some((start, what))) => (start.to_owned(), what),
        (None, None) => ("site".to_owned(), check),
    }
}

/// Text without what XML has other uses for, or does not allow.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push('\t'),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c if c == '\u{7f}' || foreign::changes_the_display(c) => {
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}
