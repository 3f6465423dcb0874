//! From a plan to a [`Report`]: performing effects, checking what they brought about, reacting, and what happens when
//! something fails.

mod batch;
mod executor;
mod packages;
mod performed;
mod policy;
mod reactions;
mod schedule;
mod undo;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use foldhash::HashMap;

use crate::change::Change;
use crate::effect::Effect;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::Node;
use crate::host::Host;
use crate::id::ResourceId;
use crate::journal::Recorder;
use crate::moment::Moment;
use crate::observe::{Event, Observer};
use crate::plan::{Planned, PlannedStep, Step, Verdict, beside_the_states, changes_between, decide_now, judge_now};
use crate::report::{Outcome, Report, StepReport};
use crate::resource::DynState;
use crate::shared::Shared;

pub(crate) use executor::Executor;
use performed::Performed;

/// How a plan is applied.
#[derive(Clone, Default)]
pub struct ApplyOptions {
    /// How many independent steps may run at the same time; 0 is taken as 1.
    pub jobs: usize,
    /// Steps that may come in any order come in one that is drawn from this number; otherwise in that of the plan.
    pub shuffle: Option<u64>,
    /// Stops the run from outside.
    pub cancel: Cancel,
    /// Nothing is done that the plan does not say: a step whose assumptions turn out wrong fails instead of being decided
    /// anew.
    pub verbatim: bool,
    /// Writes the run down, so that it can be undone and no notification is lost. Without it a run leaves no trace.
    pub recorder: Option<Arc<Recorder>>,
}

/// Stops a run after the effects that are being performed. Clones stop the same run.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Stops the run.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the run is to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Planned<'_> {
    /// Carries the plan out. What goes wrong is in the report.
    pub fn apply(&self, host: &dyn Host, options: &ApplyOptions, observer: &dyn Observer) -> Report {
        let started = Instant::now();
        let redact = |error| self.graph.redacted(error);
        let mut run = Run {
            planned: self,
            executor: Executor::new(host, options.recorder.as_deref(), &options.cancel, observer, &redact),
            verbatim: options.verbatim,
            stop: AtomicBool::new(false),
            results: (0..self.plan.steps.len()).map(|_| OnceLock::new()).collect(),
            changed_at: (0..self.plan.steps.len()).map(|_| OnceLock::new()).collect(),
            step_of: self.step_of(),
            decided_anew: self.plan.steps.iter().map(|_| AtomicBool::new(false)).collect(),
            failed_tags: Mutex::default(),
        };
        run.tell(&Event::RunStarted { steps: self.plan.steps.len() });
        if let Some(recorder) = &options.recorder {
            recorder.of_site(self.graph.site_name());
        }
        let refused = self.host.require(host).err();
        if let Some(error) = &refused {
            run.refuse(error);
        }
        for phase in self.phases().into_iter().filter(|_| refused.is_none()) {
            if self.node(phase[0]).batch.is_some() {
                run.packages(&phase);
            } else {
                schedule::run(&run, &phase, options.jobs.max(1), options.shuffle);
            }
        }
        let results = std::mem::take(&mut run.results);
        let mut steps: Vec<StepReport> = results.into_iter().filter_map(OnceLock::into_inner).collect();
        let undone = run.undo_because_of_failures(&mut steps);
        let mut report = Report { undone, ..Report::new(steps, options.cancel.is_cancelled()) };
        run.executor.close(&mut report, &self.plan.dropped_notifications);
        report.took = started.elapsed();
        run.tell(&Event::RunFinished { counts: report.counts });
        report
    }

    /// The steps, by the phases that follow one another.
    fn phases(&self) -> Vec<Vec<usize>> {
        let mut phases: Vec<Vec<usize>> = Vec::new();
        for (number, step) in self.plan.steps.iter().enumerate() {
            match phases.last_mut() {
                Some(phase) if self.plan.steps[phase[0]].phase == step.phase => phase.push(number),
                _ => phases.push(vec![number]),
            }
        }
        phases
    }

    fn step_of(&self) -> Vec<Option<usize>> {
        let mut step_of = vec![None; self.graph.nodes.len()];
        for (step, planned) in self.steps.iter().enumerate() {
            step_of[planned.node] = Some(step);
        }
        step_of
    }
}

/// A run under way.
struct Run<'a> {
    planned: &'a Planned<'a>,
    executor: Executor<'a>,
    verbatim: bool,
    /// Whether nothing new is begun, because something failed.
    stop: AtomicBool,
    results: Vec<OnceLock<StepReport>>,
    /// For each step, when it had changed what it changes.
    changed_at: Vec<OnceLock<Moment>>,
    step_of: Vec<Option<usize>>,
    /// For each step, whether its effects may be others than those of the plan.
    decided_anew: Vec<AtomicBool>,
    /// The tags of resources that failed and take all others with one of them along, each with the first such resource.
    failed_tags: Mutex<HashMap<String, ResourceId>>,
}

/// What is to be done for a step, decided.
struct Task {
    before: DynState,
    want: DynState,
    changes: Shared<Change>,
    effects: Shared<Effect>,
    /// Whether it differs from what was planned.
    is_new: bool,
}

impl<'a> Run<'a> {
    fn tell(&self, event: &Event<'_>) {
        self.executor.tell(event);
    }

    fn step(&self, number: usize) -> &'a Step {
        &self.planned.plan.steps[number]
    }

    fn node(&self, number: usize) -> &'a Node {
        self.planned.node(number)
    }

    /// The steps that come before a step, with whether it requires them and whether they notify it.
    fn before(&self, number: usize) -> impl Iterator<Item = (usize, bool, bool)> + '_ {
        let edges = &self.planned.graph.predecessors[self.planned.steps[number].node];
        let declared = edges
            .iter()
            .filter_map(|edge| Some((self.step_of[edge.from]?, edge.reason.is_hard(), edge.reason.is_notification())));
        let writers = self.planned.steps[number].waits_for.steps.iter();
        declared.chain(writers.map(|step| (*step, false, false)))
    }

    /// Why a step is not begun, if so.
    fn hindrance(&self, number: usize) -> Option<Outcome> {
        if self.executor.cancel.is_cancelled() || self.stop.load(Ordering::Relaxed) {
            return Some(Outcome::NotRun);
        }
        let failed = |step: usize| self.results[step].get().is_some_and(|report| !report.outcome.is_success());
        let incomplete = |step: usize| {
            let outcome = self.results[step].get().map(|report| &report.outcome);
            matches!(outcome, Some(Outcome::Failed { error }) if error.kind() == ErrorKind::Incomplete)
        };
        let required = self.before(number).find(|(step, hard, _)| *hard && failed(*step) && !incomplete(*step));
        if let Some((step, _, _)) = required {
            return Some(Outcome::Skipped { because: self.step(step).id.clone() });
        }
        if let Some(because) = self.failed_group_member(number) {
            return Some(Outcome::Skipped { because });
        }
        match &self.step(number).verdict {
            Verdict::Failed { error } => Some(Outcome::Failed { error: error.clone() }),
            Verdict::Skipped { because } => Some(Outcome::Skipped { because: because.clone() }),
            _ => None,
        }
    }

    /// Carries out one step from beginning to end.
    fn run_step(&self, number: usize) {
        let started = Instant::now();
        if let Some(outcome) = self.hindrance(number) {
            return self.finish(number, started, Progress::default(), outcome);
        }
        let mut progress = Progress::default();
        let outcome = self.try_until_done(number, started, 0, &mut progress);
        self.finish(number, started, progress, outcome);
    }

    /// Makes attempts until one succeeds or no more are allowed; `attempts` were made before.
    fn try_until_done(&self, number: usize, started: Instant, mut attempts: u32, progress: &mut Progress) -> Outcome {
        loop {
            attempts += 1;
            match self.attempt(number, started, attempts > 1, progress) {
                Ok(()) if progress.effects.is_empty() && progress.changes.is_empty() => return Outcome::InSync,
                Ok(()) => return Outcome::Changed,
                Err(error) if error.kind() == ErrorKind::Cancelled && progress.effects.is_empty() => {
                    return Outcome::NotRun;
                }
                Err(error) if self.waits_to_retry(number, started, attempts, &error) => {}
                Err(error) => return Outcome::Failed { error: self.blame(number, error) },
            }
        }
    }

    fn blame(&self, number: usize, error: Error) -> Error {
        let node = self.node(number);
        self.planned.graph.redacted(error).of(&node.id, node.declared_at())
    }

    fn finish(&self, number: usize, started: Instant, progress: Progress, outcome: Outcome) {
        let step = self.step(number);
        let report = StepReport {
            id: step.id.clone(),
            declared_at: step.declared_at.clone(),
            outcome,
            changes: progress.changes,
            effects: progress.effects.into_effects(),
            reacted_to: progress.reacted_to,
            deferred: progress.deferred || matches!(step.verdict, Verdict::Deferred { .. }),
            took: started.elapsed(),
        };
        self.note_failure(number, &report.outcome);
        self.tell(&Event::StepFinished { step: Cow::Borrowed(self.results[number].get_or_init(|| report)) });
    }

    fn attempt(&self, number: usize, started: Instant, again: bool, progress: &mut Progress) -> Result<()> {
        self.judge(number)?;
        let task = if again { self.decide_anew(number)? } else { self.decide(number)? };
        let causes = self.causes(number);
        if task.effects.is_empty() && task.before == task.want && causes.is_empty() {
            return Ok(());
        }
        let id = &self.step(number).id;
        self.tell(&Event::StepStarted { id: Cow::Borrowed(id) });
        progress.deferred |= task.is_new && !again;
        self.decided_anew[number].fetch_or(task.is_new, Ordering::Relaxed);
        if task.is_new {
            self.tell(&Event::StepDecided { id: Cow::Borrowed(id), effects: Cow::Borrowed(&task.effects) });
        }
        let mut begun = 0;
        while let Some(first) = task.effects.get(begun) {
            let first = self.within_timeout(number, started, first)?;
            let batch = match batch::length(&task.effects[begun..]) {
                1 => std::slice::from_ref(&*first),
                many => &task.effects[begun..begun + many],
            };
            let (done, result) = self.perform_all(&[number], batch);
            progress.effects.add(&task.effects, begun..begun + done);
            result.map_err(|error| self.naming_its_timeout(number, started, error))?;
            begun += done;
        }
        if progress.changes.is_empty() {
            progress.changes = task.changes.clone();
        }
        if task.before != task.want {
            self.verify(number, &task.want, &task.effects)?;
        }
        let _ = self.changed_at[number].set(self.executor.host.now());
        self.react(number, &task, causes, progress)
    }

    /// Has a step judge what later ones are about to change, unless that is certainly nothing.
    fn judge(&self, number: usize) -> Result<()> {
        let graph = &self.planned.graph;
        let is_idle = |node: usize| {
            let Some(step) = self.step_of[node].map(|number| self.step(number)) else { return true };
            step.verdict == Verdict::InSync && step.assumes.is_empty()
        };
        let node = self.planned.steps[number].node;
        if graph.judged_by(node).into_iter().all(is_idle) {
            return Ok(());
        }
        let is_pending = |node: usize| {
            let Some(number) = self.step_of[node] else { return false };
            let will_be_done = !matches!(self.step(number).verdict, Verdict::Failed { .. } | Verdict::Skipped { .. });
            will_be_done && self.results[number].get().is_none()
        };
        judge_now(graph, node, self.executor.host, &self.planned.declared_packages, &is_pending)
    }

    /// What to do for a step: what was planned, unless the plan could not know.
    fn decide(&self, number: usize) -> Result<Task> {
        let (step, node) = (self.step(number), self.node(number));
        let went_as_planned = |step: &usize| {
            let succeeded = self.results[*step].get().is_some_and(|report| report.outcome.is_success());
            succeeded && !self.decided_anew[*step].load(Ordering::Relaxed)
        };
        let PlannedStep { states, waits_for, .. } = &self.planned.steps[number];
        let planned = states.as_ref().filter(|_| waits_for.rests_on.iter().all(went_as_planned));
        let as_planned = |(before, want): &(DynState, DynState)| Task {
            before: before.clone(),
            want: want.clone(),
            changes: step.changes.clone(),
            effects: step.effects.clone(),
            is_new: false,
        };
        match planned {
            Some(states) if step.assumes.is_empty() => return Ok(as_planned(states)),
            // The assumption holds if a second look finds the same.
            Some(states) if node.check(self.executor.host)? == states.0 => {
                return Ok(as_planned(states));
            }
            _ => {}
        }
        self.decide_anew(number)
    }

    /// What to do for a step, on the host as it is at this moment.
    fn decide_anew(&self, number: usize) -> Result<Task> {
        let node = self.node(number);
        if self.verbatim {
            return Err(Error::new(
                ErrorKind::Stale,
                "it is not as the plan assumed, so what to do would have to be decided anew",
            )
            .with_hint("make the plan again now, or apply it with --allow-deferred"));
        }
        let ((before, want), effects) = decide_now(node, self.executor.host, &self.planned.declared_packages)?;
        let mut changes = beside_the_states(node, &effects, self.executor.host);
        changes.extend(changes_between(node, &before, &want, &[self.executor.host]));
        Ok(Task { before, want, changes: changes.into(), effects: effects.into(), is_new: true })
    }

    /// Nothing is done: the first step says why.
    fn refuse(&self, error: &Error) {
        for (number, result) in self.results.iter().enumerate() {
            let outcome = match number {
                0 => Outcome::Failed { error: error.clone() },
                _ => Outcome::NotRun,
            };
            let _ = result.set(StepReport::of(self.step(number).id.clone(), outcome));
        }
    }

    fn perform(&self, steps: &[usize], effect: &Effect) -> Result<()> {
        self.perform_all(steps, std::slice::from_ref(effect)).1
    }

    /// Performs effects for steps, as [`Executor::perform_all`]; what owns what, and what has to react, is noted before.
    fn perform_all(&self, steps: &[usize], effects: &[Effect]) -> (usize, Result<()>) {
        let ids: Vec<&ResourceId> = steps.iter().map(|number| &self.step(*number).id).collect();
        self.executor.perform_all(&ids, effects, |recorder| {
            for number in steps {
                let node = self.node(*number);
                recorder.claims(&node.id, &node.claims);
                if node.common.sensitive {
                    recorder.hides(&node.id);
                }
                self.followers(*number).for_each(|follower| recorder.notify(follower, &self.step(*number).id));
            }
        })
    }

    /// A resource type is never trusted: what it promised must be there once its effects are performed.
    fn verify(&self, number: usize, want: &DynState, performed: &[Effect]) -> Result<()> {
        let node = self.node(number);
        let found = node.check(self.executor.host)?;
        if found == *want {
            return Ok(());
        }
        let left = changes_between(node, &found, want, &[self.executor.host]);
        let left: Vec<String> = left
            .iter()
            .map(|change| format!("{} is {}, expected {}", change.label(), shown(&change.from), shown(&change.to)))
            .collect();
        let mut message = format!("{} did not reach its declared state", node.id);
        if let [first, ..] = left.as_slice() {
            message.push_str(&format!(": {first}"));
        }
        let error =
            Error::new(ErrorKind::VerificationFailed, message).with_cause(left.get(1..).unwrap_or_default().join("\n"));
        // Where the same would be planned again, what was done had no result that lasted.
        let again = decide_now(node, self.executor.host, &self.planned.declared_packages);
        Err(match again.is_ok_and(|(_, effects)| effects == performed) {
            true => error.with_hint(format!(
                "what was done would be done again in the same way: something else undoes it, or the resource type `{}` has a bug",
                node.id.kind()
            )),
            false => error.with_hint("something changed it, or it changed by itself, after its effects were performed"),
        })
    }
}

/// What a step has done so far.
#[derive(Default)]
struct Progress {
    changes: Shared<Change>,
    effects: Performed,
    reacted_to: Vec<ResourceId>,
    deferred: bool,
}

fn shown(value: &serde_json::Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
