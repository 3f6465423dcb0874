//! What the model once saw otherwise than real Debian, and what it says of what it does not know.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use provision_core::effect::{Command, CreateUser, Effect, Output, PackageTransaction, UnitAction, UserChanges};
use provision_core::error::ErrorKind;
use provision_core::host::{Host, HostExt, HostView, PackageStatus, SimHost};
use provision_core::path::HostPath;

fn path(path: &str) -> HostPath {
    HostPath::new(path).unwrap()
}

fn system_user(name: &str) -> Effect {
    let attributes = UserChanges::default();
    Effect::CreateUser(CreateUser { name: name.into(), system: true, create_home: false, attributes })
}

fn act(host: &SimHost, unit: &str, action: UnitAction) {
    host.perform(&Effect::Unit { unit: unit.into(), action }).unwrap();
}

fn packages(host: &SimHost, change: impl FnOnce(&mut PackageTransaction)) {
    let mut transaction = PackageTransaction::default();
    change(&mut transaction);
    host.perform(&Effect::Packages(transaction)).unwrap();
}

#[test]
fn homes_have_the_mode_of_their_release() {
    assert_eq!(SimHost::debian(12).with_user("anna").file("/home/anna").mode(), 0o755);
    assert_eq!(SimHost::debian(13).with_user("anna").file("/home/anna").mode(), 0o700);
}

#[test]
fn numbers_of_the_system_go_down_from_the_lowest() {
    for (release, expected) in [(12, [997, 996]), (13, [996, 995])] {
        let host = SimHost::debian(release);
        for (name, number) in ["x", "y"].into_iter().zip(expected) {
            host.perform(&system_user(name)).unwrap();
            let user = host.user(name).unwrap().unwrap();
            assert_eq!((user.uid, user.gid), (number, number), "{name} on Debian {release}");
        }
    }
}

#[test]
fn files_belong_to_numbers() {
    let host = SimHost::debian(13).with_user("anna").with_file("/srv/hers", "").with_access(
        "/srv/hers",
        "anna",
        "anna",
        0o644,
    );
    host.perform(&Effect::RemoveUser { name: "anna".into(), remove_home: false }).unwrap();
    assert_eq!((host.file("/srv/hers").owner(), host.file("/srv/hers").group()), ("1000".into(), "1000".into()));
    assert_eq!(host.file("/home/anna").owner(), "1000");
    let host = host.with_user("bert");
    assert_eq!(host.file("/srv/hers").owner(), "bert", "who gets the number gets the files");
}

#[test]
fn nothing_is_beneath_a_file() {
    let host = SimHost::debian(13).with_file("/srv/file", "");
    let error = host.metadata(&path("/srv/file/inner")).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Conflict, "/srv/file is a file, so nothing can be in it"));
}

#[test]
fn links_on_the_way_are_followed() {
    let host = SimHost::debian(13).with_link("/srv/current", "/etc").with_file("/srv/current/made", "x");
    let host = host.with_package("cron");
    assert_eq!(host.file("/etc/made").text(), "x");
    assert!(host.file("/lib/systemd/system/cron.service").exists());
    assert!(host.file("/usr/lib/systemd/system/cron.service").exists());
    let host =
        host.with_user("anna").with_link("/home/anna/link", "/etc").with_access("/home/anna", "anna", "anna", 0o755);
    assert_eq!(host.write_text("/home/anna/link/motd", "x").unwrap_err().kind(), ErrorKind::Refused);
}

#[test]
fn no_units_run_in_a_root_directory() {
    let host = SimHost::debian(13).with_package("cron").switched_off();
    let error = host.perform(&Effect::Unit { unit: "cron.service".into(), action: UnitAction::Start }).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unsupported, "no units run here"));
    act(&host, "cron.service", UnitAction::Disable);
    assert!(!host.unit("cron").is_enabled());
}

#[test]
fn a_package_does_not_enable_a_unit_that_is_masked_or_was_disabled() {
    let host = SimHost::debian(13);
    act(&host, "atd.service", UnitAction::Mask);
    let host = host.with_package("at");
    assert!(host.unit("atd").is_masked());
    assert!(!host.file("/etc/systemd/system/multi-user.target.wants/atd.service").exists());

    let host = SimHost::debian(13).with_package("cron");
    assert!(host.unit("cron").is_active() && host.unit("cron").is_enabled());
    act(&host, "cron.service", UnitAction::Disable);
    packages(&host, |transaction| transaction.remove = vec!["cron".into()]);
    assert_eq!(host.package("cron").unwrap().status, PackageStatus::ConfigFiles);
    let host = host.with_package("cron");
    assert!(!host.unit("cron").is_enabled());
}

#[test]
fn what_waits_for_no_disk_goes_with_the_power() {
    let host = SimHost::debian(13).with_package("cron");
    act(&host, "cron.service", UnitAction::Disable);
    let later = host.clone();
    host.lose_power();
    assert!(host.unit("cron").is_enabled(), "the removed link is back");
    later.write_text("/etc/motd", "whoever waits for the disk takes along what was before\n").unwrap();
    later.lose_power();
    assert!(!later.unit("cron").is_enabled());
    assert!(!later.unit("cron").is_active(), "what is not enabled does not start at boot");
}

#[test]
fn a_full_disk_and_a_read_only_one_refuse() {
    let host = SimHost::debian(13).with_free_space(10).with_read_only_mount("/srv");
    assert_eq!(host.write_text("/etc/motd", "more than ten bytes").unwrap_err().kind(), ErrorKind::NoSpace);
    host.write_text("/etc/motd", "less").unwrap();
    assert_eq!(host.write_text("/srv/x", "").unwrap_err().kind(), ErrorKind::ReadOnly);
}

#[test]
fn a_service_without_its_program_or_user_does_not_start() {
    let unit = |settings: &str| format!("[Service]\n{settings}\n");
    for (settings, says) in [
        ("ExecStart=/opt/nowhere", "203/EXEC"),
        ("ExecStart=/bin/sleep 1\nUser=nobody-there", "217/USER"),
        ("ExecStart=/bin/sleep 1\nWorkingDirectory=/nowhere", "200/CHDIR"),
        ("ExecStart=/bin/sleep 1\nEnvironmentFile=/etc/default/nowhere", "resources"),
    ] {
        let host = SimHost::debian(13).with_file("/etc/systemd/system/app.service", unit(settings).as_str());
        let error = host.perform(&Effect::Unit { unit: "app.service".into(), action: UnitAction::Start }).unwrap_err();
        assert!(error.message().contains(says), "{error}");
        assert!(host.unit("app").has_failed());
    }
}

#[test]
fn a_unit_that_is_started_too_often_stays_down() {
    let unit = "[Service]\nExecStart=/bin/sleep infinity\n";
    let host = SimHost::debian(13).with_file("/etc/systemd/system/app.service", unit);
    let restart = Effect::Unit { unit: "app.service".into(), action: UnitAction::Restart };
    // A start takes a while, so five of them do not come within ten seconds.
    (0..8).for_each(|_| drop(host.perform(&restart).unwrap()));
    assert_eq!((host.unit("app").starts(), host.unit("app").restarts()), (8, 7));
    // What a command does takes no time.
    let host = host.with_command_effects("hurry", vec![restart; 6]);
    let error = host.perform(&Effect::Run(Command::new(["hurry"]))).unwrap_err();
    assert!(format!("{error}").contains("start-limit-hit"), "{error}");
    assert!(host.unit("app").has_failed());
}

#[test]
fn a_command_is_declared_or_an_error() {
    let command = Command::new(["make-it-so", "--now"]);
    let error = SimHost::debian(13).perform(&Effect::Run(command.clone())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("does not know what `make-it-so --now` does"), "{error}");
    let write = Effect::Remove { path: path("/etc/motd"), what: provision_core::effect::Removal::File };
    let host = SimHost::debian(13).with_command_effects("make-it-so", vec![write]);
    host.perform(&Effect::Run(command.clone())).unwrap();
    assert!(!host.file("/etc/motd").exists());
    let fails = Output { code: 3, stderr: "no".into(), ..Output::default() };
    let host = SimHost::debian(13).with_command("make-it-so --now", fails);
    assert_eq!(host.perform(&Effect::Run(command)).unwrap_err().kind(), ErrorKind::CommandFailed);
}

#[test]
fn what_is_locked_held_or_essential_is_refused() {
    let install = |name: &str| {
        let request = provision_core::effect::PackageRequest { name: name.into(), version: None };
        Effect::Packages(PackageTransaction { install: vec![request], ..PackageTransaction::default() })
    };
    let locked = SimHost::debian(13).with_package_lock("apt-get (process 42)");
    let error = locked.perform(&install("hello")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.message().contains("apt-get (process 42)"), "{error}");
    let error = SimHost::debian(13).perform(&install("no-such-package")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let essential = PackageTransaction { remove: vec!["dpkg".into()], ..PackageTransaction::default() };
    assert_eq!(SimHost::debian(13).perform(&Effect::Packages(essential)).unwrap_err().kind(), ErrorKind::Refused);
}

#[test]
fn without_a_service_manager_a_unit_that_is_not_there_is_disabled() {
    let disable = Effect::Unit { unit: "app.service".into(), action: UnitAction::Disable };
    SimHost::debian(12).switched_off().perform(&disable).unwrap();
    let error = SimHost::debian(12).perform(&disable).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_killed_dpkg_leaves_packages_unpacked_and_is_repaired() {
    let request = provision_core::effect::PackageRequest { name: "nginx".into(), version: None };
    let install = Effect::Packages(PackageTransaction { install: vec![request], ..PackageTransaction::default() });
    let coming = SimHost::debian(13);
    let Effect::Packages(transaction) = &install else { unreachable!() };
    let steps = 2 * coming.preview(transaction).unwrap().changes.len();
    for killed_after in 0..steps {
        let host = SimHost::debian(13).with_dpkg_killed_after(killed_after);
        assert!(host.perform(&install).is_err(), "killed after {killed_after} of {steps}");
        assert!(!host.has_package("nginx"));
        let interrupted = host.package_manager().unwrap().interrupted;
        assert_eq!(interrupted.is_empty(), killed_after == 0, "{interrupted:?}");
        host.perform(&Effect::RepairPackages).unwrap();
        assert!(host.package_manager().unwrap().interrupted.is_empty());
        host.perform(&install).unwrap();
        assert!(host.has_package("nginx") && host.unit("nginx").is_active());
        let automatic: Vec<String> = host
            .packages()
            .unwrap()
            .iter()
            .filter(|(_, entry)| entry.automatic)
            .map(|(name, _)| name.clone())
            .collect();
        assert!(automatic.contains(&"nginx-common".to_owned()) && !automatic.contains(&"nginx".to_owned()));
    }
}
/// A host with services that run `sleep`, each with these settings in its `[Unit]` section, and other unit files.
fn with_units(services: &[(&str, &str)], files: &[(&str, &str)]) -> SimHost {
    let host = services.iter().fold(SimHost::debian(13), |host, (name, settings)| {
        let text = format!("[Unit]\n{settings}\n[Service]\nExecStart=/bin/sleep infinity\n");
        host.with_file(&format!("/etc/systemd/system/{name}"), text)
    });
    let host =
        files.iter().fold(host, |host, (name, text)| host.with_file(&format!("/etc/systemd/system/{name}"), *text));
    host.perform(&Effect::ReloadUnits).unwrap();
    host
}

fn try_to(host: &SimHost, unit: &str, action: UnitAction) -> Result<(), ErrorKind> {
    host.perform(&Effect::Unit { unit: unit.into(), action }).map(drop).map_err(|error| error.kind())
}

fn sub(host: &SimHost, unit: &str) -> String {
    HostView::unit(host, unit).unwrap().sub.unwrap_or_default()
}

/// `systemd.socket(5)`; each line was seen on booted Debian 12 and 13.
#[test]
fn a_socket_starts_its_service_when_somebody_connects() {
    let host = with_units(&[("x.service", "")], &[("x.socket", "[Socket]\nListenStream=/run/x.sock\n")]);
    assert_eq!(host.triggers_of("x").unwrap(), ["x.socket"]);
    assert_eq!(host.trigger("x.socket").unwrap_err().kind(), ErrorKind::Conflict, "nobody listens");
    act(&host, "x.socket", UnitAction::Start);
    assert_eq!((sub(&host, "x.socket"), host.unit("x").is_active()), ("listening".into(), false));
    host.trigger("x.socket").unwrap();
    assert_eq!((sub(&host, "x.socket"), host.unit("x").is_active()), ("running".into(), true));
    act(&host, "x.service", UnitAction::Stop);
    assert_eq!((sub(&host, "x.socket"), host.unit("x").is_active()), ("listening".into(), false));
    act(&host, "x.service", UnitAction::Start);
    act(&host, "x.socket", UnitAction::Stop);
    assert!(host.unit("x").is_active() && !host.unit("x.socket").is_active(), "the service goes on");
    assert_eq!(try_to(&host, "x.socket", UnitAction::Start), Err(ErrorKind::CommandFailed), "it runs already");
    assert!(!host.unit("x.socket").has_failed());
    act(&host, "x.service", UnitAction::Restart);
    assert!(!host.unit("x.socket").is_active(), "a service does not bring its socket");
}

#[test]
fn a_service_that_requires_its_socket_comes_and_goes_with_it() {
    let host =
        with_units(&[("x.service", "Requires=x.socket")], &[("x.socket", "[Socket]\nListenStream=/run/x.sock\n")]);
    act(&host, "x.service", UnitAction::Start);
    assert_eq!((sub(&host, "x.socket"), host.unit("x").is_active()), ("running".into(), true));
    act(&host, "x.socket", UnitAction::Restart);
    assert_eq!((sub(&host, "x.socket"), host.unit("x").restarts()), ("running".into(), 1));
    act(&host, "x.socket", UnitAction::Stop);
    assert!(!host.unit("x").is_active() && !host.unit("x.socket").is_active());
}

#[test]
fn sockets_timers_and_paths_need_something_to_start() {
    let files = [
        ("y.socket", "[Socket]\nListenStream=/run/y.sock\n"),
        ("y.timer", "[Timer]\nOnCalendar=yearly\n"),
        ("y.path", "[Path]\nPathExists=/run/nothing\n"),
        ("never.timer", "[Timer]\nAccuracySec=1\n"),
    ];
    let host = with_units(&[("never.service", "")], &files);
    for unit in ["y.socket", "y.timer", "y.path"] {
        assert_eq!(try_to(&host, unit, UnitAction::Start), Err(ErrorKind::CommandFailed), "{unit}");
        assert_eq!(HostView::unit(&host, unit).unwrap().active.as_deref(), Some("inactive"), "{unit}");
    }
    assert_eq!(HostView::unit(&host, "never.timer").unwrap().load, "bad-setting");
    assert_eq!(try_to(&host, "never.timer", UnitAction::Start), Err(ErrorKind::Invalid));
}

#[test]
fn a_socket_that_accepts_has_a_service_for_each_connection() {
    let socket = "[Socket]\nListenStream=/run/z.sock\nAccept=yes\n";
    let host = with_units(&[("z@.service", "")], &[("z.socket", socket)]);
    act(&host, "z.socket", UnitAction::Start);
    host.trigger("z.socket").unwrap();
    host.trigger("z.socket").unwrap();
    assert!(host.unit("z@0").is_active() && host.unit("z@1").is_active());
    assert_eq!(sub(&host, "z.socket"), "listening");
}

#[test]
fn a_socket_fails_with_its_service() {
    let files = [("f.socket", "[Socket]\nListenStream=/run/f.sock\n"), ("f.service", "[Service]\nExecStart=/opt/no\n")];
    let host = with_units(&[], &files);
    act(&host, "f.socket", UnitAction::Start);
    assert_eq!(host.trigger("f.socket").unwrap_err().kind(), ErrorKind::CommandFailed);
    assert!(host.unit("f").has_failed() && host.unit("f.socket").has_failed());
}

/// `systemd.timer(5)`; each line was seen on booted Debian 12 and 13.
#[test]
fn timers_elapse_as_time_passes() {
    let once = "[Timer]\nOnActiveSec=10min\n";
    let often = "[Timer]\nOnUnitActiveSec=1h\n";
    let job = "[Service]\nType=oneshot\nExecStart=/bin/true\n";
    let late = "[Timer]\nOnBootSec=1s\n";
    let files = [
        ("once.timer", once),
        ("often.timer", often),
        ("often.service", job),
        ("late.timer", late),
        ("late.service", job),
        ("twice.timer", "[Timer]\nOnCalendar=*-*-* 6,18:00\n"),
        ("twice.service", job),
        ("odd.timer", "[Timer]\nOnCalendar=*-*~1\n"),
        ("odd.service", job),
    ];
    let host = with_units(&[("once.service", "")], &files);
    for timer in ["once.timer", "often.timer", "late.timer", "twice.timer", "odd.timer"] {
        act(&host, timer, UnitAction::Start);
    }
    assert_eq!(host.unit("late").starts(), 1, "what is overdue elapses at once");
    assert_eq!((sub(&host, "once.timer"), sub(&host, "often.timer")), ("waiting".into(), "elapsed".into()));
    host.pass_time(601);
    assert_eq!((sub(&host, "once.timer"), host.unit("once").is_active()), ("running".into(), true));
    act(&host, "once.service", UnitAction::Stop);
    assert_eq!(sub(&host, "once.timer"), "elapsed");
    act(&host, "often.service", UnitAction::Start);
    assert_eq!(sub(&host, "often.timer"), "waiting");
    host.pass_time(3 * 3600 + 60);
    assert_eq!(host.unit("often").starts(), 4);
    host.pass_time(86_400);
    assert_eq!((host.unit("twice").starts(), host.unit("once").starts(), host.unit("odd").starts()), (2, 1, 0));
    host.trigger("odd.timer").unwrap();
    assert_eq!(host.unit("odd").starts(), 1);
    act(&host, "twice.timer", UnitAction::Stop);
    host.pass_time(86_400);
    assert_eq!(host.unit("twice").starts(), 2);
}

#[test]
fn a_persistent_timer_makes_up_for_what_it_missed() {
    let timer = |persistent: &str| format!("[Timer]\nOnCalendar=daily\nPersistent={persistent}\n");
    for (persistent, expected) in [("yes", [0, 1]), ("no", [0, 0])] {
        let files =
            [("t.timer", timer(persistent)), ("t.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n".into())];
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let host = with_units(&[], &files);
        act(&host, "t.timer", UnitAction::Start);
        assert_eq!(host.unit("t").starts(), expected[0], "the first start remembers the time");
        act(&host, "t.timer", UnitAction::Stop);
        host.pass_time(3 * 86_400);
        act(&host, "t.timer", UnitAction::Start);
        assert_eq!(host.unit("t").starts(), expected[1], "Persistent={persistent}");
    }
}

#[test]
fn a_service_that_was_started_by_hand_leaves_its_timer_waiting() {
    let host = with_units(&[("t.service", "")], &[("t.timer", "[Timer]\nOnCalendar=yearly\n")]);
    act(&host, "t.timer", UnitAction::Start);
    act(&host, "t.service", UnitAction::Start);
    assert_eq!(sub(&host, "t.timer"), "waiting");
}

/// `systemd.unit(5)`; each line was seen on booted Debian 12 and 13.
#[test]
fn what_belongs_together_stops_and_restarts_together() {
    let names = ["a", "part", "req", "bind", "wan", "reqo"];
    let host = with_units(
        &[
            ("a.service", ""),
            ("part.service", "PartOf=a.service"),
            ("req.service", "Requires=a.service"),
            ("bind.service", "BindsTo=a.service\nAfter=a.service"),
            ("wan.service", "Wants=a.service"),
            ("reqo.service", "Requisite=a.service\nAfter=a.service"),
            ("deep.service", "PartOf=part.service"),
        ],
        &[],
    );
    let running = || names.map(|name| host.unit(name).is_active());
    assert_eq!(try_to(&host, "reqo.service", UnitAction::Start), Err(ErrorKind::CommandFailed), "it does not start a");
    act(&host, "part.service", UnitAction::Start);
    assert_eq!(running(), [false, true, false, false, false, false]);
    act(&host, "a.service", UnitAction::Restart);
    assert_eq!((host.unit("part").restarts(), host.unit("a").restarts()), (1, 0), "also if a did not run");
    for name in names.iter().chain(&["deep"]) {
        act(&host, &format!("{name}.service"), UnitAction::Start);
    }
    host.pass_time(60);
    host.forget_counts();
    act(&host, "a.service", UnitAction::Restart);
    assert_eq!(running(), [true; 6]);
    assert_eq!(names.map(|name| host.unit(name).restarts()), [1, 1, 1, 1, 0, 1]);
    assert_eq!(host.unit("deep").restarts(), 1);
    act(&host, "part.service", UnitAction::Restart);
    assert_eq!(host.unit("a").restarts(), 1);
    act(&host, "a.service", UnitAction::Stop);
    assert_eq!(running(), [false, false, false, false, true, false]);
    assert!(!host.unit("deep").is_active());
}

#[test]
fn what_conflicts_takes_along_what_belongs_to_it() {
    let host = with_units(
        &[("a.service", ""), ("part.service", "PartOf=a.service"), ("other.service", "Conflicts=a.service")],
        &[],
    );
    act(&host, "a.service", UnitAction::Start);
    act(&host, "part.service", UnitAction::Start);
    act(&host, "other.service", UnitAction::Start);
    assert_eq!(["a", "part", "other"].map(|name| host.unit(name).is_active()), [false, false, true]);
}

#[test]
fn only_a_unit_that_comes_after_what_it_requires_fails_with_it() {
    let bad = ("bad.service", "[Service]\nType=oneshot\nExecStart=/opt/no\n");
    let blind = ("blind.service", "[Service]\nExecStart=/opt/no\n");
    let host = with_units(
        &[
            ("beside.service", "Requires=bad.service"),
            ("after.service", "Requires=bad.service\nAfter=bad.service"),
            ("bound.service", "BindsTo=bad.service"),
            ("hopes.service", "Requires=blind.service\nAfter=blind.service"),
            ("lost.service", "Requires=nowhere.service"),
        ],
        &[bad, blind],
    );
    let tried = ["beside", "after", "bound", "hopes", "lost"].map(|name| {
        let _ = try_to(&host, &format!("{name}.service"), UnitAction::Start);
        let unit = host.unit(name);
        (unit.is_active(), unit.has_failed())
    });
    assert_eq!(tried.map(|(active, _)| active), [true, false, false, true, false]);
    assert_eq!(tried.map(|(_, failed)| failed), [false; 5], "who waits for others has not failed itself");
}

#[test]
fn what_comes_after_success_and_failure_is_started() {
    let settings = "OnFailure=sad.service\nOnSuccess=glad.service";
    let host = with_units(&[("sad.service", ""), ("glad.service", ""), ("w.service", settings)], &[])
        .with_file("/etc/systemd/system/bad.service", format!("[Unit]\n{settings}\n[Service]\nExecStart=/opt/no\n"));
    let both = || (host.unit("sad").is_active(), host.unit("glad").is_active());
    act(&host, "w.service", UnitAction::Start);
    assert_eq!(both(), (false, false));
    act(&host, "w.service", UnitAction::Restart);
    assert_eq!(both(), (false, true), "a restart ends it as well");
    act(&host, "glad.service", UnitAction::Stop);
    let _ = try_to(&host, "bad.service", UnitAction::Start);
    assert_eq!(both(), (true, false));
}

#[test]
fn what_is_upheld_comes_back() {
    let host = with_units(&[("up.service", "Upholds=os.service"), ("os.service", "")], &[]);
    act(&host, "up.service", UnitAction::Start);
    act(&host, "os.service", UnitAction::Stop);
    assert!(host.unit("os").is_active());
    act(&host, "up.service", UnitAction::Stop);
    act(&host, "os.service", UnitAction::Stop);
    assert!(!host.unit("os").is_active());
}

/// `systemd.preset(5)`; deb-systemd-helper(1p) and deb-systemd-invoke(1p) of both releases.
#[test]
fn a_package_neither_enables_nor_starts_what_a_preset_speaks_against() {
    for text in ["disable *\n", "disable cron.service\n"] {
        let host =
            SimHost::debian(13).with_file("/etc/systemd/system-preset/00-none.preset", text).with_package("cron");
        assert!(!host.unit("cron").is_enabled() && !host.unit("cron").is_active(), "{text}");
    }
    let text = "enable cron.service\ndisable *\n";
    let host = SimHost::debian(13).with_file("/etc/systemd/system-preset/00-none.preset", text).with_package("cron");
    assert!(host.unit("cron").is_enabled() && host.unit("cron").is_active());
}

#[test]
fn a_package_does_not_start_a_unit_that_was_disabled() {
    let host = SimHost::debian(13).with_package("cron");
    act(&host, "cron.service", UnitAction::Disable);
    packages(&host, |transaction| transaction.remove = vec!["cron".into()]);
    assert!(!host.with_package("cron").unit("cron").is_active());
}

/// `dpkg(1)`, `--force-confold` and `--force-confnew`: seen on both releases.
#[test]
fn a_configuration_file_that_dpkg_does_not_know_stays_beside_the_new_one() {
    use provision_core::effect::{Conffiles, PackageOptions, PackageRequest};
    let install = |host: &SimHost, conffiles| {
        packages(host, |transaction| {
            transaction.install = vec![PackageRequest { name: "cron".into(), version: None }];
            transaction.options = PackageOptions { conffiles, ..PackageOptions::default() };
        });
    };
    let at = "/etc/default/cron";
    let own = || SimHost::debian(13).with_file(at, "ours\n").with_access(at, "root", "daemon", 0o600);
    let host = own();
    install(&host, Conffiles::Keep);
    assert_eq!(host.file(at).text(), "ours\n");
    let new = host.file("/etc/default/cron.dpkg-dist");
    assert_eq!((new.mode(), new.group()), (0o600, "daemon".into()), "as the one that is there");
    let packaged = new.text();
    packages(&host, |transaction| transaction.purge = vec!["cron".into()]);
    assert!(!host.file(at).exists() && !host.file("/etc/default/cron.dpkg-dist").exists());

    let host = own();
    install(&host, Conffiles::New);
    assert_eq!((host.file(at).text(), host.file(at).mode()), (packaged.clone(), 0o600));
    assert_eq!(host.file("/etc/default/cron.dpkg-old").text(), "ours\n");

    let same = SimHost::debian(13).with_file(at, packaged.as_str());
    install(&same, Conffiles::Keep);
    assert!(!same.file("/etc/default/cron.dpkg-dist").exists());
}

#[test]
fn a_configuration_file_that_dpkg_knows_stays_as_it_is_or_away() {
    let (changed, gone) = ("/etc/default/cron", "/etc/pam.d/cron");
    let host = SimHost::debian(13).with_package("cron").with_file(changed, "ours\n");
    host.perform(&Effect::Remove { path: path(gone), what: provision_core::effect::Removal::File }).unwrap();
    packages(&host, |transaction| transaction.remove = vec!["cron".into()]);
    assert_eq!(host.file(changed).text(), "ours\n");
    let host = host.with_package("cron");
    assert_eq!(host.file(changed).text(), "ours\n");
    assert!(!host.file(gone).exists());
    assert!(!host.file("/etc/default/cron.dpkg-dist").exists());
}

#[test]
fn in_a_root_directory_a_unit_that_is_not_there_is_disabled_already() {
    let host = SimHost::debian(13).switched_off();
    act(&host, "nowhere.service", UnitAction::Disable);
    assert_eq!(try_to(&host, "nowhere.service", UnitAction::Enable), Err(ErrorKind::NotFound));
    assert_eq!(try_to(&SimHost::debian(13), "nowhere.service", UnitAction::Disable), Err(ErrorKind::NotFound));
}

/// `apt_preferences(5)`.
#[test]
fn pins_choose_among_versions_and_speak_against_packages() {
    let pin = |package: &str, wanted: &str, priority: i32| {
        format!("Package: {package}\nPin: {wanted}\nPin-Priority: {priority}\n")
    };
    let install = |host: &SimHost, name: &str, allow_downgrade| {
        let request = provision_core::effect::PackageRequest { name: name.into(), version: None };
        let mut transaction = PackageTransaction { install: vec![request], ..PackageTransaction::default() };
        transaction.options.allow_downgrade = allow_downgrade;
        host.perform(&Effect::Packages(transaction)).map(drop).map_err(|error| error.kind())
    };
    let at = "/etc/apt/preferences.d/ours";
    let host = SimHost::debian(13).with_file(at, pin("hello", "release *", -1));
    assert_eq!(host.available_versions("hello").unwrap(), Vec::<String>::new());
    assert_eq!(install(&host, "hello", false), Err(ErrorKind::NotFound));
    let host = SimHost::debian(13).with_file(at, pin("cron-daemon-common", "release *", -1));
    assert!(install(&host, "cron", false).is_err(), "what it depends on cannot come");

    let host = SimHost::debian(13).with_available_versions("hello", &["9.0", "2.0"]);
    install(&host, "hello", false).unwrap();
    let host = host.with_file(at, pin("hello", "version 2.*", 999));
    assert_eq!(host.available_versions("hello").unwrap(), ["9.0", "2.0"]);
    let host = host.with_file(at, pin("hello", "version 2.*", 1001));
    assert_eq!(host.available_versions("hello").unwrap(), ["2.0", "9.0"]);
    assert_eq!(install(&host, "hello", false), Err(ErrorKind::Refused), "apt-get wants to be told");
    install(&host, "hello", true).unwrap();
    assert_eq!(host.package("hello").unwrap().version.as_deref(), Some("2.0"));
    let host = SimHost::debian(13).with_file(at, "Package: hello\nPin: release *\n");
    assert_eq!(install(&host, "hello", false), Err(ErrorKind::Invalid), "apt-get stops at a pin without a priority");
}

#[test]
fn a_wanted_unit_whose_file_is_gone_is_known_until_the_service_manager_reads() {
    let host = SimHost::debian(12).with_package("at");
    packages(&host, |transaction| transaction.remove = vec!["at".into()]);
    let unit = || HostView::unit(&host, "atd.service").unwrap();
    assert_eq!((unit().load.as_str(), unit().file_state.as_str(), unit().is_active()), ("loaded", "enabled", false));
    let again = SimHost::from_record(host.record().unwrap()).unwrap();
    for host in [&host, &again] {
        host.perform(&Effect::ReloadUnits).unwrap();
        assert_eq!(HostView::unit(host, "atd.service").unwrap().load, "not-found");
    }
}

/// `groupmod(8)`, `-g`.
#[test]
fn a_group_with_another_number_stays_the_primary_group_of_its_users() {
    let host = SimHost::debian(12).with_user("anna");
    host.perform(&Effect::ChangeGroup { name: "anna".into(), gid: 4711 }).unwrap();
    assert_eq!(host.user("anna").unwrap().unwrap().gid, 4711);
    assert_eq!(host.file("/home/anna").group(), "1000", "files keep the number");
}

#[test]
fn a_directory_that_is_there_is_not_emptied_by_naming_it() {
    let host = SimHost::debian(13).with_access("/etc", "daemon", "root", 0o700).with_directory("/etc");
    assert!(host.file("/etc/os-release").exists());
    assert_eq!((host.file("/etc").owner().as_str(), host.file("/etc").mode()), ("root", 0o755));
}

#[test]
fn a_killing_of_dpkg_is_for_one_transaction() {
    let host = SimHost::debian(13).with_dpkg_killed_after(99);
    packages(&host, |transaction| {
        transaction.install = vec![provision_core::effect::PackageRequest { name: "hello".into(), version: None }];
    });
    let all_of_them = SimHost::debian(13).with_dpkg_killed_after(2);
    for host in [host, all_of_them] {
        for name in ["hello", "tree"] {
            packages(&host, |transaction| {
                transaction.install = vec![provision_core::effect::PackageRequest { name: name.into(), version: None }];
            });
        }
        assert!(host.has_package("tree"));
    }
}

#[test]
fn a_timer_that_elapses_at_once_takes_no_endless_time() {
    let timer = "[Timer]\nOnActiveSec=0\nOnUnitActiveSec=0\n";
    let service = "[Service]\nType=oneshot\nExecStart=/bin/true\n";
    let host = SimHost::debian(13)
        .with_file("/etc/systemd/system/app.timer", timer)
        .with_file("/etc/systemd/system/app.service", service)
        .with_started_unit("app.timer");
    host.pass_time(60);
    // Once a second, and five times in ten seconds.
    assert!((25..=61).contains(&host.unit("app").starts()), "{}", host.unit("app").starts());
    host.with_file("/etc/systemd/system/other.timer", "[Timer]\nOnActiveSec=999999999y\nUnit=app.service\n")
        .with_started_unit("other.timer")
        .pass_time(60);
}

#[test]
fn a_held_package_is_not_removed_unless_it_is_released() {
    let remove = |unhold: &[&str]| {
        let host = SimHost::debian(12).with_package("hello").with_held_package("hello");
        let unhold = unhold.iter().map(|name| (*name).to_owned()).collect();
        let transaction = PackageTransaction { remove: vec!["hello".into()], unhold, ..PackageTransaction::default() };
        host.perform(&Effect::Packages(transaction)).map(drop).map_err(|error| error.kind())
    };
    assert_eq!(remove(&[]), Err(ErrorKind::Refused));
    assert_eq!(remove(&["hello"]), Ok(()));
}
