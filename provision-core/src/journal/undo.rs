//! What takes an effect back: once for each kind of effect.

use super::image::{
    After, Before, Keeper, PackageChanges, PackageDiff, PathImage, UnitImage, Was, inverse_of_packages,
};
use super::record::EffectRecord;
use crate::effect::{AttributeChanges, Effect, FileFlags, PlatformEffect, Removal, UnitAction, UserChanges};
use crate::error::Result;
use crate::host::{FileKind, FileMetadata, HostView, HostViewExt, PackageEntry};
use crate::path::HostPath;

/// What takes an effect back.
pub(crate) enum Undo {
    /// Nothing needs to be done: it changed nothing, or is taken back already.
    Nothing,
    /// These effects.
    Effects(Vec<Effect>),
    /// Something else has changed it since; it would be lost.
    Changed(String),
    /// It cannot be undone.
    Impossible(String),
}

impl Keeper<'_> {
    /// Finds what takes an effect back, on a host where everything after it is taken back already.
    pub(crate) fn undo(&self, record: &EffectRecord, host: &dyn HostView) -> Result<Undo> {
        let effect = &record.intent.effect;
        if let Effect::Run(_) = effect {
            return Ok(Undo::Impossible(effect.point_of_no_return().unwrap_or_default()));
        }
        let after = record.outcome.as_ref().map(|outcome| &outcome.after);
        match &record.intent.before {
            Before::Nothing => Ok(Undo::Nothing),
            Before::Paths { paths } => {
                let after = match after {
                    Some(After::Paths { paths }) => paths.as_slice(),
                    _ => &[],
                };
                self.undo_paths(paths, after, Removal::EmptyDirectory, host)
            }
            Before::Packages(_) => match after {
                Some(After::Packages(changes)) => self.undo_packages(changes, host),
                _ => Ok(Undo::Changed("packages, in a run that died meanwhile".to_owned())),
            },
            Before::Accounts(image) => {
                let mut effects = Vec::new();
                let lines = self.account_lines(image)?;
                if self.has_lines(&lines, host)? && self.are_as_before(&image.paths, host)? {
                    return Ok(Undo::Nothing);
                }
                let (digest, after) = match after {
                    Some(After::Accounts { digest, paths }) => (Some(digest), paths.as_slice()),
                    _ => (None, &[][..]),
                };
                if digest
                    .is_some_and(|digest| self.accounts_digest(&effect.touches(), host).ok().as_ref() != Some(digest))
                {
                    let mut names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
                    names.dedup();
                    return Ok(Undo::Changed(format!("the account {}", names.first().copied().unwrap_or_default())));
                }
                // usermod(8) gives the files in the home directory to the new number.
                if let (
                    Effect::Platform(PlatformEffect::ChangeUser { name, changes: UserChanges { uid: Some(_), .. } }),
                    Some(uid),
                ) = (effect, image.uid)
                {
                    let changes = UserChanges { uid: Some(uid), ..UserChanges::default() };
                    effects.push(Effect::Platform(PlatformEffect::ChangeUser { name: name.clone(), changes }));
                }
                let homes = self.undo_paths(&image.paths, after, Removal::Tree, host)?;
                let comes_back = image.paths.iter().any(|path| !matches!(path.was, Was::Absent));
                let homes = match homes {
                    Undo::Effects(homes) => homes,
                    Undo::Nothing => Vec::new(),
                    other @ (Undo::Changed(_) | Undo::Impossible(_)) => return Ok(other),
                };
                let lines = Effect::Platform(PlatformEffect::RestoreAccounts { lines });
                // What is put back belongs to a user that must be there, and what goes belongs to no other.
                effects.extend(if comes_back { [vec![lines], homes].concat() } else { [homes, vec![lines]].concat() });
                Ok(Undo::Effects(effects))
            }
            Before::Unit(before) => {
                let Effect::Platform(PlatformEffect::Unit { unit, action }) = effect else { return Ok(Undo::Nothing) };
                let found = host.unit(unit)?;
                let after = match after {
                    Some(After::Unit(after)) => after.clone(),
                    _ => before.clone(),
                };
                match found.exists() || found.is_masked() {
                    true => Ok(undo_unit(unit, *action, before, &after, &UnitImage::new(&found))),
                    false => Ok(Undo::Nothing),
                }
            }
        }
    }

    fn undo_packages(&self, changes: &PackageChanges, host: &dyn HostView) -> Result<Undo> {
        if changes.packages.is_empty() {
            return Ok(Undo::Nothing);
        }
        let table = host.packages()?;
        let now = |name: &str| table.get(name).cloned().unwrap_or_default();
        let is_as_before = |diff: &PackageDiff| {
            let now = now(&diff.name);
            // If the run has changed nothing but a mark, the mark counts.
            let is_marked_alike = now.automatic == diff.before.automatic || !same(&diff.before, &diff.after);
            same(&now, &diff.before) && is_marked_alike
        };
        if changes.packages.iter().all(is_as_before) {
            return Ok(Undo::Nothing);
        }
        if let Some(diff) = changes.packages.iter().find(|diff| !same(&now(&diff.name), &diff.after)) {
            return Ok(Undo::Changed(format!("package {}", diff.name)));
        }
        if !self.has_same_accounts(changes, host)? {
            let names = [changes.users.as_slice(), &changes.groups].concat();
            return Ok(Undo::Changed(format!("one of the accounts {} that came with packages", names.join(", "))));
        }
        // What was changed since is no longer only the packages'.
        let mut changes = changes.clone();
        let mut kept = Vec::new();
        for path in &changes.paths {
            let gone = host.metadata(&path.path)?.is_none();
            if !gone && (path.kind == Some(FileKind::Directory) || self.matches(path, false, host)?) {
                kept.push(path.clone());
            }
        }
        changes.paths = kept;
        Ok(Undo::Effects(inverse_of_packages(&changes)))
    }

    fn undo_paths(
        &self,
        paths: &[PathImage],
        after: &[super::image::Fingerprint],
        made: Removal,
        host: &dyn HostView,
    ) -> Result<Undo> {
        let mut effects = Vec::new();
        for (place, image) in paths.iter().enumerate() {
            let deep = made == Removal::Tree;
            if self.is_as_before(image, host)? {
                continue;
            }
            if let Some(after) = after.get(place)
                && !self.matches(after, deep, host)?
            {
                return Ok(Undo::Changed(image.path.to_string()));
            }
            match &image.was {
                Was::Absent => match removal(&image.path, made, host)? {
                    Ok(removal) => {
                        effects.extend(unlocking(&image.path, host)?);
                        effects.push(removal);
                    }
                    Err(what) => return Ok(Undo::Changed(what)),
                },
                Was::Special => {
                    return Ok(Undo::Impossible(format!("{} was a special file, which cannot be kept", image.path)));
                }
                Was::There(there) => {
                    let is_directory = |found: FileMetadata| found.kind == FileKind::Directory;
                    if there.kind != FileKind::Directory && host.metadata(&image.path)?.is_some_and(is_directory) {
                        return Ok(Undo::Changed(format!("{}, which is a directory now", image.path)));
                    }
                    effects.push(self.restore(&image.path, there, host)?);
                }
            }
        }
        Ok(if effects.is_empty() { Undo::Nothing } else { Undo::Effects(effects) })
    }
}

/// Takes away what an effect has made, unless something else was put into it.
fn removal(path: &HostPath, made: Removal, host: &dyn HostView) -> Result<std::result::Result<Effect, String>> {
    let directory = host.metadata(path)?.is_some_and(|found| found.kind == FileKind::Directory);
    let what = if directory { made } else { Removal::File };
    if what == Removal::EmptyDirectory {
        let inside = host.list(path)?.unwrap_or_default();
        if let Some(first) = inside.first() {
            return Ok(Err(format!("{path}, which now holds {first}")));
        }
    }
    Ok(Ok(Effect::Remove { path: path.clone(), what }))
}

/// Takes away the flags that keep something from being removed.
pub(crate) fn unlocking(path: &HostPath, host: &dyn HostView) -> Result<Option<Effect>> {
    let locks = host.attributes(path)?.map_or(FileFlags::none(), |found| found.flags.only(FileFlags::LOCKS));
    let attributes = AttributeChanges { clear_flags: locks, ..AttributeChanges::default() };
    let unlock = Effect::SetMetadata { path: path.clone(), owner: None, group: None, mode: None, attributes };
    Ok((!locks.is_empty()).then_some(unlock))
}

/// A mark alone does not make two states of a package different: package managers change it by themselves.
fn same(a: &PackageEntry, b: &PackageEntry) -> bool {
    (a.status, &a.version, a.hold) == (b.status, &b.version, b.hold)
}

fn undo_unit(unit: &str, action: UnitAction, before: &UnitImage, after: &UnitImage, now: &UnitImage) -> Undo {
    let act = |action| Undo::Effects(vec![Effect::Platform(PlatformEffect::Unit { unit: unit.to_owned(), action })]);
    let changed = || Undo::Changed(format!("the unit {unit}"));
    let enabled = |image: &UnitImage| image.file_state.starts_with("enabled");
    match action {
        UnitAction::Start | UnitAction::Stop => match (before.active, now.active) {
            (before, now) if before == now => Undo::Nothing,
            (_, now) if now != after.active => changed(),
            (Some(true), _) => act(UnitAction::Start),
            (Some(false), _) => act(UnitAction::Stop),
            (None, _) => Undo::Nothing,
        },
        UnitAction::Enable | UnitAction::Disable => match (enabled(before), enabled(now)) {
            (before, now) if before == now => Undo::Nothing,
            (_, now) if now != enabled(after) => changed(),
            (true, _) => act(UnitAction::Enable),
            (false, _) => act(UnitAction::Disable),
        },
        UnitAction::Mask | UnitAction::Unmask => match (before.masked, now.masked) {
            (before, now) if before == now => Undo::Nothing,
            (_, now) if now != after.masked => changed(),
            (true, _) => act(UnitAction::Mask),
            (false, _) => act(UnitAction::Unmask),
        },
        UnitAction::Restart | UnitAction::Reload | UnitAction::ResetFailed => Undo::Nothing,
    }
}
