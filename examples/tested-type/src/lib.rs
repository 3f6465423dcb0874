//! Two resource types of one's own; `tests/laws.rs` holds them to the laws of resource types.

use provision_core::error::Result;
use provision_core::host::{HostExt, HostViewExt};
use provision_core::path::HostPath;
use provision_core::resource::{ApplyContext, CheckContext, Claim, PlanContext, Resource, ResourceId, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What people read once they have logged in.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Motd {
    /// The text.
    pub text: String,
}

impl Resource for Motd {
    const TYPE: &'static str = "motd";
    /// What a look finds, so that `plan(now) == now` means that there is nothing to do.
    type State = Option<String>;

    fn check(&self, cx: &CheckContext<'_>) -> Result<Self::State> {
        cx.host().read_text("/etc/motd")
    }
    fn plan(&self, _: &PlanContext<'_>, _: &Self::State) -> Result<Self::State> {
        Ok(Some(self.text.clone()))
    }
    fn apply(&self, cx: &ApplyContext<'_>, _: &Self::State, _: &Self::State) -> Result<()> {
        cx.host().write_text("/etc/motd", &self.text)
    }
    fn claims(&self, _: &ResourceId) -> Vec<Claim> {
        HostPath::new("/etc/motd").map(|path| Claim::owns(Target::Path(path))).into_iter().collect()
    }
}

/// What people read before they log in.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Issue {
    /// The text.
    pub text: String,
}

impl Resource for Issue {
    const TYPE: &'static str = "issue";
    type State = Option<String>;

    fn check(&self, cx: &CheckContext<'_>) -> Result<Self::State> {
        cx.host().read_text("/etc/issue")
    }
    fn plan(&self, _: &PlanContext<'_>, _: &Self::State) -> Result<Self::State> {
        Ok(Some(self.text.clone()))
    }
    fn apply(&self, cx: &ApplyContext<'_>, _: &Self::State, _: &Self::State) -> Result<()> {
        cx.host().write_text("/etc/issue", &self.text)
    }
    fn claims(&self, _: &ResourceId) -> Vec<Claim> {
        HostPath::new("/etc/issue").map(|path| Claim::owns(Target::Path(path))).into_iter().collect()
    }
}
