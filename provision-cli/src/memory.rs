//! Runs that had nothing to do are remembered: while the site is the same, and the host answers the same, so is the next.

use provision_core::config::{EvaluationCache, Input, KeptEvaluation};
use provision_core::facts::Facts;
use provision_core::graph::Graph;
use provision_core::plan::{Converged, PlanOptions, Planned};
use provision_resources::registry;

use crate::cli::{Apply, Format, Options};
use crate::context::{self, Target};
use crate::exit::Failure;

/// What is remembered of runs for a site; nothing of one that is to say more than how many resources are in sync, or that
/// is not about all of them.
pub struct Memory<'t> {
    target: &'t Target,
    cache: Option<(EvaluationCache, Input)>,
}

impl Memory<'_> {
    /// What is remembered for a run.
    pub fn of<'t>(options: &Options, verb: &Apply, target: &'t Target) -> Result<Memory<'t>, Failure> {
        let says_little = options.format == Format::Text && options.verbose == 0;
        let is_whole = verb.chosen.only.is_empty() && !verb.chosen.prune;
        // What is typed can be read only once.
        let is_typed = verb.site.sites.iter().any(|site| site.as_os_str() == "-");
        let cache = match target.cache(&verb.site) {
            Some(cache) if says_little && is_whole && !is_typed && !options.full => {
                Some((cache, context::input(&verb.site)?))
            }
            _ => None,
        };
        Ok(Memory { target, cache })
    }

    /// What the host answered when there was nothing to do, if the site is as it was then.
    pub fn converged(&self, facts: &Facts) -> Option<Converged> {
        let (cache, input) = self.cache.as_ref()?;
        cache.converged(&registry(), facts, input)
    }

    /// Plans, and remembers if there is nothing to do, where the evaluation of the site is kept.
    pub fn plan<'g>(
        &self,
        graph: &'g Graph,
        evaluation: Option<KeptEvaluation>,
        options: &PlanOptions,
    ) -> Result<Planned<'g>, Failure> {
        let Target { host, journal, .. } = self.target;
        let Some(((cache, _), evaluation)) = self.cache.as_ref().zip(evaluation) else {
            return Ok(graph.plan(host, options)?);
        };
        let (planned, converged) = graph.plan_and_remember(host, options, journal)?;
        if let Some(converged) = converged {
            cache.keep_converged(&evaluation, &converged);
        }
        Ok(planned)
    }
}
