//! [`Evaluator`]: one site for many hosts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::Value;

use super::evaluate::{bound, failed, failure, unwatched, with_stack};
use super::load::site_of;
use super::opened::Opened;
use super::{Evaluation, Input};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::facts::Facts;
use crate::registry::Registry;
use crate::site::Site;

/// A site for many hosts, or for one host in many states: its files are read, parsed and checked once, and then
/// evaluated for the facts of each host.
///
/// The files are read when the first host asks, and what was read holds for all: a fleet gets one state of the site. Only
/// after an evaluation that had to be ended, because it took too much memory, they are read again.
/// Evaluations are not kept ([`Input::cache`] is not used), and one is made after the other; whoever has cores to
/// spare takes an evaluator for each.
///
/// ```
/// # use provision_core::config::{Evaluator, Input, SiteSource};
/// # use provision_core::{facts::Facts, registry::Registry};
/// let text = r#"let p = import "provision.ncl" in
///     { on_failure = if p.facts.os.id == "debian" then 'stop else 'continue }"#;
/// let source = SiteSource::Text { name: "site.ncl".into(), text: text.into() };
/// let fleet = Evaluator::new(&Registry::new(), Input { sources: vec![source], ..Input::default() });
/// for host in [Facts::default(), Facts::default()] {
///     assert!(fleet.load(&host)?.is_empty());
/// }
/// # Ok::<(), provision_core::diagnostic::Diagnostics>(())
/// ```
#[derive(Debug)]
pub struct Evaluator {
    work: Arc<Work>,
    /// The thread that has the machine, or why there is none.
    questions: OnceLock<Result<Sender<Question>, Diagnostic>>,
}

/// What is evaluated.
#[derive(Debug)]
struct Work {
    registry: Registry,
    input: Input,
}

/// The facts of a host, and where the answer goes.
#[derive(Debug)]
struct Question {
    facts: Value,
    answer: Sender<Evaluation>,
}

impl Evaluator {
    /// Nothing is read yet.
    pub fn new(registry: &Registry, input: Input) -> Evaluator {
        Evaluator { work: Arc::new(Work { registry: registry.clone(), input }), questions: OnceLock::new() }
    }

    /// Starts the thread. It ends when no handle is left.
    fn start(&self) -> Result<Sender<Question>, Diagnostic> {
        let (sender, questions) = mpsc::channel();
        let questions = Arc::new(Mutex::new(questions));
        with_stack(|thread, size| {
            let (work, questions) = (Arc::clone(&self.work), Arc::clone(&questions));
            thread.spawn(move || {
                bound(size);
                work.answer_all(&questions.lock().unwrap_or_else(PoisonError::into_inner));
            })
        })?;
        Ok(sender)
    }

    /// As [`load`](super::load), for a host of which these facts are known.
    ///
    /// # Errors
    /// Everything that is wrong with the site, each mistake with its place.
    pub fn load(&self, facts: &Facts) -> Result<Site, Diagnostics> {
        let known = serde_json::to_value(facts).unwrap_or_default();
        site_of(&self.work.registry, self.evaluate(known), facts, &self.work.input.sources)
    }

    fn evaluate(&self, facts: Value) -> Evaluation {
        let (answer, answered) = mpsc::channel();
        let asked = match self.questions.get_or_init(|| self.start()) {
            Ok(questions) => questions.send(Question { facts, answer }).is_ok(),
            Err(why) => return failed(why.clone()),
        };
        let evaluation = if asked { answered.recv().ok() } else { None };
        evaluation.unwrap_or_else(|| failed(Diagnostic::error("the evaluator ended; this is a bug in it")))
    }

    /// The same site with more values for fields.
    #[cfg(feature = "testing")]
    pub(crate) fn overridden(&self, overrides: &[(String, String)]) -> Evaluator {
        let mut input = self.work.input.clone();
        input.overrides.extend_from_slice(overrides);
        Evaluator::new(&self.work.registry, input)
    }
}

impl Work {
    /// Evaluates for one host after the other.
    fn answer_all(&self, questions: &Receiver<Question>) {
        let mut opened = None;
        for Question { facts, answer } in questions {
            let outcome = catch_unwind(AssertUnwindSafe(|| self.answer(&mut opened, &facts)));
            let evaluation = outcome.unwrap_or_else(|panic| {
                // What it left behind is not known.
                opened = None;
                failed(failure(&self.input.sources, &*panic))
            });
            // Who asked may be gone.
            let _ = answer.send(evaluation);
        }
    }

    fn answer<'w>(&'w self, opened: &mut Option<Opened<'w>>, facts: &Value) -> Evaluation {
        let Work { registry, input } = self;
        let branches = input.branches.as_ref();
        let open = |watches_branches| Opened::new(&input.request(registry, &Value::Null), watches_branches);
        // There is more than one to come.
        if let Some(opened) = opened {
            opened.prepare_contracts();
        }
        let opened = opened.get_or_insert_with(|| open(branches.is_some()));
        let evaluation = opened.evaluate(facts, branches);
        match branches {
            Some(branches) if !evaluation.is_sound() => {
                let plain = open(false).evaluate(facts, None);
                unwatched(evaluation, plain, branches)
            }
            _ => evaluation,
        }
    }
}
