//! What a transaction comes to: a small apt, see `apt-get(8)`.
//!
//! It decides as apt does where that is simple: what is asked for comes, the first alternative that can come is taken,
//! what conflicts goes, and so does what cannot be without it. It does not search for another solution.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::catalogue::{Catalogue, Offer};
use super::package::RecordedPackage;
use super::relations::Relation;
use crate::effect::PackageTransaction;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{PackageAction, PackageChange, PackageStatus, PackageTable, TransactionPreview};
use crate::version::Version;

/// What a transaction comes to.
#[derive(Default)]
pub(in crate::host) struct Solution {
    /// What is new, or comes in another version: after what it needs. With the version that it gets.
    pub(in crate::host) install: Vec<(Arc<Offer>, String)>,
    /// What goes, with those that cannot be without it.
    pub(in crate::host) remove: BTreeSet<String>,
}

/// Versions on offer other than those of the catalogue, the preferred one first.
pub(in crate::host) type Offers = HashMap<String, Vec<String>>;

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
pub(in crate::host) fn resolve(
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
        coming: HashMap::new(),
        order: Vec::new(),
        going: BTreeSet::new(),
        decisions: Vec::new(),
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
    let install = order.into_iter().filter_map(|name| coming.remove(&name)).collect();
    let there = |name: &String| installed.get(name).is_some_and(|state| state.status != PackageStatus::Absent);
    Ok(Solution { install, remove: going.into_iter().filter(there).collect() })
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

    /// What somebody asked for by name.
    fn ask(&mut self, name: &str, version: Option<&str>, transaction: &PackageTransaction) -> Result<()> {
        let plain = name.split(':').next().unwrap_or(name);
        let Some(candidate) = self.candidate(plain).map(str::to_owned) else { return self.ask_for_virtual(name) };
        let version = match version {
            Some(version) => {
                let offered =
                    self.offers.get(plain).map_or(candidate == version, |all| all.iter().any(|one| one == version));
                if !offered && self.version_now(plain) != Some(version) {
                    let message = format!("version {version} of {name} was not found");
                    return Err(Error::new(ErrorKind::NotFound, message));
                }
                version.to_owned()
            }
            None => candidate,
        };
        if let Some(now) = self.version_now(plain) {
            let (now, then) = (Version::new(now), Version::new(&version));
            let held = self.installed.get(plain).is_some_and(|state| state.hold);
            let may = transaction.hold.iter().chain(&transaction.unhold).any(|other| other == name);
            if now != then && held && !may {
                return Err(Error::new(ErrorKind::Refused, format!("{name} is held, and would be changed")));
            }
            if then < now && !transaction.options.allow_downgrade {
                return Err(Error::new(ErrorKind::Refused, format!("{name} would be downgraded")));
            }
            if now == then {
                return Ok(());
            }
        }
        self.come(plain, &version, name)
    }

    /// A name that no package has: apt takes the one package that stands for it, or the first it knows of.
    fn ask_for_virtual(&mut self, name: &str) -> Result<()> {
        let providers = self.catalogue.providers(name);
        if providers.iter().any(|(provider, _)| self.version_then(provider).is_some()) {
            return Ok(());
        }
        let Some((first, version)) =
            providers.iter().find_map(|(provider, _)| Some((*provider, self.candidate(provider)?.to_owned())))
        else {
            return Err(Error::new(ErrorKind::NotFound, format!("no package source has a package {name}")).with_hint(
                match crate::diagnostic::did_you_mean(name, self.catalogue.names()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => "the simulated host knows the packages that servers use most".to_owned(),
                },
            ));
        };
        self.wanted.insert(first.to_owned());
        self.come(first, &version, name)
    }

    /// Lets a package come, after what it needs.
    fn come(&mut self, name: &str, version: &str, asked: &str) -> Result<()> {
        if self.coming.contains_key(name) {
            return Ok(());
        }
        let offer = self.catalogue.offer(name).unwrap_or_else(|| {
            // On offer because a test says so.
            Arc::new(Offer::of(RecordedPackage {
                name: name.to_owned(),
                version: version.to_owned(),
                ..RecordedPackage::default()
            }))
        });
        if self.going.remove(name) {
            self.decisions.push(Decision::Stays(name.to_owned()));
        }
        self.coming.insert(name.to_owned(), (Arc::clone(&offer), version.to_owned()));
        self.decisions.push(Decision::Comes(name.to_owned()));
        for relation in &offer.opposes {
            self.refuse_or_remove(name, relation)?;
        }
        self.remove_what_conflicts_with(&offer, version)?;
        for group in &offer.depends {
            if !self.fulfil(group, asked)? {
                let names: Vec<&str> = group.iter().map(|relation| relation.name.as_str()).collect();
                let message = format!("{name} needs {}, which cannot be installed", names.join(" or "));
                return Err(Error::new(ErrorKind::Conflict, message));
            }
        }
        if self.recommends {
            for group in &offer.recommends {
                // What is only recommended may stay away.
                let (before, going) = (self.decisions.len(), self.going.clone());
                let came = self.fulfil(group, asked);
                if !matches!(came, Ok(true)) || self.going != going {
                    self.take_back(before);
                }
            }
        }
        self.order.push(name.to_owned());
        self.decisions.push(Decision::IsReady);
        Ok(())
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

    /// Sees that one of several alternatives is there.
    fn fulfil(&mut self, group: &[Relation], asked: &str) -> Result<bool> {
        let is_there = |relation: &Relation| {
            self.version_then(&relation.name).is_some_and(|version| relation.allows(version))
                || self.catalogue.providers(&relation.name).iter().any(|(provider, version)| {
                    relation.allows_provided(*version) && self.version_then(provider).is_some()
                })
        };
        if group.iter().any(is_there) {
            return Ok(true);
        }
        for relation in group {
            let candidate = self.candidate(&relation.name).filter(|version| relation.allows(version));
            let mut all: Vec<(String, String)> =
                candidate.map(|version| (relation.name.clone(), version.to_owned())).into_iter().collect();
            for (provider, version) in self.catalogue.providers(&relation.name) {
                if relation.allows_provided(*version)
                    && let Some(candidate) = self.candidate(provider)
                {
                    all.push(((*provider).to_owned(), candidate.to_owned()));
                }
            }
            for (name, version) in all {
                let before = self.decisions.len();
                match self.come(&name, &version, asked) {
                    Ok(()) => return Ok(true),
                    Err(_) => self.take_back(before),
                }
            }
        }
        Ok(false)
    }

    /// Everything that will be there and that a relation means.
    fn meant(&self, relation: &Relation) -> Vec<String> {
        let mut names = Vec::new();
        if self.version_then(&relation.name).is_some_and(|version| relation.allows(version)) {
            names.push(relation.name.clone());
        }
        for (provider, version) in self.catalogue.providers(&relation.name) {
            if relation.allows_provided(*version) && self.version_then(provider).is_some() {
                names.push((*provider).to_owned());
            }
        }
        names
    }

    fn refuse_or_remove(&mut self, name: &str, relation: &Relation) -> Result<()> {
        for other in self.meant(relation).into_iter().filter(|other| other != name) {
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
    fn remove_what_conflicts_with(&mut self, coming: &Offer, version: &str) -> Result<()> {
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
    fn remove_what_is_left_alone(&mut self) -> Result<()> {
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
                        && group.iter().all(|relation| self.meant(relation).is_empty())
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

impl Solution {
    /// The same for people.
    pub(in crate::host) fn preview(
        &self,
        installed: &PackageTable,
        transaction: &PackageTransaction,
    ) -> TransactionPreview {
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
