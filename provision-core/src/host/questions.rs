//! [`Question`]: what a host can be asked beside its files, as data, so that a host that wraps another needs one method for
//! all of it; and the words that resource types ask it with.

use std::sync::Arc;

use super::{
    AccountLine, Accounts, Group, HostView, PackageManager, PackageState, PackageTable, Shadow, TransactionPreview,
    UnitState, User, public,
};
use crate::effect::{Command, Effect, Output, PackageTransaction};
use crate::error::{Error, ErrorKind, Result};
use crate::path::HostPath;

/// Makes one question, its answer and the method that asks it of each entry.
macro_rules! questions {
    ($($(#[$doc:meta])* $variant:ident $(($($argument:ident: $type:ty),+))? = $method:ident -> $answer:ty;)*) => {
        /// Something that a host can be asked beside its files. Each is asked by the method of [`HostViewExt`] of that name.
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub enum Question<'q> {
            $(
                #[doc = concat!("See [`HostViewExt::", stringify!($method), "`].")]
                $variant $(($($type),+))?,
            )*
        }

        /// The answer to the [`Question`] of the same name.
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum Answer {
            $(
                #[doc = concat!("To [`Question::", stringify!($variant), "`].")]
                $variant($answer),
            )*
        }

        /// The words that `check` is written in: every question with its answer, and readings with more convenience.
        pub trait HostViewExt: HostView {
            $(
                $(#[$doc])*
                #[allow(clippy::extra_unused_lifetimes, reason = "some questions borrow nothing")]
                fn $method<'q>(&self $($(, $argument: $type)+)?) -> Result<$answer> {
                    let question = Question::$variant $(($($argument),+))?;
                    match self.ask(&question)? {
                        Answer::$variant(answer) => Ok(answer),
                        other => Err(mistaken(&question, &other)),
                    }
                }
            )*

            /// The text of a file. `None` if nothing is there.
            ///
            /// # Errors
            /// As [`HostView::read`]; or it is not UTF-8.
            fn read_text(&self, path: &str) -> Result<Option<String>> {
                let path = HostPath::new(path)?;
                let Some(content) = self.read(&path)? else { return Ok(None) };
                match content.text() {
                    Some(text) => Ok(Some(text.to_owned())),
                    None => {
                        let error = Error::new(ErrorKind::Invalid, "it is not UTF-8 text");
                        Err(error.while_doing(format!("reading {path}")))
                    }
                }
            }

            /// Whether every user of the host may read a file: its mode and the directories above it let them, links followed. A
            /// file that cannot be inspected counts as one that they may not read.
            fn is_readable_by_all(&self, path: &HostPath) -> bool {
                public::is_readable(self, path).unwrap_or(false)
            }

            /// Whether every user of the host may search the directories above a path, links followed.
            fn is_reachable_by_all(&self, path: &HostPath) -> bool {
                public::is_reachable(self, path).unwrap_or(false)
            }
        }
    };
}

questions! {
    /// The state of a package, by `name` or `name:architecture`.
    ///
    /// # Errors
    /// The package database cannot be read.
    Package(name: &'q str) = package -> PackageState;

    /// The versions of a package that could be installed: the preferred one first, then the others, highest first.
    /// Empty if no source offers the package.
    ///
    /// # Errors
    /// The package lists cannot be read, or are about to change ([`ErrorKind::Unknown`]).
    AvailableVersions(name: &'q str) = available_versions -> Vec<String>;

    /// Packages whose installation was interrupted.
    ///
    /// # Errors
    /// The package database cannot be read.
    InterruptedPackages = interrupted_packages -> Vec<String>;

    /// How the package manager itself is doing.
    ///
    /// # Errors
    /// Its state cannot be read.
    PackageManager = package_manager -> PackageManager;

    /// Every package that the package manager knows something of, by `name` or `name:architecture`.
    ///
    /// # Errors
    /// The package database cannot be read.
    Packages = packages -> Arc<PackageTable>;

    /// What a transaction would do beyond what it says: dependencies, removals, sizes.
    ///
    /// # Errors
    /// The package manager finds no solution, or its lists are about to change ([`ErrorKind::Unknown`]).
    Preview(transaction: &'q PackageTransaction) = preview -> TransactionPreview;

    /// The installed package that ships a path.
    ///
    /// # Errors
    /// The package database cannot be read.
    PackageOf(path: &'q HostPath) = package_of -> Option<String>;

    /// The state of a unit, by its full name.
    ///
    /// # Errors
    /// The service manager does not answer.
    Unit(name: &'q str) = unit -> UnitState;

    /// A user of the account files. Users of a directory service (LDAP) are not seen.
    ///
    /// # Errors
    /// The account files cannot be read.
    User(name: &'q str) = user -> Option<User>;

    /// A group of the account files.
    ///
    /// # Errors
    /// The account files cannot be read.
    Group(name: &'q str) = group -> Option<Group>;

    /// All users and groups of the account files.
    ///
    /// # Errors
    /// The account files cannot be read.
    Accounts = accounts -> Arc<Accounts>;

    /// Password and expiry of a user. `None` for a user without an entry.
    ///
    /// # Errors
    /// Only root may read them.
    Shadow(user: &'q str) = shadow -> Option<Shadow>;

    /// The lines of the account files that a set of users and groups has.
    ///
    /// # Errors
    /// Only root may read them all.
    AccountLines(users: &'q [&'q str], groups: &'q [&'q str]) = account_lines -> Vec<AccountLine>;

    /// The answer of a command that changes nothing.
    ///
    /// # Errors
    /// It cannot be started, or takes too long. An exit code other than 0 is an answer.
    Query(command: &'q Command) = query -> Output;

    /// The answer of a command that changes nothing, on the host as these effects on files would leave it. What the command writes to
    /// files is thrown away.
    ///
    /// # Errors
    /// As [`query`](HostViewExt::query); or the host cannot be shown otherwise than it is.
    QueryWith(command: &'q Command, staged: &'q [Effect]) = query_with -> Output;

    /// Debian's name of the architecture, such as `amd64`. `None` where dpkg is not.
    ///
    /// # Errors
    /// The package database cannot be read.
    Architecture = architecture -> Option<String>;
}

impl<H: HostView + ?Sized> HostViewExt for H {}

impl Question<'_> {
    /// The error of a host that cannot be asked this.
    pub fn unsupported(&self) -> Error {
        Error::new(ErrorKind::Unsupported, format!("this host cannot be asked {self:?}"))
    }
}

/// A host is never trusted to answer what it was asked.
fn mistaken(question: &Question<'_>, answer: &Answer) -> Error {
    Error::new(ErrorKind::Invalid, format!("the host was asked {question:?}, and answered {answer:?}"))
}
