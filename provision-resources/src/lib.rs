//! Debian's packages, files, services, users and groups as resources of `provision`.
//!
//! Each type is a struct whose fields are the attributes that a site may write, with a setter for each. [`Debian`] is the
//! platform that a real host is built over.
//!
//! ```
//! use provision_core::prelude::*;
//! use provision_core::sim::SimHost;
//! use provision_resources::{File, Package, Service, User};
//!
//! let mut site = Site::new();
//! site.declare("nginx", Package::default());
//! let nginx = site.declare("nginx", Service::default().running(true).enabled(true)).handle();
//! let deploy = site.declare("deploy", User::default().system(true)).handle();
//! for port in [8080, 8081] {
//!     let file = File::default().content(format!("server {{ listen {port}; }}\n")).owner(&deploy).mode(Mode::new(0o640));
//!     site.declare(&format!("/etc/nginx/conf.d/{port}.conf"), file).notifies(&nginx).tag("web");
//! }
//!
//! // On the host itself: Engine::local(LocalHost::running(provision_resources::Debian::new())?, Options::new("mytool"))?
//! let engine = Engine::open(SimHost::debian(13), Journal::new(MemoryStore::new()), Options::new("mytool"))?;
//! let report = engine.plan(site, &PlanOptions::default())?.apply(&ApplyOptions::default(), &())?;
//! assert!(report.is_success());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The feature `nickel`, which is on by default, links code under LGPL-3.0-only: `malachite`, through `nickel-lang-core`.
//! Without it all that is linked is under permissive licences.

mod access;
mod accounts;
pub mod apt_config;
pub mod apt_key;
pub mod apt_pin;
pub mod apt_source;
pub mod apt_syntax;
pub mod attributes;
pub mod authorized_keys;
#[cfg(feature = "testing")]
pub mod cases;
pub mod command_line;
pub mod cron;
pub mod debian;
pub mod directory;
pub mod ensure;
pub mod file;
mod formats;
pub mod group;
pub mod journald;
pub mod links;
pub mod logrotate;
mod openpgp;
pub mod package;
pub mod package_manager;
pub mod pam_limits;
mod password;
pub mod password_policy;
pub mod service;
pub mod settings;
pub mod sudoers;
pub mod symlink;
pub mod sysctl;
mod systemd_syntax;
pub mod timer;
pub mod tmpfiles;
pub mod trigger;
pub mod unattended_upgrades;
pub mod unit;
pub mod unit_dropin;
pub mod unit_file;
pub mod user;
pub mod validation;

#[cfg(test)]
mod converging;
#[cfg(test)]
mod testing;

use provision_core::registry::Registry;

pub use apt_config::AptConfig;
pub use apt_key::AptKey;
pub use apt_pin::AptPin;
pub use apt_source::AptSource;
pub use cron::Cron;
pub use debian::Debian;
pub use directory::Directory;
pub use file::File;
pub use group::Group;
pub use journald::Journald;
pub use logrotate::Logrotate;
pub use package::Package;
pub use package_manager::PackageManager;
pub use pam_limits::PamLimits;
pub use password_policy::PasswordPolicy;
pub use service::Service;
pub use sudoers::Sudoers;
pub use symlink::Symlink;
pub use sysctl::Sysctl;
pub use timer::Timer;
pub use tmpfiles::Tmpfiles;
pub use trigger::Trigger;
pub use unattended_upgrades::UnattendedUpgrades;
pub use unit::Unit;
pub use unit_dropin::UnitDropin;
pub use user::User;
pub use validation::Validation;

/// All resource types of this crate.
pub fn registry() -> Registry {
    Registry::new()
        .with::<AptConfig>()
        .with::<AptKey>()
        .with::<AptPin>()
        .with::<AptSource>()
        .with::<Cron>()
        .with::<Directory>()
        .with::<File>()
        .with::<Group>()
        .with::<Journald>()
        .with::<Logrotate>()
        .with::<Package>()
        .with::<PackageManager>()
        .with::<PamLimits>()
        .with::<PasswordPolicy>()
        .with::<Service>()
        .with::<Sudoers>()
        .with::<Symlink>()
        .with::<Sysctl>()
        .with::<Tmpfiles>()
        .with::<Timer>()
        .with::<Trigger>()
        .with::<UnattendedUpgrades>()
        .with::<Unit>()
        .with::<UnitDropin>()
        .with::<User>()
        .with::<Validation>()
}
