//! The cases of `journald`.

use provision_core::sim::SimHost;
use provision_core::testing::Case;
use serde_json::json;

use super::case;
use crate::Journald;

pub(super) fn cases(release: u32) -> Vec<Case<Journald>> {
    let bare = || SimHost::debian(release);
    let there = |text: &str| bare().with_file("/etc/systemd/journald.conf.d/60-size.conf", text);
    let size = || json!({ "settings": { "SystemMaxUse": "100M", "Compress": false } });
    vec![
        case("absent", bare(), "60-size", size()),
        case("drifted", there("[Journal]\nSystemMaxUse=1G\n"), "60-size", size()),
        case("in other words", there("# mine\n[Journal]\n  SystemMaxUse = 100M\n\nCompress=false"), "60-size", size()),
        case("gone", there("[Journal]\nSystemMaxUse=1G\n"), "60-size", json!({ "ensure": "absent" })),
    ]
}
