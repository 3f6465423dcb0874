//! [`Engine`]: the safe way to run, in the order in which nothing gets lost: lock, take up what died, look, plan, write down,
//! apply.
//!
//! ```
//! use provision_core::apply::ApplyOptions;
//! use provision_core::engine::{Engine, Options};
//! use provision_core::host::SimHost;
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

use std::sync::Arc;
use std::time::Duration;

use crate::apply::ApplyOptions;
use crate::diagnostic::Diagnostics;
use crate::error::{Error, Errors, Result};
use crate::facts::Facts;
use crate::graph::Graph;
use crate::host::{Host, HostView, LocalHost, LockHolder, RunLock};
use crate::journal::{Journal, JournalLock, Purpose, Recovered, RunInfo};
use crate::observe::Observer;
use crate::plan::{Plan, PlanOptions, Planned};
use crate::report::Report;
use crate::rollback::{Rollback, RollbackOptions};
use crate::run::{Retention, RunId};
use crate::secret::{MemorySecrets, SecretStore};
use crate::site::Site;

/// Who runs, and with what.
#[derive(Clone)]
pub struct Options {
    /// Who asks for it, such as the name of the program and of the user: the journal keeps it.
    pub who: String,
    /// How long to wait for another run on the same host.
    pub patience: Duration,
    /// Where the secrets are that resources name.
    pub secrets: Arc<dyn SecretStore>,
}

impl Options {
    /// Waits for no other run, and knows no secrets.
    pub fn new(who: impl Into<String>) -> Options {
        Options { who: who.into(), patience: Duration::ZERO, secrets: Arc::new(MemorySecrets::default()) }
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
    host: H,
    journal: Journal,
    lock: JournalLock,
    _run_lock: Option<RunLock>,
    options: Options,
    recovered: Vec<Recovered>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Resources contradict one another, or are wrong in themselves.
    #[error("the site is not valid: {}", .0.list.first().map(|first| first.message.as_str()).unwrap_or_default())]
    Site(Diagnostics),
    /// Secrets cannot be read.
    #[error("{0}")]
    Secrets(Errors),
    /// The host, or its journal, cannot be read.
    #[error(transparent)]
    Host(#[from] Error),
}

impl Engine<LocalHost> {
    /// Opens the running host, or one in a directory: takes its lock, and takes up runs that died. Its journal is that of the
    /// command line.
    ///
    /// # Errors
    /// Another run is at work for longer than the patience lasts ([`ErrorKind::Locked`](crate::error::ErrorKind::Locked)), or the
    /// journal cannot be read or written.
    pub fn local(host: LocalHost, options: Options) -> Result<Engine<LocalHost>> {
        let holder = LockHolder {
            who: options.who.clone(),
            what: options.who.clone(),
            process: std::process::id(),
            since: host.now(),
        };
        let run_lock = host.lock_run(&holder, options.patience, &|_| {})?;
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
        Ok(Engine { host, journal, lock, _run_lock: None, options, recovered })
    }

    /// The host.
    pub fn host(&self) -> &H {
        &self.host
    }

    /// Its journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
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
        Facts::gather(&self.host)
    }

    /// Finds what has to be done: for the site, for pending notifications of earlier runs, and, if the site prunes, for what they made and is
    /// declared no longer. Nothing is changed.
    ///
    /// # Errors
    /// The site is wrong, a secret or the host cannot be read. What a resource cannot read of the host is in the plan.
    pub fn plan(&self, site: Site, options: &PlanOptions) -> Result<Prepared<'_, H>, PlanError> {
        let orphans = match options.only.is_empty() {
            true => self.journal.orphans(site.name(), &site.ids())?,
            false => Vec::new(),
        };
        let mut graph = site.with_orphans(orphans).into_graph().map_err(PlanError::Site)?;
        if graph.names_secrets() {
            let key = self.journal.make_key_under(&self.lock)?;
            graph.resolve_secrets(&*self.options.secrets, &key, &options.only).map_err(PlanError::Secrets)?;
        }
        let mut pending_notifications = self.journal.pending()?.notifications;
        pending_notifications.extend(options.pending_notifications.iter().cloned());
        let planned =
            Graph::plan_shared(Arc::new(graph), &self.host, &PlanOptions { pending_notifications, ..options.clone() })?;
        Ok(Prepared { engine: self, planned })
    }

    /// Finds what would take a run back. Nothing is changed.
    ///
    /// # Errors
    /// As [`Journal::rollback`].
    pub fn rollback(&self, run: RunId, options: RollbackOptions) -> Result<PreparedRollback<'_, H>> {
        Ok(PreparedRollback { engine: self, rollback: self.journal.rollback(run, &self.host, options)? })
    }

    /// Begins a run that keeps so much of the past.
    fn begin(&self, info: RunInfo, kept: Retention, options: &ApplyOptions) -> Result<ApplyOptions> {
        let recorder = self.journal.clone().with_retention(kept).begin(&self.lock, info)?;
        Ok(ApplyOptions { recorder: Some(recorder), ..options.clone() })
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

    /// Does it, and writes it down before. What goes wrong with resources is in the report.
    ///
    /// # Errors
    /// The journal cannot be written; then nothing was done.
    pub fn apply(&self, options: &ApplyOptions, observer: &dyn Observer) -> Result<Report> {
        let graph = &self.planned.graph;
        let site_digest = if self.plan().is_empty() { None } else { Some(graph.digest()?) };
        let site = graph.site_name().to_owned();
        let who = self.engine.options.who.clone();
        let info = RunInfo { purpose: Purpose::Apply, who, site, site_digest };
        let options = self.engine.begin(info, graph.policy().journal, options)?;
        Ok(self.planned.apply(&self.engine.host, &options, observer))
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

    /// Does it, as a run of its own.
    ///
    /// # Errors
    /// The journal cannot be written; then nothing was done.
    pub fn apply(&self, options: &ApplyOptions, observer: &dyn Observer) -> Result<Report> {
        let of = self.rollback.of;
        let who = self.engine.options.who.clone();
        let info = RunInfo { purpose: Purpose::Rollback { of }, who, ..self.engine.journal.run(of)?.info };
        // How much of the past is kept, the site says, and there is none here.
        let options = self.engine.begin(info, Retention::ALL, options)?;
        Ok(self.rollback.apply(&self.engine.host, &options, observer))
    }
}
