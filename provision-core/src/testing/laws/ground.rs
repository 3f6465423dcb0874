//! What the laws are tried on: simulated hosts, and whatever else can be brought to how a case begins.

use crate::host::{Fault, HostView};
use crate::path::HostPath;
use crate::sim::{HostRecord, PathAccess, PathKind, SimHost};
use crate::testing::{Failure, Tried};

/// Where hosts for trials come from.
pub trait Ground {
    /// Lets a trial have a host that begins like a simulated one (see [`SimHost::beginnings`]), and shares it with no other.
    ///
    /// # Errors
    /// The trial's, or no such host can be had, or one host serves for all and is not as it was before.
    fn try_on(&self, like: &SimHost, trial: &mut dyn FnMut(&dyn Tried) -> Result<(), Failure>) -> Result<(), Failure>;

    /// Lets a trial look at each of the hosts with nothing on them that there are here, of the release of a simulated one.
    ///
    /// # Errors
    /// The trial's, or no such host can be had.
    fn try_on_empty(
        &self,
        like: &SimHost,
        trial: &mut dyn FnMut(&dyn HostView) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let _ = (like, trial);
        Ok(())
    }

    /// How much is tried; by default all, with a host of its own for each law.
    fn extent(&self) -> Extent {
        Extent::Whole
    }
}

/// How much is tried on a ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every law, each on hosts of its own.
    Whole,
    /// The laws that are about a host, several on one.
    Part(Part),
}

/// A part of the trials, for hosts that take their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// At how many effects of a run, from the first, it dies, or one fails.
    pub crash_points: usize,
    /// The deaths that it dies at each.
    pub deaths: &'static [Fault],
    /// Those that the first case of a type that installs or removes packages dies, at its first effect; others do not die.
    pub deaths_with_packages: &'static [Fault],
    /// In how many other orders two cases are brought about together, beside their own and at the same time.
    pub orders: u64,
}

/// Simulated hosts: a copy of that of the case for each trial.
pub(super) struct Simulated;

impl Ground for Simulated {
    fn try_on(&self, like: &SimHost, trial: &mut dyn FnMut(&dyn Tried) -> Result<(), Failure>) -> Result<(), Failure> {
        trial(&like.clone())
    }

    fn try_on_empty(
        &self,
        like: &SimHost,
        trial: &mut dyn FnMut(&dyn HostView) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut record = HostRecord { format: HostRecord::FORMAT.to_owned(), ..HostRecord::default() };
        record.os.version = like.release_number().to_owned();
        record.paths.insert(HostPath::root(), PathKind::Directory(PathAccess::root(0o755)));
        [false, true].into_iter().try_for_each(|is_running| {
            let host = SimHost::from_record(HostRecord { is_running, ..record.clone() })?;
            trial(&host)
        })
    }
}
