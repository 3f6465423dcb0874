//! All that is tried with a site: what holds for every site, and the tests that it brings along.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Branches, Evaluator, Input};
use crate::facts::Facts;
use crate::graph::Graph;
use crate::registry::Registry;
use crate::sim::SimHost;
use crate::site::{SiteTest, Spans, StartingState};

use super::furnish::{Unfit, furnish_leniently};
use super::start::{NamedBy, facts_of, starting_or_unfit};
use crate::secret::SecretStore;

use super::{Coverage, Failure, RELEASES, Run, Site, checks, drift, expect, faults};

/// What is tried.
#[derive(Clone)]
pub struct SuiteOptions {
    /// On these releases of Debian.
    pub releases: Vec<u32>,
    /// How many hosts that have drifted.
    pub drifted: u64,
    /// Only what has this in its name.
    pub filter: Option<String>,
    /// Where the secrets of the site are; all are made up without it.
    pub secrets: Option<Arc<dyn SecretStore>>,
}

impl std::fmt::Debug for SuiteOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let SuiteOptions { releases, drifted, filter, secrets } = self;
        let secrets = secrets.is_some();
        write!(f, "SuiteOptions {{ {releases:?}, drifted: {drifted}, filter: {filter:?}, secrets: {secrets} }}")
    }
}

impl Default for SuiteOptions {
    fn default() -> SuiteOptions {
        SuiteOptions { releases: RELEASES.to_vec(), drifted: 2, filter: None, secrets: None }
    }
}

/// All that is tried with a site, each by itself and in any order.
pub struct Suite {
    checks: Vec<Check>,
    coverage: Arc<Coverage>,
}

/// One thing that is tried.
pub struct Check {
    name: String,
    run: Box<dyn Fn() -> Result<String, Failure> + Send + Sync>,
}

impl Check {
    /// What is tried, such as `Debian 13, bare: every fault is survived`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tries it. Gives what it came to, in words; empty if there is nothing to say.
    ///
    /// # Errors
    /// It does not hold.
    pub fn run(&self) -> Result<String, Failure> {
        (self.run)()
    }
}

impl Suite {
    /// Everything that is to be tried with a site.
    ///
    /// # Errors
    /// The site is invalid on every release, or what its tests begin with cannot be.
    pub fn new(registry: &Registry, input: &Input, options: &SuiteOptions) -> Result<Suite, Failure> {
        let beside = beside(input);
        let newest = options.releases.last().copied().unwrap_or(RELEASES[1]);
        let known = Branches::new();
        let noting = Input { branches: Some(known.clone()), ..input.clone() };
        let declared = crate::config::load(registry, &facts_of(newest)?, noting)?;
        let coverage = Arc::new(Coverage::of_site_with(&known));
        let input = Input { branches: Some(coverage.noting()), ..input.clone() };
        let evaluator = Arc::new(Evaluator::new(registry, input));
        let mut suite = Suite { checks: Vec::new(), coverage };
        let tests: Vec<SiteTest> = declared.tests().to_vec();
        let test_host = declared.test_host().clone();
        for release in &options.releases {
            let bare = starting_or_unfit(&test_host, *release, beside.as_deref(), NamedBy::TestHost);
            let bare = bare.map_err(|unfit| unfit_test_host(unfit, declared.test_host_spans()))?;
            let site = Arc::new(site_for(&evaluator, options.secrets.as_ref()).facts(Facts::gather(&bare)?));
            suite.add_sweeps(&site, *release, &bare, options.drifted);
        }
        for test in &tests {
            if let Some(unknown) = test.case.releases.iter().find(|release| !RELEASES.contains(release)) {
                let message = format!("the test `{}`: no host of Debian {unknown} was recorded", test.name);
                return Err(Failure::new(message).said_by(test, &["releases"]));
            }
            let releases = if test.case.releases.is_empty() { &options.releases } else { &test.case.releases };
            for release in releases.iter().filter(|release| options.releases.contains(release)) {
                suite.add_test(
                    &evaluator,
                    options.secrets.as_ref(),
                    test,
                    *release,
                    (&test_host, beside.as_deref()),
                )?;
            }
        }
        if let Some(part) = &options.filter {
            suite.checks.retain(|check| check.name.contains(part.as_str()));
            if suite.checks.is_empty() {
                return Err(Failure::new(format!("nothing that is tried has {part:?} in its name")));
            }
        }
        Ok(suite)
    }

    /// What is tried.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// What was exercised so far.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    fn add(&mut self, name: String, run: impl Fn() -> Result<String, Failure> + Send + Sync + 'static) {
        self.checks.push(Check { name, run: Box::new(run) });
    }

    /// What holds for every site: on a bare host, on one that has converged, and on ones that have drifted.
    fn add_sweeps(&mut self, site: &Arc<Site>, release: u32, bare: &SimHost, drifted: u64) {
        let mut starts = vec![Start::Bare, Start::Converged];
        starts.extend((1..=drifted).map(Start::Drifted));
        for start in starts {
            let begin = {
                let (site, bare, coverage) = (Arc::clone(site), bare.clone(), Arc::clone(&self.coverage));
                move || start.host(&site, &bare, &coverage)
            };
            let begin = Arc::new(begin);
            let name = |what: &str| format!("Debian {release}, {start}: {what}");
            let (coverage, with) = (Arc::clone(&self.coverage), Arc::clone(&begin));
            self.add(name("converges, and again to nothing"), move || {
                let (host, graph) = with()?;
                coverage.declared(&graph);
                let (_, run) = checks::idempotent(&graph, &host)?;
                coverage.note(&run);
                Ok(count(run.effects().count(), "effect"))
            });
            let with = Arc::clone(&begin);
            self.add(name("survives every fault at every effect"), move || {
                let (host, graph) = with()?;
                Ok(count(faults::survives_every_fault(&graph, &host)?.faults, "fault"))
            });
            let with = Arc::clone(&begin);
            self.add(name("can be undone"), move || {
                let (host, graph) = with()?;
                checks::rolls_back(&graph, &host).map(|()| String::new())
            });
            let with = Arc::clone(&begin);
            self.add(name("converges in any order"), move || {
                let (host, graph) = with()?;
                Ok(count(checks::in_any_order(&graph, &host)?, "order"))
            });
        }
    }

    /// A test that the site brings along.
    fn add_test(
        &mut self,
        evaluator: &Arc<Evaluator>,
        secrets: Option<&Arc<dyn SecretStore>>,
        test: &SiteTest,
        release: u32,
        (test_host, beside): (&StartingState, Option<&Path>),
    ) -> Result<(), Failure> {
        let name = format!("Debian {release}, test {}", test.name);
        let named_test = format!("the test `{}`", test.name);
        let state = &test.case.host;
        let (begin, named) = match &state.fixture {
            Some(_) => (&StartingState { fixture: state.fixture.clone(), ..test_host.clone() }, NamedBy::Test),
            None => (test_host, NamedBy::TestHost),
        };
        let host = starting_or_unfit(begin, release, beside, named)
            .map_err(|unfit| unfit_beginning(unfit, test).in_case(&named_test))?;
        // A typo in it is told before anything is tried. What a site that has converged before may have brought is not
        // there yet, so what needs that is told when the test is tried.
        let (begun, mut found) = furnish_leniently(host.clone(), state);
        found.retain(|unfit| !test.case.converged || unfit.path == ["packages"]);
        if !found.is_empty() {
            return Err(unfit_beginning(found.remove(0), test).in_case(&named_test));
        }
        let facts = test.case.facts.over(Facts::gather(&begun)?);
        let site = site_for(evaluator, secrets).facts(facts);
        let (test, coverage) = (test.clone(), Arc::clone(&self.coverage));
        self.add(name, move || {
            let host = host.clone();
            let graph = match (site.graph(&host), &test.case.expect.invalid) {
                (Err(failure), Some(part)) => return refused(&test, &failure, part),
                (Ok(_), Some(part)) => {
                    let failure = Failure::new(format!("the site is valid, and was to be refused with {part:?}"));
                    return Err(failure.said_by(&test, &["expect", "invalid"]));
                }
                (graph, None) => graph?,
            };
            if test.case.converged {
                site.converge(&host)?;
            }
            let (host, mut found) = furnish_leniently(host, &test.case.host);
            if !found.is_empty() {
                return Err(unfit_beginning(found.remove(0), &test));
            }
            host.forget_counts();
            let run = Run::of_site(&graph, &host)?;
            coverage.note(&run);
            expect::compare(&test, &run, &host)?;
            Ok(String::new())
        });
        Ok(())
    }
}

/// The site, with the secrets that it is tested with.
fn site_for(evaluator: &Arc<Evaluator>, secrets: Option<&Arc<dyn SecretStore>>) -> Site {
    let site = Site::by(Arc::clone(evaluator));
    match secrets {
        Some(store) => site.secrets(Arc::clone(store)),
        None => site,
    }
}

/// A test whose host cannot begin as it says.
fn unfit_beginning(Unfit { path, error }: Unfit, test: &SiteTest) -> Failure {
    let path: Vec<&str> = std::iter::once("host").chain(path.iter().map(String::as_str)).collect();
    Failure::from(error).said_by(test, &path)
}

/// The same for what all tests begin with.
fn unfit_test_host(Unfit { path, error }: Unfit, spans: &Spans) -> Failure {
    let failure = Failure::from(error).in_case("test_host");
    match spans.at(&path) {
        Some(span) => failure.said_at(span),
        None => failure,
    }
}

/// A site that was refused must have been so for the expected reason.
fn refused(test: &SiteTest, failure: &Failure, part: &str) -> Result<String, Failure> {
    let messages: Vec<&str> = match failure.diagnostics() {
        Some(diagnostics) => diagnostics.list.iter().map(|diagnostic| diagnostic.message.as_str()).collect(),
        None => vec![failure.what()],
    };
    if messages.iter().any(|message| message.contains(part)) {
        return Ok(String::new());
    }
    let found = Failure::new(format!("the site is refused, but not with {part:?}")).difference(messages.join("\n"));
    Err(found.said_by(test, &["expect", "invalid"]))
}

/// Where relative paths of a site start.
fn beside(input: &Input) -> Option<PathBuf> {
    input.sources.iter().find_map(|source| match source {
        crate::config::SiteSource::File(file) => file.parent().map(Path::to_owned),
        crate::config::SiteSource::Text { .. } => None,
    })
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// How a host is before the site meets it.
#[derive(Clone, Copy)]
enum Start {
    Bare,
    Converged,
    Drifted(u64),
}

impl Start {
    fn host(self, site: &Site, bare: &SimHost, coverage: &Coverage) -> Result<(SimHost, Arc<Graph>), Failure> {
        let host = bare.clone();
        let graph = site.graph(&host)?;
        if !matches!(self, Start::Bare) {
            coverage.note(&Run::of_site(&graph, &host)?.succeeded()?);
        }
        if let Start::Drifted(seed) = self {
            drift(&graph, &host, seed);
        }
        Ok((host, graph))
    }
}

impl std::fmt::Display for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Start::Bare => f.write_str("bare"),
            Start::Converged => f.write_str("converged"),
            Start::Drifted(seed) => write!(f, "drifted {seed}"),
        }
    }
}
