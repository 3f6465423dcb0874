use super::*;
use crate::testing::{converge, in_words, mistakes};
use provision_core::host::HostViewExt;
use provision_core::sim::SimHost;

const FILE: &str = "/etc/systemd/system/cron.service.d/limits.conf";

fn cron() -> SimHost {
    SimHost::debian(12).with_package("cron")
}

fn dropin(settings: Value) -> UnitDropin {
    serde_json::from_value(json!({ "settings": settings })).unwrap()
}

#[test]
fn a_dropin_repeats_keys_and_empties_lists() {
    let host = cron();
    let settings = json!({
        "Service": { "ExecStart": [null, "/usr/sbin/cron -f"], "LimitNOFILE": 65536, "NoNewPrivileges": false },
        "Unit": { "After": "a.mount" },
    });
    converge(&host, "cron.service/limits", dropin(settings)).unwrap();
    insta::assert_snapshot!(host.read_text(FILE).unwrap().unwrap(), @r"
    # Managed by provision: unit_dropin:cron.service/limits
    [Unit]
    After=a.mount

    [Service]
    ExecStart=
    ExecStart=/usr/sbin/cron -f
    LimitNOFILE=65536
    NoNewPrivileges=no
    ");
}

#[test]
fn the_same_in_other_words_is_left() {
    let declared = || dropin(json!({ "Service": { "Nice": 5 }, "Unit": { "After": "a.mount" } }));
    for same in [
        "# mine\n[Service]\nNice = 5\n[Unit]\nAfter=a.mount",
        "[Unit]\n[Service]\n Nice=\\\n5\n\n[Unit]\nAfter=a.mount\n",
    ] {
        let host = cron().with_file(FILE, same);
        assert!(converge(&host, "cron.service/limits", declared()).unwrap().is_empty(), "{same:?}");
    }
    for other in [
        "",
        "[Service]\nNice=5\n",
        "[Service]\nNice=5\nNice=5\n[Unit]\nAfter=a.mount\n",
        "[Service]\nNice=5\n[Unit]\nAfter=a.mount\nx\n",
    ] {
        let host = cron().with_file(FILE, other);
        let effects = converge(&host, "cron.service/limits", declared()).unwrap();
        assert_eq!(in_words(&effects), [format!("write {FILE}")], "{other:?}");
    }
}

#[test]
fn a_dropin_that_no_unit_has_is_refused() {
    let nice = || dropin(json!({ "Service": { "Nice": 5 } }));
    let refused = |name: &str| converge(&SimHost::debian(13), name, nice()).unwrap_err();
    assert_eq!(refused("corn.service/a").message(), "the drop-in would have no effect: there is no unit corn.service");
    let linked = SimHost::debian(13).with_file("/etc/systemd/system/app.service", "[Service]\nExecStart=/bin/a\n");
    let linked = linked.with_link("/etc/systemd/system/other.service", "/etc/systemd/system/app.service");
    let error = converge(&linked, "other.service/a", nice()).unwrap_err();
    assert_eq!(
        error.message(),
        "other.service is another name of app.service, and the drop-in would go with that name"
    );
    assert_eq!(error.hint(), Some("name it \"app.service/a\""));
    for name in ["service/a", "app-.service/a", "getty@.service/a", "getty@tty1.service/a"] {
        assert!(converge(&SimHost::debian(13), name, nice()).is_ok(), "{name}");
    }
    assert!(converge(&SimHost::debian(13), "srv.mount/a", dropin(json!({ "Mount": { "Options": "ro" } }))).is_ok());
    let absent = UnitDropin { ensure: Ensure::Absent, ..UnitDropin::default() };
    assert!(converge(&SimHost::debian(13), "corn.service/a", absent).unwrap().is_empty());
}

#[test]
fn a_setting_that_only_a_newer_systemd_knows_is_refused() {
    let newer = || dropin(json!({ "Service": { "RestartMode": "direct" } }));
    let error = converge(&cron(), "cron.service/limits", newer()).unwrap_err();
    assert!(error.message().contains("does not know RestartMode= in [Service], and would ignore it"), "{error}");
    assert!(converge(&SimHost::debian(13).with_package("cron"), "cron.service/limits", newer()).is_ok());
}

#[test]
fn what_systemd_would_not_read_is_a_mistake() {
    let said = |name: &str, settings: Value| mistakes(name, &dropin(settings)).join("; ");
    let nice = || json!({ "Service": { "Nice": 5 } });
    for name in [
        "cron/a",
        "cron.service",
        "cron.service/",
        "cron.service/.a",
        "cron.service/a/b",
        "/a",
        "cron.service/a b",
        "cron.service/a.conf",
        "a b.service/a",
    ] {
        assert_ne!(said(name, nice()), "", "{name:?}");
    }
    for settings in [
        json!({}),
        json!({ "Service": {} }),
        json!({ "Install": { "WantedBy": "a.target" } }),
        json!({ "Timer": { "OnCalendar": "daily" } }),
    ] {
        assert_ne!(said("cron.service/a", settings.clone()), "", "{settings}");
    }
    insta::assert_snapshot!(said("cron.service/a", json!({
        "Service": { "ExecStart": "/usr/sbin/cron -f -L 5", "Nicce": 5 }, "Unit": { "After": null }, "Install": { "WantedBy": "a.target" },
    })), @"settings.Install: systemd reads [Install] only while it enables the unit, which may be enabled already; settings.Service.Nicce: systemd knows no setting Nicce= in [Service], and ignores it; settings.Unit.After: systemd ignores an empty After=: dependencies can only be added; settings.Service.ExecStart: the service would have two commands, and systemd would not load it");
}

#[test]
fn a_dropin_comes_after_the_file_of_its_unit() {
    let claims = |name: &str| dropin(json!({})).also_claims(&ResourceId::new("unit_dropin", name));
    let file = HostPath::new("/etc/systemd/system/app.service").unwrap();
    assert_eq!(claims("app.service/a"), [Claim::needs(Target::Path(file))]);
}
