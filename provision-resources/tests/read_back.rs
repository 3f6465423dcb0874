//! What programs are told can be read back: plans, events and reports, of any resources on any of several hosts.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::sync::Mutex;

use proptest::prelude::*;
use provision_core::apply::ApplyOptions;
use provision_core::engine::{Engine, Options};
use provision_core::facts::Facts;
use provision_core::journal::{Journal, MemoryStore};
use provision_core::observe::Event;
use provision_core::plan::{Plan, PlanOptions};
use provision_core::report::Report;
use provision_core::resource::Resource;
use provision_core::sim::SimHost;
use provision_core::site::Site;
use provision_resources::{Directory, File, Group, Package, Service, Symlink, User};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn declare<R: Resource>(site: &mut Site, name: &str, attributes: Value) {
    site.declare(name, serde_json::from_value::<R>(attributes).unwrap());
}

/// A site with the resources whose bits are set; some of them fail.
fn site(bits: u16) -> Site {
    let mut site = Site::new();
    let declared = |bit: u16| bits & (1 << bit) != 0;
    if declared(0) {
        declare::<Package>(&mut site, "nginx", json!({}));
    }
    if declared(1) {
        declare::<Service>(&mut site, "nginx", json!({ "running": true, "enabled": true }));
    }
    if declared(2) {
        declare::<File>(&mut site, "/etc/motd", json!({ "content": "hello\u{1b}\n", "owner": "deploy" }));
    }
    if declared(3) {
        declare::<Directory>(&mut site, "/srv/a/b", json!({ "parents": true, "mode": "2775" }));
    }
    if declared(4) {
        declare::<User>(&mut site, "deploy", json!({ "gecos": "Deployment", "groups": { "adm": true } }));
    }
    if declared(5) {
        declare::<Group>(&mut site, "ops", json!({ "gid": 3000 }));
    }
    if declared(6) {
        declare::<Symlink>(&mut site, "/srv/link", json!({ "target": "/srv/a" }));
    }
    if declared(7) {
        declare::<File>(&mut site, "/etc/hostname/below", json!({ "content": "it cannot be" }));
    }
    if declared(8) {
        declare::<File>(&mut site, "/srv/gone", json!({ "ensure": "absent" }));
    }
    site
}

fn is_read_back<T: Serialize + DeserializeOwned>(value: &T) -> Result<(), TestCaseError> {
    let written = serde_json::to_string(value).unwrap();
    let read: T = serde_json::from_str(&written).map_err(|error| TestCaseError::fail(format!("{error}: {written}")))?;
    prop_assert_eq!(serde_json::to_string(&read).unwrap(), written);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn plans_events_and_reports_are_read_back_as_they_were_written(first in 0u16..512, second in 0u16..512, release in 12u32..14) {
        let host = SimHost::debian(release).with_file("/srv/gone", "x").with_file("/etc/motd", [0xff, 0xfe].as_slice());
        is_read_back::<Facts>(&Facts::gather(&host).unwrap())?;
        let engine = Engine::open(host, Journal::new(MemoryStore::new()), Options::new("test")).unwrap();
        for bits in [first, second] {
            // The second plan names what the first site made and the second one does not declare.
            let prepared = engine.plan(site(bits), &PlanOptions::default()).unwrap();
            is_read_back::<Plan>(prepared.plan())?;
            let events = Mutex::new(Vec::new());
            let note = |event: &Event<'_>| events.lock().unwrap().push(serde_json::to_string(event).unwrap());
            is_read_back::<Report>(&prepared.apply(&ApplyOptions::default(), &note).unwrap())?;
            for written in events.into_inner().unwrap() {
                let event: Event<'static> = serde_json::from_str(&written).unwrap();
                prop_assert!(!matches!(event, Event::Other), "{}", written);
                prop_assert_eq!(serde_json::to_string(&event).unwrap(), written);
            }
        }
    }
}

#[test]
fn an_event_of_a_newer_version_is_read_as_one_that_is_not_known() {
    let event: Event<'static> = serde_json::from_str(r#"{"event":"step_postponed","id":"file:/etc/motd"}"#).unwrap();
    assert!(matches!(event, Event::Other));
}
