use super::*;
use crate::testing::{converge, in_words, mistakes};
use proptest::prelude::*;
use provision_core::error::ErrorKind;
use provision_core::host::HostViewExt;
use provision_core::sim::SimHost;

const FILE: &str = "/etc/logrotate.d/app";

fn host() -> SimHost {
    SimHost::debian(13).with_package("logrotate")
}

fn logrotate(path: &str, settings: serde_json::Value) -> Logrotate {
    serde_json::from_value(json!({ "paths": [path], "settings": settings })).unwrap()
}

fn said(settings: serde_json::Value) -> String {
    mistakes("app", &logrotate("/var/log/app.log", settings)).join("; ")
}

#[test]
fn a_log_has_a_block() {
    let settings = json!({
        "daily": true, "weekly": false, "rotate": 14, "compress": false, "ifempty": false, "mail": false,
        "create": "0640 root adm", "olddir": "/var/log/old logs", "postrotate": "if true; then\n  : # }\nfi\n",
    });
    let host = host();
    let declared =
        Logrotate { paths: vec!["/var/log/app/*.log".into(), "/var/log/a b".into()], ..logrotate("", settings) };
    converge(&host, "app", declared).unwrap();
    insta::assert_snapshot!(host.read_text(FILE).unwrap().unwrap(), @r##"
    # Managed by provision: logrotate:app
    "/var/log/app/*.log"
    "/var/log/a b"
    {
        nocompress
        create 0640 root adm
        daily
        notifempty
        nomail
        olddir /var/log/old logs
        postrotate
    if true; then
      : # }
    fi
        endscript
        rotate 14
    }
    "##);
}

#[test]
fn the_same_in_other_words_is_left() {
    let declared = || logrotate("/var/log/app.log", json!({ "daily": true, "postrotate": "a\n # b" }));
    let there = |text: &str| host().with_file(FILE, text);
    for same in [
        "\"/var/log/app.log\"\n{\ndaily\npostrotate\na\n # b\nendscript\n}\n",
        "# c {\n\n  \"/var/log/app.log\"\n{\n\tdaily\n  # }\n\n  postrotate\na\n # b\n  endscript\n}",
    ] {
        assert!(converge(&there(same), "app", declared()).unwrap().is_empty(), "{same:?}");
    }
    for other in [
        "\"/var/log/app.log\"\n{\ndaily\npostrotate\na\n# b\nendscript\n}\n",
        "\"/var/log/app.log\"\n{\ndaily\npostrotate\na\n\n # b\nendscript\n}\n",
        "\"/var/log/app.log\"\n{\ndaily\npostrotate x\na\n # b\nendscript\n}\n",
        "\"/var/log/app.log\"\n{\ndaily\npostrotate\na\n # b\nendscript x\n}\n",
        "\"/var/log/app.log\"\n{\ndaily\npostrotate\na\n # b\nendscript\n",
        "\"/var/log/app.log\"\r\n{\ndaily\npostrotate\na\n # b\nendscript\n}\n",
        "\"/var/log/app.log\"\n{\ndaily\u{a0}\npostrotate\na\n # b\nendscript\n}\n",
        "",
    ] {
        assert_eq!(
            in_words(&converge(&there(other), "app", declared()).unwrap()),
            [format!("write {FILE}")],
            "{other:?}"
        );
    }
}

/// Most were tried with logrotate of Debian 12 and 13: it skips the file, the block or the line, or does something else. Some it
/// takes, and another release does not, or only as another type.
#[test]
fn what_logrotate_would_skip_is_a_mistake() {
    for settings in [
        json!({ "dailyy": true }),
        json!({ "daily": 1 }),
        json!({ "weekly": "mon" }),
        json!({ "weekly": 8 }),
        json!({ "daily": true, "weekly": true }),
        json!({ "daily": true, "size": "10M" }),
        json!({ "size": "100MB" }),
        json!({ "size": "100m" }),
        json!({ "maxsize": -1 }),
        json!({ "rotate": -2 }),
        json!({ "rotate": "3" }),
        json!({ "maxage": -1 }),
        json!({ "create": "640 root adm" }),
        json!({ "create": "rw-r--" }),
        json!({ "create": "0640 root" }),
        json!({ "create": "0840 root adm" }),
        json!({ "su": "root" }),
        json!({ "su": true }),
        json!({ "create": "0640 root adm", "copytruncate": true }),
        json!({ "create": true, "copy": true }),
        json!({ "nocompress": true }),
        json!({ "notifempty": true }),
        json!({ "nomail": true }),
        json!({ "mail": true }),
        json!({ "olddir": "\"/var/log/old\"" }),
        json!({ "dateformat": "-%Y%q" }),
        json!({ "dateformat": "-%Y%z" }),
        json!({ "extension": "" }),
        json!({ "extension": ".gz # c" }),
        json!({ "include": "/etc/x" }),
        json!({ "tabooext": "+ .x" }),
        json!({ "postrotate": "" }),
        json!({ "postrotate": "a\n  endscript\nb" }),
        json!({ "postrotate": true }),
    ] {
        assert!(said(settings.clone()).starts_with("settings."), "{settings}");
    }
    for settings in [
        json!({}),
        json!({ "weekly": 0, "maxsize": "10M", "minsize": 100, "rotate": -1, "start": 0 }),
        json!({ "daily": false, "size": "1G", "create": false, "copytruncate": true, "su": "root adm" }),
        json!({ "dateformat": "-%Y%m%d-%s", "dateyesterday": true, "compresscmd": "/usr/bin/xz", "compressoptions": "-9 -e" }),
    ] {
        assert_eq!(said(settings.clone()), "", "{settings}");
    }
    for path in ["app.log", "", "/var/log/a\"b", "/var/log/a\nb", "/var/log/app/*", "/var/log/app.log*"] {
        assert!(!mistakes("app", &logrotate(path, json!({}))).is_empty(), "{path:?}");
    }
    assert!(mistakes("app", &logrotate("/var/log/app/*", json!({ "olddir": "old" }))).is_empty());
    for name in ["", "a b", ".a", "app.bak", "app.dpkg-old", "app.disabled", "app~", "app,v", "app.ucf-dist"] {
        assert!(mistakes(name, &logrotate("/a", json!({})))[0].contains("logrotate ignores"), "{name:?}");
    }
    assert!(mistakes("app.older", &logrotate("/a", json!({}))).is_empty());
    let twice = Logrotate { paths: vec!["/a".into(), "/a".into()], ..Logrotate::default() };
    let odd = json!({ "notifempty": true, "rotat": 3, "size": "100MB" });
    insta::assert_snapshot!(
        [mistakes("app", &Logrotate::default()), mistakes("app", &twice), vec![said(odd)]].concat().join("\n"),
        @r#"
    paths: no log is named
    paths.1: "/a" is named twice, and logrotate skips the whole file then
    settings.notifempty: it is the opposite of `ifempty`; settings.rotat: logrotate has no setting "rotat"; settings.size: logrotate cannot use "100MB"
    "#
    );
}

#[test]
fn accounts_come_first_and_have_to_be_there() {
    let declared = |settings: serde_json::Value| logrotate("/var/log/app.log", settings);
    let claims = |settings| declared(settings).also_claims(&ResourceId::new("logrotate", "a"));
    let user = |name: &str| Claim::needs(Target::User(name.into()));
    let group = |name: &str| Claim::needs(Target::Group(name.into()));
    assert_eq!(claims(json!({ "create": "0640 app adm", "su": "root 100" })), [user("app"), group("adm")]);
    assert_eq!(claims(json!({ "create": "0640", "createolddir": true })), []);
    let error = converge(&host(), "app", declared(json!({ "su": "ghost adm" }))).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::NotFound, "there is no user ghost"));
}

proptest! {
    #[test]
    fn a_declaration_without_mistakes_is_read_back(key in proptest::sample::select(LOGROTATE.keys().collect::<Vec<_>>()), value in "[ -~]{0,12}(\n[ -~]{1,5})?") {
        let declared = logrotate("/a", json!({ key: value }));
        let id = ResourceId::new("logrotate", "a");
        if !declared.mistakes(&id).is_empty() {
            return Ok(());
        }
        let text = declared.text(&id).unwrap().reveal().unwrap().to_owned();
        let spaced = text.replace("\n}\n", "\n# c\n\n }");
        prop_assert_ne!(&text, &spaced);
        prop_assert!(declared.means(&text).is_some());
        prop_assert_eq!(declared.means(&text), declared.means(&spaced));
    }

    #[test]
    fn no_text_makes_it_panic(value in ".{0,20}", text in "[a-z ={}#\"\\n]{0,60}") {
        for key in LOGROTATE.keys() {
            said(json!({ key: value.clone() }));
        }
        let _ = logrotate("/a", json!({})).means(&text);
    }
}

/// logrotate had skipped the file for each of them.
#[test]
fn a_brace_in_a_path_and_two_words_where_one_is_read_are_refused() {
    let of = |path: &str, settings: serde_json::Value| {
        let declared: Logrotate = serde_json::from_value(json!({ "paths": [path], "settings": settings })).unwrap();
        mistakes("app", &declared).len()
    };
    assert_eq!(of("/var/log/{x,y}.log", json!({ "daily": true })), 1);
    for (key, value) in [("mail", "a b"), ("compresscmd", "/bin/x -y")] {
        assert_eq!(of("/var/log/a.log", json!({ key: value })), 1, "{key}");
    }
    assert_eq!(of("/var/log/a.log", json!({ "mail": "ops@example.org", "compresscmd": "/usr/bin/xz" })), 0);
}

#[test]
fn two_that_rotate_one_log_are_refused() {
    let mut site = provision_core::site::Site::new();
    for name in ["a", "b"] {
        site.declare(name, Logrotate { paths: vec!["/var/log/d.log".into()], ..Logrotate::default() });
    }
    let errors = format!("{:?}", site.into_graph().map(drop).unwrap_err().list);
    assert!(errors.contains("both rotate /var/log/d.log"), "{errors}");
}
