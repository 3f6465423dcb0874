use super::*;
use crate::converging;
use crate::testing::{converge, in_words, mistakes};
use provision_core::host::HostViewExt;
use provision_core::sim::SimHost;

const FILE: &str = "/etc/security/limits.d/deploy.conf";

fn limits(domain: &str, settings: Value) -> PamLimits {
    serde_json::from_value(json!({ "domain": domain, "settings": settings })).unwrap()
}

#[test]
fn limits_are_a_line_each() {
    let host = SimHost::debian(13).with_user("deploy");
    let settings = json!({ "nofile": { "soft": 4096, "hard": 65536 }, "core": 0, "nproc": "unlimited", "nice": -5 });
    converge(&host, "deploy", limits("deploy", settings)).unwrap();
    insta::assert_snapshot!(host.read_text(FILE).unwrap().unwrap(), @r"
    # Managed by provision: pam_limits:deploy
    deploy - core 0
    deploy - nice -5
    deploy soft nofile 4096
    deploy hard nofile 65536
    deploy - nproc unlimited
    ");
}

#[test]
fn the_same_in_other_words_is_left() {
    let declared = || limits("*", json!({ "core": "unlimited" }));
    let there = |text: &str| SimHost::debian(13).with_file(FILE, text);
    for same in ["*\t-  CORE infinity # all\n", "#\n* - core -1", "* - core -\n"] {
        assert!(converge(&there(same), "deploy", declared()).unwrap().is_empty(), "{same:?}");
    }
    for other in ["* soft core unlimited\n", "* - core 0\n", "", "*\u{a0}- core unlimited\n"] {
        assert_eq!(
            in_words(&converge(&there(other), "deploy", declared()).unwrap()),
            [format!("write {FILE}")],
            "{other:?}"
        );
    }
}

#[test]
fn what_pam_would_pass_over_without_a_word_is_a_mistake() {
    let said = |domain: &str, settings: Value| mistakes("a", &limits(domain, settings)).join("; ");
    for (domain, settings) in [
        ("", json!({ "core": 0 })),
        ("a b", json!({ "core": 0 })),
        ("a#b", json!({ "core": 0 })),
        ("deploy", json!({})),
        ("deploy", json!({ "nofile": {} })),
        ("deploy", json!({ "nofiles": 10 })),
        ("deploy", json!({ "nofile": "unlimited" })),
        ("deploy", json!({ "nofile": "4k" })),
        ("deploy", json!({ "nofile": { "soft": 100, "hard": 20 } })),
        ("deploy", json!({ "core": { "soft": "unlimited", "hard": 20 } })),
        ("deploy", json!({ "nice": -21 })),
        ("deploy", json!({ "maxlogins": 0 })),
        ("deploy", json!({ "core": -1 })),
    ] {
        assert!(!said(domain, settings.clone()).is_empty(), "{domain:?} {settings}");
    }
    for domain in ["*", "@adm", "1000:2000", ":1000", "1000:", "@1000:", "deploy"] {
        assert_eq!(said(domain, json!({ "core": { "soft": 0 }, "rtprio": 99, "priority": -20 })), "", "{domain:?}");
    }
    insta::assert_snapshot!(said("deploy", json!({ "nofile": { "soft": "4k" }, "maxlogins": 0, "nice": 40 })), @r#"settings.maxlogins: 0 is too little for `maxlogins`: it is at least 1; settings.nice: 40 cannot be the limit of `nice`: it is from -20 to 19; settings.nofile.soft: "4k" is no amount"#);
    for domain in ["1000", "1000:abc", "2000:1000", "-1:2000", "@", "@1500", "bo*", "%dev", "%", "%:1500"] {
        assert!(!said(domain, json!({ "core": 0 })).is_empty(), "{domain:?}");
    }
    for name in ["", ".a", "a b", "a/b"] {
        assert!(!mistakes(name, &limits("*", json!({ "core": 0 }))).is_empty(), "{name:?}");
    }
    let missing = converging::mistakes::<PamLimits>("a", json!({}));
    assert_eq!(missing.len(), 2, "{missing:?}");
}

#[test]
fn accounts_come_first() {
    let claims = |domain: &str| limits(domain, json!({ "core": 0 })).also_claims(&ResourceId::new("pam_limits", "a"));
    assert_eq!(claims("deploy"), [Claim::needs(Target::User("deploy".into()))]);
    assert_eq!(claims("@ops"), [Claim::needs(Target::Group("ops".into()))]);
    for other in ["*", "root", "1000", "1000:2000", "@1000:2000"] {
        assert_eq!(claims(other), [], "{other}");
    }
}
