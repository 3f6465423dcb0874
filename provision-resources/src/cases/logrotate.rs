//! The cases of `logrotate`.

use provision_core::sim::SimHost;
use provision_core::testing::Case;
use serde_json::json;

use super::case;
use crate::Logrotate;

pub(super) fn cases(release: u32) -> Vec<Case<Logrotate>> {
    let bare = || SimHost::debian(release).with_package("logrotate");
    let there = |text: &str| bare().with_file("/etc/logrotate.d/app", text);
    let daily = || json!({ "paths": ["/var/log/app.log"], "settings": { "daily": true, "missingok": true } });
    let own = json!({ "paths": ["/var/log/app.log"], "settings": { "su": "anna anna", "postrotate": "true\n" } });
    vec![
        case("absent", bare(), "app", daily()),
        case("of a user", bare().with_user("anna"), "app", own),
        case("drifted", there("/var/log/app.log { weekly }\n"), "app", daily()),
        case("in other words", there("# mine\n\"/var/log/app.log\"\n{\n\tdaily\n\n\tmissingok\n}"), "app", daily()),
        case(
            "ignored for its mode",
            there("\"/var/log/app.log\"\n{\ndaily\nmissingok\n}\n").with_access(
                "/etc/logrotate.d/app",
                "games",
                "games",
                0o664,
            ),
            "app",
            daily(),
        ),
        case("gone", there("/var/log/app.log { weekly }\n"), "app", json!({ "ensure": "absent" })),
    ]
}
