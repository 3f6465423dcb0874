//! Cases of `unit`.

use provision_core::sim::SimHost;
use provision_core::testing::Case;
use serde_json::json;

use super::case;
use crate::Unit;

pub(super) fn cases(release: u32) -> Vec<Case<Unit>> {
    let bare = || SimHost::debian(release);
    let there = |text: &str| bare().with_file("/etc/systemd/system/app.service", text);
    let same =
        "# mine\n[Install]\nWantedBy=multi-user.target\n[Service]\nExecStart=/bin/sleep infinity\nUser = games\n";
    let settings = json!({
        "Service": { "ExecStart": "/bin/sleep infinity", "User": "games" },
        "Install": { "WantedBy": "multi-user.target" },
    });
    let app = || json!({ "settings": settings });
    let timer = "[Timer]\nOnCalendar=yearly\n[Install]\nWantedBy=timers.target\n";
    let oneshot = json!({ "Service": { "Type": "oneshot", "ExecStart": "/bin/true" } });
    vec![
        case("absent", bare(), "app.service", app()),
        case("as a text", bare(), "app.timer", json!({ "content": timer })),
        case("drifted", there("[Service]\nExecStart=/bin/true\n"), "app.service", app()),
        case("in other words", there(same), "app.service", app()),
        case("masked", bare().with_link("/etc/systemd/system/app.service", "/dev/null"), "app.service", app()),
        // One that does not run: what a timer of the host waits for would be another time afterwards.
        case("in the place of another", bare(), "apt-daily.service", json!({ "settings": oneshot, "override": true })),
        case("gone", there(same), "app.service", json!({ "ensure": "absent" })),
        case(
            "gone while it is enabled",
            there(same).with_link(
                "/etc/systemd/system/multi-user.target.wants/app.service",
                "/etc/systemd/system/app.service",
            ),
            "app.service",
            json!({ "ensure": "absent" }),
        ),
    ]
}
