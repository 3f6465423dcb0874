//! The journal with resource types of a third party: deaths and faults at every effect, notifications, undo.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::io::{Read, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use provision_core::apply::ApplyOptions;
use provision_core::effect::{Effect, PlatformEffect, Sensitive, UnitAction};
use provision_core::engine::{Engine, Options};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{Fault, Faulty, Host, HostExt, HostView, HostViewExt};
use provision_core::journal::{Ending, Journal, MemoryStore, Purpose, Retention, RunInfo, StateStore, StoreLock};
use provision_core::plan::{PlanOptions, SavedPlan};
use provision_core::registry::{Registry, SitePolicy};
use provision_core::report::Report;
use provision_core::resource::{ApplyContext, CheckContext, Claim, PlanContext, Resource, ResourceId, Target};
use provision_core::rollback::RollbackOptions;
use provision_core::secret::MemorySecrets;
use provision_core::sim::SimHost;
use provision_core::site::Site;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use common::{Daemon, Note};

const UNIT: &str = "nginx.service";

fn site(text: &str) -> Site {
    let mut site = Site::new();
    let daemon = ResourceId::new("daemon", UNIT);
    site.declare("/etc/a", Note { text: text.into() }).notifies(daemon.clone());
    site.declare("/etc/b", Note { text: format!("{text} too") }).notifies(daemon);
    site.declare(UNIT, Daemon {});
    site
}

fn keeping(site: Site, journal: Retention) -> Site {
    site.with_policy(SitePolicy { journal, ..SitePolicy::default() })
}

fn host() -> SimHost {
    SimHost::debian(12).with_package("nginx").with_file("/etc/a", "old")
}

fn info() -> RunInfo {
    RunInfo { purpose: Purpose::Apply, who: "tester".into(), site: "test".into(), site_digest: None }
}

fn run(site: Site, host: &dyn Host, journal: &Journal) -> Report {
    let engine = Engine::open(host, journal.clone(), Options::new("tester")).unwrap();
    let prepared = engine.plan(site, &PlanOptions::default()).unwrap();
    prepared.apply(&ApplyOptions::default(), &()).unwrap()
}

fn restarts(effects: &[Effect]) -> usize {
    let restart =
        |effect: &&Effect| matches!(effect, Effect::Platform(PlatformEffect::Unit { action: UnitAction::Restart, .. }));
    effects.iter().filter(restart).count()
}

#[test]
fn a_run_that_finds_nothing_to_do_writes_nothing() {
    let (host, store) = (host(), MemoryStore::new());
    let journal = Journal::new(store.clone());
    assert!(run(site("x"), &host, &journal).is_success());
    let before = store.files();
    let report = run(site("x"), &host, &journal);
    assert!(report.is_success() && !report.changed_anything());
    assert_eq!(report.run, None);
    assert_eq!(store.files(), before);
}

#[test]
fn an_effect_that_failed_half_way_is_undone_as_far_as_it_went() {
    let host = SimHost::debian(12).with_user("anna");
    let home = provision_core::path::HostPath::new("/home/anna").unwrap();
    let owner = Some("root".to_owned());
    let attributes = Default::default();
    host.perform(&Effect::SetMetadata { path: home, owner, group: None, mode: None, attributes }).unwrap();
    let journal = Journal::new(MemoryStore::new());
    let id = ResourceId::new("user", "anna");
    let recorder = journal.begin(&journal.lock().unwrap(), info()).unwrap();
    let attempt = |effect: &Effect| {
        let entry = recorder.intend(&[&id], effect, &host).unwrap();
        let error = host.perform(effect).unwrap_err();
        recorder.conclude(entry, effect, Some(&error), &host);
    };
    // userdel(8) removes the user, and then finds that the home directory is another user's.
    attempt(&Effect::Platform(PlatformEffect::RemoveUser { name: "anna".into(), remove_home: true }));
    assert!(host.user("anna").unwrap().is_none());
    attempt(&Effect::Platform(PlatformEffect::RemoveUser { name: "nobody-there".into(), remove_home: false }));
    recorder.finish(Ending::Failed, Default::default(), &host).unwrap();
    let (run, summary) = journal.runs().unwrap().remove(0);
    let summary = summary.unwrap();
    assert_eq!((summary.effects, summary.done), (2, 1), "what failed and changed something can be undone");
    let rollback = journal.rollback(run, &host, RollbackOptions::default()).unwrap();
    assert!(rollback.apply(&host, &ApplyOptions::default(), &()).is_success());
    assert_eq!(host.user("anna").unwrap().unwrap().home, "/home/anna");
}

#[test]
fn every_fault_at_every_effect_is_survived_and_no_notification_is_lost() {
    let mut cases = 0;
    for fault in Fault::ALL {
        for at in 0.. {
            let (host, store) = (host(), MemoryStore::new());
            let faulty = Faulty::new(&host, at, fault);
            let dying = Journal::new(store.clone().switched_by(faulty.death()));
            let report = run(site("new"), &faulty, &dying);
            if !faulty.has_struck() {
                assert!(report.is_success());
                break;
            }
            cases += 1;
            assert!(!report.is_success(), "{fault:?} at {at} is reported");
            let changed = host.read_text("/etc/a").unwrap().as_deref() == Some("new");
            let restarted = restarts(&host.take_effects());

            let journal = Journal::new(store);
            let next = run(site("new"), &host, &journal);
            assert!(next.is_success(), "{fault:?} at {at}: {next:#?}");
            assert_eq!(host.read_text("/etc/a").unwrap().as_deref(), Some("new"));
            let later = restarts(&host.take_effects());
            assert!(restarted + later >= 1, "{fault:?} at {at}: the restart is not lost");
            if changed && restarted == 0 {
                assert_eq!(later, 1, "{fault:?} at {at}");
            }
            assert_eq!(journal.pending().unwrap().notifications, [], "{fault:?} at {at}: everything is delivered");
            assert_eq!(journal.pending().unwrap().unfinished, [] as [u64; 0]);
            let last = run(site("new"), &host, &journal);
            assert!(last.is_success() && !last.changed_anything(), "{fault:?} at {at}: the next run is quiet");
        }
    }
    assert_eq!(cases, Fault::ALL.len() * 3);
}

#[test]
fn what_is_remembered_of_a_host_does_not_count_over_a_death_or_a_pending_notification() {
    let (mut died, mut were_pending) = (0, 0);
    for fault in Fault::ALL {
        for at in 0.. {
            let (host, store) = (host(), MemoryStore::new());
            let journal = Journal::new(store.clone());
            assert!(run(site("new"), &host, &journal).is_success());
            let graph = site("new").into_graph().unwrap();
            let remembered = graph.plan_and_remember(&host, &PlanOptions::default(), &journal).unwrap().1.unwrap();
            assert!(remembered.holds(&host, &journal, None, &MemorySecrets::default()));
            assert!(run(site("other"), &host, &journal).is_success());
            assert!(!remembered.holds(&host, &journal, None, &MemorySecrets::default()));

            // Files may be as they were, and the restart that they call for has not come.
            let faulty = Faulty::new(&host, at, fault);
            run(site("new"), &faulty, &Journal::new(store.clone().switched_by(faulty.death())));
            if !faulty.has_struck() {
                break;
            }
            let journal = Journal::new(store);
            if !journal.pending().unwrap().unfinished.is_empty() {
                died += 1;
                assert!(!remembered.holds(&host, &journal, None, &MemorySecrets::default()), "{fault:?} at {at}");
            }
            journal.recover(&journal.lock().unwrap(), &host).unwrap();
            let pending_notifications = journal.pending().unwrap().notifications;
            were_pending += usize::from(!pending_notifications.is_empty());
            let planned = graph.plan(&host, &PlanOptions { pending_notifications, ..PlanOptions::default() }).unwrap();
            assert!(
                !remembered.holds(&host, &journal, None, &MemorySecrets::default()) || planned.plan().is_empty(),
                "{fault:?} at {at}"
            );
        }
    }
    assert!(died > 0 && were_pending > 0, "{died} {were_pending}");
}

/// A reaction of a daemon was pending for a file that was never changed.
#[test]
fn nothing_is_pending_for_a_change_that_never_happened() {
    for fault in [Fault::Fails(ErrorKind::CommandFailed), Fault::DiesBefore] {
        let (host, store) = (host(), MemoryStore::new());
        let faulty = Faulty::new(&host, 0, fault);
        let mut site = Site::new();
        site.declare("/etc/a", Note { text: "new".into() }).notifies(ResourceId::new("daemon", UNIT));
        site.declare(UNIT, Daemon {});
        let report = run(site, &faulty, &Journal::new(store.clone().switched_by(faulty.death())));
        assert!(!report.is_success());
        let journal = Journal::new(store);
        let recovered = journal.recover(&journal.lock().unwrap(), &host).unwrap();
        assert!(recovered.iter().all(|run| run.pending_notifications.is_empty()), "{fault:?}: {recovered:?}");
        assert_eq!(journal.pending().unwrap().notifications, [], "{fault:?}");
        assert!(fault == Fault::DiesBefore || report.pending_notifications.is_empty(), "{report:?}");
    }
}

#[test]
fn what_was_restarted_since_is_not_restarted_again() {
    let (host, store) = (host(), MemoryStore::new());
    let faulty = Faulty::new(&host, 2, Fault::DiesBefore);
    run(site("new"), &faulty, &Journal::new(store.clone().switched_by(faulty.death())));
    let journal = Journal::new(store);
    assert_eq!(journal.pending().unwrap().notifications.len(), 2);
    host.perform(&Effect::Platform(PlatformEffect::Unit { unit: UNIT.into(), action: UnitAction::Restart })).unwrap();
    host.take_effects();
    assert!(run(site("new"), &host, &journal).is_success());
    assert_eq!(host.take_effects(), []);
    assert_eq!(journal.pending().unwrap().notifications, []);
}

#[test]
fn a_reboot_settles_a_restart() {
    let (host, store) = (host(), MemoryStore::new());
    let faulty = Faulty::new(&host, 2, Fault::DiesBefore);
    run(site("new"), &faulty, &Journal::new(store.clone().switched_by(faulty.death())));
    host.reboot();
    host.take_effects();
    assert!(run(site("new"), &host, &Journal::new(store)).is_success());
    assert_eq!(host.take_effects(), []);
}

#[test]
fn a_plan_tells_what_is_pending_and_since_when() {
    let (host, store) = (host(), MemoryStore::new());
    let faulty = Faulty::new(&host, 2, Fault::Fails(ErrorKind::CommandFailed));
    let journal = Journal::new(store);
    let report = run(site("new"), &faulty, &journal);
    assert_eq!(report.pending_notifications.len(), 2);
    let pending_notifications = journal.pending().unwrap().notifications;
    let graph = site("new").into_graph().unwrap();
    let planned = graph.plan(&host, &PlanOptions { pending_notifications, ..PlanOptions::default() }).unwrap();
    let reaction = planned.plan().steps.iter().find_map(|step| step.reaction.clone()).unwrap();
    assert!(reaction.certain);
    let since: Vec<String> = reaction
        .pending_notifications
        .iter()
        .map(|pending| format!("{} in run {}", pending.because, pending.run))
        .collect();
    assert_eq!(since, ["note:/etc/a in run 1", "note:/etc/b in run 1"]);
}

#[test]
fn a_notification_of_something_that_is_no_longer_declared_is_dropped() {
    let (host, store) = (host(), MemoryStore::new());
    let journal = Journal::new(store);
    run(site("new"), &Faulty::new(&host, 2, Fault::Fails(ErrorKind::Io)), &journal);
    let mut other = Site::new();
    other.declare("/etc/a", Note { text: "new".into() });
    let pending_notifications = journal.pending().unwrap().notifications;
    let graph = other.into_graph().unwrap();
    let planned = graph.plan(&host, &PlanOptions { pending_notifications, ..PlanOptions::default() }).unwrap();
    assert_eq!(planned.plan().dropped_notifications.len(), 2);
    let recorder = Some(journal.begin(&journal.lock().unwrap(), info()).unwrap());
    planned.apply(&host, &ApplyOptions { recorder, ..ApplyOptions::default() }, &());
    assert_eq!(journal.pending().unwrap().notifications, []);
}

/// The file lies there and the service manager goes on with the old one: no site can declare that this is none of its business.
#[test]
fn an_owed_reload_of_the_service_manager_is_done_by_the_next_run_of_any_site() {
    let (host, store) = (host(), MemoryStore::new());
    let unit = "/etc/systemd/system/kk.service";
    let mut units = Site::new();
    units.declare(unit, Note { text: "[Service]\nExecStart=/bin/true\n".into() });
    let faulty = Faulty::new(&host, 1, Fault::DiesBefore);
    run(units, &faulty, &Journal::new(store.clone().switched_by(faulty.death())));
    assert!(host.read_text(unit).unwrap().is_some());
    host.take_effects();
    let other = || {
        let mut site = Site::new().with_name("other");
        site.declare("/etc/b", Note { text: "b".into() });
        site
    };
    let journal = Journal::new(store);
    let recovered = Engine::open(&host, journal.clone(), Options::new("tester")).unwrap().recovered().len();
    assert_eq!(recovered, 1);
    // Who makes plans without an engine drops it no more than an engine does.
    let pending_notifications = journal.pending().unwrap().notifications;
    assert_eq!(pending_notifications.len(), 1);
    let graph = other().into_graph().unwrap();
    let planned = graph.plan(&host, &PlanOptions { pending_notifications, ..PlanOptions::default() }).unwrap();
    assert_eq!(planned.plan().dropped_notifications, []);
    let report = run(other(), &host, &journal);
    assert!(report.is_success(), "{report:?}");
    assert!(host.take_effects().contains(&Effect::Platform(PlatformEffect::ReloadUnits)));
    assert_eq!(journal.pending().unwrap().notifications, []);
    assert!(!run(other(), &host, &journal).changed_anything());
}

#[test]
fn a_refused_plan_names_the_first_things_that_have_moved_and_counts_the_others() {
    let (host, store) = (host(), MemoryStore::new());
    let journal = Journal::new(store);
    let registry = Registry::new().with::<Note>();
    let mut site = Site::new();
    for number in 0..30 {
        site.declare(&format!("/srv/{number}"), Note { text: "new".into() });
    }
    let key = journal.make_key().unwrap();
    let saved = site.into_graph().unwrap().plan(&host, &PlanOptions::default()).unwrap().save(&host, &key).unwrap();
    for number in 0..30 {
        host.write_text(&format!("/srv/{number}"), "by hand").unwrap();
    }
    let saved = SavedPlan::read(&saved, &key).unwrap();
    let graph = saved.graph(&registry, &journal).unwrap();
    let error = saved.renew(&graph, &host, &key, Vec::new()).err().unwrap();
    let cause = error.cause().unwrap_or_default();
    assert_eq!(cause.lines().count(), 9, "{cause}");
    assert!(cause.lines().last().unwrap().starts_with("and "), "{cause}");
}

#[test]
fn a_run_is_undone_and_the_undo_is_undone() {
    let (host, store) = (host(), MemoryStore::new());
    let journal = Journal::new(store);
    run(site("new"), &host, &journal);
    let undo = |run| {
        let engine = Engine::open(&host, journal.clone(), Options::new("tester")).unwrap();
        let prepared = engine.rollback(run, RollbackOptions::default()).unwrap();
        assert!(prepared.rollback().plan.is_feasible(), "{:#?}", prepared.rollback());
        let report = prepared.apply(&ApplyOptions::default(), &()).unwrap();
        assert!(report.is_success(), "{report:#?}");
        assert_eq!(report.pending_notifications, []);
    };
    host.take_effects();
    undo(1);
    assert_eq!(host.read_text("/etc/a").unwrap().as_deref(), Some("old"));
    assert_eq!(host.read_text("/etc/b").unwrap(), None);
    assert_eq!(restarts(&host.take_effects()), 1, "what read the new state reads the old one again");
    undo(2);
    assert_eq!(host.read_text("/etc/a").unwrap().as_deref(), Some("new"));
    assert!(!run(site("new"), &host, &journal).changed_anything());
    let endings: Vec<_> = journal.runs().unwrap().into_iter().map(|(_, run)| run.unwrap().ended.unwrap().how).collect();
    assert_eq!(endings, [Ending::Done; 3]);
}

#[test]
fn what_has_changed_since_is_named_and_kept() {
    let (host, store) = (host(), MemoryStore::new());
    let journal = Journal::new(store);
    run(site("new"), &host, &journal);
    host.write_text("/etc/a", "by hand").unwrap();
    let refused = journal.rollback(1, &host, RollbackOptions::default()).unwrap();
    assert!(!refused.plan.is_feasible());
    let kept = journal.rollback(1, &host, RollbackOptions { keep_changed: true }).unwrap();
    assert!(kept.plan.is_feasible());
    assert_eq!(kept.kept.len(), 1);
    assert_eq!(kept.kept[0].because, "/etc/a has changed since");
    kept.apply(&host, &ApplyOptions::default(), &());
    assert_eq!(host.read_text("/etc/a").unwrap().as_deref(), Some("by hand"));
    assert_eq!(host.read_text("/etc/b").unwrap(), None);
}

#[test]
fn a_damaged_journal_is_an_error_and_never_a_wrong_undo() {
    let (host, store) = (host(), MemoryStore::new());
    let journal = Journal::new(store.clone());
    run(site("new"), &host, &journal);
    let whole = store.files();
    // The ledger has no part in it.
    for (name, bytes) in whole.iter().filter(|(name, _)| *name != "ledger") {
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1 << (place % 8);
            store.replace(name, &damaged).unwrap();
            let error = journal.rollback(1, &host, RollbackOptions::default()).unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Damaged | ErrorKind::Io | ErrorKind::Invalid),
                "{name} at {place}: {error:?}"
            );
        }
        for length in 0..bytes.len() {
            store.replace(name, &bytes[..length]).unwrap();
            assert!(journal.rollback(1, &host, RollbackOptions::default()).is_err(), "{name} cut at {length}");
        }
        store.replace(name, bytes).unwrap();
    }
    assert!(journal.rollback(1, &host, RollbackOptions::default()).unwrap().plan.is_feasible());
}

#[test]
fn a_damaged_ledger_is_an_error() {
    let (host, store) = (host(), MemoryStore::new());
    let journal = Journal::new(store.clone());
    run(site("new"), &host, &journal);
    let bytes = store.files()["ledger"].clone();
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        store.replace("ledger", &damaged).unwrap();
        assert!(journal.ledger().unwrap_err().hint().is_some());
        store.replace("ledger", &bytes[..place]).unwrap();
        assert!(journal.ledger().is_err());
    }
}

#[test]
fn damaged_notifications_are_an_error() {
    let (host, store) = (host(), MemoryStore::new());
    let journal = Journal::new(store.clone());
    run(site("new"), &Faulty::new(&host, 2, Fault::Fails(ErrorKind::Io)), &journal);
    let bytes = store.files()["notifications"].clone();
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        store.replace("notifications", &damaged).unwrap();
        let error = journal.pending().unwrap_err();
        assert!(error.hint().is_some(), "{error:?}");
        store.replace("notifications", &bytes[..place]).unwrap();
        assert!(journal.pending().is_err());
    }
}

#[test]
fn large_contents_are_kept_once_and_old_runs_go_with_theirs() {
    let store = MemoryStore::new();
    let keeping = |text| keeping(site(text), Retention { runs: 2, bytes: u64::MAX });
    let journal = Journal::new(store.clone());
    let large = "x".repeat(200_000);
    let host = SimHost::debian(12).with_file("/etc/a", large.as_str()).with_file("/etc/b", large.as_str());
    let blobs = || store.list("blobs").unwrap().len();
    run(keeping("1"), &host, &journal);
    assert_eq!(blobs(), 1, "the same content twice");
    let undone = journal.rollback(1, &host, RollbackOptions::default()).unwrap();
    undone.apply(&host, &ApplyOptions::default(), &());
    assert_eq!(host.read_text("/etc/b").unwrap().as_deref(), Some(large.as_str()));
    for text in ["2", "3", "4"] {
        run(keeping(text), &host, &journal);
    }
    assert_eq!(journal.runs().unwrap().iter().map(|(run, _)| *run).collect::<Vec<_>>(), [4, 3]);
    assert_eq!(blobs(), 0);
    assert!(journal.run(1).unwrap_err().hint().unwrap().contains("3 to 4"));
}

#[test]
fn who_reads_the_journal_learns_no_content() {
    let store = MemoryStore::new();
    let journal = Journal::new(store.clone());
    let host = SimHost::debian(12).with_file("/etc/a", "the clear text");
    run(site("another clear text"), &host, &journal);
    for (name, bytes) in store.files() {
        assert!(!String::from_utf8_lossy(&bytes).contains("clear text"), "{name}");
    }
}

#[test]
fn workers_that_begin_together_use_one_key() {
    for _ in 0..20 {
        let (host, store) = (host(), MemoryStore::new());
        let journal = Journal::new(store);
        let graph = site("new").into_graph().unwrap();
        let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
        let recorder = Some(journal.begin(&journal.lock().unwrap(), info()).unwrap());
        planned.apply(&host, &ApplyOptions { jobs: 4, recorder, ..ApplyOptions::default() }, &());
        assert!(journal.rollback(1, &host, RollbackOptions::default()).unwrap().plan.is_feasible());
    }
}

#[test]
fn a_saved_plan_with_any_byte_changed_or_cut_off_is_refused() {
    let host = host();
    let key = Journal::new(MemoryStore::new()).make_key().unwrap();
    let graph = site("new").into_graph().unwrap();
    let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
    let whole = planned.save(&host, &key).unwrap();
    assert!(SavedPlan::is_one(&whole));
    assert_eq!(SavedPlan::read(&whole, &key).unwrap().sites(), ["site"]);
    let refused = |bytes: &[u8], what: &str| {
        let Err(error) = SavedPlan::read(bytes, &key) else { panic!("{what} is accepted") };
        assert!(matches!(error.kind(), ErrorKind::Damaged | ErrorKind::Newer), "{what}: {error:?}");
        assert!(error.hint().is_some(), "{what}: {error:?}");
    };
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 1 << (place % 7);
        refused(&changed, &format!("byte {place}"));
        refused(&whole[..place], &format!("a file cut at {place}"));
    }
    // What JSON takes for the same, and people may read as something else.
    let text = str::from_utf8(&whole).unwrap();
    for (from, to) in [
        ("  \"visible\"", "  \"visible\": {},\n  \"visible\""),
        ("\"plan\": {", "\"plan\": { \"steps\": [] }, \"plan\": {"),
        ("  \"version\"", "   \"version\""),
        ("\n}\n", "\n}\n\n"),
        ("\n}\n", ",\n  \"visible\": {}\n}\n"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        refused(changed.as_bytes(), &format!("{from:?} as {to:?}"));
    }
    let other = Journal::new(MemoryStore::new()).make_key().unwrap();
    assert_eq!(SavedPlan::read(&whole, &other).err().unwrap().kind(), ErrorKind::Damaged);
}

/// Hidden attributes were had from a form in which an address is four numbers.
#[test]
fn a_saved_plan_keeps_attributes_that_have_another_form_where_it_is_not_for_people() {
    #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Peer {
        #[schemars(with = "String")]
        address: IpAddr,
        #[schemars(with = "String")]
        keys: Vec<Sensitive>,
    }
    impl Resource for Peer {
        const TYPE: &'static str = "peer";
        type State = Option<String>;
        fn check(&self, cx: &CheckContext<'_>) -> Result<Self::State> {
            cx.host().read_text(cx.id().name())
        }
        fn plan(&self, _: &PlanContext<'_>, _: &Self::State) -> Result<Self::State> {
            Ok(Some(format!("{} {}\n", self.address, self.keys[1].reveal())))
        }
        fn apply(&self, cx: &ApplyContext<'_>, _: &Self::State, want: &Self::State) -> Result<()> {
            cx.host().write_text(cx.id().name(), want.as_deref().unwrap_or_default())
        }
        fn claims(&self, id: &ResourceId) -> Vec<Claim> {
            vec![Claim::owns(Target::Path(id.name().parse().unwrap()))]
        }
    }
    let (host, journal) = (SimHost::debian(13), Journal::new(MemoryStore::new()));
    let key = journal.make_key().unwrap();
    let mut site = Site::new();
    let peer = Peer { address: [192, 0, 2, 1].into(), keys: vec![Sensitive::new("one"), Sensitive::new("two")] };
    site.declare("/etc/peer", peer);
    let graph = site.into_graph().unwrap();
    let bytes = graph.plan(&host, &PlanOptions::default()).unwrap().save(&host, &key).unwrap();
    let saved = SavedPlan::read(&bytes, &key).unwrap();
    let graph = saved.graph(&Registry::new().with::<Peer>(), &journal).unwrap();
    let planned = saved.renew(&graph, &host, &key, Vec::new()).unwrap();
    let report = planned.apply(&host, &ApplyOptions::default(), &());
    assert!(report.is_success(), "{report:?}");
    assert_eq!(host.read_text("/etc/peer").unwrap().as_deref(), Some("192.0.2.1 two\n"));
}

/// A store whose disk is full for a moment: one line is written by half, and those after it could be written again.
struct Full {
    store: MemoryStore,
    appends: AtomicUsize,
    fails_at: usize,
}

impl StateStore for Full {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.store.read(name)
    }
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.store.replace(name, bytes)
    }
    fn append(&self, name: &str, bytes: &[u8], durably: bool) -> Result<()> {
        // Without a mark of how much is on the disk a run goes on.
        let is_log = name.ends_with(".open");
        if !is_log || self.appends.fetch_add(1, Ordering::Relaxed) != self.fails_at {
            return self.store.append(name, bytes, durably);
        }
        self.store.append(name, &bytes[..bytes.len() / 2], durably)?;
        Err(Error::new(ErrorKind::NoSpace, "no space is left on the file system"))
    }
    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.store.rename(from, to)
    }
    fn remove(&self, name: &str) -> Result<()> {
        self.store.remove(name)
    }
    fn lock(&self) -> Result<StoreLock> {
        self.store.lock()
    }
    fn list(&self, directory: &str) -> Result<Vec<String>> {
        self.store.list(directory)
    }
    fn stream(&self, fill: &mut dyn FnMut(&mut dyn Write) -> Result<String>) -> Result<()> {
        self.store.stream(fill)
    }
    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>> {
        self.store.open(name)
    }
    fn free_bytes(&self) -> Option<u64> {
        self.store.free_bytes()
    }
    fn size(&self, name: &str) -> Result<u64> {
        self.store.size(name)
    }
}

#[test]
fn a_line_that_was_written_by_half_is_followed_by_none() {
    for fails_at in 0.. {
        let (host, store) = (host(), MemoryStore::new());
        let full = Full { store: store.clone(), appends: AtomicUsize::new(0), fails_at };
        let report = run(site("new"), &host, &Journal::new(full));
        if report.is_success() {
            assert!(fails_at > 3, "a run writes more than {fails_at} times");
            return;
        }
        // Whatever was done is found by the next run, which brings all of it to its end, reactions included.
        let journal = Journal::new(store);
        let next = run(site("new"), &host, &journal);
        assert!(next.is_success(), "after {fails_at} lines: {next:#?}");
        assert_eq!(host.read_text("/etc/b").unwrap().as_deref(), Some("new too"));
        assert!(restarts(&host.take_effects()) > 0, "after {fails_at} lines");
        assert!(journal.runs().unwrap().into_iter().all(|(_, run)| run.is_ok()), "after {fails_at} lines");
    }
}

/// A host on which a program that a dead run had started is still at work, until it is waited for.
struct Busy {
    host: SimHost,
    waited_for: std::sync::Mutex<Vec<Effect>>,
}

impl HostView for Busy {
    provision_core::forward_view!(self => self.host);
}

impl Host for Busy {
    fn perform(&self, effect: &Effect) -> Result<()> {
        self.host.perform(effect)
    }
    fn come_to_rest(&self, effect: &Effect) -> Result<()> {
        self.waited_for.lock().unwrap().push(effect.clone());
        Ok(())
    }
}

/// useradd(8) lived on, and the next run found no user where it looked and one where it acted.
#[test]
fn the_next_run_waits_for_what_a_dead_run_has_started() {
    let (host, store) = (host(), MemoryStore::new());
    let faulty = Faulty::new(&host, 1, Fault::DiesBefore);
    run(site("new"), &faulty, &Journal::new(store.clone().switched_by(faulty.death())));
    let busy = Busy { host, waited_for: std::sync::Mutex::default() };
    assert!(run(site("new"), &busy, &Journal::new(store)).is_success());
    let waited_for = busy.waited_for.into_inner().unwrap();
    let paths: Vec<_> = waited_for.iter().filter_map(Effect::path).map(ToString::to_string).collect();
    assert_eq!(paths, ["/etc/b"], "{waited_for:?}");
}

fn lost_after_one_effect(host: &SimHost, store: &MemoryStore) {
    let faulty = Faulty::new(host, 1, Fault::DiesAfter);
    let dead = Journal::new(store.clone().switched_by(faulty.death()));
    let graph = site("new").into_graph().unwrap();
    let planned = graph.plan(&faulty, &PlanOptions::default()).unwrap();
    let recorder = Some(dead.begin(&dead.lock().unwrap(), info()).unwrap());
    planned.apply(&faulty, &ApplyOptions { recorder, ..ApplyOptions::default() }, &());
}

/// A later `--prune` did not reload what reads the file.
#[test]
fn the_ledger_knows_what_reacts_after_a_death_as_well() {
    let (host, store) = (host(), MemoryStore::new());
    lost_after_one_effect(&host, &store);
    let journal = Journal::new(store);
    assert_eq!(journal.recover(&journal.lock().unwrap(), &host).unwrap().len(), 1);
    let ledger = serde_json::to_value(journal.ledger().unwrap()).unwrap();
    let daemon = format!("daemon:{UNIT}");
    assert_eq!(ledger["entries"]["note:/etc/b"]["notifies"], serde_json::json!([daemon]), "{ledger}");
}

/// A run that was begun beside one that died took what had been made for what was there before.
#[test]
fn no_run_begins_beside_one_that_never_ended() {
    let (host, store) = (host(), MemoryStore::new());
    lost_after_one_effect(&host, &store);
    let before = store.files();
    let journal = Journal::new(store.clone());
    let lock = journal.lock().unwrap();
    let error = journal.begin(&lock, info()).err().unwrap();
    assert_eq!(error.message(), "run 1 never ended, and was not recovered");
    assert!(store.files() == before);
    journal.recover(&lock, &host).unwrap();
    assert!(journal.begin(&lock, info()).is_ok());
}

#[test]
fn a_journal_is_locked_by_one_run_and_no_other_lock_will_do() {
    let (host, store) = (host(), MemoryStore::new());
    let (journal, same) = (Journal::new(store.clone()), Journal::new(store));
    let lock = journal.lock().unwrap();
    assert_eq!(same.lock().err().unwrap().kind(), ErrorKind::Locked);
    let recorder = journal.begin(&lock, info()).unwrap();
    drop(lock);
    assert_eq!(same.lock().err().unwrap().kind(), ErrorKind::Locked, "the run is under way");
    drop(recorder);
    let other = Journal::new(MemoryStore::new());
    let lock = other.lock().unwrap();
    assert_eq!(same.begin(&lock, info()).err().unwrap().kind(), ErrorKind::Refused);
    assert_eq!(same.recover(&lock, &host).err().unwrap().kind(), ErrorKind::Refused);
    assert!(same.lock().is_ok());
}

/// A new one was made, and all that earlier runs had done was said to have changed since.
#[test]
fn a_key_that_is_lost_is_not_replaced() {
    let (host, store) = (host(), MemoryStore::new());
    let journal = Journal::new(store.clone());
    assert!(run(site("new"), &host, &journal).is_success());
    store.remove("key").unwrap();
    let before = store.files();
    for error in [
        journal.key().err().unwrap(),
        journal.make_key().err().unwrap(),
        journal.rollback(1, &host, RollbackOptions::default()).err().unwrap(),
    ] {
        assert_eq!((error.kind(), error.message()), (ErrorKind::NotFound, "the key of this host is lost"));
        assert!(error.hint().is_some());
    }
    assert!(store.files() == before);
    assert!(journal.runs().unwrap()[0].1.is_ok(), "what was done can still be told");
}

/// Only what has a path of its own was cleaned up.
#[test]
fn account_files_that_were_never_put_in_place_go_after_a_death() {
    let staged = "/etc/.gshadow.Ab12Cd.provision";
    let (host, journal) = (host(), Journal::new(MemoryStore::new()));
    let lock = journal.lock().unwrap();
    let recorder = journal.begin(&lock, info()).unwrap();
    let lines = host.account_lines(&["root"], &["root"]).unwrap();
    recorder
        .intend(&[&"user:root".parse().unwrap()], &Effect::Platform(PlatformEffect::RestoreAccounts { lines }), &host)
        .unwrap();
    let host = host.with_file(staged, "half").with_file("/etc/.gshadow.provision", "not ours");
    journal.recover(&lock, &host).unwrap();
    assert!(host.metadata(&staged.parse().unwrap()).unwrap().is_none());
    assert!(host.metadata(&"/etc/.gshadow.provision".parse().unwrap()).unwrap().is_some());
}

/// It overwrote whatever was there.
#[test]
fn a_plan_is_refused_on_another_host() {
    let (here, there) = (host(), host().with_file("/etc/machine-id", "another\n").with_file("/etc/a", "theirs"));
    let graph = site("new").into_graph().unwrap();
    let planned = graph.plan(&here, &PlanOptions::default()).unwrap();
    let journal = Journal::new(MemoryStore::new());
    let recorder = Some(journal.begin(&journal.lock().unwrap(), info()).unwrap());
    there.take_effects();
    let report = planned.apply(&there, &ApplyOptions { recorder, ..ApplyOptions::default() }, &());
    assert!(!report.is_success());
    let failed = &report.steps[0];
    assert!(format!("{failed:?}").contains("the plan was made for another host"), "{failed:?}");
    assert!(there.take_effects().is_empty());
    assert_eq!(there.read_text("/etc/a").unwrap().as_deref(), Some("theirs"));
    assert!(planned.apply(&here, &ApplyOptions::default(), &()).is_success());
}

/// What was there before was lost when the log was repaired.
#[test]
fn contents_stay_while_the_log_of_a_run_cannot_be_read() {
    let (host, store) = (host().with_file("/etc/a", "x".repeat(100 << 10)), MemoryStore::new());
    let keeping = |text| keeping(site(text), Retention { runs: 1, ..Retention::ALL });
    let journal = || Journal::new(store.clone());
    assert!(run(keeping("one"), &host, &journal()).is_success());
    let (name, whole) = store.files().into_iter().find(|(name, _)| name.starts_with("runs/")).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    store.replace(&name, &damaged).unwrap();
    for text in ["two", "three", "four"] {
        host.pass_time(60);
        let report = run(keeping(text), &host, &journal());
        assert!(report.is_success(), "{text}: {report:?}");
    }
    store.replace(&name, &whole).unwrap();
    let rollback = journal().rollback(1, &host, RollbackOptions { keep_changed: true });
    assert!(rollback.is_ok(), "{:?}", rollback.err());
    let files = store.files();
    assert_eq!(files.keys().filter(|name| name.starts_with("blobs/")).count(), 1);
    assert_eq!(files.keys().filter(|name| name.starts_with("runs/")).count(), 2, "readable ones go");
}

/// Each line is bound to all before it, and nothing had told that lines are missing at the end.
#[test]
fn a_log_of_a_dead_run_that_was_cut_between_two_lines_is_noticed() {
    let (host, store) = (host(), MemoryStore::new());
    lost_after_one_effect(&host, &store);
    let journal = Journal::new(store.clone());
    let name = "runs/00000001.open";
    let whole = store.files()[name].clone();
    let ends = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place + 1);
    let cuts: Vec<usize> = ends.filter(|end| *end < whole.len()).collect();
    assert!(cuts.len() > 3, "{cuts:?}");
    for cut in cuts {
        store.replace(name, &whole[..cut]).unwrap();
        let error = journal.recover(&journal.lock().unwrap(), &host).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{cut}: {error}");
        assert!(journal.pending().is_err());
    }
    store.replace(name, &whole).unwrap();
    assert_eq!(journal.recover(&journal.lock().unwrap(), &host).unwrap().len(), 1);
    assert!(store.files().keys().all(|name| !name.ends_with(".mark")), "{:?}", store.files().keys());
}

/// A host whose service does not run with the new content, once that is so.
fn host_of_a_fragile_service(is_fragile: &Arc<AtomicBool>) -> SimHost {
    let is_fragile = Arc::clone(is_fragile);
    host().with_unit_script(UNIT, move |host, _| {
        let is_new = host.read_text("/etc/a")?.as_deref() == Some("new");
        match is_new && is_fragile.load(Ordering::Relaxed) {
            true => Err(Error::new(ErrorKind::CommandFailed, "it does not like the new content")),
            false => Ok(()),
        }
    })
}

/// It had been left dead, and the rollback was called done.
#[test]
fn a_rollback_brings_a_service_back_that_died_after_the_run() {
    let is_fragile = Arc::new(AtomicBool::new(false));
    let host = host_of_a_fragile_service(&is_fragile);
    let journal = Journal::new(MemoryStore::new());
    assert!(run(site("new"), &host, &journal).is_success());
    is_fragile.store(true, Ordering::Relaxed);
    host.perform(&Effect::Platform(PlatformEffect::Unit { unit: UNIT.into(), action: UnitAction::Restart }))
        .unwrap_err();
    assert!(!HostViewExt::unit(&host, UNIT).unwrap().is_active());
    let rollback = journal.rollback(1, &host, RollbackOptions::default()).unwrap();
    let report = rollback.apply(&host, &ApplyOptions::default(), &());
    assert!(report.is_success(), "{report:#?}");
    assert!(HostViewExt::unit(&host, UNIT).unwrap().is_active());
    assert_eq!(host.read_text("/etc/a").unwrap().as_deref(), Some("old"));
}

#[test]
fn a_rollback_after_which_a_service_does_not_run_has_failed() {
    let is_fragile = Arc::new(AtomicBool::new(true));
    let host = host_of_a_fragile_service(&is_fragile);
    let journal = Journal::new(MemoryStore::new());
    assert!(!run(site("new"), &host, &journal).is_success());
    let host = host.with_failing_unit(UNIT);
    let rollback = journal.rollback(1, &host, RollbackOptions::default()).unwrap();
    let report = rollback.apply(&host, &ApplyOptions::default(), &());
    assert!(!report.is_success(), "{report:#?}");
}
