//! What all types that manage something at a path do alike.

use super::{FileKind, Host, HostView, HostViewExt};
use crate::effect::{Access, AttributeChanges, Effect};
use crate::error::{Error, ErrorKind, Result};
use crate::path::HostPath;

/// Says owner and group as the declaration does, where they are the same: `1000` and `deploy` may be one user.
///
/// # Errors
/// The accounts of the host cannot be read.
pub fn in_words_of(host: &dyn HostView, owner: Option<&str>, group: Option<&str>, found: Access) -> Result<Access> {
    if owner.is_none_or(|owner| found.owner == owner) && group.is_none_or(|group| found.group == group) {
        return Ok(found);
    }
    let accounts = host.accounts()?;
    Ok(Access {
        owner: same_or(owner, found.owner, |name| accounts.uid(name)),
        group: same_or(group, found.group, |name| accounts.gid(name)),
        mode: found.mode,
    })
}

fn same_or(declared: Option<&str>, found: String, number: impl Fn(&str) -> Option<u32>) -> String {
    let Some(declared) = declared else { return found };
    let same = declared == found || number(declared).is_some_and(|declared| number(&found) == Some(declared));
    if same { declared.to_owned() } else { found }
}

/// Creates the missing directories above a path, for root and open to all (`0755`), or says that they are missing.
///
/// # Errors
/// One of them is something else, or it is missing and may not be made.
pub fn make_parents(host: &dyn Host, path: &HostPath, allowed: bool) -> Result<()> {
    let mut missing = Vec::new();
    for above in path.ancestors() {
        match host.metadata(&above)?.map(|metadata| metadata.kind) {
            None => missing.push(above),
            // A link is taken to lead to a directory; the host objects if it does not.
            Some(FileKind::Directory | FileKind::Symlink) => break,
            Some(kind) => {
                let message = format!("{above} is {}, so nothing can be in it", kind.noun());
                return Err(Error::new(ErrorKind::Conflict, message).with_hint("remove it, or choose another path"));
            }
        }
    }
    match missing.last() {
        Some(highest) if !allowed => {
            return Err(Error::new(ErrorKind::NotFound, format!("the directory {highest} does not exist"))
                .with_hint(format!("declare `directory.\"{highest}\"`, or set `parents = true`")));
        }
        _ => {}
    }
    for path in missing.into_iter().rev() {
        host.perform(&Effect::CreateDirectory {
            path,
            access: as_parents_are(),
            attributes: AttributeChanges::default(),
        })?;
    }
    Ok(())
}

/// Owner, group and mode of directories that are made on the way to something.
pub fn as_parents_are() -> Access {
    Access::root(0o755)
}

/// Something else is in the place: never removed without being asked.
pub fn in_the_way(path: &HostPath, what: &str, hint: impl Into<String>) -> Error {
    Error::new(ErrorKind::Conflict, format!("{what} is in the place of {path}")).with_hint(hint)
}
