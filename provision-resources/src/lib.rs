//! Debian's packages, files, services, users and groups as resources of `provision`.

mod access;
mod accounts;
mod formats;

pub mod authorized_keys;
pub mod command_line;
pub mod debian;
pub mod directory;
pub mod duration;
pub mod ensure;
pub mod file;
pub mod group;
pub mod held;
pub mod package;
pub mod package_manager;
pub mod service;
pub mod symlink;
pub mod user;

#[cfg(test)]
mod converging;
#[cfg(test)]
mod testing;

use provision_core::registry::Registry;

pub use debian::Debian;
pub use directory::Directory;
pub use file::File;
pub use group::Group;
pub use package::Package;
pub use package_manager::PackageManager;
pub use service::Service;
pub use symlink::Symlink;
pub use user::User;

/// All resource types of this crate.
pub fn registry() -> Registry {
    Registry::new()
        .with::<Directory>()
        .with::<File>()
        .with::<Group>()
        .with::<Package>()
        .with::<PackageManager>()
        .with::<Service>()
        .with::<Symlink>()
        .with::<User>()
}
