//! The engine of `provision`.

pub mod diagnostic;
