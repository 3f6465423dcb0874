//! Files, disks and commands.

use provision_core::effect::{Command, Effect, Output, Removal, UnitAction};
use provision_core::error::ErrorKind;
use provision_core::host::{Host, HostExt, HostView};
use provision_core::sim::SimHost;

use super::{act, path};

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
fn a_command_is_declared_or_an_error() {
    let command = Command::new(["make-it-so", "--now"]);
    let error = SimHost::debian(13).perform(&Effect::Run(command.clone())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("does not know what `make-it-so --now` does"), "{error}");
    let write = Effect::Remove { path: path("/etc/motd"), what: Removal::File };
    let host = SimHost::debian(13).with_command_effects("make-it-so", vec![write]);
    host.perform(&Effect::Run(command.clone())).unwrap();
    assert!(!host.file("/etc/motd").exists());
    let fails = Output { code: 3, stderr: "no".into(), ..Output::default() };
    let host = SimHost::debian(13).with_command("make-it-so --now", fails);
    assert_eq!(host.perform(&Effect::Run(command)).unwrap_err().kind(), ErrorKind::CommandFailed);
}

#[test]
fn a_directory_that_is_there_is_not_emptied_by_naming_it() {
    let host = SimHost::debian(13).with_access("/etc", "daemon", "root", 0o700).with_directory("/etc");
    assert!(host.file("/etc/os-release").exists());
    assert_eq!((host.file("/etc").owner().as_str(), host.file("/etc").mode()), ("root", 0o755));
}
