//! Units as their files declare them: `systemd.unit(5)`, read through any host.

mod calendar;
mod definition;
mod modelled;

use std::collections::BTreeSet;

use crate::error::Result;
use crate::host::{FileKind, HostView};
use crate::path::HostPath;

pub(in crate::host) use calendar::{Calendar, time_span};
pub(in crate::host) use definition::{Definition, Dependency, Fragment, drop_in_directories};
pub use modelled::ModelledUnits;
pub(in crate::host) use modelled::UnitCache;

/// Where unit files lie, the strongest first; see `systemd.unit(5)`, "Unit File Load Path".
pub(in crate::host) const DIRECTORIES: [&str; 5] = [
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
pub(in crate::host) fn is_unit(name: &str) -> bool {
    SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// The name of the template that an instance comes from: `getty@.service` for `getty@tty2.service`.
pub(in crate::host) fn template_of(unit: &str) -> Option<String> {
    let (stem, rest) = unit.split_once('@')?;
    let (instance, suffix) = rest.rsplit_once('.')?;
    (!instance.is_empty()).then(|| format!("{stem}@.{suffix}"))
}

/// The names of all units that have a file, or that something is linked to want; templates are none.
pub(in crate::host) fn names(host: &dyn HostView) -> Result<Vec<String>> {
    names_among(host, &SUFFIXES, true)
}

/// The names of all units of a kind that have a file: those that end like this.
pub(in crate::host) fn names_like(host: &dyn HostView, suffixes: &[&str]) -> Result<Vec<String>> {
    names_among(host, suffixes, false)
}

fn names_among(host: &dyn HostView, suffixes: &[&str], with_wanted: bool) -> Result<Vec<String>> {
    let mut names = BTreeSet::new();
    for directory in DIRECTORIES {
        let directory = HostPath::new(directory)?;
        for entry in host.list(&directory)?.unwrap_or_default() {
            let inner = if with_wanted && pulls(&entry) {
                host.list(&directory.join(&entry)?)?.unwrap_or_default()
            } else {
                vec![entry]
            };
            let fits = |name: &String| suffixes.iter().any(|suffix| name.ends_with(suffix)) && !name.contains("@.");
            names.extend(inner.into_iter().filter(fits));
        }
    }
    Ok(names.into_iter().collect())
}

/// The directories whose links make units pull in others.
fn link_directories(host: &dyn HostView) -> Result<Vec<HostPath>> {
    let mut all = Vec::new();
    for directory in DIRECTORIES {
        let directory = HostPath::new(directory)?;
        for entry in host.list(&directory)?.unwrap_or_default() {
            if pulls(&entry) {
                all.push(directory.join(&entry)?);
            }
        }
    }
    Ok(all)
}

/// Whether a directory of this name has links to what a unit pulls in.
pub(crate) fn pulls(directory: &str) -> bool {
    [".wants", ".requires", ".upholds"].iter().any(|pulls| directory.ends_with(pulls))
}

/// Where an administrator enables and masks units.
const ETC: &str = DIRECTORIES[0];

/// `UnitFileState`, see `systemctl(1)`, is-enabled.
pub(in crate::host) fn file_state(host: &dyn HostView, unit: &Definition) -> Result<&'static str> {
    let at_run = |fragment: &Fragment| fragment.path.as_str().starts_with("/run/");
    let fragment = unit.fragment.as_ref();
    if unit.is_masked() {
        return Ok(if fragment.is_some_and(at_run) { "masked-runtime" } else { "masked" });
    }
    for (directory, state) in [(ETC, "enabled"), (DIRECTORIES[1], "enabled-runtime")] {
        if !links_to(host, &HostPath::new(directory)?, &unit.id)?.is_empty() {
            return Ok(state);
        }
    }
    Ok(match () {
        () if unit.is_linked() => "linked",
        () if unit.can_be_enabled() => "disabled",
        () if !unit.values("Install", "Also").is_empty() => "indirect",
        () => "static",
    })
}

/// The links that enable a unit: what wants it, and other names for it.
pub(in crate::host) fn links_to(host: &dyn HostView, directory: &HostPath, unit: &str) -> Result<Vec<HostPath>> {
    let mut links = Vec::new();
    for entry in host.list(directory)?.unwrap_or_default() {
        let path = directory.join(&entry)?;
        if pulls(&entry) {
            let link = path.join(unit)?;
            if host.metadata(&link)?.is_some() {
                links.push(link);
            }
        } else if is_unit(&entry) && entry != unit {
            let is_link = host.metadata(&path)?.is_some_and(|found| found.kind == FileKind::Symlink);
            let leads_to = |target: String| target.rsplit('/').next() == Some(unit);
            if is_link && host.read_link(&path)?.is_some_and(leads_to) {
                links.push(path);
            }
        }
    }
    Ok(links)
}

/// The links that enabling a unit makes: their paths and their text.
pub(in crate::host) fn links_of(unit: &Definition, vendor: &str) -> Result<Vec<(HostPath, String)>> {
    let Some(fragment) = &unit.fragment else { return Ok(Vec::new()) };
    let target = match fragment.path.as_str().strip_prefix("/usr/lib/systemd/system/") {
        Some(name) => format!("{vendor}/{name}"),
        None => fragment.path.to_string(),
    };
    let mut links = Vec::new();
    for (key, pulls) in [("WantedBy", "wants"), ("RequiredBy", "requires"), ("UpheldBy", "upholds")] {
        for other in unit.words("Install", key) {
            links.push((HostPath::new(&format!("{ETC}/{other}.{pulls}/{}", unit.id))?, target.clone()));
        }
    }
    for alias in unit.words("Install", "Alias") {
        links.push((HostPath::new(&format!("{ETC}/{alias}"))?, target.clone()));
    }
    Ok(links)
}

/// Whether something may make a unit at boot: a generator, see `systemd.generator(7)`, or from an init script.
pub(in crate::host) fn is_generated(host: &dyn HostView, unit: &str) -> Result<bool> {
    let stem = unit.split('.').next().unwrap_or_default();
    let made = ["generator.early", "generator", "generator.late"].map(|kind| format!("/run/systemd/{kind}/{unit}"));
    for path in made.into_iter().chain([format!("/etc/init.d/{stem}")]) {
        if host.metadata(&HostPath::new(&path)?)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The path by which a unit is masked.
pub(in crate::host) fn mask_of(unit: &str) -> Result<HostPath> {
    HostPath::new(&format!("{ETC}/{unit}"))
}
