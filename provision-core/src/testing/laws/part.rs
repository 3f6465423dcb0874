//! The laws that are about a host, on hosts that take their time: several laws on one, and some of the faults.

use std::collections::BTreeMap;

use crate::testing::Failure;
use crate::testing::faults::{Shown, Sweep, Well};

use super::case::{ErasedCase, TypeCases};
use super::ground::{Ground, Part};
use super::life::Life;
use super::verdicts::{Notes, Verdicts};
use super::{Law, acting, looking, secrets};

/// The laws that say nothing of a host.
const OF_DECLARATIONS: [Law; 2] = [Law::ContractAndTypeAgree, Law::RoundTripAndClosed];

/// Tries the laws with a type.
pub(super) fn try_type(
    name: &'static str,
    cases: &TypeCases,
    part: Part,
    ground: &dyn Ground,
    verdicts: &mut Verdicts,
) {
    let mut trials = Trials::default();
    let mut left_out = 0;
    for case in &cases.cases {
        match case.host.only_simulated() {
            Some(_) => left_out += 1,
            None => trials.try_case(case, part, ground),
        }
    }
    trials.of(Law::OrderDoesNotMatter).note("pairs", acting::in_some_orders(cases, part.orders, ground));
    verdicts.simulated_alone.insert(name, left_out);
    let about_hosts = Law::ALL.into_iter().filter(|law| !OF_DECLARATIONS.contains(law));
    verdicts.entries.extend(about_hosts.map(|law| trials.notes.remove(&law).unwrap_or_default().verdict(name, law)));
}

#[derive(Default)]
struct Trials {
    notes: BTreeMap<Law, Notes>,
    /// A case that brings packages has met its deaths.
    with_packages: bool,
}

impl Trials {
    fn of(&mut self, law: Law) -> &mut Notes {
        self.notes.entry(law).or_default()
    }

    fn try_case(&mut self, case: &ErasedCase, part: Part, ground: &dyn Ground) {
        let mut law = Law::LookingNeverWrites;
        match self.live(case, ground, &mut law) {
            Ok(Some(well)) => {
                law = Law::ACrashIsSurvived;
                if let Err(failure) = self.meet_faults(case, part, &well, ground) {
                    self.of(law).note(&case.name, Err(failure));
                }
            }
            Ok(None) => {}
            Err(failure) => self.of(law).note(&case.name, Err(failure)),
        }
        let failed = acting::failures_are_reported(case, &acting::FAILURES[..1], part.crash_points, ground);
        self.of(Law::FailuresAreReported).note(&case.name, failed);
        self.of(Law::SecretsStayIn).note(&case.name, secrets::stay_in(case, part.crash_points, ground));
        self.of(Law::AnEmptyWorldIsSurvived).note(&case.name, looking::an_empty_world_is_survived(case, ground));
    }

    /// Tries on one host what it can show one after another; gives the run on it. `at` is the law that is being tried.
    fn live(&mut self, case: &ErasedCase, ground: &dyn Ground, at: &mut Law) -> Result<Option<Well>, Failure> {
        let graph = case.graph()?;
        let mut well = None;
        ground.try_on(&case.host, &mut |host| {
            let mut life = Life::new(case, &graph, host)?;
            for law in Life::LAWS {
                *at = law;
                let count = life.step(law)?;
                self.of(law).note(&case.name, Ok(count));
            }
            well = life.into_well();
            Ok(())
        })?;
        Ok(well)
    }

    fn meet_faults(&mut self, case: &ErasedCase, part: Part, well: &Well, ground: &dyn Ground) -> Result<(), Failure> {
        let graph = case.graph()?;
        let (faults, points) = match case.brings_packages()? {
            true if self.with_packages => return Ok(()),
            true => (part.deaths_with_packages, 1),
            false => (part.deaths, part.crash_points),
        };
        self.with_packages |= case.brings_packages()?;
        let sweep = Sweep { faults, points, power: false, looks_at_files: true };
        sweep.over(&graph, well, &|attempt| ground.try_on(&case.host, attempt), &mut |shown, result| {
            let law = match (&result, shown) {
                (Err(_), Shown::Silence) => Law::FailuresAreReported,
                (Err(_), Shown::Torn) => Law::NoTornFiles,
                (Err(_), Shown::Lost) => Law::ACrashIsSurvived,
                (Ok(()), _) => {
                    self.of(Law::NoTornFiles).note(&case.name, Ok(1));
                    Law::ACrashIsSurvived
                }
            };
            self.of(law).note(&case.name, result.map(|()| 1));
            Ok(())
        })
    }
}
