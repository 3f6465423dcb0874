//! Packages: what apt and dpkg do, and refuse.

use provision_core::effect::{
    Conffiles, Effect, PackageOptions, PackageRequest, PackageTransaction, PlatformEffect, Removal, UnitAction,
};
use provision_core::error::ErrorKind;
use provision_core::host::{Host, HostViewExt, PackageState, PackageStatus};
use provision_core::sim::SimHost;

use super::{act, packages, path};

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
fn what_is_locked_held_or_essential_is_refused() {
    let install = |name: &str| {
        let request = PackageRequest { name: name.into(), version: None };
        Effect::Platform(PlatformEffect::Packages(PackageTransaction {
            install: vec![request],
            ..PackageTransaction::default()
        }))
    };
    let locked = SimHost::debian(13).with_package_lock("apt-get (process 42)");
    let error = locked.perform(&install("hello")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.message().contains("apt-get (process 42)"), "{error}");
    let error = SimHost::debian(13).perform(&install("no-such-package")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let essential = PackageTransaction { remove: vec!["dpkg".into()], ..PackageTransaction::default() };
    assert_eq!(
        SimHost::debian(13).perform(&Effect::Platform(PlatformEffect::Packages(essential))).unwrap_err().kind(),
        ErrorKind::Refused
    );
}

#[test]
fn a_killed_dpkg_leaves_packages_unpacked_and_is_repaired() {
    let request = PackageRequest { name: "nginx".into(), version: None };
    let install = Effect::Platform(PlatformEffect::Packages(PackageTransaction {
        install: vec![request],
        ..PackageTransaction::default()
    }));
    let coming = SimHost::debian(13);
    let Effect::Platform(PlatformEffect::Packages(transaction)) = &install else { unreachable!() };
    let steps = 2 * coming.preview(transaction).unwrap().changes.len();
    for killed_after in 0..steps {
        let host = SimHost::debian(13).with_dpkg_killed_after(killed_after);
        assert!(host.perform(&install).is_err(), "killed after {killed_after} of {steps}");
        assert!(!host.has_package("nginx"));
        let interrupted = host.package_manager().unwrap().interrupted;
        assert_eq!(interrupted.is_empty(), killed_after == 0, "{interrupted:?}");
        host.perform(&Effect::Platform(PlatformEffect::RepairPackages)).unwrap();
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
    host.perform(&Effect::Remove { path: path(gone), what: Removal::File }).unwrap();
    packages(&host, |transaction| transaction.remove = vec!["cron".into()]);
    assert_eq!(host.file(changed).text(), "ours\n");
    let host = host.with_package("cron");
    assert_eq!(host.file(changed).text(), "ours\n");
    assert!(!host.file(gone).exists());
    assert!(!host.file("/etc/default/cron.dpkg-dist").exists());
}

/// `apt_preferences(5)`.
#[test]
fn pins_choose_among_versions_and_speak_against_packages() {
    let pin = |package: &str, wanted: &str, priority: i32| {
        format!("Package: {package}\nPin: {wanted}\nPin-Priority: {priority}\n")
    };
    let install = |host: &SimHost, name: &str, allow_downgrade| {
        let request = PackageRequest { name: name.into(), version: None };
        let mut transaction = PackageTransaction { install: vec![request], ..PackageTransaction::default() };
        transaction.options.allow_downgrade = allow_downgrade;
        host.perform(&Effect::Platform(PlatformEffect::Packages(transaction))).map_err(|error| error.kind())
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
fn a_killing_of_dpkg_is_for_one_transaction() {
    let host = SimHost::debian(13).with_dpkg_killed_after(99);
    packages(&host, |transaction| {
        transaction.install = vec![PackageRequest { name: "hello".into(), version: None }];
    });
    let all_of_them = SimHost::debian(13).with_dpkg_killed_after(2);
    for host in [host, all_of_them] {
        for name in ["hello", "tree"] {
            packages(&host, |transaction| {
                transaction.install = vec![PackageRequest { name: name.into(), version: None }];
            });
        }
        assert!(host.has_package("tree"));
    }
}

#[test]
fn a_held_package_is_not_removed_unless_it_is_released() {
    let remove = |unhold: &[&str]| {
        let host = SimHost::debian(12).with_package("hello").with_held_package("hello");
        let unhold = unhold.iter().map(|name| (*name).to_owned()).collect();
        let transaction = PackageTransaction { remove: vec!["hello".into()], unhold, ..PackageTransaction::default() };
        host.perform(&Effect::Platform(PlatformEffect::Packages(transaction))).map_err(|error| error.kind())
    };
    assert_eq!(remove(&[]), Err(ErrorKind::Refused));
    assert_eq!(remove(&["hello"]), Ok(()));
}

/// Seen on both releases: apt-get(8), `--allow-change-held-packages`.
#[test]
fn a_package_that_is_held_before_it_comes_does_not_come() {
    let held = |status| {
        let state = PackageState { status, hold: true, ..PackageState::default() };
        SimHost::debian(12).with_package_state("cron", state)
    };
    let perform = |host: &SimHost, transaction: PackageTransaction| {
        host.perform(&Effect::Platform(PlatformEffect::Packages(transaction))).map_err(|error| error.kind())
    };
    let install = |name: &str| {
        let request = PackageRequest { name: name.into(), version: None };
        PackageTransaction { install: vec![request], ..PackageTransaction::default() }
    };
    let host = held(PackageStatus::Absent);
    assert_eq!(perform(&host, install("cron")), Err(ErrorKind::Refused));
    let unhold = vec!["cron".to_owned()];
    assert_eq!(perform(&host, PackageTransaction { unhold, ..install("cron") }), Ok(()));
    let purge = PackageTransaction { purge: vec!["cron".into()], ..PackageTransaction::default() };
    assert_eq!(perform(&held(PackageStatus::ConfigFiles), purge), Ok(()), "what is left of it may go");
}

/// invoke-rc.d(8): `at` asks it to start its service. Seen on both releases.
#[test]
fn an_init_script_starts_what_is_disabled() {
    for release in [12, 13] {
        let host = SimHost::debian(release).with_file("/etc/systemd/system-preset/00-none.preset", "disable *\n");
        let host = host.with_package("at");
        assert!(host.unit("atd").is_active() && !host.unit("atd").is_enabled(), "on Debian {release}");
    }
}

/// `dpkg(1)`, `config-files`; `bc` has a script that is run when it is purged, and `hello` has none.
#[test]
fn dpkg_remembers_a_removed_package_that_has_a_script_for_its_purge() {
    for (name, left) in [("bc", PackageStatus::ConfigFiles), ("hello", PackageStatus::Absent)] {
        let host = SimHost::debian(13).with_package(name);
        packages(&host, |transaction| transaction.remove = vec![name.into()]);
        assert_eq!(host.package(name).unwrap().status, left, "{name}");
        packages(&host, |transaction| transaction.purge = vec![name.into()]);
        assert_eq!(host.package(name).unwrap().status, PackageStatus::Absent, "{name}");
    }
}
