//! The state of a host, written down: as a fixture for tests, and to compare two hosts.

mod paths;

pub use paths::{PathAccess, PathKind, PathTable};
