//! What is observed of a real host and of its model, and where they disagree.

use std::collections::BTreeMap;

use provision_core::apply::ApplyOptions;
use provision_core::effect::{Effect, PlatformEffect};
use provision_core::error::Error;
use provision_core::graph::Graph;
use provision_core::host::{Host, HostView};
use provision_core::path::HostPath;
use provision_core::plan::{PlanOptions, Verdict};
use provision_core::report::{Outcome, Report};
use provision_core::sim::{HostRecord, Scope, SimHost};

use super::scenario::Scenario;

/// What is compared: all but what programs keep for themselves, and what the recordings of packages leave out.
fn scope() -> Scope {
    let left_out = [
        "/etc/alternatives",
        "/etc/apt/apt.conf.d",
        "/etc/apt/auth.conf.d",
        "/etc/apt/keyrings",
        "/etc/apt/sources.list",
        "/etc/apt/sources.list.d",
        "/etc/apt/trusted.gpg.d",
        "/etc/init.d",
        "/etc/rc0.d",
        "/etc/rc1.d",
        "/etc/rc2.d",
        "/etc/rc3.d",
        "/etc/rc4.d",
        "/etc/rc5.d",
        "/etc/rc6.d",
        "/etc/rcS.d",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/local/bin",
        "/usr/share",
        "/var/backups",
        "/var/mail",
        "/var/spool",
    ];
    Scope::comparison().without(left_out.map(|path| HostPath::new(path).expect("an absolute path")))
}

/// The model of a host as it is now.
pub fn model_of(host: &dyn HostView) -> Result<SimHost, String> {
    let record = HostRecord::of(host, &Scope { facts: true, ..scope() }).map_err(|error| error.to_string())?;
    SimHost::from_record(record).map_err(|error| error.to_string())
}

/// Brings a scenario about on a host and on its model, and says where they disagree.
pub fn disagreement(scenario: &Scenario, host: &dyn Host, model: &SimHost) -> Result<(), String> {
    for effect in &scenario.before {
        let (real, modelled) = (host.perform(effect), model.perform(effect));
        if real.is_ok() != modelled.is_ok() {
            return Err(format!("`{effect}`: {} for real, {} in the model", outcome(&real), outcome(&modelled)));
        }
    }
    observe("before the run", host, model)?;
    let Some(graph) = scenario.site().and_then(|site| site.into_graph().ok()) else { return Ok(()) };
    let (real, modelled) = (run(&graph, host)?, run(&graph, model)?);
    for (left, right) in real.steps.iter().zip(&modelled.steps) {
        if word(&left.outcome) != word(&right.outcome) {
            return Err(format!(
                "{}: {} for real, {} in the model",
                left.id,
                explained(&left.outcome),
                explained(&right.outcome)
            ));
        }
    }
    observe("after the run", host, model)
}

fn outcome<T>(result: &Result<T, Error>) -> String {
    match result {
        Ok(_) => "done".to_owned(),
        Err(error) => format!("failed ({error})"),
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::InSync => "in sync",
        Outcome::Changed => "changed",
        Outcome::Failed { .. } => "failed",
        Outcome::Skipped { .. } => "skipped",
        _ => "not run",
    }
}

fn explained(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failed { error } => format!("failed ({error}; {})", error.cause().unwrap_or_default()),
        other => word(other).to_owned(),
    }
}

/// Plans and applies. What was planned, and needed no second look, is what is done.
fn run(graph: &Graph, host: &dyn Host) -> Result<Report, String> {
    let planned = graph.plan(host, &PlanOptions::default()).map_err(|error| error.to_string())?;
    let plan = planned.plan().clone();
    let report = planned.apply(host, &ApplyOptions::default(), &());
    for (step, done) in plan.steps.iter().zip(&report.steps) {
        let certain = step.verdict == Verdict::Change && step.assumes.is_empty() && !done.deferred;
        let in_batch =
            step.effects.iter().any(|effect| matches!(effect, Effect::Platform(PlatformEffect::Packages(_))));
        if certain
            && !in_batch
            && done.outcome == Outcome::Changed
            && step.reaction.is_none()
            && step.effects != done.effects
        {
            return Err(format!("{}: planned {:?}, done {:?}", step.id, step.effects, done.effects));
        }
    }
    Ok(report)
}

/// Compares everything that is observed of both.
fn observe(when: &str, host: &dyn HostView, model: &SimHost) -> Result<(), String> {
    let record = |host: &dyn HostView| HostRecord::of(host, &scope()).map_err(|error| error.to_string());
    let (real, modelled) = (record(host)?, record(model)?);
    let (left, right) = (lines(&real, &modelled), lines(&modelled, &real));
    let differing: Vec<String> = left
        .keys()
        .chain(right.keys())
        .filter(|what| left.get(*what) != right.get(*what))
        .map(|what| {
            let shown = |lines: &BTreeMap<String, String>| lines.get(what).cloned().unwrap_or_else(|| "nothing".into());
            format!("{when}, {what}\n    real  {}\n    model {}", shown(&left), shown(&right))
        })
        .collect();
    match differing.as_slice() {
        [] => Ok(()),
        all => Err(all.iter().take(6).cloned().collect::<Vec<_>>().join("\n")),
    }
}

/// The observations of a host that the other can have made as well.
fn lines(of: &HostRecord, other: &HostRecord) -> BTreeMap<String, String> {
    let mut record = of.clone();
    // What a packaged file holds is not recorded, and its other names neither.
    let held = |path: &_| other.texts.contains_key(path) || other.digests.contains_key(path);
    record.texts.retain(|path, _| held(path));
    record.digests.retain(|path, _| held(path));
    record.hard_links.retain(|path, _| path.as_str().starts_with("/srv"));
    record.mounts.clear();
    // Times differ, and so may the versions of the day.
    record.package_manager = Default::default();
    for entry in record.packages.values_mut() {
        entry.version = None;
    }
    record.packages.retain(|_, entry| entry.status != provision_core::host::PackageStatus::Absent || entry.hold);
    let mut lines = record.lines();
    // Targets come and go with what wants them, and some services with the time of the day.
    lines.retain(|what, _| {
        let unit = what.strip_prefix("unit ");
        unit.is_none_or(|unit| {
            ["app.", "app-", "cron.", "apt-daily.", "atd."].iter().any(|known| unit.starts_with(known))
        })
    });
    lines
}
