//! What an effect holds beside names: the one exhaustive answer, from which follow what of it is hidden and what is not written
//! down.

use super::images::{AccountLine, FileImage};
use super::{Command, CreateUser, Effect, UserChanges, WriteFile};

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
    /// Names and numbers alone.
    Nothing,
}

impl Effect {
    pub(super) fn held(&self) -> Held<'_> {
        match self {
            Effect::WriteFile(file) => Held::File(file),
            Effect::Restore(image) => Held::Image(image),
            Effect::CreateUser(user) => Held::NewUser(user),
            Effect::ChangeUser { name, changes } => Held::OfUser(name, changes),
            Effect::RestoreAccounts { lines } => Held::Lines(lines),
            Effect::Run(command) => Held::Command(command),
            Effect::CopyFile { .. }
            | Effect::CreateDirectory { .. }
            | Effect::CreateSymlink { .. }
            | Effect::SetMetadata { .. }
            | Effect::Remove { .. }
            | Effect::RepairPackages
            | Effect::RefreshPackageLists
            | Effect::Packages(_)
            | Effect::RemoveUser { .. }
            | Effect::CreateGroup { .. }
            | Effect::ChangeGroup { .. }
            | Effect::SetMembers { .. }
            | Effect::RemoveGroup { .. }
            | Effect::Unit { .. }
            | Effect::ReloadUnits
            | Effect::WatchUnit { .. } => Held::Nothing,
        }
    }
}
