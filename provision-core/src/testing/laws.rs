//! The laws that every resource type keeps: one entry point for all of them, for this project's types and for others.
//!
//! An author writes cases: a host, and a declaration to bring about on it.
//!
//! ```
//! use provision_core::host::SimHost;
//! use provision_core::testing::{Case, laws};
//! # use provision_core::error::Result;
//! # use provision_core::host::{Host, HostExt, HostView, HostViewExt};
//! # use provision_core::resource::{Claim, Resource, ResourceId, Target};
//! # use provision_core::path::HostPath;
//! # #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
//! # #[serde(deny_unknown_fields)]
//! # struct Motd { text: String }
//! # impl Resource for Motd {
//! #     const TYPE: &'static str = "motd";
//! #     type State = Option<String>;
//! #     fn check(&self, _: &ResourceId, host: &dyn HostView) -> Result<Self::State> { host.read_text("/etc/motd") }
//! #     fn plan(&self, _: &ResourceId, _: &Self::State) -> Result<Self::State> { Ok(Some(self.text.clone())) }
//! #     fn apply(&self, _: &ResourceId, _: &Self::State, _: &Self::State, host: &dyn Host) -> Result<()> {
//! #         host.write_text("/etc/motd", &self.text)
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
#[cfg(feature = "nickel")]
mod contract;
mod declaring;
mod looking;
mod secrets;

use std::collections::BTreeMap;
use std::fmt;

use crate::registry::Registry;
use crate::resource::Resource;

use super::Failure;

pub use case::Case;
use case::{Trial, TypeCases};

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
    /// After a death at any effect, with or without the power, the next run converges and nothing owed is lost.
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

    /// With cases of a type.
    #[must_use]
    pub fn of<R: Resource>(mut self, cases: impl IntoIterator<Item = Case<R>>) -> Laws {
        let cases = cases.into_iter().map(Case::erased).collect();
        self.types.insert(R::TYPE, TypeCases::new::<R>(cases));
        self
    }

    /// Tries every law with every type.
    pub fn try_all(&self) -> Verdicts {
        let mut verdicts = Verdicts::default();
        for name in self.registry.names() {
            match self.types.get(name) {
                Some(cases) => self.try_type(name, cases, &mut verdicts),
                None => verdicts.untried.push(name),
            }
        }
        verdicts
    }

    fn try_type(&self, name: &'static str, cases: &TypeCases, verdicts: &mut Verdicts) {
        for law in Law::ALL {
            let (mut trials, mut breaches) = (0, Vec::new());
            let mut note = |case: &str, result: Trial| match result {
                Ok(count) => trials += count,
                Err(failure) => breaches.push(failure.in_case(case)),
            };
            match law {
                Law::ContractAndTypeAgree => {
                    #[cfg(feature = "nickel")]
                    note("declarations", contract::agrees(&self.registry, name, cases));
                }
                Law::RoundTripAndClosed => note("declarations", declaring::round_trip_and_closed(cases)),
                Law::PlanIsIdempotent => note("states", looking::plan_is_idempotent(cases)),
                Law::OrderDoesNotMatter => note("pairs", acting::order_does_not_matter(cases)),
                _ => {
                    for case in &cases.cases {
                        let result = match law {
                            Law::LookingNeverWrites => looking::looking_never_writes(case),
                            Law::ThePlanIsWhatHappens => acting::the_plan_is_what_happens(case),
                            Law::TheSecondRunIsQuiet => acting::the_second_run_is_quiet(case),
                            Law::ACrashIsSurvived => acting::a_crash_is_survived(case),
                            Law::NoTornFiles => acting::no_torn_files(case),
                            Law::NothingOutsideItsClaims => acting::nothing_outside_its_claims(case),
                            Law::FailuresAreReported => acting::failures_are_reported(case),
                            Law::AnEmptyWorldIsSurvived => looking::an_empty_world_is_survived(case),
                            Law::SecretsStayIn => secrets::stay_in(case),
                            _ => acting::undo_is_exact(case),
                        };
                        note(&case.name, result);
                    }
                }
            }
            if law == Law::SecretsStayIn && trials == 0 && breaches.is_empty() && secrets::can_be_named(cases) {
                breaches.push(Failure::new("no case can hold a secret, and an attribute can name one"));
            }
            verdicts.entries.push(Verdict { of: name, law, trials, breaches });
        }
    }
}

/// What the laws came to.
#[derive(Default)]
pub struct Verdicts {
    entries: Vec<Verdict>,
    untried: Vec<&'static str>,
}

/// What a law came to for a type.
pub struct Verdict {
    /// The type.
    pub of: &'static str,
    /// The law.
    pub law: Law,
    /// How often it was tried.
    pub trials: usize,
    /// Where it was broken.
    pub breaches: Vec<Failure>,
}

impl Verdicts {
    /// One for each type and law.
    pub fn entries(&self) -> &[Verdict] {
        &self.entries
    }

    /// The types of the registry that have no cases.
    pub fn untried(&self) -> &[&'static str] {
        &self.untried
    }

    /// The laws that are broken.
    pub fn broken(&self) -> Vec<Law> {
        let mut laws: Vec<Law> =
            self.entries.iter().filter(|verdict| !verdict.breaches.is_empty()).map(|verdict| verdict.law).collect();
        laws.sort_unstable();
        laws.dedup();
        laws
    }

    /// Whether every type keeps every law.
    pub fn all_kept(&self) -> bool {
        self.untried.is_empty() && self.broken().is_empty()
    }

    /// Asserts that every type keeps every law.
    ///
    /// # Panics
    /// With every breach, and the table.
    pub fn assert(&self) {
        assert!(self.all_kept(), "{self}");
    }
}

/// How often each law was tried for each type; then every breach.
impl fmt::Display for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut types: Vec<&str> = self.entries.iter().map(|verdict| verdict.of).collect();
        types.dedup();
        write!(f, "{:36}", "")?;
        types.iter().try_for_each(|name| write!(f, " {name:>15}"))?;
        writeln!(f)?;
        for law in Law::ALL {
            write!(f, "{:36}", law.to_string())?;
            for name in &types {
                let found = self.entries.iter().find(|verdict| verdict.of == *name && verdict.law == law);
                let cell = match found {
                    Some(verdict) if !verdict.breaches.is_empty() => "BROKEN".to_owned(),
                    Some(verdict) => verdict.trials.to_string(),
                    None => String::new(),
                };
                write!(f, " {cell:>15}")?;
            }
            writeln!(f)?;
        }
        for name in &self.untried {
            writeln!(f, "\n{name} has no cases: give some with `Laws::of`")?;
        }
        for verdict in &self.entries {
            for breach in &verdict.breaches {
                writeln!(f, "\n{} breaks the law {}: {breach}", verdict.of, verdict.law)?;
            }
        }
        Ok(())
    }
}

/// Tries every law with one type.
///
/// # Panics
/// It breaks one.
pub fn laws<R: Resource>(cases: impl IntoIterator<Item = Case<R>>) {
    Laws::new(Registry::new().with::<R>()).of(cases).try_all().assert();
}
