//! What the verbs share: the host that is meant, and the site.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use provision_core::config::{EvaluationCache, Input, KeptEvaluation, SiteSource, load, load_kept};
use provision_core::engine::{Engine, Options as EngineOptions, Preview};
use provision_core::error::{Error, ErrorKind, ResultExt};
use provision_core::facts::{Facts, Os};
use provision_core::graph::Graph;
use provision_core::host::{DigestCache, Host, HostView, HostViewExt, LocalHost, LockHolder, Progress};
use provision_core::journal::{Journal, MemoryStore};
use provision_core::plan::Plan;
use provision_core::registry::{Registry, SitePolicy};
use provision_core::secret::SecretStore;
use provision_core::sim::SimHost;
use provision_core::site::Site;
use provision_resources::Debian;
use serde_json::Value;

use crate::cli::{Chosen, Options, SiteArguments, Work};
use crate::exit::Failure;
use crate::output;
use crate::render;
use crate::saved;

/// What every verb works with.
pub struct Program<'a> {
    /// The resource types.
    pub registry: &'a Registry,
    /// The options that mean the same everywhere.
    pub options: &'a Options,
}

/// The host that the options name, before it is opened.
pub struct Target {
    machine: Machine,
    digests: Option<DigestCache>,
}

enum Machine {
    Local(Box<LocalHost>),
    Simulated(Box<SimHost>),
}

impl Target {
    /// The host that the options name.
    pub fn open(options: &Options, progress: Option<Progress>) -> Result<Target, Failure> {
        if options.simulate {
            let machine = Machine::Simulated(Box::new(SimHost::debian(12)));
            return Ok(Target { machine, digests: None });
        }
        let root = options.root.as_deref().unwrap_or(Path::new("/"));
        let mut host = LocalHost::open(root, Debian::new())?;
        if options.root.is_some() {
            Os::require(&host).while_doing(|| format!("opening the root directory {}", root.display()))?;
        }
        let digests = if options.full { None } else { host.cache().ok().map(DigestCache::new) };
        if let Some(progress) = progress {
            host = host.with_progress(progress);
        }
        if let Some(digests) = &digests {
            host = host.with_digests(digests.clone());
        }
        Ok(Target { machine: Machine::Local(Box::new(host)), digests })
    }

    /// Its journal.
    pub fn journal(&self) -> Result<Journal, Failure> {
        Ok(match &self.machine {
            Machine::Local(host) => Journal::new(host.state()?),
            Machine::Simulated(_) => Journal::new(MemoryStore::new()),
        })
    }

    /// Where evaluations of a site are kept; a simulated host, or a user without such a directory, goes without.
    pub fn cache(&self, arguments: &SiteArguments) -> Result<Option<EvaluationCache>, Failure> {
        let store = match &self.machine {
            Machine::Local(host) if !arguments.no_cache => host.cache().ok(),
            Machine::Local(_) | Machine::Simulated(_) => None,
        };
        let Some(cache) = store.map(EvaluationCache::new) else { return Ok(None) };
        let key = if arguments.set.is_empty() { None } else { self.journal()?.key().ok().flatten() };
        Ok(Some(match key {
            Some(key) => cache.with_key(key),
            None => cache,
        }))
    }

    /// The host without its past, to be read only.
    pub fn view(self) -> Box<dyn Host> {
        match self.machine {
            Machine::Local(host) => host,
            Machine::Simulated(host) => host,
        }
    }

    /// The host with its past, to be read only.
    pub fn preview(self, secrets: impl SecretStore + 'static) -> Result<Preview<Box<dyn Host>>, Failure> {
        let (journal, options) = (self.journal()?, self.engine_options(secrets));
        Ok(Preview::open(self.view(), journal, options)?)
    }

    /// Takes the host for this run alone, and waits for another run if that is wanted.
    pub fn engine(self, work: &Work, secrets: impl SecretStore + 'static) -> Result<Engine<Box<dyn Host>>, Failure> {
        let patience = Duration::from_secs(work.lock_timeout);
        let options =
            EngineOptions { waiting: Arc::new(waiting), ..self.engine_options(secrets).with_patience(patience) };
        let opened = match self.machine {
            Machine::Local(host) => Engine::local(*host, options).map(Engine::boxed),
            Machine::Simulated(host) => {
                Engine::open(*host, Journal::new(MemoryStore::new()), options).map(Engine::boxed)
            }
        };
        opened.map_err(|error| match error.kind() {
            ErrorKind::Locked => Failure::Locked(error),
            _ => error.into(),
        })
    }

    fn engine_options(&self, secrets: impl SecretStore + 'static) -> EngineOptions {
        EngineOptions { what: what(), digests: self.digests.clone(), ..EngineOptions::new(who()).with_secrets(secrets) }
    }
}

fn waiting(other: Option<&LockHolder>) {
    let other = other.map_or_else(|| "another run".to_owned(), |other| format!("{} ({})", other.what, other.who));
    let _ = writeln!(output::stderr(), "waiting for {} to end", render::foreign::line(&other));
}

/// What the site may know of its host. Where a host is only looked ahead for, the command line can say otherwise.
pub fn facts(options: &Options, arguments: &SiteArguments, host: &dyn HostView, ahead: bool) -> Result<Facts, Failure> {
    let facts = Facts::gather(host)?;
    let given = arguments.set.iter().filter_map(|set| set.strip_prefix("facts.")).collect::<Vec<_>>();
    if arguments.facts.is_none() && given.is_empty() {
        return Ok(facts);
    }
    if !(ahead || options.simulate) {
        return Err(Failure::Usage(
            "the facts of a host are what it says; --facts and --set facts.… are for validate, graph and --simulate"
                .into(),
        ));
    }
    let mut all = Vec::new();
    if let Some(file) = &arguments.facts {
        #[expect(clippy::disallowed_methods, reason = "the file lies beside the site, not on the host")]
        let text = std::fs::read_to_string(file).while_doing(|| format!("reading {}", file.display()))?;
        let read = serde_json::from_str::<Value>(&text);
        all.push((
            file.display().to_string(),
            read.map_err(|error| {
                Error::new(ErrorKind::Invalid, error.to_string())
                    .while_doing(format!("reading facts from {}", file.display()))
                    .with_hint("it is what `provision facts --format json` prints")
            })?,
        ));
    }
    for set in given {
        let Some((path, value)) = set.split_once('=') else {
            return Err(Failure::Usage(format!("--set facts.{set}: write it as facts.PATH=VALUE")));
        };
        // A text needs no quotes, as in other fields of the site.
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        let nested =
            path.rsplit('.').fold(value, |inner, name| Value::Object([(name.to_owned(), inner)].into_iter().collect()));
        all.push((format!("--set facts.{set}"), nested));
    }
    let mut facts = facts;
    for (said_by, given) in all {
        facts = facts.with(&given).while_doing(|| format!("taking over the facts of {said_by}"))?;
    }
    Ok(facts)
}

/// What this program was asked to do, without values: others may read that.
fn what() -> String {
    let mut words = Vec::new();
    let mut is_value = false;
    for word in std::env::args_os() {
        let word = word.to_string_lossy().into_owned();
        if !std::mem::take(&mut is_value) {
            is_value = word == "--set";
            words.push(if word.starts_with("--set=") { "--set".to_owned() } else { word });
        }
    }
    words.join(" ")
}

/// Who runs this program: the user, and who it was before sudo(8).
pub fn who() -> String {
    let user = match nix::unistd::geteuid() {
        root if root.is_root() => "root".to_owned(),
        number => name_of(number.as_raw()).unwrap_or_else(|| number.to_string()),
    };
    match variable("SUDO_USER").filter(|before| *before != user) {
        Some(before) => format!("{before} (as {user})"),
        None => user,
    }
}

/// The name of a user of this machine. The C library would ask its modules, which a program that is linked statically
/// does not have.
fn name_of(number: u32) -> Option<String> {
    let accounts = LocalHost::running(Debian::new()).and_then(|machine| machine.accounts()).ok()?;
    accounts.user_name(number).map(str::to_owned)
}

/// In words, which host the options name.
pub fn host_name(options: &Options, facts: &Facts) -> String {
    match &options.root {
        _ if options.simulate => format!("a simulated {}", system(facts)),
        Some(root) => format!("{} in {}", system(facts), root.display()),
        None => format!("{} ({})", facts.hostname, system(facts)),
    }
}

fn system(facts: &Facts) -> String {
    let name = match facts.os.id.as_str() {
        "debian" => "Debian",
        "" => "the system",
        other => other,
    };
    format!("{name} {}", facts.os.version).trim().to_owned()
}

/// A variable of the environment that says something.
pub fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the command line looks at its environment")]
    let value = std::env::var(name).ok();
    value.filter(|value| !value.is_empty())
}

/// Reads the site and orders its resources, for no host in particular.
pub fn graph(program: &Program<'_>, arguments: &SiteArguments, facts: &Facts) -> Result<Graph, Failure> {
    Ok(load(program.registry, facts, input(arguments)?)?.into_graph()?)
}

/// Reads the site, or finds in the cache what came of it when it was read before; with the evaluation that it is of, if that
/// is kept.
pub fn site(
    program: &Program<'_>,
    input: Input,
    chosen: &Chosen,
    facts: &Facts,
    cache: Option<EvaluationCache>,
) -> Result<(Site, Option<KeptEvaluation>), Failure> {
    let (site, kept) = load_kept(program.registry, facts, Input { cache, ..input })?;
    let policy = site.policy();
    Ok((site.with_policy(SitePolicy { prune: policy.prune || chosen.prune, ..policy }), kept))
}

/// Whether a plan holds no secret of the site, no password and no key of the host.
pub fn holds_no_secrets(graph: &Graph, plan: &Plan) -> bool {
    graph.holds_no_secrets() && plan.is_quiet()
}

/// Leaves memory to the kernel, which takes all of it back sooner than this program could give it; a value that may hold
/// secrets is dropped, so that they are wiped.
pub fn skip_drop<T>(value: T, holds_no_secrets: bool) {
    if holds_no_secrets {
        std::mem::forget(value);
    }
}

/// What the site is made from.
pub fn input(arguments: &SiteArguments) -> Result<Input, Failure> {
    let mut overrides = Vec::new();
    for set in arguments.set.iter().filter(|set| !set.starts_with("facts.")) {
        match set.split_once('=') {
            Some((path, value)) => overrides.push((path.to_owned(), value.to_owned())),
            None => return Err(Failure::Usage(format!("--set {set}: write it as PATH=VALUE"))),
        }
    }
    let mut sources = Vec::new();
    if let Some(plan) = arguments.sites.iter().find(|file| saved::is_one(file)) {
        let plan = plan.display();
        return Err(Failure::Usage(format!(
            "{plan} is a saved plan and no site; `provision apply {plan}` carries it out"
        )));
    }
    for site in &arguments.sites {
        if site.as_os_str() != "-" {
            sources.push(SiteSource::File(site.clone()));
            continue;
        }
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| Error::io(&error))
            .while_doing(|| "reading the site from standard input")?;
        sources.push(SiteSource::Text { name: "<stdin>".to_owned(), text });
    }
    let mut import_paths = arguments.import_path.clone();
    if arguments.sites.iter().any(|site| site.as_os_str() == "-") {
        import_paths.push(".".into());
    }
    Ok(Input { sources, overrides, import_paths, ..Input::default() })
}
