//! res

pub mod debian;
