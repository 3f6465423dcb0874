//! Users and groups, and the numbers of both.

use provision_core::effect::{CreateUser, Effect, PlatformEffect, UserChanges};
use provision_core::host::{Host, HostViewExt};
use provision_core::sim::SimHost;

fn system_user(name: &str) -> Effect {
    let attributes = UserChanges::default();
    Effect::Platform(PlatformEffect::CreateUser(CreateUser {
        name: name.into(),
        system: true,
        create_home: false,
        attributes,
    }))
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
    host.perform(&Effect::Platform(PlatformEffect::RemoveUser { name: "anna".into(), remove_home: false })).unwrap();
    assert_eq!((host.file("/srv/hers").owner(), host.file("/srv/hers").group()), ("1000".into(), "1000".into()));
    assert_eq!(host.file("/home/anna").owner(), "1000");
    let host = host.with_user("bert");
    assert_eq!(host.file("/srv/hers").owner(), "bert", "who gets the number gets the files");
}

/// `groupmod(8)`, `-g`.
#[test]
fn a_group_with_another_number_stays_the_primary_group_of_its_users() {
    let host = SimHost::debian(12).with_user("anna");
    host.perform(&Effect::Platform(PlatformEffect::ChangeGroup { name: "anna".into(), gid: 4711 })).unwrap();
    assert_eq!(host.user("anna").unwrap().unwrap().gid, 4711);
    assert_eq!(host.file("/home/anna").group(), "1000", "files keep the number");
}
