//! All package changes of a batch as one transaction, foreseen with what they bring along.

use super::{PlannedTransaction, Planner, Verdict, is_transaction};
use crate::effect::{Effect, PackageTransaction};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{PackageAction, TransactionPreview};
use crate::resource::ResourceId;

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

impl Planner<'_> {
    /// Asks once what the package changes of a wave come to. Packages that spoil it are taken out.
    pub(super) fn foresee_packages(&mut self, wave: usize) {
        loop {
            let parts = self.package_changes(wave);
            let mut foreseen = Vec::new();
            let mut spoilt = None;
            for (ids, transaction) in merge(parts.iter().map(|(id, part)| (id.clone(), part))) {
                let (preview, unknown) = match self.foresee(&transaction) {
                    Ok(preview) => (Some(preview), None),
                    Err(error) if error.kind() == ErrorKind::Unknown => (None, Some(error.message().to_owned())),
                    Err(error) => {
                        spoilt = Some((ids, error));
                        break;
                    }
                };
                foreseen.push(PlannedTransaction { ids, transaction, preview, unknown });
            }
            let Some((ids, error)) = spoilt else {
                self.transactions.extend(foreseen);
                return;
            };
            let alone = parts.iter().filter(|(id, _)| ids.contains(id));
            let blamed = alone.filter_map(|(id, part)| Some((id.clone(), self.foresee(part).err()?))).collect();
            self.blame(&ids, blamed, error);
        }
    }

    fn package_changes(&self, wave: usize) -> Vec<(ResourceId, PackageTransaction)> {
        let members = self.steps.iter().filter(|step| step.wave == wave && is_transaction(&step.effects));
        let effects = members.flat_map(|step| step.effects.iter().map(move |effect| (step, effect)));
        effects.filter_map(|(step, effect)| Some((step.id.clone(), effect.transaction()?.clone()))).collect()
    }

    fn foresee(&self, transaction: &PackageTransaction) -> Result<TransactionPreview> {
        if !transaction.changes_packages() {
            return Ok(TransactionPreview::default());
        }
        if self.overlay_refreshes() {
            return Err(Error::unknown("the package lists are refreshed first"));
        }
        let preview = self.base.preview(transaction)?;
        refuse_undeclared_removals(transaction, &preview)?;
        Ok(preview)
    }

    fn overlay_refreshes(&self) -> bool {
        let refresh = |effect: &Effect| matches!(effect, Effect::RefreshPackageLists | Effect::RepairPackages);
        self.base.catalogue().is_none() && self.steps.iter().flat_map(|step| &step.effects).any(refresh)
    }

    /// Marks the steps that spoil a transaction; if none does so alone, all of them.
    fn blame(&mut self, ids: &[ResourceId], mut blamed: Vec<(ResourceId, Error)>, together: Error) {
        if blamed.is_empty() {
            blamed = ids.iter().map(|id| (id.clone(), together.clone())).collect();
        }
        for (id, error) in blamed {
            if let Some(step) = self.steps.iter_mut().find(|step| step.id == id) {
                let error = error.of(&step.id, step.declared_at.as_ref());
                step.verdict = Verdict::Failed { error };
                step.effects.clear();
                step.reaction = None;
            }
        }
    }
}

/// A package that nobody declared must not disappear because another one comes.
fn refuse_undeclared_removals(transaction: &PackageTransaction, preview: &TransactionPreview) -> Result<()> {
    if transaction.options.allow_removals {
        return Ok(());
    }
    let declared = |name: &str| transaction.remove.iter().chain(&transaction.purge).any(|other| other == name);
    let undeclared: Vec<&str> = preview
        .changes
        .iter()
        .filter(|change| matches!(change.action, PackageAction::Remove | PackageAction::Purge))
        .map(|change| change.name.as_str())
        .filter(|name| !declared(name))
        .collect();
    if undeclared.is_empty() {
        return Ok(());
    }
    let message = format!("{transaction} would remove {}, which nobody declared", undeclared.join(", "));
    Err(Error::new(ErrorKind::Refused, message)
        .with_hint("declare these packages as absent, or set `allow_removals = true`"))
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
