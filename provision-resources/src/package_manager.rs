//! `package_manager`: apt is able to work, and knows what there is.

#[cfg(test)]
mod tests;

use derive_setters::Setters;
use provision_core::duration::Duration;
use provision_core::effect::{Effect, PlatformEffect};
use provision_core::error::Result;
use provision_core::host::{HostView, HostViewExt, native_package_name};
use provision_core::path::HostPath;
use provision_core::resource::{
    ApplyContext, AttributeError, CheckContext, Claim, PlanContext, Resource, ResourceId, Stage, Target,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::package::{NeedsLists, Package};

/// The package manager itself, under its only name `apt`. It comes with the first `package` and need not be declared.
///
/// It completes installations that were interrupted, and fetches the package lists if something is to be installed while
/// they are missing, older than a package source or than the `lists_max_age` of the packages in question, or left by a
/// fetch that failed. It comes after all resources below `/etc/apt`.
///
/// If it is declared, its own `lists_max_age` wins over that of the packages, and the lists are kept that fresh in every
/// run, whether or not something is to be installed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(into, strip_option)]
pub struct PackageManager {
    /// How old the package lists may be; older ones are fetched anew.
    pub lists_max_age: Duration,
    /// The packages that it comes with; `None` if it was declared by itself.
    #[serde(skip)]
    packages: Option<Vec<(String, Package)>>,
}

/// The age of lists of which only their presence matters.
const ANY_AGE: u64 = u64::MAX;

impl Default for PackageManager {
    fn default() -> PackageManager {
        PackageManager { lists_max_age: Duration::days(1), packages: None }
    }
}

/// How the package manager is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Packages whose installation was interrupted.
    interrupted: Vec<String>,
    lists: Lists,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Lists {
    /// Fresh enough, or nothing is to be installed and their age does not matter.
    Usable,
    Stale,
    Missing,
}

impl Resource for PackageManager {
    const TYPE: &'static str = "package_manager";
    const STAGE: Stage = Stage::PackageSources;
    type State = State;

    fn validate(&self, id: &ResourceId) -> Vec<AttributeError> {
        if id.name() == PackageManager::NAME {
            return Vec::new();
        }
        let message = format!("there is no package manager {:?}", id.name());
        vec![AttributeError::new("", message).help("the only one is `package_manager.apt`")]
    }

    fn claims(&self, _: &ResourceId) -> Vec<Claim> {
        // Sources, keys, preferences and settings.
        let configuration = HostPath::new("/etc/apt").ok().map(Claim::needs_within);
        [Claim::owns(PackageManager::target())].into_iter().chain(configuration).collect()
    }

    fn check(&self, cx: &CheckContext<'_>) -> Result<State> {
        let host = cx.host();
        let mut interrupted = host.interrupted_packages()?;
        // What is to be taken away need not be completed before, and perhaps cannot be.
        for (name, _) in self.packages.iter().flatten().filter(|(_, package)| !package.is_wanted()) {
            let name = native_package_name(name, host)?;
            interrupted.retain(|other| other != name);
        }
        let lists = match self.max_age(host)? {
            None => Lists::Usable,
            Some(max_age) => {
                let found = host.package_manager()?;
                match found.lists_age {
                    None => Lists::Missing,
                    Some(_) if max_age == ANY_AGE => Lists::Usable,
                    Some(_) if found.are_lists_outdated => Lists::Stale,
                    Some(_) if found.were_lists_fetched => Lists::Usable,
                    // Within the same second they are not new enough for "0s" either.
                    Some(age) if age > max_age || max_age == 0 => Lists::Stale,
                    Some(_) => Lists::Usable,
                }
            }
        };
        Ok(State { interrupted, lists })
    }

    fn plan(&self, _: &PlanContext<'_>, _: &State) -> Result<State> {
        Ok(State { interrupted: Vec::new(), lists: Lists::Usable })
    }

    fn apply(&self, cx: &ApplyContext<'_>, now: &State, want: &State) -> Result<()> {
        let host = cx.host();
        if now.lists != want.lists {
            host.perform(&Effect::Platform(PlatformEffect::RefreshPackageLists))?;
        }
        // The repair may have to fetch packages.
        if now.interrupted != want.interrupted {
            host.perform(&Effect::Platform(PlatformEffect::RepairPackages))?;
        }
        Ok(())
    }
}

impl PackageManager {
    pub(crate) const NAME: &'static str = "apt";

    pub(crate) fn for_packages(packages: Vec<(String, Package)>) -> PackageManager {
        PackageManager { packages: Some(packages), ..PackageManager::default() }
    }

    /// What packages need, and what their sources come before.
    pub(crate) fn target() -> Target {
        Target::Other("package manager", PackageManager::NAME.to_owned())
    }

    /// How many seconds old the lists may be; `None` if nothing needs them.
    fn max_age(&self, host: &dyn HostView) -> Result<Option<u64>> {
        let Some(packages) = &self.packages else { return Ok(Some(self.lists_max_age.as_seconds())) };
        let mut least = None;
        for (name, package) in packages {
            let age = package.lists_max_age.as_seconds();
            // The host is not asked about a package that could not make a difference.
            if least.is_some_and(|least| age >= least) {
                continue;
            }
            match package.needs_lists(name, host)? {
                NeedsLists::No => {}
                NeedsLists::OfAnyAge => least = least.or(Some(ANY_AGE)),
                NeedsLists::Fresh => least = Some(age),
            }
        }
        Ok(least)
    }
}
