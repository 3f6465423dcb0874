use super::*;
use crate::testing::{converge, in_words, mistakes};
use proptest::prelude::*;
use provision_core::error::ErrorKind;
use provision_core::host::HostViewExt;
use provision_core::sim::SimHost;

const FILE: &str = "/etc/tmpfiles.d/app.conf";

fn tmpfiles(entries: Value) -> Tmpfiles {
    serde_json::from_value(json!({ "entries": entries })).unwrap()
}

fn said(path: &str, entry: Value) -> String {
    mistakes("app", &tmpfiles(json!({ path: entry }))).join("; ")
}

#[test]
fn entries_are_lines() {
    let host = SimHost::debian(13).with_user("app");
    let entries = json!({
        "/run/app": { "type": "d", "mode": "0750", "user": "app", "group": ":app", "age": "10d" },
        "/run/a b": { "type": "f", "argument": " two\n\\lines\t%% " },
        "a link": { "type": "L+", "path": "/run/link", "argument": "/srv/x" },
    });
    converge(&host, "app", tmpfiles(entries)).unwrap();
    insta::assert_snapshot!(host.read_text(FILE).unwrap().unwrap(), @r#"
    # Managed by provision: tmpfiles:app
    f "/run/a b" - - - - \x20two\n\\lines\t%%\x20
    d /run/app 0750 app :app 10d
    L+ /run/link - - - - /srv/x
    "#);
}

#[test]
fn the_same_in_other_words_is_left() {
    let declared = || {
        tmpfiles(
            json!({ "/run/app": { "type": "d", "mode": "0755", "age": "1d" }, "/run/x": { "type": "f", "argument": "a  b" } }),
        )
    };
    let there = |text: &str| SimHost::debian(12).with_file(FILE, text);
    for same in [
        "d /run/app 0755 - - 1d -\nf /run/x - - - - a  b\n",
        "# c\n\n  d\t/run/app   0755 - - 1d\nf /run/x - - - -   a  b  ",
    ] {
        assert!(converge(&there(same), "app", declared()).unwrap().is_empty(), "{same:?}");
    }
    for other in [
        "d /run/app 0755 - - 1d\nf /run/x - - - - a b\n",
        "d /run/app 0755 - - 1d\nf /run/x - - - - \"a  b\"\n",
        "d /run/app 0755 - - 1d # c\nf /run/x - - - - a  b\n",
        "d /run/app 0755 - - 1d\r\nf /run/x - - - - a  b\r\n",
        "d /run/app\u{a0}0755 - - 1d\nf /run/x - - - - a  b\n",
        "d '/run/app' 0755 - - 1d\nf /run/x - - - - a  b\n",
        "",
    ] {
        assert_eq!(
            in_words(&converge(&there(other), "app", declared()).unwrap()),
            [format!("write {FILE}")],
            "{other:?}"
        );
    }
}

/// Most were tried with systemd-tmpfiles of Debian 12 and 13, or are in tmpfiles.d(5); quotes, backslashes and `m` are refused to be
/// safe.
#[test]
fn what_systemd_would_ignore_is_a_mistake() {
    for (path, entry) in [
        ("/run/a", json!({})),
        ("/run/a", json!({ "type": "" })),
        ("/run/a", json!({ "type": "y" })),
        ("/run/a", json!({ "type": "dd" })),
        ("/run/a", json!({ "type": "d+" })),
        ("/run/a", json!({ "type": "f++" })),
        ("/run/a", json!({ "type": "d$" })),
        ("/run/a", json!({ "type": "L?", "argument": "/x" })),
        ("/run/a", json!({ "type": "d", "mode": "0850" })),
        ("/run/a", json!({ "type": "d", "mode": "rwx" })),
        ("/run/a", json!({ "type": "d", "mode": "" })),
        ("/run/a", json!({ "type": "L", "mode": "0755" })),
        ("/run/a", json!({ "type": "r", "age": "1d" })),
        ("/run/a", json!({ "type": "R", "user": "root" })),
        ("/run/a", json!({ "type": "f", "age": "1d" })),
        ("/run/a", json!({ "type": "d", "age": "10x" })),
        ("/run/a", json!({ "type": "d", "age": "1m" })),
        ("/run/a", json!({ "type": "d", "age": "abx:1d" })),
        ("/run/a", json!({ "type": "d", "argument": "x" })),
        ("/run/a", json!({ "type": "d", "user": "a b" })),
        ("/run/a", json!({ "type": "d", "user": "# c" })),
        ("/run/a", json!({ "type": "d", "group": "" })),
        ("/run/a", json!({ "type": "w" })),
        ("/run/a", json!({ "type": "c" })),
        ("/run/a", json!({ "type": "f", "argument": "-" })),
        ("/run/a", json!({ "type": "f", "argument": "100%" })),
        ("/run/a", json!({ "type": "f", "argument": "a\u{0}b" })),
        ("/run/a", json!({ "type": "e" })),
        ("/run/a", json!({ "type": "z" })),
        ("run/a", json!({ "type": "d" })),
        ("", json!({ "type": "d" })),
        ("/", json!({ "type": "d", "mode": "0700" })),
        ("/run/../a", json!({ "type": "d" })),
        ("/run/a\"b", json!({ "type": "d" })),
        ("/run/a\\x20b", json!({ "type": "d" })),
        ("/run/a\nb", json!({ "type": "d" })),
        ("/run/%Z", json!({ "type": "d" })),
        ("x", json!({ "type": "d", "path": "run/a" })),
    ] {
        assert!(said(path, entry.clone()).starts_with("entries."), "{path:?} {entry}");
    }
    for (path, entry) in [
        ("/run/a b", json!({ "type": "d!", "mode": "755", "user": ":1000", "age": "~1week" })),
        ("%t/a", json!({ "type": "D=", "mode": "~:0755", "age": "bmA:1h30min" })),
        ("/run/%%a/", json!({ "type": "f+!", "argument": "%b 100%%" })),
        ("/srv/x", json!({ "type": "w+", "argument": "x" })),
        ("/srv/x", json!({ "type": "f~", "argument": "YWI=" })),
        ("/srv/x", json!({ "type": "L" })),
        ("/srv/x*", json!({ "type": "e", "age": "0" })),
        ("/srv/x", json!({ "type": "e!" })),
        ("/srv/x", json!({ "type": "a+", "argument": "u:daemon:r" })),
    ] {
        assert_eq!(said(path, entry.clone()), "", "{path:?} {entry}");
    }
    for name in ["", "a b", ".a", "tmp", "x11", "systemd"] {
        assert_eq!(mistakes(name, &tmpfiles(json!({ "/a": { "type": "d" } }))).len(), 1, "{name:?}");
    }
    let twice = json!({ "/run/a": { "type": "d" }, "b": { "type": "f", "path": "/run/a/" }, "c": { "type": "z", "path": "/run/a", "mode": "0700" } });
    insta::assert_snapshot!(
        [
            mistakes("app", &Tmpfiles::default()),
            mistakes("app", &tmpfiles(twice)),
            vec![said("run/a", json!({ "type": "L", "mode": "0755", "age": "10x", "argument": "50%" })), said("/a", json!({ "type": "dir" }))],
        ]
        .concat()
        .join("\n"),
        @r#"
    entries: there is no entry
    entries.b: entry "/run/a" decides about /run/a already
    entries.run/a: "run/a" is no absolute path; entries.run/a.age: it is no age; entries.run/a.mode: it does nothing for entries of type `L`; entries.run/a.age: it does nothing for entries of type `L`; entries.run/a.argument: it has a `%` that stands for nothing
    entries./a.type: systemd-tmpfiles has no type "dir"
    "#
    );
}

#[test]
fn accounts_come_first_and_have_to_be_there() {
    let declared = |user: &str| tmpfiles(json!({ "/run/a": { "type": "d", "user": user, "group": ":adm" } }));
    let id = ResourceId::new("tmpfiles", "a");
    let adm = || Claim::needs(Target::Group("adm".into()));
    assert_eq!(declared("app").also_claims(&id), [Claim::needs(Target::User("app".into())), adm()]);
    assert_eq!(declared("root").also_claims(&id), [adm()]);
    let error = converge(&SimHost::debian(13), "app", declared(":ghost")).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::NotFound, "there is no user ghost"));
}

#[test]
#[cfg(all(feature = "testing", feature = "nickel"))]
fn a_trigger_brings_entries_about_after_the_file_and_again_when_it_changes() {
    let site = |mode: &str| {
        let text = format!(
            r#"{{ resources = {{
                tmpfiles.app.entries = {{ "/run/app" = {{ type = "d", mode = "{mode}" }} }},
                trigger.tmpfiles-app = {{ command = "systemd-tmpfiles --create app.conf", sources = ["/etc/tmpfiles.d/app.conf"] }},
            }} }}"#
        );
        provision_core::testing::Site::text(&crate::registry(), &text)
    };
    let host = SimHost::debian(12);
    for mode in ["0755", "0700"] {
        host.take_effects();
        site(mode).converge(&host).unwrap();
        let effects = in_words(&host.take_effects());
        let place = |words: &str| effects.iter().position(|effect| effect == words);
        let (file, run) = (place(&format!("write {FILE}")), place("run systemd-tmpfiles --create app.conf"));
        assert!(file.is_some() && run > file, "{effects:?}");
    }
}

proptest! {
    /// A declaration without mistakes is one line, whose fields are read back.
    #[test]
    fn an_entry_is_one_line(kind in "[fLdw][+!]?", path in "/[a-z %]{1,6}", argument in "[ -~\n\t]{1,12}") {
        let declared = tmpfiles(json!({ path.clone(): { "type": kind.clone(), "argument": argument } }));
        let id = ResourceId::new("tmpfiles", "a");
        prop_assume!(declared.mistakes(&id).is_empty());
        let text = declared.text(&id).unwrap().reveal().unwrap().to_owned();
        let line = text.lines().nth(1).unwrap();
        prop_assert_eq!(text.lines().count(), 2);
        prop_assert_eq!(line.trim(), line);
        prop_assert!(line.starts_with(&kind));
        prop_assert_eq!(declared.means(&text), declared.means(&format!("\n # c\n\t{line}  ")));
    }

    #[test]
    fn no_text_makes_it_panic(kind in ".{0,4}", other in ".{0,12}", text in ".{0,60}") {
        let entry = json!({ "type": kind, "path": other, "mode": other, "user": other, "group": other, "age": other, "argument": other });
        said("a", entry);
        let _ = tmpfiles(json!({})).means(&text);
    }
}
