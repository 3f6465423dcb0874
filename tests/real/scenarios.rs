//! What is tried, on each release of Debian.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::host::{Booted, Directory, Result, run};
use crate::{accounts, base_server, guarantees, packages, secrets};

type Scenario = Box<dyn FnOnce() -> Result + Send>;

pub fn all() -> Vec<(String, Scenario)> {
    let mut all: Vec<(String, Scenario)> = Vec::new();
    for release in ["bookworm", "trixie"] {
        let mut add = |name: &str, scenario: fn(&'static str) -> Result| {
            all.push((format!("{release}::{name}"), Box::new(move || scenario(release))));
        };
        add("a_root_directory_converges", a_root_directory_converges);
        add("the_quickstart_converges_on_a_booted_host", the_quickstart_converges_on_a_booted_host);
        add("the_web_server_converges_and_reloads", the_web_server_converges_and_reloads);
        add(
            "a_base_server_converges_and_every_drift_is_mended",
            base_server::a_base_server_converges_and_every_drift_is_mended,
        );
        add("one_program_answers_for_all_units", one_program_answers_for_all_units);
        add("no_drift_is_missed_after_runs_with_nothing_to_do", no_drift_is_missed_after_runs_with_nothing_to_do);
        add("packages_come_and_go", packages_come_and_go);
        add("scripts_of_packages_may_say_something", scripts_of_packages_may_say_something);
        add("an_interrupted_dpkg_is_repaired", an_interrupted_dpkg_is_repaired);
        add("a_locked_dpkg_is_waited_for", a_locked_dpkg_is_waited_for);
        add("a_service_that_fails_shows_its_last_words", a_service_that_fails_shows_its_last_words);
        add("users_and_groups_are_as_declared", users_and_groups_are_as_declared);
        add(
            "accounts_are_changed_in_one_run_and_no_byte_of_others",
            accounts::accounts_are_changed_in_one_run_and_no_byte_of_others,
        );
        add("units_are_reloaded_masked_and_unmasked", units_are_reloaded_masked_and_unmasked);
        add("apt_does_what_is_declared_and_nothing_else", packages::apt_does_what_is_declared_and_nothing_else);
        add("stale_lists_and_failing_scripts_are_survived", packages::stale_lists_and_failing_scripts_are_survived);
        add("an_undeclared_removal_is_refused", an_undeclared_removal_is_refused);
        add("an_interrupt_waits_for_the_effect_in_progress", an_interrupt_waits_for_the_effect_in_progress);
        add("one_run_at_a_time", guarantees::one_run_at_a_time);
        add("a_run_is_undone_in_a_root_directory", guarantees::a_run_is_undone_in_a_root_directory);
        add("a_run_is_undone_on_a_booted_host", guarantees::a_run_is_undone_on_a_booted_host);
        add("a_canary_is_heard_nowhere", secrets::a_canary_is_heard_nowhere);
        add("a_killed_run_is_taken_up_again", guarantees::a_killed_run_is_taken_up_again);
    }
    for release in ["bullseye", "trixie"] {
        let scenario = move || the_static_program_needs_nothing_of_the_host(release);
        all.push((format!("{release}::the_static_program_needs_nothing_of_the_host"), Box::new(scenario)));
    }
    all
}

pub fn same(what: &str, found: &str, expected: &str) -> Result {
    if found.trim() == expected {
        return Ok(());
    }
    Err(format!("{what}: found {:?}, expected {expected:?}", found.trim()))
}

pub fn contains(what: &str, text: &str, part: &str) -> Result {
    if text.contains(part) { Ok(()) } else { Err(format!("{what} does not say {part:?}:\n{text}")) }
}

pub const QUICKSTART: &str = "/root/examples/quickstart/site.ncl";
pub const WEB_SERVER: &str = "/root/examples/web-server/site.ncl";

fn a_root_directory_converges(release: &'static str) -> Result {
    let host = Directory::new(release)?;
    let site = host.root().join(QUICKSTART.trim_start_matches('/'));
    let site = site.to_str().ok_or("a path")?;
    host.provision(&["apply", site])?.expect(0)?;
    contains("the second run", &host.provision(&["apply", site])?.expect(0)?.out, "Nothing to do")?;
    host.provision(&["plan", "--detailed-exitcode", site])?.expect(0)?;
    same("nginx", &host.inside(&["dpkg-query", "-W", "-f", "${Status}", "nginx"])?.out, "install ok installed")?;
    same("deploy", &host.inside(&["id", "-nG", "deploy"])?.out, "deploy www-data")?;
    same("/srv/www", &host.inside(&["stat", "-c", "%U:%G %a", "/srv/www"])?.out, "deploy:www-data 2775")?;
    same("policy-rc.d is gone", &host.inside(&["sh", "-c", "ls /usr/sbin/policy-rc.d 2>/dev/null | wc -l"])?.out, "0")?;
    same("nginx is enabled", &host.inside(&["systemctl", "is-enabled", "nginx"])?.out, "enabled")?;
    units_without_a_service_manager(&host)
}

/// As in chroot(1): units are only enabled and disabled there, and without `/proc` that is said first.
fn units_without_a_service_manager(host: &Directory) -> Result {
    let site = "/root/units.ncl";
    let unit = r"[Service]\nExecStart=/bin/sleep 99\n[Install]\nAlias=nick.service\nWantedBy=multi-user.target\n";
    host.write(
        "/etc/init.d/oldie",
        "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: oldie\n# Default-Start: 2 3 4 5\n### END INIT INFO\n",
    )?;
    host.inside(&["chmod", "755", "/etc/init.d/oldie"])?.expect(0)?;
    host.write(site, "{ resources = {} }")?;
    let said = host.inside(&["provision", "plan", site])?;
    contains("the plan without /proc", &format!("{}{}", said.out, said.err), "/proc is not mounted")?;
    for (wanted, state) in [("{}", "enabled"), ("{ running = false, enabled = false }", "disabled")] {
        let file = format!(r#"file."/etc/systemd/system/real.service".content = "{unit}""#);
        host.write(
            site,
            &format!("{{ resources = {{ {file}, service = {{ nick = {wanted}, oldie = {wanted} }} }} }}"),
        )?;
        for root in ["", "--root /"] {
            let runs = format!(
                "mount -t proc proc /proc && provision {root} apply {site} && provision {root} plan --detailed-exitcode {site}"
            );
            let inside = host.root();
            let inside = inside.to_str().ok_or("a path")?;
            run(&["unshare", "-m", "chroot", inside, "sh", "-c", &runs])?.expect(0)?;
        }
        same("real", &host.inside(&["systemctl", "is-enabled", "real"])?.out, state)?;
        same("oldie", &host.inside(&["systemctl", "is-enabled", "oldie"])?.out, state)?;
    }
    Ok(())
}

/// Plans, applies, applies again, and compares what was planned with what was done.
pub fn converge(host: &Booted, site: &str) -> Result {
    let plan = host.provision(&["--format", "json", "plan", site])?.expect(0)?.out;
    let plan: Value = serde_json::from_str(&plan).map_err(|error| error.to_string())?;
    host.provision(&["plan", "--detailed-exitcode", site])?.expect(2)?;
    let events = host.provision(&["--format", "json", "apply", site])?.expect(0)?.out;
    let report = events.lines().last().ok_or("no events")?;
    let report: Value = serde_json::from_str(report).map_err(|error| error.to_string())?;
    agree(&plan, &report)?;
    contains("the second run", &host.provision(&["apply", site])?.expect(0)?.out, "Nothing to do")?;
    host.provision(&["plan", "--detailed-exitcode", site])?.expect(0)?;
    no_stray_files(host)
}

/// Step by step, what was done is what was planned; only a step that rests on an assumption may be decided anew.
fn agree(plan: &Value, report: &Value) -> Result {
    let planned = plan["steps"].as_array().ok_or("a plan has steps")?;
    let done = report["report"]["steps"].as_array().ok_or("a report has steps")?;
    if planned.len() != done.len() {
        return Err(format!("{} steps were planned, {} reported", planned.len(), done.len()));
    }
    let mut compared = 0;
    for (step, result) in planned.iter().zip(done) {
        same("the step", result["id"].as_str().unwrap_or_default(), step["id"].as_str().unwrap_or_default())?;
        let certain = step["assumes"].as_array().is_none_or(Vec::is_empty) && step["verdict"]["verdict"] != "deferred";
        if certain && step["reaction"].is_null() {
            compared += 1;
            if step["effects"] != result["effects"] {
                return Err(format!("{}: planned {}\ndone {}", step["id"], step["effects"], result["effects"]));
            }
        }
    }
    if compared == 0 { Err("no step was certain".to_owned()) } else { Ok(()) }
}

pub fn no_stray_files(host: &Booted) -> Result {
    let stray = host.inside(&["find", "/etc", "/srv", "/home", "/root", "-name", "*.provision"])?.out;
    same("stray temporary files", &stray, "")
}

fn the_quickstart_converges_on_a_booted_host(release: &'static str) -> Result {
    let host = Booted::new(release)?;
    converge(&host, QUICKSTART)?;
    same("deploy", &host.inside(&["id", "-nG", "deploy"])?.out, "deploy www-data")?;
    same("shell", &host.inside(&["sh", "-c", "getent passwd deploy | cut -d: -f7"])?.out, "/bin/bash")?;
    same("index", &host.inside(&["stat", "-c", "%U:%G %a", "/srv/www/index.html"])?.out, "deploy:www-data 644")?;
    same("nginx", &host.inside(&["systemctl", "is-active", "nginx"])?.out, "active")?;
    host.inside(&[
        "sh",
        "-c",
        "echo drift >> /etc/motd; chown root /srv/www/index.html; systemctl disable -q --now nginx",
    ])?
    .expect(0)?;
    let plan = host.provision(&["plan", "--detailed-exitcode", QUICKSTART])?.expect(2)?.out;
    contains("the plan", &plan, "-drift")?;
    contains("the plan", &plan, "3 to change")?;
    host.provision(&["apply", QUICKSTART])?.expect(0)?;
    host.provision(&["plan", "--detailed-exitcode", QUICKSTART])?.expect(0)?;
    same("nginx", &host.inside(&["systemctl", "is-enabled", "nginx"])?.out, "enabled")
}

/// Packages, accounts and files are read; for the units, one program is asked once.
fn one_program_answers_for_all_units(release: &'static str) -> Result {
    let host = Booted::new(release)?;
    let units = ["systemd-journald", "systemd-logind", "dbus"];
    let units: String =
        units.iter().map(|unit| format!("service.{unit} = {{ running = true, enabled = null }},\n")).collect();
    let site = format!(
        "{{ resources = {{ {units} package = {{ apt = {{}}, dbus = {{}} }}, user.root = {{}}, group.adm = {{}},
           file.\"/etc/motd\".content = \"hello\\n\", directory.\"/srv\" = {{}} }} }}"
    );
    host.directory().write("/root/units.ncl", &site)?;
    host.provision(&["apply", "/root/units.ncl"])?.expect(0)?;
    contains("the second run", &host.provision(&["apply", "/root/units.ncl"])?.expect(0)?.out, "Nothing to do")?;
    let started = host.programs_started(&["apply", "/root/units.ncl"])?;
    if matches!(&started[..], [one] if one.ends_with("/systemctl")) {
        return Ok(());
    }
    Err(format!("these programs were started: {started:?}"))
}

/// Packages, accounts, units and files, after runs that were remembered.
fn no_drift_is_missed_after_runs_with_nothing_to_do(release: &'static str) -> Result {
    let host = Booted::new(release)?;
    let apply = |word: &str| contains("apply", &host.provision(&["apply", QUICKSTART])?.expect(0)?.out, word);
    apply("Done")?;
    for drift in [
        "systemctl stop nginx",
        "systemctl disable nginx",
        "usermod -s /bin/false deploy",
        "gpasswd -d deploy www-data",
        "dpkg --force-depends --remove nginx",
        "chmod 755 /srv/www",
        "true > /srv/www/index.html",
    ] {
        apply("Nothing to do")?;
        let remembered = "ls /var/cache/provision/converged | wc -l";
        same(drift, &host.inside(&["sh", "-c", remembered])?.out, "1")?;
        apply("Nothing to do")?;
        host.inside(&["sh", "-c", drift])?.expect(0)?;
        apply("changed").map_err(|error| format!("after {drift}: {error}"))?;
    }
    Ok(())
}

/// Debian 11 has an older C library than the machine that the program was built on.
fn the_static_program_needs_nothing_of_the_host(release: &'static str) -> Result {
    let host = Booted::with_static_program(release)?;
    converge(&host, QUICKSTART)?;
    same("nginx", &host.inside(&["systemctl", "is-active", "nginx"])?.out, "active")?;
    host.provision(&["rollback"])?.expect(0)?;
    same("deploy", &host.inside(&["sh", "-c", "id deploy 2>/dev/null | wc -l"])?.out, "0")
}

fn the_web_server_converges_and_reloads(release: &'static str) -> Result {
    let host = Booted::new(release)?;
    converge(&host, WEB_SERVER)?;
    let started = || host.inside(&["systemctl", "show", "-p", "ExecMainStartTimestampMonotonic", "nginx"]);
    let before = started()?.out;
    host.inside(&["sh", "-c", "echo '# drift' >> /etc/nginx/conf.d/site.conf"])?.expect(0)?;
    let applied = host.provision(&["apply", WEB_SERVER])?.expect(0)?.out;
    contains("the run", &applied, "reload nginx.service")?;
    same("a reload is no restart", &started()?.out, before.trim())?;
    host.inside(&["nginx", "-t"])?.expect(0)?;
    Ok(())
}

fn packages_come_and_go(release: &'static str) -> Result {
    let host = Booted::new(release)?;
    let site = "/root/packages.ncl";
    let declare = |text: &str| host.directory().write(site, &format!("{{ resources.package = {{ {text} }} }}"));
    let status = |name: &str| host.inside(&["dpkg-query", "-W", "-f", "${Status}", name]).map(|said| said.out);
    declare("hello = {}, less.recommends = true, bc = {}")?;
    converge(&host, site)?;
    let runs = host.inside(&["grep", "-c", "^Commandline: apt-get.*install", "/var/log/apt/history.log"])?.out;
    same("runs of apt-get", &runs, "1")?;
    declare("hello.ensure = 'purged, less.ensure = 'absent, bc = { hold = true }")?;
    let plan = host.provision(&["plan", site])?.expect(0)?.out;
    contains("the plan", &plan, "- hello")?;
    host.provision(&["apply", site])?.expect(0)?;
    host.provision(&["plan", "--detailed-exitcode", site])?.expect(0)?;
    same("bc", &status("bc")?, "hold ok installed")?;
    same("hello", &status("hello")?, "")?;
    declare("\"tree:amd64\" = { conffiles = 'new }")?;
    host.provision(&["apply", site])?.expect(0)?;
    host.provision(&["plan", "--detailed-exitcode", site])?.expect(0)?;
    same("tree", &status("tree:amd64")?, "install ok installed")?;
    declare("gti = {}, hello.version = \"= 99\"")?;
    let wrong = host.provision(&["plan", site])?.expect(1)?.out;
    contains("a missing package", &wrong, "no package source has a package gti")?;
    contains("a missing version", &wrong, "99")?;
    declare("mail-transport-agent = {}")?;
    let applied = host.provision(&["plan", site])?;
    contains("a virtual package", &format!("{}{}", applied.out, applied.err), "mail-transport-agent")
}

/// apt's status protocol once shared the descriptor of standard output, which apt closes for maintainer scripts.
fn scripts_of_packages_may_say_something(release: &'static str) -> Result {
    let host = Directory::new(release)?;
    host.write("/root/cron.ncl", "{ resources.package.cron.recommends = false }")?;
    let site = host.root().join("root/cron.ncl");
    host.provision(&["apply", &site.display().to_string()])?.expect(0)?;
    same("cron", &host.inside(&["dpkg-query", "-W", "-f", "${Status}", "cron"])?.out, "install ok installed")
}

fn an_interrupted_dpkg_is_repaired(release: &'static str) -> Result {
    let host = Booted::new(release)?;
    let site = "/root/packages.ncl";
    host.directory().write(site, "{ resources.package = { hello = {} } }")?;
    host.provision(&["apply", site])?.expect(0)?;
    let tear =
        r"sed -i '/^Package: hello$/,/^$/s/^Status: .*/Status: install ok half-configured/' /var/lib/dpkg/status";
    host.inside(&["sh", "-c", tear])?.expect(0)?;
    let plan = host.provision(&["plan", "--detailed-exitcode", site])?.expect(2)?.out;
    contains("the plan", &plan, "package_manager:apt")?;
    host.provision(&["apply", site])?.expect(0)?;
    same("dpkg --audit", &host.inside(&["dpkg", "--audit"])?.out, "")?;
    host.provision(&["plan", "--detailed-exitcode", site])?.expect(0)?;
    Ok(())
}

fn a_locked_dpkg_is_waited_for(release: &'static str) -> Result {
    let host = Directory::new(release)?;
    let site = host.root().join("root/packages.ncl");
    host.write("/root/packages.ncl", "{ resources.package = { hello = {} } }")?;
    let site = site.to_str().ok_or("a path")?;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(host.root().join("var/lib/dpkg/lock-frontend"))
        .map_err(|error| error.to_string())?;
    let lock = nix::libc::flock {
        l_type: nix::libc::F_WRLCK as i16,
        l_whence: nix::libc::SEEK_SET as i16,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETLK(&lock)).map_err(|error| error.to_string())?;
    let held = Duration::from_secs(6);
    let release_later = std::thread::spawn(move || {
        std::thread::sleep(held);
        drop(file);
    });
    let started = Instant::now();
    let events = host.provision(&["--format", "json", "apply", site])?.expect(0)?.out;
    release_later.join().map_err(|_| "the lock holder panicked")?;
    contains("the events", &events, "waiting for real")?;
    contains("the events", &events, "lock-frontend")?;
    if started.elapsed() < held { Err("it did not wait".to_owned()) } else { Ok(()) }
}

fn a_service_that_fails_shows_its_last_words(release: &'static str) -> Result {
    let host = Booted::new(release)?;
    let site = "/root/broken.ncl";
    host.directory().write(
        site,
        r#"{ resources = {
            file."/etc/systemd/system/broken.service".content =
              "[Service]\nExecStart=/bin/sh -c 'echo the dog ate it >&2; exit 3'\n[Install]\nWantedBy=multi-user.target\n",
            service.broken.subscribes = ["file:/etc/systemd/system/broken.service"],
            file."/etc/motd".content = "independent\n",
            # One dies a moment after its start, one is restarted for ever, one has a condition that does not hold.
            file."/etc/systemd/system/late.service".content =
              "[Service]\nExecStart=/bin/sh -c 'sleep 1; echo the cat too; exit 4'\n[Install]\nWantedBy=multi-user.target\n",
            service.late = {},
            file."/etc/systemd/system/again.service".content =
              "[Service]\nRestart=always\nRestartSec=0.2\nExecStart=/bin/sh -c 'sleep 0.3; exit 5'\n[Install]\nWantedBy=multi-user.target\n",
            service.again = {},
            file."/etc/systemd/system/never.service".content =
              "[Unit]\nConditionPathExists=/nowhere\n[Service]\nExecStart=/bin/sleep 99\n[Install]\nWantedBy=multi-user.target\n",
            service.never = {},
            # It says itself when it is ready, and is watched for longer.
            file."/etc/systemd/system/ready.service".content =
              "[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/sh -c 'systemd-notify --ready; sleep 2; exit 6'\n[Install]\nWantedBy=multi-user.target\n",
            service.ready.ready = "4s",
        } }"#,
    )?;
    let said = host.provision(&["apply", site])?.expect(1)?.out;
    contains("the report", &said, "the dog ate it")?;
    contains("the report", &said, "broken.service does not run")?;
    contains("the report", &said, "late.service does not run (Result=exit-code, exit status 4)")?;
    contains("the report", &said, "the cat too")?;
    contains("the report", &said, "again.service does not stay up")?;
    contains("the report", &said, "a condition of its unit file does not hold (ConditionPathExists=/nowhere)")?;
    contains(
        "the report",
        &said,
        "watch ready.service for 4 s: ready.service does not run (Result=exit-code, exit status 6)",
    )?;
    contains("the report", &said, "5 failed")?;
    same("what does not depend on it is done", &host.inside(&["cat", "/etc/motd"])?.out, "independent")
}

fn users_and_groups_are_as_declared(release: &'static str) -> Result {
    let host = Booted::new(release)?;
    let site = "/root/users.ncl";
    let declare = |text: &str| host.directory().write(site, &format!("{{ resources = {{ {text} }} }}"));
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ ops@example.org";
    declare(&format!(
        r#"group.ops = {{ gid = 2000 }},
           user.ada = {{ uid = 2001, primary_group = "ops", groups = {{ adm = true, users = true }}, shell = "/bin/bash",
             gecos = "Ada", password = "$y$j9T$abcdefghijklmnopqrstuv$abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ",
             expires = "2031-05-06", authorized_keys.laptop = "{key}" }},
           user.robot = {{ system = true, locked = true }},"#
    ))?;
    converge(&host, site)?;
    same("passwd", &host.inside(&["getent", "passwd", "ada"])?.out, "ada:x:2001:2000:Ada:/home/ada:/bin/bash")?;
    same("groups", &host.inside(&["id", "-nG", "ada"])?.out, "ops adm users")?;
    let shadow = host.inside(&["getent", "shadow", "ada"])?.out;
    let fields: Vec<&str> = shadow.trim().split(':').collect();
    same("password", fields[1], "$y$j9T$abcdefghijklmnopqrstuv$abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ")?;
    same("expiry", fields[7], "22405")?;
    contains("keys", &host.inside(&["cat", "/home/ada/.ssh/authorized_keys"])?.out, key)?;
    same("keys", &host.inside(&["stat", "-c", "%U:%G %a", "/home/ada/.ssh/authorized_keys"])?.out, "ada:ops 600")?;
    let plan = host.provision(&["-v", "--format", "json", "plan", site])?.expect(0)?.out;
    if plan.contains("$y$j9T") {
        return Err("the hash of the password is shown".to_owned());
    }
    // userdel(8) refuses a user whose processes run.
    let unit = "[Service]\nUser=ada\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n";
    host.directory().write("/etc/systemd/system/nap.service", unit)?;
    host.inside(&["systemctl", "start", "nap"])?.expect(0)?;
    declare(
        r#"service.nap = { running = false, enabled = false },
           group.ops.ensure = 'absent, user.ada = { ensure = 'absent, remove_home = true }, user.robot.locked = true,"#,
    )?;
    host.provision(&["apply", site])?.expect(0)?;
    host.provision(&["plan", "--detailed-exitcode", site])?.expect(0)?;
    same("the home is gone", &host.inside(&["sh", "-c", "ls -d /home/ada 2>/dev/null | wc -l"])?.out, "0")
}

fn an_undeclared_removal_is_refused(release: &'static str) -> Result {
    let host = Directory::new(release)?;
    host.inside(&["apt-get", "update", "-q"])?.expect(0)?;
    // It conflicts with systemd-sysv, which is installed.
    host.write("/root/packages.ncl", "{ resources.package = { sysvinit-core = {}, hello = {} } }")?;
    let site = host.root().join("root/packages.ncl");
    let site = site.to_str().ok_or("a path")?;
    let plan = host.provision(&["plan", site])?.expect(1)?.out;
    contains("the plan", &plan, "! package:sysvinit-core")?;
    // apt 3 finds the removal not worth proposing; apt 2 proposes it, and it is refused here.
    let why = if release == "bookworm" { "would remove systemd-sysv, which is not declared" } else { "Conflicts" };
    contains("the plan", &plan, why)?;
    contains("the plan", &plan, "+ package:hello")?;
    host.provision(&["apply", site])?.expect(1)?;
    same(
        "systemd stays",
        &host.inside(&["dpkg-query", "-W", "-f", "${Status}", "systemd-sysv"])?.out,
        "install ok installed",
    )?;
    same("hello comes", &host.inside(&["dpkg-query", "-W", "-f", "${Status}", "hello"])?.out, "install ok installed")
}

fn an_interrupt_waits_for_the_effect_in_progress(release: &'static str) -> Result {
    let host = Directory::new(release)?;
    host.write(
        "/root/slow.ncl",
        r#"{ resources.file = {
            "/etc/a" = { content = "a\n", validate = "sh -c 'touch /root/began; sleep 3; test -f %'" },
            "/etc/b" = { content = "b\n", after = ["file:/etc/a"] },
        } }"#,
    )?;
    let site = host.root().join("root/slow.ncl");
    let running = host.start(&["apply", site.to_str().ok_or("a path")?])?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !host.root().join("root/began").exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(running.id() as i32), nix::sys::signal::Signal::SIGINT)
        .map_err(|error| error.to_string())?;
    let output = running.wait_with_output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    same("the exit code", &output.status.code().unwrap_or(-1).to_string(), "1")?;
    contains("the report", &said, "Stopped: 1 changed, 1 not reached")?;
    same("the effect in progress was finished", &host.inside(&["cat", "/etc/a"])?.out, "a")?;
    if host.root().join("etc/b").exists() { Err("the run went on".to_owned()) } else { Ok(()) }
}

fn units_are_reloaded_masked_and_unmasked(release: &'static str) -> Result {
    let host = Booted::new(release)?;
    let site = "/root/units.ncl";
    let declare = |description: &str, masked: bool| {
        host.directory().write(
            site,
            &format!(
                r#"{{ resources = {{
                    file."/etc/systemd/system/once.service".content = "[Service]\nType=oneshot\nExecStart=/bin/true\n",
                    file."/etc/systemd/system/loop.service".content =
                      "[Unit]\nDescription={description}\n[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n",
                    service.loop = {{ masked = false, subscribes = ["file:/etc/systemd/system/loop.service"] }},
                    service.once = {{}},
                    service."systemd-logind".masked = {masked},
                }} }}"#
            ),
        )
    };
    declare("one", true)?;
    converge(&host, site)?;
    let shown = |unit: &str, property: &str| host.inside(&["systemctl", "show", "--value", "-p", property, unit]);
    same("loop", &shown("loop", "UnitFileState")?.out, "enabled")?;
    same("once is static", &shown("once", "UnitFileState")?.out, "static")?;
    same("logind", &shown("systemd-logind", "LoadState")?.out, "masked")?;
    same("logind is stopped", &shown("systemd-logind", "ActiveState")?.out, "inactive")?;
    let before = shown("loop", "MainPID")?.out;
    declare("two", false)?;
    host.provision(&["apply", site])?.expect(0)?;
    host.provision(&["plan", "--detailed-exitcode", site])?.expect(0)?;
    same("the unit file was read anew", &shown("loop", "Description")?.out, "two")?;
    same("nothing is left to reload", &shown("loop", "NeedDaemonReload")?.out, "no")?;
    same("logind runs again", &shown("systemd-logind", "ActiveState")?.out, "active")?;
    if shown("loop", "MainPID")?.out == before {
        return Err("loop was not restarted".to_owned());
    }
    units_without_a_service_are_read_again(&host)?;
    other_names_init_scripts_and_lost_files_of_units(&host)?;
    a_reload_that_fails_names_itself(&host)
}

fn units_without_a_service_are_read_again(host: &Booted) -> Result {
    let site = "/root/timer.ncl";
    let declare = |program: &str| {
        let text = format!(
            r#"{{ resources = {{
                file."/etc/systemd/system/backup.service".content = "[Service]\nType=oneshot\nExecStart=/bin/{program}\n",
                file."/etc/systemd/system/backup.timer".content = "[Timer]\nOnCalendar=yearly\n[Install]\nWantedBy=timers.target\n",
                service."backup.timer" = {{}},
                directory."/etc/systemd/system/dbus.service.d" = {{}},
                file."/etc/systemd/system/dbus.service.d/new.conf".content = "[Service]\nEnvironment=NEW={program}\n",
            }} }}"#
        );
        host.directory().write(site, &text)
    };
    for program in ["true", "false"] {
        declare(program)?;
        converge(host, site)?;
        let shown = host.inside(&["systemctl", "show", "-p", "ExecStart", "backup"])?.out;
        contains("the static service", &shown, &format!("/bin/{program}"))?;
        let shown = host.inside(&["systemctl", "show", "-p", "Environment", "dbus"])?.out;
        contains("the drop-in", &shown, &format!("NEW={program}"))?;
    }
    // All of it goes with its files, and comes back.
    host.directory().write(site, "{ resources = {} }")?;
    host.provision(&["apply", "--prune", site])?.expect(0)?;
    let state = |property: &str| host.inside(&["systemctl", "show", "--value", "-p", property, "backup.timer"]);
    same("the pruned timer", &state("LoadState")?.out, "not-found")?;
    same("it does not run on", &state("ActiveState")?.out, "inactive")?;
    host.provision(&["rollback"])?.expect(0)?;
    same("the timer is back", &state("ActiveState")?.out, "active")?;
    same("the timer is enabled", &state("UnitFileState")?.out, "enabled")
}

fn other_names_init_scripts_and_lost_files_of_units(host: &Booted) -> Result {
    let site = "/root/names.ncl";
    let unit =
        "[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nAlias=nick.service\\nWantedBy=multi-user.target\\n";
    let declare = |resources: &str| {
        let file = format!(r#"file."/etc/systemd/system/real.service".content = "{unit}""#);
        host.directory().write(site, &format!("{{ resources = {{ {file}, {resources} }} }}"))
    };
    let state = |unit: &str, property: &str| host.inside(&["systemctl", "show", "--value", "-p", property, unit]);
    declare("service.nick = {}")?;
    converge(host, site)?;
    same("the unit of another name", &state("real", "ActiveState")?.out, "active")?;
    declare("service.nick = { running = false, enabled = false }")?;
    converge(host, site)?;
    same("the unit of another name", &state("real", "UnitFileState")?.out, "disabled")?;
    let script = "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: oldie\n# Required-Start:\n# Required-Stop:\n\
        # Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n### END INIT INFO\nexit 0\n";
    host.directory().write("/etc/init.d/oldie", script)?;
    host.inside(&["sh", "-c", "chmod 755 /etc/init.d/oldie && systemctl daemon-reload"])?.expect(0)?;
    for (enabled, link) in [(true, "S01oldie"), (false, "K01oldie")] {
        declare(&format!("service.oldie = {{ enabled = {enabled} }}"))?;
        converge(host, site)?;
        contains("the links of the init script", &host.inside(&["ls", "/etc/rc5.d"])?.out, link)?;
    }
    declare("service.oldie.masked = true")?;
    converge(host, site)?;
    declare("service.oldie = {}")?;
    converge(host, site)?;
    // The file of a unit that runs and is enabled is lost.
    let lose = "systemctl enable --now real && rm /etc/systemd/system/real.service && systemctl daemon-reload";
    host.inside(&["sh", "-c", lose])?.expect(0)?;
    host.directory().write(site, "{ resources.service.real = { running = false, enabled = false } }")?;
    converge(host, site)?;
    same("the lost unit", &state("real", "ActiveState")?.out, "inactive")?;
    let links = host.inside(&["ls", "/etc/systemd/system/multi-user.target.wants"])?.out;
    if links.contains("real.service") { Err("a link to the lost unit is left".to_owned()) } else { Ok(()) }
}

fn a_reload_that_fails_names_itself(host: &Booted) -> Result {
    let site = "/root/reload.ncl";
    let declare = |text: &str| {
        let text = format!(
            r#"{{ resources = {{
                file."/etc/systemd/system/picky.service".content =
                  "[Service]\nExecStart=/bin/sleep infinity\nExecReload=/bin/sh -c 'grep good /etc/picky || {{ echo bad words; exit 7; }}'\n[Install]\nWantedBy=multi-user.target\n",
                service.picky.on_change = 'reload,
                file."/etc/picky" = {{ content = "{text}", notifies = ["service:picky"] }},
            }} }}"#
        );
        host.directory().write(site, &text)
    };
    declare("good")?;
    converge(host, site)?;
    declare("wrong")?;
    let said = host.provision(&["apply", site])?.expect(1)?.out;
    contains("the report", &said, "picky.service could not reload, and runs on as before (ReloadResult=exit-code)")?;
    contains("the report", &said, "bad words")
}
