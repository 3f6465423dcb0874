//! The engine of `provision`.

pub mod diagnostic;
pub mod effect;
pub mod error;
pub mod host;
pub mod path;
pub mod resource;
