use std::collections::BTreeMap;

use provision_core::host::{HostViewExt, PackageState};
use provision_core::sim::SimHost;
use serde_json::{Value, json};

use super::*;
use crate::converging::{converge, declare, fails, mistakes};

fn at(version: &str, hold: bool) -> PackageState {
    let version = Some(version.to_owned());
    PackageState { status: PackageStatus::Installed, version, hold, ..PackageState::default() }
}

fn with(status: PackageStatus) -> PackageState {
    PackageState { status, version: Some("1.0".into()), ..PackageState::default() }
}

/// A host with `hello` in a version, and three on offer: the preferred one is not the highest.
fn offering(state: PackageState) -> SimHost {
    SimHost::debian(12)
        .with_package_state("hello", state)
        .with_available_versions("hello", &["2.10-3", "3.0~rc1", "2.9", "1:0.5"])
}

fn nothing(host: &SimHost, name: &str, attributes: Value) {
    assert_eq!(converge::<Package>(host, name, attributes).words(), [""; 0]);
}

#[test]
fn a_package_comes_and_goes_in_one_effect() {
    let host = SimHost::debian(12);
    let done = converge::<Package>(&host, "cron", json!({}));
    assert_eq!(done.words(), ["install cron"]);
    assert_eq!((done.now, done.want), (json!({ "presence": "absent" }), json!({ "presence": "installed" })));
    assert_eq!(converge::<Package>(&host, "cron", json!({ "ensure": "absent" })).words(), ["remove cron"]);
    nothing(&host, "cron", json!({ "ensure": "absent" }));
    let done = converge::<Package>(&host, "cron", json!({ "ensure": "purged" }));
    assert_eq!(done.words(), ["purge cron"]);
    assert_eq!(done.now, json!({ "presence": "config_files" }));
    nothing(&host, "cron", json!({ "ensure": "purged" }));
}

#[test]
fn the_options_reach_the_transaction() {
    let host = SimHost::debian(12);
    let attributes = json!({
        "recommends": false, "conffiles": "new", "allow_removals": true, "allow_downgrade": true, "lists_max_age": "2h",
    });
    let done = converge::<Package>(&host, "git", attributes);
    let [Effect::Platform(PlatformEffect::Packages(transaction))] = &done.effects[..] else {
        panic!("{:?}", done.effects)
    };
    assert_eq!(
        transaction.options,
        PackageOptions { recommends: false, conffiles: Conffiles::New, allow_removals: true, allow_downgrade: true }
    );
    assert_eq!(host.package("less").unwrap().status, PackageStatus::Absent);
}

#[test]
fn an_interrupted_package_is_not_there_yet() {
    let host = offering(with(PackageStatus::Interrupted));
    let done = converge::<Package>(&host, "hello", json!({}));
    assert_eq!(done.words(), ["install hello"]);
    assert_eq!(done.now, json!({ "presence": "interrupted" }));
    let host = offering(with(PackageStatus::Interrupted));
    assert_eq!(converge::<Package>(&host, "hello", json!({ "ensure": "absent" })).words(), ["remove hello"]);
    let host = offering(with(PackageStatus::ConfigFiles));
    assert_eq!(converge::<Package>(&host, "hello", json!({})).now, json!({ "presence": "absent" }));
}

#[test]
fn a_virtual_package_is_satisfied_by_its_providers() {
    let host = SimHost::debian(12).with_package("nginx");
    nothing(&host, "httpd", json!({}));
    nothing(&host, "httpd", json!({ "ensure": "absent" }));
    let error = fails::<Package>(&host, "httpd", json!({ "ensure": "latest" }));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().is_some_and(|hint| hint.contains("virtual")), "{error:?}");
    // apt chooses none of several.
    let error = fails::<Package>(&SimHost::debian(12), "mail-transport-agent", json!({}));
    assert_eq!((error.kind(), error.message()), (ErrorKind::NotFound, "mail-transport-agent is a virtual package"));
    assert!(error.hint().is_some_and(|hint| hint.contains("exim4-daemon-light")), "{error:?}");
}

/// 339 names in Debian 13, such as `resolvconf`, are those of a package and provided by another.
#[test]
fn a_package_is_not_there_because_another_one_provides_its_name() {
    nothing(&SimHost::debian(12), "awk", json!({}));
    let host = SimHost::debian(12).with_available_versions("awk", &["1"]);
    assert_eq!(host.package("awk").unwrap().provided_by, [""; 0]);
    let done = converge::<Package>(&host, "awk", json!({}));
    assert_eq!(done.now, json!({ "presence": "absent" }));
}

#[test]
fn what_is_virtual_cannot_be_marked() {
    for (attributes, mark) in [(json!({ "hold": true }), "hold"), (json!({ "automatic": true }), "automatic")] {
        let error = fails::<Package>(&SimHost::debian(12).with_package("nginx"), "httpd", attributes.clone());
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert_eq!(error.message(), format!("httpd is a virtual package, so `{mark}` cannot be set for it"));
        assert!(error.hint().is_some_and(|hint| hint.contains("nginx")), "{error:?}");
        let error = fails::<Package>(&SimHost::debian(12), "httpd", attributes);
        assert_eq!(error.kind(), ErrorKind::Refused);
    }
    nothing(&SimHost::debian(12).with_package("nginx"), "httpd", json!({ "hold": false }));
}

/// After chef#9832 and #9132: what has no package anywhere is absent, and what was removed is purged.
#[test]
fn what_no_source_has_is_absent() {
    for ensure in ["absent", "purged"] {
        nothing(&SimHost::debian(12), "no-such-package", json!({ "ensure": ensure }));
    }
}

#[test]
fn latest_is_what_the_package_manager_prefers() {
    let latest = || json!({ "ensure": "latest" });
    let done = converge::<Package>(&offering(at("2.9", false)), "hello", latest());
    assert_eq!(done.words(), ["install hello=2.10-3"]);
    assert_eq!(done.now, json!({ "presence": "installed", "version": "2.9", "candidate": "2.10-3" }));
    assert_eq!(converge::<Package>(&SimHost::debian(12), "hello", latest()).words(), ["install hello=2.10-3"]);
    nothing(&offering(at("2.10-3", false)), "hello", latest());
    // What is later than that stays, unless a downgrade is allowed.
    nothing(&offering(at("3.0", false)), "hello", latest());
    let done = converge::<Package>(
        &offering(at("3.0", false)),
        "hello",
        json!({ "ensure": "latest", "allow_downgrade": true }),
    );
    assert_eq!(done.words(), ["install hello=2.10-3"]);
    // It was installed from a file, and no source has it.
    nothing(&SimHost::debian(12).with_package_state("own", at("1.0", false)), "own", latest());
    assert_eq!(fails::<Package>(&SimHost::debian(12), "own", latest()).kind(), ErrorKind::NotFound);
}

#[test]
fn bounds_are_kept_and_otherwise_met_by_the_preferred_or_the_highest_version() {
    let versions = BTreeMap::from([
        (">= 2.9", Some("2.10-3")),
        (">> 2.10-3, << 1:0", Some("3.0~rc1")),
        ("<< 2.10", Some("2.9")),
        (">= 1:0", Some("1:0.5")),
        ("2.9", Some("2.9")),
        (">= 3.0, << 1:0", None),
        ("2.11", None),
    ]);
    for (wanted, chosen) in versions {
        let (host, attributes) = (offering(PackageState::default()), json!({ "version": wanted }));
        match chosen {
            Some(version) => {
                let done = converge::<Package>(&host, "hello", attributes);
                assert_eq!(done.words(), [format!("install hello={version}")], "{wanted}");
            }
            None => {
                let error = fails::<Package>(&host, "hello", attributes);
                assert_eq!(error.kind(), ErrorKind::NotFound, "{wanted}");
                assert_eq!(error.hint(), Some("available: 2.10-3, 3.0~rc1, 2.9, 1:0.5"));
            }
        }
    }
    nothing(&offering(at("2.9", false)), "hello", json!({ "version": ">= 2.5" }));
    // No source needs to offer what is installed.
    nothing(&offering(at("2.8", false)), "hello", json!({ "version": "2.8" }));
    let error = fails::<Package>(&SimHost::debian(12), "nothing", json!({ "version": "1" }));
    assert_eq!(error.message(), "no package source offers nothing in version \"1\"");
}

#[test]
fn a_lower_version_takes_a_word() {
    for wanted in ["2.9", "<< 2.10"] {
        let error = fails::<Package>(&offering(at("2.10-3", false)), "hello", json!({ "version": wanted }));
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.hint().is_some_and(|hint| hint.contains("allow_downgrade")), "{error:?}");
        let host = offering(at("2.10-3", false));
        let done = converge::<Package>(&host, "hello", json!({ "version": wanted, "allow_downgrade": true }));
        assert_eq!(done.words(), ["install hello=2.9"]);
    }
}

#[test]
fn a_hold_is_kept_released_or_in_the_way() {
    let held = || offering(at("2.9", true));
    nothing(&held(), "hello", json!({}));
    nothing(&held(), "hello", json!({ "hold": true }));
    assert_eq!(converge::<Package>(&held(), "hello", json!({ "hold": false })).words(), ["unhold hello"]);
    let done = converge::<Package>(&offering(at("2.9", false)), "hello", json!({ "hold": true }));
    assert_eq!(
        (done.words(), done.now),
        (vec!["hold hello".into()], json!({ "presence": "installed", "hold": false }))
    );
    let new = converge::<Package>(&SimHost::debian(12), "hello", json!({ "hold": true }));
    assert_eq!(new.words(), ["install hello, hold hello"]);

    for attributes in [json!({ "version": "2.10-3" }), json!({ "ensure": "latest" }), json!({ "ensure": "absent" })] {
        let error = fails::<Package>(&held(), "hello", attributes);
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::Refused, "package hello is held, so it is not changed")
        );
    }
    let absent =
        || SimHost::debian(12).with_package_state("hello", PackageState { hold: true, ..PackageState::default() });
    let error = fails::<Package>(&absent(), "hello", json!({}));
    assert_eq!((error.kind(), error.message()), (ErrorKind::Refused, "package hello is held, so it is not changed"));
    let done = converge::<Package>(&absent(), "hello", json!({ "hold": false }));
    assert_eq!(done.words(), ["install hello, unhold hello"]);
    let done = converge::<Package>(&held(), "hello", json!({ "version": "2.10-3", "hold": true }));
    assert_eq!(done.words(), ["install hello=2.10-3, hold hello, unhold hello"]);
    let done = converge::<Package>(&held(), "hello", json!({ "ensure": "latest", "hold": false }));
    assert_eq!(done.words(), ["install hello=2.10-3, unhold hello"]);
    let done = converge::<Package>(&held(), "hello", json!({ "ensure": "purged", "hold": false }));
    assert_eq!(done.words(), ["purge hello, unhold hello"]);
}

#[test]
fn mistakes_are_reported_at_once_with_help() {
    let found = mistakes::<Package>("Nginx", json!({ "ensure": "purged", "version": "1.*", "hold": true }));
    let attributes: Vec<&str> = found.iter().map(|mistake| mistake.path.first().map_or("", String::as_str)).collect();
    assert_eq!(attributes, ["", "version", "version", "hold"]);
    assert!(found.iter().all(|mistake| mistake.help.is_some()));
    assert!(found[2].help.as_deref().is_some_and(|help| help.contains("\">= 1\"")), "{found:?}");
    for good in ["libstdc++6", "libc6:i386", "0ad", "g++-12"] {
        assert_eq!(mistakes::<Package>(good, json!({})), [], "{good}");
    }
    for bad in [
        "",
        "x",
        "-y",
        "a b",
        "nginx:",
        "nginx:AMD64",
        "nginx=1.0",
        "nginx/sid",
        "nginx^",
        "nginx*",
        "ngi?x",
        "ngïnx",
        "nginx:any",
        "nginx:native",
    ] {
        assert_eq!(mistakes::<Package>(bad, json!({})).len(), 1, "{bad}");
    }
    for bad in ["", "latest", ">= ", "~> 1.2", "1.0 || 2.0", "v1.2", "1.0-"] {
        assert_eq!(mistakes::<Package>("nginx", json!({ "version": bad })).len(), 1, "{bad}");
    }
    assert_eq!(mistakes::<Package>("nginx", json!({ "ensure": "latest", "version": "1.0" })).len(), 1);
    assert_eq!(mistakes::<Package>("nginx", json!({ "ensure": "absent", "automatic": true })).len(), 1);
    assert!(serde_json::from_value::<Package>(json!({ "vrsion": "1" })).is_err());
    assert!(serde_json::from_value::<Package>(json!({ "lists_max_age": "soon" })).is_err());
}

#[test]
fn a_removed_package_goes_after_what_needs_it() {
    let id = ResourceId::new("package", "nginx");
    let target = || Target::Package("nginx".into());
    let claims = declare::<Package>(json!({})).claims(&id);
    assert_eq!(claims, [Claim::owns(target()), Claim::needs(PackageManager::target())]);
    assert_eq!(declare::<Package>(json!({ "ensure": "absent" })).claims(&id)[0], Claim::removes(target()));
}
