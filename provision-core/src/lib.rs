//! The engine of `provision`.

pub mod apply;
#[cfg(feature = "nickel")]
pub mod config;
pub mod diagnostic;
pub mod effect;
pub mod error;
pub mod facts;
pub mod graph;
pub mod host;
pub mod observe;
pub mod path;
pub mod plan;
pub mod registry;
pub mod report;
pub mod resource;
pub mod site;
