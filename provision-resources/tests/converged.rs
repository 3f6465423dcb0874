//! A host that answers as it did when there was nothing to do has nothing to do.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;
use provision_core::apply::ApplyOptions;
use provision_core::effect::{Command, Effect};
use provision_core::engine::{Engine, Options};
use provision_core::error::Result;
use provision_core::graph::Graph;
use provision_core::host::{Host, HostViewExt};
use provision_core::journal::{Journal, MemoryStore};
use provision_core::path::HostPath;
use provision_core::plan::{Converged, PlanOptions};
use provision_core::resource::{ApplyContext, CheckContext, PlanContext, Resource};
use provision_core::secret::MemorySecrets;
use provision_core::sim::SimHost;
use provision_core::site::Site;
use provision_core::testing::drift;
use provision_resources::{Directory, File, Group, Package, PackageManager, Service, Symlink, User};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn declare<R: Resource + DeserializeOwned>(site: &mut Site, name: &str, attributes: Value) {
    site.declare(name, serde_json::from_value::<R>(attributes).unwrap());
}

/// Something of every type.
fn site() -> Site {
    let mut site = Site::new();
    declare::<File>(&mut site, "/srv/app/conf", json!({ "content": "a\n", "owner": "anna", "mode": "0640" }));
    declare::<File>(&mut site, "/srv/app/large", json!({ "content": "x".repeat(300 * 1024) }));
    declare::<File>(&mut site, "/srv/app/free", json!({ "acl": { "user:anna": "rw" }, "mode": "0664" }));
    declare::<File>(&mut site, "/etc/motd", json!({ "ensure": "absent" }));
    declare::<Directory>(&mut site, "/srv/app", json!({ "purge": true }));
    declare::<Symlink>(&mut site, "/srv/link", json!({ "target": "app/conf" }));
    declare::<User>(&mut site, "anna", json!({ "groups": { "media": true }, "password": "!" }));
    declare::<Group>(&mut site, "media", json!({}));
    declare::<Package>(&mut site, "nginx", json!({}));
    declare::<Package>(&mut site, "curl", json!({ "ensure": "absent" }));
    declare::<Service>(&mut site, "nginx", json!({}));
    site
}

fn run(site: Site, host: &SimHost, journal: &Journal) {
    let engine = Engine::open(host, journal.clone(), Options::new("tester")).unwrap();
    let report = engine.plan(site, &PlanOptions::default()).unwrap().apply(&ApplyOptions::default(), &()).unwrap();
    assert!(report.is_success(), "{report:#?}");
}

/// What a plan for a host is remembered as.
fn remembered(graph: &Graph, host: &SimHost, journal: &Journal) -> Option<Converged> {
    let converged = graph.plan_and_remember(host, &PlanOptions::default(), journal).unwrap().1?;
    // It is written down, and read again.
    Some(serde_json::from_value(serde_json::to_value(&converged).unwrap()).unwrap())
}

/// A host on which the site has converged.
fn converged() -> (Graph, SimHost, Journal) {
    let (graph, host, journal) = (site().into_graph().unwrap(), SimHost::debian(12), Journal::new(MemoryStore::new()));
    run(site(), &host, &journal);
    (graph, host, journal)
}

fn has_nothing_to_do(graph: &Graph, host: &SimHost) -> bool {
    graph.plan(host, &PlanOptions::default()).unwrap().plan().is_empty()
}

#[test]
fn an_untouched_host_is_known_again() {
    let (graph, host, journal) = converged();
    let remembered = remembered(&graph, &host, &journal).unwrap();
    assert!(remembered.holds(&host, &journal, None, &MemorySecrets::default()));
    assert_eq!(remembered.steps(), graph.len());
    host.pass_time(3600);
    assert!(remembered.holds(&host, &journal, None, &MemorySecrets::default()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn drift_is_never_missed(seeds in prop::collection::vec(any::<u64>(), 1..4)) {
        let (graph, host, journal) = converged();
        let remembered = remembered(&graph, &host, &journal).unwrap();
        for seed in seeds {
            let changed = drift(&graph, &host, seed);
            prop_assert!(
                !remembered.holds(&host, &journal, None, &MemorySecrets::default()) || has_nothing_to_do(&graph, &host),
                "{:?}", changed
            );
        }
    }
}

#[test]
fn each_drift_of_its_own_is_noticed() {
    let (graph, host, journal) = converged();
    let remembered = remembered(&graph, &host, &journal).unwrap();
    let mut noticed = 0;
    for seed in 0..60 {
        let host = host.clone();
        drift(&graph, &host, seed);
        if !has_nothing_to_do(&graph, &host) {
            assert!(!remembered.holds(&host, &journal, None, &MemorySecrets::default()), "seed {seed}");
            noticed += 1;
        }
    }
    assert!(noticed > 40, "{noticed}");
}

#[test]
fn a_plan_that_does_something_is_not_remembered() {
    let (graph, host, journal) = converged();
    host.perform(&Effect::Remove {
        path: HostPath::new("/srv/link").unwrap(),
        what: provision_core::effect::Removal::File,
    })
    .unwrap();
    assert!(remembered(&graph, &host, &journal).is_none());
}

#[test]
fn what_earlier_runs_left_is_a_part_of_it() {
    let (graph, host, journal) = converged();
    let known = remembered(&graph, &host, &journal).unwrap();
    let mut other = Site::new();
    declare::<File>(&mut other, "/srv/other", json!({ "content": "b\n" }));
    run(other, &host, &journal);
    assert!(!known.holds(&host, &journal, None, &MemorySecrets::default()), "something else was made on this host");
    assert!(
        !known.holds(&host, &Journal::new(MemoryStore::new()), None, &MemorySecrets::default()),
        "the key is another one"
    );
}

/// A resource that looks at what differs each time.
#[derive(Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Fleeting {
    command: bool,
}

impl Resource for Fleeting {
    const TYPE: &'static str = "fleeting";
    type State = ();
    fn check(&self, cx: &CheckContext<'_>) -> Result<()> {
        let host = cx.host();
        if self.command {
            return host.query(&Command::new(["uptime"])).map(drop);
        }
        let _ = host.now();
        Ok(())
    }
    fn plan(&self, _: &PlanContext<'_>, (): &()) -> Result<()> {
        Ok(())
    }
    fn apply(&self, _: &ApplyContext<'_>, (): &(), (): &()) -> Result<()> {
        Ok(())
    }
}

#[test]
fn what_looks_at_the_clock_or_asks_a_program_is_not_remembered() {
    let journal = Journal::new(MemoryStore::new());
    journal.make_key().unwrap();
    for command in [false, true] {
        let mut site = Site::new();
        site.declare("x", Fleeting { command });
        let host = SimHost::debian(12).with_command("uptime", provision_core::effect::Output::default());
        let graph = site.into_graph().unwrap();
        assert!(has_nothing_to_do(&graph, &host), "{command}");
        assert!(remembered(&graph, &host, &journal).is_none(), "{command}");
    }
    let mut site = Site::new();
    site.declare("apt", PackageManager::default());
    let graph = site.into_graph().unwrap();
    let host = SimHost::debian(12).with_lists_age(Some(10));
    assert!(has_nothing_to_do(&graph, &host));
    assert!(remembered(&graph, &host, &journal).is_none(), "the lists grow old");
}
