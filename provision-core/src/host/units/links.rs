//! The links that enable and mask units; see `systemctl(1)`.

use super::{DIRECTORIES, Definition, UnitFiles, is_unit, pulls};
use crate::error::Result;
use crate::host::FileKind;
use crate::path::HostPath;

/// Where an administrator enables and masks units.
pub(crate) const ETC: &str = DIRECTORIES[0];

/// The links that enable a unit: what wants it, and other names for it.
pub(crate) fn links_to(host: &(impl UnitFiles + ?Sized), directory: &HostPath, unit: &str) -> Result<Vec<HostPath>> {
    let mut links = Vec::new();
    for entry in host.names(directory)?.unwrap_or_default() {
        let path = directory.join(&entry)?;
        if pulls(&entry) {
            let link = path.join(unit)?;
            if host.kind(&link)?.is_some() {
                links.push(link);
            }
        } else if is_unit(&entry) && entry != unit {
            let is_link = host.kind(&path)? == Some(FileKind::Symlink);
            let leads_to = |target: String| target.rsplit('/').next() == Some(unit);
            if is_link && host.target(&path)?.is_some_and(leads_to) {
                links.push(path);
            }
        }
    }
    Ok(links)
}

/// The links that enabling a unit makes: their paths and their text.
pub(crate) fn links_of(unit: &Definition, vendor: &str) -> Result<Vec<(HostPath, String)>> {
    let Some(fragment) = &unit.fragment else { return Ok(Vec::new()) };
    let target = match fragment.path.as_str().strip_prefix("/usr/lib/systemd/system/") {
        Some(name) => format!("{vendor}/{name}"),
        None => fragment.path.to_string(),
    };
    let mut links = Vec::new();
    for (key, pulls) in [("WantedBy", "wants"), ("RequiredBy", "requires"), ("UpheldBy", "upholds")] {
        for other in unit.install(key) {
            links.push((HostPath::new(&format!("{ETC}/{other}.{pulls}/{}", unit.id))?, target.clone()));
        }
    }
    for alias in unit.install("Alias") {
        links.push((HostPath::new(&format!("{ETC}/{alias}"))?, target.clone()));
    }
    Ok(links)
}

/// The path by which a unit is masked.
pub(crate) fn mask_of(unit: &str) -> Result<HostPath> {
    HostPath::new(&format!("{ETC}/{unit}"))
}
