//! The cases of `unattended_upgrades`.

use provision_core::sim::SimHost;
use provision_core::testing::Case;
use serde_json::json;

use super::case;
use crate::UnattendedUpgrades;

pub(super) fn cases(release: u32) -> Vec<Case<UnattendedUpgrades>> {
    let bare = || SimHost::debian(release).with_package("unattended-upgrades");
    let there = |text: &str| bare().with_file("/etc/apt/apt.conf.d/52provision-unattended-upgrades", text);
    let off = "# mine\nAPT::Periodic { Unattended-Upgrade \"0\"; Update-Package-Lists \"0\"; };\n";
    let security = json!({ "origins": ["origin=Debian,label=Debian-Security"], "exclude": ["linux-"], "mail": "root" });
    vec![
        case("absent", bare(), "security", security),
        case("drifted", there(off), "security", json!({})),
        case("in other words", there(off), "security", json!({ "enabled": false })),
        case("gone", there(off), "security", json!({ "ensure": "absent" })),
    ]
}
