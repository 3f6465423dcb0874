use provision_core::sim::SimHost;
use serde_json::{Value, json};

use super::*;
use crate::converging::{converge, declare, fails, mistakes};

/// A loaded unit that does nothing and does not start at boot.
fn unit(change: impl FnOnce(&mut UnitState)) -> UnitState {
    let mut unit = UnitState {
        load: "loaded".into(),
        active: Some("inactive".into()),
        sub: Some("dead".into()),
        file_state: "disabled".into(),
        ..UnitState::not_found()
    };
    change(&mut unit);
    unit
}

fn active(active: &str, file_state: &str) -> UnitState {
    unit(|unit| {
        unit.active = Some(active.into());
        unit.file_state = file_state.into();
    })
}

fn with(state: UnitState) -> SimHost {
    SimHost::debian(12).with_unit("app.service", state)
}

fn words(state: UnitState, attributes: Value) -> Vec<String> {
    converge::<Service>(&with(state), "app", attributes).words()
}

#[test]
fn a_service_is_started_and_enabled_stopped_and_disabled() {
    let done = converge::<Service>(&with(unit(|_| ())), "app", json!({}));
    assert_eq!(done.words(), ["enable app.service", "start app.service"]);
    assert_eq!(done.now, json!({ "activity": "stopped", "enabled": false, "masked": false, "outdated": false }));
    assert_eq!(done.want, json!({ "activity": "running", "enabled": true, "masked": false, "outdated": false }));
    assert_eq!(words(active("active", "enabled"), json!({})), [""; 0]);
    let off = || json!({ "running": false, "enabled": false });
    assert_eq!(words(active("active", "enabled"), off()), ["stop app.service", "disable app.service"]);
    assert_eq!(words(unit(|_| ()), off()), [""; 0]);
    assert_eq!(words(active("active", "disabled"), json!({ "running": false, "enabled": true })).len(), 2);
    assert_eq!(words(active("active", "enabled-runtime"), json!({})), ["enable app.service"]);
}

/// After puppetlabs' `service` and ansible's `systemd`, where what is unset is unmanaged.
#[test]
fn stopping_a_service_does_not_enable_it_and_enabling_one_does_not_start_it() {
    for enabled in ["enabled", "disabled"] {
        let done = converge::<Service>(&with(active("active", enabled)), "app", json!({ "running": false }));
        assert_eq!(done.words(), ["stop app.service"]);
        assert_eq!(done.want, json!({ "activity": "stopped", "outdated": false }));
        assert_eq!(words(unit(|_| ()), json!({ "running": true })), ["start app.service"]);
    }
    assert_eq!(words(unit(|_| ()), json!({ "enabled": true })), ["enable app.service"]);
    assert_eq!(words(active("active", "enabled"), json!({ "enabled": false })), ["disable app.service"]);
    assert_eq!(words(active("failed", "enabled"), json!({ "enabled": true })), [""; 0]);
    let masked = || unit(|unit| (unit.load, unit.file_state) = ("masked".into(), "masked".into()));
    assert_eq!(words(masked(), json!({ "running": false })), [""; 0], "a mask that is not declared stays");
    assert_eq!(words(masked(), json!({ "enabled": true })), ["unmask app.service", "enable app.service"]);
    assert_eq!(words(active("active", "enabled"), json!({ "masked": true, "enabled": false })).len(), 3);
}

#[test]
fn a_notification_restarts_what_runs_even_if_only_enabled_is_declared() {
    let host = SimHost::debian(12).with_unit("nginx.service", active("active", "enabled"));
    let before = State { activity: None, enabled: Some(true), masked: Some(false), outdated: false };
    let react = |host: &SimHost| {
        host.take_effects();
        declare::<Service>(json!({ "enabled": true }))
            .react(&ApplyContext::new(&ResourceId::new("service", "nginx"), host), &before)
            .unwrap();
        host.take_effects().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(react(&host), ["restart nginx.service"]);
    assert_eq!(react(&SimHost::debian(12).with_unit("nginx.service", unit(|_| ()))), [""; 0]);
}

#[test]
fn a_service_is_watched_for_as_long_as_ready_says() {
    let ready = || json!({ "ready": "5s" });
    assert_eq!(words(unit(|_| ()), ready()), ["enable app.service", "start app.service", "watch app.service for 5 s"]);
    assert_eq!(words(active("active", "enabled"), ready()), [""; 0]);
    let host = SimHost::debian(12).with_package("nginx");
    assert_eq!(reaction(&host, ready(), "running"), ["restart nginx.service", "watch nginx.service for 5 s"]);
}

#[test]
fn what_cannot_be_enabled_is_refused_if_it_is_asked_for_and_what_helps_is_named() {
    for state in ["static", "indirect", "generated", "transient"] {
        let error = fails::<Service>(&with(active("active", state)), "app", json!({ "enabled": true }));
        assert!(error.message().contains("app.service cannot be enabled"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("leave `enabled` out")), "{error:?}");
        assert_eq!(words(active("active", state), json!({ "enabled": false })), [""; 0], "{state}");
    }
    assert_eq!(words(active("active", "linked"), json!({ "running": true })), [""; 0]);
}

#[test]
fn a_mask_until_the_next_boot_is_named_with_the_way_out() {
    let masked = || unit(|unit| (unit.load, unit.file_state) = ("masked".into(), "masked-runtime".into()));
    for wanted in [json!({}), json!({ "running": true }), json!({ "masked": false, "running": false })] {
        let error = fails::<Service>(&with(masked()), "app", wanted);
        assert!(error.hint().is_some_and(|hint| hint.contains("systemctl unmask --runtime app.service")), "{error:?}");
    }
    assert_eq!(words(masked(), json!({ "running": false, "enabled": false })), [""; 0]);
}

#[test]
fn a_unit_that_runs_although_its_file_is_gone_is_stopped_and_its_links_go() {
    let gone = unit(|unit| {
        unit.load = "not-found".into();
        (unit.active, unit.file_state) = (Some("active".into()), "enabled".into());
    });
    assert_eq!(words(gone, json!({ "running": false, "enabled": false })), ["stop app.service", "disable app.service"]);
}

#[test]
fn another_name_of_a_unit_stands_for_it_enabled_and_disabled() {
    let host = || {
        let text = "[Service]\nExecStart=/usr/bin/sleep 1\n[Install]\nAlias=nick.service\nWantedBy=multi-user.target\n";
        SimHost::debian(13).with_file("/etc/systemd/system/real.service", text)
    };
    let done = converge::<Service>(&host(), "nick", json!({}));
    assert_eq!(done.words(), ["enable real.service", "start real.service"]);
    let host = host();
    converge::<Service>(&host, "real", json!({}));
    assert_eq!(converge::<Service>(&host, "nick", json!({})).words(), [""; 0]);
    let off = || json!({ "running": false, "enabled": false });
    assert_eq!(converge::<Service>(&host, "nick", off()).words(), ["stop real.service", "disable real.service"]);
    assert!(!host.file("/etc/systemd/system/nick.service").exists());
    assert_eq!(converge::<Service>(&host, "nick", off()).words(), [""; 0]);
    assert_eq!(converge::<Service>(&host, "nick", json!({ "enabled": true })).words(), ["enable real.service"]);
}

#[test]
fn an_init_script_is_enabled_and_disabled_by_its_links() {
    let script = "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: oldie\n# Default-Start: 2 3 4 5\n### END INIT INFO\n";
    for host in [SimHost::debian(12), SimHost::debian(12).switched_off()] {
        let host = host.with_file("/etc/init.d/oldie", script).with_access("/etc/init.d/oldie", "root", "root", 0o755);
        let enables = converge::<Service>(&host, "oldie", json!({ "enabled": true }));
        assert_eq!(enables.words(), ["enable oldie.service"]);
        assert!(host.file("/etc/rc5.d/S01oldie").exists());
        let disables = converge::<Service>(&host, "oldie", json!({ "enabled": false }));
        assert_eq!(disables.words(), ["disable oldie.service"]);
        assert!(host.file("/etc/rc5.d/K01oldie").exists() && !host.file("/etc/rc5.d/S01oldie").exists());
        converge::<Service>(&host, "oldie", json!({ "masked": true }));
        let unmasks = converge::<Service>(&host, "oldie", json!({ "enabled": true }));
        assert_eq!(unmasks.words(), ["unmask oldie.service", "enable oldie.service"]);
    }
}

#[test]
fn units_that_other_units_are_to_uphold_can_be_enabled_where_systemd_knows_that() {
    let text = "[Service]\nExecStart=/usr/bin/sleep 1\n[Install]\nUpheldBy=multi-user.target\n";
    let on = |release| SimHost::debian(release).with_file("/etc/systemd/system/app.service", text);
    assert_eq!(converge::<Service>(&on(13), "app", json!({ "enabled": true })).words(), ["enable app.service"]);
    assert!(fails::<Service>(&on(12), "app", json!({ "enabled": true })).message().contains("cannot be enabled"));
}

#[test]
fn other_units_are_named_in_full() {
    let host =
        SimHost::debian(12).with_unit("backup.timer", unit(|_| ())).with_unit("getty@tty2.service", unit(|_| ()));
    assert_eq!(converge::<Service>(&host, "backup.timer", json!({})).words().len(), 2);
    assert_eq!(converge::<Service>(&host, "getty@tty2", json!({})).words()[1], "start getty@tty2.service");
    assert_eq!(full_name("foo.bar"), "foo.bar.service");
}

#[test]
fn states_on_the_way_are_not_there_yet() {
    for state in ["activating", "deactivating"] {
        assert_eq!(words(active(state, "enabled"), json!({})), ["start app.service"], "{state}");
        assert_eq!(
            words(active(state, "disabled"), json!({ "running": false, "enabled": false })),
            ["stop app.service"]
        );
    }
    assert_eq!(words(active("reloading", "enabled"), json!({})), [""; 0]);
    assert_eq!(words(active("failed", "enabled"), json!({})), ["reset-failed app.service", "start app.service"]);
    assert_eq!(words(active("failed", "disabled"), json!({ "running": false, "enabled": false })), [""; 0]);
}

#[test]
fn what_ends_by_itself_is_in_sync_unless_it_failed() {
    let oneshot = |active: &str| {
        unit(|unit| {
            unit.ends_by_itself = true;
            unit.active = Some(active.into());
            unit.file_state = "enabled".into();
        })
    };
    assert_eq!(words(oneshot("inactive"), json!({})), [""; 0]);
    assert_eq!(words(oneshot("activating"), json!({})), [""; 0]);
    assert_eq!(words(oneshot("failed"), json!({})), ["reset-failed app.service", "start app.service"]);
}

#[test]
fn a_new_oneshot_is_run_once_when_it_is_enabled() {
    let oneshot = |state: &str| {
        unit(|unit| {
            unit.ends_by_itself = true;
            unit.file_state = state.into();
        })
    };
    // If the run dies between the two, the next one starts it again.
    assert_eq!(words(oneshot("disabled"), json!({})), ["start app.service", "enable app.service"]);
    assert_eq!(words(oneshot("static"), json!({})), [""; 0], "a timer or another unit starts it");
    for attributes in [json!({ "running": true }), json!({ "running": true, "enabled": false })] {
        let error = fails::<Service>(&with(oneshot("disabled")), "app", attributes);
        assert!(error.message().contains("ends by itself"), "{error}");
    }
    assert_eq!(words(oneshot("disabled"), json!({ "running": true, "enabled": true })).len(), 2);
    assert_eq!(words(oneshot("disabled"), json!({ "enabled": true })), ["enable app.service"]);
}

#[test]
fn what_cannot_be_enabled_is_left_alone() {
    for state in ["static", "indirect", "generated", "alias", "transient", "linked", "linked-runtime", ""] {
        assert_eq!(words(active("active", state), json!({})), [""; 0], "{state}");
        assert_eq!(words(active("inactive", state), json!({ "running": false, "enabled": false })), [""; 0], "{state}");
    }
}

#[test]
fn a_mask_is_put_on_last_and_taken_off_first() {
    let host = with(active("active", "enabled"));
    let done = converge::<Service>(&host, "app", json!({ "masked": true }));
    assert_eq!(done.words(), ["stop app.service", "disable app.service", "mask app.service"]);
    assert_eq!(done.want, json!({ "activity": "stopped", "enabled": false, "masked": true, "outdated": false }));
    assert_eq!(converge::<Service>(&host, "app", json!({ "masked": true })).words(), [""; 0]);
    // A mask that is unset stays.
    assert_eq!(converge::<Service>(&host, "app", json!({ "running": false, "enabled": false })).words(), [""; 0]);
    let done = converge::<Service>(&host, "app", json!({}));
    assert_eq!(done.words(), ["unmask app.service", "enable app.service", "start app.service"]);
    let off = json!({ "masked": false, "running": false, "enabled": false });
    let masked = unit(|unit| {
        unit.load = "masked".into();
        unit.file_state = "masked".into();
    });
    assert_eq!(words(masked, off), ["unmask app.service"]);
}

#[test]
fn a_unit_that_is_not_there_can_be_off_and_masked() {
    let host = SimHost::debian(12);
    let error = fails::<Service>(&host, "nginx", json!({}));
    assert_eq!((error.kind(), error.message()), (ErrorKind::NotFound, "there is no unit nginx.service"));
    assert!(error.hint().is_some_and(|hint| hint.contains("`package.nginx`")), "{error:?}");
    assert_eq!(fails::<Service>(&host, "nginx", json!({ "enabled": true })).kind(), ErrorKind::NotFound);
    assert_eq!(converge::<Service>(&host, "nginx", json!({ "running": false })).words(), [""; 0]);
    let off = json!({ "running": false, "enabled": false });
    assert_eq!(converge::<Service>(&host, "nginx", off).words(), [""; 0]);
    assert_eq!(converge::<Service>(&host, "nginx", json!({ "masked": true })).words(), ["mask nginx.service"]);
}

#[test]
fn a_unit_that_cannot_be_loaded_is_an_error() {
    for load in ["bad-setting", "error"] {
        let error = fails::<Service>(&with(unit(|unit| unit.load = load.into())), "app", json!({}));
        assert!(error.message().contains(load), "{error}");
        let off = json!({ "running": false, "enabled": false });
        assert_eq!(words(unit(|unit| unit.load = load.into()), off), [""; 0]);
    }
}

#[test]
fn changed_unit_files_are_read_first() {
    let outdated = unit(|unit| unit.needs_reload = true);
    assert_eq!(words(outdated, json!({})), ["systemctl daemon-reload", "enable app.service", "start app.service"]);
    let mut outdated = active("active", "enabled");
    outdated.needs_reload = true;
    assert_eq!(words(outdated, json!({})), ["systemctl daemon-reload"]);
}

#[test]
fn in_a_root_directory_nothing_runs() {
    let host = SimHost::debian(12).switched_off().with_package("nginx");
    assert_eq!(converge::<Service>(&host, "nginx", json!({})).words(), [""; 0]);
    let off = json!({ "running": false, "enabled": false });
    let done = converge::<Service>(&host, "nginx", off);
    assert_eq!(done.words(), ["disable nginx.service"]);
    assert_eq!(done.now, json!({ "enabled": true, "outdated": false }));
    assert_eq!(converge::<Service>(&host, "nginx", json!({ "masked": true })).words(), ["mask nginx.service"]);
    assert_eq!(
        converge::<Service>(&host, "nginx", json!({})).words(),
        ["unmask nginx.service", "enable nginx.service"]
    );
    assert_eq!(reaction(&host, json!({}), "running"), [""; 0]);
}

/// What a notification does to `nginx`, which this run found like that.
fn reaction(host: &SimHost, attributes: Value, before: &str) -> Vec<String> {
    let state = json!({ "activity": before, "enabled": true, "masked": false, "outdated": false });
    let before: State = serde_json::from_value(state).unwrap();
    host.take_effects();
    let id = ResourceId::new("service", "nginx");
    declare::<Service>(attributes).react(&ApplyContext::new(&id, host), &before).unwrap();
    host.take_effects().iter().map(ToString::to_string).collect()
}

#[test]
fn a_notification_restarts_or_reloads_what_runs() {
    let host = SimHost::debian(12).with_package("nginx");
    let reload = || json!({ "on_change": "reload" });
    assert_eq!(reaction(&host, json!({}), "running"), ["restart nginx.service"]);
    assert_eq!(reaction(&host, reload(), "running"), ["reload nginx.service"]);
    assert_eq!(reaction(&host, json!({ "on_change": "nothing" }), "running"), [""; 0]);
    assert_eq!(reaction(&host, json!({}), "stopped"), [""; 0], "it was started by this run");
    assert_eq!(reaction(&host, json!({ "running": false }), "running"), [""; 0]);
    let nginx = |change: fn(&mut UnitState)| SimHost::debian(12).with_unit("nginx.service", unit(change));
    let plain = nginx(|unit| unit.active = Some("active".into()));
    assert_eq!(reaction(&plain, reload(), "running"), ["restart nginx.service"], "it cannot reload");
    let outdated = nginx(|unit| (unit.active, unit.needs_reload) = (Some("active".into()), true));
    assert_eq!(reaction(&outdated, json!({}), "running"), ["systemctl daemon-reload", "restart nginx.service"]);
    assert_eq!(reaction(&nginx(|_| ()), json!({}), "running"), [""; 0], "it was stopped since");
    let masked = nginx(|unit| (unit.active, unit.load) = (Some("active".into()), "masked".into()));
    assert_eq!(reaction(&masked, json!({}), "running"), [""; 0]);
    let oneshot = nginx(|unit| unit.ends_by_itself = true);
    assert_eq!(reaction(&oneshot, json!({}), "running"), ["restart nginx.service"]);
}

#[test]
fn mistakes_are_reported_at_once_with_help() {
    let found = mistakes::<Service>("app@", json!({ "masked": true, "running": true, "enabled": true }));
    let attributes: Vec<&str> = found.iter().map(|mistake| mistake.path.first().map_or("", String::as_str)).collect();
    assert_eq!(attributes, ["", "running", "enabled"]);
    assert!(found.iter().all(|mistake| mistake.help.is_some()));
    assert_eq!(mistakes::<Service>("app", json!({ "masked": true, "running": false, "enabled": false })), []);
    for bad in ["", "a b", "../x", "/x", "app@.service", ".service", "@x", "ä"] {
        assert_eq!(mistakes::<Service>(bad, json!({})).len(), 1, "{bad}");
    }
    assert!(serde_json::from_value::<Service>(json!({ "on_change": "explode" })).is_err());
}

#[test]
fn packages_and_unit_files_come_first() {
    let path = |path: &str| Claim::needs(Target::Path(HostPath::new(path).unwrap()));
    assert_eq!(
        declare::<Service>(json!({})).claims(&ResourceId::new("service", "wg-quick@wg0")),
        [
            Claim::owns(Target::Unit("wg-quick@wg0.service".into())),
            Claim::needs(Target::Package("wg-quick".into())),
            path("/etc/systemd/system/wg-quick@wg0.service"),
            path("/etc/systemd/system/wg-quick@.service"),
        ]
    );
}

/// A plan that was made before a package had brought the unit would otherwise still hold, and its links would stay.
#[test]
fn whether_a_unit_is_enabled_counts_for_one_that_is_to_be_masked() {
    let host = SimHost::debian(13).with_package("at");
    let done = converge::<Service>(&host, "atd", json!({ "masked": true }));
    assert_eq!(done.now, json!({ "activity": "running", "enabled": true, "masked": false, "outdated": false }));
    assert!(!host.file("/etc/systemd/system/multi-user.target.wants/atd.service").exists());
}
