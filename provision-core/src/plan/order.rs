//! Which steps wait for which, beside the edges of the graph: a step waits for the last writer of whatever its effects touch
//! or its `check` has read, and a writer for those that have read what it writes. So two resources that edit one thing never lose each other's change, whatever runs at once.

use std::collections::{BTreeMap, BTreeSet};
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
    paths: BTreeMap<HostPath, usize>,
    /// The steps that have read a path since it was last written.
    readers: BTreeMap<HostPath, Vec<usize>>,
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
        let reactions = || step.reaction.iter().flat_map(|reaction| &reaction.effects);
        // There may be hundreds of thousands, so they are not collected.
        let touched = || step.effects.iter().chain(reactions()).flat_map(Effect::touches);
        let is_undecided = matches!(step.verdict, Verdict::Deferred { .. });
        if step.effects.is_empty() && reactions().next().is_none() && !is_undecided {
            return WaitsFor::default();
        }
        let mut rests_on = BTreeSet::new();
        let mut after = BTreeSet::from_iter(self.barrier);
        for path in reads {
            self.writers_of(path, real, &mut rests_on);
        }
        let mut is_barrier = is_undecided;
        for thing in touched() {
            is_barrier |= matches!(thing, Touched::Anything(_));
            self.find(&thing, real, &mut rests_on, &mut after);
        }
        if is_barrier {
            after.extend(std::mem::take(&mut self.since_barrier));
            self.barrier = Some(number);
        } else {
            self.since_barrier.push(number);
        }
        for thing in touched() {
            self.note(&thing, number, real);
        }
        // A later writer waits for the writer anyhow.
        for path in reads.iter().filter(|path| self.paths.get(*path) != Some(&number)) {
            self.readers.entry(path.clone()).or_default().push(number);
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
                self.readers_of(path, real, *change, after);
                match change {
                    PathChange::Removed | PathChange::SpecialRemoved | PathChange::TreeRemoved => {
                        after.extend(self.beneath(&real(path)))
                    }
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

    /// The steps that have read a path, or what lies beneath one that comes, goes or is replaced.
    fn readers_of(
        &self,
        path: &HostPath,
        real: &dyn Fn(&HostPath) -> HostPath,
        change: PathChange,
        found: &mut BTreeSet<usize>,
    ) {
        let mut look = |path: &HostPath| {
            found.extend(self.readers.get(path).into_iter().flatten());
            if change != PathChange::Metadata {
                found.extend(within(&self.readers, path).flat_map(|(_, steps)| steps));
            }
        };
        look(path);
        let place = real(path);
        if place != *path {
            look(&place);
        }
    }

    /// The writers of what lies in a directory.
    fn beneath(&self, directory: &HostPath) -> impl Iterator<Item = usize> {
        within(&self.paths, directory).map(|(_, step)| *step)
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
        self.readers.remove(&path);
        self.paths.insert(path, number);
    }
}

/// What is entered for paths that lie in a directory.
fn within<'m, T>(all: &'m BTreeMap<HostPath, T>, directory: &HostPath) -> impl Iterator<Item = (&'m HostPath, &'m T)> {
    let start = [directory.as_str().trim_end_matches('/'), "/"].concat();
    let all = all.range::<str, _>((Bound::Excluded(start.as_str()), Bound::Unbounded));
    all.take_while(move |(path, _)| path.as_str().starts_with(&start))
}
