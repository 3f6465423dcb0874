//! The cases of `apt_source`: none is fetched, as no list is asked for.

use provision_core::sim::SimHost;
use provision_core::testing::Case;
use serde_json::json;

use super::case;
use crate::AptSource;

pub(super) fn cases(release: u32) -> Vec<Case<AptSource>> {
    let bare = || SimHost::debian(release);
    let other = || {
        let text = "# by hand\nTypes: deb\nURIs: file:/srv/other\nSuites: ./\nTrusted: yes\n";
        bare().with_file("/etc/apt/sources.list.d/local.sources", text)
    };
    let source = json!({ "uris": ["file:/srv/packages"], "suites": ["./"], "options": { "Trusted": true } });
    vec![
        case("absent", bare(), "local", source.clone()),
        case("drifted", other(), "local", source),
        case(
            "in other words",
            other(),
            "local",
            json!({ "uris": ["file:/srv/other"], "suites": ["./"], "options": { "Trusted": true } }),
        ),
        case(
            "off",
            bare(),
            "local",
            json!({ "enabled": false, "uris": ["file:/srv/x"], "suites": ["stable"], "components": ["main"] }),
        ),
        case("gone", other(), "local", json!({ "ensure": "absent" })),
    ]
}
