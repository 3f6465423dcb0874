use provision_core::effect::{Access, CreateUser, Sensitive, UserChanges, WriteFile};
use provision_core::host::Host;
use provision_core::host::{HostViewExt, SimHost};
use provision_core::path::Mode;
use provision_core::plan::PlanOptions;
use provision_core::site::Site;
use serde_json::{Value, json};

use super::*;
use crate::authorized_keys::tests::key;
use crate::converging::{converge, declare, fails, mistakes};
use crate::directory::Directory;
use crate::group::Group;

const HASH: &str = "$y$j9T$c2VjcmV0$aGFzaG9mYXBhc3N3b3JkaGFzaG9mYXBhc3N3b3JkaGF";

fn words(host: &SimHost, attributes: Value) -> Vec<String> {
    converge::<User>(host, "deploy", attributes).words()
}

/// A host with `deploy`, whose entry in the shadow file is this.
fn with_password(entry: &str) -> SimHost {
    let host = SimHost::debian(12).with_user("deploy");
    let changes = UserChanges { password: Some(Sensitive::new(entry)), ..UserChanges::default() };
    host.perform(&Effect::ChangeUser { name: "deploy".into(), changes }).unwrap();
    host
}

fn entry(host: &SimHost) -> String {
    host.shadow("deploy").unwrap().unwrap().password.reveal().to_owned()
}

fn perform(host: &SimHost, effect: Effect) {
    host.perform(&effect).unwrap();
}

/// What it takes to make a home directory later, on a host with Debian's `/etc/skel`.
fn new_home(home: &str) -> Vec<String> {
    let write = |name: &str| format!("write {home}/{name}");
    vec![format!("create directory {home}"), write(".bash_logout"), write(".bashrc"), write(".profile")]
}

fn join(host: &SimHost, user: &str, groups: &[&str]) {
    let groups = Some(groups.iter().map(|group| (*group).to_owned()).collect());
    let changes = UserChanges { groups, ..UserChanges::default() };
    host.perform(&Effect::ChangeUser { name: user.into(), changes }).unwrap();
}

#[test]
fn a_bare_user_gets_the_defaults_and_is_locked() {
    let host = SimHost::debian(12);
    let done = converge::<User>(&host, "deploy", json!({}));
    assert_eq!(done.words(), ["create user deploy"]);
    assert_eq!(done.now, json!({ "exists": false }));
    assert_eq!(done.want, json!({ "exists": true, "home_exists": true }));
    assert_eq!(host.user("deploy").unwrap().unwrap().uid, 1000);
    assert_eq!(entry(&host), "!");
    assert_eq!(words(&host, json!({})), [""; 0]);
}

#[test]
fn a_new_user_gets_everything_at_once() {
    let host = SimHost::debian(12);
    let attributes = json!({
        "uid": 1500, "primary_group": "www-data", "groups": { "sudo": true, "adm": true, "www-data": true, "games": false },
        "shell": "/bin/bash", "home": "/srv/deploy", "gecos": "Deploy,,,", "password": HASH, "locked": true,
        "expires": "2030-12-31", "authorized_keys": { "anna": key(1) },
    });
    let done = converge::<User>(&host, "deploy", attributes.clone());
    assert_eq!(
        done.words(),
        ["create user deploy", "create directory /srv/deploy/.ssh", "write /srv/deploy/.ssh/authorized_keys"]
    );
    let Effect::CreateUser(created) = &done.effects[0] else { panic!("{:?}", done.effects) };
    assert_eq!(
        created.attributes.groups,
        Some(vec!["adm".into(), "sudo".into()]),
        "the primary group goes without saying"
    );
    assert_eq!(entry(&host), format!("!{HASH}"));
    let user = host.user("deploy").unwrap().unwrap();
    assert_eq!((user.uid, user.gid, user.shell.as_str(), user.gecos.as_str()), (1500, 33, "/bin/bash", "Deploy"));
    assert_eq!(words(&host, attributes), [""; 0]);
    assert_eq!(done.want["groups"], json!(["adm", "sudo", "www-data"]));
    assert_eq!(done.want["expires"], "2030-12-31");
}

#[test]
fn only_what_differs_changes() {
    let host = SimHost::debian(12).with_user("deploy");
    join(&host, "deploy", &["adm"]);
    let done =
        converge::<User>(&host, "deploy", json!({ "shell": "/bin/bash", "groups": { "sudo": true }, "gecos": "D" }));
    let [Effect::ChangeUser { changes, .. }] = &done.effects[..] else { panic!("{:?}", done.effects) };
    let expected = UserChanges {
        shell: Some(HostPath::new("/bin/bash").unwrap()),
        groups: Some(vec!["adm".into(), "sudo".into()]),
        gecos: Some("D".into()),
        ..UserChanges::default()
    };
    assert_eq!(*changes, expected);
    let again = json!({ "uid": 2000, "primary_group": "users", "home": "/home/deploy", "shell": "/bin/bash" });
    let done = converge::<User>(&host, "deploy", again);
    let [Effect::ChangeUser { changes, .. }] = &done.effects[..] else { panic!("{:?}", done.effects) };
    let expected = UserChanges { uid: Some(2000), primary_group: Some("users".into()), ..UserChanges::default() };
    assert_eq!(*changes, expected);
}

#[test]
fn groups_are_added_to_or_exact() {
    let host = SimHost::debian(12).with_user("deploy");
    join(&host, "deploy", &["adm", "games"]);
    assert_eq!(words(&host, json!({ "groups": { "adm": true } })), [""; 0]);
    assert_eq!(words(&host, json!({ "groups": { "games": false } })), ["change user deploy"]);
    assert_eq!(host.accounts().unwrap().groups_of("deploy"), ["adm"]);
    assert_eq!(words(&host, json!({ "groups": { "deploy": true } })), [""; 0], "it is the primary one");
    let exact = json!({ "groups": { "sudo": true }, "membership": "exactly" });
    assert_eq!(words(&host, exact), ["change user deploy"]);
    assert_eq!(host.accounts().unwrap().groups_of("deploy"), ["sudo"]);
    assert_eq!(words(&host, json!({ "membership": "exactly" })), ["change user deploy"]);
    assert_eq!(host.accounts().unwrap().groups_of("deploy"), [""; 0]);
    let error = fails::<User>(&host, "deploy", json!({ "groups": { "docker": true } }));
    assert!(error.message().contains("no group docker"), "{error}");
}

#[test]
fn a_group_of_the_same_name_becomes_the_primary_one() {
    let host = SimHost::debian(12);
    host.perform(&Effect::CreateGroup { name: "deploy".into(), gid: Some(4000), system: false }).unwrap();
    assert_eq!(words(&host, json!({ "groups": { "deploy": true } })), ["create user deploy"]);
    assert_eq!(host.user("deploy").unwrap().unwrap().gid, 4000);
}

#[test]
fn a_home_directory_comes_with_ordinary_users() {
    let host = SimHost::debian(12);
    words(&host, json!({ "system": true }));
    let home = HostPath::new("/home/deploy").unwrap();
    assert_eq!(host.metadata(&home).unwrap(), None);
    assert_eq!(words(&host, json!({})), [""; 0], "its number is one of the system");
    assert_eq!(words(&host, json!({ "create_home": true })), new_home("/home/deploy"));

    let host = SimHost::debian(12);
    assert_eq!(words(&host, json!({ "create_home": false })), ["create user deploy"]);
    assert_eq!(host.metadata(&home).unwrap(), None);
    // A crash between the user and its home directory is mended.
    assert_eq!(words(&host, json!({})), new_home("/home/deploy"));
    let moved = words(&host, json!({ "home": "/srv/deploy" }));
    assert_eq!((moved[0].as_str(), &moved[1..]), ("change user deploy", &new_home("/srv/deploy")[..]));
    assert_eq!(converge::<User>(&host, "nobody", json!({ "groups": { "adm": true } })).words(), ["change user nobody"]);
    assert_eq!(words(&host, json!({ "home": "/nonexistent" })), ["change user deploy"]);
}

#[test]
fn a_password_is_compared_without_its_lock() {
    let password = |hash: &str| json!({ "password": hash });
    assert_eq!(words(&with_password(HASH), password(HASH)), [""; 0]);
    let host = with_password(&format!("!{HASH}"));
    assert_eq!(words(&host, password(HASH)), [""; 0]);
    let other = HASH.replace("j9T", "j9U");
    assert_eq!(words(&host, password(&other)), ["change user deploy"]);
    assert_eq!(entry(&host), format!("!{other}"), "locked by hand, it stays locked");
    let host = with_password("!");
    assert_eq!(words(&host, password(HASH)), ["change user deploy"]);
    assert_eq!(entry(&host), HASH, "a new user is open once it has a password");
    for none in ["*", "!", "!*"] {
        assert_eq!(words(&with_password(none), password("*")), [""; 0], "{none}");
    }
    assert_eq!(words(&with_password(""), password("*")), ["change user deploy"], "an empty password lets anybody in");
    assert_eq!(words(&with_password(HASH), password("!")), ["change user deploy"]);
}

#[test]
fn an_account_is_locked_and_unlocked() {
    let host = with_password(HASH);
    assert_eq!(words(&host, json!({ "locked": true })), ["change user deploy"]);
    assert_eq!(entry(&host), format!("!{HASH}"));
    let other = HASH.replace("j9T", "j9U");
    assert_eq!(words(&host, json!({ "locked": true, "password": other })), ["change user deploy"]);
    assert_eq!(entry(&host), format!("!{other}"));
    assert_eq!(words(&host, json!({ "locked": false })), ["change user deploy"]);
    assert_eq!(entry(&host), other);
    // To unlock `!` would leave no password at all.
    let error = fails::<User>(&with_password("!"), "deploy", json!({ "locked": false }));
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(fails::<User>(&SimHost::debian(12), "deploy", json!({ "locked": false })).kind(), ErrorKind::Refused);
    let host = with_password("!");
    assert_eq!(words(&host, json!({ "locked": false, "password": "*" })), ["change user deploy"]);
    assert_eq!(entry(&host), "*");
}

#[test]
fn an_account_expires() {
    let host = SimHost::debian(12).with_user("deploy");
    assert_eq!(words(&host, json!({ "expires": "never" })), [""; 0]);
    let done = converge::<User>(&host, "deploy", json!({ "expires": "2030-12-31" }));
    assert_eq!((&done.now["expires"], &done.want["expires"]), (&json!("never"), &json!("2030-12-31")));
    assert_eq!(host.shadow("deploy").unwrap().unwrap().expires, Some(22_279));
    assert_eq!(words(&host, json!({ "expires": "never" })), ["change user deploy"]);
}

#[test]
fn a_password_is_never_shown() {
    let host = with_password(HASH);
    let secret = HASH.replace("j9T", "j9U");
    let attributes = json!({ "password": secret });
    let declared: User = declare(attributes.clone());
    let done = converge::<User>(&host, "deploy", attributes);
    let effects = serde_json::to_string(&done.effects).unwrap();
    let shown = format!(
        "{declared:?} {} {} {} {effects} {:?}",
        serde_json::to_string(&declared).unwrap(),
        done.now,
        done.want,
        done.effects
    );
    for part in [HASH, secret.as_str(), "aGFzaG9mYXBhc3N3b3Jk", "c2VjcmV0"] {
        assert!(!shown.contains(part), "{shown}");
    }
    assert!(done.want["password"].as_str().unwrap().starts_with("sha256:"));
    let wrong = mistakes::<User>("deploy", json!({ "password": "correct horse" }));
    assert!(!format!("{wrong:?}").contains("horse"), "{wrong:?}");
}

#[test]
fn keys_are_exactly_those_declared() {
    let host = SimHost::debian(12);
    let keys = json!({ "authorized_keys": { "anna": format!("{}  anna@laptop", key(1)), "ben": key(2) } });
    let done = converge::<User>(&host, "deploy", keys.clone());
    let write = "write /home/deploy/.ssh/authorized_keys";
    assert_eq!(done.words(), ["create user deploy", "create directory /home/deploy/.ssh", write]);
    let text = host.read_text("/home/deploy/.ssh/authorized_keys").unwrap().unwrap();
    assert_eq!(text, format!("# Managed by provision: other keys are removed.\n{}  anna@laptop\n{}\n", key(1), key(2)));
    // Spaces, comments and the order do not matter; another key does.
    let put = |text: String| {
        let access = Access { owner: "deploy".into(), group: "deploy".into(), mode: Mode::new(0o600) };
        let path = HostPath::new("/home/deploy/.ssh/authorized_keys").unwrap();

        let file = WriteFile::new(path, text, access);
        host.perform(&Effect::WriteFile(file)).unwrap();
    };
    put(format!("# mine\n\n{}\n{} anna@laptop", key(2), key(1)));
    assert_eq!(words(&host, keys.clone()), [""; 0]);
    put(format!("{}\n{} anna@laptop\n{}\n", key(2), key(1), key(3)));
    let done = converge::<User>(&host, "deploy", keys.clone());
    assert_eq!(done.words(), [write]);
    assert_eq!(done.now["authorized_keys"]["lines"].as_array().unwrap().len(), 3);
    assert_eq!(words(&host, json!({})), [""; 0], "not said, they are left alone");
    assert_eq!(words(&host, json!({ "authorized_keys": {} })), [write]);
}

#[test]
fn keys_are_private() {
    let keys = json!({ "authorized_keys": { "anna": key(1) } });
    let file = format!("{}\n", key(1));
    let host = SimHost::debian(12).with_user("deploy").with_file("/home/deploy/.ssh/authorized_keys", file.as_str());
    assert_eq!(
        words(&host, keys.clone()),
        ["create directory /home/deploy/.ssh", "write /home/deploy/.ssh/authorized_keys"]
    );
    for path in ["/home/deploy/.ssh", "/home/deploy/.ssh/authorized_keys"] {
        let access = host.metadata(&HostPath::new(path).unwrap()).unwrap().unwrap().access;
        assert_eq!((access.owner.as_str(), access.group.as_str()), ("deploy", "deploy"));
    }
    let link = |path: &str| {
        let host = SimHost::debian(12).with_user("deploy");
        let (path, target) = (HostPath::new(path).unwrap(), "/root".to_owned());
        let (owner, group) = ("deploy".to_owned(), "deploy".to_owned());
        host.perform(&Effect::CreateSymlink { path, target, owner, group }).unwrap();
        host
    };
    let error = fails::<User>(&link("/home/deploy/.ssh"), "deploy", keys.clone());
    assert_eq!(error.kind(), ErrorKind::Refused);
    // Keys of an earlier user of that name are not inherited.
    let host = SimHost::debian(12).with_file("/home/deploy/.ssh/authorized_keys", file.as_str());
    assert_eq!(words(&host, json!({ "authorized_keys": {} })).len(), 3);
    let host = SimHost::debian(12);
    let error = fails::<User>(&host, "deploy", json!({ "system": true, "authorized_keys": { "anna": key(1) } }));
    assert!(error.hint().is_some_and(|hint| hint.contains("create_home")), "{error:?}");
}

#[test]
fn a_user_is_removed_with_or_without_its_home() {
    let host = SimHost::debian(12).with_user("deploy");
    let done = converge::<User>(&host, "deploy", json!({ "ensure": "absent" }));
    assert_eq!(done.words(), ["remove user deploy"]);
    assert_eq!((done.now, done.want), (json!({ "exists": true }), json!({ "exists": false })));
    assert!(host.metadata(&HostPath::new("/home/deploy").unwrap()).unwrap().is_some());
    assert_eq!(words(&host, json!({ "ensure": "absent" })), [""; 0]);
    let host = SimHost::debian(12).with_user("deploy");
    let gone = json!({ "ensure": "absent", "remove_home": true });
    assert_eq!(words(&host, gone.clone()), ["remove user deploy with the home directory"]);
    assert_eq!(fails::<User>(&host, "bin", gone).kind(), ErrorKind::Refused);
}

#[test]
fn root_stays() {
    assert_eq!(mistakes::<User>("root", json!({ "ensure": "absent" })).len(), 1);
    assert_eq!(mistakes::<User>("root", json!({ "uid": 5 })).len(), 1);
    assert_eq!(mistakes::<User>("toor", json!({ "uid": 0 })).len(), 1);
    let host = SimHost::debian(12).with_user("toor");
    let changes = UserChanges { uid: Some(4711), ..UserChanges::default() };
    host.perform(&Effect::ChangeUser { name: "root".into(), changes }).unwrap();
    let changes = UserChanges { uid: Some(0), ..UserChanges::default() };
    host.perform(&Effect::ChangeUser { name: "toor".into(), changes }).unwrap();
    assert_eq!(fails::<User>(&host, "toor", json!({ "ensure": "absent" })).kind(), ErrorKind::Refused);
}

#[test]
fn mistakes_are_reported_at_once_with_help() {
    let found = mistakes::<User>(
        "De ploy",
        json!({
            "uid": 65535, "primary_group": "a b", "groups": { "a b": false }, "gecos": "a:b", "password": "hunter2",
            "expires": "tomorrow", "shell": "/bin/a:b", "authorized_keys": { "anna": "AAAA" }, "remove_home": true,
        }),
    );
    let paths: Vec<String> = found.iter().map(|mistake| mistake.path.join(".")).collect();
    assert_eq!(
        paths,
        [
            "",
            "uid",
            "primary_group",
            "groups.a b",
            "password",
            "authorized_keys.anna",
            "gecos",
            "shell",
            "expires",
            "groups.a b",
            "remove_home",
        ]
    );
    assert!(found.iter().all(|mistake| mistake.help.is_some()), "{found:?}");
    assert_eq!(mistakes::<User>("deploy", json!({ "password": "!", "locked": false })).len(), 1);
    assert_eq!(mistakes::<User>("deploy", json!({ "password": "" })).len(), 1);
    assert_eq!(mistakes::<User>("deploy", json!({ "ensure": "absent", "authorized_keys": {} })).len(), 1);
    assert!(serde_json::from_value::<User>(json!({ "homedir": "/x" })).is_err());
    assert!(serde_json::from_value::<User>(json!({ "groups": ["sudo"] })).is_err());
}

#[test]
fn groups_come_first() {
    let id = ResourceId::new("user", "deploy");
    let group = |name: &str| Claim::needs(Target::Group(name.into()));
    let user = Target::User("deploy".into());
    let attributes = json!({ "uid": 1500, "groups": { "sudo": true, "games": false }, "authorized_keys": {} });
    assert_eq!(
        declare::<User>(attributes).claims(&id),
        [
            Claim::owns(user.clone()),
            group("deploy"),
            group("sudo"),
            Claim::owns(Target::Uid(1500)),
            Claim::owns(Target::Path(HostPath::new("/home/deploy/.ssh/authorized_keys").unwrap())),
        ]
    );
    let claims = declare::<User>(json!({ "home": "/srv/www/deploy", "primary_group": "users" })).claims(&id);
    let above = Claim::needs(Target::Path(HostPath::new("/srv/www").unwrap()));
    assert_eq!(claims, [Claim::owns(user.clone()), group("users"), above]);
    let claims = declare::<User>(json!({ "ensure": "absent" })).claims(&id);
    assert_eq!(claims, [Claim::removes(user), group("deploy")]);
}

#[test]
fn a_declared_home_directory_comes_after_its_user() {
    let mut site = Site::new();
    let home = json!({ "owner": "deploy", "group": "deploy", "mode": "0750" });
    site.declare::<Directory>("/home/deploy", declare(home));
    site.declare::<User>("deploy", declare(json!({ "authorized_keys": { "anna": key(1) } })));
    site.declare::<Group>("deploy", declare(json!({ "gid": 4000 })));
    site.declare::<Group>("media", declare(json!({ "members": ["deploy"] })));
    let graph = site.into_graph().unwrap();
    assert!(graph.warnings().is_empty(), "{:?}", graph.warnings());
    let planned = graph.plan(&SimHost::debian(12), &PlanOptions::default()).unwrap();
    let order: Vec<String> = planned.plan().steps.iter().map(|step| step.id.to_string()).collect();
    assert_eq!(order, ["group:deploy", "user:deploy", "group:media", "directory:/home/deploy"]);
    assert_eq!(planned.plan().counts().change, 4, "{:?}", planned.plan());
}

#[test]
fn a_former_primary_group_is_joined_in_one_run() {
    let host = SimHost::debian(12);
    for (name, gid) in [("g1", 3001), ("g2", 3002)] {
        perform(&host, Effect::CreateGroup { name: name.into(), gid: Some(gid), system: false });
    }
    let attributes = UserChanges { primary_group: Some("g1".into()), ..UserChanges::default() };
    let user = CreateUser { name: "deploy".into(), system: false, create_home: true, attributes };
    perform(&host, Effect::CreateUser(user));
    let swap = |from: &str, to: &str| {
        let done = converge::<User>(&host, "deploy", json!({ "primary_group": to, "groups": { from: true } }));
        let [Effect::ChangeUser { changes, .. }] = &done.effects[..] else { panic!("{:?}", done.effects) };
        assert_eq!((changes.primary_group.as_deref(), changes.groups.as_deref()), (Some(to), Some(&[from.into()][..])));
        assert_eq!(host.accounts().unwrap().groups_of("deploy"), [from]);
    };
    swap("g1", "g2");
    // Back again: it leaves the list of what becomes its primary group.
    swap("g2", "g1");
    let exactly = |primary: &str, other: &str| json!({ "primary_group": primary, "groups": { other: true, primary: true }, "membership": "exactly" });
    assert_eq!(words(&host, exactly("g2", "g1")), ["change user deploy"]);
    assert_eq!(host.accounts().unwrap().groups_of("deploy"), ["g1"]);
    assert_eq!(words(&host, json!({ "primary_group": "g1", "membership": "exactly" })), ["change user deploy"]);
    assert_eq!(words(&host, json!({ "primary_group": "g1", "membership": "exactly" })), [""; 0]);
}

#[test]
fn members_of_the_primary_group_are_left_to_the_group() {
    // A group may list users whose primary group it is; that makes no difference to them.
    let host = SimHost::debian(12).with_user("deploy");
    join(&host, "deploy", &["deploy", "adm"]);
    assert_eq!(words(&host, json!({ "groups": { "adm": true }, "membership": "exactly" })), [""; 0]);
    let error = fails::<User>(&host, "deploy", json!({ "groups": { "deploy": false } }));
    assert!(error.message().contains("cannot leave group deploy"), "{error}");
    assert_eq!(
        fails::<User>(&SimHost::debian(12), "deploy", json!({ "groups": { "deploy": false } })).kind(),
        ErrorKind::Conflict
    );
}

#[test]
fn a_group_with_the_number_of_another_can_be_the_primary_one() {
    let host = SimHost::debian(12).with_user("deploy");
    let line = |name: &str, line: &str| provision_core::host::AccountLine {
        database: provision_core::host::AccountDatabase::Group,
        name: name.into(),
        line: Some(Sensitive::new(line)),
        position: 0,
    };
    let gid = host.user("deploy").unwrap().unwrap().gid;
    perform(&host, Effect::RestoreAccounts { lines: vec![line("alias", &format!("alias:x:{gid}:"))] });
    assert_eq!(words(&host, json!({ "primary_group": "alias" })), [""; 0]);
    assert_eq!(words(&host, json!({ "primary_group": "deploy" })), [""; 0]);
}

/// What is wrong with a site of groups and users, in short.
fn contradictions(groups: Value, users: Value) -> Vec<String> {
    let mut site = Site::new();
    for (name, group) in groups.as_object().unwrap() {
        site.declare::<Group>(name, declare(group.clone()));
    }
    for (name, user) in users.as_object().unwrap() {
        site.declare::<User>(name, declare(user.clone()));
    }
    let found = site.into_graph().err().map(|diagnostics| diagnostics.list).unwrap_or_default();
    assert!(found.iter().all(|mistake| mistake.labels.len() == 2 && mistake.help.is_some()), "{found:?}");
    found.into_iter().map(|mistake| mistake.message).collect()
}

#[test]
fn groups_and_users_that_contradict_one_another_are_refused() {
    let one = |groups: Value, users: Value| {
        let found = contradictions(groups, users);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    };
    let others = one(json!({ "adm": { "members": ["bar"] } }), json!({ "foo": { "groups": { "adm": true } } }));
    assert_eq!(others, "user foo is to be in group adm, whose members are others");
    let not = one(json!({ "g": { "members": ["u"] } }), json!({ "u": { "groups": { "g": false } } }));
    assert_eq!(not, "user u is not to be in group g, which has it as a member");
    let exact = one(json!({ "g": { "members": ["u"] } }), json!({ "u": { "membership": "exactly" } }));
    assert!(exact.contains("in no groups but those named"), "{exact}");
    let gone = json!({ "g": { "ensure": "absent" } });
    let removed = one(gone.clone(), json!({ "u": { "groups": { "g": true } } }));
    assert!(removed.contains("which is removed"), "{removed}");
    let primary = one(gone, json!({ "u": { "primary_group": "g" } }));
    assert!(primary.contains("primary group"), "{primary}");
    let member = one(json!({ "g": { "members": ["u"] } }), json!({ "u": { "ensure": "absent" } }));
    assert_eq!(member, "user u is removed, and is to be a member of group g");
}

#[test]
fn groups_and_users_that_agree_are_no_contradiction() {
    for (groups, users) in [
        (json!({ "g": { "members": ["u"] } }), json!({ "u": { "groups": { "g": true } } })),
        (json!({ "g": { "members": ["u"] } }), json!({ "u": { "groups": { "g": true }, "membership": "exactly" } })),
        (json!({ "g": { "members": ["u"] } }), json!({ "u": { "groups": { "adm": true } } })),
        (json!({ "g": { "members": [] } }), json!({ "u": { "groups": { "g": false } } })),
        (json!({ "g": { "members": [] } }), json!({ "u": { "primary_group": "g", "groups": { "g": true } } })),
        (json!({ "u": { "members": [] } }), json!({ "u": { "groups": { "u": true } } })),
        (json!({ "g": {} }), json!({ "u": { "groups": { "g": true } } })),
        (json!({ "g": { "ensure": "absent" } }), json!({ "u": { "groups": { "g": false } } })),
    ] {
        assert_eq!(contradictions(groups.clone(), users.clone()), [""; 0], "{groups} {users}");
    }
    // What takes no part contradicts nothing.
    let mut site = Site::new();
    site.declare::<Group>("g", declare(json!({ "members": [] }))).when(false);
    site.declare::<User>("u", declare(json!({ "groups": { "g": true } })));
    assert!(site.into_graph().is_ok());
}

fn order_of(site: Site, host: &SimHost) -> Vec<String> {
    let graph = site.into_graph().unwrap();
    let planned = graph.plan(host, &PlanOptions::default()).unwrap();
    assert!(planned.plan().is_feasible(), "{:?}", planned.plan());
    let report = planned.apply(host, &provision_core::apply::ApplyOptions::default(), &());
    assert!(report.is_success(), "{report:?}");
    drop(planned);
    let again = graph.plan(host, &PlanOptions::default()).unwrap();
    assert_eq!(again.plan().counts().change, 0, "{:?}", again.plan());
    again.plan().steps.iter().map(|step| step.id.to_string()).collect()
}

#[test]
fn users_go_before_groups_and_after_services_in_one_run() {
    let host = SimHost::debian(12);
    perform(&host, Effect::CreateGroup { name: "p".into(), gid: None, system: false });
    converge::<User>(&host, "pu", json!({ "primary_group": "p" }));
    let gone = json!({ "ensure": "absent" });
    let mut site = Site::new();
    site.declare::<Group>("p", declare(gone.clone()));
    site.declare::<User>("pu", declare(gone.clone()));
    site.declare::<crate::service::Service>("cron", declare(json!({ "running": false, "enabled": false })));
    site.declare::<Directory>("/var/lib/pu", declare(gone));
    assert_eq!(order_of(site, &host), ["directory:/var/lib/pu", "service:cron", "user:pu", "group:p"]);
    assert!(host.group("p").unwrap().is_none() && host.user("pu").unwrap().is_none());
}

#[test]
fn a_group_that_does_not_go_with_its_user_goes_in_the_same_run() {
    let host = SimHost::debian(12).with_user("deploy").with_file("/etc/login.defs", "USERGROUPS_ENAB no\n");
    let gone = json!({ "ensure": "absent" });
    let mut site = Site::new();
    site.declare::<Group>("deploy", declare(gone.clone()));
    site.declare::<User>("deploy", declare(gone.clone()));
    assert_eq!(order_of(site, &host), ["user:deploy", "group:deploy"]);
    let host = SimHost::debian(12).with_user("deploy").with_file("/etc/login.defs", "USERGROUPS_ENAB no\n");
    converge::<User>(&host, "deploy", gone);
    assert!(host.group("deploy").unwrap().is_some());
}

#[test]
fn a_home_that_is_made_later_is_one_that_useradd_makes() {
    let home = HostPath::new("/home/deploy").unwrap();
    let later = |host: &SimHost| {
        words(host, json!({ "create_home": false }));
        let words = words(host, json!({ "create_home": true }));
        (words, host.metadata(&home).unwrap().unwrap().access)
    };
    for (release, mode) in [(12, 0o755), (13, 0o700)] {
        let (words, access) = later(&SimHost::debian(release));
        assert_eq!(words, new_home("/home/deploy"), "Debian {release}");
        assert_eq!(access, Access { owner: "deploy".into(), group: "deploy".into(), mode: Mode::new(mode) });
    }
    let host = SimHost::debian(12).with_file("/etc/login.defs", "UMASK 027 \n#HOME_MODE 0700\n");
    let file = |path: &str, mode| {
        let access = Access { owner: "root".into(), group: "root".into(), mode: Mode::new(mode) };
        Effect::WriteFile(WriteFile::new(HostPath::new(path).unwrap(), "#!/bin/sh\n", access))
    };
    let directory = |path: &str, mode| Effect::CreateDirectory {
        path: HostPath::new(path).unwrap(),
        access: Access { owner: "root".into(), group: "root".into(), mode: Mode::new(mode) },
        attributes: Default::default(),
    };
    perform(&host, directory("/etc/skel/bin", 0o750));
    perform(&host, file("/etc/skel/bin/run", 0o755));
    let (owner, group) = ("root".to_owned(), "root".to_owned());
    let path = HostPath::new("/etc/skel/link").unwrap();
    perform(&host, Effect::CreateSymlink { path, target: "bin/run".into(), owner, group });
    let (_, access) = later(&host);
    assert_eq!(access.mode, Mode::new(0o750));
    // The same as those of a new user.
    let all = |user: &str| -> Vec<_> {
        let under = |path: &str| HostPath::new(&format!("/home/{user}/{path}")).unwrap();
        let paths = ["bin", "bin/run", "link", ".bashrc", ".profile"].map(under);
        let seen = paths.iter().map(|path| host.metadata(path).unwrap().unwrap());
        seen.map(|found| (found.kind, found.access.mode, found.access.owner == user, found.size)).collect()
    };
    converge::<User>(&host, "other", json!({}));
    assert_eq!(all("deploy"), all("other"));
    assert_eq!(host.read_link(&HostPath::new("/home/deploy/link").unwrap()).unwrap().as_deref(), Some("bin/run"));
}

#[test]
fn a_home_that_is_not_the_users_own_is_not_removed() {
    let refused = |host: &SimHost, home: &str, why: &str| {
        let changes = UserChanges { home: Some(HostPath::new(home).unwrap()), ..UserChanges::default() };
        perform(host, Effect::ChangeUser { name: "deploy".into(), changes });
        let error = fails::<User>(host, "deploy", json!({ "ensure": "absent", "remove_home": true }));
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.message().contains(why), "{error}");
        assert!(host.user("deploy").unwrap().is_some());
    };
    let host = SimHost::debian(12).with_user("deploy").with_user("other").with_file("/srv/file", "");
    refused(&host, "/home/other", "user other has its home directory in /home/other as well");
    refused(&host, "/root", "not its own");
    refused(&host, "/home", "not its own");
    refused(&host, "/var/lib", "not its own");
    refused(&host, "/usr/lib/deploy", "not its own");
    refused(&host, "/srv/file", "is a file");
    refused(&host, "/var/lib/misc", "belongs to root");
    perform(
        &host,
        Effect::CreateSymlink {
            path: HostPath::new("/srv/link").unwrap(),
            target: "file".into(),
            owner: "deploy".into(),
            group: "deploy".into(),
        },
    );
    refused(&host, "/srv/link", "is a symbolic link");
    // A home beneath goes with the one above it.
    let nested = UserChanges { home: Some(HostPath::new("/home/deploy/sub").unwrap()), ..UserChanges::default() };
    perform(&host, Effect::ChangeUser { name: "other".into(), changes: nested });
    refused(&host, "/home/deploy", "user other");
    let host = SimHost::debian(12).with_user("deploy").with_file("/var/mail/deploy", "");
    refused(&host, "/home/deploy", "the mail spool /var/mail/deploy belongs to root");
    // A home that is not there is nobody's.
    let host = SimHost::debian(12).with_user("deploy");
    let changes = UserChanges { home: Some(HostPath::new("/nonexistent/deploy").unwrap()), ..UserChanges::default() };
    perform(&host, Effect::ChangeUser { name: "deploy".into(), changes });
    assert_eq!(words(&host, json!({ "ensure": "absent", "remove_home": true })).len(), 1);
}
