//! What is no longer declared goes only as it was left, however often that is tried.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use provision_core::apply::ApplyOptions;
use provision_core::effect::{Access, Effect, WriteFile};
use provision_core::engine::{Engine, Options};
use provision_core::error::Result;
use provision_core::host::{FileKind, Host, HostExt, HostView, HostViewExt};
use provision_core::journal::{Journal, MemoryStore};
use provision_core::path::{HostPath, Mode};
use provision_core::plan::{PlanOptions, Step, Verdict};
use provision_core::registry::SitePolicy;
use provision_core::resource::{ApplyContext, CheckContext, Claim, PlanContext, Resource, ResourceId, Target};
use provision_core::rollback::RollbackOptions;
use provision_core::sim::SimHost;
use provision_core::site::Site;
use provision_resources::{Directory, File, Group, Service, Symlink, User};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

fn run(site: Site, host: &SimHost, journal: &Journal) {
    apply(site, true, host, journal);
}

fn apply(site: Site, prune: bool, host: &SimHost, journal: &Journal) {
    let engine = Engine::open(host, journal.clone(), Options::new("tester")).unwrap();
    let site = site.with_policy(SitePolicy { prune, ..SitePolicy::default() });
    let prepared = engine.plan(site, &PlanOptions::default()).unwrap();
    let report = prepared.apply(&ApplyOptions::default(), &()).unwrap();
    assert!(report.is_success(), "{report:#?}");
}

fn has_nothing_to_do(site: Site, host: &SimHost, journal: &Journal) {
    let engine = Engine::open(host, journal.clone(), Options::new("tester")).unwrap();
    let site = site.with_policy(SitePolicy { prune: true, ..SitePolicy::default() });
    let prepared = engine.plan(site, &PlanOptions::default()).unwrap();
    assert!(prepared.plan().is_quiet(), "{:#?}", prepared.plan());
}

fn user() -> Site {
    let mut site = Site::new();
    site.declare("anna", serde_json::from_value::<User>(json!({})).unwrap());
    site.declare("media", Group::default());
    site
}

#[test]
fn a_home_that_was_used_is_never_taken_away() {
    let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
    run(user(), &host, &journal);
    let access = Access { owner: "anna".into(), group: "anna".into(), mode: Mode::new(0o644) };
    let thesis = HostPath::new("/home/anna/thesis").unwrap();
    host.perform(&Effect::WriteFile(WriteFile::new(thesis, "years of work", access))).unwrap();
    for _ in 0..3 {
        run(Site::new(), &host, &journal);
        assert_eq!(host.user("anna").unwrap(), None);
        assert_eq!(host.group("media").unwrap(), None);
        assert_eq!(host.read_text("/home/anna/thesis").unwrap().as_deref(), Some("years of work"));
    }
}

#[test]
fn a_group_that_a_user_has_joined_here_is_not_changed_by_others() {
    let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
    run(user(), &host, &journal);
    let mut joined = Site::new();
    joined.declare("anna", serde_json::from_value::<User>(json!({ "groups": { "media": true } })).unwrap());
    joined.declare("media", Group::default());
    run(joined, &host, &journal);
    run(Site::new(), &host, &journal);
    assert_eq!(host.group("media").unwrap(), None);
}

#[test]
fn users_are_taken_back_once_and_then_there_is_nothing_to_undo() {
    let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
    run(user(), &host, &journal);
    let undo = || journal.rollback(1, &host, RollbackOptions::default()).unwrap();
    let first = undo();
    assert!(first.plan.is_feasible() && !first.plan.is_empty(), "{:#?}", first.plan);
    assert!(first.apply(&host, &ApplyOptions::default(), &()).is_success());
    assert_eq!(host.user("anna").unwrap(), None);
    let again = undo();
    assert!(again.plan.is_feasible() && again.plan.is_empty(), "{:#?}", again.plan);
}

#[test]
fn users_get_their_primary_group_back_when_its_number_comes_back() {
    let (host, journal) = (SimHost::debian(12).with_user("anna"), Journal::new(MemoryStore::new()));
    let number = || host.user("anna").unwrap().unwrap().gid;
    let mut site = Site::new();
    site.declare("anna", Group { gid: Some(4711), ..Group::default() });
    run(site, &host, &journal);
    assert_eq!(number(), 4711, "groupmod(8) takes the users of a group along");
    let undo = journal.rollback(1, &host, RollbackOptions::default()).unwrap();
    assert!(undo.apply(&host, &ApplyOptions::default(), &()).is_success());
    assert_eq!((number(), host.group("anna").unwrap().unwrap().gid), (1000, 1000));
}

/// useradd(8) makes them without a word.
#[test]
fn directories_on_the_way_to_a_home_are_planned_and_taken_back() {
    let old = SimHost::debian(12).with_user("anna");
    for (host, name) in [(SimHost::debian(12), "new"), (old, "anna")] {
        let journal = Journal::new(MemoryStore::new());
        let site = || of::<User>(&[(name, json!({ "home": "/srv/a/b/home", "create_home": true }))]);
        let graph = site().into_graph().unwrap();
        let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
        let changes: Vec<&str> = planned.plan().steps[0].changes.iter().map(|change| change.label()).collect();
        assert!(changes.starts_with(&["parents./srv/a", "parents./srv/a/b"]), "{changes:?}");
        run(site(), &host, &journal);
        let exists = |path: &str| host.metadata(&HostPath::new(path).unwrap()).unwrap().is_some();
        assert!(exists("/srv/a/b/home"));
        let undo = journal.rollback(1, &host, RollbackOptions::default()).unwrap();
        assert!(undo.apply(&host, &ApplyOptions::default(), &()).is_success());
        assert!(exists("/srv") && !exists("/srv/a"));
    }
}

#[test]
fn an_unused_home_goes_with_its_user() {
    let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
    run(user(), &host, &journal);
    run(Site::new(), &host, &journal);
    assert_eq!(host.user("anna").unwrap(), None);
    assert_eq!(host.metadata(&HostPath::new("/home/anna").unwrap()).unwrap(), None);
}

/// A text that is one of several in a file: it needs the file, and does not own it.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Line {
    text: String,
}

impl Resource for Line {
    const TYPE: &'static str = "line";
    type State = bool;
    fn check(&self, cx: &CheckContext<'_>) -> Result<bool> {
        Ok(cx.host().read_text(HOSTS)?.is_some_and(|text| text.contains(&self.text)))
    }
    fn plan(&self, _: &PlanContext<'_>, _: &bool) -> Result<bool> {
        Ok(true)
    }
    fn apply(&self, cx: &ApplyContext<'_>, _: &bool, _: &bool) -> Result<()> {
        let host = cx.host();
        let text = host.read_text(HOSTS)?.unwrap_or_default();
        host.write_text(HOSTS, &format!("{text}{}", self.text))
    }
    fn claims(&self, _: &ResourceId) -> Vec<Claim> {
        vec![Claim::needs(Target::Path(HostPath::new(HOSTS).unwrap()))]
    }
}

const HOSTS: &str = "/etc/local.hosts";

fn of<R: Resource>(resources: &[(&str, Value)]) -> Site {
    let mut site = Site::new();
    for (name, attributes) in resources {
        site.declare(name, serde_json::from_value::<R>(attributes.clone()).unwrap());
    }
    site
}

/// One of two lines was dropped, and the file went with the other one.
#[test]
fn what_no_resource_owns_is_never_pruned() {
    let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
    let line = |text: &str| json!({ "text": text });
    run(of::<Line>(&[("a", line("1 a\n")), ("b", line("2 b\n"))]), &host, &journal);
    run(of::<Line>(&[("b", line("2 b\n"))]), &host, &journal);
    assert_eq!(host.read_text(HOSTS).unwrap().as_deref(), Some("1 a\n2 b\n"));
    run(Site::new(), &host, &journal);
    assert!(host.read_text(HOSTS).unwrap().is_some());
}

#[test]
fn what_a_declared_resource_needs_is_not_pruned() {
    let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
    run(of::<File>(&[(HOSTS, json!({ "content": "1 a\n" }))]), &host, &journal);
    run(of::<Line>(&[("a", json!({ "text": "1 a\n" }))]), &host, &journal);
    assert_eq!(host.read_text(HOSTS).unwrap().as_deref(), Some("1 a\n"));
}

/// The file was in the way of the directory, for ever; and so was the directory in that of a file.
#[test]
fn a_path_that_becomes_something_else_makes_room() {
    let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
    let file = |path| of::<File>(&[(path, json!({ "content": "x\n" }))]);
    let kind = |path: &str| host.metadata(&HostPath::new(path).unwrap()).unwrap().map(|found| found.kind);
    run(file("/srv/x"), &host, &journal);
    let mut site = of::<Directory>(&[("/srv/x", json!({}))]);
    site.declare("/srv/x/a", serde_json::from_value::<File>(json!({ "content": "a\n" })).unwrap());
    run(site, &host, &journal);
    assert_eq!((kind("/srv/x"), kind("/srv/x/a")), (Some(FileKind::Directory), Some(FileKind::File)));
    run(file("/srv/x"), &host, &journal);
    assert_eq!(kind("/srv/x"), Some(FileKind::File));
    run(Site::new(), &host, &journal);
    assert_eq!(kind("/srv/x"), None);
}

/// The whole site was refused, and what had gone with the directory was never forgotten.
#[test]
fn a_directory_that_is_to_go_takes_along_what_was_made_in_it() {
    let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
    run(
        of::<File>(&[("/srv/x/a", json!({ "content": "a\n" })), ("/srv/x/b", json!({ "content": "b\n" }))]),
        &host,
        &journal,
    );
    let gone = || of::<Directory>(&[("/srv/x", json!({ "ensure": "absent", "recurse": true }))]);
    run(gone(), &host, &journal);
    assert!(host.metadata(&HostPath::new("/srv/x").unwrap()).unwrap().is_none());
    assert_eq!(journal.orphans("site", &gone().ids()).unwrap(), []);
}

#[test]
fn the_ledger_forgets_what_went_with_a_tree() {
    let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
    apply(of::<File>(&[("/srv/x/a", json!({ "content": "a\n" }))]), false, &host, &journal);
    let gone = || of::<Directory>(&[("/srv/x", json!({ "ensure": "absent", "recurse": true }))]);
    apply(gone(), false, &host, &journal);
    let ledger = serde_json::to_string(&journal.ledger().unwrap()).unwrap();
    assert!(!ledger.contains("/srv/x/a\""), "{ledger}");
}

/// It was taken for the work of something else.
#[test]
fn a_home_goes_whatever_became_of_its_user() {
    let path = HostPath::new("/srv/anna").unwrap();
    let user = |more: Value| {
        let mut attributes = json!({ "home": "/srv/anna" });
        attributes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        of::<User>(&[("anna", attributes)])
    };
    for (between, what) in [
        (None, "nothing happened"),
        (Some(user(json!({ "primary_group": "users" }))), "another primary group"),
        (Some(of::<User>(&[("anna", json!({ "ensure": "absent" }))])), "the user went before"),
    ] {
        let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
        run(user(json!({})), &host, &journal);
        assert!(host.metadata(&path).unwrap().is_some());
        if let Some(between) = between {
            run(between, &host, &journal);
        }
        run(Site::new(), &host, &journal);
        assert_eq!(host.user("anna").unwrap(), None, "{what}");
        assert!(host.metadata(&path).unwrap().is_none(), "{what}");
    }
}

#[test]
fn another_site_prunes_nothing_and_shares_are_told() {
    let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
    let web = || of::<File>(&[("/srv/a", json!({ "content": "a\n" }))]).with_name("web");
    run(web(), &host, &journal);
    let mut mail = of::<Directory>(&[("/srv/a", json!({}))]).with_name("mail");
    mail.declare("/srv/b", serde_json::from_value::<File>(json!({ "content": "b\n" })).unwrap());
    let orphans = journal.orphans("mail", &mail.ids()).unwrap();
    let graph = mail.with_orphans(orphans).into_graph().unwrap();
    let told: Vec<String> = graph.warnings().iter().map(|warning| warning.message.clone()).collect();
    assert_eq!(told, ["the sites `mail` and `web` both decide about path /srv/a"]);
    run(of::<File>(&[("/srv/b", json!({ "content": "b\n" }))]).with_name("mail"), &host, &journal);
    assert_eq!(host.read_text("/srv/a").unwrap().as_deref(), Some("a\n"));
    run(Site::new().with_name("mail"), &host, &journal);
    assert_eq!(host.read_text("/srv/b").unwrap(), None);
    assert_eq!(host.read_text("/srv/a").unwrap().as_deref(), Some("a\n"));
    run(Site::new().with_name("web"), &host, &journal);
    assert_eq!(host.read_text("/srv/a").unwrap(), None);
}

/// It was in the way for ever, with the purge as well.
#[test]
fn a_path_in_a_purged_directory_that_becomes_something_else_makes_room() {
    let path = HostPath::new("/srv/d/x").unwrap();
    let file = |content: &str| serde_json::from_value::<File>(json!({ "content": content })).unwrap();
    let site = |kind: FileKind| {
        let mut site = of::<Directory>(&[("/srv/d", json!({ "purge": true }))]);
        match kind {
            FileKind::Directory => {
                site.declare("/srv/d/x", Directory::default());
                site.declare("/srv/d/x/a", file("a\n"));
            }
            FileKind::Symlink => drop(site.declare("/srv/d/x", Symlink::to("/etc"))),
            _ => drop(site.declare("/srv/d/x", file("x\n"))),
        }
        site
    };
    let kinds = [FileKind::File, FileKind::Directory, FileKind::Symlink];
    for (from, to) in kinds.into_iter().flat_map(|from| kinds.into_iter().map(move |to| (from, to))) {
        let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
        run(site(from), &host, &journal);
        run(site(to), &host, &journal);
        let found = host.metadata(&path).unwrap().map(|found| found.kind);
        assert_eq!(found, Some(to), "{from:?} becomes {to:?}");
        let graph = site(to).into_graph().unwrap();
        assert!(graph.plan(&host, &PlanOptions::default()).unwrap().plan().is_empty(), "{from:?} became {to:?}");
    }
}

/// The steps of a plan that fail, in words.
fn refused(site: Site, host: &SimHost) -> Vec<String> {
    let graph = site.into_graph().unwrap();
    let planned = graph.plan(host, &PlanOptions::default()).unwrap();
    let error = |step: &Step| match &step.verdict {
        Verdict::Failed { error } => Some(format!("{}: {}", step.id, error.message())),
        _ => None,
    };
    planned.plan().steps.iter().filter_map(error).collect()
}

/// One of the two failed in each run, and undid what the other one had done.
#[test]
fn one_file_by_two_names_is_refused_with_both_and_pruned_by_neither() {
    let host = SimHost::debian(12);
    let content = |text: &str| json!({ "content": text });
    let two = of::<File>(&[("/bin/tool", content("one\n")), ("/usr/bin/tool", content("two\n"))]);
    let said = refused(two, &host);
    let names = ["/bin/tool and /usr/bin/tool", "/usr/bin/tool and /bin/tool"];
    for (said, (names, other)) in said.iter().zip(names.iter().zip(["/usr/bin/tool", "/bin/tool"])) {
        let whole = format!("{names} are one place on this host, /usr/bin/tool, and file:{other} (");
        assert!(said.contains(&whole) && said.contains(file!()), "{said}");
    }
    assert_eq!(said.len(), 2);
    let same = of::<File>(&[("/bin/tool", content("one\n")), ("/usr/bin/tool", content("one\n"))]);
    assert_eq!(refused(same, &host), [""; 0], "two roles may agree");
    let mut kinds = of::<File>(&[("/lib/tool", content("one\n"))]);
    kinds.declare("/usr/lib/tool", Directory::default());
    assert_eq!(refused(kinds, &host).len(), 2);
    // A link of the site itself leads somewhere once it is there.
    let mut linked = of::<File>(&[("/srv/current/conf", content("one\n")), ("/srv/releases/conf", content("two\n"))]);
    linked.declare("/srv/current", Symlink::to("releases"));
    linked.declare("/srv/releases", Directory::default());
    assert_eq!(refused(linked, &host).len(), 1);
    let absent = of::<File>(&[("/bin/tool", content("one\n")), ("/usr/bin/tool", json!({ "ensure": "absent" }))]);
    assert_eq!(refused(absent, &host).len(), 2);
    // Another name for what was declared is no reason to take it away.
    let journal = Journal::new(MemoryStore::new());
    run(of::<File>(&[("/bin/tool", content("one\n"))]), &host, &journal);
    for _ in 0..2 {
        let renamed = || of::<File>(&[("/usr/bin/tool", content("one\n"))]);
        has_nothing_to_do(renamed(), &host, &journal);
        run(renamed(), &host, &journal);
        assert_eq!(host.read_text("/usr/bin/tool").unwrap().as_deref(), Some("one\n"));
    }
}

/// Each run gave it the mode of the one, and then that of the other.
#[test]
fn one_directory_that_is_meant_through_a_link_as_well_is_refused() {
    let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
    let mut site = of::<Directory>(&[("/srv/releases", json!({}))]);
    site.declare("/srv/current", Symlink::to("releases"));
    run(site, &host, &journal);
    let follow = |mode: &str| {
        of::<Directory>(&[
            ("/srv/current", json!({ "links": "follow", "mode": mode })),
            ("/srv/releases", json!({ "mode": "0755" })),
        ])
    };
    let said = refused(follow("0700"), &host);
    assert_eq!(said.len(), 1);
    let whole = "directory:/srv/current: /srv/current and /srv/releases are one place on this host, /srv/releases, and \
                 directory:/srv/releases (";
    assert!(said[0].starts_with(whole), "{said:?}");
    assert_eq!(refused(follow("0755"), &host), [""; 0]);
}

/// Each run enabled the unit by its one name and disabled it by its other one.
#[test]
fn one_unit_by_two_names_is_refused_with_both() {
    let host = SimHost::debian(12);
    let unit = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\nAlias=appd.service\n";
    host.write_text("/etc/systemd/system/app.service", unit).unwrap();
    run(of::<Service>(&[("app", json!({}))]), &host, &Journal::new(MemoryStore::new()));
    let two = of::<Service>(&[("app", json!({})), ("appd", json!({ "enabled": false }))]);
    let said = refused(two, &host);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].contains("app.service and appd.service are one unit on this host, app.service, and service:appd ("),
        "{said:?}"
    );
    assert_eq!(refused(of::<Service>(&[("app", json!({})), ("appd", json!({}))]), &host), [""; 0]);
}

/// Something was in the place of it for ever.
#[test]
fn a_file_makes_room_for_what_comes_beneath_it_or_in_its_place() {
    let file = |path: &str| of::<File>(&[(path, json!({ "content": "x\n" }))]);
    let in_purged = |path: &str| {
        let mut site = of::<Directory>(&[("/srv/kp", json!({ "purge": true }))]);
        site.declare(path, serde_json::from_value::<File>(json!({ "content": "x\n" })).unwrap());
        site
    };
    let linked = || {
        let mut site = of::<Directory>(&[("/srv/else", json!({}))]);
        site.declare("/srv/k", Symlink::to("else"));
        site
    };
    type Sites<'a> = (&'a str, &'a dyn Fn() -> Site, &'a dyn Fn() -> Site);
    let cases: [Sites<'_>; 6] = [
        ("/srv/k", &|| file("/srv/k/a"), &|| of::<Directory>(&[("/srv/k/a", json!({}))])),
        ("/srv/k", &|| file("/srv/k/a"), &|| file("/srv/k/a/b/c")),
        ("/srv/k", &|| file("/srv/k/a"), &|| file("/srv/k/b")),
        ("/srv/k", &|| file("/srv/k"), &|| file("/srv/k/f")),
        ("/srv/k", &linked, &|| file("/srv/k/f")),
        ("/srv/kp/b", &|| in_purged("/srv/kp/b"), &|| in_purged("/srv/kp/b/c")),
    ];
    for (number, (place, before, after)) in cases.into_iter().enumerate() {
        let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
        run(before(), &host, &journal);
        run(after(), &host, &journal);
        has_nothing_to_do(after(), &host, &journal);
        let kind = |path: &str| host.metadata(&HostPath::new(path).unwrap()).unwrap().map(|found| found.kind);
        assert_eq!(kind(place), Some(FileKind::Directory), "case {number}");
        run(Site::new(), &host, &journal);
        assert_eq!(kind(place), None, "case {number}: {:?}", journal.ledger().unwrap());
        assert_eq!(kind("/srv/else"), None, "case {number}");
    }
}

/// What was changed since is not this program's to remove, although it is in the way.
#[test]
fn a_file_that_was_changed_makes_no_room() {
    let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
    run(of::<File>(&[("/srv/k", json!({ "content": "x\n" }))]), &host, &journal);
    host.write_text("/srv/k", "years of work\n").unwrap();
    let engine = Engine::open(&host, journal.clone(), Options::new("tester")).unwrap();
    let site = of::<File>(&[("/srv/k/f", json!({ "content": "x\n" }))]);
    let site = site.with_policy(SitePolicy { prune: true, ..SitePolicy::default() });
    let prepared = engine.plan(site, &PlanOptions::default()).unwrap();
    assert!(!prepared.apply(&ApplyOptions::default(), &()).unwrap().is_success());
    assert_eq!(host.read_text("/srv/k").unwrap().as_deref(), Some("years of work\n"));
}

/// A purge took what is no way for one, since something is declared beneath.
#[test]
fn a_file_in_a_purged_directory_is_in_the_way_of_nothing() {
    let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
    let site = || {
        let mut site = of::<Directory>(&[("/srv/kp", json!({ "purge": true }))]);
        site.declare("/srv/kp/b/c", serde_json::from_value::<File>(json!({ "content": "x\n" })).unwrap());
        site
    };
    run(of::<Directory>(&[("/srv/kp", json!({}))]), &host, &journal);
    host.write_text("/srv/kp/b", "by hand\n").unwrap();
    apply(site(), false, &host, &journal);
    assert_eq!(host.read_text("/srv/kp/b/c").unwrap().as_deref(), Some("x\n"));
}

/// It went with the second site, although the first one declared it still.
#[test]
fn what_one_site_made_stays_when_another_one_that_changed_it_drops_it() {
    let (host, journal) = (SimHost::debian(12), Journal::new(MemoryStore::new()));
    let site = |name: &str, content: &str| of::<File>(&[("/etc/q", json!({ "content": content }))]).with_name(name);
    let first = || site("first", "one\n");
    let second = || site("second", "two\n");
    run(first(), &host, &journal);
    run(second(), &host, &journal);
    let declared = second();
    let orphans = journal.orphans("second", &declared.ids()).unwrap();
    let graph = declared.with_orphans(orphans).into_graph().unwrap();
    let told: Vec<String> = graph.warnings().iter().map(|warning| warning.message.clone()).collect();
    assert_eq!(told, ["the sites `second` and `first` both decide about file:/etc/q"]);
    run(Site::new().with_name("second"), &host, &journal);
    assert_eq!(host.read_text("/etc/q").unwrap().as_deref(), Some("two\n"));
    run(Site::new().with_name("first"), &host, &journal);
    assert_eq!(host.read_text("/etc/q").unwrap(), None);
}
