//! A site from its files to what came of it.
//!
//! A site is evaluated up to twice in one machine, and what the first run evaluated the second finds done. The first
//! applies no contract of ours, not even where the site applies `Site` by itself: contracts hide the places of
//! field names, and stop at a resource that has one mistake. It gives the tree and all that is wrong in itself.
//! The second only asks whether the `Site` contract is kept; where that can be seen, there is none.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;

use nickel_lang_core::eval::value::NickelValue;

use super::files::{self, Loaded};
use super::prepare::{Prepared, StandIns};
use super::session::{LIBRARY, Session};
use super::walk::{Walked, walk};
use super::{
    Branches, DescribeTypes, Evaluation, Located, Request, TypeDescription, contracts, overrides, proof, scan, shape,
};
use crate::diagnostic::{Diagnostic, Diagnostics, Sources};

/// The types of a site, each described when it is first asked for: a site uses few of them.
pub(super) struct Types<'r> {
    types: &'r dyn DescribeTypes,
    described: RefCell<BTreeMap<String, Option<Rc<TypeDescription>>>>,
}

impl<'r> Types<'r> {
    pub(super) fn new(types: &'r dyn DescribeTypes) -> Types<'r> {
        Types { types, described: RefCell::default() }
    }

    /// What the type of this name offers.
    pub(super) fn get(&self, name: &str) -> Option<Rc<TypeDescription>> {
        let mut described = self.described.borrow_mut();
        described.entry(name.to_owned()).or_insert_with(|| self.types.description(name).map(Rc::new)).clone()
    }

    /// The names of those that have been described.
    fn known(&self) -> BTreeSet<String> {
        let described = self.described.borrow();
        described.iter().filter(|(_, found)| found.is_some()).map(|(name, _)| name.clone()).collect()
    }

    /// The library with the contracts of these.
    fn library(&self, names: &BTreeSet<String>, with_tests: bool) -> String {
        let used: Vec<_> =
            names.iter().filter_map(|name| self.get(name)).map(|described| (*described).clone()).collect();
        contracts::library(&used, with_tests)
    }
}

/// A site that was read, parsed and checked, and what was found wrong on the way.
pub(super) struct Opened<'r> {
    session: Session,
    types: Types<'r>,
    /// The types that the contract was prepared for, if it was.
    prepared: Option<BTreeSet<String>>,
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
        let (hostile, sources) = scan::check(&loaded, &request.import_paths, &request.overrides);
        if !hostile.is_empty() {
            let session = Session::open(request, &loaded, "{}", &StandIns::default(), watches_branches);
            let (types, fatal) = (Types::new(request.types), hostile.into_iter().chain(unreadable).collect());
            return Opened { session, types, prepared: None, mild: Vec::new(), fatal, sources, files: Vec::new() };
        }
        let mut opened = open(request, &loaded, unreadable.is_empty(), watches_branches);
        opened.fatal.extend(unreadable);
        opened
    }

    /// Parses the contracts of the types that an evaluation has made use of, where others will make use of them.
    pub(super) fn prepare_contracts(&mut self) {
        if self.fatal.is_empty() && self.prepared.is_none() {
            let names = self.types.known();
            // What fails here fails for each evaluation again, which says so.
            let prepared = self.session.prepare_contract("prepared", &self.types.library(&names, true));
            self.prepared = prepared.is_ok().then_some(names);
        }
    }

    /// Evaluates it for a host of these facts.
    pub(super) fn evaluate(&self, facts: &serde_json::Value, branches: Option<&Branches>) -> Evaluation {
        if !self.fatal.is_empty() {
            let diagnostics = self.fatal.iter().chain(&self.mild).cloned().collect();
            return self.finish(&self.session, Evaluation { diagnostics, ..Evaluation::default() });
        }
        let mut session = self.session.begin(facts);
        let evaluation = evaluate_prepared(&mut session, self.mild.clone(), &self.types, self.prepared.as_ref());
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
fn open<'r>(request: &Request<'r>, loaded: &[Loaded], complete: bool, watches_branches: bool) -> Opened<'r> {
    let library = contracts::lenient_library(&request.types.names());
    let opened = |session, mild, fatal, sources, files| {
        let types = Types::new(request.types);
        Opened { session, types, prepared: None, mild, fatal, sources, files }
    };
    let mut stand_ins = StandIns::default();
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut sources = Sources::default();
    let mut files = Vec::new();
    loop {
        let mut session = Session::open(request, loaded, &library, &stand_ins, watches_branches);
        let mut fatal = overrides::add(&mut session, &request.overrides);
        fatal.extend(session.parse());
        if !complete || !fatal.is_empty() {
            return opened(session, Vec::new(), fatal, sources, files);
        }
        let Prepared { mild, fatal, failed_imports, shadows } = session.prepare();
        // A library on disk, written for editors, must not take the place of the one of this program. What was
        // found wrong with it in its place says nothing.
        if !StandIns::take_in(&mut stand_ins.shadows, shadows) {
            found.extend(fatal);
            if !StandIns::take_in(&mut stand_ins.failed_imports, failed_imports) {
                return opened(session, mild, found, sources, files);
            }
        }
        files.extend(session.files_read());
        sources.extend(session.places.sources().clone());
    }
}

fn evaluate_prepared(
    session: &mut Session,
    mild: Vec<Diagnostic>,
    types: &Types<'_>,
    prepared: Option<&BTreeSet<String>>,
) -> Evaluation {
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
        Some(tree) if diagnostics.is_empty() => breaches(session, site, library_for(tree, types, prepared)),
        _ => Vec::new(),
    };
    Evaluation { tree, diagnostics, contract_failure, broken, ..Evaluation::default() }
}

/// The library with what the site makes use of, unless the one that was prepared has it. A type that it lacks is refused as
/// one that is unknown.
fn library_for(site: &Located, types: &Types<'_>, prepared: Option<&BTreeSet<String>>) -> Option<String> {
    let used: BTreeSet<String> =
        site.get("resources").into_iter().flat_map(Located::fields).map(|of_type| of_type.name.clone()).collect();
    let known: BTreeSet<String> = used.into_iter().filter(|name| types.get(name).is_some()).collect();
    if prepared.is_some_and(|prepared| known.is_subset(prepared)) {
        return None;
    }
    let with_tests = ["tests", "test_host"].iter().any(|field| site.get(field).is_some());
    Some(types.library(&known, with_tests))
}

/// What the `Site` contract refuses.
fn breaches(session: &mut Session, site: NickelValue, library: Option<String>) -> Vec<Diagnostic> {
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
