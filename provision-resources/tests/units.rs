//! What the service manager knows: read again once for whatever changed, also after a death, and nothing left running without a file.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use provision_core::apply::ApplyOptions;
use provision_core::effect::{Effect, PlatformEffect, UnitAction};
use provision_core::engine::{Engine, Options, Preview};
use provision_core::host::{Fault, Faulty, Host, HostViewExt};
use provision_core::journal::{Journal, MemoryStore};
use provision_core::plan::{PlanOptions, Selector};
use provision_core::registry::SitePolicy;
use provision_core::report::Report;
use provision_core::resource::Resource;
use provision_core::rollback::RollbackOptions;
use provision_core::sim::SimHost;
use provision_core::site::Site;
use provision_resources::{Directory, File, Service, Symlink, Timer, Unit, UnitDropin};
use serde_json::{Value, json};

const BACKUP: &str = "/etc/systemd/system/backup.service";

fn declare<R: Resource>(site: &mut Site, name: &str, attributes: Value) {
    site.declare(name, serde_json::from_value::<R>(attributes).unwrap());
}

/// A static service, and the timer that starts it.
fn timed(command: &str) -> Site {
    let mut site = Site::new();
    let service = format!("[Service]\nType=oneshot\nExecStart=/usr/bin/{command}\n");
    declare::<File>(&mut site, BACKUP, json!({ "content": service }));
    let timer = "[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n";
    declare::<File>(&mut site, "/etc/systemd/system/backup.timer", json!({ "content": timer }));
    declare::<Service>(&mut site, "backup.timer", json!({}));
    site
}

/// A service that runs.
fn app() -> Site {
    let mut site = Site::new();
    let text = "[Service]\nExecStart=/usr/bin/sleep 1\n[Install]\nWantedBy=multi-user.target\n";
    declare::<File>(&mut site, "/etc/systemd/system/app.service", json!({ "content": text }));
    declare::<Service>(&mut site, "app", json!({}));
    site
}

fn run_only(site: Site, host: &dyn Host, journal: &Journal, only: Vec<Selector>) -> Report {
    let engine = Engine::open(host, journal.clone(), Options::new("tester")).unwrap();
    let site = site.with_policy(SitePolicy { prune: true, ..SitePolicy::default() });
    let prepared = engine.plan(site, &PlanOptions { only, ..PlanOptions::default() }).unwrap();
    prepared.apply(&ApplyOptions::default(), &()).unwrap()
}

/// What a run does to the host, in order.
fn run(site: Site, host: &SimHost, journal: &Journal) -> Vec<String> {
    host.take_effects();
    let report = run_only(site, host, journal, Vec::new());
    assert!(report.is_success(), "{report:#?}");
    host.take_effects().iter().map(ToString::to_string).collect()
}

fn reloads(effects: &[String]) -> usize {
    effects.iter().filter(|effect| *effect == "systemctl daemon-reload").count()
}

/// A host on which a site has converged, with its journal.
fn converged(site: Site) -> (SimHost, Journal) {
    let (host, journal) = (SimHost::debian(13), Journal::new(MemoryStore::new()));
    let effects = run(site, &host, &journal);
    assert_eq!(reloads(&effects), 1, "{effects:?}");
    (host, journal)
}

#[test]
fn a_changed_unit_that_no_service_names_is_read_again_once() {
    let (host, journal) = converged(timed("true"));
    assert_eq!(run(timed("true"), &host, &journal), [""; 0]);
    let effects = run(timed("false"), &host, &journal);
    assert_eq!(effects, [format!("write {BACKUP}"), "systemctl daemon-reload".to_owned()]);
    assert_eq!(run(timed("false"), &host, &journal), [""; 0]);
}

#[test]
fn whatever_the_service_manager_reads_is_read_again_whichever_resource_changes_it() {
    type Change = fn(&mut Site);
    let changes: [(&str, Change); 5] = [
        ("a drop-in", |site| {
            declare::<Directory>(site, "/etc/systemd/system/cron.service.d", json!({}));
            let limits = json!({ "content": "[Service]\nNice=5\n" });
            declare::<File>(site, "/etc/systemd/system/cron.service.d/nice.conf", limits);
        }),
        ("a link", |site| {
            let target = json!({ "target": "/usr/lib/systemd/system/tmp.mount" });
            declare::<Symlink>(site, "/etc/systemd/system/tmp.mount", target);
        }),
        ("a mask", |site| declare::<Symlink>(site, "/etc/systemd/system/x.service", json!({ "target": "/dev/null" }))),
        ("encrypted disks", |site| declare::<File>(site, "/etc/crypttab", json!({ "content": "a /dev/a\n" }))),
        ("an init script", |site| declare::<File>(site, "/etc/init.d/x", json!({ "content": "#!/bin/sh\n" }))),
    ];
    for (what, change) in changes {
        let (host, journal) = (SimHost::debian(13), Journal::new(MemoryStore::new()));
        let site = || {
            let mut site = Site::new();
            change(&mut site);
            site
        };
        assert_eq!(reloads(&run(site(), &host, &journal)), 1, "{what}");
        assert_eq!(run(site(), &host, &journal), [""; 0], "{what}");
        assert_eq!(reloads(&run(Site::new(), &host, &journal)), 1, "{what} that goes");
    }
}

#[test]
fn the_service_manager_reads_before_a_service_is_started_and_not_in_a_root_directory() {
    let (host, journal) = (SimHost::debian(13), Journal::new(MemoryStore::new()));
    let effects = run(app(), &host, &journal);
    let place = |effect: &str| effects.iter().position(|other| other == effect);
    assert!(place("systemctl daemon-reload") < place("start app.service"), "{effects:?}");
    assert_eq!(reloads(&effects), 1);
    let (host, journal) = (SimHost::debian(13).switched_off(), Journal::new(MemoryStore::new()));
    assert_eq!(run(app(), &host, &journal).len(), 2, "the file and its links");
}

#[test]
fn a_run_that_dies_before_the_service_manager_reads_leaves_that_to_the_next() {
    let store = MemoryStore::new();
    let host = SimHost::debian(13);
    let faulty = Faulty::new(&host, 0, Fault::DiesAfter);
    let dying = Journal::new(store.clone().switched_by(faulty.death()));
    run_only(timed("true"), &faulty, &dying, Vec::new());
    assert!(faulty.has_struck());
    let journal = Journal::new(store);
    assert_eq!(reloads(&run(timed("true"), &host, &journal)), 1);
    assert_eq!(run(timed("true"), &host, &journal), [""; 0]);
}

#[test]
fn the_service_manager_reads_what_a_part_of_a_site_has_changed() {
    let (host, journal) = (SimHost::debian(13), Journal::new(MemoryStore::new()));
    let only = vec![format!("file:{BACKUP}").parse().unwrap()];
    let report = run_only(timed("true"), &host, &journal, only);
    assert!(report.is_success());
    assert!(host.take_effects().contains(&Effect::Platform(PlatformEffect::ReloadUnits)));
}

#[test]
fn a_unit_whose_file_is_pruned_is_stopped_and_disabled_and_all_of_that_can_be_undone() {
    let (host, journal) = converged(app());
    let effects = run(Site::new(), &host, &journal);
    let unit = |verb: &str| format!("{verb} app.service");
    let file = "/etc/systemd/system/app.service";
    let expected = [unit("stop"), unit("disable"), unit("reset-failed"), format!("remove {file}")];
    assert_eq!(effects[..4], expected);
    assert_eq!(effects[4..], ["systemctl daemon-reload".to_owned()]);
    let gone = HostViewExt::unit(&host, "app.service").unwrap();
    assert!(!gone.exists() && !gone.is_active(), "{gone:?}");
    let undo = journal.rollback(2, &host, RollbackOptions::default()).unwrap();
    assert!(undo.apply(&host, &ApplyOptions::default(), &()).is_success());
    let back = HostViewExt::unit(&host, "app.service").unwrap();
    assert!(back.is_active() && back.file_state == "enabled" && !back.needs_reload, "{back:?}");
}

#[test]
fn a_unit_whose_file_is_declared_absent_is_retired_like_one_that_is_pruned_and_both_plans_say_so() {
    let unit = "/etc/systemd/system/app.service";
    let absent = || {
        let mut site = Site::new();
        declare::<File>(&mut site, unit, json!({ "ensure": "absent" }));
        site
    };
    let sites: [&dyn Fn() -> Site; 2] = [&absent, &Site::new];
    for site in sites {
        let (host, journal) = converged(app());
        let prune = |site: Site| site.with_policy(SitePolicy { prune: true, ..SitePolicy::default() });
        let preview = Preview::open(&host, journal.clone(), Options::new("tester")).unwrap();
        let planned = preview.plan(prune(site()), &PlanOptions::default()).unwrap();
        let changes = planned.plan().steps.iter().flat_map(|step| step.changes.iter());
        let told: Vec<&str> = changes.map(|change| change.label()).filter(|label| label.starts_with("app.")).collect();
        assert_eq!(told, ["app.service.running", "app.service.enabled"]);
        let effects = run(site(), &host, &journal);
        assert_eq!(effects[..2], ["stop app.service", "disable app.service"], "{effects:?}");
        assert_eq!(reloads(&effects), 1);
        let gone = HostViewExt::unit(&host, "app.service").unwrap();
        assert!(!gone.exists() && !gone.is_active(), "{gone:?}");
        assert_eq!(run(site(), &host, &journal), [""; 0]);
        let undo = journal.rollback(2, &host, RollbackOptions::default()).unwrap();
        assert!(undo.apply(&host, &ApplyOptions::default(), &()).is_success());
        let back = HostViewExt::unit(&host, "app.service").unwrap();
        assert!(back.is_active() && back.file_state == "enabled" && !back.needs_reload, "{back:?}");
    }
}

#[test]
fn a_unit_whose_file_is_purged_is_stopped() {
    let text = "[Service]\nExecStart=/usr/bin/sleep 1\n";
    let host = SimHost::debian(13).with_file("/usr/local/lib/systemd/system/stray.service", text);
    host.perform(&Effect::Platform(PlatformEffect::Unit { unit: "stray.service".into(), action: UnitAction::Start }))
        .unwrap();
    let mut site = Site::new();
    declare::<Directory>(&mut site, "/usr/local/lib/systemd/system", json!({ "purge": true }));
    let effects = run(site, &host, &Journal::new(MemoryStore::new()));
    assert_eq!(effects[0], "stop stray.service", "{effects:?}");
    assert!(!HostViewExt::unit(&host, "stray.service").unwrap().is_active());
}

/// A timer does not start before the service that it starts has its file again.
#[test]
fn units_that_need_one_another_come_back_together() {
    let (host, journal) = converged(timed("true"));
    run(Site::new(), &host, &journal);
    let undo = journal.rollback(2, &host, RollbackOptions::default()).unwrap();
    host.take_effects();
    assert!(undo.apply(&host, &ApplyOptions::default(), &()).is_success());
    let effects: Vec<String> = host.take_effects().iter().map(ToString::to_string).collect();
    let place = |effect: &str| effects.iter().position(|other| other == effect).unwrap();
    let start = place("start backup.timer");
    assert!(place(&format!("restore {BACKUP}")) < start && place("systemctl daemon-reload") < start, "{effects:?}");
}

#[test]
fn a_unit_that_a_package_ships_goes_on_when_the_file_in_its_place_is_pruned() {
    let site = || {
        let mut site = Site::new();
        let text = "[Service]\nExecStart=/usr/sbin/cron -f -L 2\n[Install]\nWantedBy=multi-user.target\n";
        declare::<File>(&mut site, "/etc/systemd/system/cron.service", json!({ "content": text }));
        site
    };
    let host = SimHost::debian(13).with_package("cron");
    let journal = Journal::new(MemoryStore::new());
    run(site(), &host, &journal);
    let effects = run(Site::new(), &host, &journal);
    assert_eq!(effects, ["remove /etc/systemd/system/cron.service", "systemctl daemon-reload"]);
    assert!(HostViewExt::unit(&host, "cron.service").unwrap().is_active());
}

#[test]
fn a_changed_unit_and_its_dropins_are_read_again_once_before_the_restart() {
    let site = |command: &str, nice: i64| {
        let mut site = Site::new();
        let service = json!({ "ExecStart": format!("/usr/bin/sleep {command}") });
        let settings = json!({ "Service": service, "Install": { "WantedBy": "multi-user.target" } });
        let app = site.declare("app", Service::default()).handle();
        let unit = serde_json::from_value::<Unit>(json!({ "settings": settings })).unwrap();
        site.declare("app.service", unit).notifies(&app);
        let dropin =
            serde_json::from_value::<UnitDropin>(json!({ "settings": { "Service": { "Nice": nice } } })).unwrap();
        site.declare("app.service/nice", dropin).notifies(&app);
        site
    };
    let (host, journal) = converged(site("1d", 1));
    assert_eq!(run(site("1d", 1), &host, &journal), [""; 0]);
    let unit = "/etc/systemd/system/app.service";
    let changed = run(site("2d", 2), &host, &journal);
    let expected = [
        format!("write {unit}"),
        format!("write {unit}.d/nice.conf"),
        "systemctl daemon-reload".to_owned(),
        "restart app.service".to_owned(),
    ];
    assert_eq!(changed, expected);
}

#[test]
fn a_timer_is_started_with_the_service_of_its_command_and_goes_with_it() {
    let site = |attributes: Value| {
        let mut site = Site::new();
        declare::<Timer>(&mut site, "job", attributes);
        site
    };
    let declared = || site(json!({ "calendar": "daily", "command": "true" }));
    let (host, journal) = converged(declared());
    let timer = HostViewExt::unit(&host, "job.timer").unwrap();
    assert!(timer.is_active() && timer.file_state == "enabled", "{timer:?}");
    assert_eq!(run(declared(), &host, &journal), [""; 0]);
    let changed = run(site(json!({ "calendar": "weekly", "command": "true" })), &host, &journal);
    assert_eq!(
        changed,
        ["write /etc/systemd/system/job.timer", "systemctl daemon-reload"],
        "it elapses anew without a restart"
    );
    let gone = run(site(json!({ "ensure": "absent", "command": "true" })), &host, &journal);
    let expected = [
        "stop job.timer",
        "disable job.timer",
        "reset-failed job.timer",
        "remove /etc/systemd/system/job.timer",
        "remove /etc/systemd/system/job.service",
        "systemctl daemon-reload",
    ];
    assert_eq!(gone, expected);
}

#[test]
fn a_timer_whose_command_is_not_that_of_its_declared_unit_is_a_mistake() {
    let unit = json!({ "settings": { "Service": { "Type": "oneshot", "ExecStart": "true" } } });
    let site = |command: Value| {
        let mut site = Site::new();
        declare::<Unit>(&mut site, "job.service", unit.clone());
        declare::<Timer>(&mut site, "job", json!({ "calendar": "daily", "command": command }));
        site
    };
    let error = site(json!("true")).into_graph().map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("the command of the timer is not that of job.service, which is declared as well"),
        "{error}"
    );
    assert!(site(json!(null)).into_graph().is_ok());
}
