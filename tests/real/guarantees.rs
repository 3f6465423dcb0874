//! What holds when something goes wrong: runs are undone, killed and taken up again.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::host::{Booted, Directory, Result, run};
use crate::listing;
use crate::scenarios::{QUICKSTART, WEB_SERVER, contains, no_stray_files, same};

const ROLE: &str = "/root/examples/roles/web2.ncl";

/// How often a run is killed on each release.
const KILLS: u32 = 100;

pub fn a_run_is_undone_in_a_root_directory(release: &'static str) -> Result {
    let host = Directory::new(release)?;
    for site in [QUICKSTART, WEB_SERVER, ROLE] {
        // What is there already is put back as well, and not only taken away.
        host.write("/etc/motd", "as it was\n")?;
        let before = listing::directory(&host)?;
        let path = host.root().join(site.trim_start_matches('/'));
        let path = path.to_str().ok_or("a path")?;
        host.provision(&["apply", path])?.expect(0)?;
        let plan = host.provision(&["rollback", "--plan"])?.expect(0)?.out;
        contains("the plan", &plan, "Packages:")?;
        host.provision(&["rollback"])?.expect(0)?;
        listing::compare(&before, &listing::directory(&host)?).map_err(|error| format!("{site}: {error}"))?;
    }
    Ok(())
}

pub fn a_run_is_undone_on_a_booted_host(release: &'static str) -> Result {
    let host = Booted::new(release)?;
    host.inside(&["groupadd", "keepers"])?.expect(0)?;
    for site in [QUICKSTART, WEB_SERVER, ROLE] {
        host.directory().write("/etc/motd", "as it was\n")?;
        let before = listing::booted(&host)?;
        host.provision(&["apply", site])?.expect(0)?;
        host.provision(&["rollback"])?.expect(0)?;
        listing::compare(&before, &listing::booted(&host)?).map_err(|error| format!("{site}: {error}"))?;
        // What was undone is not pending, and can be done again.
        let history = host.provision(&["history"])?.expect(0)?.out;
        contains("the history", &history, "rollback of run")?;
    }
    Ok(())
}

/// Numbers that look random and are the same every time (xorshift64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

pub fn a_killed_run_is_taken_up_again(release: &'static str) -> Result {
    let host = Booted::new(release)?;
    host.provision(&["apply", WEB_SERVER])?.expect(0)?;
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut died = 0;
    for round in 0..KILLS {
        let wrong = |error| format!("round {round}: {error}");
        // nginx runs with what drifted, so a reload that gets lost is seen from outside.
        let (drift, takes) = match chance.below(8) {
            0 => ("rm -rf /srv/www; userdel deploy", 500),
            1 => ("systemctl stop nginx; chmod 600 /srv/www", 400),
            2 => ("apt-get purge -qy nginx nginx-common >/dev/null 2>&1", 4000),
            3 => {
                ("systemctl disable -q nginx; ln -sf /dev/null /etc/nginx/sites-enabled/default; nginx -s reload", 400)
            }
            _ => ("sed -i s/8080/8099/ /etc/nginx/conf.d/site.conf; systemctl reload nginx", 200),
        };
        host.inside(&["sh", "-c", drift])?;
        let killed = host.start(&["apply", WEB_SERVER])?;
        std::thread::sleep(Duration::from_millis(chance.below(takes)));
        kill_child(killed.id());
        let ended = killed.wait_with_output().map_err(|error| error.to_string())?;
        died += u32::from(!ended.status.success());
        // A program that the killed run had just forked holds its lock until it is executed.
        let next = host.provision(&["apply", "--lock-timeout", "10", WEB_SERVER])?.expect(0).map_err(wrong)?;
        let plan = host.provision(&["plan", "--detailed-exitcode", WEB_SERVER])?.expect(0).map_err(wrong)?;
        contains("the plan", &plan.out, "Nothing to do").map_err(wrong)?;
        same("nginx", &host.inside(&["systemctl", "is-active", "nginx"])?.out, "active").map_err(wrong)?;
        answers(&host, 8080).map_err(|error| format!("round {round} ({drift}): {error}\n{}", next.out))?;
        no_stray_files(&host).map_err(wrong)?;
    }
    // Some are through before they are killed, and some are killed before they begin.
    if died < KILLS / 4 {
        return Err(format!("only {died} of {KILLS} runs were killed before they ended"));
    }
    Ok(())
}

/// Kills the program that nsenter(1) has started, and nothing that this one has started.
fn kill_child(parent: u32) {
    if let Ok(found) = run(&["pgrep", "-P", &parent.to_string()]) {
        for child in found.out.lines() {
            let _ = Command::new("kill").args(["-KILL", child]).stderr(Stdio::null()).status();
        }
    }
}

fn answers(host: &Booted, port: u16) -> Result {
    for _ in 0..50 {
        if host.listens_on(port)? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(format!("nginx does not listen on port {port}: it still has the old configuration"))
}

pub fn one_run_at_a_time(release: &'static str) -> Result {
    let host = Directory::new(release)?;
    host.write("/root/slow.sh", "sleep 4")?;
    host.write(
        "/root/slow.ncl",
        r#"{ resources.file."/etc/slow" = { content = "x", validate = "sh /root/slow.sh %" } }"#,
    )?;
    let site = host.root().join("root/slow.ncl");
    let site = site.to_str().ok_or("a path")?;
    let mut first = host.start(&["apply", site])?;
    std::thread::sleep(Duration::from_millis(1500));
    let refused = host.provision(&["apply", site])?.expect(5)?;
    contains("the error", &refused.err, "is at work on this host for")?;
    contains("the error", &refused.err, "slow.ncl (process")?;
    let waited = host.provision(&["apply", "--lock-timeout", "30", site])?;
    let _ = first.wait();
    contains("the second run", &waited.expect(0)?.err, "waiting for")
}
