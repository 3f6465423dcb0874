//! What has to be done once after all changes of some kind, whichever resources make them: so far `trigger:daemon-reload`.

use std::any::Any;

use serde_json::{Value, json};

use super::{Declaration, Spans};
use crate::claim::{Claim, Hold, Target};
use crate::effect::{Effect, PlatformEffect};
use crate::error::Result;
use crate::host::is_manager_input;
use crate::id::ResourceId;
use crate::policy::Common;
use crate::resource::{ApplyContext, CheckContext, DynResource, DynState, PlanContext, Stage};

/// Has the service manager read its unit files again, once per run in which a resource has changed one of them, before any service
/// is started. A run that dies before leaves a notification behind, as with every reaction.
struct DaemonReload;

fn id_of_daemon_reload() -> ResourceId {
    ResourceId::new("trigger", "daemon-reload")
}

/// Whether a resource comes with every site that has a use for it, so that no site can leave it out.
pub(crate) fn is_of_the_engine(id: &ResourceId) -> bool {
    *id == id_of_daemon_reload()
}

/// The declaration of `trigger:daemon-reload`, if a resource decides about what the service manager reads, or an earlier run has
/// left its notification pending.
pub(super) fn daemon_reload(declared: &[Declaration], is_pending: bool) -> Option<Declaration> {
    let subscribes: Vec<ResourceId> = declared
        .iter()
        .filter(|declaration| declaration.common.when.0 && decides_about_units(declaration))
        .map(|declaration| declaration.id.clone())
        .collect();
    let id = id_of_daemon_reload();
    let is_needed = (is_pending || !subscribes.is_empty()) && declared.iter().all(|declaration| declaration.id != id);
    is_needed.then(|| Declaration {
        id,
        resource: Box::new(DaemonReload),
        common: Common { subscribes, ..Common::default() },
        spans: Spans::default(),
        is_companion: true,
        is_valid: true,
    })
}

fn decides_about_units(declaration: &Declaration) -> bool {
    let claims = declaration.resource.claims(&declaration.id);
    claims.iter().any(|claim| match (&claim.target, claim.hold) {
        (Target::Path(path), Hold::Owns | Hold::Removes) => is_manager_input(path),
        _ => false,
    })
}

impl DynResource for DaemonReload {
    fn stage(&self) -> Stage {
        Stage::Units
    }
    fn claims(&self, _: &ResourceId) -> Vec<Claim> {
        Vec::new()
    }
    fn check(&self, _: &CheckContext<'_>) -> Result<DynState> {
        Ok(DynState::new(()))
    }
    fn plan(&self, _: &PlanContext<'_>, now: &DynState) -> Result<DynState> {
        Ok(now.clone())
    }
    fn apply(&self, _: &ApplyContext<'_>, _: &DynState, _: &DynState) -> Result<()> {
        Ok(())
    }
    fn react(&self, cx: &ApplyContext<'_>, _: &DynState) -> Result<()> {
        let host = cx.host();
        if host.is_running() {
            host.perform(&Effect::Platform(PlatformEffect::ReloadUnits))?;
        }
        Ok(())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn attributes(&self) -> Value {
        json!({})
    }
}
