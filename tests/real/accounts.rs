//! Users and groups, with the programs of `passwd` as each release has them.

use crate::host::{Directory, Result};
use crate::scenarios::{contains, same};

/// What other programs and administrators leave in account files.
const ODD_LINES: &str = r"printf '# by hand\n+@nis::::::\n\njoerg:x:6000:100:J\366rg:/:/bin/sh\r\n' >> /etc/passwd";

const BEFORE: &str = "groupadd g1; groupadd g2; useradd -M -g g1 swap; groupadd p; useradd -M -g p pu; useradd -M later
    useradd -m -d /srv/shared a1; useradd -d /srv/shared a2
    mkdir /root/before; cp -p /etc/passwd /etc/shadow /etc/group /etc/gshadow /root/before";

const SITE: &str = r#"{ resources = {
    user.newbie = {},
    user."john.doe" = {},
    user.swap = { primary_group = "g2", groups.g1 = true, create_home = false },
    user.pu.ensure = 'absent,
    group.p.ensure = 'absent,
    user.later.create_home = true,
} }"#;

/// All in one run, and back again to the last byte.
pub fn accounts_are_changed_in_one_run_and_no_byte_of_others(release: &'static str) -> Result {
    let host = Directory::new(release)?;
    let shell = |script: &str| host.inside(&["sh", "-c", script]);
    shell(ODD_LINES)?.expect(0)?;
    shell(BEFORE)?.expect(0)?;
    let site = host.root().join("root/accounts.ncl");
    let site = site.to_str().ok_or("a path")?;
    host.write("/root/accounts.ncl", SITE)?;
    host.provision(&["apply", site])?.expect(0)?;
    contains("the second run", &host.provision(&["apply", site])?.expect(0)?.out, "Nothing to do: 6 in sync")?;
    same("groups", &host.inside(&["id", "-nG", "swap"])?.out, "g2 g1")?;
    let mode = if release == "bookworm" { "755" } else { "700" };
    for user in ["later", "newbie"] {
        let home = format!("/home/{user}");
        same("the home", &host.inside(&["stat", "-c", "%U:%G %a", &home])?.out, &format!("{user}:{user} {mode}"))?;
        same("its files", &shell(&format!("ls -A {home} | tr '\n' ' '"))?.out, ".bash_logout .bashrc .profile")?;
    }
    same("other bytes", &shell(r#"grep -ac "$(printf ':J\366rg:/:/bin/sh\r')" /etc/passwd"#)?.out, "1")?;
    host.provision(&["rollback"])?.expect(0)?;
    shell("cd /root/before; for file in *; do cmp $file /etc/$file || exit 1; done")?.expect(0)?;
    same("the homes", &shell("ls /home | wc -l")?.out, "0")?;

    host.write("/root/accounts.ncl", "{ resources.user.a2 = { ensure = 'absent, remove_home = true } }")?;
    let said = host.provision(&["plan", site])?.expect(1)?.out;
    contains("the plan", &said, "user a1 has its home directory in /srv/shared as well")?;
    same("the user", &host.inside(&["id", "-un", "a2"])?.out, "a2")?;
    what_is_mounted_in_a_home_keeps_its_user(&host, site)
}

/// userdel(8) would remove the user and most of the home directory before it fails.
fn what_is_mounted_in_a_home_keeps_its_user(host: &Directory, site: &str) -> Result {
    host.write("/root/accounts.ncl", "{ resources.user.a3 = { ensure = 'absent, remove_home = true } }")?;
    host.inside(&["sh", "-c", "useradd -m a3; mkdir /home/a3/disk; mount -t tmpfs disk /home/a3/disk"])?.expect(0)?;
    let applied = host.provision(&["apply", site]);
    host.inside(&["umount", "/home/a3/disk"])?.expect(0)?;
    contains("the run", &applied?.expect(1)?.out, "something is mounted on `disk`")?;
    same("the user", &host.inside(&["stat", "-c", "%U:%G", "/home/a3", "/home/a3/.bashrc"])?.out, "a3:a3\na3:a3")
}
