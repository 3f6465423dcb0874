//! [`Links`]: what is done about symbolic links where a file or directory should be.

use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{FileKind, HostView};
use provision_core::path::HostPath;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is done if a symbolic link is in the place.
///
/// On the way to a path, links are followed where only root can have put them; `follow` is for all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Links {
    /// That is an error.
    Refuse,
    /// What it leads to is meant. The plan names that, and it is not looked up again: a link that is moved later leads
    /// nowhere else.
    Follow,
    /// It makes way.
    Replace,
}

/// As the kernel, see path_resolution(7).
const MOST_LINKS: u32 = 40;

/// Where a path leads if all links are followed: a path without any. What is not there yet stays as it is written.
pub(crate) fn real_path(path: &HostPath, host: &dyn HostView) -> Result<HostPath> {
    let mut real = HostPath::root();
    let mut todo: Vec<String> = parts(path.as_str());
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == ".." {
            real = real.parent().unwrap_or(real);
            continue;
        }
        let next = real.join(&part)?;
        match host.metadata(&next)?.map(|found| found.kind) {
            Some(FileKind::Symlink) => {}
            _ => {
                real = next;
                continue;
            }
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
    Ok(real)
}

/// Components, the first one last.
fn parts(path: &str) -> Vec<String> {
    path.split('/').rev().filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use provision_core::effect::Effect;
    use provision_core::host::{Host, SimHost};

    fn link(host: &SimHost, path: &str, target: &str) {
        let (owner, group) = ("root".to_owned(), "root".to_owned());
        let path = HostPath::new(path).unwrap();
        host.perform(&Effect::CreateSymlink { path, target: target.into(), owner, group }).unwrap();
    }

    #[test]
    fn links_are_followed_wherever_they_are_and_only_so_often() {
        let host = SimHost::debian().with_file("/srv/releases/2/config", "x");
        link(&host, "/srv/current", "releases/2");
        link(&host, "/srv/releases/2/again", "../../current/config");
        link(&host, "/srv/away", "/srv/releases/../current");
        link(&host, "/srv/loop", "loop");
        let real = |path: &str| real_path(&HostPath::new(path).unwrap(), &host).map(|path| path.to_string());
        assert_eq!(real("/srv/current/config").unwrap(), "/srv/releases/2/config");
        assert_eq!(real("/srv/current/again").unwrap(), "/srv/releases/2/config");
        assert_eq!(real("/srv/away/new/file").unwrap(), "/srv/releases/2/new/file");
        assert_eq!(real("/srv/loop/x").unwrap_err().kind(), ErrorKind::Conflict);
    }
}
