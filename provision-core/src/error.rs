//! The one error type of the libraries: what kind, while doing what, to which resource, at which line, why,
//! and what would help.

use std::{fmt, io};

use serde::{Deserialize, Serialize};

use crate::diagnostic::Span;
use crate::id::{InvalidId, ResourceId};

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The reading depends on something that this run has yet to do; it can be repeated then.
    Unknown,
    /// Something that is needed does not exist.
    NotFound,
    /// The rights of this process do not suffice.
    PermissionDenied,
    /// The file system is full.
    NoSpace,
    /// The file system is mounted read-only.
    ReadOnly,
    /// Something else is in the place, or two things contradict one another.
    Conflict,
    /// A value cannot be used.
    Invalid,
    /// Another program holds a lock.
    Locked,
    /// A program ended with an error.
    CommandFailed,
    /// It was done but for a part that nothing else rests on.
    Incomplete,
    /// It took longer than allowed.
    TimedOut,
    /// This host, or this kind of host, cannot do it.
    Unsupported,
    /// A guard of this program refuses to do harm.
    Refused,
    /// Something that this program wrote down has been changed or cut off.
    Damaged,
    /// A newer version of this program wrote it.
    Newer,
    /// A saved plan no longer fits the host.
    Stale,
    /// A resource did not reach its declared state, although all its effects were performed.
    VerificationFailed,
    /// The run was told to stop.
    Cancelled,
    /// Any other failure of the operating system.
    Io,
}

/// What went wrong.
///
/// `Display` gives one line, made to follow "error: "; [`Error::cause`] and [`Error::hint`] have more. `{:#}` gives all of it, in
/// several lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Error(Box<Parts>);

/// What lies beneath an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{0}")]
#[serde(transparent)]
struct Cause(String);

/// Several errors, of things that were all tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Errors(pub Vec<Error>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Parts {
    kind: ErrorKind,
    message: String,
    operation: Option<String>,
    resource: Option<ResourceId>,
    declared_at: Option<Span>,
    cause: Option<Cause>,
    hint: Option<String>,
}

impl Error {
    /// An error of a kind, and why in words (lower case, no final stop).
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error(Box::new(Parts {
            kind,
            message: message.into(),
            operation: None,
            resource: None,
            declared_at: None,
            cause: None,
            hint: None,
        }))
    }

    /// A reading that cannot be known before something else has been done.
    pub fn unknown(because: impl Into<String>) -> Error {
        Error::new(ErrorKind::Unknown, because)
    }

    /// A failure of the operating system, sorted into a kind.
    pub fn io(error: &io::Error) -> Error {
        const ENOSPC: i32 = nix::errno::Errno::ENOSPC as i32;
        const EDQUOT: i32 = nix::errno::Errno::EDQUOT as i32;
        const EROFS: i32 = nix::errno::Errno::EROFS as i32;
        const ELOOP: i32 = nix::errno::Errno::ELOOP as i32;
        const EXDEV: i32 = nix::errno::Errno::EXDEV as i32;
        let (kind, message) = match error.raw_os_error() {
            Some(ENOSPC) => (ErrorKind::NoSpace, "no space is left on the file system".to_owned()),
            Some(EDQUOT) => (ErrorKind::NoSpace, "the disk quota is used up".to_owned()),
            Some(EROFS) => (ErrorKind::ReadOnly, "the file system is read-only".to_owned()),
            Some(ELOOP) => (ErrorKind::Refused, "a symbolic link is in the way".to_owned()),
            Some(EXDEV) => (ErrorKind::Refused, "the path leads out of the root directory".to_owned()),
            code => match error.kind() {
                io::ErrorKind::NotFound => (ErrorKind::NotFound, "no such file or directory".to_owned()),
                io::ErrorKind::PermissionDenied => (ErrorKind::PermissionDenied, "permission denied".to_owned()),
                io::ErrorKind::TimedOut => (ErrorKind::TimedOut, "timed out".to_owned()),
                _ => {
                    let text = match code.map(nix::errno::Errno::from_raw) {
                        Some(errno) => errno.desc().to_lowercase(),
                        None => error.to_string(),
                    };
                    (ErrorKind::Io, text)
                }
            },
        };
        let error = Error::new(kind, message);
        match kind {
            ErrorKind::PermissionDenied => error.with_hint("run as root"),
            _ => error,
        }
    }

    /// Says what was being done, such as "writing /etc/motd". The innermost operation stays.
    #[must_use]
    pub fn while_doing(mut self, operation: impl Into<String>) -> Error {
        self.0.operation.get_or_insert_with(|| operation.into());
        self
    }

    /// Says to which resource it happened, and where that was declared. The first one stays.
    #[must_use]
    pub fn of(mut self, resource: &ResourceId, declared_at: Option<&Span>) -> Error {
        if self.0.resource.is_none() {
            self.0.resource = Some(resource.clone());
            self.0.declared_at = declared_at.cloned();
        }
        self
    }

    /// Says what would help. The first hint stays.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Adds what lies beneath, such as the last lines that a program wrote.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<String>) -> Error {
        let cause = cause.into();
        if !cause.is_empty() {
            self.0.cause.get_or_insert(Cause(cause));
        }
        self
    }

    /// Without what lies beneath.
    #[must_use]
    pub(crate) fn without_cause(mut self) -> Error {
        self.0.cause = None;
        self
    }

    /// With every text of it changed.
    #[must_use]
    pub(crate) fn map_texts(mut self, change: impl Fn(String) -> String) -> Error {
        let Parts { message, operation, cause, hint, .. } = &mut *self.0;
        *message = change(std::mem::take(message));
        let cause = cause.as_mut().map(|Cause(text)| text);
        for text in [operation.as_mut(), cause, hint.as_mut()].into_iter().flatten() {
            *text = change(std::mem::take(text));
        }
        self
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Why, without the operation and the resource.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What was being done.
    pub fn operation(&self) -> Option<&str> {
        self.0.operation.as_deref()
    }

    /// The resource it happened to.
    pub fn resource(&self) -> Option<&ResourceId> {
        self.0.resource.as_ref()
    }

    /// Where that resource was declared.
    pub fn declared_at(&self) -> Option<&Span> {
        self.0.declared_at.as_ref()
    }

    /// What lies beneath; may have several lines.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_ref().map(|Cause(text)| text.as_str())
    }

    /// What would help.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { message, operation, cause, hint, .. } = &*self.0;
        if let Some(operation) = operation {
            write!(f, "{operation}: ")?;
        }
        f.write_str(message)?;
        if f.alternate() {
            let cause = cause.iter().flat_map(|Cause(text)| text.lines());
            cause.into_iter().try_for_each(|line| write!(f, "\n  {line}"))?;
            hint.iter().try_for_each(|hint| write!(f, "\n  hint: {hint}"))?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().map(|cause| cause as _)
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            f.write_str(if number == 0 { "" } else { "\n" })?;
            fmt::Display::fmt(error, f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

impl From<Error> for Errors {
    fn from(error: Error) -> Errors {
        Errors(vec![error])
    }
}

impl IntoIterator for Errors {
    type Item = Error;
    type IntoIter = std::vec::IntoIter<Error>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::io(&error)
    }
}

impl From<InvalidId> for Error {
    fn from(error: InvalidId) -> Error {
        Error::new(ErrorKind::Invalid, error.to_string()).with_hint(InvalidId::HINT)
    }
}

impl From<nix::errno::Errno> for Error {
    fn from(errno: nix::errno::Errno) -> Error {
        Error::io(&errno.into())
    }
}

/// Says what was being done, on a result.
pub trait ResultExt<T> {
    /// See [`Error::while_doing`].
    ///
    /// # Errors
    /// Whatever the result already held.
    fn while_doing<S: Into<String>>(self, operation: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Into<Error>> ResultExt<T> for std::result::Result<T, E> {
    fn while_doing<S: Into<String>>(self, operation: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| error.into().while_doing(operation()))
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn cause_and_hint_are_there_for_whoever_asks() {
        let error = Error::new(ErrorKind::CommandFailed, "exit code 1").while_doing("running false");
        assert!(error.source().is_none());
        let error = error.with_cause("no\nnever").with_hint("try true");
        assert_eq!(error.source().unwrap().to_string(), "no\nnever");
        assert_eq!(error.to_string(), "running false: exit code 1");
        assert_eq!(format!("{error:#}"), "running false: exit code 1\n  no\n  never\n  hint: try true");
        let both: Box<dyn std::error::Error> = Errors(vec![error.clone(), error]).into();
        assert_eq!(both.to_string(), "running false: exit code 1\nrunning false: exit code 1");
    }

    #[test]
    fn an_error_keeps_the_innermost_operation() {
        let error = Error::io(&io::Error::from_raw_os_error(nix::errno::Errno::ENOSPC as i32))
            .while_doing("writing /etc/motd")
            .while_doing("applying");
        assert_eq!(error.to_string(), "writing /etc/motd: no space is left on the file system");
        assert_eq!(error.kind(), ErrorKind::NoSpace);
        assert_eq!(error.hint(), None, "what is still as it was, only the caller knows");
    }
}
