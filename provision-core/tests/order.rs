//! Resources that share a thing which no edge names never lose each other's change, whatever runs at once.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use provision_core::apply::ApplyOptions;
use provision_core::effect::{Command, Effect};
use provision_core::error::{ErrorKind, Result};
use provision_core::forward_view;
use provision_core::host::{Fault, Faulty, Host, HostExt, HostView, HostViewExt};
use provision_core::path::HostPath;
use provision_core::plan::PlanOptions;
use provision_core::resource::{ApplyContext, CheckContext, PlanContext, Resource};
use provision_core::sim::SimHost;
use provision_core::site::Site;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const SHARED: &str = "/etc/shared";

/// A line of a file that several resources write to. It claims nothing, so no edge orders it.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Line {}

impl Resource for Line {
    const TYPE: &'static str = "line";
    type State = bool;
    fn check(&self, cx: &CheckContext<'_>) -> Result<bool> {
        Ok(cx.host().read_text(SHARED)?.is_some_and(|text| text.lines().any(|line| line == cx.id().name())))
    }
    fn plan(&self, _: &PlanContext<'_>, _: &bool) -> Result<bool> {
        Ok(true)
    }
    fn apply(&self, cx: &ApplyContext<'_>, _: &bool, _: &bool) -> Result<()> {
        let host = cx.host();
        let text = host.read_text(SHARED)?.unwrap_or_default();
        host.write_text(SHARED, &format!("{text}{}\n", cx.id().name()))
    }
}

/// A copy of the shared file as it is.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Snapshot {}

impl Resource for Snapshot {
    const TYPE: &'static str = "a_snapshot";
    type State = Option<String>;
    fn check(&self, cx: &CheckContext<'_>) -> Result<Self::State> {
        cx.host().read_text(&format!("/etc/{}", cx.id().name()))
    }
    fn plan(&self, _: &PlanContext<'_>, now: &Self::State) -> Result<Self::State> {
        Ok(Some(now.clone().unwrap_or_else(|| "old\n".to_owned())))
    }
    fn apply(&self, cx: &ApplyContext<'_>, _: &Self::State, _: &Self::State) -> Result<()> {
        let (id, host) = (cx.id(), cx.host());
        let text = host.read_text(SHARED)?.unwrap_or_default();
        host.write_text(&format!("/etc/{}", id.name()), &text)?;
        let copy = |path: &str| HostPath::new(path);
        host.perform(&Effect::CopyFile { from: copy(SHARED)?, to: copy(&format!("/etc/{}", id.name()))? })
    }
}

/// A command that is to run by itself.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Program {}

impl Resource for Program {
    const TYPE: &'static str = "program";
    type State = bool;
    fn check(&self, cx: &CheckContext<'_>) -> Result<bool> {
        Ok(cx.host().read_text(&format!("/run/{}", cx.id().name()))?.is_some())
    }
    fn plan(&self, _: &PlanContext<'_>, _: &bool) -> Result<bool> {
        Ok(true)
    }
    fn apply(&self, cx: &ApplyContext<'_>, _: &bool, _: &bool) -> Result<()> {
        let host = cx.host();
        host.run(Command::new(["true"]))?;
        host.write_text(&format!("/run/{}", cx.id().name()), "done")
    }
}

fn lines(names: &[&str]) -> Site {
    let mut site = Site::new();
    for name in names {
        site.declare(name, Line {});
    }
    site
}

fn at_once() -> ApplyOptions {
    ApplyOptions { jobs: 4, ..ApplyOptions::default() }
}

/// A host whose effects take a while, so that others can come between.
struct Slow(SimHost);

impl HostView for Slow {
    forward_view!(self => self.0);
}

impl Host for Slow {
    fn perform(&self, effect: &Effect) -> Result<()> {
        std::thread::yield_now();
        let output = self.0.perform(effect);
        std::thread::yield_now();
        output
    }
}

#[test]
fn no_update_of_a_shared_file_is_lost() {
    let graph = lines(&["a", "b", "c", "d"]).into_graph().unwrap();
    for _ in 0..1_000 {
        let host = Slow(SimHost::debian(12));
        let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
        let report = planned.apply(&host, &at_once(), &());
        assert!(report.is_success(), "{report:#?}");
        assert_eq!(host.read_text(SHARED).unwrap().as_deref(), Some("a\nb\nc\nd\n"));
    }
}

#[test]
fn a_file_is_not_changed_before_those_have_read_it_that_come_first() {
    let mut site = lines(&["new"]);
    site.declare("copy", Snapshot {});
    let graph = site.into_graph().unwrap();
    for _ in 0..200 {
        let host = Slow(SimHost::debian(12).with_file(SHARED, "old\n"));
        let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
        let report = planned.apply(&host, &at_once(), &());
        assert!(report.is_success(), "{report:#?}");
        assert_eq!(host.read_text("/etc/copy").unwrap().as_deref(), Some("old\n"));
        assert_eq!(host.read_text(SHARED).unwrap().as_deref(), Some("old\nnew\n"));
    }
}

#[test]
fn what_rests_on_a_change_that_failed_is_decided_anew() {
    let host = SimHost::debian(12);
    // The first line is not written, so the effects that were planned for the others would bring it along.
    let faulty = Faulty::new(&host, 0, Fault::Fails(ErrorKind::Io));
    let graph = lines(&["a", "b", "c"]).into_graph().unwrap();
    let planned = graph.plan(&faulty, &PlanOptions::default()).unwrap();
    let report = planned.apply(&faulty, &at_once(), &());
    assert_eq!((report.counts.failed, report.counts.changed), (1, 2), "{report:#?}");
    assert_eq!(host.read_text(SHARED).unwrap().as_deref(), Some("b\nc\n"));
}

#[test]
fn commands_wait_for_one_another_and_for_all_else() {
    let mut site = lines(&["a", "b"]);
    site.declare("x", Program {});
    site.declare("y", Program {});
    let graph = site.into_graph().unwrap();
    for _ in 0..50 {
        let host = Slow(SimHost::debian(12).with_command("true", Default::default()));
        let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
        let report = planned.apply(&host, &at_once(), &());
        assert!(report.is_success(), "{report:#?}");
        assert_eq!(host.read_text(SHARED).unwrap().as_deref(), Some("a\nb\n"));
    }
}
