//! What a test suite uses: sites that are converged on simulated hosts, in milliseconds and without a machine.
//!
//! ```
//! use provision_core::sim::SimHost;
//! use provision_core::testing::Site;
//! # use provision_core::error::Result;
//! # use provision_core::host::{Host, HostExt, HostView, HostViewExt};
//! # use provision_core::registry::Registry;
//! # use provision_core::resource::{ApplyContext, CheckContext, PlanContext, Claim, Resource, ResourceId, Target};
//! # #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
//! # #[serde(deny_unknown_fields)]
//! # struct Motd { text: String }
//! # impl Resource for Motd {
//! #     const TYPE: &'static str = "motd";
//! #     type State = Option<String>;
//! #     fn check(&self, cx: &CheckContext<'_>) -> Result<Self::State> { cx.host().read_text("/etc/motd") }
//! #     fn plan(&self, _: &PlanContext<'_>, _: &Self::State) -> Result<Self::State> { Ok(Some(self.text.clone())) }
//! #     fn apply(&self, cx: &ApplyContext<'_>, _: &Self::State, _: &Self::State) -> Result<()> {
//! #         cx.host().write_text("/etc/motd", &self.text)
//! #     }
//! # }
//! let registry = Registry::new().with::<Motd>();
//! # #[cfg(feature = "nickel")] {
//! let site = Site::text(&registry, "{ resources.motd.greeting.text = \"hello\\n\" }");
//!
//! let host = SimHost::debian(13).with_file("/etc/motd", "old");
//! let run = site.converge(&host)?;
//! assert!(run.has_changed("motd:greeting"));
//! assert_eq!(host.file("/etc/motd").text(), "hello\n");
//!
//! provision_core::assert_idempotent!(site, SimHost::debian(13));
//! provision_core::assert_survives_every_fault!(site, SimHost::debian(13));
//! provision_core::assert_rolls_back!(site, SimHost::debian(13));
//! # }
//! # Ok::<(), provision_core::testing::Failure>(())
//! ```

mod checks;
#[cfg(feature = "nickel")]
mod coverage;
mod drift;
#[cfg(feature = "nickel")]
mod expect;
mod failure;
mod faults;
#[cfg(feature = "nickel")]
mod furnish;
mod laws;
mod packages_alone;

mod run;
mod site;
#[cfg(feature = "nickel")]
mod start;
#[cfg(feature = "nickel")]
mod suite;
mod table;
mod tried;

pub use checks::{idempotent, in_any_order, rolls_back};
#[cfg(feature = "nickel")]
pub use coverage::Coverage;
pub use drift::drift;
pub use failure::Failure;
pub use faults::{Survived, survives_every_fault};
#[cfg(feature = "nickel")]
pub use furnish::furnish;
pub use laws::{Case, Extent, Ground, Law, Laws, Part, Verdict, Verdicts, laws};
pub use run::Run;
pub use site::Site;
#[cfg(feature = "nickel")]
pub use start::{facts_of, starting};
#[cfg(feature = "nickel")]
pub use suite::{Check, Suite, SuiteOptions};
pub use table::{Row, each};
pub use tried::{Observed, Tried, Watched};

/// The releases of Debian that were recorded.
pub const RELEASES: [u32; 2] = [12, 13];

/// Asserts that a second converge has nothing to do: `assert_idempotent!(site, host)`.
///
/// # Panics
/// With the plan of the second run, the first difference and the line of the site.
#[macro_export]
macro_rules! assert_idempotent {
    ($site:expr, $host:expr $(,)?) => {
        if let Err(failure) = $site.is_idempotent(&$host) {
            panic!("{failure}");
        }
    };
}

/// Asserts that a run can die and fail at each of its effects, that the next one then converges, and that nothing that
/// was pending is lost: `assert_survives_every_fault!(site, host)`.
///
/// # Panics
/// With the fault, the plan, the first difference and the line of the site.
#[macro_export]
macro_rules! assert_survives_every_fault {
    ($site:expr, $host:expr $(,)?) => {
        if let Err(failure) = $site.survives_every_fault(&$host) {
            panic!("{failure}");
        }
    };
}

/// Asserts that a run can be undone, and that the host is then as it was: `assert_rolls_back!(site, host)`.
///
/// # Panics
/// With the plan, the first difference and the line of the site.
#[macro_export]
macro_rules! assert_rolls_back {
    ($site:expr, $host:expr $(,)?) => {
        if let Err(failure) = $site.rolls_back(&$host) {
            panic!("{failure}");
        }
    };
}

/// Asserts that independent resources can come in any order: `assert_order_does_not_matter!(site, host)`.
///
/// # Panics
/// With the order, the first difference and the line of the site.
#[macro_export]
macro_rules! assert_order_does_not_matter {
    ($site:expr, $host:expr $(,)?) => {
        if let Err(failure) = $site.converges_in_any_order(&$host) {
            panic!("{failure}");
        }
    };
}
