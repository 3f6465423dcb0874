//! The cases of `validation`.

use provision_core::sim::SimHost;
use provision_core::testing::Case;
use serde_json::json;

use super::case;
use crate::Validation;

pub(super) fn cases(release: u32) -> Vec<Case<Validation>> {
    let bare = || SimHost::debian(release);
    vec![
        case("of nothing", bare(), "app", json!({ "command": "true", "paths": ["/etc/app"] })),
        case(
            "of what is there",
            bare(),
            "names",
            json!({ "command": ["sh", "-n", "/etc/profile"], "paths": ["/etc"] }),
        ),
    ]
}
