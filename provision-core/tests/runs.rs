//! The engine: one run at a time, nothing of a run that died is lost, and a run can be taken back.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use provision_core::apply::ApplyOptions;
use provision_core::engine::{Engine, Options, PlanError};
use provision_core::error::ErrorKind;
use provision_core::host::{Fault, Faulty, HostViewExt};
use provision_core::journal::{Journal, MemoryStore, Purpose};
use provision_core::plan::PlanOptions;
use provision_core::resource::ResourceId;
use provision_core::rollback::RollbackOptions;
use provision_core::sim::SimHost;
use provision_core::site::Site;

use common::{Daemon, Note};

const UNIT: &str = "nginx.service";

fn site(text: &str) -> Site {
    let mut site = Site::new();
    site.declare("/etc/a", Note { text: text.into() }).notifies(ResourceId::new("daemon", UNIT));
    site.declare(UNIT, Daemon {});
    site
}

fn host() -> SimHost {
    SimHost::debian(12).with_package("nginx").with_file("/etc/a", "old")
}

fn options() -> Options {
    Options::new("tester")
}

#[test]
fn one_engine_at_a_time_works_on_a_host() {
    let (host, journal) = (host(), Journal::new(MemoryStore::new()));
    let engine = Engine::open(&host, journal.clone(), options()).unwrap();
    let second = Engine::open(&host, journal.clone(), options()).err().unwrap();
    assert_eq!(second.kind(), ErrorKind::Locked);
    drop(engine);
    Engine::open(&host, journal, options()).unwrap();
}

#[test]
fn a_run_that_died_is_taken_up_and_its_notifications_are_delivered() {
    let (host, store) = (host(), MemoryStore::new());
    let faulty = Faulty::new(&host, 0, Fault::DiesAfter);
    let dying = Journal::new(store.clone().switched_by(faulty.death()));
    let engine = Engine::open(&faulty, dying, options()).unwrap();
    let report = engine.plan(site("new"), &PlanOptions::default()).unwrap().apply(&ApplyOptions::default(), &());
    assert!(!report.unwrap().is_success());
    drop(engine);

    let restarts = host.unit(UNIT).starts();
    let engine = Engine::open(&host, Journal::new(store), options()).unwrap();
    assert_eq!(engine.recovered().len(), 1);
    let prepared = engine.plan(site("new"), &PlanOptions::default()).unwrap();
    assert!(prepared.apply(&ApplyOptions::default(), &()).unwrap().is_success());
    assert_eq!(host.unit(UNIT).starts(), restarts + 1, "the restart was pending");
    assert!(engine.plan(site("new"), &PlanOptions::default()).unwrap().plan().is_empty());
}

#[test]
fn a_run_is_written_down_and_can_be_taken_back() {
    let engine = Engine::open(host(), Journal::new(MemoryStore::new()), options()).unwrap();
    let prepared = engine.plan(site("new"), &PlanOptions::default()).unwrap();
    let run = prepared.apply(&ApplyOptions::default(), &()).unwrap().run.unwrap();
    let record = engine.journal().run(run).unwrap();
    assert_eq!((record.info.purpose, record.info.who.as_str()), (Purpose::Apply, "tester"));
    assert!(record.info.site_digest.is_some());

    let undo = engine.rollback(run, RollbackOptions::default()).unwrap();
    let report = undo.apply(&ApplyOptions::default(), &()).unwrap();
    assert!(report.is_success());
    assert_eq!(engine.host().read_text("/etc/a").unwrap().unwrap(), "old");
    let taken_back = engine.journal().run(report.run.unwrap()).unwrap();
    assert_eq!(taken_back.info.purpose, Purpose::Rollback { of: run });
}

#[test]
fn a_site_that_is_wrong_is_told_before_anything_is_done() {
    let engine = Engine::open(host(), Journal::new(MemoryStore::new()), options()).unwrap();
    let mut wrong = site("new");
    wrong.declare("/etc/c", Note { text: "c".into() }).requires(ResourceId::new("note", "/etc/d"));
    let error = engine.plan(wrong, &PlanOptions::default()).err().unwrap();
    assert!(matches!(error, PlanError::Site(_)), "{error}");
    assert!(error.to_string().starts_with("the site is not valid: "), "{error}");
    assert!(engine.facts().unwrap().os.id == "debian" && engine.recovered().is_empty());
}
