//! res

pub mod accounts;
pub mod authorized_keys;
#[cfg(test)]
mod converging;
pub mod debian;
pub mod duration;
pub mod group;
pub mod package;
pub mod package_manager;
pub mod service;
pub mod user;
