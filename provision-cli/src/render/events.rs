//! A run as it happens: lines for people and a moving line for what takes long, or a stream of events for programs.

use std::io::{IsTerminal, Write};
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

/// Renders the events of a run.
pub struct Watcher<'a> {
    options: &'a Options,
    bar: ProgressBar,
    moving: Once,
    /// Why writing failed; kept until the run is over, which it must not stop.
    failure: Mutex<Option<Failure>>,
}

impl<'a> Watcher<'a> {
    /// A watcher that renders as the options say.
    pub fn new(options: &'a Options) -> Watcher<'a> {
        let moving = options.format == Format::Text && !options.quiet && std::io::stderr().is_terminal();
        let target = if moving { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(look) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(look);
        }
        Watcher { options, bar, moving: Once::new(), failure: Mutex::default() }
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

    /// Shows how the run ended.
    pub fn finish(&self, plan: &Plan, report: &Report) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        if let Some(failure) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(failure);
        }
        if self.options.format == Format::Json {
            return json::line(&serde_json::json!({
                "event": "report",
                "schema": "provision/report/1",
                "success": report.is_success(),
                "report": report,
            }));
        }
        let mut out = anstream::stdout().lock();
        let counts = report.counts;
        let took = report.took.as_secs_f64();
        if let Some(error) = &report.journal_error {
            let fail = style::FAIL;
            writeln!(out, "{fail}The journal is not complete{fail:#}: {}", foreign::line(error))?;
            super::error::details(&mut out, "  ", error)?;
        }
        for owed in &report.owed {
            let color = style::CHANGE;
            writeln!(
                out,
                "{color}owed{color:#}: {} has to react to {}; the next run does it",
                foreign::line(&owed.id),
                foreign::line(&owed.because)
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
            (report.deferred(), "decided on the way"),
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
            Event::EffectStarted { effect, .. } => {
                if !self.bar.is_hidden() {
                    self.bar.set_message(foreign::line(effect));
                    // It moves by a thread of its own.
                    self.moving.call_once(|| self.bar.enable_steady_tick(Duration::from_millis(120)));
                }
                Ok(())
            }
            Event::StepRetried { id, error, attempts, after } => self.bar.suspend(|| {
                let times = if *attempts == 1 { "once" } else { &format!("{attempts} times") };
                let says = format!("failed {times}, is tried again in {:.0} s: {error}", after.as_secs_f64());
                Ok(headline(&mut anstream::stdout().lock(), ("!", style::CHANGE), id, &says, None)?)
            }),
            Event::RollbackStarted { because, .. } => self.bar.suspend(|| {
                let color = style::CHANGE;
                writeln!(
                    anstream::stdout(),
                    "{color}Undoing{color:#} what was done, because {} failed:",
                    foreign::line(because)
                )?;
                Ok(())
            }),
            // Most steps of most runs: nothing is asked of the terminal for them.
            Event::StepFinished { step } if step.outcome == Outcome::InSync && self.options.verbose == 0 => Ok(()),
            Event::StepFinished { step } => self.bar.suspend(|| self.step(step)),
            _ => Ok(()),
        }
    }

    fn step(&self, step: &StepReport) -> Result<(), Failure> {
        let mut out = anstream::stdout().lock();
        let at = step.declared_at.as_ref();
        match &step.outcome {
            Outcome::InSync => headline(&mut out, (" ", style::FAINT), &step.id, "in sync", at)?,
            Outcome::Changed => {
                let causes: Vec<String> = step.reacted_to.iter().map(ToString::to_string).collect();
                let says = match (step.changes.as_slice(), causes.as_slice()) {
                    ([], [_, ..]) => {
                        let effects: Vec<String> = step.effects.iter().map(ToString::to_string).collect();
                        format!("{}, because {} changed", effects.join(", "), list(&causes))
                    }
                    (_, [_, ..]) => format!("changed, and reacted to {}", list(&causes)),
                    _ => String::new(),
                };
                headline(&mut out, sign(&step.changes), &step.id, &says, at)?;
                if self.options.verbose > 0 {
                    show_changes(&mut out, &step.changes, self.options)?;
                }
            }
            Outcome::Failed { error } => show_failure(&mut out, &step.id, error, at)?,
            Outcome::Skipped { because } => {
                headline(&mut out, ("!", style::FAIL), &step.id, &format!("skipped, because {because} failed"), at)?;
            }
            // It was told when it was changed, and when that was undone.
            Outcome::RolledBack { .. } => {}
            Outcome::NotRun => headline(&mut out, ("!", style::CHANGE), &step.id, "not reached", at)?,
        }
        Ok(())
    }
}

/// Says that so many resources are in sync.
pub fn nothing_to_do(steps: usize, took: Duration) -> Result<(), Failure> {
    let took = took.as_secs_f64();
    writeln!(anstream::stdout(), "Nothing to do: {steps} in sync ({took:.1} s).")?;
    Ok(())
}

impl Observer for Watcher<'_> {
    fn event(&self, event: &Event<'_>) {
        if let Err(failure) = self.show(event) {
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        }
    }
}
