//! A run as it happens: lines for people and a moving line for what takes long, or a stream of events for programs.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use provision_core::host;
use provision_core::observe::{Event, Observer};
use provision_core::plan::Plan;
use provision_core::report::{Outcome, Report, StepReport};

use super::plan::{count_list, headline, list, show_changes, show_failure, sign};
use super::{foreign, json, style};
use crate::cli::{Format, Options};
use crate::exit::Failure;
use crate::output::{self, Stdout};

/// Renders the events of a run.
pub struct Watcher<'a> {
    options: &'a Options,
    bar: ProgressBar,
    moving: Once,
    /// The effects under way, in the order in which they began.
    under_way: Mutex<UnderWay>,
    /// How many resources are done with.
    done: AtomicU64,
    /// Whether what was done is being undone: those resources were counted already.
    undoing: AtomicBool,
    /// Why writing failed; kept until the run is over, which it must not stop.
    failure: Mutex<Option<Failure>>,
}

impl<'a> Watcher<'a> {
    /// A watcher that renders as the options say.
    pub fn new(options: &'a Options) -> Watcher<'a> {
        let moving = options.format == Format::Text && !options.quiet && std::io::stderr().is_terminal();
        let target = if moving { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(look) = ProgressStyle::with_template("{spinner} {pos}/{len} {msg} ({elapsed_precise})") {
            bar.set_style(look);
        }
        let (under_way, done, undoing, failure) = Default::default();
        Watcher { options, bar, moving: Once::new(), under_way, done, undoing, failure }
    }

    /// Shows what long-running commands say.
    pub fn progress(&self) -> Option<host::Progress> {
        if self.options.format == Format::Json {
            return Some(Arc::new(|line: &str| {
                let _ = json::line(&serde_json::json!({ "event": "progress", "text": line }));
            }));
        }
        let bar = self.bar.clone();
        Some(Arc::new(move |line: &str| bar.set_message(foreign::line(line))))
    }

    /// Shows how the run ended. Output that cannot be written does not stop a run, and the error says so.
    ///
    /// # Errors
    /// Something could not be written, now or while the run was under way.
    pub fn finish(&self, plan: &Plan, report: &Report) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match failure.map_or_else(|| self.show_report(plan, report), Err) {
            // Who has seen enough wants to know how it ended all the same.
            Err(Failure::OutputClosed) => Ok(()),
            Err(Failure::Output(error)) => Err(Failure::Output(error.with_hint(how_it_ended(report)))),
            other => other,
        }
    }

    fn show_report(&self, plan: &Plan, report: &Report) -> Result<(), Failure> {
        if self.options.format == Format::Json {
            return json::line(&serde_json::json!({
                "event": "report",
                "schema": "provision/report/1",
                "success": report.is_success(),
                "report": report,
            }));
        }
        let mut out = output::stdout();
        let counts = report.counts;
        let took = report.took.as_secs_f64();
        if let Some(error) = &report.journal_error {
            let fail = style::FAIL;
            writeln!(out, "{fail}The journal is not complete{fail:#}: {}", foreign::line(error))?;
            super::error::details(&mut out, "  ", error)?;
        }
        for pending in &report.pending_notifications {
            let color = style::CHANGE;
            writeln!(
                out,
                "{color}pending{color:#}: {} has to react to {}; the next run does it",
                foreign::line(&pending.id),
                foreign::line(&pending.because)
            )?;
        }
        if !report.changed_anything() && report.is_success() {
            return nothing_to_do(plan.steps.len(), report.took);
        }
        let parts = [
            (counts.changed, "changed"),
            (counts.in_sync, "in sync"),
            (counts.failed, "failed"),
            (counts.skipped, "skipped"),
            (counts.rolled_back, "undone"),
            (counts.not_run, "not reached"),
            (report.deferred(), "deferred"),
        ];
        let ended = match report {
            _ if report.cancelled => "Stopped",
            _ if report.is_success() => "Done",
            _ => "Failed",
        };
        let color = if report.is_success() { style::ADD } else { style::FAIL };
        writeln!(out, "\n{color}{ended}{color:#}: {} ({took:.1} s).", count_list(&parts))?;
        Ok(())
    }

    fn show(&self, event: &Event<'_>) -> Result<(), Failure> {
        if self.options.format == Format::Json {
            return json::line(event);
        }
        match event {
            _ if self.moves(event) => Ok(()),
            Event::StepRetried { id, error, attempts, after } => {
                self.bar.set_message(format!("waiting to try {} again", foreign::line(id)));
                let times = if *attempts == 1 { "once" } else { &format!("{attempts} times") };
                let says = format!("failed {times}, is tried again in {:.0} s: {error}", after.as_secs_f64());
                self.above(|out, _| Ok(headline(out, ("!", style::CHANGE), id, &says, None)?))
            }
            Event::RollbackStarted { because, .. } => {
                self.undoing.store(true, Ordering::Relaxed);
                let (color, because) = (style::CHANGE, foreign::line(because));
                self.above(|out, _| {
                    Ok(writeln!(out, "{color}Undoing{color:#} what was done, because {because} failed:")?)
                })
            }
            // Most steps of most runs: nothing is asked of the terminal for them.
            Event::StepFinished { step } if step.outcome == Outcome::InSync && self.options.verbose == 0 => Ok(()),
            Event::StepFinished { step } => self.above(|out, options| finished(out, step, options)),
            _ => Ok(()),
        }
    }

    /// Writes lines above the one that moves. Its lock is held meanwhile: nothing can be asked of it in there.
    fn above(&self, write: impl FnOnce(&mut Stdout, &Options) -> Result<(), Failure>) -> Result<(), Failure> {
        let options = self.options;
        self.bar.suspend(|| write(&mut output::stdout(), options))
    }

    /// Follows a run in the line that moves, and says whether an event is about nothing else.
    fn moves(&self, event: &Event<'_>) -> bool {
        if self.bar.is_hidden() {
            return matches!(event, Event::EffectStarted { .. } | Event::EffectFinished { .. });
        }
        match event {
            Event::RunStarted { steps } => self.bar.set_length(*steps as u64),
            Event::EffectStarted { effect, .. } => {
                self.show_under_way(|under_way| under_way.begin(foreign::line(effect)));
                self.moving.call_once(|| move_by_itself(&self.bar));
                return true;
            }
            Event::EffectFinished { effect, .. } => {
                self.show_under_way(|under_way| under_way.end(&foreign::line(effect)));
                return true;
            }
            Event::StepFinished { .. } if !self.undoing.load(Ordering::Relaxed) => {
                self.done.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
        // A run that does nothing draws nothing.
        if self.moving.is_completed() {
            self.bar.set_position(self.done.load(Ordering::Relaxed));
        }
        false
    }

    fn show_under_way(&self, change: impl FnOnce(&mut UnderWay)) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut under_way);
        self.bar.set_message(under_way.shown());
    }
}

/// The effects under way, in the order in which they began.
#[derive(Default)]
struct UnderWay(Vec<String>);

impl UnderWay {
    fn begin(&mut self, effect: String) {
        self.0.push(effect);
    }

    fn end(&mut self, effect: &str) {
        if let Some(place) = self.0.iter().position(|other| other == effect) {
            self.0.remove(place);
        }
    }

    /// The last one that began, and how many others there are.
    fn shown(&self) -> String {
        match self.0.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            [others @ .., last] => format!("{last}, and {} more", others.len()),
        }
    }
}

/// What became of a resource.
fn finished(out: &mut Stdout, step: &StepReport, options: &Options) -> Result<(), Failure> {
    let at = step.declared_at.as_ref();
    match &step.outcome {
        Outcome::InSync => headline(out, (" ", style::FAINT), &step.id, "in sync", at)?,
        Outcome::Changed => {
            let causes: Vec<String> = step.reacted_to.iter().map(ToString::to_string).collect();
            let says = match (&*step.changes, &*causes) {
                ([], [_, ..]) => {
                    let effects: Vec<String> = step.effects.iter().map(ToString::to_string).collect();
                    format!("{}, because {} changed", effects.join(", "), list(&causes))
                }
                (_, [_, ..]) => format!("changed, and reacted to {}", list(&causes)),
                _ => String::new(),
            };
            headline(out, sign(&step.changes), &step.id, &says, at)?;
            if options.verbose > 0 {
                show_changes(out, &step.changes, options)?;
            }
        }
        Outcome::Failed { error } => show_failure(out, &step.id, error, at)?,
        Outcome::Skipped { because } => {
            headline(out, ("!", style::FAIL), &step.id, &format!("skipped, because {because} failed"), at)?;
        }
        // It was told when it was changed, and when that was undone.
        Outcome::RolledBack { .. } => {}
        Outcome::NotRun => headline(out, ("!", style::CHANGE), &step.id, "not reached", at)?,
    }
    Ok(())
}

/// Moves a line until it is finished. Where no thread can be had, it moves only when something happens.
fn move_by_itself(bar: &ProgressBar) {
    let bar = bar.clone();
    let moving = move || {
        while !bar.is_finished() {
            bar.tick();
            std::thread::sleep(Duration::from_millis(120));
        }
    };
    drop(std::thread::Builder::new().spawn(moving));
}

/// What became of a run whose output could not be written.
fn how_it_ended(report: &Report) -> String {
    let how = match report {
        _ if report.cancelled => "was stopped",
        _ if report.is_success() => "is done",
        _ => "has failed",
    };
    match report.run {
        Some(run) => {
            format!("the run went on without output and {how}: `provision show {run}` lists what run {run} did")
        }
        None => format!("the run went on without output and {how}; it changed nothing"),
    }
}

/// Says that so many resources are in sync.
pub fn nothing_to_do(steps: usize, took: Duration) -> Result<(), Failure> {
    let took = took.as_secs_f64();
    writeln!(output::stdout(), "Nothing to do: {steps} in sync ({took:.1} s).")?;
    Ok(())
}

impl Observer for Watcher<'_> {
    fn event(&self, event: &Event<'_>) {
        if let Err(failure) = self.show(event) {
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It had shown the last one that began, whether it was still under way or not.
    #[test]
    fn the_moving_line_names_what_is_under_way() {
        let mut under_way = UnderWay::default();
        under_way.begin("restart one".to_owned());
        under_way.begin("restart two".to_owned());
        assert_eq!(under_way.shown(), "restart two, and 1 more");
        under_way.end("restart two");
        assert_eq!(under_way.shown(), "restart one");
        under_way.end("restart one");
        assert_eq!(under_way.shown(), "");
    }
}
