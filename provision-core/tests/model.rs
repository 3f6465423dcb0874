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
    assert_eq!(host.file("/etc/made").text(), "x");
    assert!(
        host.file("/lib/systemd/system/cron.service").exists()
            == host.file("/usr/lib/systemd/system/cron.service").exists()
    );
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
    let restart =
        |host: &SimHost| host.perform(&Effect::Unit { unit: "app.service".into(), action: UnitAction::Restart });
    // A start takes a while, so five of them do not come within ten seconds.
    (0..8).for_each(|_| drop(restart(&host).unwrap()));
    assert_eq!((host.unit("app").starts(), host.unit("app").restarts()), (8, 7));
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
