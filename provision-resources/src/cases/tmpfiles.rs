//! The cases of `tmpfiles`.

use provision_core::sim::SimHost;
use provision_core::testing::Case;
use serde_json::json;

use super::case;
use crate::Tmpfiles;

pub(super) fn cases(release: u32) -> Vec<Case<Tmpfiles>> {
    let bare = || SimHost::debian(release);
    let there = |text: &str| bare().with_file("/etc/tmpfiles.d/app.conf", text);
    let run = || json!({ "entries": { "/run/app": { "type": "d", "mode": "0750" } } });
    let own = json!({ "entries": { "/run/app": { "type": "d", "user": "anna", "group": "anna", "age": "10d" } } });
    vec![
        case("absent", bare(), "app", run()),
        case("of a user", bare().with_user("anna"), "app", own),
        case("drifted", there("d /run/app 0755\n"), "app", run()),
        case("in other words", there("# mine\n\nd  /run/app\t0750 -"), "app", run()),
        case("gone", there("d /run/app 0755\n"), "app", json!({ "ensure": "absent" })),
    ]
}
