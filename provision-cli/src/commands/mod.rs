//! One file per verb.

pub mod apply;
pub mod completions;
pub mod facts;
pub mod graph;
pub mod init;
pub mod plan;
pub mod schema;
pub mod validate;
