//! `provision test`: try a site on simulated hosts.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use provision_core::error::{Error, ResultExt};
use provision_core::testing::{Failure as TestFailure, Suite, SuiteOptions};
use provision_resources::registry;

use crate::cli::{Options, Test};
use crate::context;
use crate::exit::{Exit, Failure};
use crate::render;

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
pub fn run(options: &Options, verb: &Test) -> Result<Exit, Failure> {
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
    let suite = Suite::new(&registry(), &context::input(&verb.site)?, &what)?;
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
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some((number, check)) =
                    suite.checks().iter().enumerate().nth(next.fetch_add(1, Ordering::Relaxed))
                {
                    let started = Instant::now();
                    let result = check.run();
                    shown.step(check.name(), result.is_ok());
                    let outcome = Outcome { name: check.name().to_owned(), result, took: started.elapsed() };
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((number, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by_key(|(number, _)| *number);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}
