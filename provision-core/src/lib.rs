//! The engine of `provision`.

#[cfg(feature = "nickel")]
pub mod config;
pub mod diagnostic;
