//! The cases of `apt_config`.

use provision_core::sim::SimHost;
use provision_core::testing::Case;
use serde_json::json;

use super::case;
use crate::AptConfig;

pub(super) fn cases(release: u32) -> Vec<Case<AptConfig>> {
    let bare = || SimHost::debian(release);
    let there = |text: &str| bare().with_file("/etc/apt/apt.conf.d/60-local.conf", text);
    let suggests = || json!({ "settings": { "APT::Install-Suggests": false } });
    let list = || json!({ "settings": { "APT::NeverAutoRemove": ["^linux-.*"], "Acquire::Retries": 3 } });
    vec![
        case("absent", bare(), "60-local", list()),
        case("drifted", there("APT::Install-Suggests \"true\";\n"), "60-local", suggests()),
        case("in other words", there("# mine\nAPT {\n  Install-suggests \"false\";\n};\n"), "60-local", suggests()),
        case("gone", there("APT::Install-Suggests \"true\";\n"), "60-local", json!({ "ensure": "absent" })),
    ]
}
