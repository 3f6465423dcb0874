use super::*;
use crate::testing::{Site, converge, converge_in, in_words, mistakes};
use provision_core::host::HostViewExt;
use provision_core::sim::SimHost;
use serde_json::json;

const MOTD: &str = "/etc/motd";

fn path(path: &str) -> HostPath {
    HostPath::new(path).unwrap()
}

fn declared(attributes: &Value) -> File {
    serde_json::from_value(attributes.clone()).unwrap()
}

fn link(host: &SimHost, at: &str, target: &str) {
    let (owner, group) = ("root".to_owned(), "root".to_owned());
    host.perform(&Effect::CreateSymlink { path: path(at), target: target.to_owned(), owner, group }).unwrap();
}

#[test]
fn a_missing_file_is_written() {
    let host = SimHost::debian(12);
    let effects = converge(&host, MOTD, File::default().content("hello\n")).unwrap();
    assert_eq!(in_words(&effects), ["write /etc/motd"]);
    assert_eq!(host.read_text(MOTD).unwrap().as_deref(), Some("hello\n"));
    assert_eq!(converge(&host, MOTD, File::default().content("hello\n")).unwrap(), []);
}

#[test]
fn other_content_is_replaced_and_other_access_is_set() {
    let host = SimHost::debian(12).with_file(MOTD, "old").with_user("deploy");
    assert_eq!(in_words(&converge(&host, MOTD, File::default().content("new\n")).unwrap()), ["write /etc/motd"]);
    let owned = File { owner: Some("deploy".into()), mode: Some(Mode::new(0o600)), ..File::default().content("new\n") };
    let effects = in_words(&converge(&host, MOTD, owned.clone()).unwrap());
    assert_eq!(effects, ["set owner deploy mode 0600 of /etc/motd"]);
    // The same user by number is the same.
    let uid = host.user("deploy").unwrap().unwrap().uid.to_string();
    assert_eq!(converge(&host, MOTD, File { owner: Some(uid), ..owned }).unwrap(), []);
}

#[test]
fn without_content_a_file_keeps_its_own() {
    let host = SimHost::debian(12).with_file(MOTD, "old");
    assert_eq!(converge(&host, MOTD, File::default()).unwrap(), []);
    let strict = File { mode: Some(Mode::new(0o640)), ..File::default() };
    assert_eq!(in_words(&converge(&host, MOTD, strict).unwrap()), ["set mode 0640 of /etc/motd"]);
    converge(&host, "/etc/empty", File::default()).unwrap();
    assert_eq!(host.read_text("/etc/empty").unwrap().as_deref(), Some(""));
}

#[test]
fn content_that_is_written_once_is_left_alone() {
    let host = SimHost::debian(12);
    let once = File { replace: Replace::Once, ..File::default().content("first") };
    converge(&host, MOTD, once.clone()).unwrap();
    let host = host.with_file(MOTD, "changed by hand");
    assert_eq!(converge(&host, MOTD, once.clone()).unwrap(), []);
    let strict = File { mode: Some(Mode::new(0o600)), ..once };
    assert_eq!(in_words(&converge(&host, MOTD, strict).unwrap()), ["set mode 0600 of /etc/motd"]);
    assert_eq!(host.read_text(MOTD).unwrap().as_deref(), Some("changed by hand"));
}

#[test]
fn directories_above_are_made_or_missed() {
    let host = SimHost::debian(12);
    let effects = converge(&host, "/srv/a/b/c", File::default().content("")).unwrap();
    assert_eq!(in_words(&effects), ["create directory /srv/a", "create directory /srv/a/b", "write /srv/a/b/c"]);
    let alone = File { parents: false, ..File::default() };
    let error = converge(&host, "/srv/x/y", alone.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    insta::assert_snapshot!(format!("{error}; {}", error.hint().unwrap()), @r#"the directory /srv/x does not exist; declare `directory."/srv/x"`, or set `parents = true`"#);
    converge(&host, "/srv/a/z", alone).unwrap();
    let error = converge(&host, "/srv/a/b/c/d", File::default()).unwrap_err();
    assert_eq!(error.message(), "/srv/a/b/c is a file, so nothing can be in it");
}

#[test]
fn a_file_can_be_removed() {
    let host = SimHost::debian(12).with_file(MOTD, "old");
    assert_eq!(in_words(&converge(&host, MOTD, File::absent()).unwrap()), ["remove /etc/motd"]);
    assert_eq!(converge(&host, MOTD, File::absent()).unwrap(), []);
    link(&host, MOTD, "/run/motd");
    assert_eq!(in_words(&converge(&host, MOTD, File::absent()).unwrap()), ["remove /etc/motd"]);
}

#[test]
fn a_link_is_replaced_and_its_target_left_alone() {
    let host = SimHost::debian(12).with_file("/run/motd", "linked");
    link(&host, MOTD, "/run/motd");
    let effects = converge(&host, MOTD, File { backup: true, ..File::default().content("own\n") }).unwrap();
    assert_eq!(in_words(&effects), ["write /etc/motd"]);
    assert_eq!(host.read_text("/run/motd").unwrap().as_deref(), Some("linked"));
}

#[test]
fn a_directory_is_never_replaced() {
    let host = SimHost::debian(12).with_directory("/etc/motd.d");
    for file in [File::default(), File::absent()] {
        let error = converge(&host, "/etc/motd.d", file).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        insta::allow_duplicates! {
            insta::assert_snapshot!(format!("{error}; {}", error.hint().unwrap()), @r#"a directory is in the place of /etc/motd.d; declare `directory."/etc/motd.d"`, or remove the directory"#);
        }
    }
}

#[test]
fn the_old_file_is_kept_if_asked_for() {
    let host = SimHost::debian(12).with_file("/etc/sudoers.d/ops", "old");
    let kept = File { backup: true, ..File::default().content("new\n") };
    let effects = converge(&host, "/etc/sudoers.d/ops", kept.clone()).unwrap();
    insta::assert_debug_snapshot!(in_words(&effects), @r#"
    [
        "copy /etc/sudoers.d/ops to /etc/sudoers.d/.ops.provision.bak",
        "write /etc/sudoers.d/ops",
    ]
    "#);
    assert_eq!(host.read_text("/etc/sudoers.d/.ops.provision.bak").unwrap().as_deref(), Some("old"));
    assert_eq!(converge(&host, "/etc/sudoers.d/ops", kept.clone()).unwrap(), []);
    let gone = File { backup: true, ..File::absent() };
    assert_eq!(converge(&host, "/etc/sudoers.d/ops", gone).unwrap().len(), 2);
    assert_eq!(host.read_text("/etc/sudoers.d/.ops.provision.bak").unwrap().as_deref(), Some("new\n"));
    let id = ResourceId::new("file", "/etc/sudoers.d/ops");
    let claims: Vec<String> = kept.claims(&id).iter().map(|claim| claim.target.to_string()).collect();
    assert_eq!(claims, ["path /etc/sudoers.d/ops", "path /etc/sudoers.d/.ops.provision.bak"]);
}

#[test]
fn new_content_is_validated() {
    let host = SimHost::debian(12).with_directory("/etc/sudoers.d").with_file("/usr/sbin/visudo", "");
    let validated = File { validate: Some("visudo -cf %".into()), ..File::default().content("root ALL\n") };
    let effects = converge(&host, "/etc/sudoers.d/ops", validated.clone()).unwrap();
    let [Effect::WriteFile(write)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(write.validate.as_ref().unwrap().argv, ["visudo", "-cf", "%"]);
    let fails = provision_core::effect::Output { code: 1, ..Default::default() };
    let host = SimHost::debian(12).with_command("visudo", fails);
    assert_eq!(converge(&host, "/etc/sudoers.d/ops", validated).unwrap_err().kind(), ErrorKind::CommandFailed);
}

#[test]
fn a_source_is_read_when_the_site_is_known() {
    let site = Site { sources: [("files/logo", Content::from(b"\x89PNG\xff"))].into(), ..Site::default() };
    let host = SimHost::debian(12);
    let logo = File { source: Some("files/logo".into()), ..File::default() };
    converge_in(&host, "/srv/logo", logo.clone(), &site).unwrap();
    assert_eq!(host.read(&path("/srv/logo")).unwrap().unwrap().bytes(), b"\x89PNG\xff");
    let error = converge(&host, "/srv/logo", logo.clone()).unwrap_err();
    assert_eq!(error.message(), "there is no files/logo");
    let error = logo
        .plan(&PlanContext::new(&ResourceId::new("file", "/srv/logo")), &FileState::Absent { new: NewGroup::default() })
        .unwrap_err();
    assert_eq!(error.message(), "the source \"files/logo\" has not been read");
}

#[test]
fn values_are_written_in_their_formats() {
    let host = SimHost::debian(12);
    let record = || serde_json::from_value(json!({ "a": { "b": [1, 2] } })).unwrap();
    let files = [
        File { json: Some(json!({ "b": 1, "a": [] })), ..File::default() },
        File { toml: Some(record()), ..File::default() },
        File { yaml: Some(json!({ "on": "yes" })), ..File::default() },
        File { ini: Some(record()), ..File::default() },
    ];
    let texts = files.map(|file| {
        converge(&host, "/etc/x", file).unwrap();
        host.read_text("/etc/x").unwrap().unwrap()
    });
    insta::assert_debug_snapshot!(texts, @r#"
    [
        "{\n  \"a\": [],\n  \"b\": 1\n}\n",
        "[a]\nb = [\n    1,\n    2,\n]\n",
        "\"on\": \"yes\"\n",
        "[a]\nb=1\nb=2\n",
    ]
    "#);
}

#[test]
fn mistakes_are_found_all_at_once() {
    let file = File {
        content: Some("a".into()),
        json: Some(json!(1)),
        owner: Some("a b".into()),
        validate: Some("true | false".into()),
        ..File::default()
    };
    insta::assert_debug_snapshot!(mistakes("etc/motd", &file), @r#"
    [
        ": a file is named by its absolute path, and \"etc/motd\" is not an absolute path",
        "owner: \"a b\" is not the name of a user",
        "json: `content` says already what the file holds, so `json` cannot",
        "validate: '|' would need a shell, and commands run without one",
    ]
    "#);
    let absent = File { source: Some(String::new()), ..File::absent() };
    insta::assert_debug_snapshot!(mistakes("/", &absent), @r#"
    [
        ": the root directory is not a file",
        "source: a file that is absent has no `source`",
        "source: the path is empty",
    ]
    "#);
    let more = File { toml: serde_json::from_value(json!({ "a": [null] })).unwrap(), ..File::default() };
    insta::assert_debug_snapshot!(mistakes("/etc/a", &File { validate: Some("true".into()), ..more }), @r#"
    [
        "toml.a.0: TOML has no null",
        "validate: no argument of the command is `%`, so it checks nothing",
    ]
    "#);
    let long = format!("/etc/{}", "a".repeat(250));
    assert_eq!(mistakes(&long, &File { backup: true, ..File::default() }).len(), 1);
    assert!(mistakes(&long, &File::default()).is_empty());
}

#[test]
fn a_missing_owner_is_named() {
    let error =
        converge(&SimHost::debian(12), MOTD, File { owner: Some("ghost".into()), ..File::default() }).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::NotFound, "there is no user ghost"));
}

#[test]
fn what_is_left_out_has_a_default_and_nothing_may_be_added() {
    let file: File = serde_json::from_value(json!({})).unwrap();
    insta::assert_json_snapshot!(file, @r#"
    {
      "ensure": "present",
      "final_newline": true,
      "links": "replace",
      "hard_links": "break",
      "force": false,
      "parents": true,
      "replace": "always",
      "backup": false
    }
    "#);
    assert!(serde_json::from_value::<File>(json!({ "contents": "" })).is_err());
    assert!(serde_json::from_value::<File>(json!({ "prepared": "" })).is_err());
}

#[test]
fn a_schema_tells_every_attribute() {
    let schema = schemars::schema_for!(File);
    let properties = schema.get("properties").unwrap().as_object().unwrap();
    let undocumented: Vec<_> = properties.iter().filter(|(_, it)| it.get("description").is_none()).collect();
    assert_eq!(undocumented, []);
    assert_eq!(properties.len(), 21);
    assert_eq!(schema.get("additionalProperties"), Some(&json!(false)));
}

#[test]
fn lists_capabilities_and_flags_are_declared_found_and_mended() {
    let host = SimHost::debian(12).with_user("deploy");
    let attributes = json!({
        "content": "a", "mode": "0660",
        "acl": { "user:deploy": "rw-", "group:": "r--" },
        "capabilities": "cap_net_raw=ep",
        "flags": { "immutable": true, "no_dump": false },
    });
    let words = |attributes: &Value| in_words(&converge(&host, "/srv/a", declared(attributes)).unwrap());
    assert_eq!(words(&attributes), ["write /srv/a"]);
    assert_eq!(words(&attributes), [""; 0]);
    let mut other = attributes.clone();
    // A number and a name of one user are the same.
    let uid = host.user("deploy").unwrap().unwrap().uid;
    other["acl"] = json!({ (format!("user:{uid}")): "rw-", "group:": "r--" });
    assert_eq!(words(&other), [""; 0]);
    other["acl"] = json!({});
    assert_eq!(words(&other), ["set attributes of /srv/a"]);
    assert_eq!(words(&other), [""; 0]);
    let locked = converge(&host, "/srv/a", declared(&json!({ "content": "b", "mode": "0660" }))).unwrap_err();
    assert_eq!(locked.kind(), ErrorKind::PermissionDenied);
    assert!(locked.hint().unwrap().contains("flags.immutable"));
    let ghost = json!({ "content": "a", "mode": "0660", "acl": { "user:ghost": "r--" } });
    assert_eq!(converge(&host, "/srv/b", declared(&ghost)).unwrap_err().message(), "there is no user ghost");
}

#[test]
fn a_named_user_of_a_list_is_made_first() {
    let file = declared(&json!({ "mode": "0660", "acl": { "user:deploy": "rw-", "group:1000": "r--" } }));
    let claims = file.claims(&ResourceId::new("file", "/srv/a"));
    assert!(claims.contains(&Claim::needs(Target::User("deploy".into()))));
    assert!(!claims.contains(&Claim::needs(Target::Group("1000".into()))), "a number needs no name");
}

#[test]
fn a_pipe_in_the_place_makes_way_if_it_may_and_is_named_otherwise() {
    for (kind, noun) in
        [(FileKind::Fifo, "a named pipe (fifo)"), (FileKind::Socket, "a socket"), (FileKind::Device, "a device")]
    {
        let host = SimHost::debian(12).with_special("/srv/a", kind);
        let error = converge(&host, "/srv/a", File::default().content("a\n")).unwrap_err();
        assert_eq!(error.message(), format!("{noun} is in the place of /srv/a"));
        assert!(error.hint().unwrap().contains("force = true"));
        let forced = File { force: true, ..File::default().content("a\n") };
        let effects = converge(&host, "/srv/a", forced.clone()).unwrap();
        assert_eq!(in_words(&effects), ["remove /srv/a", "write /srv/a"]);
        assert!(effects[0].point_of_no_return().is_some());
        assert_eq!(converge(&host, "/srv/a", forced).unwrap(), []);
        let host = SimHost::debian(12).with_special("/srv/a", kind);
        let gone = File { force: true, ..File::absent() };
        assert_eq!(in_words(&converge(&host, "/srv/a", gone.clone()).unwrap()), ["remove /srv/a"]);
        assert_eq!(converge(&host, "/srv/a", gone).unwrap(), []);
    }
}

fn access(host: &SimHost, at: &str) -> String {
    let Access { owner, group, mode } = host.metadata(&path(at)).unwrap().unwrap().access;
    format!("{owner}:{group} {mode}")
}

#[test]
fn what_is_unset_of_a_file_is_kept_also_when_its_content_is_replaced() {
    let conf = "/srv/app.conf";
    let host = SimHost::debian(12).with_file(conf, "old\n").with_access(conf, "www-data", "www-data", 0o640);
    let kept = converge(&host, conf, File::default().content("new\n")).unwrap();
    assert_eq!(in_words(&kept), ["write /srv/app.conf"]);
    assert_eq!(access(&host, conf), "www-data:www-data 0640");
    assert_eq!(converge(&host, conf, File::default()).unwrap(), []);
    let group = File { group: Some("adm".into()), ..File::default() };
    assert_eq!(in_words(&converge(&host, conf, group).unwrap()), ["set group adm of /srv/app.conf"]);
    assert_eq!(access(&host, conf), "www-data:adm 0640");
    // A link is not the file that it leads to.
    let host = host.with_link("/srv/link", conf);
    converge(&host, "/srv/link", File::default().content("own\n")).unwrap();
    assert_eq!(access(&host, "/srv/link"), "root:root 0644");
}

#[test]
fn what_is_new_is_roots_or_has_the_group_of_a_set_group_id_directory() {
    let host = SimHost::debian(12).with_directory("/srv/shared").with_access("/srv/shared", "root", "staff", 0o2775);
    let host = host.with_link("/srv/other", "/srv/shared");
    for (at, expected) in [
        ("/srv/app.conf", "root:root 0644"),
        ("/srv/shared/app.conf", "root:staff 0644"),
        ("/srv/other/a.conf", "root:staff 0644"),
        ("/srv/shared/deeper/app.conf", "root:root 0644"),
    ] {
        converge(&host, at, File::default().content("new\n")).unwrap();
        assert_eq!(access(&host, at), expected, "{at}");
    }
}

#[test]
fn a_file_that_is_given_away_runs_no_longer_as_another_user() {
    let host = SimHost::debian(12).with_file("/srv/run", "old\n").with_access("/srv/run", "www-data", "root", 0o4755);
    converge(&host, "/srv/run", File::default().content("new\n")).unwrap();
    assert_eq!(access(&host, "/srv/run"), "www-data:root 4755");
    converge(&host, "/srv/run", File { owner: Some("root".into()), ..File::default() }).unwrap();
    assert_eq!(access(&host, "/srv/run"), "root:root 0755");
}

#[test]
fn a_list_without_a_mode_has_the_mode_of_a_new_file() {
    let host = SimHost::debian(12).with_file(MOTD, "old\n").with_access(MOTD, "root", "root", 0o600);
    let listed = declared(&json!({ "acl": { "user:www-data": "r--" } }));
    converge(&host, MOTD, listed).unwrap();
    assert_eq!(access(&host, MOTD), "root:root 0644");
}

#[test]
fn the_last_line_of_a_text_gets_an_end_unless_that_is_declined() {
    let host = SimHost::debian(12).with_file(MOTD, "hello");
    let text = |at: &str, attributes: Value| {
        converge(&host, at, declared(&attributes)).unwrap();
        host.read_text(at).unwrap().unwrap()
    };
    assert_eq!(text(MOTD, json!({ "content": "hello" })), "hello\n");
    assert_eq!(text(MOTD, json!({ "content": "hello\n" })), "hello\n");
    assert_eq!(text(MOTD, json!({ "content": "hello", "final_newline": false })), "hello");
    assert_eq!(text("/etc/empty", json!({ "content": "" })), "");
    assert_eq!(text("/etc/binary", json!({ "content": "a\u{0}b" })), "a\u{0}b");
    let site = Site { sources: [("files/a", Content::from("a"))].into(), ..Site::default() };
    converge_in(&host, "/etc/copy", declared(&json!({ "source": "files/a" })), &site).unwrap();
    assert_eq!(host.read_text("/etc/copy").unwrap().as_deref(), Some("a"));
    let pointless = declared(&json!({ "json": {}, "final_newline": false }));
    assert_eq!(mistakes(MOTD, &pointless), ["final_newline: only a text in `content` gets a final newline"]);
}
