//! What reads bytes of others: an entry point each.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use provision_core::apply::ApplyOptions;
use provision_core::diagnostic::{Diagnostics, Sources};
use provision_core::duration::Duration;
use provision_core::effect::{
    Access, Acl, AclSubject, Capabilities, Effect, PackageRequest, PackageTransaction, PlatformEffect, UnitAction,
    UserChanges, permissions_from_text,
};
use provision_core::engine::{Engine, Options};
use provision_core::graph::Graph;
use provision_core::host::{Accounts, Host, HostView, HostViewExt, LocalHost, parse_shadow};
use provision_core::journal::{Journal, MemoryStore, StateStore};
use provision_core::path::{HostPath, Mode};
use provision_core::plan::{PlanOptions, SavedPlan, Selector};
use provision_core::resource::ResourceId;
use provision_core::secret::Template;
use provision_core::sim::{HostRecord, SimHost};
use provision_core::site::{RawDeclaration, Site};
use provision_core::version::{Constraint, Version};
use provision_resources::{Debian, registry};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::corpus;

/// Inputs, and what is tried with each.
type Prepared = (Vec<Vec<u8>>, Box<dyn Fn(&[u8])>);

pub struct Target {
    pub name: &'static str,
    pub prepare: fn() -> Prepared,
}

pub const TARGETS: [Target; 13] = [
    Target { name: "attributes", prepare: attributes },
    Target { name: "saved_plan", prepare: saved_plan },
    Target { name: "run_log", prepare: || journal_file(|name| name.starts_with("runs/")) },
    Target { name: "ledger", prepare: || journal_file(|name| name == "ledger") },
    Target { name: "host_record", prepare: host_record },
    Target { name: "effects", prepare: effects },
    Target { name: "account_lines", prepare: account_lines },
    Target { name: "unit_files", prepare: unit_files },
    Target { name: "apt_sources", prepare: apt_sources },
    Target { name: "package_status", prepare: package_status },
    Target { name: "access", prepare: access },
    Target { name: "durations_and_versions", prepare: durations_and_versions },
    Target { name: "names", prepare: names },
];

fn bytes(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// What parsers of text are given.
fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// A site of resources by type and name, as far as the bytes are one.
fn site_of(bytes: &[u8]) -> Result<Site, Diagnostics> {
    let Ok(Value::Object(types)) = serde_json::from_slice(bytes) else { return Ok(Site::new()) };
    let mut declarations = Vec::new();
    for (kind, resources) in types {
        let Value::Object(resources) = resources else { continue };
        declarations.extend(resources.into_iter().map(|(name, attributes)| RawDeclaration {
            id: ResourceId::new(kind.as_str(), name.as_str()),
            attributes: attributes.into(),
            declared_at: None,
        }));
    }
    Site::from_declarations(&registry(), declarations, Sources::default())
}

fn graph_of(bytes: &[u8]) -> Result<Graph, Diagnostics> {
    site_of(bytes)?.into_graph()
}

fn attributes() -> Prepared {
    let refused = corpus::SITES.iter().filter_map(|site| Some((site, graph_of(site.as_bytes()).err()?)));
    let refused: Vec<String> = refused.map(|(site, mistakes)| format!("{site}: {mistakes}")).collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    let host = SimHost::debian(13);
    let attempt = move |input: &[u8]| {
        if let Ok(graph) = graph_of(input) {
            let planned = graph.plan(&host, &PlanOptions::default());
            let _ = planned.map(|planned| planned.plan().to_string());
        }
    };
    (bytes(&[&corpus::SITES[..], &corpus::CONTRADICTIONS].concat()), Box::new(attempt))
}

/// The sealed part of a saved plan, which begins after this.
const BEFORE_SEALED: &str = ",\n  \"sealed\": \"";

/// A saved plan as it is, and one whose sealed part was sealed after it was changed.
fn saved_plan() -> Prepared {
    let host = SimHost::debian(13);
    let journal = Journal::new(MemoryStore::new());
    let key = journal.make_key().unwrap();
    let mut inputs = Vec::new();
    for site in &corpus::SITES[..5] {
        let graph = graph_of(site.as_bytes()).unwrap();
        let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
        let saved = planned.save(&host, &key).unwrap();
        assert!(SavedPlan::is_one(&saved) && SavedPlan::read(&saved, &key).is_ok());
        let whole = String::from_utf8(saved.clone()).unwrap();
        let sealed = BASE64.decode(whole.rsplit_once(BEFORE_SEALED).unwrap().1.split('"').next().unwrap()).unwrap();
        let mut open = Vec::new();
        std::io::Read::read_to_end(&mut key.open(&*sealed), &mut open).unwrap();
        inputs.extend([saved, open]);
    }
    let visible = text(&inputs[0]).rsplit_once(BEFORE_SEALED).unwrap().0.to_owned();
    let attempt = move |input: &[u8]| {
        let sealed = BASE64.encode(key.seal(input).unwrap());
        let resealed = format!("{visible}{BEFORE_SEALED}{sealed}\"\n}}\n").into_bytes();
        for saved in [input, &resealed] {
            let _ = SavedPlan::is_one(saved);
            if let Ok(plan) = SavedPlan::read(saved, &key) {
                let _ = (plan.sites(), plan.only(), plan.deferred());
                if let Ok(graph) = plan.graph(&registry(), &journal) {
                    let _ = plan.renew(&graph, &host, &key, Vec::new());
                }
            }
        }
    };
    (inputs, Box::new(attempt))
}

/// What a run that changes a simulated host leaves in the journal.
fn ran() -> (SimHost, MemoryStore) {
    let (host, store) = (SimHost::debian(13), MemoryStore::new());
    let journal = Journal::new(store.clone());
    for site in [corpus::SITES[1], corpus::SITES[4], corpus::SITES[6]] {
        let engine = Engine::open(&host, journal.clone(), Options::new("ada")).unwrap();
        let prepared = engine.plan(site_of(site.as_bytes()).unwrap(), &PlanOptions::default()).unwrap();
        prepared.apply(&ApplyOptions::default(), &()).unwrap();
    }
    assert_eq!(journal.runs().unwrap().len(), 3);
    (host, store)
}

/// Lines that are each bound to those before, from lines without digests.
fn bound(bytes: &[u8]) -> Vec<u8> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let header = lines.next().unwrap_or_default();
    let (mut whole, mut last) = ([header, b"\n"].concat(), text(header).into_owned());
    for line in lines.filter(|line| !line.is_empty()) {
        let digest = Sha256::new().chain_update(last.as_bytes()).chain_update(line).finalize();
        last = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        whole.extend([last.as_bytes(), b" ", line, b"\n"].concat());
    }
    whole
}

/// Files of the journal, as they are and with digests that are right.
fn journal_file(is_meant: fn(&str) -> bool) -> Prepared {
    let (host, store) = ran();
    let meant: Vec<(String, Vec<u8>)> = store.files().into_iter().filter(|(name, _)| is_meant(name)).collect();
    let without_digests = |file: &[u8]| {
        let lines = file.split(|byte| *byte == b'\n').enumerate();
        lines.map(|(number, line)| if number == 0 { line } else { line.get(33..).unwrap_or_default() }).fold(
            Vec::new(),
            |whole: Vec<u8>, line| if whole.is_empty() { line.to_vec() } else { [&whole[..], b"\n", line].concat() },
        )
    };
    let (name, first) = meant.first().unwrap().clone();
    assert_eq!(bound(&without_digests(&first)), first, "this is how a log is made");
    let inputs = meant.iter().flat_map(|(_, file)| [file.clone(), without_digests(file)]).collect();
    let attempt = move |input: &[u8]| {
        for file in [input.to_vec(), bound(input)] {
            // As a run that ended, and as one that died.
            for name in BTreeSet::from([name.clone(), name.replace(".done", ".open")]) {
                let changed = MemoryStore::new();
                for (other, bytes) in store.files() {
                    changed.replace(&other, &bytes).unwrap();
                }
                changed.remove(&name.replace(".open", ".done")).unwrap();
                changed.replace(&name, &file).unwrap();
                read_journal(&Journal::new(changed), &host);
            }
        }
    };
    (inputs, Box::new(attempt))
}

fn read_journal(journal: &Journal, host: &SimHost) {
    for (run, _) in journal.runs().unwrap_or_default() {
        let _ = journal.run(run).map(|record| format!("{record:?}"));
    }
    let _ = (journal.pending(), journal.ledger());
    let _ = journal.orphans("site", &BTreeSet::new());
    let _ = journal.lock().map(|lock| journal.recover(&lock, &host.clone()));
}

/// A value with only the first entries of each array and object.
fn pruned(value: Value) -> Value {
    match value {
        Value::Array(all) => all.into_iter().take(8).map(pruned).collect(),
        Value::Object(all) => all.into_iter().take(12).map(|(name, value)| (name, pruned(value))).collect(),
        other => other,
    }
}

fn host_record() -> Prepared {
    let whole = SimHost::debian(12).with_user("ada").record().unwrap();
    let small = serde_json::to_string(&whole).unwrap();
    let small: Value = serde_json::from_str(&small).unwrap();
    let mut fields = small.as_object().unwrap().clone();
    for (_, value) in fields.iter_mut() {
        *value = pruned(value.take());
    }
    let small = serde_json::to_string_pretty(&fields).unwrap();
    assert!(HostRecord::from_json(&small).is_ok(), "{:?}", HostRecord::from_json(&small).err());
    let graphs: Vec<Graph> = corpus::SITES[..5].iter().map(|site| graph_of(site.as_bytes()).unwrap()).collect();
    let attempt = move |input: &[u8]| {
        let host = HostRecord::from_json(&text(input)).and_then(SimHost::from_record);
        if let Ok(host) = host {
            for graph in &graphs {
                let _ = graph.plan(&host, &PlanOptions::default());
            }
            let _ = host.record();
        }
    };
    (vec![small.into_bytes()], Box::new(attempt))
}

fn effects() -> Prepared {
    let host = SimHost::debian(13);
    for site in corpus::SITES {
        let graph = graph_of(site.as_bytes()).unwrap();
        if let Ok(planned) = graph.plan(&host, &PlanOptions::default()) {
            planned.apply(&host, &ApplyOptions::default(), &());
        }
    }
    let install = vec![PackageRequest { name: "nginx".into(), version: Some("1".into()) }];
    let mut all = host.take_effects();
    all.extend([
        Effect::Platform(PlatformEffect::ChangeUser { name: "ada".into(), changes: UserChanges::default() }),
        Effect::Platform(PlatformEffect::Packages(PackageTransaction { install, ..PackageTransaction::default() })),
        Effect::Platform(PlatformEffect::Unit { unit: "cron.service".into(), action: UnitAction::Reload }),
    ]);
    let attempt = |input: &[u8]| {
        if let Ok(effect) = serde_json::from_slice::<Effect>(input) {
            let host = SimHost::debian(13);
            let _ = (effect.to_string(), effect.touches(), host.perform(&effect), host.differences());
        }
    };
    (all.iter().map(|effect| serde_json::to_vec(effect).unwrap()).collect(), Box::new(attempt))
}

fn account_lines() -> Prepared {
    let attempt = |input: &[u8]| {
        let text = text(input);
        let accounts = Accounts::parse(&text, &text);
        for (name, user) in &accounts.users {
            let _ = (accounts.groups_of(name), accounts.user_name(user.uid), accounts.group_name(user.gid));
        }
        let _ = text.lines().map(parse_shadow).count();
    };
    (bytes(&corpus::ACCOUNTS), Box::new(attempt))
}

fn unit_files() -> Prepared {
    const NAMES: [&str; 4] = ["app.service", "app.timer", "app.socket", "b.service"];
    let host = SimHost::debian(13);
    let attempt = move |input: &[u8]| {
        let place = |name: &str| format!("/etc/systemd/system/{name}");
        let host = NAMES.iter().fold(host.clone(), |host, name| host.with_file(&place(name), input.to_vec()));
        for name in NAMES {
            let _ = HostViewExt::unit(&host, name);
            for action in [UnitAction::Enable, UnitAction::Start, UnitAction::Reload] {
                let _ = host.perform(&Effect::Platform(PlatformEffect::Unit { unit: name.into(), action }));
            }
            let _ = (host.trigger(name), host.triggers_of(name));
        }
        host.pass_time(100_000);
        host.reboot();
        let _ = host.differences();
    };
    (bytes(&corpus::UNITS), Box::new(attempt))
}

/// A root directory that is given these files time and again.
fn on_root_directory(files: &'static [&'static str], inputs: &[&str], look: fn(&LocalHost)) -> Prepared {
    let place = Arc::new(tempfile::tempdir().unwrap());
    let below = |file: &str| place.path().join(file.trim_start_matches('/'));
    for file in ["/etc/apt/sources.list.d/x", "/var/lib/dpkg/x", "/var/lib/apt/lists/x"].iter().chain(files) {
        std::fs::create_dir_all(below(file).parent().unwrap()).unwrap();
    }
    let paths: Vec<_> = files.iter().map(|file| below(file)).collect();
    let attempt = move |input: &[u8]| {
        for path in &paths {
            std::fs::write(path, input).unwrap();
        }
        let root: &Path = place.path();
        look(&LocalHost::open(root, Debian::new()).unwrap());
    };
    (bytes(inputs), Box::new(attempt))
}

fn apt_sources() -> Prepared {
    const FILES: [&str; 4] = [
        "/etc/apt/sources.list",
        "/etc/apt/sources.list.d/a.list",
        "/etc/apt/sources.list.d/a.sources",
        "/etc/apt/sources.list.d/b.sources",
    ];
    on_root_directory(&FILES, &corpus::SOURCES, |host| {
        let _ = host.package_manager();
        let path = HostPath::new("/etc/apt/sources.list").unwrap();
        let _ = host.metadata(&path);
    })
}

fn package_status() -> Prepared {
    const FILES: [&str; 4] =
        ["/var/lib/dpkg/status", "/var/lib/dpkg/arch", "/var/lib/apt/extended_states", "/etc/passwd"];
    on_root_directory(&FILES, &corpus::STATUS, |host| {
        let _ = (host.packages(), host.package("nginx"), host.package_manager(), host.accounts(), host.shadow("ada"));
    })
}

fn access() -> Prepared {
    let list = Acl::default().with(AclSubject::User("4711".into()), 6).with(AclSubject::Mask, 7);
    let list = list.over("0640".parse::<Mode>().unwrap()).unwrap_or_default();
    let encoded = list.encode(|_| Ok(4711)).unwrap();
    let capability = vec![1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let attempt = |input: &[u8]| {
        let text = text(input);
        let _ = (text.parse::<AclSubject>(), permissions_from_text(&text), text.parse::<Mode>());
        if let Ok(capabilities) = text.parse::<Capabilities>() {
            assert_eq!(capabilities.to_string().parse::<Capabilities>().ok(), Some(capabilities));
        }
        let _ = Capabilities::decode(input).map(|capabilities| capabilities.to_string());
        if let Ok(acl) = Acl::decode(input) {
            let mode = "0640".parse::<Mode>().unwrap();
            let _ = (acl.over(mode), acl.completed(mode), acl.encode(|_| Ok(0)));
        }
        let _ = serde_json::from_slice::<Access>(input);
    };
    ([bytes(&corpus::ACCESS), vec![encoded, capability]].concat(), Box::new(attempt))
}

fn durations_and_versions() -> Prepared {
    let attempt = |input: &[u8]| {
        let text = text(input);
        if let Ok(duration) = text.parse::<Duration>() {
            assert_eq!(duration.to_string().parse::<Duration>().unwrap().as_seconds(), duration.as_seconds());
        }
        let (one, other) = text.split_once(' ').unwrap_or((&text, "1:1.0-1"));
        let (one, other) = (Version::new(one), Version::new(other));
        assert_eq!(one.cmp(&other), other.cmp(&one).reverse(), "the order of versions is one");
        let _ = text.parse::<Constraint>().map(|constraint| constraint.allows(&other));
    };
    (bytes(&[&corpus::DURATIONS[..], &corpus::VERSIONS].concat()), Box::new(attempt))
}

fn names() -> Prepared {
    let attempt = |input: &[u8]| {
        let text = text(input);
        if let Ok(path) = text.parse::<HostPath>() {
            assert_eq!(HostPath::new(path.as_str()).unwrap(), path);
            let _ = (path.parent(), path.ancestors().count(), path.join("a"));
        }
        let _ = (text.parse::<ResourceId>(), text.parse::<Selector>());
        let _ = Template::parse(&text).map(|template| template.names().count());
    };
    (bytes(&corpus::NAMES), Box::new(attempt))
}
