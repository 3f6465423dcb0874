//! What is Debian's own.

pub mod version;
