//! From what a test says a host begins with to that host.

use std::path::Path;

use crate::effect::{Access, Effect, Output, PackageRequest, PackageTransaction};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::facts::Facts;
use crate::host::{Host, HostRecord, HostView, SimHost};
use crate::path::{HostPath, Mode};
use crate::site::{StartingFile, StartingState};

/// Makes a host of a release that begins like this. Relative paths of fixtures start at `beside`.
///
/// # Errors
/// There is no such release, package or fixture; or the fixture is of another release.
pub fn starting(state: &StartingState, release: u32, beside: Option<&Path>) -> Result<SimHost> {
    let host = match &state.fixture {
        Some(fixture) => from_fixture(fixture, release, beside)?,
        None => SimHost::release(&release.to_string())?,
    };
    furnish(host, state)
}

fn from_fixture(fixture: &str, release: u32, beside: Option<&Path>) -> Result<SimHost> {
    let file = beside.map_or_else(|| fixture.into(), |beside| beside.join(fixture));
    let reading = || format!("reading the fixture {}", file.display());
    #[expect(clippy::disallowed_methods, reason = "a fixture lies beside the site that it is for")]
    let text = std::fs::read_to_string(&file).map_err(|error| Error::io(&error)).while_doing(reading)?;
    let record = HostRecord::from_json(&text).while_doing(reading)?;
    let recorded = record.os.version.clone();
    if recorded != release.to_string() {
        let message = format!("it was recorded on Debian {recorded}, and the test is for Debian {release}");
        return Err(Error::new(ErrorKind::Invalid, message)
            .while_doing(reading())
            .with_hint(format!("say `releases = [{recorded}]`, or record a host of Debian {release}")));
    }
    SimHost::from_record(record)
}

/// Puts what a test says on a host.
///
/// # Errors
/// It cannot be there.
pub fn furnish(mut host: SimHost, state: &StartingState) -> Result<SimHost> {
    for name in &state.groups {
        let effect = Effect::CreateGroup { name: name.clone(), gid: None, system: false };
        host.perform(&effect)?;
    }
    for name in &state.users {
        if host.user(name)?.is_none() {
            host = host.with_user(name);
        }
    }
    for packages in [&state.packages] {
        if packages.is_empty() {
            continue;
        }
        let install = packages.iter().map(|name| PackageRequest { name: name.clone(), version: None }).collect();
        host.perform(&Effect::Packages(PackageTransaction { install, ..PackageTransaction::default() }))?;
    }
    for name in &state.held {
        host = host.with_held_package(name);
    }
    for directory in &state.directories {
        host = host.with_directory(directory.as_str());
    }
    for (path, file) in &state.files {
        host = put_file(host, path, file)?;
    }
    for (path, target) in &state.links {
        host = host.with_link(path.as_str(), target);
    }
    for unit in &state.failing_units {
        host = host.with_failing_unit(unit);
    }
    for (words, answer) in &state.commands {
        let output = Output { code: answer.code, stdout: answer.stdout.clone(), stderr: answer.stderr.clone() };
        host = host.with_command(words, output);
    }
    if let Some(bytes) = state.free_bytes {
        host = host.with_free_space(bytes);
    }
    if let Some(holder) = &state.package_lock {
        host = host.with_package_lock(holder);
    }
    if state.lists_age.is_some() {
        host = host.with_lists_age(state.lists_age);
    }
    if state.running == Some(false) {
        host = host.switched_off();
    }
    host.take_effects();
    Ok(host)
}

fn put_file(host: SimHost, path: &HostPath, file: &StartingFile) -> Result<SimHost> {
    let (text, owner, group, mode) = match file {
        StartingFile::Text(text) => (text, "root", "root", Mode::new(0o644)),
        StartingFile::Full(full) => (&full.text, full.owner.as_str(), full.group.as_str(), full.mode),
    };
    let host = host.with_file(path.as_str(), text.as_str());
    let access = Access { owner: owner.to_owned(), group: group.to_owned(), mode };
    host.perform(&Effect::SetMetadata {
        path: path.clone(),
        owner: Some(access.owner),
        group: Some(access.group),
        mode: Some(access.mode),
        attributes: crate::effect::AttributeChanges::default(),
    })?;
    Ok(host)
}

/// The facts of a freshly installed release.
///
/// # Errors
/// It was not recorded.
pub fn facts_of(release: u32) -> Result<Facts> {
    Facts::gather(&SimHost::release(&release.to_string())?)
}
