//! What the verbs share: the host that is meant, and the site.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::AccessFlags;
use provision_core::config::{Input, SiteSource, load};
use provision_core::error::{Error, ErrorKind, ResultExt};
use provision_core::facts::Facts;
use provision_core::graph::Graph;
use provision_core::host::{Host, HostView, LocalHost, LockHolder, Progress, RunLock, SimHost};
use provision_core::journal::{HostKey, Journal, MemoryStore, Pending};
use provision_core::plan::{Planned, SavedPlan, Selector};
use provision_core::registry::SitePolicy;
use provision_core::secret::Sources;
use provision_core::secret::age::AgeSecrets;
use provision_core::site::Site;
use provision_resources::{Debian, registry};

use crate::cli::{Chosen, Options, Secrets, SiteArguments, Work};
use crate::exit::Failure;
use crate::render;

/// A host with what is known of its past.
pub struct Target {
    /// The host.
    pub host: Box<dyn Host>,
    /// What was done to it.
    pub journal: Journal,
    /// The same host, for its lock; a simulated one has none.
    lock: Option<LocalHost>,
}

/// The host that the options name.
pub fn target(options: &Options, progress: Option<Progress>) -> Result<Target, Failure> {
    if options.simulate {
        let journal = Journal::new(MemoryStore::new());
        return Ok(Target { host: Box::new(SimHost::debian()), journal, lock: None });
    }
    let root = options.root.as_deref().unwrap_or(Path::new("/"));
    let host = LocalHost::open(root, Debian::new())?;
    let journal = Journal::new(host.state()?);
    let lock = Some(LocalHost::open(root, Debian::new())?);
    let host: Box<dyn Host> = Box::new(match progress {
        Some(progress) => host.with_progress(progress),
        None => host,
    });
    Ok(Target { host, journal, lock })
}

/// The host that the options name, to be looked at.
pub fn host(options: &Options) -> Result<Box<dyn Host>, Failure> {
    Ok(target(options, None)?.host)
}

impl Target {
    /// Takes the host for this run alone, and waits for another run if that is wanted.
    pub fn lock(&self, work: &Work) -> Result<Option<RunLock>, Failure> {
        let Some(host) = &self.lock else { return Ok(None) };
        let what = what();
        let holder = LockHolder { who: who(), what, process: std::process::id(), since: host.now() };
        let busy = |other: Option<&LockHolder>| {
            let other =
                other.map_or_else(|| "another run".to_owned(), |other| format!("{} ({})", other.what, other.who));
            let _ = writeln!(anstream::stderr(), "waiting for {other} to end");
        };
        match host.lock_run(&holder, Duration::from_secs(work.lock_timeout), &busy) {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if error.kind() == ErrorKind::Locked => Err(Failure::Locked(error)),
            Err(error) => Err(error.into()),
        }
    }

    /// What waits from earlier runs. Who may not read it is told so, and gets nothing.
    pub fn pending(&self) -> Result<Pending, Failure> {
        match self.journal.pending() {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let style = render::style::CHANGE;
                writeln!(
                    anstream::stderr(),
                    "{style}warning{style:#}: what earlier runs owe is not known: run as root"
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
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
    let user = user.map_or_else(|| nix::unistd::geteuid().to_string(), |user| user.name);
    match variable("SUDO_USER").filter(|before| *before != user) {
        Some(before) => format!("{before} (as {user})"),
        None => user,
    }
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

/// Where secrets are: where that is said, or beside the site.
pub fn secrets(place: &Secrets, site: Option<&Path>) -> AgeSecrets {
    let beside = || site.and_then(Path::parent).unwrap_or(Path::new("")).join("secrets");
    let directory = place.secrets.clone().unwrap_or_else(beside);
    let mut identities = place.identity.clone();
    if identities.is_empty() {
        let home = || Some(PathBuf::from(variable("HOME")?).join(".config/provision/identity"));
        let usual = [variable("PROVISION_IDENTITY").map(PathBuf::from), Some("/etc/provision/identity".into()), home()];
        // One that is named is meant, and an error if it is not there. The host's own is for root alone.
        let named = variable("PROVISION_IDENTITY").is_some();
        let readable = |path: &PathBuf| nix::unistd::access(path, AccessFlags::R_OK).is_ok();
        identities.extend(usual.into_iter().flatten().find(|path| named || readable(path)));
    }
    AgeSecrets::new(directory, identities)
}

/// Asks for the secrets that a site names. All that cannot be read are told of at once.
pub fn resolve(
    graph: &mut Graph,
    target: &Target,
    place: &Secrets,
    site: Option<&Path>,
    only: &[Selector],
) -> Result<(), Failure> {
    if !graph.names_secrets() {
        return Ok(());
    }
    keep_out_of_core_dumps();
    let key = match target.journal.key() {
        Ok(Some(key)) => key,
        // A host without a journal, or one that may not be read: digests are compared in this run only.
        _ => HostKey::random()?,
    };
    let store = secrets(place, site);
    let environment = |name: &str| {
        #[expect(clippy::disallowed_methods, reason = "the command line looks at its environment")]
        std::env::var(name).ok()
    };
    let sources = Sources { store: &store, environment: &environment };
    graph.resolve_secrets(&sources, &key, only).map_err(Failure::Secrets)
}

/// From here on, memory holds secrets: it is left out of core dumps, and no other process of the user may read it.
pub fn keep_out_of_core_dumps() {
    // prctl(2) knows no reason to refuse this.
    let _ = nix::sys::prctl::set_dumpable(false);
}

fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the command line looks at its environment")]
    let value = std::env::var(name).ok();
    value.filter(|value| !value.is_empty())
}

/// The bytes of the saved plan that is named in place of a site, if one is.
pub fn saved_plan(arguments: &SiteArguments) -> Result<Option<Vec<u8>>, Failure> {
    let Some(file) = arguments.sites.iter().find(|file| is_saved_plan(file)) else { return Ok(None) };
    if arguments.sites.len() > 1 {
        return Err(Failure::Usage(format!("{} is a saved plan, which is applied alone", file.display())));
    }
    #[expect(clippy::disallowed_methods, reason = "a saved plan lies beside the site, not on the host")]
    let bytes = std::fs::read(file).while_doing(|| format!("reading {}", file.display()))?;
    Ok(Some(bytes))
}

fn is_saved_plan(file: &Path) -> bool {
    head_of(file).is_some_and(|head| SavedPlan::is_one(&head))
}

/// How a file begins; none if it is no regular file, or cannot be read, which is told of when it is read as a site.
fn head_of(file: &Path) -> Option<Vec<u8>> {
    #[expect(clippy::disallowed_methods, reason = "sites and plans do not lie on the host")]
    let is_file = std::fs::metadata(file).is_ok_and(|found| found.is_file());
    #[expect(clippy::disallowed_types, reason = "sites and plans do not lie on the host")]
    let opened = is_file.then(|| std::fs::File::open(file)).and_then(Result::ok)?;
    let mut head = Vec::new();
    opened.take(200).read_to_end(&mut head).ok()?;
    Some(head)
}

/// Saves a plan in a file that only its owner may read.
pub fn save_plan(
    planned: &Planned<'_>,
    target: &Target,
    arguments: &SiteArguments,
    file: &Path,
) -> Result<(), Failure> {
    let sites: Vec<String> = arguments.sites.iter().map(|site| site.display().to_string()).collect();
    let saving = || format!("saving the plan in {}", file.display());
    if target.lock.is_none() {
        return Err(Failure::Usage("a plan of a simulated host is for no host; leave -o out".into()));
    }
    // What is there and is no plan was not meant: it may be the site.
    let there = head_of(file).is_some_and(|head| !head.is_empty() && !SavedPlan::is_one(&head));
    if there {
        return Err(Error::new(ErrorKind::Refused, "it holds something that is no saved plan")
            .while_doing(saving())
            .with_hint("choose another file, or remove it")
            .into());
    }
    let key = target.journal.make_key().while_doing(saving)?;
    let bytes = planned.save(&*target.host, &key, &sites.join(" ")).while_doing(saving)?;
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let saved = tempfile::NamedTempFile::new_in(directory).and_then(|mut staged| {
        staged.write_all(&bytes)?;
        staged.as_file().sync_all()?;
        staged.persist(file).map_err(|error| error.error)
    });
    saved.map(drop).while_doing(saving)?;
    Ok(())
}

/// Reads the site and orders its resources, for no host in particular.
pub fn graph(arguments: &SiteArguments, facts: &Facts) -> Result<Graph, Failure> {
    Ok(site(arguments, facts)?.into_graph()?)
}

/// Orders the resources of a site together with what was made on the host before.
pub fn graph_for(target: &Target, site: Site, chosen: &Chosen) -> Result<Graph, Failure> {
    let policy = site.policy();
    let site = site.with_policy(SitePolicy { prune: policy.prune || chosen.prune, ..policy });
    if !chosen.only.is_empty() {
        return Ok(site.into_graph()?);
    }
    let orphans = match target.journal.orphans(&site.ids()) {
        // Who may not read it is told so with what is owed.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Vec::new(),
        orphans => orphans?,
    };
    Ok(site.with_orphans(orphans).into_graph()?)
}

/// Reads the site.
pub fn site(arguments: &SiteArguments, facts: &Facts) -> Result<Site, Failure> {
    let mut overrides = Vec::new();
    for set in &arguments.set {
        match set.split_once('=') {
            Some((path, value)) => overrides.push((path.to_owned(), value.to_owned())),
            None => return Err(Failure::Usage(format!("--set {set}: write it as PATH=VALUE"))),
        }
    }
    let mut sources = Vec::new();
    if let Some(plan) = arguments.sites.iter().find(|file| is_saved_plan(file)) {
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
    Ok(load(&registry(), facts, Input { sources, overrides, import_paths })?)
}
