//! The laws on a booted host: one for all trials, which after each is brought back to how it was.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use provision_core::apply::ApplyOptions;
use provision_core::effect::{Effect, PlatformEffect};
use provision_core::host::{Fault, Host, HostView, LocalHost};
use provision_core::journal::{Ending, Journal, MemoryStore, Purpose, Recorder, RunInfo};
use provision_core::report::Counts;
use provision_core::resource::ResourceId;
use provision_core::rollback::RollbackOptions;
use provision_core::sim::{Beginning, SimHost};
use provision_core::testing::{Extent, Failure, Ground, Observed, Part, Tried, Watched};
use provision_resources::Debian;

use super::root_directory::scope;

/// What is tried at most: the first effect of a run meets a death, which leaves the power on, and a failure.
const PART: Part = Part { crash_points: 1, deaths: &[Fault::DiesAfter], deaths_with_packages: &[], orders: 1 };

/// The host that this program runs on.
pub struct Booted {
    host: Watched<LocalHost>,
    /// The beginning that it was brought to; the next trial often begins alike.
    begun: Mutex<Begun>,
}

/// A beginning, how the host is with it, and what takes that back.
struct Begun {
    /// How it is without a beginning.
    untouched: Observed,
    beginnings: Vec<Beginning>,
    observed: Observed,
    back: Option<TakesBack>,
}

impl Booted {
    pub fn running() -> Result<Booted, Failure> {
        let host = Watched::new(LocalHost::running(Debian::new())?, scope());
        let untouched = observed(&host)?;
        let observed = untouched.clone();
        Ok(Booted { host, begun: Mutex::new(Begun { untouched, beginnings: Vec::new(), observed, back: None }) })
    }

    /// Takes the last beginning back.
    pub fn finish(&self) -> Result<(), Failure> {
        self.begin(&mut self.begun.lock().unwrap_or_else(PoisonError::into_inner), &[])
    }

    /// Brings the host to a beginning, from the one that it was brought to before.
    fn begin(&self, begun: &mut Begun, beginnings: &[Beginning]) -> Result<(), Failure> {
        if begun.beginnings == beginnings {
            return Ok(());
        }
        for given in std::mem::take(&mut begun.beginnings).iter().rev() {
            given.take_away(&self.host)?;
        }
        if let Some(back) = begun.back.take() {
            back.take_back(&self.host)?;
        }
        begun.observed = observed(&self.host)?;
        // It is told once, and the next cases begin with what is there now.
        let untouched = std::mem::replace(&mut begun.untouched, begun.observed.clone());
        is_as("after a case the host is not as it was before", &untouched, &begun.observed)?;
        let (brought, back) = self
            .written_down(&mut |host| Ok(beginnings.iter().try_for_each(|beginning| beginning.bring_about(host))?))?;
        (begun.beginnings, begun.back) = (beginnings.to_vec(), Some(back));
        begun.observed = observed(&self.host)?;
        brought.map_err(|failure| failure.in_case("bringing the host to its beginning"))
    }

    /// Lets something work on the host, and gives what takes that back.
    fn written_down(
        &self,
        work: &mut dyn FnMut(&WrittenDown<'_>) -> Result<(), Failure>,
    ) -> Result<(Result<(), Failure>, TakesBack), Failure> {
        let journal = Journal::new(MemoryStore::new());
        let info = RunInfo { purpose: Purpose::Apply, who: "test".into(), site: "trial".into(), site_digest: None };
        let recorder = journal.begin(&journal.lock()?, info)?;
        let worked = work(&WrittenDown {
            host: &self.host,
            recorder: Arc::clone(&recorder),
            known: Mutex::default(),
            one_way: AtomicBool::default(),
        });
        recorder.finish(Ending::Done, Counts::default(), &self.host)?;
        Ok((worked, TakesBack { journal, recorder }))
    }
}

impl Ground for Booted {
    fn try_on(&self, like: &SimHost, trial: &mut dyn FnMut(&dyn Tried) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        self.begin(&mut begun, like.beginnings())?;
        let (mut known, mut one_way) = (None, false);
        let (tried, done) = self.written_down(&mut |host| {
            host.remember(begun.observed.clone());
            let tried = trial(host);
            (known, one_way) = (host.known(), host.one_way.load(Ordering::Relaxed));
            tried
        })?;
        if done.recorder.run().is_none() {
            return tried;
        }
        let mut found = match known {
            Some(known) => known,
            None => observed(&self.host)?,
        };
        if found == begun.observed {
            return tried;
        }
        one_way &= !begun.beginnings.is_empty();
        let back = done.take_back(&self.host);
        found = observed(&self.host)?;
        let as_before = match one_way {
            // What cannot be undone ends with the beginning that it came from.
            true => self.begin(&mut begun, &[]),
            false => is_as("after the trial the host is not as it was", &begun.observed, &found),
        };
        if !one_way {
            begun.observed = found;
        }
        tried.and(back).and(as_before)
    }

    fn extent(&self) -> Extent {
        Extent::Part(PART)
    }
}

fn is_as(what: &str, expected: &Observed, found: &Observed) -> Result<(), Failure> {
    if found == expected { Ok(()) } else { Err(Failure::of_hosts(what, &expected.lines, &found.lines)) }
}

/// How a host is, but for targets: those that a start has pulled in stay up.
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
    /// How it is, until something is done to it or it was asked.
    known: Mutex<Option<Observed>>,
    /// Whether something was done to it that cannot be undone.
    one_way: AtomicBool,
}

impl WrittenDown<'_> {
    fn remember(&self, observed: Observed) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(observed);
    }

    fn known(&self) -> Option<Observed> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Tried for WrittenDown<'_> {
    /// The first time nothing can have changed; from then on it is really looked at.
    fn observed(&self) -> Result<Observed, Failure> {
        if self.recorder.run().is_none()
            && let Some(known) = self.known()
        {
            return Ok(known);
        }
        let found = observed(self.host)?;
        if self.recorder.run().is_some() {
            self.remember(found.clone());
        }
        Ok(found)
    }

    fn take_effects(&self) -> Vec<Effect> {
        self.host.take_effects()
    }
}

impl Host for WrittenDown<'_> {
    fn perform(&self, effect: &Effect) -> provision_core::error::Result<()> {
        let id = ResourceId::new("trial", "it");
        self.known();
        // What was interrupted is not interrupted again.
        let one_way =
            effect.point_of_no_return().is_some() || matches!(effect, Effect::Platform(PlatformEffect::RepairPackages));
        self.one_way.fetch_or(one_way, Ordering::Relaxed);
        let entry = self.recorder.intend(&[&id], effect, self.host)?;
        let result = self.host.perform(effect);
        self.recorder.conclude(entry, effect, result.as_ref().err(), self.host);
        result
    }
}

impl HostView for WrittenDown<'_> {
    provision_core::forward_view!(self => self.host);
}
