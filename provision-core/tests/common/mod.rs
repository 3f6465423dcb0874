//! Two small resource types of a third party.

use provision_core::effect::{Command, Effect, PlatformEffect, UnitAction};
use provision_core::error::Result;
use provision_core::host::{HostExt, HostViewExt};
use provision_core::path::HostPath;
use provision_core::resource::{ApplyContext, CheckContext, Claim, PlanContext, Resource, ResourceId, Stage, Target};
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
    fn check(&self, cx: &CheckContext<'_>) -> Result<Self::State> {
        cx.host().read_text(cx.id().name())
    }
    fn plan(&self, _: &PlanContext<'_>, _: &Self::State) -> Result<Self::State> {
        Ok(Some(self.text.clone()))
    }
    fn apply(&self, cx: &ApplyContext<'_>, _: &Self::State, _: &Self::State) -> Result<()> {
        let host = cx.host();
        if self.text == "bad" {
            host.run(Command::new(["fails"]))?;
        }
        host.write_text(cx.id().name(), &self.text)
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
    fn check(&self, cx: &CheckContext<'_>) -> Result<bool> {
        Ok(cx.host().unit(cx.id().name())?.is_active())
    }
    fn plan(&self, _: &PlanContext<'_>, _: &bool) -> Result<bool> {
        Ok(true)
    }
    fn apply(&self, cx: &ApplyContext<'_>, _: &bool, _: &bool) -> Result<()> {
        cx.host()
            .perform(&Effect::Platform(PlatformEffect::Unit { unit: cx.id().name().into(), action: UnitAction::Start }))
    }
    fn react(&self, cx: &ApplyContext<'_>, _: &bool) -> Result<()> {
        cx.host().perform(&Effect::Platform(PlatformEffect::Unit {
            unit: cx.id().name().into(),
            action: UnitAction::Restart,
        }))
    }
}
