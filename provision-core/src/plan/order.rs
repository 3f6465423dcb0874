//! Which steps wait for which, beside the edges of the graph: a step waits for the last writer of whatever its effects touch
//! or its `check` has read. So two resources that edit one thing never lose each other's change, whatever runs at once.

use std::collections::BTreeSet;
use std::ops::Bound;

use foldhash::HashMap;

use super::{Step, Verdict};
use crate::effect::{Effect, PathChange, Touched};
use crate::path::HostPath;

/// What a step waits for.
#[derive(Clone, Debug, Default)]
pub(crate) struct WaitsFor {
    /// All steps that it waits for, sorted.
    pub(crate) steps: Vec<usize>,
    /// Those of them without whose success it has to be decided anew, sorted: its effects were made from what they leave.
    pub(crate) rests_on: Vec<usize>,
}

/// The last writer of each thing, by number of the step.
#[derive(Default)]
pub(super) struct Writers {
    paths: HashMap<HostPath, usize>,
    /// The same paths, sorted: what lies beneath a tree that goes.
    sorted: BTreeSet<HostPath>,
    units: HashMap<String, usize>,
    service_manager: Option<usize>,
    packages: Option<usize>,
    /// What a user or group may become depends on other users and groups.
    accounts: Option<usize>,
    /// A step whose consequences are not known: all later ones wait for it, and it waits for all earlier ones.
    barrier: Option<usize>,
    /// The steps since then that change something.
    since_barrier: Vec<usize>,
}

impl Writers {
    /// Finds what a step waits for, and notes what it writes. `reads` are the paths that it has read on the model; `real` gives
    /// a path without links on the way.
    pub(super) fn enter(
        &mut self,
        number: usize,
        step: &Step,
        reads: &[HostPath],
        real: &dyn Fn(&HostPath) -> HostPath,
    ) -> WaitsFor {
        let reactions = step.reaction.iter().flat_map(|reaction| &reaction.effects);
        let effects: Vec<&Effect> = step.effects.iter().chain(reactions).collect();
        let is_undecided = matches!(step.verdict, Verdict::Deferred { .. });
        if effects.is_empty() && !is_undecided {
            return WaitsFor::default();
        }
        let touched: Vec<Touched<'_>> = effects.iter().flat_map(|effect| effect.touches()).collect();
        let mut rests_on = BTreeSet::new();
        let mut after = BTreeSet::from_iter(self.barrier);
        for path in reads {
            self.writers_of(path, real, &mut rests_on);
        }
        for thing in &touched {
            self.find(thing, real, &mut rests_on, &mut after);
        }
        if is_undecided || touched.iter().any(|thing| matches!(thing, Touched::Anything(_))) {
            after.extend(std::mem::take(&mut self.since_barrier));
            self.barrier = Some(number);
        } else {
            self.since_barrier.push(number);
        }
        for thing in &touched {
            self.note(thing, number, real);
        }
        after.extend(&rests_on);
        WaitsFor { steps: after.into_iter().collect(), rests_on: rests_on.into_iter().collect() }
    }

    /// The writers of a path and of all directories above it.
    fn writers_of(&self, path: &HostPath, real: &dyn Fn(&HostPath) -> HostPath, found: &mut BTreeSet<usize>) {
        if self.paths.is_empty() {
            return;
        }
        let mut look = |path: &HostPath| {
            found.extend(self.paths.get(path));
            found.extend(path.ancestor_texts().filter_map(|above| self.paths.get(above)));
        };
        look(path);
        let place = real(path);
        if place != *path {
            look(&place);
        }
    }

    fn find(
        &self,
        thing: &Touched<'_>,
        real: &dyn Fn(&HostPath) -> HostPath,
        rests_on: &mut BTreeSet<usize>,
        after: &mut BTreeSet<usize>,
    ) {
        match thing {
            Touched::Path { path, change } => {
                self.writers_of(path, real, rests_on);
                match change {
                    PathChange::Removed | PathChange::TreeRemoved => after.extend(self.beneath(&real(path))),
                    PathChange::Metadata | PathChange::Replaced => {}
                }
            }
            Touched::User(_) | Touched::Group(_) | Touched::UsersOf(_) => after.extend(self.accounts),
            Touched::Home { home, .. } => {
                after.extend(self.accounts);
                home.iter().for_each(|home| self.writers_of(home, real, after));
            }
            Touched::Packages(_) | Touched::PackageDatabase | Touched::PackageLists => after.extend(self.packages),
            Touched::Unit { unit, .. } => {
                after.extend(self.units.get(*unit));
                after.extend(self.service_manager);
            }
            Touched::ServiceManager => after.extend(self.service_manager),
            // It waits for all.
            Touched::Anything(_) => {}
        }
    }

    /// The writers of what lies in a directory.
    fn beneath<'s>(&'s self, directory: &HostPath) -> impl Iterator<Item = usize> + use<'s> {
        let within = [directory.as_str().trim_end_matches('/'), "/"].concat();
        let all = self.sorted.range::<str, _>((Bound::Excluded(within.as_str()), Bound::Unbounded));
        all.take_while(move |path| path.as_str().starts_with(&within)).filter_map(|path| self.paths.get(path).copied())
    }

    fn note(&mut self, thing: &Touched<'_>, number: usize, real: &dyn Fn(&HostPath) -> HostPath) {
        match thing {
            Touched::Path { path, .. } => self.note_path(real(path), number),
            Touched::User(_) | Touched::Group(_) | Touched::UsersOf(_) => self.accounts = Some(number),
            Touched::Home { home, .. } => {
                self.accounts = Some(number);
                home.iter().for_each(|home| self.note_path(real(home), number));
            }
            Touched::Packages(_) | Touched::PackageDatabase | Touched::PackageLists => self.packages = Some(number),
            Touched::Unit { unit, .. } => drop(self.units.insert((*unit).to_owned(), number)),
            Touched::ServiceManager => self.service_manager = Some(number),
            Touched::Anything(_) => {}
        }
    }

    fn note_path(&mut self, path: HostPath, number: usize) {
        self.sorted.insert(path.clone());
        self.paths.insert(path, number);
    }
}
