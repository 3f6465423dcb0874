//! From a request to an evaluation, on a thread that bears it.

use std::any::Any;
use std::io;
use std::thread::Builder;

use super::bounded::{TakesTooMuch, bound_by_stack};
use super::opened::Opened;
use super::{Branches, Evaluation, Request, SiteSource};
use crate::diagnostic::Diagnostic;

/// Sizes of stack to ask for, in bytes. Nickel recurses once per level of nesting, of text and of values. Only what is
/// used takes memory, but a host refuses what is more than it has.
const STACKS: [usize; 6] = [8 << 30, 4 << 30, 2 << 30, 512 << 20, 64 << 20, 8 << 20];

/// Reads, merges and evaluates a site. Never fails as such: what is wrong is in the answer.
pub fn evaluate(request: &Request<'_>) -> Evaluation {
    evaluate_apart(request, None)
}

/// The same, and takes note of the branches of the site and of those that the evaluation took.
///
/// A site that is refused is evaluated again without that, so the mistakes are told as ever.
pub fn evaluate_noting(request: &Request<'_>, branches: &Branches) -> Evaluation {
    let noted = evaluate_apart(request, Some(branches));
    if noted.is_sound() { noted } else { unwatched(noted, evaluate_apart(request, None), branches) }
}

/// The plain evaluation of a site that was refused while it was watched.
pub(super) fn unwatched(noted: Evaluation, plain: Evaluation, branches: &Branches) -> Evaluation {
    if plain.is_sound() {
        let why = noted.diagnostics.iter().chain(&noted.contract_failure).map(|found| found.message.clone()).next();
        branches.note_unwatched(format!(
            "an evaluation failed only while it was watched: {}",
            why.unwrap_or_else(|| "it gave nothing".to_owned())
        ));
    }
    plain
}

/// The evaluation itself; with `branches`, watched.
pub(super) fn evaluate_apart(request: &Request<'_>, branches: Option<&Branches>) -> Evaluation {
    // A thread of its own has the stack that deep nesting takes, and confines a panic of the evaluator.
    let outcome = std::thread::scope(|scope| {
        let evaluate = |size| move || evaluate_bounded(request, branches, size);
        let thread = with_stack(|thread, size| thread.spawn_scoped(scope, evaluate(size)))?;
        thread.join().map_err(|panic| failure(&request.sources, &*panic))
    });
    outcome.unwrap_or_else(failed)
}

/// Starts a thread with the most stack that the host gives it.
pub(super) fn with_stack<T>(spawn: impl Fn(Builder, usize) -> io::Result<T>) -> Result<T, Diagnostic> {
    let mut refusal = String::new();
    for size in STACKS {
        match spawn(Builder::new().name("nickel".to_owned()).stack_size(size), size) {
            Ok(thread) => return Ok(thread),
            Err(error) => refusal = error.to_string(),
        }
    }
    Err(Diagnostic::error(format!("cannot start a thread to evaluate the site: {refusal}")))
}

/// An evaluation of which nothing came.
pub(super) fn failed(why: Diagnostic) -> Evaluation {
    Evaluation { diagnostics: vec![why], ..Evaluation::default() }
}

/// Bounds the memory of evaluations on this thread, which has a stack of so many bytes.
pub(super) fn bound(stack: usize) {
    bound_by_stack(if cfg!(test) { stack / 8 } else { stack });
}

fn evaluate_bounded(request: &Request<'_>, branches: Option<&Branches>, stack: usize) -> Evaluation {
    bound(stack);
    Opened::new(request, branches.is_some()).evaluate(request.facts, branches)
}

/// What a panic of the evaluator means.
pub(super) fn failure(sources: &[SiteSource], panic: &(dyn Any + Send)) -> Diagnostic {
    if let Some(TakesTooMuch(mebibytes)) = panic.downcast_ref() {
        return Diagnostic::error(format!("the evaluation takes more than {mebibytes} MiB of memory"))
            .note("Something in it probably never ends")
            .help("look for a function that calls itself, or an array that is made of itself, and has no end");
    }
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    // The parser of nickel-lang gives up on strings that are closed in the wrong order, and does not say where.
    if text.is_some_and(|text| text.starts_with("Fatal parser error")) {
        let names: Vec<String> = sources.iter().map(SiteSource::to_string).collect();
        return Diagnostic::error(format!("strings are closed in the wrong order in {}", names.join(", ")))
            .note("it may be in a file that is imported there, too")
            .help("look for a `%{` without its `}`");
    }
    Diagnostic::error("the evaluator failed; this is a bug in it")
}
