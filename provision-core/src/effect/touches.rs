//! The things that effects touch, and what follows from them: locks, and what can be taken back.

use super::{Command, Effect, PackageTransaction, PlatformEffect, Reversal, UnitAction};
use crate::path::HostPath;

/// A thing that an effect changes, or may change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Touched<'e> {
    /// Something at a path.
    Path {
        /// Where it is.
        path: &'e HostPath,
        /// What of it changes.
        change: PathChange,
    },
    /// A user in the account files.
    User(&'e str),
    /// A group in the account files. The members of a group and the groups of a user are one thing.
    Group(&'e str),
    /// The users whose primary group this is: their number of it changes along, see `groupmod(8)`.
    UsersOf(&'e str),
    /// The home directory and the mail spool of a user, which come or go with the user.
    Home {
        /// The user.
        user: &'e str,
        /// The home directory, where the effect names it; otherwise that of the account files, or the default one.
        home: Option<&'e HostPath>,
    },
    /// Packages, with what their scripts do: accounts, units and files.
    Packages(&'e PackageTransaction),
    /// Packages that are not named: whatever an interrupted run left.
    PackageDatabase,
    /// The lists of available packages.
    PackageLists,
    /// A unit.
    Unit {
        /// Its full name.
        unit: &'e str,
        /// What is done to it.
        action: UnitAction,
    },
    /// What the service manager has read of the unit files.
    ServiceManager,
    /// Whatever a command does that declares nothing.
    Anything(&'e Command),
}

/// What of a path an effect changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathChange {
    /// Owner, group, mode and attributes; what it holds stays. A directory comes into being so as well. It takes several
    /// steps, and doing it again completes it.
    Metadata,
    /// All of it, in one step: the name holds the old or the new.
    Replaced,
    /// It goes.
    Removed,
    /// A pipe, a socket or a device, of which no image can be kept, goes.
    SpecialRemoved,
    /// It goes with all that lies beneath it.
    TreeRemoved,
}

/// What effects share, so that two of them never run at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lock {
    /// The package database.
    Packages,
    /// Users and groups.
    Accounts,
    /// The service manager.
    Units,
}

impl Effect {
    /// The path that it changes, the first if there are several; `None` if it changes none.
    pub fn path(&self) -> Option<&HostPath> {
        self.touches().first().and_then(Touched::path)
    }

    /// The locks that it needs, in the order in which they are taken.
    pub fn locks(&self) -> &'static [Lock] {
        locks_of(&self.touches())
    }

    /// Whether it can be taken back.
    pub fn reversal(&self) -> Reversal {
        if self.point_of_no_return().is_some() {
            return Reversal::Impossible;
        }
        if self.touches().iter().any(Touched::lasts) { Reversal::Possible } else { Reversal::Needless }
    }

    /// Why it cannot be taken back, for people; `None` if it can, or need not be.
    pub fn point_of_no_return(&self) -> Option<String> {
        self.touches().iter().find_map(Touched::point_of_no_return)
    }
}

impl PlatformEffect {
    /// The locks that it needs, in the order in which they are taken.
    pub fn locks(&self) -> &'static [Lock] {
        locks_of(&self.about().0)
    }
}

fn locks_of(touched: &[Touched<'_>]) -> &'static [Lock] {
    touched.first().map_or(&[], Touched::locks)
}

impl<'e> Touched<'e> {
    /// Where it is, if it is something at a path.
    pub fn path(&self) -> Option<&'e HostPath> {
        if let Touched::Path { path, .. } = self { Some(path) } else { None }
    }

    /// Whether it is something at a path that goes.
    pub(crate) fn is_removed(&self) -> bool {
        match self {
            Touched::Path { change, .. } => match change {
                PathChange::Removed | PathChange::SpecialRemoved | PathChange::TreeRemoved => true,
                PathChange::Metadata | PathChange::Replaced => false,
            },
            Touched::User(_)
            | Touched::Group(_)
            | Touched::UsersOf(_)
            | Touched::Home { .. }
            | Touched::Packages(_)
            | Touched::PackageDatabase
            | Touched::PackageLists
            | Touched::Unit { .. }
            | Touched::ServiceManager
            | Touched::Anything(_) => false,
        }
    }

    /// The locks that a change of it needs, in the order in which they are taken.
    fn locks(&self) -> &'static [Lock] {
        match self {
            // Maintainer scripts create users and start services.
            Touched::Packages(_) | Touched::PackageDatabase => &[Lock::Packages, Lock::Accounts, Lock::Units],
            Touched::PackageLists => &[Lock::Packages],
            Touched::User(_) | Touched::Group(_) | Touched::UsersOf(_) | Touched::Home { .. } => &[Lock::Accounts],
            Touched::Unit { .. } | Touched::ServiceManager => &[Lock::Units],
            Touched::Path { .. } | Touched::Anything(_) => &[],
        }
    }

    /// Whether a change of it leaves something that could be put back.
    fn lasts(&self) -> bool {
        match self {
            Touched::Path { .. }
            | Touched::User(_)
            | Touched::Group(_)
            | Touched::UsersOf(_)
            | Touched::Home { .. }
            | Touched::Packages(_)
            | Touched::Anything(_) => true,
            Touched::Unit { action, .. } => match action {
                UnitAction::Start
                | UnitAction::Stop
                | UnitAction::Enable
                | UnitAction::Disable
                | UnitAction::Mask
                | UnitAction::Unmask => true,
                UnitAction::Restart | UnitAction::Reload | UnitAction::ResetFailed => false,
            },
            Touched::PackageDatabase | Touched::PackageLists | Touched::ServiceManager => false,
        }
    }

    fn point_of_no_return(&self) -> Option<String> {
        match self {
            Touched::Anything(command) => Some(format!("there is no known way to undo `{command}`")),
            Touched::Packages(transaction) if !transaction.purge.is_empty() => {
                Some(format!("the configuration and data of {} are lost", transaction.purge.join(", ")))
            }
            Touched::Path { path, change: PathChange::SpecialRemoved } => {
                Some(format!("{path} is a pipe, a socket or a device, which cannot be put back"))
            }
            Touched::Packages(_)
            | Touched::Path { .. }
            | Touched::User(_)
            | Touched::Group(_)
            | Touched::UsersOf(_)
            | Touched::Home { .. }
            | Touched::PackageDatabase
            | Touched::PackageLists
            | Touched::Unit { .. }
            | Touched::ServiceManager => None,
        }
    }
}
