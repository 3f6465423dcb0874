//! The cases of `password_policy`.

use provision_core::sim::SimHost;
use provision_core::testing::Case;
use serde_json::json;

use super::case;
use crate::PasswordPolicy;

pub(super) fn cases(release: u32) -> Vec<Case<PasswordPolicy>> {
    let bare = || SimHost::debian(release).with_package("libpam-pwquality");
    let there = |text: &str| bare().with_file("/etc/security/pwquality.conf.d/site.conf", text);
    let long = || json!({ "settings": { "minlen": 12, "enforce_for_root": true } });
    vec![
        case("absent", bare(), "site", long()),
        case("drifted", there("minlen = 8\n"), "site", long()),
        case("in other words", there("# mine\nMINLEN=12 # long\n\nenforce_for_root"), "site", long()),
        case("gone", there("minlen = 8\n"), "site", json!({ "ensure": "absent" })),
    ]
}
