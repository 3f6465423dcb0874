//! All package changes of a batch as one transaction, foreseen with what they bring along.

use foldhash::HashMap;

use super::{PlannedTransaction, Planner, Verdict, is_transaction};
use crate::claim::{Hold, Target};
use crate::effect::{Effect, PackageTransaction, PlatformEffect};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::graph::Graph;
use crate::host::{
    Host, HostView, HostViewExt, Overlay, PackageAction, PackageChange, TransactionPreview, native_package_name,
};
use crate::id::ResourceId;
use crate::path::HostPath;
use crate::shared::Shared;

/// Puts transactions together, as far as their options allow.
pub(crate) fn merge<'a, T>(
    parts: impl IntoIterator<Item = (T, &'a PackageTransaction)>,
) -> Vec<(Vec<T>, PackageTransaction)> {
    let mut merged: Vec<(Vec<T>, PackageTransaction)> = Vec::new();
    for (owner, part) in parts {
        let mut left = Some(part.clone());
        let place = merged.iter_mut().position(|(_, whole)| {
            left = left.take().and_then(|part| whole.merge(part));
            left.is_none()
        });
        match (place, left) {
            (Some(place), _) => merged[place].0.push(owner),
            (None, Some(part)) => merged.push((vec![owner], part)),
            (None, None) => {}
        }
    }
    merged
}

/// A transaction as it will be carried out, with what it comes to if that is known.
pub(crate) struct Foreseen {
    pub(crate) transaction: PackageTransaction,
    pub(crate) preview: Option<TransactionPreview>,
    /// Why it is not known.
    pub(crate) unknown: Option<String>,
}

/// Transactions with the owners of their parts, and the parts that are left out with the reason.
pub(crate) type Settled<T> = (Vec<(Vec<T>, Foreseen)>, Vec<(T, Error)>);

/// Puts transactions together and foresees them. Those that spoil a whole are left out and blamed: each that does so alone, or
/// all of it if none does.
pub(crate) fn settle<T: Clone + PartialEq>(
    mut parts: Vec<(T, PackageTransaction)>,
    foresee: &dyn Fn(&PackageTransaction) -> Result<Foreseen>,
) -> Settled<T> {
    let mut spoilers: Vec<(T, Error)> = Vec::new();
    loop {
        let mut settled = Vec::new();
        let mut spoilt = None;
        for (owners, whole) in merge(parts.iter().map(|(owner, part)| (owner.clone(), part))) {
            match foresee(&whole) {
                Ok(foreseen) => settled.push((owners, foreseen)),
                Err(error) => {
                    spoilt = Some((owners, error));
                    break;
                }
            }
        }
        let Some((owners, together)) = spoilt else { return (settled, spoilers) };
        let members = parts.iter().filter(|(owner, _)| owners.contains(owner));
        let mut blamed: Vec<(T, Error)> =
            members.filter_map(|(owner, part)| Some((owner.clone(), foresee(part).err()?))).collect();
        if blamed.is_empty() {
            blamed = owners.into_iter().map(|owner| (owner, together.clone())).collect();
        }
        parts.retain(|(owner, _)| !blamed.iter().any(|(other, _)| other == owner));
        spoilers.extend(blamed);
    }
}

/// What a site declares of packages, by the names that they have on a host.
#[derive(Default)]
pub(crate) struct DeclaredPackages {
    declarations: HashMap<String, Declared>,
    /// Nodes that contradict an earlier one about the same package.
    contradictions: HashMap<usize, usize>,
}

struct Declared {
    node: usize,
    is_wanted: bool,
    /// With the place of its declaration.
    called: String,
}

impl DeclaredPackages {
    pub(crate) fn of(graph: &Graph, host: &dyn HostView) -> DeclaredPackages {
        let mut all = DeclaredPackages::default();
        for (number, node) in graph.nodes.iter().enumerate() {
            for claim in &node.claims {
                let (Target::Package(name), Hold::Owns | Hold::Removes) = (&claim.target, claim.hold) else { continue };
                // Without an architecture, names are what they are.
                let name = native_package_name(name, host).unwrap_or(name).to_owned();
                let called = node.called();
                let declared = Declared { node: number, is_wanted: claim.hold == Hold::Owns, called };
                match all.declarations.get(&name).map(|first| first.node) {
                    None => drop(all.declarations.insert(name, declared)),
                    Some(first) => {
                        if first != number && graph.nodes[first].resource.attributes() != node.resource.attributes() {
                            all.contradictions.extend([(number, first), (first, number)]);
                        }
                    }
                }
            }
        }
        all
    }

    /// Why a node cannot be brought about at all.
    pub(super) fn contradiction(&self, graph: &Graph, number: usize) -> Option<Error> {
        let other = &graph.nodes[*self.contradictions.get(&number)?];
        let message = format!("{} is about the same package, and says otherwise", other.called());
        Some(Error::new(ErrorKind::Conflict, message).with_hint("declare the package once"))
    }

    /// What a transaction comes to, without packages that are declared as absent; refused if it takes away what is declared.
    pub(crate) fn foresee(
        &self,
        transaction: &PackageTransaction,
        preview: &dyn Fn(&PackageTransaction) -> Result<TransactionPreview>,
    ) -> Result<Foreseen> {
        let mut transaction = transaction.clone();
        if !transaction.changes_packages() {
            return Ok(Foreseen { transaction, preview: Some(TransactionPreview::default()), unknown: None });
        }
        loop {
            let preview = match preview(&transaction) {
                Ok(preview) => preview,
                Err(error) if error.kind() == ErrorKind::Unknown => {
                    let unknown = Some(error.message().to_owned());
                    return Ok(Foreseen { transaction, preview: None, unknown });
                }
                Err(error) => return Err(self.contradicting(&transaction, error)),
            };
            let coming = preview.changes.iter().filter(|change| change.to.is_some()).map(|change| &change.name);
            let unwanted: Vec<String> = coming
                .filter(|name| self.declarations.get(*name).is_some_and(|declared| !declared.is_wanted))
                .filter(|name| !transaction.exclude.contains(name))
                .cloned()
                .collect();
            if unwanted.is_empty() {
                self.refuse_removals(&transaction, &preview)?;
                return Ok(Foreseen { transaction, preview: Some(preview), unknown: None });
            }
            transaction.exclude.extend(unwanted);
        }
    }

    /// Why nothing is found without what is declared as absent.
    fn contradicting(&self, transaction: &PackageTransaction, error: Error) -> Error {
        if transaction.exclude.is_empty() {
            return error;
        }
        let declared = transaction.exclude.iter().filter_map(|name| self.declarations.get(name));
        let excluded: Vec<&str> = declared.map(|declared| declared.called.as_str()).collect();
        let without = PackageTransaction { exclude: Vec::new(), ..transaction.clone() };
        let message = format!("{without} needs what is declared as absent: {}", excluded.join(", "));
        let cause = match error.cause() {
            Some(cause) => format!("{}\n{cause}", error.message()),
            None => error.message().to_owned(),
        };
        Error::new(ErrorKind::Conflict, message).with_cause(cause).with_hint("take one of the two declarations back")
    }

    /// No package disappears because another one comes or goes, unless its declaration says so or it has none and the site
    /// allows it.
    fn refuse_removals(&self, transaction: &PackageTransaction, preview: &TransactionPreview) -> Result<()> {
        let is_meant = |name: &&str| transaction.remove.iter().chain(&transaction.purge).any(|other| other == name);
        let goes = |change: &&PackageChange| matches!(change.action, PackageAction::Remove | PackageAction::Purge);
        let going: Vec<&str> = preview.changes.iter().filter(goes).map(|change| change.name.as_str()).collect();
        let going: Vec<&str> = going.into_iter().filter(|name| !is_meant(name)).collect();
        let wanted = |name: &&str| self.declarations.get(*name).filter(|declared| declared.is_wanted);
        let declared: Vec<&str> = going.iter().filter_map(wanted).map(|declared| declared.called.as_str()).collect();
        if !declared.is_empty() {
            let message = format!("{transaction} would remove what is declared as present: {}", declared.join(", "));
            return Err(Error::new(ErrorKind::Refused, message).with_hint("take one of the two declarations back"));
        }
        let undeclared: Vec<&str> = going.into_iter().filter(|name| !self.declarations.contains_key(*name)).collect();
        if undeclared.is_empty() || transaction.options.allow_removals {
            return Ok(());
        }
        let (is, these) = if undeclared.len() == 1 { ("is", "this package") } else { ("are", "these packages") };
        let message = format!("{transaction} would remove {}, which {is} not declared", undeclared.join(", "));
        let hint = format!("declare {these} as absent, or set `allow_removals = true`");
        Err(Error::new(ErrorKind::Refused, message).with_hint(hint))
    }
}

/// A model on which packages come and go as the site as a whole says.
pub(super) struct Ruled<'a, H> {
    pub(super) overlay: &'a Overlay<H>,
    pub(super) declared: &'a DeclaredPackages,
}

#[deny(clippy::missing_trait_methods)]
impl<H: HostView> HostView for Ruled<'_, H> {
    crate::forward_view!(self => self.overlay);
}

impl<H: HostView> Host for Ruled<'_, H> {
    fn perform(&self, effect: &Effect) -> Result<()> {
        match effect {
            // What comes along is known of a simulated host only.
            Effect::Platform(PlatformEffect::Packages(transaction)) if self.overlay.package_model().is_some() => {
                let preview = |transaction: &PackageTransaction| {
                    self.overlay.preview_of(transaction).while_doing(|| effect.to_string())
                };
                let foreseen = self.declared.foresee(transaction, &preview)?;
                self.overlay.perform(&Effect::Platform(PlatformEffect::Packages(foreseen.transaction)))
            }
            _ => self.overlay.perform(effect),
        }
    }
}

impl Planner<'_> {
    /// Asks once what the package changes of a phase come to. Packages that spoil it are taken out.
    pub(super) fn foresee_packages(&mut self, phase: usize) {
        let (settled, spoilers) = settle(self.package_changes(phase), &|transaction| self.foresee(transaction));
        self.transactions.extend(settled.into_iter().map(|(ids, foreseen)| {
            let Foreseen { transaction, preview, unknown } = foreseen;
            PlannedTransaction { ids, transaction, preview, unknown }
        }));
        for (id, error) in spoilers {
            if let Some(step) = self.steps.iter_mut().find(|step| step.id == id) {
                let error = error.of(&step.id, step.declared_at.as_ref());
                step.verdict = Verdict::Failed { error };
                step.effects = Shared::default();
                step.reaction = None;
            }
        }
    }

    fn package_changes(&self, phase: usize) -> Vec<(ResourceId, PackageTransaction)> {
        let members = self.steps.iter().filter(|step| step.phase == phase && is_transaction(&step.effects));
        let effects = members.flat_map(|step| step.effects.iter().map(move |effect| (step, effect)));
        effects.filter_map(|(step, effect)| Some((step.id.clone(), effect.transaction()?.clone()))).collect()
    }

    fn foresee(&self, transaction: &PackageTransaction) -> Result<Foreseen> {
        let unknown = if transaction.changes_packages() { self.changes_offers() } else { None };
        if let Some(because) = unknown {
            let unknown = Some(because.to_owned());
            return Ok(Foreseen { transaction: transaction.clone(), preview: None, unknown });
        }
        self.declared_packages.foresee(transaction, &|transaction| self.base.preview(transaction))
    }

    /// Why what is on offer is another thing by the time that packages are changed.
    fn changes_offers(&self) -> Option<&'static str> {
        if self.base.package_model().is_some() {
            return None;
        }
        let effects = || self.steps.iter().flat_map(|step| step.effects.iter());
        let is_below = |path: &HostPath| path.as_str().starts_with("/etc/apt/");
        if effects().any(|effect| effect.path().is_some_and(is_below)) {
            return Some("what is below /etc/apt changes first");
        }
        let refreshes = |effect: &Effect| {
            matches!(effect, Effect::Platform(PlatformEffect::RefreshPackageLists | PlatformEffect::RepairPackages))
        };
        effects().any(refreshes).then_some("the package lists are refreshed first")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{PackageOptions, PackageRequest};

    fn install(name: &str, recommends: bool) -> PackageTransaction {
        PackageTransaction {
            install: vec![PackageRequest { name: name.into(), version: None }],
            options: PackageOptions { recommends, ..PackageOptions::default() },
            ..PackageTransaction::default()
        }
    }

    #[test]
    fn packages_with_equal_options_are_one_transaction() {
        let parts = [install("a", true), install("b", false), install("c", true), install("d", false)];
        let merged = merge(parts.iter().enumerate());
        let owners: Vec<Vec<usize>> = merged.iter().map(|(owners, _)| owners.clone()).collect();
        assert_eq!(owners, [vec![0, 2], vec![1, 3]]);
    }
}
