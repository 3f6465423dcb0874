//! From a request to an evaluation: strictly first, and when that fails once more for all that is wrong.

use std::path::PathBuf;

use super::files::{self, Loaded};
use super::session::Session;
use super::walk::{Walked, walk};
use super::{Evaluation, Request, contracts, overrides, shape};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Nickel recurses once per level of nesting, of text and of values.
const STACK: usize = 512 * 1024 * 1024;

/// Reads, merges and evaluates a site. Never fails as such: what is wrong is in the answer.
pub fn evaluate(request: &Request<'_>) -> Evaluation {
    // A thread of its own has the stack that deep nesting takes, and confines a panic of the evaluator.
    let outcome = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("nickel".to_owned()).stack_size(STACK);
        match thread.spawn_scoped(scope, || evaluate_here(request)) {
            Ok(handle) => handle.join().map_err(|_| "the evaluator failed; this is a bug in it".to_owned()),
            Err(error) => Err(format!("cannot start a thread to evaluate the site: {error}")),
        }
    });
    outcome.unwrap_or_else(|message| Evaluation {
        diagnostics: vec![Diagnostic::error(message)],
        ..Evaluation::default()
    })
}

fn evaluate_here(request: &Request<'_>) -> Evaluation {
    let (loaded, mut diagnostics) = files::load(&request.sources);
    if !diagnostics.is_empty() {
        // What can be read is looked through for mistakes in its syntax; more would mislead while a part is missing.
        let mut session = Session::open(request, &loaded, "{}", &[]);
        diagnostics.extend(session.parse());
        return finish(session, Evaluation { diagnostics, ..Evaluation::default() });
    }
    let library = contracts::contract_library(request.types);
    let (session, strict) = evaluate_with(request, &loaded, &library, true);
    if strict.diagnostics.is_empty() && strict.tree.is_some() {
        return finish(session, strict);
    }
    // With a library whose contracts accept anything, what remains wrong is the site's own fault. The checks of
    // the resource types on the tree say the rest better than the contracts do.
    let lenient_library = contracts::lenient_library(request.types);
    let (lenient_session, mut lenient) = evaluate_with(request, &loaded, &lenient_library, false);
    let failures = strict.diagnostics.into_iter();
    lenient.contract_failure =
        failures.filter(|failure| !lenient.diagnostics.iter().any(|other| same(failure, other))).collect();
    lenient.sources = session.places.into_sources();
    finish(lenient_session, lenient)
}

/// One evaluation, with or without the `Site` contract; all that is wrong goes to `diagnostics`.
fn evaluate_with(
    request: &Request<'_>,
    loaded: &[Loaded],
    library: &str,
    under_contract: bool,
) -> (Session, Evaluation) {
    let mut shadows: Vec<PathBuf> = Vec::new();
    loop {
        let mut session = Session::open(request, loaded, library, &shadows);
        let mut diagnostics = overrides::add(&mut session, &request.overrides);
        diagnostics.extend(session.parse());
        if !diagnostics.is_empty() {
            return (session, Evaluation { diagnostics, ..Evaluation::default() });
        }
        let prepared = session.prepare();
        // A library on disk, written for editors, must not take the place of the one of this program.
        let found: Vec<PathBuf> = session.shadows().into_iter().filter(|path| !shadows.contains(path)).collect();
        if !found.is_empty() {
            shadows.extend(found);
            continue;
        }
        let evaluation = match prepared {
            Err(diagnostics) => Evaluation { diagnostics, ..Evaluation::default() },
            Ok(mild) => evaluate_prepared(&mut session, mild, under_contract),
        };
        return (session, evaluation);
    }
}

fn evaluate_prepared(session: &mut Session, mild: Vec<Diagnostic>, under_contract: bool) -> Evaluation {
    let mut site = session.site();
    if under_contract {
        match session.under_contract(site) {
            Ok(value) => site = value,
            Err(error) => {
                let diagnostics = session.describe(error);
                return Evaluation { diagnostics, ..Evaluation::default() };
            }
        }
    }
    let Walked { mut tree, mut diagnostics, broken } = walk(session, site);
    if let Some(tree) = &mut tree {
        diagnostics.extend(shape::check(tree));
    }
    for error in mild {
        // What the type checker finds, evaluation finds again if it comes by; then it also knows the field.
        if !diagnostics.iter().any(|other| same(&error, other)) {
            diagnostics.push(error);
        }
    }
    Evaluation { tree, diagnostics, broken, ..Evaluation::default() }
}

/// Whether two diagnostics say the same of the same place.
fn same(one: &Diagnostic, other: &Diagnostic) -> bool {
    one.message == other.message && one.span() == other.span()
}

fn finish(session: Session, mut evaluation: Evaluation) -> Evaluation {
    evaluation.files = session.files_read();
    evaluation.sources.extend(session.places.into_sources());
    for list in [&mut evaluation.diagnostics, &mut evaluation.contract_failure] {
        let mut diagnostics = Diagnostics::from(std::mem::take(list));
        diagnostics.normalise();
        *list = diagnostics.list;
    }
    evaluation
}
