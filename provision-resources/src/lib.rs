//! Debian's packages, files, services, users and groups as resources of `provision`.

mod access;
mod formats;

pub mod accounts;
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
