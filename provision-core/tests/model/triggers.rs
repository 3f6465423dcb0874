//! Sockets, timers and paths: what starts services.

use provision_core::effect::{Effect, PlatformEffect, Removal, UnitAction};
use provision_core::error::ErrorKind;
use provision_core::host::{Host, HostViewExt};
use provision_core::sim::SimHost;

use super::{act, path, sub, try_to, with_units};

/// `systemd.socket(5)`; each line was seen on booted Debian 12 and 13.
#[test]
fn a_socket_starts_its_service_when_somebody_connects() {
    let host = with_units(&[("x.service", "")], &[("x.socket", "[Socket]\nListenStream=/run/x.sock\n")]);
    assert_eq!(host.triggers_of("x").unwrap(), ["x.socket"]);
    assert_eq!(host.trigger("x.socket").unwrap_err().kind(), ErrorKind::Conflict, "no unit listens");
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
        assert_eq!(HostViewExt::unit(&host, unit).unwrap().active.as_deref(), Some("inactive"), "{unit}");
    }
    assert_eq!(HostViewExt::unit(&host, "never.timer").unwrap().load, "bad-setting");
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

/// Seen on both releases: "Unit to trigger vanished".
#[test]
fn a_timer_fails_when_it_is_masked_or_its_file_goes_while_it_waits() {
    let host = SimHost::debian(12);
    act(&host, "apt-daily.timer", UnitAction::Mask);
    let timer = || HostViewExt::unit(&host, "apt-daily.timer").unwrap();
    assert_eq!((timer().load.as_str(), timer().active.as_deref()), ("masked", Some("failed")));
    act(&host, "apt-daily.timer", UnitAction::Unmask);
    assert_eq!((timer().load.as_str(), timer().active.as_deref()), ("loaded", Some("failed")));
    act(&host, "apt-daily.timer", UnitAction::Start);
    assert!(timer().is_active());

    let files = [("x.timer", "[Timer]\nOnCalendar=yearly\n"), ("y.socket", "[Socket]\nListenStream=/run/y\n")];
    let host = with_units(&[("x.service", ""), ("y.service", "")], &files);
    for (unit, active) in [("x.timer", "failed"), ("y.socket", "active")] {
        act(&host, unit, UnitAction::Start);
        let file = path(&format!("/etc/systemd/system/{unit}"));
        host.perform(&Effect::Remove { path: file, what: Removal::File }).unwrap();
        assert!(host.unit(unit).is_active(), "{unit} is not read yet");
        host.perform(&Effect::Platform(PlatformEffect::ReloadUnits)).unwrap();
        let found = HostViewExt::unit(&host, unit).unwrap();
        assert_eq!((found.load.as_str(), found.active.as_deref()), ("not-found", Some(active)), "{unit}");
    }
}
