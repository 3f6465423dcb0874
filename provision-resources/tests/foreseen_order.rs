//! What no edge says, and yet the plan rests on: directories that are not declared, and accounts that depend on others.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use provision_core::apply::ApplyOptions;
use provision_core::effect::{Effect, PlatformEffect, UserChanges};
use provision_core::error::{ErrorKind, Result};
use provision_core::forward_view;
use provision_core::host::{Fault, Faulty, Host, HostView, HostViewExt};
use provision_core::plan::PlanOptions;
use provision_core::sim::SimHost;
use provision_core::site::Site;
use provision_resources::ensure::Ensure;
use provision_resources::{File, Group, User};

/// A host on which some effects take a while.
struct Slow {
    host: SimHost,
    is_slow: fn(&Effect) -> bool,
}

impl HostView for Slow {
    forward_view!(self => self.host);
}

impl Host for Slow {
    fn perform(&self, effect: &Effect) -> Result<()> {
        if (self.is_slow)(effect) {
            std::thread::sleep(Duration::from_millis(100));
        }
        self.host.perform(effect)
    }
}

fn site() -> Site {
    let mut site = Site::new();
    for name in ["a", "b", "c", "d"] {
        site.declare(&format!("/srv/new/{name}"), File::default().content(name));
    }
    site
}

#[test]
fn a_directory_that_another_resource_makes_is_waited_for() {
    let host = Slow { host: SimHost::debian(12), is_slow: |effect| matches!(effect, Effect::CreateDirectory { .. }) };
    let graph = site().into_graph().unwrap();
    let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
    let report = planned.apply(&host, &ApplyOptions { jobs: 4, ..ApplyOptions::default() }, &());
    assert!(report.is_success(), "{report:#?}");
    assert_eq!(host.read_text("/srv/new/d").unwrap().as_deref(), Some("d\n"));
}

#[test]
fn a_directory_that_another_resource_could_not_make_is_made() {
    let host = SimHost::debian(12);
    // The first effect makes the directory for the first file.
    let faulty = Faulty::new(&host, 0, Fault::Fails(ErrorKind::Io));
    let graph = site().into_graph().unwrap();
    let planned = graph.plan(&faulty, &PlanOptions::default()).unwrap();
    let report = planned.apply(&faulty, &ApplyOptions { jobs: 4, ..ApplyOptions::default() }, &());
    assert_eq!((report.counts.failed, report.counts.changed), (1, 3), "{report:#?}");
}

#[test]
fn a_group_goes_when_its_users_have_gone() {
    let host = SimHost::debian(12).with_user("ada");
    let in_group = UserChanges { primary_group: Some("ops".into()), ..UserChanges::default() };
    host.perform(&Effect::Platform(PlatformEffect::CreateGroup { name: "ops".into(), gid: None, system: false }))
        .unwrap();
    host.perform(&Effect::Platform(PlatformEffect::ChangeUser { name: "ada".into(), changes: in_group })).unwrap();
    let mut site = Site::new();
    site.declare("ada", User { ensure: Ensure::Absent, ..User::default() });
    site.declare("ops", Group { ensure: Ensure::Absent, ..Group::default() });
    let graph = site.into_graph().unwrap();
    // A worker that did not wait for the user would come first.
    let host = Slow { host, is_slow: |effect| matches!(effect, Effect::Platform(PlatformEffect::RemoveUser { .. })) };
    let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
    let report = planned.apply(&host, &ApplyOptions { jobs: 4, ..ApplyOptions::default() }, &());
    assert!(report.is_success(), "{report:#?}");
    assert_eq!(host.group("ops").unwrap(), None);
}

#[test]
fn a_plan_shows_the_directories_that_are_made_on_the_way_and_what_new_things_get() {
    let mut site = Site::new();
    site.declare("/srv/new/deeper/a", File::default().content("a"));
    site.declare("/srv/new/b", File::default().content("b"));
    let graph = site.into_graph().unwrap();
    let host = SimHost::debian(12);
    let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
    insta::assert_snapshot!(planned.plan(), @"
    ~ file:/srv/new/b
        parents./srv/new: directory root:root 0755
        ensure: absent → present
        content:
          +b
        owner: root
        group: root
        mode: 0644
    ~ file:/srv/new/deeper/a
        parents./srv/new/deeper: directory root:root 0755
        ensure: absent → present
        content:
          +a
        owner: root
        group: root
        mode: 0644
    ");
    let json = serde_json::to_value(planned.plan()).unwrap();
    let expected =
        serde_json::json!({ "attribute": "parents./srv/new", "from": null, "to": "directory root:root 0755" });
    assert_eq!(json.pointer("/steps/0/changes/0"), Some(&expected));
}
