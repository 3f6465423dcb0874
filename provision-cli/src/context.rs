//! What the verbs share: the host that is meant, and the site.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use provision_core::config::{EvaluationCache, Input, KeptEvaluation, SiteSource, load, load_kept};
use provision_core::error::{Error, ErrorKind, ResultExt};
use provision_core::facts::Facts;
use provision_core::graph::Graph;
use provision_core::host::{
    DigestCache, Host, HostView, HostViewExt, LocalHost, LockHolder, Progress, RunLock, SimHost,
};
use provision_core::journal::{Journal, JournalLock, MemoryStore, Pending};
use provision_core::path::HostPath;
use provision_core::plan::Plan;
use provision_core::registry::SitePolicy;
use provision_core::site::Site;
use provision_resources::{Debian, registry};
use serde_json::Value;

use crate::cli::{Chosen, Options, SiteArguments, Work};
use crate::exit::Failure;
use crate::output;
use crate::render;
use crate::saved;

/// A host with what is known of its past.
pub struct Target {
    /// The host.
    pub host: Box<dyn Host>,
    /// What was done to it.
    pub journal: Journal,
    /// The same host, for its lock and its cache; a simulated one has none.
    local: Option<LocalHost>,
    /// What is remembered of large files.
    pub digests: Option<DigestCache>,
}

/// The host that the options name.
pub fn target(options: &Options, progress: Option<Progress>) -> Result<Target, Failure> {
    if options.simulate {
        let journal = Journal::new(MemoryStore::new());
        return Ok(Target { host: Box::new(SimHost::debian(12)), journal, local: None, digests: None });
    }
    let root = options.root.as_deref().unwrap_or(Path::new("/"));
    let host = LocalHost::open(root, Debian::new())?;
    if options.root.is_some() {
        refuse_what_is_no_system(&host, root)?;
    }
    let journal = Journal::new(host.state()?);
    let local = LocalHost::open(root, Debian::new())?;
    // Whoever has no such directory goes without.
    let digests = if options.full { None } else { local.cache().ok().map(DigestCache::new) };
    let host = match progress {
        Some(progress) => host.with_progress(progress),
        None => host,
    };
    let host: Box<dyn Host> = Box::new(match &digests {
        Some(digests) => host.with_digests(digests.clone()),
        None => host,
    });
    Ok(Target { host, journal, local: Some(local), digests })
}

/// A directory that is no root of a system is one that was named by mistake, and nothing in it is changed.
fn refuse_what_is_no_system(host: &LocalHost, root: &Path) -> Result<(), Failure> {
    let marks = ["/etc/os-release", "/usr/lib/os-release", "/etc/passwd", "/var/lib/dpkg/status"];
    for mark in marks {
        if host.metadata(&HostPath::new(mark)?)?.is_some() {
            return Ok(());
        }
    }
    let message = format!("{} is no Debian system: it has neither etc/os-release nor etc/passwd", root.display());
    Err(Error::new(ErrorKind::Unsupported, message)
        .with_hint("name the directory that has the `etc` of a Debian system in it")
        .into())
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

/// The host that the options name, to be looked at.
pub fn host(options: &Options) -> Result<Box<dyn Host>, Failure> {
    Ok(target(options, None)?.host)
}

/// The right to change a host, for as long as this lives.
pub struct Locked {
    /// That to write its journal.
    pub journal: JournalLock,
    _run: Option<RunLock>,
}

impl Target {
    /// Whether it is only a model.
    pub fn is_simulated(&self) -> bool {
        self.local.is_none()
    }

    /// Takes the host and its journal for this run alone, and waits for another run if that is wanted.
    pub fn lock(&self, work: &Work) -> Result<Locked, Failure> {
        let run = self.lock_run(work)?;
        match self.journal.lock() {
            Ok(journal) => Ok(Locked { journal, _run: run }),
            Err(error) if error.kind() == ErrorKind::Locked => Err(Failure::Locked(error)),
            Err(error) => Err(error.into()),
        }
    }

    fn lock_run(&self, work: &Work) -> Result<Option<RunLock>, Failure> {
        let Some(host) = &self.local else { return Ok(None) };
        let what = what();
        let holder = LockHolder { who: who(), what, process: std::process::id(), since: host.now() };
        let busy = |other: Option<&LockHolder>| {
            let other =
                other.map_or_else(|| "another run".to_owned(), |other| format!("{} ({})", other.what, other.who));
            let _ = writeln!(output::stderr(), "waiting for {other} to end");
        };
        match host.lock_run(&holder, Duration::from_secs(work.lock_timeout), &busy) {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if error.kind() == ErrorKind::Locked => Err(Failure::Locked(error)),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the site, or finds on the host what came of it when it was read before.
    pub fn site(&self, arguments: &SiteArguments, facts: &Facts) -> Result<Site, Failure> {
        self.site_and_evaluation(arguments, facts).map(|(site, _)| site)
    }

    /// The same, with the evaluation that it is of, if that is kept.
    pub fn site_and_evaluation(
        &self,
        arguments: &SiteArguments,
        facts: &Facts,
    ) -> Result<(Site, Option<KeptEvaluation>), Failure> {
        Ok(load_kept(&registry(), facts, Input { cache: self.cache(arguments), ..input(arguments)? })?)
    }

    /// Where evaluations of the site are kept. Whoever has no such directory goes without.
    pub fn cache(&self, arguments: &SiteArguments) -> Option<EvaluationCache> {
        let host = self.local.as_ref().filter(|_| !arguments.no_cache);
        let cache = host.and_then(|host| host.cache().ok()).map(EvaluationCache::new)?;
        let key = if arguments.set.is_empty() { None } else { self.journal.key().ok().flatten() };
        Some(match key {
            Some(key) => cache.with_key(key),
            None => cache,
        })
    }

    /// What waits from earlier runs. Who may not read it is told so, and gets nothing.
    pub fn pending(&self) -> Result<Pending, Failure> {
        match self.journal.pending() {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let style = render::style::CHANGE;
                writeln!(
                    output::stderr(),
                    "{style}warning{style:#}: pending notifications of earlier runs are not known: run as root"
                )?;
                Ok(Pending::default())
            }
            pending => Ok(pending?),
        }
    }
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
pub fn graph(arguments: &SiteArguments, facts: &Facts) -> Result<Graph, Failure> {
    Ok(load(&registry(), facts, input(arguments)?)?.into_graph()?)
}

/// Orders the resources of a site together with what was made on the host before.
pub fn graph_for(target: &Target, site: Site, chosen: &Chosen) -> Result<Graph, Failure> {
    let policy = site.policy();
    let mut site = site.with_policy(SitePolicy { prune: policy.prune || chosen.prune, ..policy });
    if let Some(digests) = &target.digests {
        site = site.with_digests(digests.clone());
    }
    if !chosen.only.is_empty() {
        return Ok(site.into_graph()?);
    }
    let orphans = match target.journal.orphans(site.name(), &site.ids()) {
        // A user who may not read it is told so with the pending notifications.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Vec::new(),
        orphans => orphans?,
    };
    Ok(site.with_orphans(orphans).into_graph()?)
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
