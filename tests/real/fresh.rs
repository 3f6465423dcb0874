//! Root directories that are made in an instant: an overlay over one that stays as it is.

use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::host::Result;

/// A directory with an overlay over it: what is written goes with it.
pub struct Fresh {
    place: tempfile::TempDir,
    /// The directories that it lies over, the highest first.
    below: Vec<PathBuf>,
}

impl Fresh {
    pub fn over(lower: &Path) -> Result<Fresh> {
        Fresh::over_all(vec![lower.to_owned()])
    }

    /// One over another, which is not to be written to any more.
    pub fn over_another(other: &Fresh) -> Result<Fresh> {
        other.unmount();
        Fresh::over_all([other.place.path().join("upper")].into_iter().chain(other.below.clone()).collect())
    }

    fn over_all(below: Vec<PathBuf>) -> Result<Fresh> {
        let lowest = below.last().and_then(|lowest| lowest.parent()).ok_or("a root has a directory above it")?;
        let place = tempfile::tempdir_in(lowest).map_err(|error| error.to_string())?;
        for name in ["upper", "work", "merged"] {
            std::fs::create_dir(place.path().join(name)).map_err(|error| error.to_string())?;
        }
        let at = |name: &str| place.path().join(name).display().to_string();
        let lower: Vec<String> = below.iter().map(|directory| directory.display().to_string()).collect();
        // Nothing of it outlives the test, so the disk is not waited for.
        let options = format!("lowerdir={},upperdir={},workdir={},volatile", lower.join(":"), at("upper"), at("work"));
        let merged = PathBuf::from(at("merged"));
        mount(Some("overlay"), &merged, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
            .map_err(|error| format!("mounting an overlay: {error}"))?;
        Ok(Fresh { place, below })
    }

    fn unmount(&self) {
        let _ = umount2(&self.root(), MntFlags::MNT_DETACH);
    }

    pub fn root(&self) -> PathBuf {
        self.place.path().join("merged")
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        self.unmount();
    }
}
