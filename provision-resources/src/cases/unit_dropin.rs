//! Cases of `unit_dropin`.

use provision_core::sim::SimHost;
use provision_core::testing::Case;
use serde_json::json;

use super::case;
use crate::UnitDropin;

pub(super) fn cases(release: u32) -> Vec<Case<UnitDropin>> {
    let app = || {
        let text = "[Service]\nExecStart=/bin/sleep infinity\n";
        SimHost::debian(release).with_file("/etc/systemd/system/app.service", text)
    };
    let there = |text: &str| app().with_file("/etc/systemd/system/app.service.d/a.conf", text);
    let nice = || json!({ "settings": { "Service": { "Nice": 5 } } });
    let command = json!([null, "/bin/sleep 1d"]);
    vec![
        case("absent", app(), "app.service/a", nice()),
        case("another command", app(), "app.service/a", json!({ "settings": { "Service": { "ExecStart": command } } })),
        case(
            "of a package",
            SimHost::debian(release),
            "apt-daily.timer/a",
            json!({ "settings": { "Unit": { "After": "a.mount" } } }),
        ),
        case("of all services", app(), "service/a", nice()),
        case("drifted", there("[Service]\nNice=4\n"), "app.service/a", nice()),
        case("in other words", there("# mine\n[Service]\nNice = \\\n 5\n"), "app.service/a", nice()),
        case("gone", there("[Service]\nNice=4\n"), "app.service/a", json!({ "ensure": "absent" })),
    ]
}
