//! What cannot be together, and what cannot be without what goes.

use std::collections::{BTreeSet, VecDeque};

use super::{Decision, Resolver};
use crate::error::{Error, ErrorKind, Result};
use crate::sim::catalogue::Offer;
use crate::sim::relations::Relation;

impl Resolver<'_> {
    pub(super) fn refuse_or_remove(&mut self, name: &str, relation: &Relation) -> Result<()> {
        let meant: Vec<String> = self.meant(relation).filter(|other| *other != name).map(str::to_owned).collect();
        for other in meant {
            self.let_go(name, &other, relation)?;
        }
        Ok(())
    }

    /// One of two that cannot be together goes, unless it is asked for; in a newer version they may agree.
    fn let_go(&mut self, name: &str, other: &str, relation: &Relation) -> Result<()> {
        if self.wanted.contains(other) || self.coming.contains_key(other) {
            return Err(Error::new(ErrorKind::Conflict, format!("{name} conflicts with {other}")));
        }
        let newer = self.candidate(other).filter(|version| !relation.allows(version)).map(str::to_owned);
        match newer {
            Some(version) if self.version_now(other) != Some(version.as_str()) => self.come(other, &version, other),
            _ => {
                if self.going.insert(other.to_owned()) {
                    self.decisions.push(Decision::Goes(other.to_owned()));
                }
                Ok(())
            }
        }
    }

    /// What is there may not bear what comes.
    pub(super) fn remove_what_conflicts_with(&mut self, coming: &Offer, version: &str) -> Result<()> {
        let name = coming.package.name.as_str();
        let provided: Vec<(&str, Option<&str>)> = coming.provides().collect();
        let names = std::iter::once(name).chain(provided.iter().map(|(name, _)| *name));
        let opponents: BTreeSet<&str> = names.flat_map(|name| self.catalogue.opponents(name)).copied().collect();
        for other in opponents.into_iter().filter(|other| *other != name && self.installed.contains_key(*other)) {
            let Some(known) = self.catalogue.offer(other) else { continue };
            for relation in &known.opposes {
                let meant = (relation.name == name && relation.allows(version))
                    || provided
                        .iter()
                        .any(|(name, version)| *name == relation.name && relation.allows_provided(*version));
                if meant && self.version_then(other).is_some() {
                    self.let_go(name, other, relation)?;
                }
            }
        }
        Ok(())
    }

    /// What needs something that goes, goes too.
    pub(super) fn remove_what_is_left_alone(&mut self) -> Result<()> {
        let mut going: VecDeque<String> = self.going.iter().cloned().collect();
        while let Some(gone) = going.pop_front() {
            let offer = self.catalogue.offer(&gone);
            let provided = offer.iter().flat_map(|offer| offer.provides()).map(|(name, _)| name);
            let names: Vec<&str> = std::iter::once(gone.as_str()).chain(provided).collect();
            let dependents: BTreeSet<&str> =
                names.iter().flat_map(|name| self.catalogue.dependents(name)).copied().collect();
            for other in dependents {
                if self.version_now(other).and_then(|_| self.version_then(other)).is_none() {
                    continue;
                }
                let Some(offer) = self.catalogue.offer(other) else { continue };
                let lacks = |group: &Vec<Relation>| {
                    group.iter().any(|relation| names.contains(&relation.name.as_str()))
                        && group.iter().all(|relation| self.meant(relation).next().is_none())
                };
                if offer.depends.iter().any(lacks) {
                    if self.wanted.contains(other) {
                        return Err(Error::new(ErrorKind::Conflict, format!("{other} needs {gone}")));
                    }
                    if offer.package.essential {
                        let message = format!("{other} is essential, and needs {gone}");
                        return Err(Error::new(ErrorKind::Refused, message));
                    }
                    self.going.insert(other.to_owned());
                    going.push_back(other.to_owned());
                }
            }
        }
        Ok(())
    }
}
