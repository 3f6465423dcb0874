//! The laws that one host can be tried on one after another: it is looked at, converged, converged again, and that undone.

use crate::effect::{Effect, PlatformEffect};
use crate::graph::{Graph, Node};
use crate::journal::Journal;
use crate::plan::PlanOptions;
use crate::resource::DynState;
use crate::state::MemoryStore;
use crate::testing::checks::{Undone, second_run_is_quiet, undo_is_exact};
use crate::testing::faults::Well;
use crate::testing::{Failure, Observed, Run, Tried};

use super::Law;
use super::case::{ErasedCase, Trial};
use super::claims::{Allowed, unclaimed};
use super::ground::Ground;

/// A host with a case, on which laws are tried.
pub(super) struct Life<'a> {
    case: &'a ErasedCase,
    graph: &'a Graph,
    node: &'a Node,
    host: &'a dyn Tried,
    journal: Journal,
    allowed: Allowed<'a>,
    before: Observed,
    converged: Option<Converged>,
}

/// What the first run came to.
struct Converged {
    run: Run,
    effects: Vec<Effect>,
    after: Observed,
}

impl<'a> Life<'a> {
    /// The laws that can be tried, in the order in which one host can show them.
    pub(super) const LAWS: [Law; 6] = [
        Law::LookingNeverWrites,
        Law::PlanIsIdempotent,
        Law::ThePlanIsWhatHappens,
        Law::NothingOutsideItsClaims,
        Law::TheSecondRunIsQuiet,
        Law::UndoIsExact,
    ];

    /// Begins on a host as the case has it.
    pub(super) fn new(case: &'a ErasedCase, graph: &'a Graph, host: &'a dyn Tried) -> Result<Life<'a>, Failure> {
        host.take_effects();
        let mut allowed = Allowed::by(graph.nodes.iter().flat_map(|node| &node.claims));
        allowed.look_at(&host);
        let (node, journal) = (case.node(graph)?, Journal::new(MemoryStore::new()));
        Ok(Life { case, graph, node, host, journal, allowed, before: host.observed()?, converged: None })
    }

    /// Tries a law.
    pub(super) fn step(&mut self, law: Law) -> Trial {
        match law {
            Law::LookingNeverWrites => self.look(),
            Law::PlanIsIdempotent => self.plan(),
            Law::ThePlanIsWhatHappens => self.act(),
            Law::NothingOutsideItsClaims => self.keep_to_claims(),
            Law::TheSecondRunIsQuiet => {
                self.converge()?;
                second_run_is_quiet(self.graph, self.host, &self.journal).map(|()| 1)
            }
            Law::UndoIsExact => {
                let Life { host, before, journal, .. } = &*self;
                let (host, before, journal) = (*host, before.clone(), journal.clone());
                let undone = undo_is_exact(&self.converge()?.run, &before, host, &journal, None)?;
                // Where nothing can be compared, the law was not tried.
                Ok(usize::from(undone == Undone::Exactly))
            }
            _ => Ok(0),
        }
    }

    /// The first run, if it went well, to compare others with.
    pub(super) fn into_well(self) -> Option<Well> {
        let Converged { run, effects, after } = self.converged?;
        Some(Well { begin: None, before: self.before, after, effects, report: run.report().clone() })
    }

    fn check(&self) -> Option<DynState> {
        self.node.check(&self.host).ok()
    }

    fn converge(&mut self) -> Result<&Converged, Failure> {
        if self.converged.is_none() {
            let run = Run::of(self.graph, &self.host, &self.journal)?.succeeded()?;
            let (effects, after) = (self.host.take_effects(), self.host.observed()?);
            self.allowed.look_at(&self.host);
            self.converged = Some(Converged { run, effects, after });
        }
        self.converged.as_ref().ok_or_else(|| Failure::new("there was no run"))
    }

    /// Law 1.
    fn look(&self) -> Trial {
        let (Some(first), Some(second)) = (self.check(), self.check()) else { return Ok(0) };
        if let Some(effect) = self.host.take_effects().first() {
            return Err(Failure::new(format!("to look, it does `{effect}`")));
        }
        let after = self.host.observed()?;
        if after != self.before {
            return Err(Failure::of_hosts("looking has changed the host", &self.before.lines, &after.lines));
        }
        if first != second {
            return Err(Failure::new("two looks find two states").difference(format!(
                "first  {}\nsecond {}",
                first.to_json(),
                second.to_json()
            )));
        }
        Ok(1)
    }

    /// Law 2, from the state in which the host is.
    fn plan(&self) -> Trial {
        let Some(now) = self.check() else { return Ok(0) };
        let want = self.node.plan(&now)?;
        if self.node.plan(&want)? != want {
            return Err(
                Failure::new("what is wanted is not wanted once it is there").difference(want.to_json().to_string())
            );
        }
        Ok(1)
    }

    /// Law 3.
    fn act(&mut self) -> Trial {
        let planned = self.graph.plan(&self.host, &PlanOptions::default())?.plan().clone();
        let Converged { run, effects: done, .. } = self.converge()?;
        if run.report().deferred() > 0 {
            return Ok(0);
        }
        // What a change calls for is a part of the plan, such as the service manager reading a unit file.
        let wanted: Vec<&Effect> = planned
            .steps
            .iter()
            .flat_map(|step| {
                let reaction = step.reaction.iter().filter(|reaction| reaction.certain);
                step.effects.iter().chain(reaction.flat_map(|reaction| &reaction.effects))
            })
            .collect();
        let done: Vec<&Effect> = done.iter().collect();
        let packages = wanted.iter().any(|effect| matches!(effect, Effect::Platform(PlatformEffect::Packages(_))));
        // Packages of several resources are one transaction.
        let same = if packages { wanted.len() == done.len() } else { wanted == done };
        if !same {
            let list = |effects: &[&Effect]| effects.iter().map(|effect| format!("\n  {effect}")).collect::<String>();
            return Err(Failure::new("what is done is not what was planned").difference(format!(
                "planned:{}\ndone:{}",
                list(&wanted),
                list(&done)
            )));
        }
        Ok(1)
    }

    /// Law 7: of the effects of the case's own resource, and of what has changed on the host.
    fn keep_to_claims(&mut self) -> Trial {
        if self.check().is_none() && self.converged.is_none() {
            return Ok(0);
        }
        self.converge()?;
        let Some(Converged { run, effects, after }) = &self.converged else { return Ok(0) };
        let own: Vec<Effect> = run
            .report()
            .steps
            .iter()
            .filter(|step| step.id == self.case.id)
            .flat_map(|step| step.effects.iter().cloned())
            .collect();
        for effect in &own {
            if let Some(what) = unclaimed(effect, &self.node.claims, &own, &self.allowed) {
                return Err(Failure::new(format!("`{effect}` changes {what}, which it does not claim")));
            }
        }
        if let Some([what, was, is]) = self.allowed.exceeded(effects, &self.before, after) {
            return Err(Failure::new(format!("{what} has changed, which it does not claim"))
                .difference(format!("was {was}\nis  {is}")));
        }
        Ok(own.len().max(1))
    }
}

/// Tries one law with a case, on a host of its own.
pub(super) fn step(case: &ErasedCase, law: Law, ground: &dyn Ground) -> Trial {
    let graph = case.graph()?;
    let mut trials = 0;
    ground.try_on(&case.host, &mut |host| {
        trials = Life::new(case, &graph, host)?.step(law)?;
        Ok(())
    })?;
    Ok(trials)
}
