//! `package_manager`: apt is able to work, and knows what there is.

#[cfg(test)]
mod tests;

use provision_core::duration::Duration;
use provision_core::effect::Effect;
use provision_core::error::Result;
use provision_core::host::{Host, HostView};
use provision_core::resource::{AttributeError, Claim, Resource, ResourceId, Stage, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::package::Package;

/// The package manager itself, under its only name `apt`. It comes with the first `package` and need not be declared.
///
/// It completes installations that were interrupted, and fetches the package lists if something is to be installed while
/// they are missing, or older than the `lists_max_age` of the packages in question.
///
/// If it is declared, its own `lists_max_age` wins over that of the packages, and the lists are kept that fresh in every
/// run, whether or not something is to be installed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PackageManager {
    /// How old the package lists may be; older ones are fetched anew.
    pub lists_max_age: Duration,
    /// The packages that it comes with; `None` if it was declared by itself.
    #[serde(skip)]
    packages: Option<Vec<(String, Package)>>,
}

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
        vec![Claim::owns(PackageManager::target())]
    }

    fn check(&self, _: &ResourceId, host: &dyn HostView) -> Result<State> {
        let interrupted = host.interrupted_packages()?;
        let lists = match self.max_age(host)? {
            None => Lists::Usable,
            Some(max_age) => match host.package_manager()?.lists_age {
                None => Lists::Missing,
                Some(age) if age > max_age => Lists::Stale,
                Some(_) => Lists::Usable,
            },
        };
        Ok(State { interrupted, lists })
    }

    fn plan(&self, _: &ResourceId, _: &State) -> Result<State> {
        Ok(State { interrupted: Vec::new(), lists: Lists::Usable })
    }

    fn apply(&self, _: &ResourceId, now: &State, want: &State, host: &dyn Host) -> Result<()> {
        if now.interrupted != want.interrupted {
            host.perform(&Effect::RepairPackages)?;
        }
        if now.lists != want.lists {
            host.perform(&Effect::RefreshPackageLists)?;
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

    /// How many seconds old the lists may be; `None` if it does not matter.
    fn max_age(&self, host: &dyn HostView) -> Result<Option<u64>> {
        let Some(packages) = &self.packages else { return Ok(Some(self.lists_max_age.as_seconds())) };
        let mut least = None;
        for (name, package) in packages {
            let age = package.lists_max_age.as_seconds();
            // The host is not asked about a package that could not make a difference.
            if least.is_none_or(|least| age < least) && package.needs_lists(name, host)? {
                least = Some(age);
            }
        }
        Ok(least)
    }
}
