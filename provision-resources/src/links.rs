//! [`Links`]: what is done about symbolic links where a file or directory should be.

use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{FileKind, HostView, in_the_way};
use provision_core::path::HostPath;
use provision_core::resource::ResourceId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::path_of;

/// What is done if a symbolic link is in the place.
///
/// On the way to a path, links are followed where only root can have put them; `follow` is for all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Links {
    /// That is an error.
    Refuse,
    /// What it leads to is meant. The plan names that, and it is not looked up again: a link that is moved later leads
    /// nowhere else. A link that a user made is followed to what belongs to the same user, and to nothing else.
    Follow,
    /// It makes way.
    Replace,
}

impl Links {
    /// The path that is meant by the name of a resource.
    pub(crate) fn place(self, id: &ResourceId, host: &dyn HostView) -> Result<HostPath> {
        let path = path_of(id)?;
        if self == Links::Follow { real_path(&path, host) } else { Ok(path) }
    }
}

/// What is said where a link is in the place, and that is an error.
pub(crate) fn refused(path: &HostPath, host: &dyn HostView) -> Result<Error> {
    let target = host.read_link(path)?.unwrap_or_default();
    let hint = "remove the link, or say `links = 'follow` or `links = 'replace`";
    Ok(in_the_way(path, &format!("a symbolic link to {target}"), hint))
}

/// As the kernel, see path_resolution(7).
const MOST_LINKS: u32 = 40;

/// Where a path leads if all links are followed: a path without any. What is not there yet stays as it is written.
///
/// A link says no more than its owner may: as with `fs.protected_symlinks` of the kernel, it leads to what is theirs.
pub(crate) fn real_path(path: &HostPath, host: &dyn HostView) -> Result<HostPath> {
    let mut foreign = Vec::new();
    let mut real = HostPath::root();
    let mut todo: Vec<String> = parts(path.as_str());
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == ".." {
            real = real.parent().unwrap_or(real);
            continue;
        }
        let next = real.join(&part)?;
        let Some(link) = host.metadata(&next)?.filter(|found| found.kind == FileKind::Symlink) else {
            real = next;
            continue;
        };
        if link.access.owner != "root" {
            foreign.push((next.clone(), link.access.owner));
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(Error::new(ErrorKind::Conflict, format!("too many symbolic links on the way to {path}")));
        }
        let target = host.read_link(&next)?.unwrap_or_default();
        if target.starts_with('/') {
            real = HostPath::root();
        }
        todo.extend(parts(&target));
    }
    for (link, owner) in foreign {
        let (there, holder) = existing(&real, host)?;
        if holder != owner {
            let message = format!("{link} is a link of {owner}, and leads to {there}, which belongs to {holder}");
            return Err(Error::new(ErrorKind::Refused, message)
                .with_hint(format!("name the path itself; a link of {owner} is followed to what belongs to {owner}")));
        }
    }
    Ok(real)
}

/// The path, or the nearest above it that is there, and who owns it.
fn existing(path: &HostPath, host: &dyn HostView) -> Result<(HostPath, String)> {
    for path in std::iter::once(path.clone()).chain(path.ancestors()) {
        if let Some(found) = host.metadata(&path)? {
            return Ok((path, found.access.owner));
        }
    }
    Ok((HostPath::root(), "root".to_owned()))
}

/// Components, the first one last.
fn parts(path: &str) -> Vec<String> {
    path.split('/').rev().filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use provision_core::effect::{AttributeChanges, Effect};
    use provision_core::host::Host;
    use provision_core::sim::SimHost;

    fn link(host: &SimHost, owner: &str, path: &str, target: &str) {
        let (owner, group) = (owner.to_owned(), "root".to_owned());
        let path = HostPath::new(path).unwrap();
        host.perform(&Effect::CreateSymlink { path, target: target.into(), owner, group }).unwrap();
    }

    #[test]
    fn links_are_followed_wherever_they_are_and_only_so_often() {
        let host = SimHost::debian(12).with_file("/srv/releases/2/config", "x");
        link(&host, "root", "/srv/current", "releases/2");
        link(&host, "root", "/srv/releases/2/again", "../../current/config");
        link(&host, "root", "/srv/away", "/srv/releases/../current");
        link(&host, "root", "/srv/loop", "loop");
        let real = |path: &str| real_path(&HostPath::new(path).unwrap(), &host).map(|path| path.to_string());
        assert_eq!(real("/srv/current/config").unwrap(), "/srv/releases/2/config");
        assert_eq!(real("/srv/current/again").unwrap(), "/srv/releases/2/config");
        assert_eq!(real("/srv/away/new/file").unwrap(), "/srv/releases/2/new/file");
        assert_eq!(real("/srv/loop/x").unwrap_err().kind(), ErrorKind::Conflict);
    }

    #[test]
    fn a_link_of_a_user_leads_to_what_is_theirs_and_to_nothing_else() {
        let host = SimHost::debian(12).with_user("eve").with_file("/etc/shadow", "x").with_file("/srv/eve/1/x", "x");
        let path = |path: &str| HostPath::new(path).unwrap();
        let attributes = AttributeChanges::default();
        let give = Effect::SetMetadata {
            path: path("/srv/eve/1"),
            owner: Some("eve".into()),
            group: None,
            mode: None,
            attributes,
        };
        host.perform(&give).unwrap();
        link(&host, "eve", "/srv/eve/etc", "/etc");
        link(&host, "eve", "/srv/eve/current", "1");
        assert_eq!(real_path(&path("/srv/eve/current/new"), &host).unwrap().as_str(), "/srv/eve/1/new");
        for target in ["/srv/eve/etc/shadow", "/srv/eve/etc/new", "/srv/eve/etc"] {
            let error = real_path(&path(target), &host).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{target}");
            assert!(error.message().starts_with("/srv/eve/etc is a link of eve, and leads to /etc"), "{error}");
        }
    }
}
