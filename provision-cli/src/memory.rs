//! Runs that had nothing to do are remembered: while the site is the same, and the host answers the same, so is the next.

use provision_core::config::{EvaluationCache, Input, KeptEvaluation};
use provision_core::engine::{Engine, Prepared};
use provision_core::facts::Facts;
use provision_core::host::Host;
use provision_core::plan::{Converged, PlanOptions};
use provision_core::registry::Registry;
use provision_core::site::Site;

use crate::cli::{Apply, Format};
use crate::context::Program;
use crate::exit::Failure;

/// What is remembered of runs for a site; nothing of one that is to say more than how many resources are in sync, or that
/// is not about all of them.
pub struct Memory<'a> {
    registry: &'a Registry,
    cache: Option<EvaluationCache>,
}

impl<'a> Memory<'a> {
    /// What is remembered for a run, where evaluations of the site are kept.
    pub fn of(program: &Program<'a>, verb: &Apply, cache: Option<EvaluationCache>) -> Memory<'a> {
        let options = program.options;
        let says_little = options.format == Format::Text && options.verbose == 0;
        let is_whole = verb.chosen.only.is_empty() && !verb.chosen.prune;
        // What is typed is another text each time.
        let is_typed = verb.site.sites.iter().any(|site| site.as_os_str() == "-");
        let is_remembered = says_little && is_whole && !is_typed && !options.full;
        Memory { registry: program.registry, cache: cache.filter(|_| is_remembered) }
    }

    /// What the host answered when there was nothing to do, if the site is as it was then.
    pub fn converged(&self, facts: &Facts, input: &Input) -> Option<Converged> {
        self.cache.as_ref()?.converged(self.registry, facts, input)
    }

    /// Plans, and remembers if there is nothing to do, where the evaluation of the site is kept.
    pub fn plan<'e, H: Host>(
        &self,
        engine: &'e Engine<H>,
        site: Site,
        evaluation: Option<KeptEvaluation>,
        options: &PlanOptions,
    ) -> Result<Prepared<'e, H>, Failure> {
        let Some((cache, evaluation)) = self.cache.as_ref().zip(evaluation) else {
            return Ok(engine.plan(site, options)?);
        };
        let (prepared, converged) = engine.plan_and_remember(site, options)?;
        if let Some(converged) = converged {
            cache.keep_converged(&evaluation, &converged);
        }
        Ok(prepared)
    }
}
