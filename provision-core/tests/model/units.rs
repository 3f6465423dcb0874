//! Services and what ties units together.

use provision_core::effect::{Command, Effect, PlatformEffect, UnitAction};
use provision_core::error::ErrorKind;
use provision_core::host::{Host, HostViewExt};
use provision_core::sim::SimHost;

use super::{act, packages, try_to, with_units};

#[test]
fn no_units_run_in_a_root_directory() {
    let host = SimHost::debian(13).with_package("cron").switched_off();
    let error = host
        .perform(&Effect::Platform(PlatformEffect::Unit { unit: "cron.service".into(), action: UnitAction::Start }))
        .unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unsupported, "no service manager runs here"));
    act(&host, "cron.service", UnitAction::Disable);
    assert!(!host.unit("cron").is_enabled());
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
        let error = host
            .perform(&Effect::Platform(PlatformEffect::Unit { unit: "app.service".into(), action: UnitAction::Start }))
            .unwrap_err();
        assert!(error.message().contains(says), "{error}");
        assert!(host.unit("app").has_failed());
    }
}

/// Found by drawing bytes: it overflowed the stack.
#[test]
fn a_timer_that_names_itself_starts_its_service() {
    let timer = "[Timer]\nOnCalendar=hourly\nOnBootSec=1s\nPersistent=true\nUnit=app.timer\n[Install]\nWantedBy=timers.target\n";
    let host = SimHost::debian(13)
        .with_file("/etc/systemd/system/app.timer", timer)
        .with_file("/etc/systemd/system/app.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n");
    act(&host, "app.timer", UnitAction::Enable);
    act(&host, "app.timer", UnitAction::Start);
    host.pass_time(100_000);
    host.reboot();
    host.pass_time(100_000);
    assert!(host.unit("app.timer").is_active());
    assert!(host.unit("app.service").starts() > 0);
}

/// Found by drawing bytes: it overflowed the stack.
#[test]
fn a_unit_that_wants_another_name_of_itself_enabled_is_enabled_once() {
    let unit = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\nAlias=nick.service\nAlso=nick.service\n";
    let host = SimHost::debian(13).with_file("/etc/systemd/system/app.service", unit);
    act(&host, "app.service", UnitAction::Enable);
    assert!(host.unit("app.service").is_enabled());
    act(&host, "app.service", UnitAction::Disable);
    assert!(!host.unit("app.service").is_enabled());
}

#[test]
fn a_unit_that_is_started_too_often_stays_down() {
    let unit = "[Service]\nExecStart=/bin/sleep infinity\n";
    let host = SimHost::debian(13).with_file("/etc/systemd/system/app.service", unit);
    let restart = Effect::Platform(PlatformEffect::Unit { unit: "app.service".into(), action: UnitAction::Restart });
    // A start takes a while, so five of them do not come within ten seconds.
    (0..8).for_each(|_| host.perform(&restart).unwrap());
    assert_eq!((host.unit("app").starts(), host.unit("app").restarts()), (8, 7));
    // What a command does takes no time.
    let host = host.with_command_effects("hurry", vec![restart; 6]);
    let error = host.perform(&Effect::Run(Command::new(["hurry"]))).unwrap_err();
    assert!(format!("{error}").contains("start-limit-hit"), "{error}");
    assert!(host.unit("app").has_failed());
}

#[test]
fn without_a_service_manager_a_unit_that_is_not_there_is_disabled() {
    let disable = Effect::Platform(PlatformEffect::Unit { unit: "app.service".into(), action: UnitAction::Disable });
    SimHost::debian(12).switched_off().perform(&disable).unwrap();
    let error = SimHost::debian(12).perform(&disable).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
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

#[test]
fn a_unit_goes_with_another_that_it_names_by_an_alias() {
    let app = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nAlias=web.service\n";
    let host = with_units(&[("part.service", "PartOf=web.service")], &[("app.service", app)]);
    act(&host, "app.service", UnitAction::Enable);
    // As part of the model, and of what it began with.
    for host in [SimHost::from_record(host.record().unwrap()).unwrap(), host] {
        act(&host, "app.service", UnitAction::Start);
        act(&host, "part.service", UnitAction::Start);
        act(&host, "app.service", UnitAction::Stop);
        assert!(!host.unit("part").is_active());
    }
}

/// "Unit … is masked, ignoring": seen on both releases.
#[test]
fn disabling_a_masked_unit_leaves_its_links() {
    let host = SimHost::debian(12);
    act(&host, "apt-daily.timer", UnitAction::Mask);
    act(&host, "apt-daily.timer", UnitAction::Disable);
    act(&host, "apt-daily.timer", UnitAction::Unmask);
    assert!(host.unit("apt-daily.timer").is_enabled());
}

#[test]
fn links_tie_units_together_as_their_files_do() {
    let tied = "[Install]\nRequiredBy=app.service\n[Service]\nExecStart=/bin/sleep infinity\n";
    let host = with_units(
        &[("app.service", "")],
        &[("db.service", tied), ("up.service", &tied.replace("Required", "Upheld"))],
    );
    let running = || ["app", "db", "up"].map(|name| host.unit(name).is_active());
    act(&host, "db.service", UnitAction::Enable);
    act(&host, "up.service", UnitAction::Enable);
    host.perform(&Effect::Platform(PlatformEffect::ReloadUnits)).unwrap();
    act(&host, "app.service", UnitAction::Start);
    assert_eq!(running(), [true; 3]);
    act(&host, "up.service", UnitAction::Stop);
    assert_eq!(running(), [true; 3], "it is upheld");
    act(&host, "db.service", UnitAction::Stop);
    assert_eq!(running(), [false, false, true], "what requires it goes with it");
}

#[test]
fn in_a_root_directory_a_unit_that_is_not_there_is_disabled_already() {
    let host = SimHost::debian(13).switched_off();
    act(&host, "nowhere.service", UnitAction::Disable);
    assert_eq!(try_to(&host, "nowhere.service", UnitAction::Enable), Err(ErrorKind::NotFound));
    assert_eq!(try_to(&SimHost::debian(13), "nowhere.service", UnitAction::Disable), Err(ErrorKind::NotFound));
}

#[test]
fn a_wanted_unit_whose_file_is_gone_is_known_until_the_service_manager_reads() {
    let host = SimHost::debian(12).with_package("at");
    packages(&host, |transaction| transaction.remove = vec!["at".into()]);
    let unit = || HostViewExt::unit(&host, "atd.service").unwrap();
    assert_eq!((unit().load.as_str(), unit().file_state.as_str(), unit().is_active()), ("loaded", "enabled", false));
    let again = SimHost::from_record(host.record().unwrap()).unwrap();
    for host in [&host, &again] {
        host.perform(&Effect::Platform(PlatformEffect::ReloadUnits)).unwrap();
        assert_eq!(HostViewExt::unit(host, "atd.service").unwrap().load, "not-found");
    }
}

#[test]
fn a_unit_file_that_comes_where_a_link_leads_is_a_unit() {
    let linked = SimHost::debian(13).with_link("/etc/systemd/system/app.service", "/srv/app.service");
    let host = SimHost::from_record(linked.record().unwrap()).unwrap();
    assert!(!host.unit("app").exists());
    let host = host.with_file("/srv/app.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    act(&host, "app.service", UnitAction::Start);
    assert!(host.unit("app").is_active());
}
