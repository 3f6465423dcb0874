//! `provision test`: try a site on simulated hosts.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use provision_core::error::{Error, ResultExt};
use provision_core::testing::{Failure as TestFailure, Suite, SuiteOptions};

use crate::cli::Test;
use crate::context::{self, Program};
use crate::exit::{Exit, Failure};
use crate::render;
use crate::secrets;

/// What became of a check.
pub struct Outcome {
    /// What was tried.
    pub name: String,
    /// What it came to, or why it does not hold.
    pub result: Result<String, TestFailure>,
    /// How long it took.
    pub took: Duration,
}

/// Tries everything, several checks at a time, and shows what fails.
pub fn run(program: &Program<'_>, verb: &Test) -> Result<Exit, Failure> {
    let options = program.options;
    if options.root.is_some() || options.simulate {
        return Err(Failure::Usage(
            "tests run on simulated hosts of their own, so --root and --simulate say nothing".into(),
        ));
    }
    let started = Instant::now();
    let mut what = SuiteOptions { drifted: verb.drifted, filter: verb.filter.clone(), ..SuiteOptions::default() };
    if !verb.release.is_empty() {
        what.releases.clone_from(&verb.release);
    }
    if verb.secrets.secrets.is_some() || !verb.secrets.identity.is_empty() {
        let beside = verb.site.sites.first().map(PathBuf::as_path);
        what.secrets = Some(Arc::new(secrets::store(&verb.secrets, beside)));
    }
    let suite = Suite::new(program.registry, &context::input(&verb.site)?, &what)?;
    let shown = render::tests::Progress::new(options, suite.checks().len());
    let outcomes = try_all(&suite, verb.jobs, &shown);
    shown.finish();
    render::tests::show(&outcomes, suite.coverage(), started.elapsed(), options)?;
    if let Some(file) = &verb.junit {
        let report = render::tests::junit(&outcomes);
        #[expect(clippy::disallowed_methods, reason = "the report lies on the machine that the program runs on")]
        std::fs::write(file, report)
            .map_err(|error| Error::io(&error))
            .while_doing(|| format!("writing {}", file.display()))?;
    }
    let all_well = outcomes.iter().all(|outcome| outcome.result.is_ok());
    Ok(if all_well { Exit::Success } else { Exit::Failure })
}

fn try_all(suite: &Suite, jobs: Option<u16>, shown: &render::tests::Progress) -> Vec<Outcome> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let jobs = jobs.map_or(processors, usize::from).min(suite.checks().len()).max(1);
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let work = || {
            while let Some((number, check)) =
                suite.checks().iter().enumerate().nth(next.fetch_add(1, Ordering::Relaxed))
            {
                let started = Instant::now();
                let result = check.run();
                shown.step(check.name());
                let outcome = Outcome { name: check.name().to_owned(), result, took: started.elapsed() };
                outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((number, outcome));
            }
        };
        // This thread works too, and where no more can be had it does with fewer.
        for _ in 1..jobs {
            if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by_key(|(number, _)| *number);
    tell_once(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

/// Of failures with one cause the first tells it, and the others name the first.
fn tell_once(mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
    for number in 1..outcomes.len() {
        let (before, rest) = outcomes.split_at_mut(number);
        let Err(failure) = &mut rest[0].result else { continue };
        let first = before.iter().find(|outcome| outcome.result.as_ref().is_err_and(|first| first.is_like(failure)));
        if let Some(first) = first {
            *failure = TestFailure::new(format!("for the same reason as \"{}\"", first.name));
        }
    }
    outcomes
}
