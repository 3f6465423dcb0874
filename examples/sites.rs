//! Every example site converges on a simulated host, and a second run finds nothing to do.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use provision_core::apply::ApplyOptions;
use provision_core::config::{Input, SiteSource, load};
use provision_core::effect::{Effect, UnitAction};
use provision_core::facts::Facts;
use provision_core::graph::Graph;
use provision_core::host::{Fault, Faulty, Host, HostViewExt, SimHost};
use provision_core::journal::{Journal, MemoryStore, Purpose, RollbackOptions, RunInfo};
use provision_core::plan::PlanOptions;
use provision_core::report::Report;
use provision_resources::registry;

fn graph(site: &str) -> Graph {
    let file: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(site);
    let input = Input { sources: vec![SiteSource::File(file)], ..Input::default() };
    let facts = Facts::gather(&SimHost::debian()).unwrap();
    let graph = load(&registry(), &facts, input).unwrap().into_graph().unwrap();
    assert!(graph.warnings().is_empty(), "{:?}", graph.warnings());
    graph
}

fn converge(site: &str, host: &SimHost) -> Report {
    graph(site).plan(host, &PlanOptions::default()).unwrap().apply(host, &ApplyOptions::default(), &())
}

/// What the command line does: takes up a run that died, plans with what is owed, applies.
fn run(graph: &Graph, host: &dyn Host, journal: &Journal) -> Report {
    journal.recover(host).unwrap();
    let owed = journal.pending().unwrap().owed;
    let planned = graph.plan(host, &PlanOptions { owed, ..PlanOptions::default() }).unwrap();
    let info = RunInfo { purpose: Purpose::Apply, who: "tester".into(), site: "site".into(), site_digest: None };
    let recorder = Some(journal.begin(info).unwrap());
    planned.apply(host, &ApplyOptions { recorder, ..ApplyOptions::default() }, &())
}

/// A host on which the web server runs with another configuration, so that a restart that gets lost is one too few.
fn drifted() -> SimHost {
    SimHost::debian()
        .with_package("nginx")
        .with_user("deploy")
        .with_file("/etc/nginx/conf.d/site.conf", "listen 8099;")
        .with_file("/etc/nginx/conf.d/web1.example.org.conf", "listen 8099;")
        .with_file("/etc/nginx/conf.d/web2.example.org.conf", "listen 8099;")
        .with_file("/etc/motd", "old")
}

fn reactions(effects: &[Effect]) -> usize {
    let reacts = |effect: &&Effect| {
        matches!(effect, Effect::Unit { action: UnitAction::Restart | UnitAction::Reload | UnitAction::Start, .. })
    };
    effects.iter().filter(reacts).count()
}

const SITES: [&str; 4] = ["quickstart/site.ncl", "web-server/site.ncl", "roles/web1.ncl", "roles/web2.ncl"];

#[test]
fn every_fault_at_every_effect_of_every_example_is_survived() {
    let mut cases = 0;
    for site in SITES {
        let graph = graph(site);
        for start in [SimHost::debian as fn() -> SimHost, drifted] {
            let well = start();
            well.take_effects();
            assert!(run(&graph, &well, &Journal::new(MemoryStore::new())).is_success());
            let (wanted, all) = (well.everything(), well.take_effects());
            for (fault, at) in Fault::ALL.into_iter().flat_map(|fault| (0..all.len()).map(move |at| (fault, at))) {
                let case = format!("{site}: {fault:?} at {}", all[at]);
                let (host, store) = (start(), MemoryStore::new());
                host.take_effects();
                let faulty = Faulty::new(&host, at, fault);
                let dying = Journal::new(store.clone().switched_by(faulty.death()));
                assert!(!run(&graph, &faulty, &dying).is_success(), "{case}: it is told");
                let journal = Journal::new(store);
                let next = run(&graph, &host, &journal);
                assert!(next.is_success(), "{case}: {next:#?}");
                assert_eq!(host.everything(), wanted, "{case}");
                // What runs must have read what is there now.
                let done = host.take_effects();
                let last_write = done.iter().rposition(|effect| effect.to_string().contains("/etc/nginx"));
                if let Some(place) = last_write {
                    assert!(reactions(&done[place..]) > 0, "{case}: the reaction is lost: {done:#?}");
                }
                assert_eq!(journal.pending().unwrap().owed, [], "{case}");
                assert!(!run(&graph, &host, &journal).changed_anything(), "{case}: the next run is quiet");
                cases += 1;
            }
        }
    }
    assert!(cases > 300, "{cases} cases");
}

#[test]
fn every_example_is_undone_exactly() {
    for (site, start) in
        SITES.into_iter().flat_map(|site| [(site, SimHost::debian as fn() -> SimHost), (site, drifted)])
    {
        let (host, journal) = (start(), Journal::new(MemoryStore::new()));
        let before = host.everything();
        assert!(run(&graph(site), &host, &journal).is_success());
        let rollback = journal.rollback(1, &host, RollbackOptions::default()).unwrap();
        assert!(rollback.plan.is_feasible(), "{site}: {rollback:#?}");
        let report = rollback.apply(&host, &ApplyOptions::default(), &());
        assert!(report.is_success(), "{site}: {report:#?}");
        for (what, line) in host.everything() {
            assert_eq!(before.get(&what), Some(&line), "{site}: {what}");
        }
        assert_eq!(host.everything(), before, "{site}");
    }
}

fn converges(site: &str) -> SimHost {
    let host = SimHost::debian();
    let first = converge(site, &host);
    assert!(first.is_success() && first.changed_anything(), "{first:#?}");
    let second = converge(site, &host);
    assert!(second.is_success() && !second.changed_anything(), "{second:#?}");
    host
}

#[test]
fn the_quickstart_converges() {
    let host = converges("quickstart/site.ncl");
    assert!(host.read_text("/etc/motd").unwrap().unwrap().contains("simulated"));
}

#[test]
fn the_web_server_converges() {
    let host = converges("web-server/site.ncl");
    let conf = host.read_text("/etc/nginx/conf.d/site.conf").unwrap().unwrap();
    assert!(conf.contains("server_name simulated.example.org;"), "{conf}");
}

#[test]
fn a_host_overrides_the_defaults_of_a_role() {
    let plain = converges("roles/web1.ncl");
    assert!(plain.read_text("/etc/nginx/conf.d/web1.example.org.conf").unwrap().unwrap().contains("listen 8080"));
    converges("roles/web2.ncl");
}
