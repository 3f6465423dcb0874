use super::*;
use crate::testing::{converge, in_words, mistakes};
use proptest::prelude::*;
use provision_core::host::HostViewExt;
use provision_core::sim::SimHost;

const FILE: &str = "/etc/security/pwquality.conf.d/site.conf";

fn host() -> SimHost {
    SimHost::debian(13).with_package("libpam-pwquality")
}

fn policy(settings: serde_json::Value) -> PasswordPolicy {
    serde_json::from_value(json!({ "settings": settings })).unwrap()
}

fn said(settings: serde_json::Value) -> String {
    mistakes("site", &policy(settings)).join("; ")
}

#[test]
fn settings_are_a_line_each_and_a_word_that_is_false_is_none() {
    let host = host();
    let settings = json!({
        "minlen": 12, "dcredit": -1, "dictcheck": false, "enforcing": 1, "enforce_for_root": true, "local_users_only": false,
        "badwords": "example acme",
    });
    converge(&host, "site", policy(settings)).unwrap();
    insta::assert_snapshot!(host.read_text(FILE).unwrap().unwrap(), @r"
    # Managed by provision: password_policy:site
    badwords = example acme
    dcredit = -1
    dictcheck = 0
    enforce_for_root
    enforcing = 1
    minlen = 12
    ");
}

/// Names, blanks, comments and mistakes were tried with `pwscore` of Debian 12 and 13.
#[test]
fn the_same_in_other_words_is_left() {
    let declared = || policy(json!({ "minlen": 12, "badwords": "a  b" }));
    let there = |text: &str| host().with_file(FILE, text);
    for same in ["badwords = a  b\nminlen = 12\n", "#\n\n MINLEN=12# c\n\tbadwords\t=\ta  b  "] {
        assert!(converge(&there(same), "site", declared()).unwrap().is_empty(), "{same:?}");
    }
    for other in [
        "badwords = a b\nminlen = 12\n",
        "badwords = a  b\nminlen = 12\nminlen = 8\n",
        "badwords = a  b\nminlen == 12\n",
        "badwords = a  b\nminlen 12\n",
        "badwords = a  b\nminlen = 12\nfoo\n",
        "badwords = a  b\nminlen = 12\n= 1\n",
        "badwords = a  b\r\nminlen = 12\r\n",
        "badwords = a  b\nminlen = 12\u{a0}\n",
        &format!("badwords = a  b\nminlen = 12 #{}\n", "x".repeat(1023)),
        "",
    ] {
        let effects = converge(&there(other), "site", declared()).unwrap();
        assert_eq!(in_words(&effects), [format!("write {FILE}")], "{other:?}");
    }
}

#[test]
fn what_libpwquality_would_change_or_stop_at_is_a_mistake() {
    for settings in [
        json!({}),
        json!({ "minlenn": 12 }),
        json!({ "minlen": 5 }),
        json!({ "minlen": "12" }),
        json!({ "minlen": true }),
        json!({ "minclass": 5 }),
        json!({ "minclass": -1 }),
        json!({ "maxrepeat": -1 }),
        json!({ "usersubstr": 3 }),
        json!({ "enforcing": 2 }),
        json!({ "enforce_for_root": 0 }),
        json!({ "retry": 3 }),
        json!({ "badwords": "" }),
        json!({ "badwords": "a # b" }),
        json!({ "badwords": "a\nb" }),
        json!({ "badwords": "=a" }),
        json!({ "badwords": "x".repeat(1000) }),
        json!({ "dictpath": "words" }),
    ] {
        assert!(!said(settings.clone()).is_empty(), "{settings}");
    }
    assert_eq!(
        said(json!({ "minlen": 6, "ucredit": -2, "minclass": 4, "gecoscheck": true, "dictpath": "/srv/words" })),
        ""
    );
    for name in ["", "a b", ".a", "a/b"] {
        assert_eq!(mistakes(name, &policy(json!({ "minlen": 12 }))).len(), 1, "{name:?}");
    }
    insta::assert_snapshot!(said(json!({ "minlen": 4, "minclas": 3, "retry": 5 })), @r#"settings.minclas: libpwquality has no setting "minclas"; settings.minlen: libpwquality cannot use "4"; settings.retry: the module has `retry=3` in /etc/pam.d/common-password, which decides"#);
}

proptest! {
    #[test]
    fn a_declaration_without_mistakes_is_read_back(words in "[ -~]{1,20}", number in 0..20_i64) {
        let declared = policy(json!({ "badwords": words, "minlen": number }));
        let id = ResourceId::new("password_policy", "a");
        if declared.mistakes(&id).is_empty() {
            let text = declared.text(&id).unwrap().reveal().unwrap().to_owned();
            prop_assert_eq!(declared.means(&text), Some(json!([["badwords", words], ["minlen", number.to_string()]])));
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,60}") {
        let _ = policy(json!({})).means(&text);
    }
}
