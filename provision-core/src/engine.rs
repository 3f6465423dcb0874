//! [`Engine`]: the safe way to run, in the order in which nothing gets lost: lock, take up what died, look, plan, write down,
//! apply.
//!
//! ```
//! use provision_core::apply::ApplyOptions;
//! use provision_core::engine::{Engine, Options};
//! use provision_core::sim::SimHost;
//! use provision_core::journal::{Journal, MemoryStore};
//! use provision_core::plan::PlanOptions;
//! use provision_core::site::Site;
//!
//! let journal = Journal::new(MemoryStore::new());
//! let engine = Engine::open(SimHost::debian(13), journal, Options::new("example"))?;
//! let site = Site::new();
//! // Here resources are declared.
//! let prepared = engine.plan(site, &PlanOptions::default())?;
//! let report = prepared.apply(&ApplyOptions::default(), &())?;
//! assert!(report.is_success());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod preview;

use std::sync::Arc;
use std::time::Duration;

use crate::apply::ApplyOptions;
use crate::diagnostic::Diagnostics;
use crate::error::{Error, Errors, Result};
use crate::facts::Facts;
use crate::graph::Graph;
use crate::host::{DigestCache, Host, HostView, LocalHost, LockHolder, RunLock};
use crate::journal::{Journal, JournalLock, Orphan, Purpose, Recovered, RunInfo};
use crate::observe::Observer;
use crate::plan::{Converged, Plan, PlanOptions, Planned, SavedPlan, Selector};
use crate::registry::Registry;
use crate::report::Report;
use crate::rollback::{Rollback, RollbackOptions};
use crate::run::{PendingNotification, Retention, RunId};
use crate::secret::{MemorySecrets, SecretStore};
use crate::site::Site;
use crate::state::HostKey;

pub use preview::Preview;

/// Told, once, that another run is waited for; of that run nothing is known if its note cannot be read.
pub type Waiting = Arc<dyn Fn(Option<&LockHolder>) + Send + Sync>;

/// The program that runs, and its resources.
#[derive(Clone)]
pub struct Options {
    /// The program or the user that asks for it: the journal keeps it.
    pub who: String,
    /// What is done, such as a command line: others who wait for this run can read it.
    pub what: String,
    /// How long to wait for another run on the same host.
    pub patience: Duration,
    /// Told when another run is waited for.
    pub waiting: Waiting,
    /// Where the secrets are that resources name.
    pub secrets: Arc<dyn SecretStore>,
    /// Remembers the digests of large files beside the site; a host has [its own](LocalHost::with_digests).
    pub digests: Option<DigestCache>,
}

impl Options {
    /// Waits for no other run, knows no secrets, and remembers nothing.
    pub fn new(who: impl Into<String>) -> Options {
        let who = who.into();
        Options {
            what: who.clone(),
            who,
            patience: Duration::ZERO,
            waiting: Arc::new(|_| {}),
            secrets: Arc::new(MemorySecrets::default()),
            digests: None,
        }
    }

    /// Waits so long for another run on the same host.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Options {
        Options { patience, ..self }
    }

    /// Asks this store for the secrets that resources name.
    #[must_use]
    pub fn with_secrets(self, secrets: impl SecretStore + 'static) -> Options {
        Options { secrets: Arc::new(secrets), ..self }
    }
}

/// A host that one program at a time works on. It is free for others again when this is dropped.
pub struct Engine<H> {
    parts: Parts<H>,
    lock: JournalLock,
    _run_lock: Option<RunLock>,
    recovered: Vec<Recovered>,
}

/// The reason that there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Resources contradict one another, or are wrong in themselves.
    #[error("the site is not valid: {}", .0.list.first().map(|first| first.message.as_str()).unwrap_or_default())]
    Site(Diagnostics),
    /// Secrets cannot be read.
    #[error("{0}")]
    Secrets(Errors),
    /// The host, or its journal, cannot be read, or a saved plan does not hold any more.
    #[error(transparent)]
    Host(#[from] Error),
}

impl Engine<LocalHost> {
    /// Opens the running host, or one in a directory: takes its lock, and takes up runs that died. Its journal is that of the
    /// command line.
    ///
    /// # Errors
    /// Another run is at work for longer than the patience lasts ([`ErrorKind::Locked`](crate::error::ErrorKind::Locked)), or the journal cannot be read or
    /// written.
    pub fn local(host: LocalHost, options: Options) -> Result<Engine<LocalHost>> {
        let holder = LockHolder {
            who: options.who.clone(),
            what: options.what.clone(),
            process: std::process::id(),
            since: host.now(),
        };
        let run_lock = host.lock_run(&holder, options.patience, &|holder| (options.waiting)(holder))?;
        let journal = Journal::new(host.state()?);
        Ok(Engine { _run_lock: Some(run_lock), ..Engine::open(host, journal, options)? })
    }
}

impl<H: Host> Engine<H> {
    /// Opens a host with a journal of one's own: takes the lock of the journal, and takes up runs that died.
    ///
    /// # Errors
    /// Another run is at work ([`ErrorKind::Locked`](crate::error::ErrorKind::Locked)), or the journal cannot be read or written.
    pub fn open(host: H, journal: Journal, options: Options) -> Result<Engine<H>> {
        let lock = journal.lock()?;
        let recovered = journal.recover(&lock, &host)?;
        Ok(Engine { parts: Parts { host, journal, options }, lock, _run_lock: None, recovered })
    }

    /// The same, whichever kind of host it is.
    pub fn boxed(self) -> Engine<Box<dyn Host>>
    where
        H: 'static,
    {
        let Engine { parts: Parts { host, journal, options }, lock, _run_lock, recovered } = self;
        Engine { parts: Parts { host: Box::new(host), journal, options }, lock, _run_lock, recovered }
    }

    /// The host.
    pub fn host(&self) -> &H {
        &self.parts.host
    }

    /// Its journal.
    pub fn journal(&self) -> &Journal {
        &self.parts.journal
    }

    /// What became of runs that had died before.
    pub fn recovered(&self) -> &[Recovered] {
        &self.recovered
    }

    /// The facts of the host, which no other run changes meanwhile.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn facts(&self) -> Result<Facts> {
        Facts::gather(self.host())
    }

    /// Whether the host, its past, and the secrets of the site are as they were when there was nothing to do.
    pub fn is_converged(&self, converged: &Converged) -> bool {
        let Options { digests, secrets, .. } = &self.parts.options;
        converged.holds(self.host(), self.journal(), digests.as_ref(), &**secrets)
    }

    /// Finds what has to be done: for the site, for pending notifications of earlier runs, and, if the site prunes, for what they made and is
    /// declared no longer. Nothing is changed.
    ///
    /// # Errors
    /// The site is wrong, a secret or the host cannot be read. What a resource cannot read of the host is in the plan.
    pub fn plan(&self, site: Site, options: &PlanOptions) -> Result<Prepared<'_, H>, PlanError> {
        let options = self.with_pending(options)?;
        let graph = self.graph(site, &options)?;
        let planned = graph.plan(self.host(), &options)?;
        Ok(Prepared { engine: self, planned: planned.held_by(Arc::clone(&graph)) })
    }

    /// As [`plan`](Engine::plan), and remembers what the host answered if there is nothing to do; see
    /// [`is_converged`](Engine::is_converged).
    ///
    /// # Errors
    /// As [`plan`](Engine::plan).
    pub fn plan_and_remember(
        &self,
        site: Site,
        options: &PlanOptions,
    ) -> Result<(Prepared<'_, H>, Option<Converged>), PlanError> {
        let options = self.with_pending(options)?;
        let graph = self.graph(site, &options)?;
        let (planned, converged) = graph.plan_and_remember(self.host(), &options, self.journal())?;
        Ok((Prepared { engine: self, planned: planned.held_by(Arc::clone(&graph)) }, converged))
    }

    /// Makes a saved plan anew, and requires it to be the saved one.
    ///
    /// # Errors
    /// The host has moved since ([`ErrorKind::Stale`](crate::error::ErrorKind::Stale)), what was declared then is not
    /// accepted now, or as with [`plan`](Engine::plan).
    pub fn renew(&self, saved: &SavedPlan, registry: &Registry) -> Result<Prepared<'_, H>, PlanError> {
        let key = self.journal().make_key_under(&self.lock)?;
        let graph = saved.graph(registry, self.journal())?;
        let graph = self.parts.resolved(graph, &saved.only()?, || Ok(key.clone()))?;
        let planned = saved.renew(&graph, self.host(), &key, self.journal().pending()?.notifications)?;
        Ok(Prepared { engine: self, planned: planned.held_by(Arc::clone(&graph)) })
    }

    /// Finds what would take a run back. Nothing is changed.
    ///
    /// # Errors
    /// As [`Journal::rollback`].
    pub fn rollback(&self, run: RunId, options: RollbackOptions) -> Result<PreparedRollback<'_, H>> {
        Ok(PreparedRollback { engine: self, rollback: self.journal().rollback(run, self.host(), options)? })
    }

    /// The options are those with what is pending.
    fn graph(&self, site: Site, options: &PlanOptions) -> Result<Arc<Graph>, PlanError> {
        let orphans = self.parts.orphans(&site, options)?;
        let key = || self.journal().make_key_under(&self.lock);
        self.parts.resolved(self.parts.graph(site, orphans, options)?, &options.only, key)
    }

    fn with_pending(&self, options: &PlanOptions) -> Result<PlanOptions> {
        Ok(with_notifications(self.journal().pending()?.notifications, options))
    }

    /// Begins a run that keeps so much of the past.
    fn begin(&self, info: RunInfo, kept: Retention, options: &ApplyOptions) -> Result<ApplyOptions> {
        let recorder = self.journal().clone().with_retention(kept).begin(&self.lock, info)?;
        Ok(ApplyOptions { recorder: Some(recorder), ..options.clone() })
    }
}

/// The same with notifications that earlier runs left pending.
fn with_notifications(mut pending: Vec<PendingNotification>, options: &PlanOptions) -> PlanOptions {
    pending.extend(options.pending_notifications.iter().cloned());
    PlanOptions { pending_notifications: pending, ..options.clone() }
}

/// A host, its past, and how a program works with both.
struct Parts<H> {
    host: H,
    journal: Journal,
    options: Options,
}

impl<H: HostView> Parts<H> {
    /// What earlier runs made for resources that are no longer declared, or for other sites. A plan for a part of the site
    /// leaves it alone.
    fn orphans(&self, site: &Site, options: &PlanOptions) -> Result<Vec<Orphan>> {
        if options.only.is_empty() { self.journal.orphans(site.name(), &site.ids()) } else { Ok(Vec::new()) }
    }

    fn graph(&self, site: Site, orphans: Vec<Orphan>, options: &PlanOptions) -> Result<Graph, PlanError> {
        let site = match &self.options.digests {
            Some(digests) => site.with_digests(digests.clone()),
            None => site,
        };
        let site = site.with_orphans(orphans).with_pending_notifications(&options.pending_notifications);
        site.into_graph().map_err(PlanError::Site)
    }

    /// The graph with the secrets that it names, if it names some.
    fn resolved(
        &self,
        mut graph: Graph,
        only: &[Selector],
        key: impl FnOnce() -> Result<HostKey>,
    ) -> Result<Arc<Graph>, PlanError> {
        if graph.names_secrets() {
            graph.resolve_secrets(&*self.options.secrets, &key()?, only).map_err(PlanError::Secrets)?;
        }
        Ok(Arc::new(graph))
    }
}

/// What has to be done on a host, ready to be applied.
pub struct Prepared<'e, H> {
    engine: &'e Engine<H>,
    planned: Planned<'static>,
}

impl<H: Host> Prepared<'_, H> {
    /// What would be done.
    pub fn plan(&self) -> &Plan {
        self.planned.plan()
    }

    /// The resources that it is for.
    pub fn graph(&self) -> &Graph {
        self.planned.graph()
    }

    /// Does it, and writes it down before. What goes wrong with resources is in the report.
    ///
    /// # Errors
    /// The journal cannot be written; then nothing was done.
    pub fn apply(&self, options: &ApplyOptions, observer: &dyn Observer) -> Result<Report> {
        let graph = self.graph();
        let info = RunInfo {
            purpose: Purpose::Apply,
            who: self.engine.parts.options.who.clone(),
            site: graph.origin().join(" "),
            site_digest: if self.plan().is_empty() { None } else { Some(graph.digest()?) },
        };
        let options = self.engine.begin(info, graph.policy().journal, options)?;
        Ok(self.planned.apply(self.engine.host(), &options, observer))
    }
}

/// What takes a run back, ready to be applied.
pub struct PreparedRollback<'e, H> {
    engine: &'e Engine<H>,
    rollback: Rollback,
}

impl<H: Host> PreparedRollback<'_, H> {
    /// What would be done, and what cannot be.
    pub fn rollback(&self) -> &Rollback {
        &self.rollback
    }

    /// Does it, as a run of its own, step by step.
    ///
    /// # Errors
    /// The journal cannot be written; then nothing was done.
    pub fn apply(&self, options: &ApplyOptions, observer: &dyn Observer) -> Result<Report> {
        let (of, who) = (self.rollback.of, self.engine.parts.options.who.clone());
        let info = RunInfo { purpose: Purpose::Rollback { of }, who, ..self.engine.journal().run(of)?.info };
        // How much of the past is kept, the site says, and there is none here.
        let options = self.engine.begin(info, Retention::ALL, options)?;
        Ok(self.rollback.apply(self.engine.host(), &options, observer))
    }
}
