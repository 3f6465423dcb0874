//! A secret is where it was declared to be, and nowhere else: not in a plan, event, report, log of a run or `Debug`.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Mutex;

use provision_core::apply::ApplyOptions;
use provision_core::engine::{Engine, Options};
use provision_core::host::{Host, HostViewExt};
use provision_core::journal::{Journal, MemoryStore};
use provision_core::observe::Event;
use provision_core::plan::PlanOptions;
use provision_core::secret::{MemorySecrets, Text};
use provision_core::sim::SimHost;
use provision_core::site::Site;
use provision_resources::{File, User};
use serde_json::json;

const PASSWORD: &str = "hunter2-canary";
const HASH: &str = "$y$j9T$c2VjcmV0$aGFzaG9mYXBhc3N3b3JkaGFzaG9mYXBhc3N3b3JkaGF";

fn site() -> Site {
    let mut site = Site::new();
    let content = Text::template("password={{db/password}}\n");
    site.declare("/etc/app.conf", File::default().content(content));
    let user: User = serde_json::from_value(json!({ "password": { "secret": "deploy/hash" } })).unwrap();
    site.declare("deploy", user);
    site
}

/// Applies the site with these secrets; everything that was said on the way.
fn run(host: &dyn Host, journal: &Journal, password: &str, hash: &str) -> (bool, String) {
    let store = MemorySecrets::new([("db/password", password), ("deploy/hash", hash)]);
    let engine = Engine::open(host, journal.clone(), Options::new("tester").with_secrets(store)).unwrap();
    let prepared = engine.plan(site(), &PlanOptions::default()).unwrap();
    assert!(prepared.graph().names_secrets());
    let said = Mutex::new(format!("{:?}{}", prepared.plan(), serde_json::to_string(prepared.plan()).unwrap()));
    let note = |event: &Event<'_>| {
        *said.lock().unwrap() += &format!("{event:?}{}", serde_json::to_string(event).unwrap());
    };
    let report = prepared.apply(&ApplyOptions::default(), &note).unwrap();
    assert!(report.is_success(), "{report:?}");
    let said = said.into_inner().unwrap();
    (report.changed_anything(), format!("{said}{report:?}{}", serde_json::to_string(&report).unwrap()))
}

#[test]
fn a_secret_is_declared_compared_and_changed_and_never_shown() {
    let (host, store) = (SimHost::debian(12), MemoryStore::new());
    let journal = Journal::new(store.clone());
    let (changed, mut said) = run(&host, &journal, PASSWORD, &format!("{HASH}\n"));
    assert!(changed);
    assert_eq!(host.read_text("/etc/app.conf").unwrap().unwrap(), format!("password={PASSWORD}\n"));
    assert_eq!(host.shadow("deploy").unwrap().unwrap().password.reveal(), HASH);
    let (changed, again) = run(&host, &journal, PASSWORD, HASH);
    assert!(!changed, "what is there is not written again");
    let (changed, later) = run(&host, &journal, "another-canary", &HASH.replace("aGF", "bGF"));
    assert!(changed, "a secret that has changed is a difference");
    assert_eq!(host.read_text("/etc/app.conf").unwrap().unwrap(), "password=another-canary\n");
    said += &again;
    said += &later;
    for file in store.files().values() {
        said += &String::from_utf8_lossy(file);
    }
    for secret in [PASSWORD, "another-canary", HASH, "bGFzaG9m"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
    assert!(said.contains("<sensitive"));
}

#[test]
fn a_file_with_a_secret_is_roots_alone_unless_others_are_declared_also_where_it_was_open() {
    let conf = "/etc/app.conf";
    let host = SimHost::debian(12).with_file(conf, "old\n").with_access(conf, "www-data", "www-data", 0o644);
    run(&host, &Journal::new(MemoryStore::new()), PASSWORD, HASH);
    let file = host.file(conf);
    assert_eq!((file.owner().as_str(), file.group().as_str(), file.mode()), ("root", "root", 0o600));
    assert_eq!(file.text(), format!("password={PASSWORD}\n"), "a secret is written as it is");
}

#[test]
fn a_password_that_is_no_hash_is_not_repeated_in_the_error() {
    let mut graph = site().into_graph().unwrap();
    let store = MemorySecrets::new([("db/password", PASSWORD), ("deploy/hash", PASSWORD)]);
    let journal = Journal::new(MemoryStore::new());
    graph.resolve_secrets(&store, &journal.make_key().unwrap(), &[]).unwrap();
    let host = SimHost::debian(12);
    let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
    let said = serde_json::to_string(planned.plan()).unwrap();
    assert!(said.contains("\"failed\""), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
}

#[test]
fn every_missing_secret_is_told_at_once_with_who_needs_it() {
    let mut graph = site().into_graph().unwrap();
    let key = Journal::new(MemoryStore::new()).make_key().unwrap();
    let errors = graph.resolve_secrets(&MemorySecrets::default(), &key, &[]).unwrap_err();
    let said: Vec<_> = errors.0.iter().map(|error| format!("{} {error}", error.resource().unwrap())).collect();
    assert_eq!(
        said,
        [
            "user:deploy reading the secret of `password`: there is no secret `deploy/hash`",
            "file:/etc/app.conf reading the secret of `content`: there is no secret `db/password`",
        ]
    );
}
