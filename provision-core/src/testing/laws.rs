//! The laws that every resource type keeps: one entry point for all of them, for this project's types and for others.
//!
//! An author writes cases: a host, and a declaration to bring about on it.
//!
//! ```
//! use provision_core::sim::SimHost;
//! use provision_core::testing::{Case, laws};
//! # use provision_core::error::Result;
//! # use provision_core::host::{Host, HostExt, HostView, HostViewExt};
//! # use provision_core::resource::{ApplyContext, CheckContext, PlanContext, Claim, Resource, ResourceId, Target};
//! # use provision_core::path::HostPath;
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
//! #     fn claims(&self, _: &ResourceId) -> Vec<Claim> {
//! #         HostPath::new("/etc/motd").map(|path| Claim::owns(Target::Path(path))).into_iter().collect()
//! #     }
//! # }
//! # fn motd(text: &str) -> Motd { Motd { text: text.to_owned() } }
//! laws::<Motd>([
//!     Case::new("absent", SimHost::debian(13), "greeting", motd("hello\n")),
//!     Case::new("drifted", SimHost::debian(13).with_file("/etc/motd", "old"), "greeting", motd("hello\n")),
//!     Case::new("in sync", SimHost::debian(13).with_file("/etc/motd", "hello\n"), "greeting", motd("hello\n")),
//! ]);
//! ```

mod acting;
mod case;
mod claims;
#[cfg(feature = "nickel")]
mod contract;
mod declaring;
mod ground;
mod life;
mod looking;
mod part;
mod secrets;
mod verdicts;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::registry::Registry;
use crate::resource::Resource;

use super::Failure;
use super::table::said;

pub use case::Case;
use case::{Trial, TypeCases};
use ground::Simulated;
pub use ground::{Extent, Ground, Part};
use verdicts::Notes;
pub use verdicts::{Verdict, Verdicts};

/// A law that every resource type keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Law {
    /// The host before and after `check` is equal; two checks are equal.
    LookingNeverWrites,
    /// `plan(plan(s)) == plan(s)`.
    PlanIsIdempotent,
    /// The effects that were planned are those that are performed, and after them the promised state is there.
    ThePlanIsWhatHappens,
    /// The second converge has no effect at all.
    TheSecondRunIsQuiet,
    /// After a death at any effect, with or without the power, the next run converges and no notification is lost.
    ACrashIsSurvived,
    /// At every crash point each file is wholly old or wholly new.
    NoTornFiles,
    /// What is changed is covered by `claims`.
    NothingOutsideItsClaims,
    /// An effect that fails makes `apply` fail.
    FailuresAreReported,
    /// The contract in Nickel accepts what the Rust type accepts.
    ContractAndTypeAgree,
    /// Declaration and state survive JSON; unknown fields are refused.
    RoundTripAndClosed,
    /// On an empty host `check` gives a state or an error, and never panics.
    AnEmptyWorldIsSurvived,
    /// A secret appears in no event, plan, diff, journal, report, `Debug` or argument.
    SecretsStayIn,
    /// Applied and undone, the host is as before.
    UndoIsExact,
    /// Independent resources commute.
    OrderDoesNotMatter,
}

impl Law {
    /// All of them, in their order.
    pub const ALL: [Law; 14] = [
        Law::LookingNeverWrites,
        Law::PlanIsIdempotent,
        Law::ThePlanIsWhatHappens,
        Law::TheSecondRunIsQuiet,
        Law::ACrashIsSurvived,
        Law::NoTornFiles,
        Law::NothingOutsideItsClaims,
        Law::FailuresAreReported,
        Law::ContractAndTypeAgree,
        Law::RoundTripAndClosed,
        Law::AnEmptyWorldIsSurvived,
        Law::SecretsStayIn,
        Law::UndoIsExact,
        Law::OrderDoesNotMatter,
    ];

    /// Its number, from 1.
    pub fn number(self) -> usize {
        Law::ALL.iter().position(|law| *law == self).map_or(0, |place| place + 1)
    }

    fn says(self) -> &'static str {
        match self {
            Law::LookingNeverWrites => "looking never writes, and repeats",
            Law::PlanIsIdempotent => "plan is idempotent",
            Law::ThePlanIsWhatHappens => "the plan is what happens",
            Law::TheSecondRunIsQuiet => "the second run is quiet",
            Law::ACrashIsSurvived => "a crash is survived",
            Law::NoTornFiles => "no torn files",
            Law::NothingOutsideItsClaims => "nothing outside its claims",
            Law::FailuresAreReported => "failures are reported",
            Law::ContractAndTypeAgree => "contract and type agree",
            Law::RoundTripAndClosed => "round trip, closed",
            Law::AnEmptyWorldIsSurvived => "an empty world is survived",
            Law::SecretsStayIn => "secrets stay in",
            Law::UndoIsExact => "undo is exact",
            Law::OrderDoesNotMatter => "order does not matter",
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number(), self.says())
    }
}

/// The types of a registry with their cases.
pub struct Laws {
    registry: Registry,
    types: BTreeMap<&'static str, TypeCases>,
}

impl Laws {
    /// The laws for all types of a registry. One without cases breaks them all.
    pub fn new(registry: Registry) -> Laws {
        Laws { registry, types: BTreeMap::new() }
    }

    /// With cases of a type, beside those that it has already. A type that the registry does not have comes into it.
    #[must_use]
    pub fn of<R: Resource>(mut self, cases: impl IntoIterator<Item = Case<R>>) -> Laws {
        if self.registry.stage(R::TYPE).is_none() {
            self.registry = self.registry.with::<R>();
        }
        let known = self.types.entry(R::TYPE).or_insert_with(TypeCases::new::<R>);
        known.cases.extend(cases.into_iter().map(Case::erased));
        self
    }

    /// Tries every law with every type, on simulated hosts.
    pub fn try_all(&self) -> Verdicts {
        self.try_on(&Simulated)
    }

    /// Tries the laws with every type on other hosts: those laws that are about a host, and as much as the ground says.
    pub fn try_on(&self, ground: &dyn Ground) -> Verdicts {
        let mut verdicts = Verdicts::default();
        for name in self.registry.names() {
            match self.types.get(name) {
                None => verdicts.untried.push(name),
                Some(cases) if cases.cases.is_empty() => verdicts.untried.push(name),
                Some(cases) => match ground.extent() {
                    Extent::Whole => self.try_type(name, cases, ground, &mut verdicts),
                    Extent::Part(part) => part::try_type(name, cases, part, ground, &mut verdicts),
                },
            }
        }
        verdicts
    }

    fn try_type(&self, name: &'static str, cases: &TypeCases, ground: &dyn Ground, verdicts: &mut Verdicts) {
        for law in Law::ALL {
            let mut notes = Notes::default();
            match law {
                Law::ContractAndTypeAgree => {
                    #[cfg(feature = "nickel")]
                    notes.note("declarations", caught(|| contract::agrees(&self.registry, name, cases)));
                }
                Law::RoundTripAndClosed => {
                    notes.note("declarations", caught(|| declaring::round_trip_and_closed(cases)));
                }
                Law::PlanIsIdempotent => notes.note("states", caught(|| looking::plan_is_idempotent(cases))),
                Law::OrderDoesNotMatter => notes.note("pairs", caught(|| acting::in_every_order(cases))),
                _ => {
                    for case in &cases.cases {
                        let result = caught(|| match law {
                            Law::ACrashIsSurvived => acting::a_crash_is_survived(case),
                            Law::NoTornFiles => acting::no_torn_files(case),
                            Law::FailuresAreReported => {
                                acting::failures_are_reported(case, &acting::FAILURES, usize::MAX, ground)
                            }
                            Law::AnEmptyWorldIsSurvived => looking::an_empty_world_is_survived(case, ground),
                            Law::SecretsStayIn => secrets::stay_in(case, usize::MAX, ground),
                            _ => life::step(case, law, ground),
                        });
                        notes.note(&case.name, result);
                    }
                }
            }
            if law == Law::SecretsStayIn && notes.is_empty() && secrets::can_be_named(cases) {
                notes.note("cases", Err(Failure::new("none can hold a secret, and an attribute can name one")));
            }
            verdicts.entries.push(notes.verdict(name, law));
        }
    }
}

/// Tries something; a panic breaks the law that is tried.
fn caught(trial: impl FnOnce() -> Trial) -> Trial {
    let panics = |panic: Box<dyn Any + Send>| Err(Failure::new(format!("it panics: {}", said(&*panic))));
    catch_unwind(AssertUnwindSafe(trial)).unwrap_or_else(panics)
}

/// Tries every law with one type.
///
/// # Panics
/// It breaks one.
#[track_caller]
pub fn laws<R: Resource>(cases: impl IntoIterator<Item = Case<R>>) {
    Laws::new(Registry::new().with::<R>()).of(cases).try_all().assert();
}
