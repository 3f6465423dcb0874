//! From a request to an evaluation.
//!
//! A site is evaluated up to twice in one machine, and what the first run evaluated the second finds done. The first
//! applies no contract of ours, not even where the site applies `Site` by itself: contracts hide the places of
//! field names, and stop at a resource that has one mistake. It gives the tree and all that is wrong in itself.
//! The second only asks whether the `Site` contract is kept; where that can be seen, there is none.

use std::any::Any;
use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::thread::Builder;

use nickel_lang_core::eval::value::NickelValue;

use super::bounded::{TakesTooMuch, bound_by_stack};
use super::files::{self, Loaded};
use super::prepare::{Prepared, StandIns};
use super::session::{LIBRARY, Session};
use super::walk::{Walked, walk};
use super::{Branches, Evaluation, Located, Request, SiteSource, TypeDescription, contracts, overrides, proof, shape};
use crate::diagnostic::{Diagnostic, Diagnostics, Sources};

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

/// A site that was read, parsed and checked, and what was found wrong on the way.
pub(super) struct Opened<'r> {
    session: Session,
    types: Cow<'r, [TypeDescription]>,
    /// What leaves the site fit to be evaluated, and what does not.
    mild: Vec<Diagnostic>,
    fatal: Vec<Diagnostic>,
    /// Of machines that were opened before.
    sources: Sources,
    files: Vec<PathBuf>,
}

impl<'r> Opened<'r> {
    /// Reads and parses a site; the facts are not asked for.
    pub(super) fn new(request: &Request<'r>, watches_branches: bool) -> Opened<'r> {
        let (loaded, unreadable) = files::load(&request.sources);
        let types = request.types.descriptions();
        let mut opened = open(request, types, &loaded, unreadable.is_empty(), watches_branches);
        opened.fatal.extend(unreadable);
        opened
    }

    /// Parses the contracts of all types, where many evaluations make use of them.
    pub(super) fn prepare_contracts(&mut self) {
        if self.fatal.is_empty() && !self.session.has_contract() {
            // What fails here fails for each evaluation again, which says so.
            let _ = self.session.prepare_contract(&contracts::library(&self.types, true));
        }
    }

    /// Evaluates it for a host of these facts.
    pub(super) fn evaluate(&self, facts: &serde_json::Value, branches: Option<&Branches>) -> Evaluation {
        if !self.fatal.is_empty() {
            let diagnostics = self.fatal.iter().chain(&self.mild).cloned().collect();
            return self.finish(&self.session, Evaluation { diagnostics, ..Evaluation::default() });
        }
        let mut session = self.session.begin(facts);
        let evaluation = evaluate_prepared(&mut session, self.mild.clone(), &self.types);
        if let Some(branches) = branches {
            session.tell_branches(branches);
        }
        self.finish(&session, evaluation)
    }

    fn finish(&self, session: &Session, mut evaluation: Evaluation) -> Evaluation {
        evaluation.inputs = session.inputs();
        evaluation.files = self.files.iter().cloned().chain(session.files_read()).collect();
        // A file on disk named like the library was looked at, but only stood for it.
        evaluation.files.retain(|path| path.file_name().is_none_or(|name| name != LIBRARY));
        evaluation.files.sort();
        evaluation.files.dedup();
        evaluation.sources = self.sources.clone();
        evaluation.sources.extend(session.places.sources().clone());
        for list in [&mut evaluation.diagnostics, &mut evaluation.contract_failure] {
            let mut diagnostics = Diagnostics::from(std::mem::take(list));
            diagnostics.normalise();
            *list = once_each(diagnostics.list);
        }
        evaluation
    }
}

/// A site of which a part could not be read is only looked through for mistakes in its syntax: more would mislead.
fn open<'r>(
    request: &Request<'r>,
    types: Cow<'r, [TypeDescription]>,
    loaded: &[Loaded],
    complete: bool,
    watches_branches: bool,
) -> Opened<'r> {
    let library = contracts::lenient_library(&types);
    let mut stand_ins = StandIns::default();
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut sources = Sources::default();
    let mut files = Vec::new();
    loop {
        let mut session = Session::open(request, loaded, &library, &stand_ins, watches_branches);
        let mut fatal = overrides::add(&mut session, &request.overrides);
        fatal.extend(session.parse());
        if !complete || !fatal.is_empty() {
            return Opened { session, types, mild: Vec::new(), fatal, sources, files };
        }
        let Prepared { mild, fatal, failed_imports, shadows } = session.prepare();
        // A library on disk, written for editors, must not take the place of the one of this program. What was
        // found wrong with it in its place says nothing.
        if !StandIns::take_in(&mut stand_ins.shadows, shadows) {
            found.extend(fatal);
            if !StandIns::take_in(&mut stand_ins.failed_imports, failed_imports) {
                return Opened { session, types, mild, fatal: found, sources, files };
            }
        }
        files.extend(session.files_read());
        sources.extend(session.places.sources().clone());
    }
}

fn evaluate_prepared(session: &mut Session, mild: Vec<Diagnostic>, types: &[TypeDescription]) -> Evaluation {
    let site = session.site();
    let Walked { mut tree, mut diagnostics, broken, hides_fields } = walk(session, site.clone());
    if let Some(tree) = &mut tree {
        diagnostics.extend(shape::check(tree));
    }
    for error in mild {
        // What the type checker finds, evaluation finds again if it comes by; then it also knows the field.
        if !diagnostics.iter().any(|other| error.message == other.message && error.span() == other.span()) {
            diagnostics.push(error);
        }
    }
    let contract_failure = match &tree {
        // What can be seen to be right is not evaluated again.
        Some(tree) if !hides_fields && proof::holds(tree, types) => Vec::new(),
        Some(tree) if diagnostics.is_empty() => breaches(session, site, || library_for(tree, types)),
        _ => Vec::new(),
    };
    Evaluation { tree, diagnostics, contract_failure, broken, ..Evaluation::default() }
}

/// The library with what the site makes use of. A type that it lacks is refused as one that is unknown.
fn library_for(site: &Located, types: &[TypeDescription]) -> String {
    let resources = site.get("resources");
    let used = types.iter().filter(|described| resources.and_then(|types| types.get(&described.name)).is_some());
    let with_tests = ["tests", "test_host"].iter().any(|field| site.get(field).is_some());
    contracts::library(&used.cloned().collect::<Vec<_>>(), with_tests)
}

/// What the `Site` contract refuses.
fn breaches(session: &mut Session, site: NickelValue, library: impl FnOnce() -> String) -> Vec<Diagnostic> {
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

/// A mistake in a value that many fields share is one mistake.
fn once_each(list: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut kept: Vec<(Diagnostic, usize)> = Vec::new();
    for diagnostic in list {
        let last = kept.last_mut().filter(|(kept, _)| {
            kept.message == diagnostic.message && kept.labels == diagnostic.labels && !kept.labels.is_empty()
        });
        match last {
            Some((_, repetitions)) => *repetitions += 1,
            None => kept.push((diagnostic, 0)),
        }
    }
    let counted = kept.into_iter().map(|(diagnostic, repetitions)| match repetitions {
        0 => diagnostic,
        1 => diagnostic.note("The same goes for one more field"),
        more => diagnostic.note(format!("The same goes for {more} more fields")),
    });
    counted.collect()
}
