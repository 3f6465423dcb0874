//! The laws on a booted host: one for all trials, which after each is brought back to how it was.

use std::sync::{Arc, Mutex, PoisonError};

use provision_core::apply::ApplyOptions;
use provision_core::effect::{Effect, Output};
use provision_core::host::{Host, HostView, LocalHost, SimHost};
use provision_core::journal::{Ending, Journal, MemoryStore, Purpose, Recorder, RollbackOptions, RunInfo};
use provision_core::report::Counts;
use provision_core::resource::ResourceId;
use provision_core::testing::{Extent, Failure, Ground, Observed, Part, Tried, Watched};
use provision_resources::Debian;

use super::root_directory::scope;

/// What is tried at most.
const PART: Part = Part { crash_points: 1, crash_points_with_packages: 0, faults: &Part::FEW_FAULTS, orders: 1 };

/// The host that this program runs on.
pub struct Booted {
    host: Watched<LocalHost>,
    /// How it is between two trials.
    between: Mutex<Observed>,
}

impl Booted {
    pub fn running() -> Result<Booted, Failure> {
        let host = Watched::new(LocalHost::running(Debian::new())?, scope());
        let between = Mutex::new(observed(&host)?);
        Ok(Booted { host, between })
    }

    /// Lets something work on the host, and gives what takes that back.
    fn written_down(
        &self,
        work: &mut dyn FnMut(&WrittenDown<'_>) -> Result<(), Failure>,
    ) -> Result<(Result<(), Failure>, TakesBack), Failure> {
        let journal = Journal::new(MemoryStore::new());
        let info = RunInfo { purpose: Purpose::Apply, who: "test".into(), site: "trial".into(), site_digest: None };
        let recorder = journal.begin(info)?;
        let worked = work(&WrittenDown { host: &self.host, recorder: Arc::clone(&recorder) });
        recorder.finish(Ending::Done, Counts::default(), &self.host)?;
        Ok((worked, TakesBack { journal, recorder }))
    }
}

impl Ground for Booted {
    fn try_on(&self, like: &SimHost, trial: &mut dyn FnMut(&dyn Tried) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut between = self.between.lock().unwrap_or_else(PoisonError::into_inner);
        let (begun, beginning) = self.written_down(&mut |host| {
            Ok(like.beginnings().iter().try_for_each(|beginning| beginning.bring_about(host))?)
        })?;
        let began = if like.beginnings().is_empty() { between.clone() } else { observed(&self.host)? };
        let (tried, done) = match begun {
            Ok(()) => self.written_down(&mut |host| trial(host))?,
            Err(failure) => (Err(failure.in_case("bringing it to its beginning")), TakesBack::nothing(self)?),
        };
        let after = observed(&self.host)?;
        let mut back = if after == began { Ok(()) } else { done.take_back(&self.host) };
        for given in like.beginnings().iter().rev() {
            back = back.and(given.take_away(&self.host).map_err(Failure::from));
        }
        back = back.and(beginning.take_back(&self.host));
        let found = observed(&self.host)?;
        let as_before = match found == *between {
            true => Ok(()),
            false => Err(Failure::of_hosts("after the trial the host is not as it was", &between.lines, &found.lines)),
        };
        *between = found;
        tried.and(back).and(as_before)
    }

    fn extent(&self) -> Extent {
        Extent::Part(PART)
    }
}

/// What a host is between trials: targets stay up, and what a trial reads for the first time is read.
fn observed(host: &dyn Tried) -> Result<Observed, Failure> {
    let mut observed = host.observed()?;
    observed.lines.retain(|what, _| !what.ends_with(".target"));
    Ok(observed)
}

/// What takes back what was written down.
struct TakesBack {
    journal: Journal,
    recorder: Arc<Recorder>,
}

impl TakesBack {
    fn nothing(of: &Booted) -> Result<TakesBack, Failure> {
        Ok(of.written_down(&mut |_| Ok(()))?.1)
    }

    fn take_back(&self, host: &dyn Host) -> Result<(), Failure> {
        let Some(run) = self.recorder.run() else { return Ok(()) };
        let rollback = self.journal.rollback(run, &host, RollbackOptions { keep_changed: true })?;
        let report = rollback.apply(&host, &ApplyOptions::default(), &());
        if report.is_success() {
            return Ok(());
        }
        let failed = report.steps.iter().find(|step| !step.outcome.is_success());
        Err(Failure::new(format!("the trial cannot be taken back: {:?}", failed.map(|step| &step.outcome))))
    }
}

/// A host whose every effect is written down, so that it can be taken back.
struct WrittenDown<'a> {
    host: &'a Watched<LocalHost>,
    recorder: Arc<Recorder>,
}

impl Tried for WrittenDown<'_> {
    fn observed(&self) -> Result<Observed, Failure> {
        self.host.observed()
    }

    fn take_effects(&self) -> Vec<Effect> {
        self.host.take_effects()
    }
}

impl Host for WrittenDown<'_> {
    fn perform(&self, effect: &Effect) -> provision_core::error::Result<Output> {
        let id = ResourceId::new("trial", "it");
        let entry = self.recorder.intend(&[&id], effect, self.host)?;
        let result = self.host.perform(effect);
        self.recorder.conclude(&entry, effect, result.as_ref().err(), self.host);
        result
    }
}

impl HostView for WrittenDown<'_> {
    provision_core::forward_view!(self => self.host);
}
