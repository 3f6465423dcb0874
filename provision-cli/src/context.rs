//! What the verbs share: the host that is meant, and the site.

use std::io::Read;
use std::path::Path;

use provision_core::config::{Input, SiteSource, load};
use provision_core::error::{Error, ResultExt};
use provision_core::facts::Facts;
use provision_core::graph::Graph;
use provision_core::host::{Host, LocalHost, Progress, SimHost};
use provision_resources::{Debian, registry};

use crate::cli::{Options, SiteArguments};
use crate::exit::Failure;

/// The host that the options name.
pub fn host(options: &Options, progress: Option<Progress>) -> Result<Box<dyn Host>, Failure> {
    if options.simulate {
        return Ok(Box::new(SimHost::debian()));
    }
    let root = options.root.as_deref().unwrap_or(Path::new("/"));
    let host = LocalHost::open(root, Debian::new())?;
    Ok(Box::new(match progress {
        Some(progress) => host.with_progress(progress),
        None => host,
    }))
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

/// Reads the site and orders its resources.
pub fn graph(arguments: &SiteArguments, facts: &Facts) -> Result<Graph, Failure> {
    let mut overrides = Vec::new();
    for set in &arguments.set {
        match set.split_once('=') {
            Some((path, value)) => overrides.push((path.to_owned(), value.to_owned())),
            None => return Err(Failure::Usage(format!("--set {set}: write it as PATH=VALUE"))),
        }
    }
    let mut sources = Vec::new();
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
    let site = load(&registry(), facts, Input { sources, overrides, import_paths })?;
    Ok(site.into_graph()?)
}
