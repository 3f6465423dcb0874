//! Every fault at every effect of a run: it is told, the next run converges, and no notification is lost.

use std::collections::BTreeMap;

use crate::apply::ApplyOptions;
use crate::effect::{Effect, PlatformEffect, UnitAction};
use crate::graph::Graph;
use crate::host::{Fault, Faulty, HostViewExt};
use crate::journal::{Journal, Purpose, RunInfo};
use crate::plan::PlanOptions;
use crate::report::Report;
use crate::sim::SimHost;
use crate::state::MemoryStore;

use super::packages_alone::{but_for_packages, packages_alone};
use super::tried::Fresh;
use super::{Failure, Observed, Run, Tried};

/// What a sweep came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survived {
    /// How many effects the run has.
    pub effects: usize,
    /// How many faults were met, each in a run of its own.
    pub faults: usize,
}

/// Lets a run on copies of a host meet each fault at each of its effects; a death also takes the power, or comes in the
/// middle of a package transaction.
///
/// # Errors
/// A fault that is not reported; a next run that fails or leaves the host otherwise than a run without a fault; a
/// reaction that is lost; a run after that which has something to do.
pub fn survives_every_fault(graph: &Graph, host: &SimHost) -> Result<Survived, Failure> {
    host.take_effects();
    let well = host.clone();
    let before = well.observed()?;
    let run = Run::of(graph, &well, &Journal::new(MemoryStore::new()))?.succeeded()?;
    let (after, effects, report) = (well.observed()?, well.take_effects(), run.report().clone());
    let well = Well { begin: Some(host.clone()), before, after, effects, report };
    let sweep = Sweep { faults: &Fault::ALL, points: usize::MAX, power: true, looks_at_files: false };
    let mut survived = Survived { effects: well.effects.len(), faults: 0 };
    sweep.over(graph, &well, &|attempt| attempt(&host.clone()), &mut |_, result| {
        survived.faults += 1;
        result
    })?;
    survived.faults += survives_a_killed_dpkg(graph, host, &well)?;
    Ok(survived)
}

/// Lets dpkg be killed in the first transaction of a run, and the run with it: at its beginning, in its middle, and
/// before its last package is configured.
fn survives_a_killed_dpkg(graph: &Graph, host: &SimHost, well: &Well) -> Result<usize, Failure> {
    let first = well.effects.iter().enumerate().find_map(|(at, effect)| match effect {
        Effect::Platform(PlatformEffect::Packages(transaction)) => Some((at, transaction)),
        _ => None,
    });
    let Some((at, transaction)) = first else { return Ok(0) };
    let all = host.preview(transaction)?.steps_of_dpkg();
    let mut places = vec![1, all / 2, all.saturating_sub(1)];
    places.retain(|steps| (1..all).contains(steps));
    places.dedup();
    for steps in &places {
        let killed = host.clone().with_dpkg_killed_after(*steps);
        let case = Case { graph, fault: Fault::DiesAfter, at, power: false, files: false, well, killed: Some(&killed) };
        let because = || format!("after dpkg was killed at step {steps} of `{}`", well.effects[at]);
        case.meet(&killed.clone(), &mut Shown::Lost).map_err(|failure| failure.in_case(because()))?;
    }
    Ok(places.len())
}

/// A run that went well, which others are compared with.
pub(crate) struct Well {
    /// A copy of the host as it began, if there can be one: it tells what packages do by themselves.
    pub(crate) begin: Option<SimHost>,
    pub(crate) before: Observed,
    pub(crate) after: Observed,
    pub(crate) effects: Vec<Effect>,
    pub(crate) report: Report,
}

/// Which faults are met.
pub(crate) struct Sweep<'a> {
    /// What happens.
    pub(crate) faults: &'a [Fault],
    /// At how many effects, from the first.
    pub(crate) points: usize,
    /// Whether a death also takes the power.
    pub(crate) power: bool,
    /// Whether files must be whole where the run died.
    pub(crate) looks_at_files: bool,
}

/// What a fault has shown to be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// It is not told.
    Silence,
    /// A file is torn.
    Torn,
    /// It is not survived.
    Lost,
}

impl Sweep<'_> {
    /// Lets runs meet the faults, each on a host of its own, and tells what came of each until told to end.
    pub(crate) fn over(
        &self,
        graph: &Graph,
        well: &Well,
        fresh: &Fresh<'_>,
        tell: &mut dyn FnMut(Shown, Result<(), Failure>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for (at, effect) in well.effects.iter().enumerate().take(self.points) {
            for fault in self.faults {
                let dies = matches!(fault, Fault::DiesBefore | Fault::DiesAfter);
                for power in if dies && self.power { &[false, true][..] } else { &[false][..] } {
                    let files = dies && self.looks_at_files;
                    let case = Case { graph, fault: *fault, at, power: *power, files, well, killed: None };
                    let what = if *power { ", and the power with it," } else { "" };
                    let mut shown = Shown::Lost;
                    let result = fresh(&mut |host| case.meet(host, &mut shown));
                    let place = format!("after {fault:?}{what} at `{effect}`");
                    tell(shown, result.map_err(|failure| failure.in_case(place)))?;
                }
            }
        }
        Ok(())
    }
}

struct Case<'a> {
    graph: &'a Graph,
    fault: Fault,
    at: usize,
    power: bool,
    files: bool,
    well: &'a Well,
    /// The host as it began, if dpkg is killed on it in the effect.
    killed: Option<&'a SimHost>,
}

impl Case<'_> {
    fn meet(&self, host: &dyn Tried, shown: &mut Shown) -> Result<(), Failure> {
        host.take_effects();
        let store = MemoryStore::new();
        let faulty = Faulty::new(&host, self.at, self.fault);
        let dead = Journal::new(store.clone().switched_by(faulty.death()));
        let planned = self.graph.plan(&faulty, &PlanOptions::default())?;
        let info = RunInfo { purpose: Purpose::Apply, who: "test".into(), site: "site".into(), site_digest: None };
        let recorder = Some(dead.begin(&dead.lock()?, info)?);
        let report = planned.apply(&faulty, &ApplyOptions { recorder, ..ApplyOptions::default() }, &());
        if faulty.has_struck() && report.is_success() && self.graph.has_no_retries() {
            *shown = Shown::Silence;
            return Err(Failure::new("the run says that all went well").plan(planned.plan()));
        }
        if self.files {
            self.find_torn_file(host).inspect_err(|_| *shown = Shown::Torn)?;
        }
        let mut done: Vec<Option<Effect>> = host.take_effects().into_iter().map(Some).collect();
        if self.power {
            host.lose_power();
            done.push(None);
        }
        let journal = Journal::new(store);
        let next = Run::of(self.graph, &host, &journal)?;
        let next = next.succeeded().map_err(|failure| failure.in_case("the next run"))?;
        done.extend(host.take_effects().into_iter().map(Some));
        let mut wanted = self.comparable(self.well.after.lines.clone());
        let mut found = self.comparable(host.observed()?.lines);
        if found != wanted
            && let Some(well) = &self.well.begin
        {
            let begin = self.killed.unwrap_or(well);
            // A transaction in which dpkg was killed is not among what was done.
            let killed = self.killed.map(|_| &self.well.effects[self.at]);
            let done = killed.into_iter().map(Some).chain(done.iter().map(Option::as_ref));
            let alone = [packages_alone(well, self.well.effects.iter().map(Some))?, packages_alone(begin, done)?];
            [wanted, found] = but_for_packages([wanted, found], &alone.map(|lines| self.comparable(lines)));
        }
        if found != wanted {
            return Err(Failure::of_hosts("after the next run the host is another", &wanted, &found).plan(next.plan()));
        }
        if let Some(pending) = journal.pending()?.notifications.first() {
            return Err(Failure::new(format!("{} still has to react to {}", pending.id, pending.because)));
        }
        self.find_lost_reaction(&done)?;
        let last = Run::of(self.graph, &host, &journal)?;
        match host.take_effects().first() {
            None => Ok(()),
            Some(effect) => {
                Err(Failure::new(format!("the run after the next is not quiet: it does `{effect}`")).plan(last.plan()))
            }
        }
    }

    /// Each file is as it was before the run, or as it is after one that went well.
    fn find_torn_file(&self, host: &dyn Tried) -> Result<(), Failure> {
        match host.observed()?.torn(&self.well.before, &self.well.after) {
            Some((path, held)) => Err(Failure::new(format!("{path} is neither old nor new")).difference(held)),
            None => Ok(()),
        }
    }

    /// What can be compared: units that are not declared are after a boot as that makes them.
    fn comparable(&self, mut lines: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let claims = self.graph.nodes.iter().flat_map(|node| &node.claims);
        let declared: Vec<String> = claims.map(|claim| claim.target.to_string()).collect();
        lines.retain(|what, _| !(self.power && what.starts_with("unit ")) || declared.contains(what));
        lines
    }

    /// Whoever was to react to a change must have read what is there now: after the last change that it reacts to it was
    /// started, restarted or reloaded, or the host was.
    fn find_lost_reaction(&self, done: &[Option<Effect>]) -> Result<(), Failure> {
        for step in self.well.report.steps.iter().filter(|step| !step.reacted_to.is_empty()) {
            let units: Vec<&String> = step.effects.iter().filter_map(unit_that_reads_anew).collect();
            let causes = self.well.report.steps.iter().filter(|cause| step.reacted_to.contains(&cause.id));
            let changes: Vec<&Effect> = causes.flat_map(|cause| cause.effects.iter()).collect();
            let last_change =
                done.iter().rposition(|effect| effect.as_ref().is_some_and(|effect| changes.contains(&effect)));
            for unit in units {
                let reads = |effect: &Option<Effect>| match effect {
                    None => true,
                    // A package that comes starts its units itself.
                    Some(Effect::Platform(PlatformEffect::Packages(transaction))) => !transaction.install.is_empty(),
                    Some(effect) => unit_that_reads_anew(effect) == Some(unit),
                };
                if last_change.is_some_and(|place| !done[place..].iter().any(reads)) {
                    return Err(Failure::new(format!("the reaction of {} is lost", step.id))
                        .at(&step.id, step.declared_at.as_ref()));
                }
            }
        }
        Ok(())
    }
}

fn unit_that_reads_anew(effect: &Effect) -> Option<&String> {
    match effect {
        Effect::Platform(PlatformEffect::Unit {
            unit,
            action: UnitAction::Start | UnitAction::Restart | UnitAction::Reload,
        }) => Some(unit),
        _ => None,
    }
}
