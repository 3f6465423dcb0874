//! What is asked for comes, with all that it needs.

use std::sync::Arc;

use super::{Decision, Resolver};
use crate::effect::PackageTransaction;
use crate::error::{Error, ErrorKind, Result};
use crate::sim::catalogue::Offer;
use crate::sim::package::RecordedPackage;
use crate::sim::relations::Relation;
use crate::version::Version;

impl Resolver<'_> {
    /// What is asked for by name.
    pub(super) fn ask(&mut self, name: &str, version: Option<&str>, transaction: &PackageTransaction) -> Result<()> {
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
            if then < now && !transaction.options.allow_downgrade {
                return Err(Error::new(ErrorKind::Refused, format!("{name} would be downgraded")));
            }
            if now == then {
                return Ok(());
            }
        }
        self.come(plain, &version, name)
    }

    /// A name that no package has: apt takes the one package that provides it, and none of several.
    fn ask_for_virtual(&mut self, name: &str) -> Result<()> {
        let providers = self.catalogue.providers(name);
        if providers.iter().any(|(provider, _)| self.version_then(provider).is_some()) {
            return Ok(());
        }
        let mut candidates =
            providers.iter().filter_map(|(provider, _)| Some((*provider, self.candidate(provider)?.to_owned())));
        let first = candidates.next();
        let others: Vec<&str> = candidates.map(|(provider, _)| provider).collect();
        if let (Some((first, _)), false) = (&first, others.is_empty()) {
            let message = format!("{name} is a virtual package");
            let hint = format!("declare one that provides it: {first}, {}", others.join(", "));
            return Err(Error::new(ErrorKind::NotFound, message).with_hint(hint));
        }
        let Some((first, version)) = first else {
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
    pub(super) fn come(&mut self, name: &str, version: &str, asked: &str) -> Result<()> {
        if self.coming.contains_key(name) {
            return Ok(());
        }
        if self.unwanted.contains(name) {
            return Err(Error::new(ErrorKind::Conflict, format!("{asked} needs {name}, which is not to be installed")));
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

    /// Sees that one of several alternatives is there.
    fn fulfil(&mut self, group: &[Relation], asked: &str) -> Result<bool> {
        if group.iter().any(|relation| self.meant(relation).next().is_some()) {
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
}
