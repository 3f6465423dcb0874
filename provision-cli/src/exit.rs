//! Exit codes, and the failures that lead to them.

use std::process::ExitCode;

use provision_core::diagnostic::Diagnostics;
use provision_core::engine::PlanError;
use provision_core::error::{Error, ErrorKind, Errors};

/// How the program ends. The numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All went well.
    Success = 0,
    /// Something failed; what did not depend on it was done.
    Failure = 1,
    /// With `--detailed-exitcode`: all went well, and there are or were changes.
    Changes = 2,
    /// The configuration is invalid; no host was touched.
    Invalid = 3,
    /// The saved plan is stale; nothing was written.
    Stale = 4,
    /// Another run holds the lock; nothing was done.
    Locked = 5,
    /// The arguments make no sense.
    Usage = 64,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub enum Failure {
    /// The site is wrong.
    Invalid(Diagnostics),
    /// Another run is at work on the host.
    Locked(Error),
    /// Something on the way to the work failed.
    Failed(Error),
    /// Secrets cannot be read; nothing was looked at or changed.
    Secrets(Errors),
    /// Tests cannot begin.
    Tests(provision_core::testing::Failure),
    /// Standard output was closed, as by `| head`.
    OutputClosed,
    /// Standard output cannot be written, as on a full disk. That says nothing about the host.
    Output(Error),
    /// The arguments make no sense together.
    Usage(String),
}

impl Failure {
    /// How the program ends because of it.
    pub fn exit(&self) -> Exit {
        match self {
            Failure::Invalid(_) => Exit::Invalid,
            Failure::Locked(_) => Exit::Locked,
            Failure::Failed(error) if error.kind() == ErrorKind::Stale => Exit::Stale,
            Failure::Failed(_) | Failure::Secrets(_) | Failure::Output(_) => Exit::Failure,
            Failure::Tests(_) => Exit::Invalid,
            Failure::OutputClosed => Exit::Success,
            Failure::Usage(_) => Exit::Usage,
        }
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Failure {
        Failure::Invalid(diagnostics)
    }
}

impl From<provision_core::testing::Failure> for Failure {
    fn from(failure: provision_core::testing::Failure) -> Failure {
        match failure.diagnostics() {
            Some(diagnostics) => Failure::Invalid(diagnostics.clone()),
            None => Failure::Tests(failure),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Failed(error)
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Failure {
        match error {
            PlanError::Site(diagnostics) => Failure::Invalid(diagnostics),
            PlanError::Secrets(errors) => Failure::Secrets(errors),
            PlanError::Host(error) => Failure::Failed(error),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::Output(Error::io(&error).while_doing("writing to standard output")),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Failure {
        Failure::from(std::io::Error::from(error))
    }
}
