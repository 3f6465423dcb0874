//! What becomes of configuration files when packages come and go: `dpkg(1)`, `--force-confold` and `--force-confnew`.

use super::{Machine, Shipped};
use crate::effect::Conffiles;
use crate::error::{Error, ErrorKind, Result};
use crate::host::overlay::node::Node;
use crate::host::{FileKind, HostView};
use crate::path::HostPath;

/// What dpkg(1) takes away with a configuration file when its package is purged.
const REMAINS: [&str; 7] = [".dpkg-tmp", ".dpkg-new", ".dpkg-old", ".dpkg-dist", "~", ".bak", "%"];

impl Machine<'_> {
    /// Puts a configuration file in place, beside the one that is there, or nowhere: dpkg(1) may know it from a package
    /// that is installed, or has left its configuration, and that may have been of another version.
    pub(super) fn unpack_conffile(&self, file: &Shipped, known: bool, changes: bool, wish: Conffiles) -> Result<()> {
        let Shipped { path, kind, data, .. } = file;
        let new = Node::new(kind.kind(), kind.access(), data.clone());
        // One that is the same as before is not asked about: it stays, even if it was changed or taken away.
        let asks = !known || changes;
        let Some(there) = self.node(path)? else {
            return match (known, asks, wish) {
                (false, ..) | (_, true, Conffiles::New) => self.put_beside(path, new),
                (_, true, Conffiles::Fail) => Err(asked(path)),
                (_, true, Conffiles::Keep) => self.put_beside(&beside(path, ".dpkg-dist")?, new),
                (_, false, _) => Ok(()),
            };
        };
        let is_the_same = match self.read(path) {
            Ok(Some(now)) => data.as_ref().is_some_and(|data| now.bytes() == data.bytes()),
            // What was not recorded came with the package.
            _ => true,
        };
        if !asks || is_the_same || there.kind != FileKind::File {
            return Ok(());
        }
        // The new one gets the owner and mode of the one that is there.
        let new = Node { access: there.access.clone(), ..new };
        match wish {
            Conffiles::Fail => Err(asked(path)),
            Conffiles::Keep => {
                self.take_if_there(&beside(path, ".dpkg-old")?)?;
                self.put_beside(&beside(path, ".dpkg-dist")?, new)
            }
            Conffiles::New => {
                self.take_if_there(&beside(path, ".dpkg-dist")?)?;
                let data = self.read(path)?;
                self.put_beside(&beside(path, ".dpkg-old")?, Node::new(there.kind, there.access, data))?;
                self.put_beside(path, new)
            }
        }
    }

    /// Takes away a configuration file of a purged package, with what dpkg(1) and editors have put beside it.
    pub(super) fn purge_conffile(&self, path: &HostPath) -> Result<()> {
        self.take_if_there(path)?;
        REMAINS.iter().try_for_each(|suffix| self.take_if_there(&beside(path, suffix)?))
    }

    fn take_if_there(&self, path: &HostPath) -> Result<()> {
        if self.metadata(path)?.is_some() { self.take_away(path) } else { Ok(()) }
    }
}

/// dpkg(1) asks what to do, and gets no answer.
fn asked(path: &HostPath) -> Error {
    Error::new(ErrorKind::CommandFailed, format!("{path} was changed here, and the package brings another"))
}

fn beside(path: &HostPath, suffix: &str) -> Result<HostPath> {
    HostPath::new(&format!("{path}{suffix}"))
}
