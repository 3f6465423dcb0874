//! What a test says a host begins with, put on that host.

use crate::diagnostic::did_you_mean;
use crate::effect::{
    AttributeChanges, CreateUser, Effect, Output, PackageRequest, PackageTransaction, PlatformEffect, UserChanges,
};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{FileKind, Host, HostView, HostViewExt};
use crate::path::{HostPath, Mode};
use crate::sim::SimHost;
use crate::site::{StartingFile, StartingState};

/// Something that a host cannot begin with, and where the test says it.
pub(super) struct Unfit {
    pub path: Vec<String>,
    pub error: Error,
}

/// Puts what a test says on a host.
///
/// # Errors
/// It cannot be there.
pub fn furnish(host: SimHost, state: &StartingState) -> Result<SimHost> {
    match furnish_leniently(host, state) {
        (host, unfit) if unfit.is_empty() => Ok(host),
        (_, mut unfit) => Err(unfit.remove(0).error),
    }
}

/// The same, leaving out what cannot be there.
pub(super) fn furnish_leniently(host: SimHost, state: &StartingState) -> (SimHost, Vec<Unfit>) {
    let mut unfit = Unfits(Vec::new());
    let host = furnish_accounts(host, state, &mut unfit);
    let host = furnish_packages(host, state, &mut unfit);
    let mut host = furnish_files(host, state, &mut unfit);
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
    (host, unfit.0)
}

/// What was left out so far.
struct Unfits(Vec<Unfit>);

impl Unfits {
    /// Whether something can be there.
    fn admits<T>(&mut self, path: &[&str], result: Result<T>) -> bool {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        result.map_err(|error| self.0.push(Unfit { path, error })).is_ok()
    }
}

fn furnish_accounts(host: SimHost, state: &StartingState, unfit: &mut Unfits) -> SimHost {
    for (index, name) in state.groups.iter().enumerate() {
        let effect = Effect::Platform(PlatformEffect::CreateGroup { name: name.clone(), gid: None, system: false });
        let made = account_name(name).and_then(|()| host.perform(&effect));
        unfit.admits(&["groups", &index.to_string()], made);
    }
    for (index, name) in state.users.iter().enumerate() {
        if host.has_user(name) {
            continue;
        }
        let attributes = UserChanges::default();
        let effect = CreateUser { name: name.clone(), system: false, create_home: true, attributes };
        let made =
            account_name(name).and_then(|()| host.perform(&Effect::Platform(PlatformEffect::CreateUser(effect))));
        unfit.admits(&["users", &index.to_string()], made);
    }
    host
}

/// What no tool of Debian takes for a name: a model would.
fn account_name(name: &str) -> Result<()> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let goes_on_well = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$' | '.'));
    if starts_well && goes_on_well && name.len() <= 32 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Invalid, format!("{name:?} is not a name for a user or group")))
}

fn furnish_packages(mut host: SimHost, state: &StartingState, unfit: &mut Unfits) -> SimHost {
    if !state.packages.is_empty() {
        let install = state.packages.iter().map(|name| PackageRequest { name: name.clone(), version: None }).collect();
        let transaction = PackageTransaction { install, ..PackageTransaction::default() };
        unfit.admits(&["packages"], host.perform(&Effect::Platform(PlatformEffect::Packages(transaction))));
    }
    for (index, name) in state.held.iter().enumerate() {
        if unfit.admits(&["held", &index.to_string()], is_installed(&host, name)) {
            host = host.with_held_package(name);
        }
    }
    host
}

fn is_installed(host: &SimHost, name: &str) -> Result<()> {
    if host.has_package(name) {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Invalid, format!("package {name} is not installed, so it cannot be held"));
    if !host.available_versions(name)?.is_empty() {
        return Err(error.with_hint(format!("say `packages = [{name:?}]` as well")));
    }
    Err(match did_you_mean(name, host.catalogue().names()) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint("no package source has it either"),
    })
}

fn furnish_files(mut host: SimHost, state: &StartingState, unfit: &mut Unfits) -> SimHost {
    for (index, path) in state.absent.iter().enumerate() {
        if unfit.admits(&["absent", &index.to_string()], host.metadata(path)) {
            host = host.without(path.as_str());
        }
    }
    for (index, directory) in state.directories.iter().enumerate() {
        if unfit.admits(&["directories", &index.to_string()], can_be_directory(&host, directory)) {
            host = host.with_directory(directory.as_str());
        }
    }
    for (path, file) in &state.files {
        let at = ["files", path.as_str()];
        if unfit.admits(&at, can_replace(&host, path)) {
            let (text, access) = content(path, file);
            host = host.with_file(path.as_str(), text);
            unfit.admits(&at, host.perform(&access));
        }
    }
    for (path, target) in &state.links {
        if unfit.admits(&["links", path.as_str()], can_replace(&host, path)) {
            host = host.with_link(path.as_str(), target);
        }
    }
    host
}

/// What a file holds, and the effect that gives it to its owner.
fn content<'a>(path: &HostPath, file: &'a StartingFile) -> (&'a str, Effect) {
    let (text, owner, group, mode) = match file {
        StartingFile::Text(text) => (text.as_str(), "root", "root", Mode::new(0o644)),
        StartingFile::Full(full) => (full.text.as_str(), full.owner.as_str(), full.group.as_str(), full.mode),
    };
    let access = Effect::SetMetadata {
        path: path.clone(),
        owner: Some(owner.to_owned()),
        group: Some(group.to_owned()),
        mode: Some(mode),
        attributes: AttributeChanges::default(),
    };
    (text, access)
}

/// Nothing lies beneath a file.
fn can_lie(host: &SimHost, path: &HostPath) -> Result<()> {
    for above in path.ancestors() {
        match host.leads_to(&above)? {
            None => {}
            Some(FileKind::Directory) => break,
            Some(kind) => {
                let what = format!("{above} is {}, so there can be no {path}", kind.noun());
                return Err(Error::new(ErrorKind::Invalid, what));
            }
        }
    }
    Ok(())
}

/// The same, and a file does not go by itself.
fn can_be_directory(host: &SimHost, path: &HostPath) -> Result<()> {
    can_lie(host, path)?;
    match host.leads_to(path)? {
        None | Some(FileKind::Directory) => Ok(()),
        Some(kind) => Err(Error::new(ErrorKind::Invalid, format!("{path} is {}, and no directory", kind.noun()))),
    }
}

/// The same, and what lies in a directory does not go by itself.
fn can_replace(host: &SimHost, path: &HostPath) -> Result<()> {
    can_lie(host, path)?;
    let is_directory = host.metadata(path)?.is_some_and(|found| found.kind == FileKind::Directory);
    if is_directory && host.list(path)?.is_some_and(|names| !names.is_empty()) {
        let what = format!("{path} is a directory that is not empty, so nothing else can be there");
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    Ok(())
}
