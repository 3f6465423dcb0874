//! Where the secrets of a site are, and asking for them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::unistd::AccessFlags;
use provision_core::effect::Sensitive;
use provision_core::error::Result;
use provision_core::secret::age::AgeSecrets;
use provision_core::secret::{SecretStore, Sources};

use crate::cli::Secrets;
use crate::context::variable;

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

/// The secrets that a site may name: those of its store, and those of the machine that this program runs on.
pub struct AtHand {
    place: Secrets,
    site: Option<PathBuf>,
    /// Looked for when the first secret is asked for.
    store: OnceLock<AgeSecrets>,
}

impl AtHand {
    /// Those of a site.
    pub fn of(place: &Secrets, site: Option<&Path>) -> AtHand {
        AtHand { place: place.clone(), site: site.map(Path::to_owned), store: OnceLock::new() }
    }
}

impl SecretStore for AtHand {
    fn read(&self, name: &str) -> Result<Sensitive> {
        let store = self.store.get_or_init(|| {
            keep_out_of_core_dumps();
            store(&self.place, self.site.as_deref())
        });
        let environment = |name: &str| {
            #[expect(clippy::disallowed_methods, reason = "the command line looks at its environment")]
            std::env::var(name).ok()
        };
        Sources { store, environment: &environment }.read(name)
    }
}

/// From here on, memory holds secrets: it is left out of core dumps, and no other process of the user may read it.
pub fn keep_out_of_core_dumps() {
    // prctl(2) knows no reason to refuse this.
    let _ = nix::sys::prctl::set_dumpable(false);
}
