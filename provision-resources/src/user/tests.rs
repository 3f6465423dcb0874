mod beside_others;

use provision_core::effect::{Access, CreateUser, Sensitive, UserChanges, WriteFile};
use provision_core::host::{Host, HostViewExt};
use provision_core::path::Mode;
use provision_core::plan::PlanOptions;
use provision_core::sim::SimHost;
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
    host.perform(&Effect::Platform(PlatformEffect::ChangeUser { name: "deploy".into(), changes })).unwrap();
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
    host.perform(&Effect::Platform(PlatformEffect::ChangeUser { name: user.into(), changes })).unwrap();
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
    let Effect::Platform(PlatformEffect::CreateUser(created)) = &done.effects[0] else { panic!("{:?}", done.effects) };
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
    let [Effect::Platform(PlatformEffect::ChangeUser { changes, .. })] = &done.effects[..] else {
        panic!("{:?}", done.effects)
    };
    let expected = UserChanges {
        shell: Some(HostPath::new("/bin/bash").unwrap()),
        groups: Some(vec!["adm".into(), "sudo".into()]),
        gecos: Some("D".into()),
        ..UserChanges::default()
    };
    assert_eq!(*changes, expected);
    let again = json!({ "uid": 2000, "primary_group": "users", "home": "/home/deploy", "shell": "/bin/bash" });
    let done = converge::<User>(&host, "deploy", again);
    let [Effect::Platform(PlatformEffect::ChangeUser { changes, .. })] = &done.effects[..] else {
        panic!("{:?}", done.effects)
    };
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
    host.perform(&Effect::Platform(PlatformEffect::CreateGroup {
        name: "deploy".into(),
        gid: Some(4000),
        system: false,
    }))
    .unwrap();
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
    host.perform(&Effect::Platform(PlatformEffect::ChangeUser { name: "root".into(), changes })).unwrap();
    let changes = UserChanges { uid: Some(0), ..UserChanges::default() };
    host.perform(&Effect::Platform(PlatformEffect::ChangeUser { name: "toor".into(), changes })).unwrap();
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
