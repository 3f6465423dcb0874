//! What the model once saw otherwise than real Debian, and what it says of what it does not know.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use provision_core::effect::{Effect, PackageTransaction, PlatformEffect, UnitAction};
use provision_core::error::ErrorKind;
use provision_core::host::{Host, HostViewExt};
use provision_core::path::HostPath;
use provision_core::sim::SimHost;

mod accounts;
mod files;
mod packages;
mod triggers;
mod units;

fn path(path: &str) -> HostPath {
    HostPath::new(path).unwrap()
}

fn act(host: &SimHost, unit: &str, action: UnitAction) {
    host.perform(&Effect::Platform(PlatformEffect::Unit { unit: unit.into(), action })).unwrap();
}

fn packages(host: &SimHost, change: impl FnOnce(&mut PackageTransaction)) {
    let mut transaction = PackageTransaction::default();
    change(&mut transaction);
    host.perform(&Effect::Platform(PlatformEffect::Packages(transaction))).unwrap();
}

/// A host with services that run `sleep`, each with these settings in its `[Unit]` section, and other unit files.
fn with_units(services: &[(&str, &str)], files: &[(&str, &str)]) -> SimHost {
    let host = services.iter().fold(SimHost::debian(13), |host, (name, settings)| {
        let text = format!("[Unit]\n{settings}\n[Service]\nExecStart=/bin/sleep infinity\n");
        host.with_file(&format!("/etc/systemd/system/{name}"), text)
    });
    let host =
        files.iter().fold(host, |host, (name, text)| host.with_file(&format!("/etc/systemd/system/{name}"), *text));
    host.perform(&Effect::Platform(PlatformEffect::ReloadUnits)).unwrap();
    host
}

fn try_to(host: &SimHost, unit: &str, action: UnitAction) -> Result<(), ErrorKind> {
    host.perform(&Effect::Platform(PlatformEffect::Unit { unit: unit.into(), action })).map_err(|error| error.kind())
}

fn sub(host: &SimHost, unit: &str) -> String {
    HostViewExt::unit(host, unit).unwrap().sub.unwrap_or_default()
}
