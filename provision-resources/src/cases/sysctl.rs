//! The cases of `sysctl`: keys that every network namespace has of its own, so that a container may set them.

use provision_core::sim::SimHost;
use provision_core::testing::Case;
use serde_json::json;

use super::case;
use crate::Sysctl;

pub(super) fn cases(release: u32) -> Vec<Case<Sysctl>> {
    let bare = || SimHost::debian(release);
    let key = "net.ipv4.tcp_fin_timeout";
    let there = |text: &str| bare().with_file("/etc/sysctl.d/60-provision-net.ipv4.tcp_fin_timeout.conf", text);
    vec![
        case("absent", bare(), key, json!({ "value": 31 })),
        case("only the file", bare(), "net.ipv4.tcp_sack", json!({ "value": true })),
        case("drifted", there("net.ipv4.tcp_fin_timeout = 20\n"), key, json!({ "value": "32" })),
        case("in other words", there("# mine\nnet.ipv4.tcp_fin_timeout=33\n"), key, json!({ "value": 33 })),
        case("several words", bare(), "net.ipv4.ip_local_port_range", json!({ "value": "20000 60000" })),
        case(
            "later",
            bare(),
            "net.ipv4.conf.wg0/7.rp_filter",
            json!({ "value": 1, "ignore_missing": true, "order": 70 }),
        ),
        case("at the next boot", bare(), "kernel.sysrq", json!({ "value": 0, "apply": false })),
        case("gone", there("net.ipv4.tcp_fin_timeout = 20\n"), key, json!({ "ensure": "absent" })),
    ]
}
