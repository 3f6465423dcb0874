//! A resource that is no longer declared, as one that takes away what was made for it: only that, and only as it was left.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::claim::{Claim, Target};
use crate::effect::{Effect, PackageTransaction, PlatformEffect, Removal};
use crate::error::Result;
use crate::host::{FileKind, HostView, HostViewExt, retire_unit_of};
use crate::id::ResourceId;
use crate::journal::{Keeper, Made, Orphan, Ways, unlocking};
use crate::path::HostPath;
use crate::resource::{ApplyContext, CheckContext, DynResource, DynState, PlanContext, Stage};
use crate::state::{HostKey, MemoryStore, StateStore};

/// Takes away what was made.
pub(crate) struct Pruned {
    made: BTreeMap<Made, String>,
    /// What a resource of another type is about to take the place of.
    replaced: BTreeSet<HostPath>,
    /// What lies above paths that are declared: a directory stays, and what is none makes room.
    ways: Arc<Ways>,
    key: Option<Arc<HostKey>>,
}

/// How something that was made is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Found {
    /// As it was left.
    Present,
    Absent,
    /// Something else has changed it since, or put something into it.
    Changed,
    /// A directory on the way to what is declared.
    OnTheWay,
}

type State = BTreeMap<String, Found>;

impl Pruned {
    /// Takes away what was made for a resource.
    pub(crate) fn new(orphan: &Orphan) -> Pruned {
        let (made, ways) = (orphan.digests.clone(), orphan.ways.clone());
        Pruned { made, replaced: BTreeSet::new(), ways, key: orphan.key.clone() }
    }

    /// Gives away what is not to be taken away, or is by another.
    pub(crate) fn without(&mut self, mut is_kept: impl FnMut(&Made) -> bool) -> BTreeMap<Made, String> {
        let (kept, made) = std::mem::take(&mut self.made).into_iter().partition(|(made, _)| is_kept(made));
        self.made = made;
        kept
    }

    /// Takes away what makes room for what a resource of another type puts in its place.
    pub(crate) fn make_room(&mut self, place: &HostPath, beneath: BTreeMap<Made, String>) {
        self.replaced.insert(place.clone());
        self.made.extend(beneath);
    }

    /// Leaves directories on the way to what is declared; what else is in their place goes before.
    pub(crate) fn lead(&mut self, ways: &Arc<Ways>) {
        self.ways = Arc::clone(ways);
    }

    /// What is declared beneath something that may go.
    fn leads_to(&self, made: &Made) -> Option<&[HostPath]> {
        let Made::Path(path) = made else { return None };
        self.ways.get(path).map(Vec::as_slice)
    }

    /// The paths that may go.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &HostPath> {
        self.made.keys().filter_map(|made| match made {
            Made::Path(path) => Some(path),
            Made::Home(_) | Made::Package(_) | Made::User(_) | Made::Group(_) => None,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.made.is_empty()
    }

    /// What something else has changed since it was made.
    fn changed(&self, host: &dyn HostView, others: &BTreeSet<HostPath>) -> Result<Vec<Made>> {
        let found = self.found(host, others)?;
        let changed = self.made.keys().filter(|made| found.get(&made.to_string()) == Some(&Found::Changed));
        Ok(changed.cloned().collect())
    }

    /// How all of it is; `others` are paths that go as well.
    fn found(&self, host: &dyn HostView, others: &BTreeSet<HostPath>) -> Result<State> {
        let (mut state, mut going) = (State::new(), BTreeSet::new());
        // What lies beneath sorts after what holds it.
        for (made, digest) in self.made.iter().rev() {
            let goes = |path: &HostPath| others.contains(path) || going.contains(path);
            let found = self.look(made, digest, &goes, host)?;
            if let (Made::Path(path), Found::Present) = (made, found) {
                going.insert(path.clone());
            }
            state.insert(made.to_string(), found);
        }
        Ok(state)
    }

    /// How something is; `goes` tells of paths that are taken away before.
    fn look(&self, made: &Made, digest: &str, goes: &dyn Fn(&HostPath) -> bool, host: &dyn HostView) -> Result<Found> {
        let Some(key) = &self.key else { return Ok(Found::Changed) };
        let store: Arc<dyn StateStore> = Arc::new(MemoryStore::new());
        let keeper = Keeper { key, store: &store };
        let now = keeper.digest_of(made, host)?;
        if let (Made::Path(path), Some(_)) = (made, &now)
            && host.metadata(path)?.is_some_and(|found| found.kind == FileKind::Directory)
        {
            if self.leads_to(made).is_some() {
                return Ok(Found::OnTheWay);
            }
            if host.list(path)?.into_iter().flatten().any(|name| path.join(&name).is_ok_and(|path| !goes(&path))) {
                return Ok(Found::Changed);
            }
        }
        Ok(match now {
            None => Found::Absent,
            Some(now) if now == digest || (matches!(made, Made::Group(_)) && has_fewer_members(&now, digest)) => {
                Found::Present
            }
            Some(_) => Found::Changed,
        })
    }
}

impl Orphan {
    /// With what of it something else has changed since. What cannot be read counts as changed.
    ///
    /// `others` are no strangers in a directory: they were made here as well.
    pub(crate) fn looked_at(&self, host: &dyn HostView, others: &BTreeSet<HostPath>) -> Orphan {
        let changed = Pruned::new(self).changed(host, others).unwrap_or_else(|_| self.made.clone());
        Orphan { changed, ..self.clone() }
    }
}

/// Whether a group is as it was but for members who have left it; users that go leave all groups.
fn has_fewer_members(now: &str, before: &str) -> bool {
    let (Some((gid, members)), Some((gid_before, members_before))) = (now.split_once(':'), before.split_once(':'))
    else {
        return false;
    };
    let before: Vec<&str> = members_before.split(',').collect();
    gid == gid_before && members.split(',').all(|member| member.is_empty() || before.contains(&member))
}

fn removal(made: &Made, host: &dyn HostView) -> Result<Effect> {
    Ok(match made {
        Made::Path(path) | Made::Home(path) => {
            let is_directory = host.metadata(path)?.is_some_and(|found| found.kind == FileKind::Directory);
            let what = match made {
                _ if !is_directory => Removal::File,
                Made::Home(_) => Removal::Tree,
                Made::Path(_) | Made::Package(_) | Made::User(_) | Made::Group(_) => Removal::EmptyDirectory,
            };
            Effect::Remove { path: path.clone(), what }
        }
        Made::Package(name) => Effect::Platform(PlatformEffect::Packages(PackageTransaction {
            purge: vec![name.clone()],
            ..PackageTransaction::default()
        })),
        Made::User(name) => Effect::Platform(PlatformEffect::RemoveUser { name: name.clone(), remove_home: false }),
        Made::Group(name) => Effect::Platform(PlatformEffect::RemoveGroup { name: name.clone() }),
    })
}

impl DynResource for Pruned {
    fn stage(&self) -> Stage {
        match self.made.keys().next_back() {
            Some(Made::Package(_)) => Stage::Packages,
            Some(Made::User(_) | Made::Group(_)) => Stage::AccountRemovals,
            _ => Stage::Files,
        }
    }
    fn claims(&self, _: &ResourceId) -> Vec<Claim> {
        let claims = |made: &Made| {
            let place = made.path().and_then(|path| self.replaced.iter().find(|place| path.is_within(place)));
            let before = match (place, self.leads_to(made)) {
                (Some(place), _) => std::slice::from_ref(place),
                (None, Some(to)) => to,
                (None, None) => return vec![Claim::removes(made.target())],
            };
            before.iter().map(|path| Claim::precedes(Target::Path(path.clone()))).collect()
        };
        self.made.keys().flat_map(claims).collect()
    }
    fn check(&self, cx: &CheckContext<'_>) -> Result<DynState> {
        Ok(DynState::new(self.found(cx.host(), &BTreeSet::new())?))
    }
    fn plan(&self, _: &PlanContext<'_>, now: &DynState) -> Result<DynState> {
        let wanted = |found: &Found| if *found == Found::Present { Found::Absent } else { *found };
        let state: State = now.get::<State>().iter().map(|(what, found)| (what.clone(), wanted(found))).collect();
        Ok(DynState::new(state))
    }
    fn apply(&self, cx: &ApplyContext<'_>, now: &DynState, _: &DynState) -> Result<()> {
        let host = cx.host();
        let now = now.get::<State>();
        let present = |made: &&Made| now.get(&made.to_string()) == Some(&Found::Present);
        let (paths, others): (Vec<&Made>, Vec<&Made>) =
            self.made.keys().filter(present).partition(|made| made.path().is_some());
        // userdel(8) takes the user's own group along.
        for made in paths.into_iter().rev().chain(others) {
            if !matches!(made, Made::Group(name) if host.group(name)?.is_none()) {
                if let Some(path) = made.path()
                    && let Some(unlock) = unlocking(path, host)?
                {
                    host.perform(&unlock)?;
                }
                if let Made::Path(path) = made {
                    retire_unit_of(path, host)?;
                }
                host.perform(&removal(made, host)?)?;
            }
        }
        Ok(())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn attributes(&self) -> Value {
        json!(self.made.keys().collect::<Vec<_>>())
    }
}
