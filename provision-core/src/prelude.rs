//! What most programs use, to be imported as a whole: `use provision_core::prelude::*;`.
//!
//! ```
//! use provision_core::prelude::*;
//!
//! /// The host name of a machine.
//! #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Hostname {}
//!
//! impl Resource for Hostname {
//!     const TYPE: &'static str = "hostname";
//!     type State = Option<String>;
//!
//!     fn check(&self, cx: &CheckContext<'_>) -> Result<Self::State> {
//!         Ok(cx.host().read_text("/etc/hostname")?.map(|text| text.trim().to_owned()))
//!     }
//!     fn plan(&self, cx: &PlanContext<'_>, _: &Self::State) -> Result<Self::State> {
//!         Ok(Some(cx.id().name().to_owned()))
//!     }
//!     fn apply(&self, cx: &ApplyContext<'_>, _: &Self::State, _: &Self::State) -> Result<()> {
//!         cx.host().write_text("/etc/hostname", &format!("{}\n", cx.id().name()))
//!     }
//! }
//!
//! let mut site = Site::new();
//! site.declare("web", Hostname {});
//! let report = Engine::open(provision_core::sim::SimHost::debian(13), Journal::new(MemoryStore::new()), Options::new("example"))?
//!     .plan(site, &PlanOptions::default())?
//!     .apply(&ApplyOptions::default(), &())?;
//! assert_eq!(report.counts.changed, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use crate::apply::{ApplyOptions, Cancel};
pub use crate::effect::{Command, Content, Effect};
pub use crate::engine::{Engine, Options, Preview};
pub use crate::error::{Error, ErrorKind, Result, ResultExt};
pub use crate::host::{Host, HostExt, HostView, HostViewExt, LocalHost};
pub use crate::journal::{Journal, MemoryStore};
pub use crate::observe::{Event, Observer};
pub use crate::path::{HostPath, Mode};
pub use crate::plan::{Plan, PlanOptions};
pub use crate::registry::Registry;
pub use crate::report::{Outcome, Report};
pub use crate::resource::{
    ApplyContext, AttributeError, CheckContext, Claim, PlanContext, Resource, ResourceId, Target,
};
pub use crate::rollback::RollbackOptions;
pub use crate::secret::Text;
pub use crate::site::{Entry, Handle, Site};
