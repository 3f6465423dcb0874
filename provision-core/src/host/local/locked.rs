//! Why root itself may not change something: the flags of chattr(1).

use super::confined::Root;
use crate::effect::{Effect, FileFlags};
use crate::error::{Error, ErrorKind};
use crate::host::locked;
use crate::path::HostPath;

impl Root {
    /// Says what really keeps an effect from being done, where the kernel only says that it is not permitted.
    pub(super) fn explain(&self, effect: &Effect, error: Error) -> Error {
        if error.kind() != ErrorKind::PermissionDenied {
            return error;
        }
        let Some(path) = effect.path() else { return error };
        let directory = path.parent().unwrap_or_else(HostPath::root);
        for (what, path) in [("it", path), ("its directory", &directory)] {
            let flags = self.attributes(path).ok().flatten().map(|attributes| attributes.flags);
            if let Some(flags) = flags.filter(|flags| flags.has(FileFlags::LOCKS)) {
                return locked(what, path, flags);
            }
        }
        error
    }
}
