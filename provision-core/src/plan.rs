//! From resources and a host to a [`Plan`]: what would be done, as data.
//!
//! A plan is made by running `apply` of every resource, in order, against an [`Overlay`] that records the effects.
//! [`Planned::apply`] performs those effects.

mod ahead;
mod aliases;
mod change;
mod converged;
mod judging;
mod order;
mod packages;
mod relied;
mod saved;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::HashMap;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Span;
use crate::effect::{Effect, PackageTransaction, PlatformEffect, UnitAction};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, GraphOf, Node};
use crate::host::{Doubt, Host, HostView, HostViewExt, Overlay, TransactionPreview, UnitState};
use crate::id::ResourceId;
use crate::journal::Orphan;
use crate::moment::Moment;
use crate::path::HostPath;
use crate::resource::DynState;
use crate::run::PendingNotification;
use crate::site::is_of_the_engine;
use crate::state::HostKey;
use relied::relied_on;

use ahead::Foresight;
use aliases::Aliases;
use order::{WaitsFor, Writers};

pub use crate::change::Change;
pub use crate::graph::Selector;
pub use crate::shared::Shared;
pub use converged::Converged;
#[cfg(all(test, feature = "nickel"))]
pub(crate) use converged::tests as tests_of_converged;
pub use saved::{ReliedOn, SavedPlan};

/// What would be done to a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What each resource needs, in the order in which it happens.
    pub steps: Vec<Step>,
    /// The package changes of several steps, each carried out at once.
    pub transactions: Vec<PlannedTransaction>,
    /// Pending notifications of earlier runs that are dropped: their resource is no longer declared. Those of the engine's own
    /// resources stay pending until they are delivered.
    pub dropped_notifications: Vec<PendingNotification>,
    /// What earlier runs made for resources that are no longer declared, and that stays.
    pub orphans: Vec<Orphan>,
    /// What other sites made and this one leaves alone, if it prunes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OtherSite>,
}

/// What one resource needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The resource.
    pub id: ResourceId,
    /// Where it was declared.
    pub declared_at: Option<Span>,
    /// Steps of the same phase may run at the same time, if no edge forbids it; phases follow one another.
    pub phase: usize,
    /// What is to happen.
    pub verdict: Verdict,
    /// What differs.
    pub changes: Shared<Change>,
    /// What is done to the host.
    pub effects: Shared<Effect>,
    /// What is done because other resources change.
    pub reaction: Option<Reaction>,
    /// What was taken to be absent although a package of this plan may bring it. It is looked at again before anything
    /// is done; if it is there by then, what to do is decided anew.
    pub assumes: Vec<Doubt>,
    /// Labels to choose it by.
    pub tags: Vec<String>,
}

/// What is to happen to a resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing: it is as declared.
    InSync,
    /// Its effects are performed.
    Change,
    /// It is decided once something else has happened.
    Deferred {
        /// What has to happen first.
        because: String,
    },
    /// It cannot be brought about.
    Failed {
        /// Why.
        error: Error,
    },
    /// It is left alone, because something that it requires cannot be brought about.
    Skipped {
        /// That resource.
        because: ResourceId,
    },
}

/// What a resource does because others change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reaction {
    /// The resources of this plan that cause it.
    pub causes: Vec<ResourceId>,
    /// Notifications that earlier runs left pending: they died, or failed, before the reaction.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_notifications: Vec<PendingNotification>,
    /// What is done, once, after all of them.
    pub effects: Vec<Effect>,
    /// Whether it is certain that one of them changes.
    pub certain: bool,
}

/// Package changes that are carried out at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedTransaction {
    /// The resources it is for.
    pub ids: Vec<ResourceId>,
    /// What they ask for.
    pub transaction: PackageTransaction,
    /// What it comes to with dependencies, if that can be known beforehand.
    pub preview: Option<TransactionPreview>,
    /// Why it cannot be known.
    pub unknown: Option<String>,
}

/// How a plan is made.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    /// Only these resources and what they need; all if there are none.
    pub only: Vec<Selector>,
    /// Notifications that earlier runs left pending.
    pub pending_notifications: Vec<PendingNotification>,
    /// Leaves out of the plan what is no longer declared and stays: applying it does nothing about that.
    pub without_leftovers: bool,
}

/// How many steps there are of each verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanCounts {
    /// As declared already.
    pub in_sync: usize,
    /// To be changed, reactions included.
    pub change: usize,
    /// To be decided later.
    pub deferred: usize,
    /// Impossible.
    pub failed: usize,
    /// Left alone because of those.
    pub skipped: usize,
}

impl Plan {
    /// How many steps there are of each verdict.
    pub fn counts(&self) -> PlanCounts {
        let mut counts = PlanCounts::default();
        for step in &self.steps {
            *match step.verdict {
                Verdict::InSync if step.reaction.as_ref().is_some_and(|reaction| reaction.certain) => {
                    &mut counts.change
                }
                Verdict::InSync => &mut counts.in_sync,
                Verdict::Change => &mut counts.change,
                Verdict::Deferred { .. } => &mut counts.deferred,
                Verdict::Failed { .. } => &mut counts.failed,
                Verdict::Skipped { .. } => &mut counts.skipped,
            } += 1;
        }
        counts
    }

    /// Everything that its effects touch, with digests of how that is now; `key` is the key of the host's journal.
    ///
    /// # Errors
    /// The host cannot be looked at.
    pub fn relied_on(&self, host: &dyn HostView, key: &HostKey) -> Result<Vec<ReliedOn>> {
        relied_on(self, host, key)
    }

    /// Whether applying it would do nothing at all.
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| step.verdict == Verdict::InSync && step.reaction.is_none())
    }

    /// Whether it does nothing, and has neither orphans nor dropped notifications.
    pub fn is_quiet(&self) -> bool {
        self.is_empty() && self.orphans.is_empty() && self.dropped_notifications.is_empty()
    }

    /// Whether every step can be brought about, as far as is known.
    pub fn is_feasible(&self) -> bool {
        let counts = self.counts();
        counts.failed == 0 && counts.skipped == 0
    }
}

/// What another site made on the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OtherSite {
    /// The name of the site.
    pub site: String,
    /// The resources that it was made for.
    pub resources: Vec<ResourceId>,
}

impl OtherSite {
    fn of(foreign: &[Orphan]) -> Vec<OtherSite> {
        let mut sites: BTreeMap<&str, Vec<ResourceId>> = BTreeMap::new();
        for orphan in foreign.iter().filter(|orphan| !orphan.made.is_empty()) {
            sites.entry(&orphan.site).or_default().push(orphan.id.clone());
        }
        sites.into_iter().map(|(site, resources)| OtherSite { site: site.to_owned(), resources }).collect()
    }
}

/// A plan with the resources that it was made for: ready to be applied.
pub struct Planned<'g> {
    pub(crate) graph: GraphOf<'g>,
    pub(crate) plan: Plan,
    /// What applying needs beside the steps of the plan, one for each.
    pub(crate) steps: Vec<PlannedStep>,
    /// What the site says of packages.
    pub(crate) declared_packages: DeclaredPackages,
    /// Notifications that earlier runs left pending.
    pub(crate) pending_notifications: Vec<PendingNotification>,
    pub(crate) only: Vec<Selector>,
    /// The host that it was made for.
    pub(crate) host: saved::HostIdentity,
}

/// What applying a step needs beside what the plan shows of it.
pub(crate) struct PlannedStep {
    /// Its place in the graph.
    pub(crate) node: usize,
    /// The state that was found and the one that is wanted, if both are known.
    pub(crate) states: Option<(DynState, DynState)>,
    /// The steps that it waits for, beside those that edges of the graph name.
    pub(crate) waits_for: WaitsFor,
}

impl Planned<'_> {
    /// The plan itself.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The same, holding its graph.
    pub(crate) fn held_by(self, graph: Arc<Graph>) -> Planned<'static> {
        let Planned { graph: _, plan, steps, declared_packages, pending_notifications, only, host } = self;
        Planned { graph: GraphOf::Held(graph), plan, steps, declared_packages, pending_notifications, only, host }
    }

    /// The resources that it was made for.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    pub(crate) fn node(&self, step: usize) -> &Node {
        &self.graph.nodes[self.steps[step].node]
    }
}

impl Graph {
    /// Looks at a host and says what would be done. Nothing is changed.
    ///
    /// What goes wrong with a resource is in its step; there is always a plan.
    ///
    /// # Errors
    /// A selector names nothing.
    pub fn plan(&self, host: &dyn HostView, options: &PlanOptions) -> Result<Planned<'_>> {
        let nodes = self.selected(&options.only)?;
        let chosen: Vec<&Node> = nodes.iter().map(|node| &self.nodes[*node]).collect();
        host.prefetch(&mut chosen.iter().flat_map(|node| &node.claims));
        let overlay = Overlay::noting_reads(host);
        let mut planner = Planner {
            graph: self,
            base: host,
            aliases: Aliases::of(self, &overlay),
            overlay,
            foreseen: ahead::look(&chosen, host),
            turn_of: vec![None; self.nodes.len()],
            pending_notifications: pending_by_resource(&options.pending_notifications),
            steps: Vec::with_capacity(nodes.len()),
            planned: Vec::with_capacity(nodes.len()),
            writers: Writers::default(),
            transactions: Vec::new(),
            declared_packages: DeclaredPackages::of(self, host),
        };
        nodes.iter().enumerate().for_each(|(turn, node)| planner.turn_of[*node] = Some(turn));
        let mut phase = 0;
        for (number, node) in nodes.iter().enumerate() {
            let batch = self.nodes[*node].batch;
            let last = number.checked_sub(1).map(|last| &self.nodes[nodes[last]]);
            if last.is_some_and(|last| (last.stage, last.batch) != (self.nodes[*node].stage, batch)) {
                phase += 1;
            }
            planner.plan_step(*node, phase);
            let batch_ends = nodes.get(number + 1).is_none_or(|next| self.nodes[*next].batch != batch);
            if batch.is_some() && batch_ends {
                planner.foresee_packages(phase);
            }
        }
        let mut undeclared = pending_by_resource(&options.pending_notifications);
        self.nodes.iter().for_each(|node| drop(undeclared.remove(&node.id)));
        let dropped_notifications = options
            .pending_notifications
            .iter()
            .filter(|pending| undeclared.contains_key(&pending.id) && !is_of_the_engine(&pending.id))
            .cloned()
            .collect();
        let orphans = if options.only.is_empty() && !options.without_leftovers { self.orphans() } else { &[] };
        let made = orphans.iter().flat_map(|orphan| &orphan.made);
        let paths = made.filter_map(|made| made.path().cloned()).collect();
        // What is pruned has gone in the model, and what is left there stays.
        let orphans = orphans.iter().map(|orphan| orphan.looked_at(&planner.overlay, &paths));
        let stays = |orphan: &Orphan| {
            !self.policy().prune || orphan.made.is_empty() || !(orphan.changed.is_empty() && orphan.needed.is_empty())
        };
        let orphans = orphans.filter(stays).collect();
        let others = if self.policy().prune { OtherSite::of(self.foreign()) } else { Vec::new() };
        let plan =
            Plan { steps: planner.steps, transactions: planner.transactions, dropped_notifications, orphans, others };
        Ok(Planned {
            graph: GraphOf::Lent(self),
            plan,
            steps: planner.planned,
            declared_packages: planner.declared_packages,
            pending_notifications: options.pending_notifications.clone(),
            only: options.only.clone(),
            host: saved::HostIdentity::of(host),
        })
    }
}

struct Planner<'a> {
    graph: &'a Graph,
    base: &'a dyn HostView,
    overlay: Overlay<&'a dyn HostView>,
    aliases: Aliases<'a>,
    /// For each step what was seen before its turn.
    foreseen: Vec<Option<Foresight>>,
    /// For each node the step that it gets, if it takes part.
    turn_of: Vec<Option<usize>>,
    pending_notifications: HashMap<&'a ResourceId, Vec<&'a PendingNotification>>,
    steps: Vec<Step>,
    planned: Vec<PlannedStep>,
    writers: Writers,
    transactions: Vec<PlannedTransaction>,
    declared_packages: DeclaredPackages,
}

/// Pending notifications, by the resource that has to react.
fn pending_by_resource(notifications: &[PendingNotification]) -> HashMap<&ResourceId, Vec<&PendingNotification>> {
    let mut by_resource: HashMap<&ResourceId, Vec<&PendingNotification>> = HashMap::default();
    notifications.iter().for_each(|pending| by_resource.entry(&pending.id).or_default().push(pending));
    by_resource
}

/// What planning a resource gave.
struct Decision {
    states: (DynState, DynState),
    effects: Vec<Effect>,
}

impl Planner<'_> {
    /// The step of a node, once it is planned.
    fn step_of(&self, node: usize) -> Option<&Step> {
        self.turn_of[node].and_then(|turn| self.steps.get(turn))
    }

    fn plan_step(&mut self, number: usize, phase: usize) {
        let node = &self.graph.nodes[number];
        let mut step = Step {
            id: node.id.clone(),
            declared_at: node.declared_at().cloned(),
            phase,
            verdict: Verdict::InSync,
            changes: Shared::default(),
            effects: Shared::default(),
            reaction: None,
            assumes: Vec::new(),
            tags: node.common.tags.clone(),
        };
        let mut states = None;
        let hard = self.graph.predecessors[number].iter().filter(|edge| edge.reason.is_hard());
        let needed: Vec<&Step> = hard.filter_map(|edge| self.step_of(edge.from)).collect();
        let impossible =
            needed.iter().find(|step| matches!(step.verdict, Verdict::Failed { .. } | Verdict::Skipped { .. }));
        let undecided = needed.iter().find(|step| matches!(step.verdict, Verdict::Deferred { .. }));
        let undecided = undecided.map(|step| step.id.clone());
        if let Some(impossible) = impossible {
            step.verdict = Verdict::Skipped { because: impossible.id.clone() };
        } else if let Some(error) = self.declared_packages.contradiction(self.graph, number) {
            step.verdict = Verdict::Failed { error: error.of(&node.id, node.declared_at()) };
        } else if let Some(error) = self.aliases.contradiction(self.graph, number, &self.overlay) {
            step.verdict = Verdict::Failed { error: error.of(&node.id, node.declared_at()) };
        } else if self.aliases.is_idle(number) {
            match node.check(&self.overlay) {
                Ok(now) => states = Some((now.clone(), now)),
                Err(error) => step.verdict = Verdict::Failed { error: error.of(&node.id, node.declared_at()) },
            }
        } else {
            self.overlay.take_doubts();
            self.overlay.take_reads();
            let decision = self.decide(node).and_then(|decision| {
                let followed = aliases::followed(self.graph, number, &decision.effects, &self.overlay);
                followed.map_or(Ok(decision), Err)
            });
            step.assumes = self.overlay.take_doubts();
            match decision {
                Ok(decision) => {
                    if !decision.effects.is_empty() || decision.states.0 != decision.states.1 {
                        step.verdict = Verdict::Change;
                    }
                    let (before, want) = &decision.states;
                    step.effects = decision.effects.into();
                    let mut changes = beside_the_states(node, &step.effects, self.base);
                    changes.extend(change::between(node, before, want, &[self.base, &self.overlay]));
                    step.changes = changes.into();
                    step.reaction = self.foresee_reaction(number, &decision.states.0);
                    states = Some(decision.states);
                    step.verdict = self.judge(number, node).unwrap_or(step.verdict);
                }
                Err(error) => {
                    step.verdict = match (error.kind(), step.assumes.first(), undecided) {
                        (ErrorKind::Unknown, _, _) => Verdict::Deferred { because: error.message().to_owned() },
                        (_, Some(doubt), _) => Verdict::Deferred { because: format!("{} is installed", doubt.because) },
                        (_, None, Some(id)) => Verdict::Deferred { because: format!("{id} is decided") },
                        _ => Verdict::Failed { error: self.graph.redacted(error).of(&node.id, node.declared_at()) },
                    };
                }
            }
        }
        tracing::debug!(id = %step.id, verdict = ?step.verdict, effects = step.effects.len(), "planned");
        let real = |path: &HostPath| self.overlay.real_path(path);
        let waits_for = self.writers.enter(self.steps.len(), &step, &self.overlay.take_reads(), &real);
        self.steps.push(step);
        self.planned.push(PlannedStep { node: number, states, waits_for });
    }

    /// Decides from what was seen before, unless the steps before this one may have changed that.
    fn decide(&mut self, node: &Node) -> Result<Decision> {
        let foreseen = self.foreseen[self.steps.len()].take();
        let foreseen = foreseen.filter(|seen| self.overlay.leaves_alone(&seen.paths));
        match foreseen {
            Some(Foresight { states, paths }) => {
                self.overlay.note_reads(paths);
                bring_about(node, states, &self.overlay, &self.declared_packages)
            }
            None => decide(node, &self.overlay, &self.declared_packages),
        }
    }

    /// What a resource does because of the changes before it.
    fn foresee_reaction(&self, number: usize, before: &DynState) -> Option<Reaction> {
        let notified = self.graph.predecessors[number].iter().filter(|edge| edge.reason.is_notification());
        let mut causes: Vec<&Step> = notified.filter_map(|edge| self.step_of(edge.from)).collect();
        causes.dedup_by(|a, b| a.id == b.id);
        let node = &self.graph.nodes[number];
        let pending = self.pending_notifications.get(&node.id).into_iter().flatten();
        let pending_notifications: Vec<PendingNotification> = pending.map(|pending| (*pending).clone()).collect();
        let certain = !pending_notifications.is_empty() || causes.iter().any(|step| step.verdict == Verdict::Change);
        causes.retain(|step| matches!(step.verdict, Verdict::Change | Verdict::Deferred { .. }));
        if causes.is_empty() && pending_notifications.is_empty() {
            return None;
        }
        // What only may happen must not colour what later resources see.
        let maybe = Overlay::new(&self.overlay);
        // A reaction that cannot be foreseen is decided when its turn comes.
        node.react(before, &maybe).ok()?;
        let mut effects = node.hiding(maybe.take_recorded());
        if causes.is_empty() {
            let since: Vec<&Moment> = pending_notifications.iter().map(|pending| &pending.at).collect();
            drop_settled(&mut effects, &since, &self.overlay);
        }
        if effects.is_empty() {
            return None;
        }
        if certain {
            effects.iter().try_for_each(|effect| self.overlay.perform(effect)).ok()?;
            self.overlay.take_recorded();
        }
        Some(Reaction {
            causes: causes.iter().map(|step| step.id.clone()).collect(),
            pending_notifications,
            effects,
            certain,
        })
    }
}

/// Takes away restarts and reloads of units that were started after all of the changes that call for them.
pub(crate) fn drop_settled(effects: &mut Vec<Effect>, changes: &[&Moment], host: &dyn HostView) {
    effects.retain(|effect| {
        let Effect::Platform(PlatformEffect::Unit { unit, action: UnitAction::Restart | UnitAction::Reload }) = effect
        else {
            return true;
        };
        let started = host.unit(unit).ok().filter(UnitState::is_active).and_then(|unit| unit.started_micros);
        let now = host.now();
        !started.is_some_and(|started| changes.iter().all(|change| change.is_before_start(started, &now)))
    });
}

/// Finds what a resource needs, on the model of a host, and leaves it done there.
fn decide<H: HostView>(node: &Node, overlay: &Overlay<H>, declared: &DeclaredPackages) -> Result<Decision> {
    let now = node.check(overlay)?;
    let want = node.plan(&now)?;
    bring_about(node, (now, want), overlay, declared)
}

/// Finds what leads from one state to the other.
fn bring_about<H: HostView>(
    node: &Node,
    (now, want): (DynState, DynState),
    overlay: &Overlay<H>,
    declared: &DeclaredPackages,
) -> Result<Decision> {
    if now != want {
        let applied = node.apply(&now, &want, &Ruled { overlay, declared });
        let effects = node.hiding(overlay.take_recorded());
        applied?;
        return Ok(Decision { states: (now, want), effects });
    }
    Ok(Decision { states: (now, want), effects: Vec::new() })
}

/// As planning does it, but for the host as it is at this moment.
pub(crate) fn decide_now(
    node: &Node,
    host: &dyn HostView,
    declared: &DeclaredPackages,
) -> Result<((DynState, DynState), Vec<Effect>)> {
    let overlay = Overlay::new(host);
    decide(node, &overlay, declared).map(|decision| (decision.states, decision.effects))
}

/// Whether a stage's steps are carried out in one transaction.
pub(crate) fn is_transaction(effects: &[Effect]) -> bool {
    !effects.is_empty() && effects.iter().all(|effect| matches!(effect, Effect::Platform(PlatformEffect::Packages(_))))
}

pub(crate) use change::{beside_the_states, between as changes_between};
pub(crate) use judging::judge_now;
use packages::Ruled;
pub(crate) use packages::{DeclaredPackages, Foreseen, settle as settle_transactions};
