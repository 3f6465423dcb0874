//! Two small resource types of a third party.

use provision_core::effect::{Command, Effect, UnitAction};
use provision_core::error::Result;
use provision_core::host::{Host, HostExt, HostView, HostViewExt};
use provision_core::path::HostPath;
use provision_core::resource::{Claim, Resource, ResourceId, Stage, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text file; one whose text is "bad" fails.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Note {
    pub text: String,
}

impl Resource for Note {
    const TYPE: &'static str = "note";
    type State = Option<String>;
    fn check(&self, id: &ResourceId, host: &dyn HostView) -> Result<Self::State> {
        host.read_text(id.name())
    }
    fn plan(&self, _: &ResourceId, _: &Self::State) -> Result<Self::State> {
        Ok(Some(self.text.clone()))
    }
    fn apply(&self, id: &ResourceId, _: &Self::State, _: &Self::State, host: &dyn Host) -> Result<()> {
        if self.text == "bad" {
            host.run(Command::new(["fails"]))?;
        }
        host.write_text(id.name(), &self.text)
    }
    fn claims(&self, id: &ResourceId) -> Vec<Claim> {
        HostPath::new(id.name()).map(|path| Claim::owns(Target::Path(path))).into_iter().collect()
    }
}

/// A daemon that is restarted when something changes.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Daemon {}

impl Resource for Daemon {
    const TYPE: &'static str = "daemon";
    const STAGE: Stage = Stage::Services;
    type State = bool;
    fn check(&self, id: &ResourceId, host: &dyn HostView) -> Result<bool> {
        Ok(host.unit(id.name())?.is_active())
    }
    fn plan(&self, _: &ResourceId, _: &bool) -> Result<bool> {
        Ok(true)
    }
    fn apply(&self, id: &ResourceId, _: &bool, _: &bool, host: &dyn Host) -> Result<()> {
        host.perform(&Effect::Unit { unit: id.name().into(), action: UnitAction::Start })
    }
    fn react(&self, id: &ResourceId, _: &bool, host: &dyn Host) -> Result<()> {
        host.perform(&Effect::Unit { unit: id.name().into(), action: UnitAction::Restart })
    }
}
