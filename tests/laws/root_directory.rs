//! The laws on root directories: a fresh overlay for each trial.

use std::sync::{Mutex, PoisonError};

use provision_core::host::{Fault, HostView, LocalHost};
use provision_core::path::HostPath;
use provision_core::sim::{Beginning, Scope, SimHost};
use provision_core::testing::{Extent, Failure, Ground, Part, Tried, Watched};
use provision_resources::Debian;

use super::fresh::Fresh;
use super::host::{Directory, Result};

/// What is tried at most: the first two effects of a run meet two deaths each, which leave the power on, and a failure.
const PART: Part = Part {
    crash_points: 2,
    deaths: &[Fault::DiesBefore, Fault::DiesAfter],
    deaths_with_packages: &[Fault::DiesAfter],
    orders: 1,
};

/// Root directories of a release.
pub struct RootDirectories {
    pristine: Directory,
    /// The last one that was brought to a beginning; the next trial often begins alike.
    begun: Mutex<Option<(Vec<Beginning>, Fresh)>>,
}

impl RootDirectories {
    pub fn new(release: &str) -> Result<RootDirectories> {
        let pristine = Directory::new(release)?;
        prepare(&|argv| pristine.inside(argv)?.expect(0).map(drop))?;
        Ok(RootDirectories { pristine, begun: Mutex::default() })
    }
}

/// Fetches what cases install, so that trials wait for no network, and not for the disk either.
pub fn prepare(inside: &dyn Fn(&[&str]) -> Result) -> Result {
    inside(&["sh", "-c", "echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/tests"])?;
    // Where root has no password, sudo does not let itself be removed.
    inside(&["usermod", "--password", "x", "root"])?;
    inside(&["apt-get", "update", "-q"])?;
    inside(&["apt-get", "install", "-q", "-y", "--download-only", "hello", "cron", "sudo", "logrotate"])?;
    let lean = ["nginx", "unattended-upgrades", "libpam-pwquality"];
    let install = ["apt-get", "install", "-q", "-y", "--download-only", "--no-install-recommends"];
    inside(&[&install[..], &lean[..]].concat())
}

/// What is looked at, often: not where packages alone write, of which the package database tells.
pub fn scope() -> Scope {
    let texts = ["/etc", "/home", "/opt", "/root", "/srv", "/usr/local", "/var/mail"];
    let packages = ["/usr/bin", "/usr/games", "/usr/lib", "/usr/libexec", "/usr/sbin", "/usr/share", "/var/backups"];
    let path = |text| HostPath::new(text).expect("an absolute path");
    let texts = texts.map(path).into();
    Scope { texts, digests: false, ..Scope::comparison().without(packages.map(path)) }
}

fn open(root: &std::path::Path) -> std::result::Result<LocalHost, Failure> {
    Ok(LocalHost::open(root, Debian::new())?)
}

impl Ground for RootDirectories {
    fn try_on(
        &self,
        like: &SimHost,
        trial: &mut dyn FnMut(&dyn Tried) -> std::result::Result<(), Failure>,
    ) -> std::result::Result<(), Failure> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if begun.as_ref().is_none_or(|(beginnings, _)| beginnings != like.beginnings()) {
            *begun = None;
            let fresh = Fresh::over(&self.pristine.root()).map_err(Failure::new)?;
            let host = open(&fresh.root())?;
            like.beginnings().iter().try_for_each(|beginning| beginning.bring_about(&host))?;
            *begun = Some((like.beginnings().to_vec(), fresh));
        }
        let Some((_, below)) = &*begun else { return Err(Failure::new("there is no beginning")) };
        let fresh = Fresh::over_another(below).map_err(Failure::new)?;
        trial(&Watched::new(open(&fresh.root())?, scope()))
    }

    fn try_on_empty(
        &self,
        _: &SimHost,
        trial: &mut dyn FnMut(&dyn HostView) -> std::result::Result<(), Failure>,
    ) -> std::result::Result<(), Failure> {
        let nothing = tempfile::tempdir().map_err(|error| Failure::new(error.to_string()))?;
        trial(&open(nothing.path())?)
    }

    fn extent(&self) -> Extent {
        Extent::Part(PART)
    }
}
