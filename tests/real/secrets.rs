//! A canary on a booted host: a run with secrets that fails half-way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::host::{Booted, Result};
use crate::scenarios::{contains, same};

const PASSWORD: &str = "canary-7Zq4-in-the-coal-mine";
const HASH: &str = "$y$j9T$Q2FuYXJ5Q2FuYXJ5$Q2FuYXJ5Q2FuYXJ5Q2FuYXJ5Q2FuYXJ5Q2FuYXJ5Q2F";

/// The service repeats what it has read, and fails.
const SITE: &str = r#"{ resources = {
  user.app.password = { secret = "app/hash" },
  file."/etc/app.conf" = { content = { secret_template = "password={{db/password}}\n" }, mode = "0600" },
  file."/etc/systemd/system/leaky.service" = {
    content = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=cat /etc/app.conf\nExecStart=false\n",
    notifies = ["service:leaky"],
  },
  service.leaky = { requires = ["file:/etc/app.conf"] },
} }"#;

pub fn a_canary_is_heard_nowhere(release: &'static str) -> Result {
    let host = Booted::new(release)?;
    host.directory().write("/root/site.ncl", SITE)?;
    let prepare = format!(
        "mkdir -p /etc/provision /root/secrets && cd /root \
         && provision secret keygen -o /etc/provision/identity > secrets/.recipients \
         && printf %s '{PASSWORD}' | provision secret encrypt db/password \
         && echo '{HASH}' | provision secret encrypt app/hash"
    );
    host.inside(&["sh", "-c", &prepare])?.expect(0)?;

    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let watcher = std::thread::spawn(move || watch(&told));
    let mut said = String::new();
    let runs: [&[&str]; 7] = [
        &["-vv", "plan", "-o", "/root/site.plan", "/root/site.ncl"],
        &["-vv", "apply", "--detailed-exitcode", "/root/site.ncl"],
        &["--format", "json", "apply", "/root/site.ncl"],
        &["-vv", "apply", "/root/site.plan"],
        &["--format", "json", "show", "1"],
        &["-vv", "rollback", "--plan", "1"],
        &["history"],
    ];
    for arguments in runs {
        let ran = host.provision(arguments)?;
        said += &format!("$ {arguments:?}\n{}{}", ran.out, ran.err);
    }
    stop.store(true, Ordering::Relaxed);
    if watcher.join().map_err(|_| "the watcher failed")? {
        return Err("a secret was an argument of a process".into());
    }
    contains("the run", &said, "leaky.service")?;
    contains("the run", &said, "password=<sensitive>")?;
    for secret in [PASSWORD, HASH] {
        if said.contains(secret) {
            return Err(format!("{secret} was said:\n{said}"));
        }
        // The journal of systemd has what the service itself wrote.
        let search =
            format!("grep -rlF --exclude-dir=journal -- '{secret}' /etc /root /run /tmp /var/lib /var/cache /var/log");
        let found = host.inside(&["sh", "-c", &search])?.out;
        let declared = if secret == HASH { "/etc/shadow" } else { "/etc/app.conf" };
        let found: Vec<&str> = found.lines().filter(|path| *path != "/etc/shadow-").collect();
        same("the files with a secret", &found.join(" "), declared)?;
    }
    Ok(())
}

/// Looks at the arguments of all processes until told to stop; whether one had a secret.
fn watch(stop: &AtomicBool) -> bool {
    let mut found = false;
    while !stop.load(Ordering::Relaxed) {
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            found |= line.contains(PASSWORD) || line.contains(HASH);
        }
    }
    found
}
