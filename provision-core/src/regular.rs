//! Regular files of the machine that this program runs on.
#![expect(clippy::disallowed_types, reason = "they lie beside the site, not on the host")]

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// Opens a regular file. To open a pipe would wait for a writer, and a device may never end.
pub(crate) fn open(path: &Path) -> Result<File> {
    let file = File::options().read(true).custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(Error::new(ErrorKind::Invalid, "it is not a regular file")),
    }
}

/// The bytes of a regular file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}
