//! What of a site was exercised: its resources, and the branches of its Nickel code.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::config::{Branch, Branches};
use crate::diagnostic::Span;
use crate::graph::Graph;
use crate::id::ResourceId;
use crate::plan::Verdict;

use super::Run;

/// The resources of a site and those that a check has changed; its branches and those that a check has taken.
#[derive(Default)]
pub struct Coverage {
    covered: Mutex<Covered>,
    branches: Branches,
}

#[derive(Default)]
struct Covered {
    known: BTreeSet<(ResourceId, Option<Span>)>,
    changed: BTreeSet<ResourceId>,
}

impl Coverage {
    /// Of a site that has these branches. That it was looked through for them counts for nothing.
    pub(super) fn of_site_with(known: &Branches) -> Coverage {
        let coverage = Coverage::default();
        coverage.branches.know(known);
        coverage
    }

    /// What takes note of branches while a site is evaluated.
    pub(super) fn noting(&self) -> Branches {
        self.branches.clone()
    }

    pub(super) fn note(&self, run: &Run) {
        let mut covered = self.covered.lock().unwrap_or_else(PoisonError::into_inner);
        for step in &run.plan().steps {
            covered.known.insert((step.id.clone(), step.declared_at.clone()));
            if step.verdict != Verdict::InSync || step.reaction.is_some() {
                covered.changed.insert(step.id.clone());
            }
        }
    }

    pub(super) fn declared(&self, graph: &Graph) {
        let mut covered = self.covered.lock().unwrap_or_else(PoisonError::into_inner);
        for vertex in graph.vertices() {
            covered.known.insert((vertex.id.clone(), vertex.declared_at.cloned()));
        }
    }

    /// The resources that no check has changed, with where they were declared.
    pub fn untouched(&self) -> Vec<(ResourceId, Option<Span>)> {
        let covered = self.covered.lock().unwrap_or_else(PoisonError::into_inner);
        covered.known.iter().filter(|(id, span)| span.is_some() && !covered.changed.contains(id)).cloned().collect()
    }

    /// How many resources there are.
    pub fn resources(&self) -> usize {
        let covered = self.covered.lock().unwrap_or_else(PoisonError::into_inner);
        covered.known.iter().filter(|(_, span)| span.is_some()).count()
    }

    /// How many branches there are: arms of `if` and `match`, in the files of the site and those that they import.
    pub fn branches(&self) -> usize {
        self.branches.all().len()
    }

    /// The branches that no check has taken, in order of their places.
    pub fn untaken_branches(&self) -> Vec<Branch> {
        self.branches.untaken()
    }

    /// What could not be watched for branches, each with the reason.
    pub fn unwatched(&self) -> Vec<String> {
        self.branches.unwatched()
    }
}
