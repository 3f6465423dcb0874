//! What happens when something fails: retries, timeouts, stopping, undoing.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use provision_core::apply::ApplyOptions;
use provision_core::duration::Duration;
use provision_core::effect::{Effect, Output, PlatformEffect, UnitAction};
use provision_core::engine::{Engine, Options};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{Fault, Faulty, Host, HostView, HostViewExt};
use provision_core::journal::{Ending, Journal, MemoryStore};
use provision_core::observe::Event;
use provision_core::plan::PlanOptions;
use provision_core::registry::{OnFailure, SitePolicy};
use provision_core::report::{Outcome, Report};
use provision_core::resource::ResourceId;
use provision_core::sim::SimHost;
use provision_core::site::Site;

use common::{Daemon, Note};

fn note(text: &str) -> Note {
    Note { text: text.into() }
}

fn id(text: &str) -> ResourceId {
    text.parse().unwrap()
}

fn host() -> SimHost {
    let fails = Output { code: 1, stderr: "no".into(), ..Output::default() };
    SimHost::debian(12).with_package("nginx").with_command("fails", fails).with_file("/etc/a", "old")
}

fn run(site: Site, host: &dyn Host, journal: &Journal) -> Report {
    let engine = Engine::open(host, journal.clone(), Options::new("tester")).unwrap();
    engine.plan(site, &PlanOptions::default()).unwrap().apply(&ApplyOptions::default(), &()).unwrap()
}

fn outcome<'a>(report: &'a Report, of: &str) -> &'a Outcome {
    &report.steps.iter().find(|step| step.id == id(of)).unwrap().outcome
}

#[test]
fn what_fails_twice_and_then_works_is_a_success() {
    let host = host();
    for (retries, succeeds) in [(0, false), (1, true), (3, true)] {
        let faulty = Faulty::new(&host, 0, Fault::Fails(ErrorKind::Io));
        let mut site = Site::new();
        site.declare("/etc/a", note(&format!("new {retries}"))).retries(retries, Duration::seconds(0));
        let report = run(site, &faulty, &Journal::new(MemoryStore::new()));
        assert_eq!(report.is_success(), succeeds, "{retries} retries");
    }
}

#[test]
fn every_retry_is_told_and_waits_longer() {
    let mut site = Site::new();
    site.declare("/etc/a", note("bad")).retries(3, Duration::seconds(0));
    let graph = site.into_graph().unwrap();
    let (host, told) = (host(), AtomicUsize::new(0));
    let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
    let report = planned.apply(&host, &ApplyOptions::default(), &|event: &Event<'_>| {
        if let Event::StepRetried { attempts, error, .. } = event {
            assert_eq!(error.kind(), ErrorKind::CommandFailed);
            assert_eq!(told.fetch_add(1, Ordering::Relaxed) + 1, *attempts as usize);
        }
    });
    assert_eq!(told.into_inner(), 3);
    assert_eq!(report.counts.failed, 1);
}

#[test]
fn what_a_guard_refuses_is_not_tried_again() {
    let host = host();
    let faulty = Faulty::new(&host, 0, Fault::Fails(ErrorKind::Refused));
    let mut site = Site::new();
    site.declare("/etc/a", note("new")).retries(5, Duration::seconds(9));
    assert!(!run(site, &faulty, &Journal::new(MemoryStore::new())).is_success());
}

#[test]
fn nothing_is_begun_after_a_timeout_and_it_is_not_tried_again() {
    let mut site = Site::new();
    site.declare("/etc/a", note("new")).timeout(Duration::seconds(0)).retries(5, Duration::seconds(9));
    let host = host();
    let report = run(site, &host, &Journal::new(MemoryStore::new()));
    let Outcome::Failed { error } = outcome(&report, "note:/etc/a") else { panic!("{report:#?}") };
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(host.read_text("/etc/a").unwrap().as_deref(), Some("old"));
}

#[test]
fn a_failure_that_stops_leaves_the_rest_alone() {
    let mut site = Site::new();
    site.declare("/etc/a", note("new"));
    site.declare("/etc/b", note("bad")).on_failure(OnFailure::Stop);
    site.declare("/etc/c", note("new"));
    let report = run(site, &host(), &Journal::new(MemoryStore::new()));
    assert_eq!(*outcome(&report, "note:/etc/a"), Outcome::Changed);
    assert_eq!(*outcome(&report, "note:/etc/c"), Outcome::NotRun);
    assert!(!report.is_success());
}

#[test]
fn a_site_that_rolls_back_is_as_it_was() {
    let mut site = Site::new();
    let daemon = site.declare("nginx.service", Daemon {}).handle();
    site.declare("/etc/a", note("new")).notifies(&daemon);
    site.declare("/etc/b", note("new"));
    site.declare("/etc/c", note("bad"));
    let site = site.with_policy(SitePolicy { on_failure: OnFailure::Rollback, ..SitePolicy::default() });
    let (host, journal) = (host(), Journal::new(MemoryStore::new()));
    let report = run(site, &host, &journal);
    assert_eq!(host.read_text("/etc/a").unwrap().as_deref(), Some("old"));
    assert_eq!(host.read_text("/etc/b").unwrap(), None);
    assert_eq!(*outcome(&report, "note:/etc/a"), Outcome::RolledBack { because: id("note:/etc/c") });
    assert!(matches!(outcome(&report, "note:/etc/c"), Outcome::Failed { .. }));
    assert_eq!((report.counts.rolled_back, report.counts.failed, report.is_success()), (2, 1, false));
    assert_eq!(report.pending_notifications, [], "what was undone calls for nothing");
    assert_eq!(journal.run(1).unwrap().ended.unwrap().how, Ending::RolledBack);
}

#[test]
fn a_group_that_rolls_back_leaves_others_changed_and_runs_again() {
    let web = |site: &mut Site| {
        let daemon = site.declare("nginx.service", Daemon {}).tag("web").on_failure(OnFailure::Rollback).handle();
        site.declare("/etc/a", note("new")).tag("web").notifies(&daemon);
        site.declare("/etc/other", note("new"));
    };
    let mut site = Site::new();
    web(&mut site);
    let (host, journal) = (host(), Journal::new(MemoryStore::new()));
    // The restart with the new file fails.
    let faulty = FailingRestart { host: &host, failed: Mutex::new(false) };
    let report = run(site, &faulty, &journal);
    assert!(*faulty.failed.lock().unwrap());
    assert_eq!(host.read_text("/etc/a").unwrap().as_deref(), Some("old"));
    assert_eq!(host.read_text("/etc/other").unwrap().as_deref(), Some("new"));
    assert!(host.unit("nginx").is_active(), "it runs with the old file");
    assert!(matches!(outcome(&report, "daemon:nginx.service"), Outcome::Failed { .. }));
    assert_eq!(*outcome(&report, "note:/etc/a"), Outcome::RolledBack { because: id("daemon:nginx.service") });
    assert_eq!(*outcome(&report, "note:/etc/other"), Outcome::Changed);
    assert_eq!(report.pending_notifications, []);
}

/// A host on which the first restart fails and leaves the unit stopped.
struct FailingRestart<'a> {
    host: &'a SimHost,
    failed: Mutex<bool>,
}

impl Host for FailingRestart<'_> {
    fn perform(&self, effect: &Effect) -> Result<()> {
        let mut failed = self.failed.lock().unwrap();
        if matches!(effect, Effect::Platform(PlatformEffect::Unit { action: UnitAction::Restart, .. })) && !*failed {
            *failed = true;
            let stop =
                Effect::Platform(PlatformEffect::Unit { unit: "nginx.service".into(), action: UnitAction::Stop });
            self.host.perform(&stop)?;
            return Err(Error::new(ErrorKind::CommandFailed, "it died"));
        }
        self.host.perform(effect)
    }
}

impl HostView for FailingRestart<'_> {
    provision_core::forward_view!(self => self.host);
}
