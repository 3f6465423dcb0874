//! What is no longer declared goes only as it was left, however often that is tried.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use provision_core::apply::ApplyOptions;
use provision_core::effect::{Access, Effect, WriteFile};
use provision_core::host::{Host, HostView, HostViewExt, SimHost};
use provision_core::journal::{Journal, MemoryStore, Purpose, RollbackOptions, RunInfo};
use provision_core::path::{HostPath, Mode};
use provision_core::plan::PlanOptions;
use provision_core::registry::SitePolicy;
use provision_core::site::Site;
use provision_resources::{Group, User};
use serde_json::json;

fn run(site: Site, host: &SimHost, journal: &Journal) {
    let declared = site.ids();
    let policy = SitePolicy { prune: true, ..SitePolicy::default() };
    let orphans = journal.orphans(&declared).unwrap();
    let graph = site.with_policy(policy).with_orphans(orphans).into_graph().unwrap();
    let planned = graph.plan(host, &PlanOptions::default()).unwrap();
    let info = RunInfo { purpose: Purpose::Apply, who: "tester".into(), site: "test".into(), site_digest: None };
    let options = ApplyOptions { recorder: Some(journal.begin(info).unwrap()), ..ApplyOptions::default() };
    let report = planned.apply(host, &options, &());
    assert!(report.is_success(), "{report:#?}");
}

fn user() -> Site {
    let mut site = Site::new();
    site.declare("anna", serde_json::from_value::<User>(json!({})).unwrap());
    site.declare("media", Group::default());
    site
}

#[test]
fn a_home_that_somebody_has_used_is_never_taken_away() {
    let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
    run(user(), &host, &journal);
    let access = Access { owner: "anna".into(), group: "anna".into(), mode: Mode::new(0o644) };
    let thesis = HostPath::new("/home/anna/thesis").unwrap();
    host.perform(&Effect::WriteFile(WriteFile::new(thesis, "years of work", access))).unwrap();
    for _ in 0..3 {
        run(Site::new(), &host, &journal);
        assert_eq!(host.user("anna").unwrap(), None);
        assert_eq!(host.group("media").unwrap(), None);
        assert_eq!(host.read_text("/home/anna/thesis").unwrap().as_deref(), Some("years of work"));
    }
}

#[test]
fn a_group_that_a_user_has_joined_here_is_not_somebody_elses() {
    let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
    run(user(), &host, &journal);
    let mut joined = Site::new();
    joined.declare("anna", serde_json::from_value::<User>(json!({ "groups": { "media": true } })).unwrap());
    joined.declare("media", Group::default());
    run(joined, &host, &journal);
    run(Site::new(), &host, &journal);
    assert_eq!(host.group("media").unwrap(), None);
}

#[test]
fn users_are_taken_back_once_and_then_there_is_nothing_to_undo() {
    let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
    run(user(), &host, &journal);
    let undo = || journal.rollback(1, &host, RollbackOptions::default()).unwrap();
    let first = undo();
    assert!(first.plan.is_feasible() && !first.plan.is_empty(), "{:#?}", first.plan);
    assert!(first.apply(&host, &ApplyOptions::default(), &()).is_success());
    assert_eq!(host.user("anna").unwrap(), None);
    let again = undo();
    assert!(again.plan.is_feasible() && again.plan.is_empty(), "{:#?}", again.plan);
}

#[test]
fn users_get_their_primary_group_back_when_its_number_comes_back() {
    let (host, journal) = (SimHost::debian(12).with_user("anna"), Journal::new(MemoryStore::new()));
    let number = || host.user("anna").unwrap().unwrap().gid;
    let mut site = Site::new();
    site.declare("anna", Group { gid: Some(4711), ..Group::default() });
    run(site, &host, &journal);
    assert_eq!(number(), 4711, "groupmod(8) takes the users of a group along");
    let undo = journal.rollback(1, &host, RollbackOptions::default()).unwrap();
    assert!(undo.apply(&host, &ApplyOptions::default(), &()).is_success());
    assert_eq!((number(), host.group("anna").unwrap().unwrap().gid), (1000, 1000));
}

#[test]
fn a_home_that_nobody_has_used_goes_with_its_user() {
    let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
    run(user(), &host, &journal);
    run(Site::new(), &host, &journal);
    assert_eq!(host.user("anna").unwrap(), None);
    assert_eq!(host.metadata(&HostPath::new("/home/anna").unwrap()).unwrap(), None);
}
