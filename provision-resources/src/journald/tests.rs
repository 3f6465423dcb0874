use super::*;
use crate::testing::{converge, in_words, mistakes};
use proptest::prelude::*;
use provision_core::host::HostViewExt;
use provision_core::sim::SimHost;

const FILE: &str = "/etc/systemd/journald.conf.d/60-size.conf";

fn journald(settings: serde_json::Value) -> Journald {
    serde_json::from_value(json!({ "settings": settings })).unwrap()
}

fn said(name: &str, settings: serde_json::Value) -> String {
    mistakes(name, &journald(settings)).join("; ")
}

#[test]
fn settings_are_a_section() {
    let host = SimHost::debian(13);
    let settings = json!({ "Storage": "persistent", "SystemMaxUse": "500M", "Seal": true, "RateLimitBurst": 0 });
    converge(&host, "60-size", journald(settings)).unwrap();
    insta::assert_snapshot!(host.read_text(FILE).unwrap().unwrap(), @r"
    # Managed by provision: journald:60-size
    [Journal]
    RateLimitBurst=0
    Seal=true
    Storage=persistent
    SystemMaxUse=500M
    ");
}

#[test]
fn the_same_in_other_words_is_left() {
    let declared = || journald(json!({ "Storage": "auto", "Seal": true }));
    let there = |text: &str| SimHost::debian(12).with_file(FILE, text);
    for same in ["[Journal]\nStorage=auto\nSeal=true\n", "; a\n\n [Journal]\n\tSeal = true\n#b\nStorage=\tauto"] {
        assert!(converge(&there(same), "60-size", declared()).unwrap().is_empty(), "{same:?}");
    }
    for other in [
        "",
        "Storage=auto\nSeal=true\n",
        "[Journal]\nStorage=auto\nSeal=true # c\n",
        "[Journal]\nStorage=auto\nSeal=true\\\nfalse\n",
        "[Journal]\nStorage=auto\nSeal=true\nSeal=false\n",
        "[Journal]\r\nStorage=auto\r\nSeal=true\r\n",
        "[journal]\nStorage=auto\nSeal=true\n",
        "[Journal\nStorage=auto\nSeal=true\n",
        "\u{feff}[Journal]\nStorage=auto\nSeal=true\n",
        "[Journal]\nStorage=auto\u{a0}\nSeal=true\n",
    ] {
        let effects = converge(&there(other), "60-size", declared()).unwrap();
        assert_eq!(in_words(&effects), [format!("write {FILE}")], "{other:?}");
    }
}

/// Most were tried with journald of Debian 12 and 13. Blanks in sizes, and `m` and `M` in spans, it may take: they are refused
/// because they are easily misread.
#[test]
fn what_journald_would_ignore_is_a_mistake() {
    for (key, value) in [
        ("Storage", json!("disk")),
        ("Storage", json!("")),
        ("systemMaxUse", json!("1G")),
        ("RateLimitInterval", json!(1)),
        ("ForwardToSocket", json!("/run/x")),
        ("SystemMaxUse", json!("100MB")),
        ("SystemMaxUse", json!("100 M")),
        ("SystemMaxUse", json!("100m")),
        ("SystemMaxUse", json!("16E")),
        ("SystemMaxUse", json!("M")),
        ("SystemMaxUse", json!("ü")),
        ("SystemMaxUse", json!("100M # c")),
        ("SystemMaxUse", json!(true)),
        ("SystemKeepFree", json!(-1)),
        ("SystemMaxFiles", json!("5K")),
        ("LineMax", json!(10)),
        ("LineMax", json!("48k")),
        ("Compress", json!("maybe")),
        ("Compress", json!(1)),
        ("Seal", json!("\"yes\"")),
        ("MaxRetentionSec", json!("1m")),
        ("MaxRetentionSec", json!("1M")),
        ("MaxRetentionSec", json!("1fortnight")),
        ("MaxRetentionSec", json!("")),
        ("MaxRetentionSec", json!("1 min 5")),
        ("RateLimitBurst", json!(4_294_967_296_i64)),
        ("MaxLevelStore", json!("warn")),
        ("MaxLevelSyslog", json!(8)),
        ("TTYPath", json!("tty12")),
        ("TTYPath", json!("/dev/../tty")),
        ("SplitMode", json!("login")),
    ] {
        assert!(said("60-a", json!({ key: value })).starts_with(&format!("settings.{key}: ")), "{key} {value}");
    }
    for (key, value) in [
        ("SystemMaxUse", json!(1_000_000)),
        ("SystemMaxUse", json!("15E")),
        ("Compress", json!(false)),
        ("Compress", json!("1K")),
        ("Seal", json!("yes")),
        ("MaxRetentionSec", json!("1month 2weeks")),
        ("MaxRetentionSec", json!("5min20s")),
        ("MaxRetentionSec", json!(0)),
        ("SyncIntervalSec", json!("infinity")),
        ("MaxLevelStore", json!(7)),
        ("MaxLevelWall", json!("emerg")),
        ("TTYPath", json!("/dev/tty12")),
        ("LineMax", json!("48K")),
    ] {
        assert_eq!(said("60-a", json!({ key: value.clone() })), "", "{key} {value}");
    }
    for name in ["", "a b", ".a", "a@b", "a/b"] {
        assert!(said(name, json!({ "Seal": true })).contains("ignores"), "{name:?}");
    }
    assert_eq!(said("60-a", json!({})), "settings: there is no setting");
    insta::assert_snapshot!(
        [said("60-a", json!({ "Storag": "disk", "SystemMaxUse": "1GB", "MaxLevelStore": "warn" })),
         said("60-a", json!({ "Storage": "volatile", "SystemMaxUse": "1G" }))].join("\n"),
        @r#"
    settings.MaxLevelStore: journald cannot use "warn"; settings.Storag: journald has no setting "Storag"; settings.SystemMaxUse: journald cannot use "1GB"
    settings.SystemMaxUse: nothing is stored on disk with `Storage = "volatile"`
    "#
    );
}

#[test]
fn a_file_of_systemd_is_neither_hidden_nor_overlooked() {
    assert!(said("syslog", json!({ "Seal": true })).contains("hide"));
    assert!(said("60-syslog", json!({ "ForwardToSyslog": false })).contains("comes later"));
    assert!(said("syslog-a", json!({ "ForwardToSyslog": false })).contains("comes later"), "`-` comes before `.`");
    assert_eq!(said("zz-syslog", json!({ "ForwardToSyslog": false })), "");
}

#[test]
#[cfg(all(feature = "testing", feature = "nickel"))]
fn the_service_that_is_notified_restarts() {
    let site = provision_core::testing::Site::text(
        &crate::registry(),
        r#"{ resources = {
            journald."60-size" = { settings.Seal = true, notifies = ["service:systemd-journald"] },
            service.systemd-journald = { running = true },
        } }"#,
    );
    for release in provision_core::testing::RELEASES {
        let host = SimHost::debian(release);
        site.converge(&host).unwrap();
        assert_eq!(host.unit("systemd-journald").restarts(), 1);
        provision_core::assert_idempotent!(site, SimHost::debian(release));
    }
}

proptest! {
    /// A declaration without mistakes is read back as it was declared.
    #[test]
    fn what_is_written_means_what_is_declared(key in proptest::sample::select(JOURNALD.keys().collect::<Vec<_>>()), value in "[0-9]{1,4}([KMG]|min|days)?|true|auto|uid|debug|/dev/[a-z]|[ -~]{1,12}") {
        let declared = journald(json!({ key: value.clone() }));
        let id = ResourceId::new("journald", "zz");
        if !declared.mistakes(&id).is_empty() {
            return Ok(());
        }
        let text = declared.text(&id).unwrap().reveal().unwrap().to_owned();
        prop_assert_eq!(declared.means(&text), Some(json!({ "Journal": [[key, value]] })));
    }

    #[test]
    fn no_text_makes_it_panic(value in ".{0,20}", text in ".{0,60}") {
        for key in JOURNALD.keys() {
            said("a", json!({ key: value.clone() }));
        }
        let _ = journald(json!({})).means(&text);
    }
}
