//! Cases of `timer`.

use provision_core::sim::SimHost;
use provision_core::testing::Case;
use serde_json::json;

use super::case;
use crate::Timer;

pub(super) fn cases(release: u32) -> Vec<Case<Timer>> {
    let bare = || SimHost::debian(release);
    let there = |text: &str| bare().with_file("/etc/systemd/system/backup.timer", text);
    let same = "# mine\n[Install]\nWantedBy=timers.target\n[Timer]\nOnCalendar=yearly\nUnit=apt-daily.service\n";
    let yearly = || json!({ "calendar": "yearly", "unit": "apt-daily.service" });
    vec![
        case("absent", bare(), "backup", yearly()),
        case(
            "with a command",
            bare(),
            "backup",
            json!({ "calendar": "yearly", "command": "true 50%", "user": "games" }),
        ),
        case(
            "by a span",
            bare(),
            "backup",
            json!({ "every": "12h", "after_boot": "10h", "unit": "apt-daily.service" }),
        ),
        case("drifted", there("[Timer]\nOnBootSec=1d\n"), "backup", yearly()),
        case("in other words", there(same), "backup", yearly()),
        case("gone", there(same), "backup", json!({ "ensure": "absent" })),
    ]
}
