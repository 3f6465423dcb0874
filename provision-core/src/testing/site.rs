//! A site under test.

#[cfg(feature = "nickel")]
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(feature = "nickel")]
use crate::config::{Evaluator, Input, SiteSource};
#[cfg(feature = "nickel")]
use crate::error::{Error, ResultExt};
use crate::facts::Facts;
use crate::graph::Graph;
use crate::host::HostView;
#[cfg(feature = "nickel")]
use crate::registry::Registry;
use crate::secret::{MemorySecrets, SecretStore};
use crate::sim::SimHost;
use crate::state::HostKey;

use super::{Failure, Run, Survived, checks, faults};

/// A site under test. It is evaluated when it meets a host, once for all hosts of the same facts.
pub struct Site {
    made: Made,
    facts: Option<Facts>,
    secrets: Vec<(String, String)>,
    store: Option<Arc<dyn SecretStore>>,
    graphs: Mutex<Vec<(Facts, Arc<Graph>)>>,
}

type Declare = dyn Fn(&Facts) -> Result<Graph, Failure> + Send + Sync;

enum Made {
    #[cfg(feature = "nickel")]
    From(Arc<Evaluator>),
    By(Box<Declare>),
}

impl Site {
    /// The site in a file (Nickel, JSON, TOML or YAML).
    ///
    /// # Errors
    /// The file cannot be read.
    #[cfg(feature = "nickel")]
    pub fn load(registry: &Registry, file: impl AsRef<Path>) -> Result<Site, Failure> {
        let file = file.as_ref();
        #[expect(clippy::disallowed_methods, reason = "a site lies on the machine that tests it")]
        std::fs::metadata(file)
            .map_err(|error| Error::io(&error))
            .while_doing(|| format!("looking for the site {}", file.display()))?;
        Ok(Site::new(registry, SiteSource::File(PathBuf::from(file))))
    }

    /// The site in a text of Nickel.
    #[cfg(feature = "nickel")]
    pub fn text(registry: &Registry, text: &str) -> Site {
        Site::new(registry, SiteSource::Text { name: "<test>".to_owned(), text: text.to_owned() })
    }

    /// A site from all that the command line knows.
    #[cfg(feature = "nickel")]
    pub fn of(registry: &Registry, input: Input) -> Site {
        Site::by(Arc::new(Evaluator::new(registry, input)))
    }

    /// A site that others evaluate as well.
    #[cfg(feature = "nickel")]
    pub(super) fn by(evaluator: Arc<Evaluator>) -> Site {
        Site::made(Made::From(evaluator))
    }

    #[cfg(feature = "nickel")]
    fn new(registry: &Registry, source: SiteSource) -> Site {
        Site::of(registry, Input { sources: vec![source], ..Input::default() })
    }

    /// A site that a Rust program declares.
    pub fn declared(declare: impl Fn(&Facts) -> Result<crate::site::Site, Failure> + Send + Sync + 'static) -> Site {
        Site::made(Made::By(Box::new(move |facts| Ok(declare(facts)?.into_graph()?))))
    }

    fn made(made: Made) -> Site {
        Site { made, facts: None, secrets: Vec::new(), store: None, graphs: Mutex::default() }
    }

    /// With these facts, whatever the host says.
    #[must_use]
    pub fn facts(mut self, facts: Facts) -> Site {
        self.facts = Some(facts);
        self
    }

    /// With a value for a field, as `--set PATH=VALUE` sets it.
    #[cfg(feature = "nickel")]
    #[must_use]
    pub fn set(mut self, path: &str, value: &str) -> Site {
        if let Made::From(evaluator) = &mut self.made {
            *evaluator = Arc::new(evaluator.overridden(&[(path.to_owned(), value.to_owned())]));
        }
        self.forget()
    }

    /// With a secret. Without one of its name, a text that the test made up stands in its place.
    #[must_use]
    pub fn secret(mut self, name: &str, text: &str) -> Site {
        self.secrets.push((name.to_owned(), text.to_owned()));
        self.forget()
    }

    /// With the secrets of a store. A secret that is there and cannot be opened here is made up.
    #[must_use]
    pub fn secrets(mut self, store: Arc<dyn SecretStore>) -> Site {
        self.store = Some(store);
        self.forget()
    }

    /// The same site with more values for fields.
    pub(super) fn overridden(&self, overrides: &[(String, String)]) -> Result<Site, Failure> {
        match &self.made {
            #[cfg(feature = "nickel")]
            Made::From(evaluator) => {
                let site = Site::by(Arc::new(evaluator.overridden(overrides)));
                let (facts, secrets, store) = (self.facts.clone(), self.secrets.clone(), self.store.clone());
                Ok(Site { facts, secrets, store, ..site })
            }
            Made::By(_) => {
                let fields: Vec<&str> = overrides.iter().map(|(path, _)| path.as_str()).collect();
                Err(Failure::new(format!(
                    "a program declares this site, so it has no field to set: {}",
                    fields.join(", ")
                )))
            }
        }
    }

    fn forget(self) -> Site {
        Site { graphs: Mutex::default(), ..self }
    }

    /// The ordered resources for a host.
    ///
    /// # Errors
    /// The site is invalid.
    pub fn graph(&self, host: &dyn HostView) -> Result<Arc<Graph>, Failure> {
        self.graph_for(self.facts_for(host)?)
    }

    /// What the site is told of a host.
    pub(super) fn facts_for(&self, host: &dyn HostView) -> Result<Facts, Failure> {
        match &self.facts {
            Some(facts) => Ok(facts.clone()),
            None => Ok(Facts::gather(host)?),
        }
    }

    /// The ordered resources for a host of these facts.
    pub(super) fn graph_for(&self, facts: Facts) -> Result<Arc<Graph>, Failure> {
        let mut graphs = self.graphs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, graph)) = graphs.iter().find(|(known, _)| *known == facts) {
            return Ok(Arc::clone(graph));
        }
        let mut graph = match &self.made {
            #[cfg(feature = "nickel")]
            Made::From(evaluator) => evaluator.load(&facts)?.into_graph()?,
            Made::By(declare) => declare(&facts)?,
        };
        if graph.names_secrets() {
            let given = self.secrets.iter().map(|(name, text)| (name.as_str(), text.as_str()));
            let store = MadeUp(MemorySecrets::new(given), self.store.as_deref());
            graph.resolve_secrets(&store, &HostKey::random()?, &[]).map_err(|errors| {
                errors.into_iter().next().map_or_else(|| Failure::new("a secret cannot be read"), Failure::from)
            })?;
        }
        let graph = Arc::new(graph);
        graphs.push((facts, Arc::clone(&graph)));
        Ok(graph)
    }

    /// Brings a host into the declared state. A minute passes before.
    ///
    /// # Errors
    /// The site is invalid, or the run fails: the plan, what failed and its line in the site.
    pub fn converge(&self, host: &SimHost) -> Result<Run, Failure> {
        self.attempt(host)?.succeeded()
    }

    /// The same for a run that may fail.
    ///
    /// # Errors
    /// The site is invalid.
    pub fn attempt(&self, host: &SimHost) -> Result<Run, Failure> {
        Run::of_site(&*self.graph(host)?, host)
    }

    /// See [`checks::idempotent`](super::idempotent).
    ///
    /// # Errors
    /// A run fails, or the second has something to do.
    pub fn is_idempotent(&self, host: &SimHost) -> Result<(), Failure> {
        checks::idempotent(&*self.graph(host)?, host).map(drop)
    }

    /// See [`survives_every_fault`](super::survives_every_fault).
    ///
    /// # Errors
    /// As there.
    pub fn survives_every_fault(&self, host: &SimHost) -> Result<Survived, Failure> {
        faults::survives_every_fault(&*self.graph(host)?, host)
    }

    /// See [`rolls_back`](super::rolls_back).
    ///
    /// # Errors
    /// As there.
    pub fn rolls_back(&self, host: &SimHost) -> Result<(), Failure> {
        checks::rolls_back(&*self.graph(host)?, host)
    }

    /// See [`in_any_order`](super::in_any_order).
    ///
    /// # Errors
    /// As there.
    pub fn converges_in_any_order(&self, host: &SimHost) -> Result<usize, Failure> {
        checks::in_any_order(&*self.graph(host)?, host)
    }
}

/// Secrets of a test, and texts made up for the others.
struct MadeUp<'s>(MemorySecrets, Option<&'s dyn SecretStore>);

impl SecretStore for MadeUp<'_> {
    fn read(&self, name: &str) -> crate::error::Result<crate::effect::Sensitive> {
        let made_up = || crate::effect::Sensitive::new(format!("made up for {name}"));
        match (self.0.read(name), self.1) {
            (Ok(given), _) => Ok(given),
            (Err(_), None) => Ok(made_up()),
            (Err(_), Some(store)) => match store.read(name) {
                // That it is there is all that who tests without an identity can know.
                Err(error) if error.operation().is_some() => Ok(made_up()),
                read => read,
            },
        }
    }
}
