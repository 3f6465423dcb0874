//! What the laws came to, and how that is shown.

use std::collections::BTreeMap;
use std::fmt;

use crate::testing::Failure;

use super::Law;
use super::case::Trial;

/// What trials of a law came to, while they go on.
#[derive(Default)]
pub(super) struct Notes {
    trials: usize,
    /// Cases in which nothing could be shown.
    without_trial: usize,
    breaches: Vec<Failure>,
}

impl Notes {
    pub(super) fn note(&mut self, case: &str, result: Trial) {
        match result {
            Ok(0) => self.without_trial += 1,
            Ok(count) => self.trials += count,
            Err(failure) => self.breaches.push(failure.in_case(case)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.trials == 0 && self.breaches.is_empty()
    }

    pub(super) fn verdict(self, of: &'static str, law: Law) -> Verdict {
        let irreversible = if law == Law::UndoIsExact { self.without_trial } else { 0 };
        Verdict { of, law, trials: self.trials, irreversible, breaches: self.breaches }
    }
}

/// What the laws came to.
#[derive(Default)]
pub struct Verdicts {
    pub(super) entries: Vec<Verdict>,
    pub(super) untried: Vec<&'static str>,
    pub(super) simulated_alone: BTreeMap<&'static str, usize>,
}

/// What a law came to for a type.
pub struct Verdict {
    /// The type.
    pub of: &'static str,
    /// The law.
    pub law: Law,
    /// How often it was tried.
    pub trials: usize,
    /// In how many cases something was done that cannot be taken back, so that [`Law::UndoIsExact`] was not tried.
    pub irreversible: usize,
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

    /// How many cases of a type were left out, because only a simulated host can begin like theirs.
    pub fn simulated_alone(&self, of: &str) -> usize {
        self.simulated_alone.get(of).copied().unwrap_or_default()
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
    #[track_caller]
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
        for Verdict { of, law, irreversible, .. } in self.entries.iter().filter(|verdict| verdict.irreversible > 0) {
            writeln!(f, "{law}: {irreversible} of the cases of {of} are irreversible")?;
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
