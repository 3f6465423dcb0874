//! [`Ensure`]: whether something is there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether something is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ensure {
    /// It is there, as declared.
    #[default]
    Present,
    /// It is not there.
    Absent,
}
