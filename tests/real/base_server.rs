//! The base server of the examples, on booted hosts.

use crate::host::{Booted, Result};
use crate::scenarios::{contains, converge, same};

/// The role as a container can have it.
const SITE: &str = r#"
let base = import "roles/base.ncl" in
base {
  container = true,
  admins.anna = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMZrQMYQo5xFJYPHlb9v0jXxYH2GhNrOfgS3zSgTwn1l anna",
}
"#;

const PLACE: &str = "/root/examples/base-server/container.ncl";

/// What something else does to the host, and what is asked of it once it is mended.
const DRIFTS: [(&str, &str); 10] = [
    ("echo 'anna ALL = ALL' > /etc/sudoers.d/10-admins", "sudo -l -U anna | grep -q 'NOPASSWD: ALL'"),
    ("rm /etc/ssh/sshd_config.d/10-base.conf", "sshd -T | grep -q '^permitrootlogin no'"),
    ("sysctl -q -w net.ipv4.conf.all.rp_filter=0", "test $(cat /proc/sys/net/ipv4/conf/all/rp_filter) = 1"),
    (
        "echo 'kernel.sysrq = 1' > /etc/sysctl.d/60-provision-kernel.sysrq.conf",
        "grep -q 'sysrq = 0' /etc/sysctl.d/60-provision-kernel.sysrq.conf",
    ),
    (
        "echo > /etc/systemd/journald.conf.d/zz-base.conf",
        "systemd-analyze cat-config systemd/journald.conf | grep -q '^SystemMaxUse=500M'",
    ),
    (
        "echo '* - core unlimited' > /etc/security/limits.d/10-core.conf",
        "su -s /bin/sh -c 'ulimit -c' anna | grep -qx 0",
    ),
    ("echo 'minlen = 6' > /etc/security/pwquality.conf.d/base.conf", "! echo Ab1-cdef | pwscore 2> /dev/null"),
    (
        "echo 'APT::Periodic::Unattended-Upgrade \"0\";' > /etc/apt/apt.conf.d/52provision-unattended-upgrades",
        "apt-config dump | grep -q 'APT::Periodic::Unattended-Upgrade \"1\"'",
    ),
    ("rm /etc/systemd/system/ssh.service.d/hardening.conf", "systemctl show ssh -p ProtectHome | grep -q read-only"),
    ("gpasswd -d anna admins", "id -nG anna | grep -qw admins"),
];

pub fn a_base_server_converges_and_every_drift_is_mended(release: &'static str) -> Result {
    let host = Booted::new(release)?;
    host.directory().write(PLACE, SITE)?;
    converge(&host, PLACE)?;
    for (drift, mended) in DRIFTS {
        let failed = |error: String| format!("after {drift}: {error}");
        host.inside(&["sh", "-c", drift])?.expect(0).map_err(failed)?;
        contains("apply", &host.provision(&["apply", PLACE])?.expect(0).map_err(failed)?.out, "changed")
            .map_err(failed)?;
        host.inside(&["sh", "-c", mended])?.expect(0).map_err(failed)?;
        contains("apply", &host.provision(&["apply", PLACE])?.expect(0)?.out, "Nothing to do").map_err(failed)?;
    }
    host.inside(&["logrotate", "-d", "/etc/logrotate.d/admin"])?.expect(0)?;
    host.inside(&["visudo", "-c", "-s"])?.expect(0)?;
    same("units that failed", &host.inside(&["systemctl", "--failed", "--no-legend"])?.out, "")
}
