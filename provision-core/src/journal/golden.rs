//! State that earlier versions of this program left is read, and what later ones left is refused and kept.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test speaks of what it has made itself")]

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use serde_json::{Value, json};

use super::image::{Keeper, PackageChanges, PackageDiff, PackagesImage, There, encoded};
use super::ledger::LEDGER;
use super::log;
use super::notifications::NOTIFICATIONS;
use super::record::{RUN_LOG, Record};
use super::*;
use crate::claim::{Claim, Target};
use crate::effect::{Access, CreateUser, Effect, PackageTransaction, PlatformEffect, UnitAction, WriteFile};
use crate::error::{ErrorKind, Result};
use crate::golden;
use crate::host::{FileKind, Host, HostView, HostViewExt, PackageEntry, PackageStatus};
use crate::id::ResourceId;
use crate::path::{HostPath, Mode};
use crate::run::Counts;
use crate::sim::{HostRecord, SimHost};
use crate::state::{KEY, with_fixed_randomness};

const LARGE: &[u8] = b"a content that is taken for a large one\n";

fn host() -> SimHost {
    let mut record = HostRecord { format: HostRecord::FORMAT.to_owned(), ..HostRecord::default() };
    record.os.version = "13".to_owned();
    SimHost::from_record(record).unwrap().with_file("/etc/motd", "old\n").with_directory("/srv").with_user("app")
}

fn path(path: &str) -> HostPath {
    HostPath::new(path).unwrap()
}

fn root(mode: u32) -> Access {
    Access { owner: "root".into(), group: "root".into(), mode: Mode::new(mode) }
}

fn write(at: &str, text: &str) -> Effect {
    Effect::WriteFile(WriteFile {
        path: path(at),
        content: text.into(),
        access: root(0o644),
        attributes: Default::default(),
        validate: None,
        hard_links: Default::default(),
    })
}

fn info() -> RunInfo {
    let digest = Some("0".repeat(64));
    RunInfo { purpose: Purpose::Apply, who: "alice (as root)".into(), site: "site.ncl".into(), site_digest: digest }
}

fn perform(recorder: &Recorder, id: &str, effect: Effect, host: &dyn Host) -> Result<()> {
    let id: ResourceId = id.parse()?;
    let target = match id.kind() {
        "user" => Target::User(id.name().to_owned()),
        _ => Target::Path(path(id.name())),
    };
    recorder.claims(&id, &[Claim::owns(target)]);
    let entry = recorder.intend(&[&id], &effect, host)?;
    host.perform(&effect)?;
    recorder.conclude(entry, &effect, None, host);
    Ok(())
}

/// What is hard to bring about on a small host.
fn more_records(keeper: &Keeper<'_>, host: &dyn HostView) -> Result<Vec<Record>> {
    let digest = keeper.key.digest(LARGE);
    keeper.store.replace(&format!("blobs/{digest}"), &keeper.key.seal(&encoded(LARGE))?)?;
    let there = There {
        kind: FileKind::File,
        access: root(0o600),
        attributes: Default::default(),
        content: Some(Kept::Blob { digest, size: LARGE.len() as u64 }),
    };
    let image = PathImage { path: path("/var/lib/large"), was: Was::There(Box::new(there)) };
    let gone = Fingerprint { path: path("/var/lib/large"), kind: None, access: None, content: None, attributes: None };
    let known = keeper.keep_json(&json!({ "table": {}, "users": [], "groups": [], "paths": [] }))?;
    let installed =
        PackageEntry { status: PackageStatus::Installed, version: Some("2.10-3".into()), ..PackageEntry::default() };
    let diff = PackageDiff { name: "hello".into(), before: PackageEntry::default(), after: installed };
    let changes = PackageChanges { packages: vec![diff], ..PackageChanges::default() };
    let remove = Effect::Remove { path: path("/var/lib/large"), what: crate::effect::Removal::File };
    let install = PackageTransaction { purge: vec!["hello".into()], ..PackageTransaction::default() };
    let mut records = Vec::new();
    for (number, id, effect, before, after) in [
        (5, "file:/var/lib/large", remove, Before::Paths { paths: vec![image] }, After::Paths { paths: vec![gone] }),
        (
            6,
            "package:hello",
            Effect::Platform(PlatformEffect::Packages(install)),
            Before::Packages(PackagesImage { known }),
            After::Packages(changes),
        ),
    ] {
        let at = host.now();
        let (ids, owners, sensitive) = (vec![id.parse()?], Vec::new(), number == 5);
        let intent = Intent { number, ids, owners, sensitive, effect, before, at_micros: at.unix_micros };
        let did = Did { number, after, error: None, left_changes: false, took_micros: 5, at, recovered: false };
        records.extend([Record::Intends(Box::new(intent)), Record::Did(Box::new(did))]);
    }
    Ok(records)
}

/// The same log with all times that were measured, and with these records before its end.
fn normalised(bytes: &[u8], more: Vec<Record>) -> Result<Vec<u8>> {
    let mut records = log::read::<Record>(&RUN_LOG, bytes)?.records;
    for record in &mut records {
        if let Record::Did(did) = record {
            did.took_micros = 5;
        }
    }
    let end = records.len() - usize::from(matches!(records.last(), Some(Record::Ended(_))));
    records.splice(end..end, more);
    let mut last = log::start(&RUN_LOG);
    let mut bytes = RUN_LOG.header().into_bytes();
    for record in records {
        bytes.extend(log::line(&record, &mut last)?);
    }
    Ok(bytes)
}

/// State with a run that ended, one that died, pending notifications and a ledger.
fn state() -> Result<MemoryStore> {
    with_fixed_randomness(|| {
        let (host, store) = (host(), MemoryStore::new());
        let journal = Journal::new(store.clone());
        let lock = journal.lock()?;
        let recorder = journal.begin(&lock, info())?;
        recorder.of_site("site");
        let daemon: ResourceId = "service:app".parse()?;
        recorder.notify(&daemon, &"file:/etc/motd".parse()?);
        perform(&recorder, "file:/etc/motd", write("/etc/motd", "new\n"), &host)?;
        let (at, attributes) = (path("/srv/app"), Default::default());
        perform(
            &recorder,
            "directory:/srv/app",
            Effect::CreateDirectory { path: at, access: root(0o755), attributes },
            &host,
        )?;
        perform(&recorder, "file:/srv/app/a", write("/srv/app/a", "a\n"), &host)?;
        let user = CreateUser { name: "made".into(), system: true, attributes: Default::default(), create_home: false };
        perform(&recorder, "user:made", Effect::Platform(PlatformEffect::CreateUser(user)), &host)?;
        recorder.finish(Ending::Done, Counts { changed: 6, ..Counts::default() }, &host)?;
        let done = "runs/00000001.done";
        let shared: Arc<dyn StateStore> = Arc::new(store.clone());
        let key = journal.make_key()?;
        let more = more_records(&Keeper { key: &key, store: &shared }, &host)?;
        store.replace(done, &normalised(&store.read(done)?.unwrap_or_default(), more)?)?;
        let dead = journal.begin(&lock, info())?;
        dead.of_site("site");
        let restart =
            Effect::Platform(PlatformEffect::Unit { unit: "app.service".into(), action: UnitAction::Restart });
        dead.intend(&[&daemon], &restart, &host)?;
        dead.notify(&daemon, &"file:/srv/app/a".parse()?);
        dead.intend(&[&"file:/srv/app/a".parse()?], &write("/srv/app/a", "b\n"), &host)?;
        Ok(store)
    })
}

/// Without what differs between versions.
fn without(value: &mut Value, names: &[&str]) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !names.contains(&name.as_str()));
            members.values_mut().for_each(|member| without(member, names));
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| without(element, names)),
        _ => {}
    }
}

fn store_of(files: BTreeMap<String, Vec<u8>>) -> MemoryStore {
    let store = MemoryStore::new();
    files.iter().for_each(|(name, bytes)| store.replace(name, bytes).unwrap());
    store
}

#[test]
fn golden_state_of_every_version_is_read() {
    for files in golden::states(&state().unwrap().files()) {
        let store = store_of(files);
        let journal = Journal::new(store.clone());
        let runs = [journal.run(1).unwrap(), journal.run(2).unwrap()];
        let notifications = notifications::read(&store).unwrap();
        let ledger = journal.ledger().unwrap();
        let mut read = json!({ "runs": runs, "notifications": notifications, "ledger": ledger });
        without(&mut read, &["program", "sealed"]);
        insta::assert_json_snapshot!("state", read);
        let key = journal.key().unwrap().unwrap();
        let shared: Arc<dyn StateStore> = Arc::new(store.clone());
        let keeper = Keeper { key: &key, store: &shared };
        let text = |effect: usize| {
            let Before::Paths { paths } = &runs[0].effects[effect].intent.before else { panic!("{runs:?}") };
            let mut bytes = Vec::new();
            keeper.open(paths[0].content().unwrap()).unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        };
        assert_eq!((text(0).as_slice(), text(4).as_slice()), (&b"old\n"[..], LARGE));
        // What is as it was left is known to be so.
        let host = host();
        for effect in runs[0].effects.iter().take(3) {
            let effect = match &effect.intent.effect {
                Effect::WriteFile(file) if file.path.as_str() == "/etc/motd" => write("/etc/motd", "new\n"),
                Effect::WriteFile(file) => write(file.path.as_str(), "a\n"),
                other => other.clone(),
            };
            host.perform(&effect).unwrap();
        }
        let orphans = journal.orphans("site", &Default::default()).unwrap();
        let file = orphans.iter().find(|orphan| orphan.id.name() == "/srv/app/a").unwrap();
        assert_eq!(file.looked_at(&host, &Default::default()).changed, []);
        let user = orphans.iter().find(|orphan| orphan.id.name() == "made").unwrap();
        assert_eq!(user.looked_at(&host, &Default::default()).changed, []);
        // And the work goes on.
        assert_eq!(journal.recover(&journal.lock().unwrap(), &host).unwrap().len(), 1);
        assert_eq!(host.read_text("/etc/motd").unwrap().as_deref(), Some("new\n"));
    }
}

#[test]
fn golden_state_of_a_newer_version_is_refused_by_name_and_left_as_it_is() {
    let golden = state().unwrap().files();
    for (name, format) in [
        ("key", &KEY),
        ("ledger", &LEDGER),
        ("notifications", &NOTIFICATIONS),
        ("runs/00000001.done", &RUN_LOG),
        ("runs/00000002.open", &RUN_LOG),
    ] {
        let store = store_of(golden.clone());
        if name != "runs/00000002.open" {
            store.remove("runs/00000002.open").unwrap();
        }
        store.replace(name, &golden::of_next_version(format, &golden[name])).unwrap();
        let before = store.files();
        let journal = Journal::new(store.clone()).with_retention(Retention { runs: 0, bytes: 0 });
        let host = host();
        let refused = match name {
            "key" => journal.key().map(drop),
            "ledger" => journal.ledger().map(drop),
            "notifications" => journal.pending().map(drop),
            "runs/00000001.done" => journal.run(1).map(drop),
            _ => journal.recover(&journal.lock().unwrap(), &host).map(drop),
        };
        golden::assert_newer(&refused.unwrap_err(), format);
        if name == "runs/00000001.done" {
            assert_eq!(journal.runs().unwrap().pop().unwrap().1.unwrap_err().kind(), ErrorKind::Newer);
        } else if name != "runs/00000002.open" {
            // A run that could not be written down to its end does not begin.
            let began = journal
                .begin(&journal.lock().unwrap(), info())
                .and_then(|recorder| recorder.intend(&[&"file:/a".parse()?], &write("/a", "a"), &host).map(drop));
            golden::assert_newer(&began.unwrap_err(), format);
        }
        assert!(store.files() == before, "{name}");
        if name.starts_with("runs") {
            journal.prune().unwrap();
            assert!(store.files().contains_key(name), "{name} was pruned");
            assert!(store.files().keys().any(|name| name.starts_with("blobs/")), "its contents were pruned");
        }
    }
}
