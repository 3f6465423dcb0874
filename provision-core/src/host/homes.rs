//! New home directories, as useradd(8) makes them.

use super::{FileKind, HostView};
use crate::bytes::from_bytes;
use crate::effect::{Access, AttributeChanges, Effect, WriteFile};
use crate::error::Result;
use crate::path::{HostPath, Mode};

/// What makes a home directory: with the mode of login.defs(5) and what is in `/etc/skel`, which keeps its modes.
///
/// # Errors
/// The host cannot be read.
pub fn effects_of_new_home(host: &dyn HostView, home: &HostPath, owner: &str, group: &str) -> Result<Vec<Effect>> {
    let own = |mode| Access { owner: owner.to_owned(), group: group.to_owned(), mode };
    let mut effects = vec![directory(home.clone(), own(home_mode(host)?))];
    copy(host, &HostPath::new("/etc/skel")?, home, &own, &mut effects)?;
    Ok(effects)
}

fn directory(path: HostPath, access: Access) -> Effect {
    Effect::CreateDirectory { path, access, attributes: AttributeChanges::default() }
}

fn copy(
    host: &dyn HostView,
    from: &HostPath,
    to: &HostPath,
    own: &dyn Fn(Mode) -> Access,
    effects: &mut Vec<Effect>,
) -> Result<()> {
    if host.metadata(from)?.is_none_or(|found| found.kind != FileKind::Directory) {
        return Ok(());
    }
    for name in host.list(from)?.unwrap_or_default() {
        let (from, path) = (from.join(&name)?, to.join(&name)?);
        let Some(found) = host.metadata(&from)? else { continue };
        let access = own(found.access.mode);
        match found.kind {
            FileKind::Directory => {
                effects.push(directory(path.clone(), access));
                copy(host, &from, &path, own, effects)?;
            }
            FileKind::File => {
                if let Some(content) = host.read(&from)? {
                    effects.push(Effect::WriteFile(WriteFile::new(path, content, access)));
                }
            }
            FileKind::Symlink => {
                if let Some(target) = host.read_link(&from)? {
                    effects.push(Effect::CreateSymlink { path, target, owner: access.owner, group: access.group });
                }
            }
            FileKind::Fifo | FileKind::Socket | FileKind::Device => {}
        }
    }
    Ok(())
}

/// The mode of a new home: `HOME_MODE`, or else what `UMASK` leaves; see login.defs(5).
fn home_mode(host: &dyn HostView) -> Result<Mode> {
    let octal = |value: Option<String>| value.and_then(|value| u32::from_str_radix(&value, 8).ok());
    let mode = octal(login_definition(host, "HOME_MODE")?);
    let umask = || -> Result<u32> { Ok(octal(login_definition(host, "UMASK")?).unwrap_or(0o022)) };
    Ok(Mode::new(mode.map_or_else(|| umask().map(|umask| 0o777 & !umask), Ok)?))
}

/// Whether the group of a user's name goes with the user: `USERGROUPS_ENAB` of login.defs(5), which is off unless it is set.
pub(super) fn has_user_groups(host: &dyn HostView) -> Result<bool> {
    Ok(login_definition(host, "USERGROUPS_ENAB")?.is_some_and(|value| value.eq_ignore_ascii_case("yes")))
}

/// A value of `/etc/login.defs`: the last one counts.
fn login_definition(host: &dyn HostView, name: &str) -> Result<Option<String>> {
    let path = HostPath::new("/etc/login.defs")?;
    let content = host.read(&path)?;
    let text = content.as_ref().map(|content| from_bytes(content.bytes())).unwrap_or_default();
    let values = text.lines().filter_map(|line| line.trim().strip_prefix(name));
    let mut values =
        values.filter(|rest| rest.starts_with(char::is_whitespace)).map(|value| value.trim().trim_matches('"'));
    Ok(values.next_back().map(str::to_owned))
}
