//! One file per verb.

pub mod apply;
pub mod completions;
pub mod facts;
pub mod graph;
pub mod history;
pub mod init;
pub mod plan;
pub mod record;
pub mod rollback;
pub mod schema;
pub mod secret;
pub mod show;
pub mod test;
pub mod validate;
