//! A site that was converged on a host.

use crate::apply::ApplyOptions;
use crate::effect::Effect;
use crate::graph::Graph;
use crate::host::Host;
use crate::journal::{Journal, Purpose, RunInfo};
use crate::plan::{Plan, PlanOptions};
use crate::report::{Outcome, Report, StepReport};
use crate::sim::SimHost;
use crate::state::MemoryStore;

use super::Failure;

/// What a converge planned and did.
pub struct Run {
    plan: Plan,
    report: Report,
}

impl Run {
    /// What was planned; its `Display` is made for snapshots.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What was done.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What was done to the host, in order of the plan.
    pub fn effects(&self) -> impl Iterator<Item = &Effect> {
        self.report.steps.iter().flat_map(|step| step.effects.iter())
    }

    /// Whether nothing was done.
    pub fn is_quiet(&self) -> bool {
        !self.report.changed_anything()
    }

    /// Whether a resource was changed, by its id (`file:/etc/motd`).
    ///
    /// # Panics
    /// The site has no such resource.
    #[track_caller]
    pub fn has_changed(&self, id: &str) -> bool {
        !self.step(id).effects.is_empty()
    }

    /// What became of a resource, by its id.
    ///
    /// # Panics
    /// The site has no such resource.
    #[track_caller]
    pub fn outcome(&self, id: &str) -> &Outcome {
        &self.step(id).outcome
    }

    #[track_caller]
    fn step(&self, id: &str) -> &StepReport {
        let found = self.report.steps.iter().find(|step| step.id.to_string() == id);
        let Some(found) = found else { panic!("the site has no resource {id}; its plan is:\n{}", self.plan) };
        found
    }

    /// Takes up what earlier runs left, plans with pending notifications, and applies: what the command line does.
    pub(crate) fn of(graph: &Graph, host: &dyn Host, journal: &Journal) -> Result<Run, Failure> {
        journal.recover(&journal.lock()?, host)?;
        let pending_notifications = journal.pending()?.notifications;
        Run::with(
            graph,
            host,
            journal,
            PlanOptions { pending_notifications, ..PlanOptions::default() },
            ApplyOptions::default(),
        )
    }

    /// The same for a host without a past, a minute later. What cannot be undone is not written down.
    pub(crate) fn of_site(graph: &Graph, host: &SimHost) -> Result<Run, Failure> {
        host.pass_time(60);
        if graph.may_roll_back() {
            return Run::of(graph, host, &Journal::new(MemoryStore::new()));
        }
        let planned = graph.plan(host, &PlanOptions::default())?;
        let report = planned.apply(host, &ApplyOptions::default(), &());
        Ok(Run { plan: planned.plan().clone(), report })
    }

    pub(crate) fn with(
        graph: &Graph,
        host: &dyn Host,
        journal: &Journal,
        plan: PlanOptions,
        apply: ApplyOptions,
    ) -> Result<Run, Failure> {
        let planned = graph.plan(host, &plan)?;
        let info = RunInfo { purpose: Purpose::Apply, who: "test".into(), site: "site".into(), site_digest: None };
        let recorder = Some(journal.begin(&journal.lock()?, info)?);
        let report = planned.apply(host, &ApplyOptions { recorder, ..apply }, &());
        Ok(Run { plan: planned.plan().clone(), report })
    }

    /// The run, if it succeeded.
    pub(crate) fn succeeded(self) -> Result<Run, Failure> {
        if self.report.is_success() { Ok(self) } else { Err(Failure::of_report(&self.report, &self.plan)) }
    }
}
