use super::*;
use crate::Package;
use crate::testing::{converge, in_words, mistakes};
use proptest::prelude::*;
use provision_core::host::HostViewExt;
use provision_core::sim::SimHost;
use provision_core::site::Site;
use serde_json::json;

fn host() -> SimHost {
    SimHost::debian(13).with_package("unattended-upgrades")
}

fn upgrades(attributes: Value) -> UnattendedUpgrades {
    serde_json::from_value(attributes).unwrap()
}

fn said(attributes: Value) -> String {
    mistakes("security", &upgrades(attributes)).join("; ")
}

#[test]
fn the_periodic_settings_and_the_others_are_one_file() {
    let host = host();
    let attributes = json!({
        "origins": ["origin=Debian,codename=${distro_codename}-security,label=Debian-Security"],
        "exclude": ["linux-", "libstdc\\+\\+6$"], "remove_unused": true, "automatic_reboot": true, "reboot_time": "04:30",
        "mail": "root", "only_on_ac": false,
    });
    converge(&host, "security", upgrades(attributes)).unwrap();
    insta::assert_snapshot!(host.read_text(FILE).unwrap().unwrap(), @r##"
    // Managed by provision: unattended_upgrades:security
    APT::Periodic::Unattended-Upgrade "1";
    APT::Periodic::Update-Package-Lists "1";
    #clear Unattended-Upgrade::Allowed-Origins;
    Unattended-Upgrade::Automatic-Reboot "true";
    Unattended-Upgrade::Automatic-Reboot-Time "04:30";
    Unattended-Upgrade::Mail "root";
    Unattended-Upgrade::OnlyOnACPower "false";
    #clear Unattended-Upgrade::Origins-Pattern;
    Unattended-Upgrade::Origins-Pattern:: "origin=Debian,codename=${distro_codename}-security,label=Debian-Security";
    #clear Unattended-Upgrade::Package-Blacklist;
    Unattended-Upgrade::Package-Blacklist:: "linux-";
    Unattended-Upgrade::Package-Blacklist:: "libstdc\+\+6$";
    Unattended-Upgrade::Remove-Unused-Dependencies "true";
    "##);
}

#[test]
fn the_same_in_other_words_is_left_and_a_list_that_is_not_cleared_is_not_the_same() {
    let declared = || upgrades(json!({ "enabled": false, "exclude": ["a"] }));
    let there = |text: &str| host().with_file(FILE, text);
    let periodic = "APT { Periodic { Unattended-Upgrade \"0\"; Update-Package-Lists \"0\"; }; };\n";
    let list = "Unattended-Upgrade::Package-Blacklist { \"a\"; };\n";
    let same = format!("{periodic}#clear Unattended-Upgrade::Package-Blacklist;\n{list}");
    assert!(converge(&there(&same), "security", declared()).unwrap().is_empty());
    for other in [format!("{periodic}{list}"), periodic.to_owned(), same.replace("\"0\"", "\"1\""), String::new()] {
        assert_eq!(in_words(&converge(&there(&other), "security", declared()).unwrap()), [format!("write {FILE}")]);
    }
}

#[test]
fn what_would_upgrade_nothing_or_fail_is_a_mistake() {
    for attributes in [
        json!({ "origins": [] }),
        json!({ "origins": [""] }),
        json!({ "origins": ["Debian"] }),
        json!({ "origins": ["origin=Debian,release=12"] }),
        json!({ "origins": ["origin=Debian=x"] }),
        json!({ "origins": ["origin=Debian,"] }),
        json!({ "origins": ["origin=\"Debian\""] }),
        json!({ "exclude": [""] }),
        json!({ "exclude": ["*"] }),
        json!({ "exclude": ["lib("] }),
        json!({ "exclude": ["a\nb"] }),
        json!({ "reboot_time": "4 o'clock" }),
        json!({ "reboot_time": "24:00" }),
        json!({ "reboot_time": "04:3" }),
        json!({ "reboot_time": "+" }),
        json!({ "reboot_time": "04:30", "automatic_reboot": false }),
        json!({ "mail": "" }),
        json!({ "mail": "a b" }),
    ] {
        assert!(!said(attributes.clone()).is_empty(), "{attributes}");
    }
    for attributes in [
        json!({}),
        json!({ "origins": ["o=Debian Backports, a=stable-backports, l=Debian Backports", "site=x\\,y"], "exclude": [] }),
        json!({ "reboot_time": "now" }),
        json!({ "reboot_time": "+15", "automatic_reboot": true }),
        json!({ "exclude": ["(lib)?xen(store)?", "^bash$"] }),
    ] {
        assert_eq!(said(attributes.clone()), "", "{attributes}");
    }
    insta::assert_snapshot!(said(json!({ "origins": ["Debian"], "exclude": [""], "reboot_time": "25:00" })), @r#"origins.0: unattended-upgrade cannot use "Debian"; exclude.0: unattended-upgrade cannot use ""; reboot_time: shutdown(8) has no time "25:00""#);
}

proptest! {
    #[test]
    fn a_declaration_without_mistakes_is_read_back(origin in "(o|n|label|x)=[ -~]{1,9}", exclude in "[ -~]{1,9}", time in "[0-2][0-9]:[0-5][0-9]|[+][0-9]") {
        let declared = upgrades(json!({ "origins": [origin], "exclude": [exclude], "reboot_time": time }));
        let id = ResourceId::new("unattended_upgrades", "a");
        if declared.mistakes(&id).is_empty() {
            let text = declared.text(&id).unwrap().reveal().unwrap().to_owned();
            let steps = declared.means(&text).unwrap();
            prop_assert!(steps.as_array().unwrap().contains(&json!(["unattended-upgrade::package-blacklist::", exclude])));
            prop_assert!(steps.as_array().unwrap().contains(&json!(["unattended-upgrade::origins-pattern::", origin])));
        }
    }
}

/// Its file lies where the package manager looks, and its package needs the package manager.
#[test]
fn it_comes_after_its_package_and_the_package_manager_does_not_wait_for_it() {
    let mut site = Site::new();
    site.declare("unattended-upgrades", Package::default());
    site.declare("base", UnattendedUpgrades::default().enabled(true));
    let graph = site.into_graph().unwrap();
    assert_eq!(graph.warnings(), []);
    let order: Vec<String> = graph.vertices().map(|vertex| vertex.id.to_string()).collect();
    assert_eq!(order, ["package_manager:apt", "package:unattended-upgrades", "unattended_upgrades:base"]);
}
