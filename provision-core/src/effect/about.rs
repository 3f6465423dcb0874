//! What an effect is about: the one exhaustive answer. From what it touches follow locks, before-images, recovery, the ledger,
//! the caches of a platform and the order of steps, once for each kind of thing instead of once for each kind of effect; from
//! what it holds beside names follow what of it is hidden and what is not written down.

use super::images::{AccountLine, FileImage};
use super::touches::{PathChange, Touched};
use super::{Command, CreateUser, Effect, PlatformEffect, Rebuild, Removal, UserChanges, WriteFile};
use crate::path::HostPath;

/// What an effect touches, its own subject first, and what it holds.
pub(super) type About<'e> = (Vec<Touched<'e>>, Held<'e>);

/// Contents and commands: they may be long, and there may be secrets in them.
pub(super) enum Held<'e> {
    /// A file to be written.
    File(&'e WriteFile),
    /// Something to be put back.
    Image(&'e FileImage),
    /// A user with a password.
    NewUser(&'e CreateUser),
    /// A change of the password of the user with this name.
    OfUser(&'e str, &'e UserChanges),
    /// Lines of account files.
    Lines(&'e [AccountLine]),
    /// A command with its standard input.
    Command(&'e Command),
    /// A command that makes files.
    Rebuild(&'e Rebuild),
    /// Names and numbers alone.
    Nothing,
}

impl Effect {
    /// Everything that it changes, or may change; its own subject first.
    pub fn touches(&self) -> Vec<Touched<'_>> {
        self.about().0
    }

    pub(super) fn held(&self) -> Held<'_> {
        self.about().1
    }

    fn about(&self) -> About<'_> {
        let replaced = |path| vec![Touched::Path { path, change: PathChange::Replaced }];
        let changed = |path| vec![Touched::Path { path, change: PathChange::Metadata }];
        match self {
            Effect::WriteFile(file) => (replaced(&file.path), Held::File(file)),
            Effect::Restore(image) => (replaced(&image.path), Held::Image(image)),
            Effect::SetKernel { path, .. } => (replaced(path), Held::Nothing),
            Effect::CopyFile { to, .. } => (replaced(to), Held::Nothing),
            Effect::CreateSymlink { path, .. } => (replaced(path), Held::Nothing),
            Effect::CreateDirectory { path, .. } | Effect::SetMetadata { path, .. } => (changed(path), Held::Nothing),
            Effect::Remove { path, what } => (removed(path, *what), Held::Nothing),
            Effect::Run(command) => (vec![Touched::Anything(command)], Held::Command(command)),
            Effect::Rebuild(rebuild) => {
                let made = rebuild.products.iter().chain(&rebuild.stamp);
                let touched = made.map(|path| Touched::Path { path, change: PathChange::Replaced });
                (touched.collect(), Held::Rebuild(rebuild))
            }
            Effect::Platform(effect) => effect.about(),
        }
    }
}

fn removed(path: &HostPath, what: Removal) -> Vec<Touched<'_>> {
    let change = match what {
        Removal::File | Removal::EmptyDirectory | Removal::IfEmpty => PathChange::Removed,
        Removal::Special => PathChange::SpecialRemoved,
        Removal::Tree => PathChange::TreeRemoved,
    };
    vec![Touched::Path { path, change }]
}

impl PlatformEffect {
    pub(super) fn about(&self) -> About<'_> {
        match self {
            PlatformEffect::RepairPackages => (vec![Touched::PackageDatabase], Held::Nothing),
            PlatformEffect::RefreshPackageLists => (vec![Touched::PackageLists], Held::Nothing),
            PlatformEffect::Packages(transaction) => (vec![Touched::Packages(transaction)], Held::Nothing),
            PlatformEffect::CreateUser(user) => {
                // useradd(8) makes a group of the same name.
                let mut touched = with_groups(&user.name, &user.attributes);
                if user.create_home {
                    touched.push(Touched::Home { user: &user.name, home: user.attributes.home.as_ref() });
                }
                (touched, Held::NewUser(user))
            }
            PlatformEffect::ChangeUser { name, changes } => (with_groups(name, changes), Held::OfUser(name, changes)),
            PlatformEffect::RemoveUser { name, remove_home } => {
                let mut touched = vec![Touched::User(name), Touched::Group(name)];
                if *remove_home {
                    touched.push(Touched::Home { user: name, home: None });
                }
                (touched, Held::Nothing)
            }
            PlatformEffect::ChangeGroup { name, .. } => {
                (vec![Touched::Group(name), Touched::UsersOf(name)], Held::Nothing)
            }
            PlatformEffect::CreateGroup { name, .. }
            | PlatformEffect::SetMembers { group: name, .. }
            | PlatformEffect::RemoveGroup { name } => (vec![Touched::Group(name)], Held::Nothing),
            PlatformEffect::RestoreAccounts { lines } => (restored(lines), Held::Lines(lines)),
            PlatformEffect::Unit { unit, action } => (vec![Touched::Unit { unit, action: *action }], Held::Nothing),
            PlatformEffect::ReloadUnits => (vec![Touched::ServiceManager], Held::Nothing),
            // It looks on.
            PlatformEffect::WatchUnit { .. } => (Vec::new(), Held::Nothing),
        }
    }
}

/// A user with the group of the same name, and the groups that the user becomes a member of.
fn with_groups<'e>(user: &'e str, changes: &'e UserChanges) -> Vec<Touched<'e>> {
    let mut touched = vec![Touched::User(user), Touched::Group(user)];
    touched.extend(changes.groups.iter().flatten().map(|group| Touched::Group(group)));
    touched
}

fn restored(lines: &[AccountLine]) -> Vec<Touched<'_>> {
    let mut touched: Vec<Touched<'_>> = Vec::new();
    for line in lines {
        let is_group = line.database.is_about_groups();
        let thing = if is_group { Touched::Group(&line.name) } else { Touched::User(&line.name) };
        if !touched.contains(&thing) {
            touched.push(thing);
        }
    }
    touched
}
