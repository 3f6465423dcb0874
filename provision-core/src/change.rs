//! [`Change`]: the difference between two states, as people see it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An attribute that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The attribute, with dots between the levels of a nested one; empty for a state that is a single value.
    pub attribute: String,
    /// What was found; null for nothing.
    pub from: Value,
    /// What is wanted; null for nothing.
    pub to: Value,
}

impl Change {
    /// Hides its values behind what stands for them.
    pub(crate) fn hide(&mut self, behind: &str) {
        (self.from, self.to) = (behind.into(), behind.into());
    }

    /// What people call it: the attribute, or `state` for one that is a single value.
    pub fn label(&self) -> &str {
        if self.attribute.is_empty() { "state" } else { &self.attribute }
    }
}
