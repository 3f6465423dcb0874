//! The cases of `apt_key`.

use provision_core::sim::SimHost;
use provision_core::testing::Case;
use serde_json::json;

use super::case;
use crate::AptKey;

pub(super) fn cases(release: u32) -> Vec<Case<AptKey>> {
    let bare = || SimHost::debian(release);
    let key = include_str!("../openpgp/example.asc");
    let other = || bare().with_file("/etc/apt/keyrings/example.asc", include_str!("../openpgp/other.asc"));
    let pinned = json!({ "content": key, "fingerprints": ["82A3 A38C 0D96 BD16 FFC5  AE47 6E43 A7FD 71F7 3C35"] });
    vec![
        case("absent", bare(), "example", json!({ "content": key })),
        case("drifted", other(), "example", pinned),
        case("gone", other(), "example", json!({ "ensure": "absent" })),
    ]
}
