//! [`Effect`]: the closed list of things that can be done to a host, as plain data.
//!
//! Effects can be shown, saved, batched, simulated and counted, each once per kind of effect instead of once per
//! resource type. Every [`Host`](crate::host::Host) carries out the same list.

#![deny(clippy::wildcard_enum_match_arm)]

mod acl;
mod attributes;
mod capabilities;
mod command;
mod content;
mod held;
mod hiding;
pub(crate) mod images;
mod packages;
mod touches;
mod undoing;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::path::{HostPath, Mode};

use images::{AccountLine, FileImage};

pub use acl::{Acl, AclSubject, permissions_from_text, permissions_text};
pub(crate) use acl::{inherited, with_mode};
pub use attributes::{AttributeChanges, FileFlags, HardLinks};
pub use capabilities::Capabilities;
pub use command::{Command, Output};
pub use content::{Content, Digest, Sensitive};
pub use packages::{Conffiles, PackageOptions, PackageRequest, PackageTransaction};
pub use touches::{Lock, PathChange, Touched};
pub use undoing::Reversal;

/// One thing that is done to a host.
///
/// `Debug`, and every form that people can read such as JSON, hide content that not every user of the host may read: see
/// [`Effect::is_sensitive`].
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effect {
    /// Puts a whole file in place: the name holds the old file or the new one, at every instant.
    WriteFile(WriteFile),
    /// Copies a regular file with its metadata; replaces what is at `to`.
    CopyFile {
        /// The file to copy.
        from: HostPath,
        /// Where the copy goes.
        to: HostPath,
    },
    /// Creates a directory. One that is there already gets the owner, group and mode.
    CreateDirectory {
        /// The directory; its parent exists.
        path: HostPath,
        /// Owner, group and mode.
        #[serde(flatten)]
        access: Access,
        /// What changes beside them.
        #[serde(default, skip_serializing_if = "AttributeChanges::is_empty")]
        attributes: AttributeChanges,
    },
    /// Puts a symbolic link in place, in one step even where another link or a file was.
    CreateSymlink {
        /// The link.
        path: HostPath,
        /// The text of the link, absolute or relative to its directory.
        target: String,
        /// User that owns the link itself.
        owner: String,
        /// Group of the link itself.
        group: String,
    },
    /// Changes owner, group, mode or attributes of a file or directory; never follows a link. A file with several names
    /// is refused where a user other than root could have given it one of them.
    SetMetadata {
        /// What to change.
        path: HostPath,
        /// New owner, if it changes.
        owner: Option<String>,
        /// New group, if it changes.
        group: Option<String>,
        /// New mode, if it changes.
        mode: Option<Mode>,
        /// What changes beside them.
        #[serde(default, skip_serializing_if = "AttributeChanges::is_empty")]
        attributes: AttributeChanges,
    },
    /// Puts something back exactly as it was, in one step; the entries of a directory are left alone.
    Restore(Box<FileImage>),
    /// Removes something. What is gone already is no error.
    Remove {
        /// What to remove.
        path: HostPath,
        /// What may be removed.
        what: Removal,
    },
    /// Completes packages that an interrupted run left half-configured (`dpkg --configure -a`).
    RepairPackages,
    /// Fetches the lists of available packages (`apt-get update`).
    RefreshPackageLists,
    /// Installs, removes, holds and marks packages, in one transaction.
    Packages(PackageTransaction),
    /// Creates a user.
    CreateUser(CreateUser),
    /// Changes a user.
    ChangeUser {
        /// The user.
        name: String,
        /// What changes.
        #[serde(flatten)]
        changes: UserChanges,
    },
    /// Removes a user.
    RemoveUser {
        /// The user.
        name: String,
        /// Whether the home directory and the mail spool go too.
        remove_home: bool,
    },
    /// Creates a group.
    CreateGroup {
        /// The group.
        name: String,
        /// Its number; otherwise the next free one.
        gid: Option<u32>,
        /// Whether the number comes from the range of system groups.
        system: bool,
    },
    /// Gives a group another number. Files keep their old number.
    ChangeGroup {
        /// The group.
        name: String,
        /// Its new number.
        gid: u32,
    },
    /// Makes these users, and no others, the members of a group.
    SetMembers {
        /// The group.
        group: String,
        /// Users, sorted.
        members: Vec<String>,
    },
    /// Removes a group.
    RemoveGroup {
        /// The group.
        name: String,
    },
    /// Puts lines of the account files back as they were.
    RestoreAccounts {
        /// The lines; one that is `None` goes.
        lines: Vec<AccountLine>,
    },
    /// Changes the state of a unit.
    Unit {
        /// Full name, such as `nginx.service`.
        unit: String,
        /// What is done to it.
        action: UnitAction,
    },
    /// Makes the service manager read the unit files anew (`systemctl daemon-reload`).
    ReloadUnits,
    /// Watches a unit for a time, through which it must go on running.
    WatchUnit {
        /// Full name, such as `nginx.service`.
        unit: String,
        /// How long.
        seconds: u64,
    },
    /// Runs a command.
    Run(Command),
}

/// A file to be written whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WriteFile {
    /// The file; its directory exists.
    pub path: HostPath,
    /// All of its bytes.
    pub content: Content,
    /// Owner, group and mode, in force before the name is visible.
    #[serde(flatten)]
    pub access: Access,
    /// A check of the new file before it takes its place; `%` in an argument stands for the path of the new file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate: Option<Command>,
    /// What it has beside them; what is absent is kept from the file that it replaces.
    #[serde(default, skip_serializing_if = "AttributeChanges::is_empty")]
    pub attributes: AttributeChanges,
    /// What is done if the file that it replaces has other names.
    #[serde(default, skip_serializing_if = "HardLinks::is_break")]
    pub hard_links: HardLinks,
}

impl WriteFile {
    /// A file with a content, an owner, a group and a mode; all else is kept from the file that it replaces.
    pub fn new(path: HostPath, content: impl Into<Content>, access: Access) -> WriteFile {
        WriteFile {
            path,
            content: content.into(),
            access,
            validate: None,
            attributes: AttributeChanges::default(),
            hard_links: HardLinks::default(),
        }
    }
}

/// Who may do what with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Name of the user that owns it, or a number where no name is.
    pub owner: String,
    /// Name of its group, or a number where no name is.
    pub group: String,
    /// Permission bits.
    pub mode: Mode,
}

/// What a removal may take away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Removal {
    /// A file, link, socket or device; a directory is refused.
    File,
    /// A pipe, a socket or a device, which cannot be put back; anything else is refused.
    Special,
    /// A directory with nothing in it.
    EmptyDirectory,
    /// A directory if there is nothing in it; otherwise it stays, which is no error.
    IfEmpty,
    /// A directory and everything beneath it on the same file system.
    Tree,
}

/// A user to create.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CreateUser {
    /// The user.
    pub name: String,
    /// Whether the number comes from the range of system users.
    pub system: bool,
    /// Whether the home directory is created, with the files of `/etc/skel`.
    pub create_home: bool,
    /// Everything else; what is absent is left to the host's defaults.
    #[serde(flatten)]
    pub attributes: UserChanges,
}

impl CreateUser {
    /// Where its home directory is.
    pub(crate) fn home(&self) -> Result<HostPath> {
        self.attributes.home.clone().map_or_else(|| usual_home(&self.name), Ok)
    }
}

/// Where `useradd(8)` puts a home directory that is not named.
pub(crate) fn usual_home(user: &str) -> Result<HostPath> {
    HostPath::new(&format!("/home/{user}"))
}

/// What changes of a user; absent is unchanged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserChanges {
    /// Number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Name of the primary group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_group: Option<String>,
    /// All supplementary groups, sorted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// Login shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<HostPath>,
    /// Home directory. Its content is not moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<HostPath>,
    /// Full name and the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gecos: Option<String>,
    /// Hash of the password as `crypt(5)` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Sensitive>,
    /// Whether the password is locked (`!` before its hash, see `passwd(1)`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// Day after which the account is closed, in days since 1970-01-01; `Some(None)` for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Option<i64>>,
}

impl UserChanges {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == UserChanges::default()
    }
}

/// What can be done to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitAction {
    /// Start it and wait for the result.
    Start,
    /// Stop it and wait for the result.
    Stop,
    /// Stop and start it.
    Restart,
    /// Make it read its configuration anew; a unit that cannot is restarted.
    Reload,
    /// Start it at boot.
    Enable,
    /// Do not start it at boot.
    Disable,
    /// Make it impossible to start.
    Mask,
    /// Make it possible to start again.
    Unmask,
    /// Forget that it failed.
    ResetFailed,
}

impl UnitAction {
    /// The verb of `systemctl(1)`.
    pub fn verb(self) -> &'static str {
        match self {
            UnitAction::Start => "start",
            UnitAction::Stop => "stop",
            UnitAction::Restart => "restart",
            UnitAction::Reload => "reload",
            UnitAction::Enable => "enable",
            UnitAction::Disable => "disable",
            UnitAction::Mask => "mask",
            UnitAction::Unmask => "unmask",
            UnitAction::ResetFailed => "reset-failed",
        }
    }
}

impl Effect {
    /// The command that it runs, by itself or to check what it writes.
    pub(crate) fn command_mut(&mut self) -> Option<&mut Command> {
        if let Effect::Run(command) = self {
            return Some(command);
        }
        if let Effect::WriteFile(file) = self { file.validate.as_mut() } else { None }
    }

    /// The bytes that it gives to the file at its path, where it holds them.
    pub(crate) fn content(&self) -> Option<&Content> {
        if let Effect::WriteFile(file) = self { Some(&file.content) } else { None }
    }

    /// The package changes that it makes, if it is such an effect.
    pub(crate) fn transaction(&self) -> Option<&PackageTransaction> {
        if let Effect::Packages(transaction) = self { Some(transaction) } else { None }
    }
}

/// What it does, in the words of a person: "write /etc/motd".
impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::WriteFile(file) => write!(f, "write {}", file.path),
            Effect::CopyFile { from, to } => write!(f, "copy {from} to {to}"),
            Effect::CreateDirectory { path, .. } => write!(f, "create directory {path}"),
            Effect::CreateSymlink { path, target, .. } => write!(f, "link {path} to {target}"),
            Effect::SetMetadata { path, owner, group, mode, attributes } => {
                write!(f, "set")?;
                for (name, value) in [("owner", owner), ("group", group)] {
                    if let Some(value) = value {
                        write!(f, " {name} {value}")?;
                    }
                }
                if let Some(mode) = mode {
                    write!(f, " mode {mode}")?;
                }
                if !attributes.is_empty() {
                    write!(f, " attributes")?;
                }
                write!(f, " of {path}")
            }
            Effect::Restore(image) => write!(f, "restore {}", image.path),
            Effect::Remove { path, what: Removal::Tree } => write!(f, "remove {path} and all beneath it"),
            Effect::Remove { path, .. } => write!(f, "remove {path}"),
            Effect::RepairPackages => write!(f, "complete interrupted package installations"),
            Effect::RefreshPackageLists => write!(f, "refresh the package lists"),
            Effect::Packages(transaction) => transaction.fmt(f),
            Effect::CreateUser(user) => write!(f, "create user {}", user.name),
            Effect::ChangeUser { name, .. } => write!(f, "change user {name}"),
            Effect::RemoveUser { name, remove_home: true } => write!(f, "remove user {name} with the home directory"),
            Effect::RemoveUser { name, .. } => write!(f, "remove user {name}"),
            Effect::CreateGroup { name, .. } => write!(f, "create group {name}"),
            Effect::ChangeGroup { name, gid } => write!(f, "give group {name} the number {gid}"),
            Effect::SetMembers { group, members } => {
                write!(f, "set members of group {group} to [{}]", members.join(", "))
            }
            Effect::RemoveGroup { name } => write!(f, "remove group {name}"),
            Effect::RestoreAccounts { lines } => {
                let mut names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
                names.sort_unstable();
                names.dedup();
                write!(f, "restore the account lines of {}", names.join(", "))
            }
            Effect::Unit { unit, action } => write!(f, "{} {unit}", action.verb()),
            Effect::ReloadUnits => write!(f, "systemctl daemon-reload"),
            Effect::WatchUnit { unit, seconds } => write!(f, "watch {unit} for {seconds} s"),
            Effect::Run(command) => write!(f, "run {command}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn content_survives_json(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let content = Content::from(&bytes);
            let json = serde_json::to_string(&content).unwrap();
            prop_assert_eq!(serde_json::from_str::<Content>(&json).unwrap(), content);
        }
    }

    #[test]
    fn a_sensitive_value_is_not_shown() {
        let command = Command::new(["chpasswd", "-e"]).stdin("deploy:$y$secret");
        let shown = format!("{command} {command:?} {}", serde_json::to_string(&command).unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn transactions_with_different_options_stay_apart() {
        let install = |name: &str, recommends| PackageTransaction {
            install: vec![PackageRequest { name: name.into(), version: None }],
            options: PackageOptions { recommends, ..PackageOptions::default() },
            ..PackageTransaction::default()
        };
        let mut first = install("nginx", true);
        assert!(first.merge(install("git", true)).is_none());
        assert!(first.merge(install("less", false)).is_some());
        assert_eq!(first.to_string(), "install nginx git");
    }
}
