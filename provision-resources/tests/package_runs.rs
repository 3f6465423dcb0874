//! Whole runs that change packages: what a site says of one is kept when another one comes or goes, and what fails keeps
//! nothing else waiting.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Mutex;

use provision_core::apply::ApplyOptions;
use provision_core::duration::Duration;
use provision_core::effect::{Effect, PackageRequest, PackageTransaction, PlatformEffect};
use provision_core::engine::{Engine, Options};
use provision_core::error::ErrorKind;
use provision_core::host::{Host, HostViewExt, PackageStatus};
use provision_core::journal::{Journal, MemoryStore};
use provision_core::observe::Event;
use provision_core::plan::{PlanOptions, Verdict};
use provision_core::report::{Outcome, Report};
use provision_core::resource::Resource;
use provision_core::rollback::RollbackOptions;
use provision_core::sim::SimHost;
use provision_core::site::Site;
use provision_resources::{File, Package, PackageManager};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn declare<R: Resource + DeserializeOwned>(site: &mut Site, name: &str, attributes: Value) {
    site.declare(name, serde_json::from_value::<R>(attributes).unwrap());
}

fn packages(declared: &[(&str, Value)]) -> Site {
    let mut site = Site::new();
    declared.iter().for_each(|(name, attributes)| declare::<Package>(&mut site, name, attributes.clone()));
    site
}

/// Applies a site, and tells the effects that were performed.
fn run(site: Site, host: &SimHost) -> (Report, Vec<String>) {
    let effects = Mutex::new(Vec::new());
    let observer = |event: &Event<'_>| {
        if let Event::EffectStarted { effect, .. } = event {
            effects.lock().unwrap().push(effect.to_string());
        }
    };
    let graph = site.into_graph().unwrap();
    let report = graph.plan(host, &PlanOptions::default()).unwrap().apply(host, &ApplyOptions::default(), &observer);
    (report, effects.into_inner().unwrap())
}

fn outcome<'r>(report: &'r Report, id: &str) -> &'r Outcome {
    &report.steps.iter().find(|step| step.id.to_string() == id).unwrap().outcome
}

fn failure<'r>(report: &'r Report, id: &str) -> &'r provision_core::error::Error {
    match outcome(report, id) {
        Outcome::Failed { error } => error,
        other => panic!("{id}: {other:?}"),
    }
}

/// Another way in than a declaration.
fn install(host: &SimHost, name: &str) {
    let install = vec![PackageRequest { name: name.into(), version: None }];
    host.perform(&Effect::Platform(PlatformEffect::Packages(PackageTransaction {
        install,
        ..PackageTransaction::default()
    })))
    .unwrap();
}

fn is_automatic(host: &SimHost, name: &str) -> bool {
    host.package(name).unwrap().automatic
}

fn is_there(host: &SimHost, name: &str) -> bool {
    host.package(name).unwrap().status == PackageStatus::Installed
}

/// After ansible#28907 and #39132: `apt autoremove` took a declared package with what had brought it.
#[test]
fn a_declared_package_that_came_along_with_another_is_manually_installed() {
    let host = SimHost::debian(12);
    install(&host, "git");
    assert!(is_automatic(&host, "liberror-perl"));
    let journal = Journal::new(MemoryStore::new());
    let engine = Engine::open(&host, journal.clone(), Options::new("tester")).unwrap();
    let site = packages(&[("liberror-perl", json!({}))]);
    let prepared = engine.plan(site, &PlanOptions::default()).unwrap();
    let report = prepared.apply(&ApplyOptions::default(), &()).unwrap();
    assert!(report.is_success(), "{report:#?}");
    assert_eq!(report.counts.changed, 1);
    assert!(!is_automatic(&host, "liberror-perl"));
    assert_eq!(run(packages(&[("liberror-perl", json!({}))]), &host).1, [""; 0], "the second run is quiet");

    let undo = journal.rollback(1, &host, RollbackOptions::default()).unwrap();
    assert!(undo.apply(&host, &ApplyOptions::default(), &()).is_success());
    assert!(is_automatic(&host, "liberror-perl") && is_there(&host, "liberror-perl"));

    // The site may want it otherwise.
    let as_dependency =
        || packages(&[("liberror-perl", json!({ "automatic": true })), ("hello", json!({ "automatic": true }))]);
    assert!(run(as_dependency(), &host).0.is_success());
    assert!(is_automatic(&host, "liberror-perl") && is_automatic(&host, "hello"));
    assert_eq!(run(as_dependency(), &host).1, [""; 0]);
}

#[test]
fn a_package_that_is_declared_as_absent_does_not_come_with_one_that_depends_on_it() {
    let host = SimHost::debian(12);
    let site =
        || packages(&[("git", json!({})), ("liberror-perl", json!({ "ensure": "absent" })), ("hello", json!({}))]);
    let graph = site().into_graph().unwrap();
    let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
    let step = planned.plan().steps.iter().find(|step| step.id.name() == "git").unwrap();
    let Verdict::Failed { error } = &step.verdict else { panic!("{step:?}") };
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let (this, other) = (error.declared_at().unwrap().to_string(), "package:liberror-perl (");
    assert!(this.contains("package_runs.rs") && error.message().contains(other), "{error:?}");
    assert!(error.message().contains("package_runs.rs:"), "the other place is named: {error:?}");
    for _ in 0..2 {
        let (report, _) = run(site(), &host);
        assert_eq!((report.counts.failed, is_there(&host, "git")), (1, false), "it never flaps");
        assert!(is_there(&host, "hello"), "others come");
    }
}

#[test]
fn a_package_that_is_declared_as_absent_is_not_brought_along_by_a_recommendation() {
    let host = SimHost::debian(12);
    install(&host, "git");
    assert!(is_there(&host, "patch") && is_automatic(&host, "patch"), "git recommends it");
    let host = SimHost::debian(12);
    let site = || packages(&[("git", json!({})), ("patch", json!({ "ensure": "absent" }))]);
    let (report, effects) = run(site(), &host);
    assert!(report.is_success(), "{report:#?}");
    assert!(effects.iter().any(|effect| effect.contains("keep out patch")), "{effects:?}");
    assert!(is_there(&host, "git") && !is_there(&host, "patch"));
    assert_eq!(run(site(), &host).1, [""; 0]);
}

#[test]
fn a_removal_does_not_take_what_is_declared_as_present() {
    let host = SimHost::debian(12);
    install(&host, "git");
    for allow_removals in [false, true] {
        let absent = json!({ "ensure": "absent", "allow_removals": allow_removals });
        let site = || packages(&[("git", json!({})), ("liberror-perl", absent.clone())]);
        for _ in 0..2 {
            let (report, _) = run(site(), &host);
            let error = failure(&report, "package:liberror-perl");
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(error.message().contains("declared as present: package:git ("), "{error:?}");
            assert_eq!(*outcome(&report, "package:git"), Outcome::InSync);
            assert!(is_there(&host, "git") && is_there(&host, "liberror-perl"));
        }
    }
    // What is not declared may go, if the site says so.
    let absent = json!({ "ensure": "absent", "allow_removals": true });
    assert!(run(packages(&[("liberror-perl", absent)]), &host).0.is_success());
    assert!(!is_there(&host, "git"));
}

#[test]
fn one_package_by_two_names_is_one_thing() {
    let host = SimHost::debian(12);
    let site = || packages(&[("hello", json!({})), ("hello:amd64", json!({})), ("tzdata:amd64", json!({}))]);
    let (report, effects) = run(site(), &host);
    assert!(report.is_success(), "{report:#?}");
    assert_eq!(effects, ["install hello"]);
    assert_eq!(run(site(), &host).1, [""; 0]);
    assert!(run(packages(&[("hello:amd64", json!({ "ensure": "purged" }))]), &host).0.is_success());
    assert!(!is_there(&host, "hello"));
    let (report, effects) = run(packages(&[("hello:all", json!({ "ensure": "absent" }))]), &host);
    assert_eq!((report.counts.failed, effects.len()), (0, 0));

    let contradiction = || packages(&[("hello", json!({})), ("hello:amd64", json!({ "ensure": "absent" }))]);
    let (report, effects) = run(contradiction(), &host);
    assert_eq!(effects, [""; 0]);
    for (this, other) in [("package:hello", "package:hello:amd64 ("), ("package:hello:amd64", "package:hello (")] {
        let error = failure(&report, this);
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.message().contains(other) && error.declared_at().is_some(), "{error:?}");
    }
}

/// After DataDog/ansible-datadog#70.
#[test]
fn lists_that_are_older_than_the_archive_are_fetched_once_and_the_run_goes_on() {
    let host = SimHost::debian(12).with_moved_archive();
    let (report, effects) = run(packages(&[("hello", json!({}))]), &host);
    assert!(report.is_success(), "{report:#?}");
    assert_eq!(effects, ["install hello", "refresh the package lists", "install hello"]);
    assert_eq!(run(packages(&[("hello", json!({}))]), &host).1, [""; 0]);
}

/// After ansible#52011.
#[test]
fn lists_of_no_age_are_fetched_once_in_each_run() {
    let host = SimHost::debian(12);
    let site = |name: &str| packages(&[(name, json!({ "lists_max_age": "0s" }))]);
    for name in ["hello", "bc"] {
        let (report, effects) = run(site(name), &host);
        assert!(report.is_success(), "{report:#?}");
        assert_eq!(effects, ["refresh the package lists".to_owned(), format!("install {name}")]);
    }
    let kept_fresh = || {
        let mut site = Site::new();
        declare::<PackageManager>(&mut site, "apt", json!({ "lists_max_age": "0s" }));
        run(site, &host)
    };
    for _ in 0..2 {
        let (report, effects) = kept_fresh();
        assert!(report.is_success(), "{report:#?}");
        assert_eq!(effects, ["refresh the package lists"]);
    }
}

#[test]
fn a_package_source_comes_before_the_lists_and_has_them_fetched() {
    let host = SimHost::debian(12);
    let site = || {
        let mut site = packages(&[("hello", json!({}))]);
        declare::<File>(&mut site, "/etc/apt/sources.list.d/own.list", json!({ "content": "deb http://own ./\n" }));
        declare::<File>(&mut site, "/etc/apt/keyrings/own.asc", json!({ "content": "key\n" }));
        declare::<File>(&mut site, "/etc/motd", json!({ "content": "hello\n" }));
        site
    };
    let (report, effects) = run(site(), &host);
    assert!(report.is_success(), "{report:#?}");
    let of = |what: &str| effects.iter().position(|effect| effect.contains(what)).unwrap();
    assert!(of("own.list") < of("refresh") && of("own.asc") < of("refresh"), "{effects:?}");
    assert!(of("refresh") < of("install hello") && of("install hello") < of("/etc/motd"), "{effects:?}");
    assert_eq!(run(site(), &host).1, [""; 0]);
}

#[test]
fn a_package_whose_script_fails_keeps_no_other_one_waiting() {
    let host = SimHost::debian(12).with_failing_scripts("hello");
    let (report, _) = run(packages(&[("hello", json!({})), ("bc", json!({}))]), &host);
    assert!(failure(&report, "package:hello").message().contains("post-installation script"), "{report:#?}");
    assert_eq!(*outcome(&report, "package:bc"), Outcome::Changed);
    // Nor in later runs, which say what is still in pieces.
    let (report, _) = run(packages(&[("bc", json!({})), ("tree", json!({}))]), &host);
    let error = failure(&report, "package_manager:apt");
    assert_eq!(error.kind(), ErrorKind::Incomplete);
    assert!(error.message().contains("hello"), "{error:?}");
    assert_eq!(*outcome(&report, "package:tree"), Outcome::Changed);
    // Its own purge is not kept waiting either.
    let (report, effects) = run(packages(&[("hello", json!({ "ensure": "purged" }))]), &host);
    assert!(report.is_success(), "{report:#?}");
    assert_eq!(effects, ["purge hello"]);
    assert_eq!(host.package("hello").unwrap().status, PackageStatus::Absent);
}

#[test]
fn retries_of_a_package_are_as_many_as_declared() {
    for retries in 0..3 {
        let host = SimHost::debian(12).with_failing_scripts("hello");
        let mut site = Site::new();
        site.declare("hello", Package::default()).retries(retries, Duration::seconds(0));
        let (report, effects) = run(site, &host);
        assert_eq!(report.counts.failed, 1);
        let attempts = effects.iter().filter(|effect| *effect == "install hello").count();
        assert_eq!(attempts, 1 + retries as usize, "{effects:?}");
    }
}
