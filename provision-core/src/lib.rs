//! The engine of `provision`: typed resources, plans made of plain effects, and hosts that carry them out.
//!
//! A [`Resource`](resource::Resource) says how one thing on a host should be. A [`Site`](site::Site) holds many of them;
//! its [`Graph`](graph::Graph) orders them and makes a [`Plan`](plan::Plan) on a model of the host. An [`Engine`](engine::Engine)
//! is the safe way from there to a host that is as declared: it locks, plans, writes down, applies, and takes back. A host is
//! a real one ([`LocalHost`](host::LocalHost)), a directory, or a simulated Debian ([`SimHost`](sim::SimHost)): the code of
//! a resource type is the same for all.
//!
//! This crate knows no apt and no systemd; `provision-resources` brings Debian's types, and the platform for real hosts.
//!
//! ```
//! use provision_core::sim::SimHost;
//! use provision_core::prelude::*;
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! /// The message of the day.
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Motd {
//!     /// What people read when they log in.
//!     text: String,
//! }
//!
//! impl Resource for Motd {
//!     const TYPE: &'static str = "motd";
//!     type State = Option<String>;
//!
//!     fn check(&self, cx: &CheckContext<'_>) -> Result<Self::State> {
//!         cx.host().read_text("/etc/motd")
//!     }
//!     fn plan(&self, _: &PlanContext<'_>, _: &Self::State) -> Result<Self::State> {
//!         Ok(Some(self.text.clone()))
//!     }
//!     fn apply(&self, cx: &ApplyContext<'_>, _: &Self::State, _: &Self::State) -> Result<()> {
//!         cx.host().write_text("/etc/motd", &self.text)
//!     }
//!     fn claims(&self, _: &ResourceId) -> Vec<Claim> {
//!         HostPath::new("/etc/motd").map(|path| Claim::owns(Target::Path(path))).into_iter().collect()
//!     }
//! }
//!
//! let mut site = Site::new();
//! site.declare("greeting", Motd { text: "hello\n".into() });
//!
//! let host = SimHost::debian(12);
//! let engine = Engine::open(&host, Journal::new(MemoryStore::new()), Options::new("mytool"))?;
//! let prepared = engine.plan(site, &PlanOptions::default())?;
//! assert_eq!(prepared.plan().steps[0].effects[0].to_string(), "write /etc/motd");
//!
//! let report = prepared.apply(&ApplyOptions::default(), &())?;
//! assert!(report.is_success());
//! assert_eq!(host.read_text("/etc/motd")?.as_deref(), Some("hello\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Simulated hosts come with the feature `sim`; a program that works on real hosts alone is smaller without it.
//!
//! The feature `nickel`, which is on by default, links code under LGPL-3.0-only: `malachite`, through `nickel-lang-core`.
//! Without it all that is linked is under permissive licences.

pub mod apply;
pub mod bytes;
mod canonical;
mod change;
mod claim;
#[cfg(feature = "nickel")]
pub mod config;
mod declaration;
pub mod diagnostic;
pub mod duration;
pub mod effect;
pub mod engine;
pub mod error;
pub mod facts;
mod format;
pub mod fragment;
#[cfg(test)]
mod golden;
pub mod graph;
pub mod held;
pub mod host;
mod id;
pub mod journal;
pub mod located;
pub mod moment;
pub mod observe;
pub mod path;
pub mod plan;
mod policy;
pub mod prelude;
mod prune;
mod random;
pub mod registry;
mod regular;
pub mod report;
pub mod resource;
pub mod rollback;
mod run;
pub mod secret;
mod shared;
#[cfg(feature = "sim")]
pub mod sim;
pub mod site;
mod source;
mod state;
#[cfg(feature = "testing")]
pub mod testing;
mod undo;
pub mod version;
