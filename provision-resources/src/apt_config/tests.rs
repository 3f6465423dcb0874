use super::*;
use crate::testing::{converge, in_words, mistakes};
use proptest::prelude::*;
use provision_core::host::HostViewExt;
use provision_core::sim::SimHost;
use serde_json::json;

const FILE: &str = "/etc/apt/apt.conf.d/60-local.conf";

fn config(settings: Value) -> AptConfig {
    serde_json::from_value(json!({ "settings": settings })).unwrap()
}

fn said(settings: Value) -> String {
    mistakes("60-local", &config(settings)).join("; ")
}

#[test]
fn settings_are_statements_and_lists_are_cleared_first() {
    let host = SimHost::debian(13);
    let settings = json!({
        "APT::Install-Recommends": false, "Acquire::Retries": 3, "DPkg::Options": ["--force-confold", "--force-confdef"],
        "Acquire::http::Proxy": "http://proxy:3128/#;{", "Acquire::http::Proxy::deb.debian.org:80": "DIRECT", "DPkg::Post-Invoke": [],
    });
    converge(&host, "60-local", config(settings)).unwrap();
    insta::assert_snapshot!(host.read_text(FILE).unwrap().unwrap(), @r##"
    // Managed by provision: apt_config:60-local
    APT::Install-Recommends "false";
    Acquire::Retries "3";
    Acquire::http::Proxy "http://proxy:3128/#;{";
    Acquire::http::Proxy::deb.debian.org:80 "DIRECT";
    #clear DPkg::Options;
    DPkg::Options:: "--force-confold";
    DPkg::Options:: "--force-confdef";
    #clear DPkg::Post-Invoke;
    "##);
}

/// The kinds of statements were tried with `apt-config dump` of Debian 12 and 13; what was not counts as another meaning.
#[test]
fn the_same_in_other_words_is_left() {
    let declared = || config(json!({ "X::Flag": true, "X::List": ["a", "b//"] }));
    let there = |text: &str| SimHost::debian(12).with_file(FILE, text);
    for same in [
        "X::Flag \"true\";\n#clear X::List;\nX::List:: \"a\";\nX::List:: \"b//\";\n",
        "// \" /*\nx::flag\n  \"true\"\n;\n#clear X::List;\n# c {\nX { List { \"a\"; \"b//\"; } };",
        "X { Flag \"true\"; };;\n\t#clear x::list;\nX::List{\"a\";\t\"b//\" ;};",
    ] {
        assert!(converge(&there(same), "60-local", declared()).unwrap().is_empty(), "{same:?}");
    }
    let list = "#clear X::List;\nX::List { \"a\"; \"b//\"; };\n";
    for other in [
        "X::Flag \"true\";\nX::List { \"a\"; \"b//\"; };\n".to_owned(),
        "X::Flag \"true\";\n#clear X::List;\nX::List { \"b//\"; \"a\"; };\n".to_owned(),
        "X::Flag \"true\";\n#clear X::List;\nX::List { \"a\" \"b//\"; };\n".to_owned(),
        format!("X::Flag \"yes\";\n{list}"),
        format!("X::Flag true;\n{list}"),
        format!("X::Flag \"true\"\n{list}"),
        format!("X::Flag \"tr\" \"ue\";\n{list}"),
        format!("X::Flag\"true\";\n{list}"),
        format!("X::Flag \"true\"x;\n{list}"),
        format!("// \n/*\n X::Flag \"false\"; */ X::Flag \"true\";\n{list}"),
        format!("X {{ Flag \"true\";\n{list}"),
        format!("X {{ Flag \"true\";\n{list} }};"),
        format!("X::Flag \"true\";\n{list} #include \"/x\";"),
        format!("X::Flag \"true\"; }};\n{list}"),
        format!("X::Flag \"true\";\r\n{list}"),
        format!("X::Flag \"true\";\n{list}\u{a0}"),
        format!("X::Flag \"true\";\n{list}#clear X::Flag;\n"),
        String::new(),
    ] {
        let effects = converge(&there(&other), "60-local", declared()).unwrap();
        assert_eq!(in_words(&effects), [format!("write {FILE}")], "{other:?}");
    }
}

#[test]
fn what_apt_would_misread_is_a_mistake() {
    for settings in [
        json!({}),
        json!({ "X": "a\"b" }),
        json!({ "X": "a\nb" }),
        json!({ "X": "a\tb" }),
        json!({ "X": ["a", "b\""] }),
        json!({ "": "x" }),
        json!({ "X::": "x" }),
        json!({ "X y": "x" }),
        json!({ "X:::y": "x" }),
        json!({ "http://x": "x" }),
        json!({ "#include": "x" }),
        json!({ "#clear X": "x" }),
        json!({ "X": "1", "x": "1" }),
        json!({ "X": ["1"], "x::y": "1" }),
        json!({ "dir": "/srv" }),
        json!({ "Dir::State::status": "/srv/x" }),
        json!({ "APT::Architecture": "arm64" }),
        json!({ "Acquire::http::Proxy": "http://me:secret@proxy:3128" }),
        json!({ "apt::install-recommends": "maybe" }),
        json!({ "Acquire::Retries": "3s" }),
        json!({ "Acquire::Retries": -1 }),
    ] {
        assert!(!said(settings.clone()).is_empty(), "{settings}");
    }
    for settings in [
        json!({ "X": "1", "X::Y": "1" }),
        json!({ "X": ["1"], "XY": "1" }),
        json!({ "X": "" }),
        json!({ "X": "a\\.b %s // # /* é" }),
        json!({ "Acquire::http::Proxy::host:80": "DIRECT", "APT::Install-Recommends": "no", "Dir::Cache::pkgcache": "" }),
        json!({ "Acquire::http::Proxy": "http://proxy:3128/a@b" }),
        json!({ "APT::Default-Release": "/^trixie(|-security)$/" }),
    ] {
        assert_eq!(said(settings.clone()), "", "{settings}");
    }
    for name in ["", "a b", ".a", "a+b", "a.conf", "a~"] {
        assert_eq!(mistakes(name, &config(json!({ "X": 1 }))).len(), 1, "{name:?}");
    }
    insta::assert_snapshot!(said(json!({ "DPkg::Post-Invoke::": "x", "APT::Install-Recommends": "maybe", "X": "say \"a\"" })), @r#"settings.APT::Install-Recommends: apt would ignore "maybe"; settings.DPkg::Post-Invoke::: `DPkg::Post-Invoke` is a list; settings.X: apt has no way to write a value with `"`, a tab or several lines"#);
}

proptest! {
    /// A declaration without mistakes is read back as it was declared.
    #[test]
    fn what_is_written_means_what_is_declared(key in "[A-Za-z:/#.-]{1,8}", value in "[ -~é]{0,12}", list in any::<bool>()) {
        let declared = config(json!({ key.clone(): if list { json!([value, value]) } else { json!(value) } }));
        let id = ResourceId::new("apt_config", "a");
        prop_assume!(declared.mistakes(&id).is_empty());
        let key = key.to_ascii_lowercase();
        let means = match list {
            false => json!([[key, value]]),
            true => json!([[key, null], [format!("{key}::"), value], [format!("{key}::"), value]]),
        };
        prop_assert_eq!(declared.means(declared.text(&id).unwrap().reveal().unwrap()), Some(means));
    }

    #[test]
    fn no_text_makes_it_panic(key in ".{0,12}", value in ".{0,12}", text in "[ -~\\n\\té]{0,60}") {
        let declared = config(json!({ key: value }));
        let _ = (declared.mistakes(&ResourceId::new("apt_config", "a")), declared.means(&text));
    }
}
