use provision_core::host::SimHost;
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
    assert_eq!(words(active("active", "enabled"), json!({ "running": false })), ["stop app.service"]);
    assert_eq!(words(active("active", "disabled"), json!({ "running": false, "enabled": true })).len(), 2);
    assert_eq!(words(active("active", "enabled-runtime"), json!({})), ["enable app.service"]);
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
    // A mask that nobody speaks of stays.
    assert_eq!(converge::<Service>(&host, "app", json!({ "running": false, "enabled": false })).words(), [""; 0]);
    let done = converge::<Service>(&host, "app", json!({}));
    assert_eq!(done.words(), ["unmask app.service", "enable app.service", "start app.service"]);
    let off = json!({ "masked": false, "running": false, "enabled": false });
    let masked = unit(|unit| {
        unit.load = "masked".into();
        unit.file_state = "masked-runtime".into();
    });
    assert_eq!(words(masked, off), ["unmask app.service"]);
}

#[test]
fn a_unit_that_is_not_there_can_be_off_and_masked() {
    let host = SimHost::debian(12);
    let error = fails::<Service>(&host, "nginx", json!({}));
    assert_eq!((error.kind(), error.message()), (ErrorKind::NotFound, "there is no unit nginx.service"));
    assert!(error.hint().is_some_and(|hint| hint.contains("`package.nginx`")), "{error:?}");
    assert_eq!(fails::<Service>(&host, "nginx", json!({ "running": false })).kind(), ErrorKind::NotFound);
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
    assert_eq!(words(outdated, json!({})), ["reload the unit files", "enable app.service", "start app.service"]);
    let mut outdated = active("active", "enabled");
    outdated.needs_reload = true;
    assert_eq!(words(outdated, json!({})), ["reload the unit files"]);
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
    declare::<Service>(attributes).react(&id, &before, host).unwrap();
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
    assert_eq!(reaction(&outdated, json!({}), "running"), ["reload the unit files", "restart nginx.service"]);
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
