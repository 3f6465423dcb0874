//! Whether every user of a host may read a file: its own mode, and every directory above it.

use super::{FileKind, FileMetadata, HostView};
use crate::error::Result;
use crate::path::HostPath;

/// As many links as `path_resolution(7)` allows in one path.
const MOST_LINKS: usize = 40;

/// Whether all users may search the directories above a path, links in it followed.
pub(super) fn is_reachable<H: HostView + ?Sized>(host: &H, path: &HostPath) -> Result<bool> {
    let Some(above) = path.parent() else { return Ok(true) };
    let (is_reachable, found) = walk(host, &above)?;
    Ok(is_reachable && found.is_none_or(|found| found.access.mode.bits() & 0o001 != 0))
}

/// Whether all users may read a file. A file that does not exist holds nothing that could be hidden.
pub(super) fn is_readable<H: HostView + ?Sized>(host: &H, path: &HostPath) -> Result<bool> {
    let (is_reachable, found) = walk(host, path)?;
    Ok(is_reachable && found.is_none_or(|found| found.access.mode.bits() & 0o004 != 0))
}

/// Whether all users may search the directories above a path, and what lies there, links followed.
fn walk<H: HostView + ?Sized>(host: &H, path: &HostPath) -> Result<(bool, Option<FileMetadata>)> {
    let mut rest = names(path);
    let mut at = HostPath::root();
    let mut found = host.metadata(&at)?;
    let mut is_reachable = true;
    let mut links = 0;
    while let Some(name) = rest.pop() {
        is_reachable &= found.as_ref().is_none_or(|found| found.access.mode.bits() & 0o001 != 0);
        let next = at.join(&name)?;
        found = host.metadata(&next)?;
        match &found {
            None => return Ok((is_reachable, None)),
            Some(link) if link.kind == FileKind::Symlink => {
                links += 1;
                if links > MOST_LINKS {
                    return Ok((false, found));
                }
                let target = at.linked(&host.read_link(&next)?.unwrap_or_default())?;
                rest.extend(names(&target));
                at = HostPath::root();
                found = host.metadata(&at)?;
            }
            Some(_) => at = next,
        }
    }
    Ok((is_reachable, found))
}

/// The names in a path, the last one first.
fn names(path: &HostPath) -> Vec<String> {
    path.as_str().split('/').filter(|name| !name.is_empty()).rev().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::HostViewExt;
    use crate::sim::SimHost;

    #[test]
    fn a_file_below_a_closed_directory_is_not_readable_by_all() {
        let host = SimHost::debian(12)
            .with_file("/srv/open/a", "a")
            .with_file("/srv/closed/deep/a", "a")
            .with_access("/srv/closed", "root", "root", 0o700)
            .with_link("/srv/link", "closed/deep");
        let readable = |path: &str| host.is_readable_by_all(&HostPath::new(path).unwrap());
        assert!(readable("/srv/open/a"));
        assert!(readable("/srv/open/absent"));
        assert!(!readable("/srv/closed/deep/a"), "a directory above it is closed");
        assert!(!readable("/srv/link/a"), "the link leads there");
        assert!(!readable("/srv/closed"), "only its owner may list it");
    }
}
