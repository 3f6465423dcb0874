//! The tests that a site brings along: checked with the site, so that a typo in one is told at its line.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::site::{SiteTest, Spans, StartingState, TestCase};

use super::shape::unlike;
use super::{Data, Field, Located, Step};

/// Says what is wrong with the tests of a site, and takes those out.
pub(super) fn check_all(field: &mut Field, diagnostics: &mut Vec<Diagnostic>) -> bool {
    let Data::Record(tests) = &mut field.value.value else {
        diagnostics.push(unlike(field, "`tests` is a record of tests: `tests.<name> = { .. }`"));
        return false;
    };
    tests.retain(|test| match test.value.value {
        Data::Record(_) => check::<TestCase>(&test.value, &format!("the test `{}`", test.name), test, diagnostics),
        _ => {
            diagnostics.push(unlike(test, &format!("the test `{}` is a record", test.name)));
            false
        }
    });
    true
}

/// Says what is wrong with a value that is to be of a type, at its line.
pub(super) fn check<T: DeserializeOwned>(
    value: &Located,
    what: &str,
    field: &Field,
    diagnostics: &mut Vec<Diagnostic>,
) -> bool {
    let Err(unfit) = T::deserialize(value) else { return true };
    let (path, message) = unfit.into_parts();
    let span = (0..=path.len())
        .rev()
        .find_map(|length| value.span_at(path[..length].iter().map(|part| step(part))))
        .or(field.name_span.as_ref());
    let place = if path.is_empty() { String::new() } else { format!(": `{}`", path.join(".")) };
    let mut diagnostic = Diagnostic::error(format!("{what}{place}: {}", first_part(&message))).at(span.cloned(), "");
    if let Some((unknown, known)) = unknown_field(&message) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        // The name is wrong, and not what it holds. It is the last of the path, but for the fields at the top.
        let mut names: Vec<&str> = path.iter().map(String::as_str).collect();
        if names.last() != Some(&unknown.as_str()) {
            names.push(&unknown);
        }
        if let Some(span) = value.name_span_at(&names) {
            diagnostic = Diagnostic::error(diagnostic.message).at(Some(span.clone()), "");
        }
        diagnostic = diagnostic.help(match did_you_mean(&unknown, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("its fields are {}", known.join(", ")),
        });
    }
    diagnostics.push(diagnostic);
    false
}

fn step(part: &str) -> Step<'_> {
    match part.parse() {
        Ok(index) => Step::Index(index),
        Err(_) => Step::Field(part),
    }
}

/// What serde says of an unknown field, in the words of this program.
fn first_part(message: &str) -> String {
    match unknown_field(message) {
        Some((name, _)) => format!("there is no field `{name}`"),
        None => message.to_owned(),
    }
}

fn unknown_field(message: &str) -> Option<(String, BTreeSet<String>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (name, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some((name.to_owned(), known))
}

/// The tests of a site that was checked, with their places.
pub(super) fn of(tree: &Located) -> (Vec<SiteTest>, (StartingState, Spans)) {
    let tests = tree.get("tests").map(Located::fields).unwrap_or_default();
    let tests = tests.iter().filter_map(|test| {
        let case = serde_json::from_value(test.value.to_json()).ok()?;
        Some(SiteTest { name: test.name.clone(), case, spans: Spans::of(test.clone()) })
    });
    let host = tree.field("test_host").and_then(|host| {
        let state = serde_json::from_value(host.value.to_json()).ok()?;
        Some((state, Spans::of(host.clone())))
    });
    (tests.collect(), host.unwrap_or_default())
}
