//! From data to what people and programs read.

pub mod diagnostics;
mod diff;
pub mod error;
pub mod events;
pub mod facts;
pub mod foreign;
pub mod history;
#[cfg(test)]
mod hostile_texts;
pub mod json;
pub mod markdown;
pub mod plan;
pub mod style;
pub mod tests;
