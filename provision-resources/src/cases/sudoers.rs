//! The cases of `sudoers`.

use provision_core::sim::SimHost;
use provision_core::testing::Case;
use serde_json::json;

use super::case;
use crate::Sudoers;

pub(super) fn cases(release: u32) -> Vec<Case<Sudoers>> {
    let sudo = || SimHost::debian(release).with_package("sudo");
    let path = "/etc/sudoers.d/deploy";
    let other = || {
        sudo().with_file(path, "# by hand\nroot\tALL = NOPASSWD: /bin/true\n").with_access(path, "root", "root", 0o440)
    };
    let restart = "/usr/bin/systemctl restart app:*";
    let rule = json!({ "users": ["backup"], "groups": ["adm"], "commands": [restart], "password": false });
    vec![
        case("absent", sudo(), "deploy", rule.clone()),
        case("drifted", other(), "deploy", rule),
        case(
            "in other words",
            other(),
            "deploy",
            json!({ "users": ["root"], "commands": ["/bin/true"], "password": false }),
        ),
        case(
            "settings",
            sudo(),
            "10-env",
            json!({ "defaults": { "timestamp_timeout": 5, "insults": false, "editor": "/bin/ed" } }),
        ),
        case(
            "as another user",
            sudo().with_user("anna"),
            "as_anna",
            json!({ "groups": ["sudo"], "run_as": "anna:ALL", "commands": ["ALL"], "tags": ["NOEXEC"] }),
        ),
        case(
            "of an other mode",
            sudo().with_file(path, "root ALL = /bin/true\n"),
            "deploy",
            json!({ "users": ["root"], "commands": ["/bin/true"] }),
        ),
        case("whole", sudo(), "deploy", json!({ "content": "Cmnd_Alias APP = /bin/true\nroot ALL = APP\n" })),
        case("gone", other(), "deploy", json!({ "ensure": "absent" })),
    ]
}
