//! [`Branches`]: the arms of decisions in the Nickel code of a site, and those that evaluations took.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::diagnostic::Span;

/// The branches of a site, and those that evaluations have taken. Its clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct Branches(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    /// Whether each was taken.
    branches: BTreeMap<Branch, bool>,
    unwatched: BTreeSet<String>,
}

/// An arm of a decision, in a file of the site or one that it imports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Branch {
    /// Where it was written: what `then` or `else` lead to, or the pattern of a `match`.
    pub at: Span,
    /// What leads to it.
    pub kind: BranchKind,
    /// The condition of the `if`, or the pattern of the `match` with its guard, in one line.
    pub condition: String,
    /// The line of the source that it begins in.
    pub line: String,
}

/// What leads to a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BranchKind {
    /// The condition of an `if` holds.
    Then,
    /// It does not.
    Else,
    /// A `match` finds this pattern, and its guard holds.
    Match,
}

/// More of a condition than this is not shown: the place says the rest.
const SHOWN: usize = 60;

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.condition.char_indices().nth(SHOWN).map(|(end, _)| end);
        let condition = match end {
            Some(end) => format!("{} …", self.condition[..end].trim_end()),
            None => self.condition.clone(),
        };
        match self.kind {
            BranchKind::Then => write!(f, "if {condition} then …"),
            BranchKind::Else => write!(f, "if {condition} … else …"),
            BranchKind::Match => write!(f, "{condition} => …"),
        }
    }
}

impl Branches {
    /// Of a site that nothing has evaluated.
    pub fn new() -> Branches {
        Branches::default()
    }

    /// All that are known, in order of their places.
    pub fn all(&self) -> Vec<Branch> {
        self.noted().branches.keys().cloned().collect()
    }

    /// Those that no evaluation has taken.
    pub fn untaken(&self) -> Vec<Branch> {
        let noted = self.noted();
        noted.branches.iter().filter(|(_, taken)| !**taken).map(|(branch, _)| branch.clone()).collect()
    }

    /// The files that could not be watched, each with the reason: of their branches nothing is known.
    pub fn unwatched(&self) -> Vec<String> {
        self.noted().unwatched.iter().cloned().collect()
    }

    /// Takes over which branches there are, and not which were taken.
    #[cfg(feature = "testing")]
    pub(crate) fn know(&self, others: &Branches) {
        let (known, unwatched) = (others.all(), others.unwatched());
        known.into_iter().for_each(|branch| self.note(branch, false));
        unwatched.into_iter().for_each(|why| self.note_unwatched(why));
    }

    /// There is a branch, and an evaluation has taken it or not.
    pub(super) fn note(&self, branch: Branch, taken: bool) {
        *self.noted().branches.entry(branch).or_default() |= taken;
    }

    /// Something could not be watched.
    pub(super) fn note_unwatched(&self, why: String) {
        self.noted().unwatched.insert(why);
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
