//! What a transaction comes to: a small apt, see `apt-get(8)`.
//!
//! It decides as apt does where that is simple: what is asked for comes, the first alternative that can come is taken,
//! what conflicts goes, and so does what cannot be without it. It does not search for another solution.

mod conflicts;
mod demands;

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::HashMap;

use super::catalogue::{Catalogue, Offer};
use super::relations::Relation;
use crate::effect::PackageTransaction;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{PackageAction, PackageChange, PackageStatus, PackageTable, TransactionPreview};

/// What a transaction comes to.
#[derive(Default)]
pub(crate) struct Solution {
    /// What is new, or comes in another version: after what it needs. With the version that it gets.
    pub(crate) install: Vec<(Arc<Offer>, String)>,
    /// What goes, with those that cannot be without it.
    pub(crate) remove: BTreeSet<String>,
}

/// Versions on offer other than those of the catalogue, the preferred one first.
pub(crate) type Offers = HashMap<String, Vec<String>>;

struct Resolver<'a> {
    catalogue: &'a Catalogue,
    installed: &'a PackageTable,
    offers: &'a Offers,
    recommends: bool,
    /// What comes, with its version.
    coming: HashMap<String, (Arc<Offer>, String)>,
    order: Vec<String>,
    going: BTreeSet<String>,
    wanted: BTreeSet<String>,
    /// What may not come.
    unwanted: BTreeSet<&'a str>,
    /// Every decision, to be taken back if it leads nowhere.
    decisions: Vec<Decision>,
}

enum Decision {
    Comes(String),
    IsReady,
    Goes(String),
    Stays(String),
}

/// Finds what a transaction comes to.
///
/// # Errors
/// A package or version is not there, or what is asked for cannot be together.
pub(crate) fn resolve(
    catalogue: &Catalogue,
    installed: &PackageTable,
    offers: &Offers,
    transaction: &PackageTransaction,
) -> Result<Solution> {
    let mut resolver = Resolver {
        catalogue,
        installed,
        offers,
        recommends: transaction.options.recommends,
        coming: HashMap::default(),
        order: Vec::new(),
        going: BTreeSet::new(),
        decisions: Vec::new(),
        unwanted: [&transaction.remove, &transaction.purge, &transaction.exclude]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect(),
        wanted: transaction.install.iter().map(|request| request.name.clone()).collect(),
    };
    for name in transaction.remove.iter().chain(&transaction.purge) {
        if catalogue.get(name).is_some_and(|package| package.essential) && resolver.version_now(name).is_some() {
            let message = format!("{name} is essential: the system may not work without it");
            return Err(Error::new(ErrorKind::Refused, message));
        }
        resolver.going.insert(name.clone());
    }
    for request in &transaction.install {
        resolver.ask(&request.name, request.version.as_deref(), transaction)?;
    }
    resolver.remove_what_is_left_alone()?;
    let Resolver { mut coming, order, going, .. } = resolver;
    let install: Vec<_> = order.into_iter().filter_map(|name| coming.remove(&name)).collect();
    let status = |name: &String| installed.get(name).map_or(PackageStatus::Absent, |state| state.status);
    let remove: BTreeSet<String> = going.into_iter().filter(|name| status(name) != PackageStatus::Absent).collect();
    // apt-get(8), --allow-change-held-packages. What of a package is left may go.
    let is_held = |name: &&String| {
        let is_named = |other: &String| other.split(':').next() == Some(name);
        installed.get(*name).is_some_and(|state| state.hold)
            && !transaction.hold.iter().chain(&transaction.unhold).any(is_named)
    };
    let removed = remove.iter().filter(|name| status(name) != PackageStatus::ConfigFiles);
    if let Some(held) = install.iter().map(|(offer, _)| &offer.package.name).chain(removed).find(is_held) {
        return Err(Error::new(ErrorKind::Refused, format!("{held} is held, and would be changed")));
    }
    Ok(Solution { install, remove })
}

impl Resolver<'_> {
    fn version_now(&self, name: &str) -> Option<&str> {
        let state = self.installed.get(name).filter(|state| state.status == PackageStatus::Installed)?;
        state.version.as_deref()
    }

    /// The version that there will be.
    fn version_then(&self, name: &str) -> Option<&str> {
        match self.coming.get(name) {
            Some((_, version)) => Some(version),
            None => self.version_now(name).filter(|_| !self.going.contains(name)),
        }
    }

    /// The version that would come.
    fn candidate(&self, name: &str) -> Option<&str> {
        match self.offers.get(name) {
            Some(offers) => offers.first().map(String::as_str),
            None => self.catalogue.version(name),
        }
    }

    /// Everything that will be there and that a relation means.
    fn meant<'s>(&'s self, relation: &'s Relation) -> impl Iterator<Item = &'s str> {
        let itself = self.version_then(&relation.name).filter(|version| relation.allows(version));
        let providers =
            self.catalogue.providers(&relation.name).iter().filter(|(provider, version)| {
                relation.allows_provided(*version) && self.version_then(provider).is_some()
            });
        itself.map(|_| relation.name.as_str()).into_iter().chain(providers.map(|(provider, _)| *provider))
    }

    /// Takes back all decisions but the first ones.
    fn take_back(&mut self, first: usize) {
        for decision in self.decisions.drain(first..).rev() {
            match decision {
                Decision::Comes(name) => drop(self.coming.remove(&name)),
                Decision::IsReady => drop(self.order.pop()),
                Decision::Goes(name) => drop(self.going.remove(&name)),
                Decision::Stays(name) => drop(self.going.insert(name)),
            }
        }
    }
}

impl Solution {
    /// The same for people.
    pub(crate) fn preview(&self, installed: &PackageTable, transaction: &PackageTransaction) -> TransactionPreview {
        let from = |name: &str| installed.get(name).and_then(|state| state.version.clone());
        let there = |name: &str| installed.get(name).is_some_and(|state| state.status == PackageStatus::Installed);
        let mut changes = Vec::new();
        for name in &self.remove {
            let action = if transaction.purge.contains(name) { PackageAction::Purge } else { PackageAction::Remove };
            changes.push(PackageChange { name: name.clone(), action, from: from(name), to: None });
        }
        let mut bytes = 0;
        for (offer, version) in &self.install {
            let package = &offer.package;
            let upgrade = there(&package.name);
            changes.push(PackageChange {
                name: package.name.clone(),
                action: if upgrade { PackageAction::Upgrade } else { PackageAction::Install },
                from: from(&package.name).filter(|_| upgrade),
                to: Some(version.clone()),
            });
            bytes += package.size;
        }
        TransactionPreview { changes, download_bytes: Some(bytes) }
    }
}
