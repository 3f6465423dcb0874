//! Units as their files declare them: `systemd.unit(5)`, read through any host.

mod definition;
mod files;
mod links;
mod state;
mod sysv;

use std::collections::BTreeSet;

use crate::effect::{Effect, PlatformEffect, UnitAction};
use crate::error::Result;
use crate::host::{FileKind, Host, HostView, HostViewExt};
use crate::path::HostPath;

pub(crate) use definition::{Definition, Fragment, drop_in_directories};
pub(crate) use files::UnitFiles;
pub(crate) use links::{ETC, links_of, links_to, mask_of};
#[cfg(feature = "sim")]
pub(crate) use state::aliases;
pub(crate) use state::{file_state, is_generated};
pub(crate) use sysv::{SysvScript, sysv_script};

/// Where unit files lie, the strongest first; see `systemd.unit(5)`, "Unit File Load Path".
pub(crate) const DIRECTORIES: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// The kinds of units that have files.
const SUFFIXES: [&str; 9] =
    [".service", ".socket", ".timer", ".path", ".mount", ".target", ".automount", ".swap", ".slice"];

/// Whether a name is one of a unit.
pub(crate) fn is_unit(name: &str) -> bool {
    SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// The name of the template that an instance comes from: `getty@.service` for `getty@tty2.service`.
pub(crate) fn template_of(unit: &str) -> Option<String> {
    let (stem, rest) = unit.split_once('@')?;
    let (instance, suffix) = rest.rsplit_once('.')?;
    (!instance.is_empty()).then(|| format!("{stem}@.{suffix}"))
}

/// The names of all units that have a file, or that something is linked to want; templates are none.
pub(crate) fn names(host: &(impl UnitFiles + ?Sized)) -> Result<Vec<String>> {
    names_among(host, &SUFFIXES, true)
}

/// The names of all units of a kind that have a file: those that end like this.
pub(crate) fn names_like(host: &(impl UnitFiles + ?Sized), suffixes: &[&str]) -> Result<Vec<String>> {
    names_among(host, suffixes, false)
}

fn names_among(host: &(impl UnitFiles + ?Sized), suffixes: &[&str], with_wanted: bool) -> Result<Vec<String>> {
    let mut names = BTreeSet::new();
    for directory in DIRECTORIES {
        let directory = HostPath::new(directory)?;
        for entry in host.names(&directory)?.unwrap_or_default() {
            let inner = if with_wanted && pulls(&entry) {
                host.names(&directory.join(&entry)?)?.unwrap_or_default()
            } else {
                vec![entry]
            };
            let fits = |name: &String| suffixes.iter().any(|suffix| name.ends_with(suffix)) && !name.contains("@.");
            names.extend(inner.into_iter().filter(fits));
        }
    }
    Ok(names.into_iter().collect())
}

/// Whether a directory of this name has links to what a unit pulls in.
pub(crate) fn pulls(directory: &str) -> bool {
    [".wants", ".requires", ".upholds"].iter().any(|pulls| directory.ends_with(pulls))
}

/// What a service manager reads beside unit files: `systemd-system.conf(5)`, and what generators make units from
/// (`systemd-fstab-generator(8)`, `systemd-cryptsetup-generator(8)`, `systemd-sysv-generator(8)`).
const OTHER_INPUTS: [&str; 7] = [
    "/etc/systemd/system.conf",
    "/etc/systemd/system.conf.d",
    "/etc/systemd/system-generators",
    "/etc/systemd/system.control",
    "/etc/fstab",
    "/etc/crypttab",
    "/etc/init.d",
];

/// Whether a path is one that the service manager has in memory what it held when it last read it: a unit file, what extends
/// or enables one, or what units are generated from. A change there takes effect with `systemctl daemon-reload`.
pub fn is_manager_input(path: &HostPath) -> bool {
    let path = path.as_str();
    DIRECTORIES.iter().chain(&OTHER_INPUTS).any(|input| {
        let below = path.strip_prefix(input).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        // A directory above may be written with all that it holds.
        below || input.strip_prefix(path).is_some_and(|rest| rest.starts_with("/system")) && path.ends_with("/systemd")
    })
}

/// Stops and disables a unit whose file is about to go: without it, the service manager would run the unit on, and its links
/// would lead nowhere. Nothing is done for a path that is no unit file. A unit that another file declares, such as that of a package,
/// goes on.
///
/// # Errors
/// The host cannot be read, or an effect fails.
pub fn retire_unit_of(path: &HostPath, host: &dyn Host) -> Result<()> {
    let Some(unit) = unit_of_file(path, host)? else { return Ok(()) };
    let found = host.unit(&unit)?;
    let active = found.active.as_deref().filter(|_| host.is_running());
    let actions = [
        (UnitAction::Stop, !matches!(active, None | Some("inactive" | "failed"))),
        (UnitAction::Disable, found.file_state.starts_with("enabled")),
        (UnitAction::ResetFailed, !matches!(active, None | Some("inactive"))),
    ];
    let needed = actions.into_iter().filter(|(_, is_needed)| *is_needed);
    needed
        .map(|(action, _)| Effect::Platform(PlatformEffect::Unit { unit: unit.clone(), action }))
        .try_for_each(|effect| host.perform(&effect))
}

/// The unit that a file declares alone. `None` if it is no unit file, that of a template, or if another file declares the same unit.
fn unit_of_file(path: &HostPath, host: &dyn HostView) -> Result<Option<String>> {
    let name = path.name();
    let is_unit_file = path.parent_text().is_some_and(|parent| DIRECTORIES.contains(&parent))
        && is_unit(name)
        && !name.contains("@.")
        && host.metadata(path)?.is_some_and(|found| found.kind == FileKind::File);
    if !is_unit_file {
        return Ok(None);
    }
    for directory in DIRECTORIES {
        let other = HostPath::new(&format!("{directory}/{name}"))?;
        // `/lib` is a link to `/usr/lib`.
        let is_same = other.as_str().trim_start_matches("/usr") == path.as_str().trim_start_matches("/usr");
        if !is_same && host.metadata(&other)?.is_some() {
            return Ok(None);
        }
    }
    Ok(Some(name.to_owned()))
}
