//! Hosts that something is tried on: simulated ones, and real ones that are looked at from outside.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::effect::Effect;
use crate::error::Result;
use crate::host::{FileKind, Host, HostView, PackageStatus};
use crate::path::HostPath;
use crate::sim::{HostRecord, Scope, SimHost};

use super::Failure;

/// What is observed of a host: to compare it with another, or with itself at another time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Everything, a line each, by what it is about: of a simulated host all that differs from how it began.
    pub lines: BTreeMap<String, String>,
    /// What each file among it holds, or a digest of that.
    pub held: BTreeMap<HostPath, String>,
}

impl Observed {
    /// A file that is neither as it was before nor as it is to be, with what it holds.
    pub(crate) fn torn(self, before: &Observed, after: &Observed) -> Option<(HostPath, String)> {
        let is_torn =
            |(path, held): &(HostPath, String)| [before, after].iter().all(|known| known.held.get(path) != Some(held));
        self.held.into_iter().find(is_torn)
    }
}

/// A host that something is tried on.
pub trait Tried: Host {
    /// Looks at all of it.
    ///
    /// # Errors
    /// Something of it cannot be read.
    fn observed(&self) -> Result<Observed, Failure>;

    /// The effects performed since the last call.
    fn take_effects(&self) -> Vec<Effect>;

    /// Lets time pass, in seconds, where time can be told to.
    fn pass_time(&self, seconds: u64) {
        let _ = seconds;
    }

    /// Takes the power away, and gives it back, where that can be done.
    fn lose_power(&self) {}
}

/// Lets a trial have a host, which is the same for each call.
pub(crate) type Fresh<'a> = dyn Fn(&mut Attempt<'_>) -> Result<(), Failure> + 'a;

/// What is done with a host.
pub(crate) type Attempt<'a> = dyn FnMut(&dyn Tried) -> Result<(), Failure> + 'a;

impl Tried for SimHost {
    fn observed(&self) -> Result<Observed, Failure> {
        let lines = self.differences();
        let paths = lines.keys().filter_map(|what| HostPath::new(what.strip_prefix("path ")?).ok());
        let is_file =
            |path: &HostPath| self.metadata(path).ok().flatten().is_some_and(|found| found.kind == FileKind::File);
        let holds = |path: HostPath| {
            let content = self.read(&path).ok().flatten();
            let text = content.map(|content| String::from_utf8_lossy(content.bytes()).into_owned());
            (path, text.unwrap_or_default())
        };
        let held = paths.filter(is_file).map(holds).collect();
        Ok(Observed { lines, held })
    }

    fn take_effects(&self) -> Vec<Effect> {
        SimHost::take_effects(self)
    }

    fn pass_time(&self, seconds: u64) {
        SimHost::pass_time(self, seconds);
    }

    fn lose_power(&self) {
        SimHost::lose_power(self);
    }
}

/// A real host that something is tried on: it notes the effects that it is told to do.
pub struct Watched<H> {
    host: H,
    scope: Scope,
    effects: Mutex<Vec<Effect>>,
}

impl<H: Host> Watched<H> {
    /// Watches a host, of which so much is observed.
    pub fn new(host: H, scope: Scope) -> Watched<H> {
        Watched { host, scope, effects: Mutex::default() }
    }
}

impl<H: Host> Tried for Watched<H> {
    fn observed(&self) -> Result<Observed, Failure> {
        let mut record = HostRecord::of(&self.host, &self.scope)?;
        // That a package was there once is no state of it.
        record.packages.retain(|_, entry| entry.status != PackageStatus::Absent || entry.hold);
        let held = record.texts.iter().chain(&record.digests);
        let held = held.map(|(path, text)| (path.clone(), text.clone())).collect();
        Ok(Observed { lines: record.lines(), held })
    }

    fn take_effects(&self) -> Vec<Effect> {
        std::mem::take(&mut *self.effects.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<H: Host> Host for Watched<H> {
    fn perform(&self, effect: &Effect) -> Result<()> {
        self.host.perform(effect)?;
        self.effects.lock().unwrap_or_else(PoisonError::into_inner).push(effect.clone());
        Ok(())
    }
    fn come_to_rest(&self, effect: &Effect) -> Result<()> {
        self.host.come_to_rest(effect)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<H: Host> HostView for Watched<H> {
    crate::forward_view!(self => self.host);
}
