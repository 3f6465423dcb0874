//! Many removals of one step are written down, performed and synced together, and nothing of that is lost in a death.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

#[allow(dead_code, reason = "other tests use the rest")]
mod common;

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use provision_core::apply::ApplyOptions;
use provision_core::effect::{Effect, Removal};
use provision_core::engine::{Engine, Options};
use provision_core::error::{ErrorKind, Result};
use provision_core::host::{Fault, Faulty, Host, HostView, HostViewExt};
use provision_core::journal::{Journal, MemoryStore, StateStore, StoreLock};
use provision_core::path::HostPath;
use provision_core::plan::PlanOptions;
use provision_core::registry::{OnFailure, SitePolicy};
use provision_core::report::Report;
use provision_core::resource::{ApplyContext, CheckContext, Claim, PlanContext, Resource, ResourceId, Target};
use provision_core::rollback::RollbackOptions;
use provision_core::sim::SimHost;
use provision_core::site::Site;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use common::Daemon;

const UNIT: &str = "nginx.service";
const FILES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A directory with nothing in it.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Emptied {}

impl Resource for Emptied {
    const TYPE: &'static str = "emptied";
    type State = Vec<String>;
    fn check(&self, cx: &CheckContext<'_>) -> Result<Self::State> {
        Ok(cx.host().list(&HostPath::new(cx.id().name())?)?.unwrap_or_default())
    }
    fn plan(&self, _: &PlanContext<'_>, _: &Self::State) -> Result<Self::State> {
        Ok(Vec::new())
    }
    fn apply(&self, cx: &ApplyContext<'_>, now: &Self::State, _: &Self::State) -> Result<()> {
        let directory = HostPath::new(cx.id().name())?;
        now.iter().try_for_each(|name| {
            cx.host().perform(&Effect::Remove { path: directory.join(name)?, what: Removal::File })
        })
    }
    fn claims(&self, id: &ResourceId) -> Vec<Claim> {
        HostPath::new(id.name()).map(|path| Claim::owns(Target::Path(path))).into_iter().collect()
    }
}

fn site() -> Site {
    let mut site = Site::new();
    site.declare("/srv/heap", Emptied {}).notifies(ResourceId::new("daemon", UNIT));
    site.declare(UNIT, Daemon {});
    site
}

fn host() -> SimHost {
    let host = SimHost::debian(12).with_package("nginx").with_directory("/srv/heap");
    FILES.iter().fold(host, |host, name| host.with_file(&format!("/srv/heap/{name}"), format!("the {name}\n")))
}

fn run(host: &dyn Host, journal: &Journal) -> Report {
    let engine = Engine::open(host, journal.clone(), Options::new("tester")).unwrap();
    let prepared = engine.plan(site(), &PlanOptions::default()).unwrap();
    prepared.apply(&ApplyOptions::default(), &()).unwrap()
}

fn left(host: &dyn HostView) -> Vec<String> {
    host.list(&HostPath::new("/srv/heap").unwrap()).unwrap().unwrap()
}

/// After a fault the next run comes to the end, and what all runs did can be taken back.
fn is_survived(host: &SimHost, store: MemoryStore, case: &str) {
    let journal = Journal::new(store);
    let next = run(host, &journal);
    assert!(next.is_success(), "{case}: {next:#?}");
    assert_eq!(left(host), [] as [&str; 0], "{case}");
    assert_eq!(journal.pending().unwrap().notifications, [], "{case}");
    let last = run(host, &journal);
    assert!(last.is_success() && !last.changed_anything(), "{case}");
    let runs: Vec<u64> = journal.runs().unwrap().into_iter().map(|(run, _)| run).collect();
    for run in runs {
        let rollback = journal.rollback(run, host, RollbackOptions::default()).unwrap();
        assert!(rollback.apply(host, &ApplyOptions::default(), &()).is_success(), "{case}");
    }
    for name in FILES {
        let content = host.read_text(&format!("/srv/heap/{name}")).unwrap();
        assert_eq!(content, Some(format!("the {name}\n")), "{case}");
    }
}

#[test]
fn a_batch_survives_every_fault_at_each_of_its_effects() {
    for fault in Fault::ALL {
        for power in [false, true] {
            for at in 0..FILES.len() {
                let (host, store) = (host(), MemoryStore::new());
                let faulty = Faulty::new(&host, at, fault);
                let report = run(&faulty, &Journal::new(store.clone().switched_by(faulty.death())));
                let case = format!("{fault:?} at {at}, power lost: {power}");
                assert!(faulty.has_struck() && !report.is_success(), "{case}");
                let dies = matches!(fault, Fault::DiesBefore | Fault::DiesAfter);
                let gone = at + usize::from(fault == Fault::DiesAfter);
                assert_eq!(left(&host), FILES[gone..], "{case}: what comes after is not begun");
                if power && dies {
                    host.lose_power();
                }
                is_survived(&host, store, &case);
            }
        }
    }
}

#[test]
fn what_a_batch_did_not_begin_is_left_to_the_next_run() {
    let (host, store) = (host(), MemoryStore::new());
    let faulty = Faulty::new(&host, 2, Fault::DiesBefore);
    run(&faulty, &Journal::new(store.clone().switched_by(faulty.death())));
    let journal = Journal::new(store);
    let recovered = journal.recover(&journal.lock().unwrap(), &host).unwrap();
    assert_eq!(recovered[0].settled.len(), FILES.len());
    assert_eq!(left(&host), FILES[2..]);
}

/// A loss of power while the intents of a batch are written leaves any part of them.
#[test]
fn a_batch_whose_intents_were_cut_anywhere_is_survived() {
    let (whole, store) = (host(), MemoryStore::new());
    let faulty = Faulty::new(&whole, 0, Fault::DiesBefore);
    run(&faulty, &Journal::new(store.clone().switched_by(faulty.death())));
    let log = store.read("runs/00000001.open").unwrap().unwrap();
    store.remove("runs/00000001.mark").unwrap();
    for cut in (0..=log.len()).step_by(97) {
        let (host, cut_store) = (host(), MemoryStore::new());
        for (name, bytes) in store.files() {
            cut_store.replace(&name, &bytes).unwrap();
        }
        cut_store.replace("runs/00000001.open", &log[..cut]).unwrap();
        is_survived(&host, cut_store, &format!("cut after {cut} bytes"));
    }
}

/// What happened to a host and its journal, in order.
#[derive(Clone, Default)]
struct Order(Arc<Mutex<Vec<String>>>);

impl Order {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }
}

struct Noted<'h>(&'h SimHost, Order);

impl HostView for Noted<'_> {
    provision_core::forward_view!(self => self.0);
}

impl Host for Noted<'_> {
    fn perform(&self, effect: &Effect) -> Result<()> {
        self.0.perform(effect)
    }
    fn perform_unsynced(&self, effect: &Effect) -> Result<()> {
        self.1.note(effect.path().map_or("other", |_| "removal"));
        self.0.perform(effect)
    }
    fn sync(&self, effects: &[Effect]) -> Result<()> {
        self.1.note(format!("{} effects are synced", effects.len()));
        Ok(())
    }
}

struct NotedStore(MemoryStore, Order);

impl StateStore for NotedStore {
    fn append(&self, name: &str, bytes: &[u8], durably: bool) -> Result<()> {
        if name.ends_with(".open") {
            let text = String::from_utf8_lossy(bytes);
            let count = |record: &str| text.matches(&format!("\"record\":\"{record}\"")).count();
            let lines = (count("intends"), count("did"), count("ended"));
            self.1.note(match (lines, durably) {
                ((0, 0, 0), true) => "the log is synced".to_owned(),
                ((0, 0, 0), false) => "other lines".to_owned(),
                ((intents, 0, 0), _) => format!("{intents} intents"),
                ((_, outcomes, 0), _) => format!("{outcomes} outcomes"),
                _ => "the end".to_owned(),
            });
        }
        self.0.append(name, bytes, durably)
    }
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.0.read(name)
    }
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.0.replace(name, bytes)
    }
    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> Result<()> {
        self.0.remove(name)
    }
    fn list(&self, directory: &str) -> Result<Vec<String>> {
        self.0.list(directory)
    }
    fn lock(&self) -> Result<StoreLock> {
        self.0.lock()
    }
    fn stream(&self, fill: &mut dyn FnMut(&mut dyn Write) -> Result<String>) -> Result<()> {
        self.0.stream(fill)
    }
    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>> {
        self.0.open(name)
    }
    fn free_bytes(&self) -> Option<u64> {
        self.0.free_bytes()
    }
    fn size(&self, name: &str) -> Result<u64> {
        self.0.size(name)
    }
}

/// Purging 200,000 files waited for the disk 400,000 times.
#[test]
fn the_disk_is_waited_for_once_before_a_batch_and_once_after_it() {
    let (host, order) = (host(), Order::default());
    let journal = Journal::new(NotedStore(MemoryStore::new(), order.clone()));
    assert!(run(&Noted(&host, order.clone()), &journal).is_success());
    let order = order.0.lock().unwrap();
    let expected = [
        "5 intents",
        "the log is synced",
        "removal",
        "removal",
        "removal",
        "removal",
        "removal",
        "5 effects are synced",
        "5 outcomes",
        "1 intents",
        "the log is synced",
        "other",
        "1 effects are synced",
        "1 outcomes",
        "other lines",
        "the end",
    ];
    assert_eq!(*order, expected);
}

/// What a run has done is taken back from its log, since the run itself keeps none of the contents.
#[test]
fn a_run_that_fails_takes_a_batch_back() {
    let host = host();
    let faulty = Faulty::new(&host, 3, Fault::Fails(ErrorKind::Io));
    let policy = SitePolicy { on_failure: OnFailure::Rollback, ..SitePolicy::default() };
    let journal = Journal::new(MemoryStore::new());
    let engine = Engine::open(&faulty, journal, Options::new("tester")).unwrap();
    let prepared = engine.plan(site().with_policy(policy), &PlanOptions::default()).unwrap();
    let report = prepared.apply(&ApplyOptions::default(), &()).unwrap();
    assert!(!report.is_success());
    assert_eq!(left(&host), FILES);
    assert_eq!(host.read_text("/srv/heap/a").unwrap().as_deref(), Some("the a\n"));
}
