//! From a request to an evaluation.
//!
//! A site is evaluated twice in one machine, and what the first run evaluated the second finds done. The first
//! applies no contract of ours, not even where the site applies `Site` by itself: contracts hide the places of
//! field names, and stop at a resource that has one mistake. It gives the tree and all that is wrong in itself.
//! The second only asks whether the `Site` contract is kept.

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
    let library = contracts::lenient_library(request.types);
    let (mut session, ready) = open(request, &loaded, &library, diagnostics.is_empty());
    let evaluation = match ready {
        Ok(mild) => evaluate_prepared(&mut session, mild, &contracts::contract_library(request.types)),
        Err(more) => {
            diagnostics.extend(more);
            Evaluation { diagnostics, ..Evaluation::default() }
        }
    };
    finish(session, evaluation)
}

/// A machine with everything in it, and whether it is fit to evaluate the site. A site of which a part could not
/// be read is only looked through for mistakes in its syntax: more would mislead.
fn open(
    request: &Request<'_>,
    loaded: &[Loaded],
    library: &str,
    complete: bool,
) -> (Session, Result<Vec<Diagnostic>, Vec<Diagnostic>>) {
    let mut shadows: Vec<PathBuf> = Vec::new();
    loop {
        let mut session = Session::open(request, loaded, library, &shadows);
        let mut diagnostics = overrides::add(&mut session, &request.overrides);
        diagnostics.extend(session.parse());
        if !complete || !diagnostics.is_empty() {
            return (session, Err(diagnostics));
        }
        let ready = session.prepare();
        // A library on disk, written for editors, must not take the place of the one of this program.
        let found: Vec<PathBuf> = session.shadows().into_iter().filter(|path| !shadows.contains(path)).collect();
        if found.is_empty() {
            return (session, ready);
        }
        shadows.extend(found);
    }
}

fn evaluate_prepared(session: &mut Session, mild: Vec<Diagnostic>, library: &str) -> Evaluation {
    let site = session.site();
    let Walked { mut tree, mut diagnostics, broken } = walk(session, site.clone());
    if let Some(tree) = &mut tree {
        diagnostics.extend(shape::check(tree));
    }
    for error in mild {
        // What the type checker finds, evaluation finds again if it comes by; then it also knows the field.
        if !diagnostics.iter().any(|other| error.message == other.message && error.span() == other.span()) {
            diagnostics.push(error);
        }
    }
    let contract_failure = if diagnostics.is_empty() { breaches(session, site, library) } else { Vec::new() };
    Evaluation { tree, diagnostics, contract_failure, broken, ..Evaluation::default() }
}

/// What the `Site` contract refuses.
fn breaches(session: &mut Session, site: nickel_lang_core::eval::value::NickelValue, library: &str) -> Vec<Diagnostic> {
    let site = match session.under_contract(site, library) {
        Ok(site) => site,
        Err(error) => return session.describe(error),
    };
    if session.force(site.clone()) {
        return Vec::new();
    }
    let mut breaches = walk(session, site).diagnostics;
    for breach in &mut breaches {
        // That a contract could be opened is no advice to those who cannot change it.
        breach.notes.retain(|note| !note.starts_with("The record contract might also be too strict"));
    }
    breaches
}

fn finish(session: Session, mut evaluation: Evaluation) -> Evaluation {
    evaluation.files = session.files_read();
    evaluation.sources = session.places.into_sources();
    for list in [&mut evaluation.diagnostics, &mut evaluation.contract_failure] {
        let mut diagnostics = Diagnostics::from(std::mem::take(list));
        diagnostics.normalise();
        *list = diagnostics.list;
    }
    evaluation
}
