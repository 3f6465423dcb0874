//! [`Rebuild`]: a command that makes files out of others.

use serde::{Deserialize, Serialize};

use super::Command;
use crate::error::{Error, ErrorKind};
use crate::path::HostPath;

/// A command that makes files out of others, such as `postmap(1)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rebuild {
    /// The command.
    pub command: Command,
    /// The files and directories that it reads.
    pub sources: Vec<HostPath>,
    /// The files that it makes; one that is not there when it has ended well is an error.
    pub products: Vec<HostPath>,
    /// Where a digest of the sources that were read is kept; see
    /// [`digest_of_sources`](crate::host::digest_of_sources).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<HostPath>,
}

impl Rebuild {
    /// What the stamp holds while the command runs, and after one that has not ended well: no digest.
    pub(crate) const UNFINISHED: &str = "unfinished\n";

    /// The error for a product that is not there although the command ended well.
    pub(crate) fn is_without(&self, product: &HostPath) -> Error {
        let message = format!("`{}` ended well, and there is no {product}", self.command);
        Error::new(ErrorKind::CommandFailed, message).with_hint("name only what it makes in `products`")
    }
}
