//! Derived files: made once after all that they are made of, whenever that changed, and put back by a rollback.
#![cfg(feature = "testing")]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use provision_core::apply::ApplyOptions;
use provision_core::effect::{Access, Effect, Output, Removal, WriteFile};
use provision_core::engine::{Engine, Options};
use provision_core::error::ErrorKind;
use provision_core::host::{Fault, Faulty, Host, HostExt, HostView, HostViewExt};
use provision_core::journal::{Journal, MemoryStore};
use provision_core::path::{HostPath, Mode};
use provision_core::plan::PlanOptions;
use provision_core::registry::SitePolicy;
use provision_core::report::Report;
use provision_core::resource::Resource;
use provision_core::rollback::RollbackOptions;
use provision_core::sim::SimHost;
use provision_core::site::Site;
use provision_core::testing::survives_every_fault;
use provision_resources::{File, Trigger};
use serde_json::{Value, json};

const JOINED: &str = "/srv/joined";
const PACKED: &str = "/srv/packed";
const PARTS: [&str; 3] = ["/etc/parts/a", "/etc/parts/b", "/etc/parts/c"];
const BOTH: [&str; 2] = ["run join", "run pack"];

fn declare<R: Resource>(site: &mut Site, name: &str, attributes: Value) {
    site.declare(name, serde_json::from_value::<R>(attributes).unwrap());
}

/// Three files that one command joins, and another that packs what came of it.
fn parts(text: &str) -> Site {
    let mut site = Site::new();
    for part in PARTS {
        declare::<File>(&mut site, part, json!({ "content": format!("{part} {text}\n") }));
    }
    declare::<Trigger>(&mut site, "packed", json!({ "command": "pack", "sources": [JOINED], "products": [PACKED] }));
    declare::<Trigger>(
        &mut site,
        "joined",
        json!({ "command": "join", "sources": ["/etc/parts"], "products": [JOINED] }),
    );
    site
}

fn path(text: &str) -> HostPath {
    HostPath::new(text).unwrap()
}

fn try_run(site: Site, host: &dyn Host, journal: &Journal) -> Report {
    let engine = Engine::open(host, journal.clone(), Options::new("tester")).unwrap();
    engine.plan(site, &PlanOptions::default()).unwrap().apply(&ApplyOptions::default(), &()).unwrap()
}

/// The commands of a run.
fn run(site: Site, host: &SimHost, journal: &Journal) -> Vec<String> {
    host.take_effects();
    let report = try_run(site, host, journal);
    assert!(report.is_success(), "{report:#?}");
    commands(host)
}

fn commands(host: &SimHost) -> Vec<String> {
    host.take_effects().iter().map(ToString::to_string).filter(|effect| effect.starts_with("run ")).collect()
}

fn fresh() -> (SimHost, Journal) {
    (SimHost::debian(13), Journal::new(MemoryStore::new()))
}

#[test]
fn two_triggers_follow_one_another_once_after_three_causes() {
    let (host, journal) = fresh();
    assert_eq!(run(parts("one"), &host, &journal), BOTH);
    assert_eq!(run(parts("one"), &host, &journal), [""; 0]);
    assert_eq!(run(parts("two"), &host, &journal), BOTH);
    assert_eq!(run(parts("two"), &host, &journal), [""; 0]);
    // A cause that no resource is.
    host.write_text("/etc/parts/by-hand", "x\n").unwrap();
    assert_eq!(run(parts("two"), &host, &journal), BOTH);
    assert_eq!(run(parts("two"), &host, &journal), [""; 0]);
}

#[test]
fn a_product_that_was_deleted_is_made_again() {
    let (host, journal) = fresh();
    run(parts("one"), &host, &journal);
    for (product, again) in [(PACKED, &BOTH[1..]), (JOINED, &BOTH[..])] {
        host.perform(&Effect::Remove { path: path(product), what: Removal::File }).unwrap();
        let commands = run(parts("one"), &host, &journal);
        assert!(commands == again || commands == again[..1], "{product}: {commands:?}");
        assert_eq!(run(parts("one"), &host, &journal), [""; 0]);
    }
}

#[test]
fn a_run_that_dies_at_any_effect_is_made_up_for_once() {
    let graph = parts("two").into_graph().unwrap();
    let survived = survives_every_fault(&graph, &SimHost::debian(13)).unwrap();
    assert!(survived.faults > 10, "{survived:?}");
    for at in 0.. {
        let (host, journal) = fresh();
        run(parts("one"), &host, &journal);
        let faulty = Faulty::new(&host, at, Fault::DiesAfter);
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| try_run(parts("two"), &faulty, &journal)));
        if died.is_ok_and(|report| report.is_success()) {
            assert!(at > 4, "{at}");
            break;
        }
        let before = commands(&host);
        let made_up = run(parts("two"), &host, &journal);
        // What had run before the death need not run again, and nothing runs twice after it.
        for command in BOTH {
            let times = |list: &[String]| list.iter().filter(|ran| *ran == command).count();
            assert!(times(&made_up) <= 1 && times(&before) + times(&made_up) >= 1, "{at}: {before:?} {made_up:?}");
        }
        assert_eq!(run(parts("two"), &host, &journal), [""; 0], "{at}");
    }
}

#[test]
fn a_rollback_puts_products_back_as_they_were() {
    let host = SimHost::debian(13).with_file(JOINED, "old\n").with_file(PARTS[0], "old\n");
    let journal = Journal::new(MemoryStore::new());
    let report = try_run(parts("new"), &host, &journal);
    assert!(report.is_success());
    assert_eq!(
        host.read_text(JOINED).unwrap_err().kind(),
        ErrorKind::Unsupported,
        "the model knows no command's product"
    );
    let engine = Engine::open(&host, journal, Options::new("tester")).unwrap();
    let undo = engine.rollback(report.run.unwrap(), RollbackOptions::default()).unwrap();
    let undone = undo.apply(&ApplyOptions::default(), &()).unwrap();
    assert!(undone.is_success(), "{undone:#?}");
    assert_eq!(host.read_text(JOINED).unwrap().as_deref(), Some("old\n"));
    assert_eq!(host.read_text(PARTS[0]).unwrap().as_deref(), Some("old\n"));
    assert!(host.metadata(&path(PACKED)).unwrap().is_none());
    assert!(host.metadata(&path("/var/lib/provision/triggers/joined")).unwrap().is_none(), "nothing is taken for made");
}

#[test]
fn a_trigger_that_is_no_longer_declared_leaves_its_product_with_prune() {
    let (host, journal) = fresh();
    run(parts("one"), &host, &journal);
    let mut site = Site::new();
    for part in PARTS {
        declare::<File>(&mut site, part, json!({ "content": format!("{part} one\n") }));
    }
    let report = try_run(site.with_policy(SitePolicy { prune: true, ..SitePolicy::default() }), &host, &journal);
    assert!(report.is_success(), "{report:#?}");
    assert!(host.metadata(&path(JOINED)).unwrap().is_none(), "what it made goes");
}

#[test]
fn a_command_that_fails_is_tried_by_the_next_run_and_what_depends_on_it_waits() {
    let (host, journal) = fresh();
    let host = host.with_command("join", Output { code: 1, ..Output::default() });
    let report = try_run(parts("one"), &host, &journal);
    assert!(!report.is_success());
    assert!(host.metadata(&path(PACKED)).unwrap().is_none());
    let written = Effect::WriteFile(WriteFile::new(path(JOINED), "joined\n", as_usual()));
    let host = host.with_command_effects("join", vec![written]);
    assert_eq!(run(parts("one"), &host, &journal), BOTH);
    assert_eq!(host.read_text(JOINED).unwrap().as_deref(), Some("joined\n"));
    let nothing = host.with_command_effects("pack", Vec::new()).without(PACKED);
    let report = serde_json::to_string(&try_run(parts("one"), &nothing, &journal)).unwrap();
    assert!(report.contains("`pack` ended well, and there is no /srv/packed"), "{report}");
}

fn as_usual() -> Access {
    Access { owner: "root".into(), group: "root".into(), mode: Mode::new(0o644) }
}

/// Parts of which one is no longer declared, or is declared to be absent.
fn without_the_last(absent: bool) -> Site {
    let mut site = Site::new();
    for part in &PARTS[..2] {
        declare::<File>(&mut site, part, json!({ "content": format!("{part} one\n") }));
    }
    if absent {
        declare::<File>(&mut site, PARTS[2], json!({ "ensure": "absent" }));
    }
    declare::<Trigger>(&mut site, "packed", json!({ "command": "pack", "sources": [JOINED], "products": [PACKED] }));
    declare::<Trigger>(
        &mut site,
        "joined",
        json!({ "command": "join", "sources": ["/etc/parts"], "products": [JOINED] }),
    );
    site.with_policy(SitePolicy { prune: true, ..SitePolicy::default() })
}

#[test]
fn a_source_that_goes_comes_before_what_is_made_without_it() {
    for absent in [true, false] {
        let (host, journal) = fresh();
        run(parts("one"), &host, &journal);
        assert_eq!(run(without_the_last(absent), &host, &journal), BOTH, "absent: {absent}");
        assert!(host.metadata(&path(PARTS[2])).unwrap().is_none());
        assert_eq!(run(without_the_last(absent), &host, &journal), [""; 0], "absent: {absent}");
    }
}

fn one(command: &str, sources: Value, products: Value) -> Site {
    let mut site = Site::new();
    declare::<Trigger>(&mut site, "one", json!({ "command": command, "sources": sources, "products": products }));
    site
}

/// Its product was younger than the sources, or the stamp still fitted them, so it counted as made.
#[test]
fn a_command_that_did_not_end_well_is_run_again_whatever_it_has_made() {
    let failing = Output { code: 1, ..Output::default() };
    for is_first in [true, false] {
        let (host, journal) = fresh();
        let host = host.with_file("/etc/source", "x\n");
        let site = || one("make", json!(["/etc/source"]), json!([JOINED]));
        if !is_first {
            assert_eq!(run(site(), &host, &journal), ["run make"]);
            host.perform(&Effect::Remove { path: path(JOINED), what: Removal::File }).unwrap();
        }
        let host = host.with_command("make", failing.clone());
        assert!(!try_run(site(), &host, &journal).is_success());
        // What it made before it failed.
        host.write_text(JOINED, "half\n").unwrap();
        let written = Effect::WriteFile(WriteFile::new(path(JOINED), "whole\n", as_usual()));
        let host = host.with_command_effects("make", vec![written]);
        assert_eq!(run(site(), &host, &journal), ["run make"], "first: {is_first}");
        assert_eq!(host.read_text(JOINED).unwrap().as_deref(), Some("whole\n"));
    }
}

#[test]
fn what_a_link_leads_to_is_a_source_as_well() {
    let (host, journal) = fresh();
    let host = host.with_file("/srv/real/x", "1\n").with_link("/etc/link", "/srv/real");
    let site = || one("make", json!(["/etc/link"]), json!([JOINED]));
    assert_eq!(run(site(), &host, &journal), ["run make"]);
    host.write_text("/srv/real/x", "2\n").unwrap();
    assert_eq!(run(site(), &host, &journal), ["run make"]);
    assert_eq!(run(site(), &host, &journal), [""; 0]);
}

#[test]
fn another_command_makes_the_products_anew() {
    let (host, journal) = fresh();
    let host = host.with_file("/etc/source", "x\n");
    for command in ["make", "make --all"] {
        let site = || one(command, json!(["/etc/source"]), json!([JOINED]));
        assert_eq!(run(site(), &host, &journal), [format!("run {command}")]);
        assert_eq!(run(site(), &host, &journal), [""; 0]);
    }
}

#[test]
fn two_triggers_that_feed_each_other_are_a_mistake_of_the_site() {
    let mut site = Site::new();
    declare::<Trigger>(
        &mut site,
        "a",
        json!({ "command": "a", "sources": ["/etc/x"], "products": ["/etc/x/a.index"] }),
    );
    declare::<Trigger>(
        &mut site,
        "b",
        json!({ "command": "b", "sources": ["/etc/x"], "products": ["/etc/x/b.index"] }),
    );
    let refused = site.into_graph().err().unwrap();
    assert!(format!("{refused:?}").contains("each of two triggers makes a source of the other"), "{refused:?}");
}

#[test]
fn a_stamp_that_cannot_be_read_is_none() {
    let (host, journal) = fresh();
    let host = host.with_link("/var/lib/provision/triggers/one", "/dev/null").with_file("/etc/source", "x\n");
    let site = || one("make", json!(["/etc/source"]), json!([JOINED]));
    assert_eq!(run(site(), &host, &journal), ["run make"]);
    assert_eq!(run(site(), &host, &journal), [""; 0]);
}
