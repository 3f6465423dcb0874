//! Errors for files whose attributes keep them from being changed.

use crate::effect::FileFlags;
use crate::error::{Error, ErrorKind};
use crate::path::HostPath;

/// What something says that flags keep from being changed.
pub(crate) fn locked(what: &str, path: &HostPath, flags: FileFlags) -> Error {
    let (flag, letter) = if flags.has(FileFlags::IMMUTABLE) { ("immutable", 'i') } else { ("append_only", 'a') };
    let message = format!("{what} is {} (chattr +{letter})", flag.replace('_', "-"));
    Error::new(ErrorKind::PermissionDenied, message).with_hint(format!(
        "declare `flags.{flag}` of {path}, and it is unlocked for each change; or run `chattr -{letter} {path}`"
    ))
}

/// What a file with other names says where these must not be left behind.
pub(crate) fn several_names(names: u64) -> Error {
    Error::new(
        ErrorKind::Refused,
        format!("it has {names} names (hard links), and the others would keep the old content"),
    )
    .with_hint("remove the other names, or say `hard_links = 'break` to leave them the old content")
}
