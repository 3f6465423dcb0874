//! Debian's packages, files, services, users and groups as resources of `provision`.

mod access;
mod formats;

pub mod command_line;
pub mod debian;
pub mod directory;
pub mod ensure;
pub mod file;
pub mod held;
pub mod symlink;

#[cfg(test)]
mod testing;
