//! `package`: a package is installed, or is not.

#[cfg(test)]
mod tests;

use derive_setters::Setters;
use provision_core::duration::Duration;
use provision_core::effect::{Conffiles, Effect, PackageOptions, PackageRequest, PackageTransaction, PlatformEffect};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{HostView, HostViewExt, PackageStatus, native_package_name};
use provision_core::resource::{
    ApplyContext, AttributeError, CheckContext, Claim, Companion, PlanContext, Resource, ResourceId, Stage, Target,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::package_manager::PackageManager;
use provision_core::version::{Constraint, Version};

/// A Debian package. Its name is the package's, with `:architecture` where that is not the host's own: `libc6:i386`.
///
/// All packages of a run are changed in one transaction. Packages that are not declared are never removed unless
/// `allow_removals` says so; packages that are declared never are, and packages that are declared as absent do not come
/// along with others. The name of a purely virtual package (`httpd`) is satisfied by any installed package that
/// provides it, as long as neither a version nor `'latest` is asked for.
///
/// A declared package is marked as manually installed, so `apt autoremove` keeps it when what it came along with goes.
///
/// ```nickel
/// package.nginx = {},
/// package.postgresql-15 = { version = ">= 15.4, << 16", hold = true },
/// package.telnetd = { ensure = 'purged },
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(into, strip_option)]
pub struct Package {
    /// Whether it is installed.
    pub ensure: Ensure,
    /// The version: one exactly (`"1.22.1-9"`), or bounds as in a dependency of Debian (`">= 1.22, << 2"`).
    /// Bounds that the installed version keeps leave it alone. Otherwise the version that the package manager prefers
    /// is taken if it is within them, else the highest that is.
    pub version: Option<String>,
    /// Whether upgrades leave it alone (`apt-mark hold`). If this is not said, a hold stays as it is, and a held package
    /// is not changed: that is an error.
    pub hold: Option<bool>,
    /// Whether it is marked as automatically installed, as a dependency is (`apt-mark auto`): it may go when no other
    /// package needs it.
    pub automatic: bool,
    /// Whether the packages that it recommends are installed with it.
    pub recommends: bool,
    /// What happens to a configuration file that was changed on this host when the package brings another.
    pub conffiles: Conffiles,
    /// Whether packages that are not declared may be removed for it. Those that are declared never are.
    pub allow_removals: bool,
    /// Whether it may be replaced by a lower version. With `'latest`, a version that is higher than the one that the
    /// package manager prefers is then replaced too.
    pub allow_downgrade: bool,
    /// How old the package lists may be when something is to be installed; older ones are fetched anew first.
    pub lists_max_age: Duration,
}

impl Default for Package {
    fn default() -> Package {
        Package {
            ensure: Ensure::Present,
            version: None,
            hold: None,
            automatic: false,
            recommends: true,
            conffiles: Conffiles::Keep,
            allow_removals: false,
            allow_downgrade: false,
            lists_max_age: Duration::days(1),
        }
    }
}

/// Whether a package is installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ensure {
    /// It is installed.
    #[default]
    Present,
    /// It is not installed; its configuration files may remain.
    Absent,
    /// It is not installed, and its configuration files are gone.
    Purged,
    /// It is installed in the version that the package manager prefers.
    Latest,
}

/// How a package is, as far as its declaration cares.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    presence: Presence,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// The version that the declaration amounts to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    candidate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold: Option<bool>,
    /// Whether an installed package is marked so; nothing is the same as `false`, which is only written where the mark goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    automatic: Option<bool>,
}

impl State {
    fn is_automatic(&self) -> bool {
        self.automatic.unwrap_or_default()
    }
}

impl PartialEq for State {
    fn eq(&self, other: &State) -> bool {
        let parts = |state: &State| (state.presence, state.hold, state.is_automatic());
        parts(self) == parts(other) && self.version == other.version && self.candidate == other.candidate
    }
}

impl Eq for State {}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Presence {
    Installed,
    /// An installation was interrupted; the package manager is repaired before.
    Interrupted,
    /// Only told from absence where the configuration files are to go.
    ConfigFiles,
    Absent,
}

impl Resource for Package {
    const TYPE: &'static str = "package";
    const STAGE: Stage = Stage::Packages;
    type State = State;

    fn validate(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut errors = Vec::new();
        if !is_package_name(id.name()) {
            errors.push(
                AttributeError::new("", format!("{:?} is not the name of a package", id.name())).help(
                    "lower case letters, digits and `+-.`, at least two, such as \"libstdc++6\" or \"libc6:i386\"",
                ),
            );
        } else if let Some((plain, architecture @ ("any" | "native"))) = id.name().split_once(':') {
            let message = format!("`{architecture}` is not the architecture of a package");
            errors.push(
                AttributeError::new("", message).help(format!("write {plain:?} for the host's own architecture")),
            );
        }
        if let Some(version) = &self.version {
            errors.extend(self.version_mistakes(id.name(), version));
        }
        if self.hold == Some(true) && !self.is_wanted() {
            errors.push(
                AttributeError::new("hold", "a package that is not installed cannot be held")
                    .help("leave `hold` out, or say `hold = false` to remove a package that is held"),
            );
        }
        if self.automatic && !self.is_wanted() {
            errors.push(
                AttributeError::new("automatic", "a package that is not installed is not marked")
                    .help("leave `automatic` out"),
            );
        }
        errors
    }

    fn claims(&self, id: &ResourceId) -> Vec<Claim> {
        let package = Target::Package(id.name().to_owned());
        let claim = if self.is_wanted() { Claim::owns(package) } else { Claim::removes(package) };
        vec![claim, Claim::needs(PackageManager::target())]
    }

    fn check(&self, cx: &CheckContext<'_>) -> Result<State> {
        let (id, host) = (cx.id(), cx.host());
        let name = native_package_name(id.name(), host)?;
        let found = host.package(name)?;
        let provided = !found.provided_by.is_empty() && self.is_wanted() && !self.asks_for_version();
        if found.status == PackageStatus::Absent {
            self.refuse_marks_of_virtual(name, &found.provided_by, host)?;
        }
        let presence = match found.status {
            PackageStatus::Installed => Presence::Installed,
            _ if provided => Presence::Installed,
            PackageStatus::Interrupted => Presence::Interrupted,
            PackageStatus::ConfigFiles if self.ensure == Ensure::Purged => Presence::ConfigFiles,
            PackageStatus::ConfigFiles | PackageStatus::Absent => Presence::Absent,
        };
        let version = found.version.filter(|_| self.asks_for_version() && presence == Presence::Installed);
        let candidate = match self.asks_for_version() {
            true => Some(self.candidate(name, version.as_deref(), host)?),
            false => None,
        };
        let automatic = found.automatic && self.is_wanted() && found.status == PackageStatus::Installed;
        let automatic = automatic.then_some(true);
        let state = State { presence, version, candidate, hold: self.hold.map(|_| found.hold), automatic };
        if found.hold && self.hold.is_none() && matches!(presence, Presence::Installed | Presence::Absent) {
            let want = self.plan(&PlanContext::new(id), &state)?;
            if (want.presence, want.version) != (state.presence, state.version.clone()) {
                return Err(Error::new(ErrorKind::Refused, format!("package {name} is held, so it is not changed"))
                    .with_hint("say `hold = true` to change it and hold it again, or `hold = false` to release it"));
            }
        }
        Ok(state)
    }

    fn plan(&self, _: &PlanContext<'_>, now: &State) -> Result<State> {
        let presence = if self.is_wanted() { Presence::Installed } else { Presence::Absent };
        let candidate = now.candidate.clone();
        let automatic = if self.automatic { Some(true) } else { now.automatic.map(|_| false) };
        let automatic = automatic.filter(|_| self.is_wanted());
        Ok(State { presence, version: candidate.clone(), candidate, hold: self.hold, automatic })
    }

    fn apply(&self, cx: &ApplyContext<'_>, now: &State, want: &State) -> Result<()> {
        let host = cx.host();
        let name = native_package_name(cx.id().name(), host)?.to_owned();
        let options = PackageOptions {
            recommends: self.recommends,
            conffiles: self.conffiles,
            allow_removals: self.allow_removals,
            allow_downgrade: self.allow_downgrade,
        };
        let mut transaction = PackageTransaction { options, ..PackageTransaction::default() };
        let changes = (now.presence, &now.version) != (want.presence, &want.version);
        match self.ensure {
            Ensure::Present | Ensure::Latest if changes => {
                transaction.install.push(PackageRequest { name: name.clone(), version: want.version.clone() });
            }
            Ensure::Absent if changes => transaction.remove.push(name.clone()),
            Ensure::Purged if changes => transaction.purge.push(name.clone()),
            _ => {}
        }
        // A held package is released for the change and held again, all in one transaction.
        if now.hold == Some(true) && (changes || want.hold == Some(false)) {
            transaction.unhold.push(name.clone());
        }
        if want.hold == Some(true) && (changes || now.hold == Some(false)) {
            transaction.hold.push(name.clone());
        }
        if want.is_automatic() && (changes || !now.is_automatic()) {
            transaction.automatic.push(name);
        } else if now.is_automatic() && !want.is_automatic() && self.is_wanted() {
            transaction.manual.push(name);
        }
        host.perform(&Effect::Platform(PlatformEffect::Packages(transaction)))?;
        Ok(())
    }

    fn companions(declared: &[(&ResourceId, &Package)]) -> Vec<Companion> {
        let packages = declared.iter().map(|(id, package)| (id.name().to_owned(), (*package).clone())).collect();
        vec![Companion::new(PackageManager::NAME, PackageManager::for_packages(packages))]
    }
}

/// What a package needs of the package lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NeedsLists {
    No,
    OfAnyAge,
    Fresh,
}

impl Package {
    pub(crate) fn is_wanted(&self) -> bool {
        matches!(self.ensure, Ensure::Present | Ensure::Latest)
    }

    fn asks_for_version(&self) -> bool {
        self.is_wanted() && (self.version.is_some() || self.ensure == Ensure::Latest)
    }

    /// A mark belongs to a package, and none has the name of a virtual one.
    fn refuse_marks_of_virtual(&self, name: &str, provided_by: &[String], host: &dyn HostView) -> Result<()> {
        let mark = match (self.hold, self.automatic) {
            (Some(true), _) => "hold",
            (_, true) => "automatic",
            _ => return Ok(()),
        };
        let providers = provided_by.join(", ");
        let error = |message: String, hint: String| Err(Error::new(ErrorKind::Refused, message).with_hint(hint));
        match provided_by {
            [] if !host.available_versions(name)?.is_empty() => Ok(()),
            [] => error(
                format!("no package source offers a package {name} for which `{mark}` could be set"),
                format!("if {name} is a virtual package, set `{mark}` for a package that provides it"),
            ),
            _ => error(
                format!("{name} is a virtual package, so `{mark}` cannot be set for it"),
                format!("set `{mark}` for what provides it: {providers}"),
            ),
        }
    }

    /// What the package has of the package lists, now that the host is as it is.
    pub(crate) fn needs_lists(&self, name: &str, host: &dyn HostView) -> Result<NeedsLists> {
        if !self.is_wanted() {
            return Ok(NeedsLists::No);
        }
        let found = host.package(native_package_name(name, host)?)?;
        let is_needed = match (found.status, found.version) {
            // One that was interrupted is completed first, and then installed.
            (PackageStatus::Installed | PackageStatus::Interrupted, Some(version)) => {
                self.ensure == Ensure::Latest || !self.allows(&version)
            }
            (PackageStatus::Installed, None) => false,
            // Only the lists tell a virtual package from one that another package provides as well.
            _ if !found.provided_by.is_empty() && !self.asks_for_version() => return Ok(NeedsLists::OfAnyAge),
            _ => true,
        };
        Ok(if is_needed { NeedsLists::Fresh } else { NeedsLists::No })
    }

    /// Whether the declaration is content with a version.
    fn allows(&self, version: &str) -> bool {
        match &self.version {
            None => true,
            Some(wanted) if is_constraint(wanted) => {
                // `validate` has refused what is none.
                wanted.parse::<Constraint>().is_ok_and(|constraint| constraint.allows(&Version::new(version)))
            }
            Some(wanted) => Version::new(wanted) == Version::new(version),
        }
    }

    /// The version that the package should have.
    fn candidate(&self, name: &str, installed: Option<&str>, host: &dyn HostView) -> Result<String> {
        if let Some(installed) = installed.filter(|installed| self.version.is_some() && self.allows(installed)) {
            return Ok(installed.to_owned());
        }
        let available = host.available_versions(name)?;
        let Some(found) = available.iter().find(|version| self.allows(version)) else {
            return match installed {
                // It was installed from a file, or its source is gone: there is nothing later.
                Some(installed) if self.version.is_none() => Ok(installed.to_owned()),
                _ => Err(self.unavailable(name, &available)),
            };
        };
        let lower = installed.is_some_and(|installed| Version::new(found) < Version::new(installed));
        match (installed.filter(|_| lower && !self.allow_downgrade), &self.version) {
            (None, _) => Ok(found.clone()),
            (Some(installed), None) => Ok(installed.to_owned()),
            (Some(installed), Some(wanted)) => {
                let message = format!("{name} {installed} is installed, which is later than {wanted:?} allows");
                Err(Error::new(ErrorKind::Refused, message)
                    .with_hint(format!("say `allow_downgrade = true` to replace it by {found}, or change `version`")))
            }
        }
    }

    fn unavailable(&self, name: &str, available: &[String]) -> Error {
        let wanted = self.version.as_deref().map_or_else(String::new, |version| format!(" in version {version:?}"));
        let error = Error::new(ErrorKind::NotFound, format!("no package source offers {name}{wanted}"));
        match available {
            [] => {
                error.with_hint("declare the source that has it, or correct the name; a virtual package has no version")
            }
            versions => error.with_hint(format!("available: {}", versions.join(", "))),
        }
    }

    fn version_mistakes(&self, name: &str, version: &str) -> Vec<AttributeError> {
        let mut errors = Vec::new();
        let contradiction = match self.ensure {
            Ensure::Present => None,
            Ensure::Latest => Some("`ensure = 'latest` and a version contradict one another"),
            Ensure::Absent | Ensure::Purged => Some("a package that is not installed has no version"),
        };
        if let Some(message) = contradiction {
            errors.push(AttributeError::new("version", message).help("leave one of `ensure` and `version` out"));
        }
        let mistake = if is_constraint(version) {
            version.parse::<Constraint>().err().map(|error| error.to_string())
        } else {
            (!is_version(version)).then(|| format!("{version:?} is not a version"))
        };
        if let Some(message) = mistake {
            let help = if version.contains('*') {
                let stem = version.trim_end_matches('*').trim_end_matches('.');
                format!("there are no patterns; write bounds, such as \">= {stem}\"")
            } else {
                format!("write a version as `apt-cache policy {name}` shows it, or bounds such as \">= 1.2, << 2\"")
            };
            errors.push(AttributeError::new("version", message).help(help));
        }
        errors
    }
}

fn is_constraint(version: &str) -> bool {
    version.contains(['<', '>', '=', ',', ' '])
}

/// As deb-version(7) has it: `[epoch:]upstream[-revision]`.
fn is_version(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".+-:~".contains(c);
    // apt 2 takes a dash at the end for the wish to remove the package.
    text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(plain) && !text.ends_with('-')
}

/// As Debian policy 5.6.1 has it, with an architecture perhaps.
fn is_package_name(text: &str) -> bool {
    let (name, architecture) = text.split_once(':').unwrap_or((text, "all"));
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() >= 2
        && name.starts_with(lower)
        && name.chars().all(|c| lower(c) || "+-.".contains(c))
        && !architecture.is_empty()
        && architecture.chars().all(|c| lower(c) || c == '-')
}
