//! Where the secrets of a site are, and asking for them.

use std::path::{Path, PathBuf};

use nix::unistd::AccessFlags;
use provision_core::graph::Graph;
use provision_core::journal::HostKey;
use provision_core::plan::{Converged, Selector};
use provision_core::secret::Sources;
use provision_core::secret::age::AgeSecrets;

use crate::cli::Secrets;
use crate::context::{Target, variable};
use crate::exit::Failure;

/// Where secrets are: where that is said, or beside the site.
pub fn store(place: &Secrets, site: Option<&Path>) -> AgeSecrets {
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
    with_sources(place, site, |sources| graph.resolve_secrets(sources, &key, only)).map_err(Failure::Secrets)
}

/// Whether a host, its past, and the secrets of the site are as they were when there was nothing to do.
pub fn converged_holds(converged: &Converged, target: &Target, place: &Secrets, site: Option<&Path>) -> bool {
    if converged.names_secrets() {
        keep_out_of_core_dumps();
    }
    let Target { host, journal, digests, .. } = target;
    with_sources(place, site, |sources| converged.holds(&**host, journal, digests.as_ref(), sources))
}

/// Hands over what answers the names of secrets.
fn with_sources<T>(place: &Secrets, site: Option<&Path>, ask: impl FnOnce(&Sources<'_>) -> T) -> T {
    let store = store(place, site);
    let environment = |name: &str| {
        #[expect(clippy::disallowed_methods, reason = "the command line looks at its environment")]
        std::env::var(name).ok()
    };
    ask(&Sources { store: &store, environment: &environment })
}

/// From here on, memory holds secrets: it is left out of core dumps, and no other process of the user may read it.
pub fn keep_out_of_core_dumps() {
    // prctl(2) knows no reason to refuse this.
    let _ = nix::sys::prctl::set_dumpable(false);
}
