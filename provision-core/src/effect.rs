//! [`Effect`]: the closed list of things that can be done to a host, as plain data.
//!
//! Effects can be shown, saved, batched, simulated and counted, each once per kind of effect instead of once per
//! resource type. Every [`Host`](crate::host::Host) carries out the same list.

#![deny(clippy::wildcard_enum_match_arm)]

mod about;
mod acl;
mod attributes;
mod capabilities;
mod command;
mod content;
mod hiding;
pub(crate) mod images;
mod packages;
mod platform;
mod rebuild;
mod touches;
mod undoing;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::path::{HostPath, Mode};

use images::FileImage;

pub use acl::{Acl, AclSubject, permissions_from_text, permissions_text};
pub(crate) use acl::{inherited, with_mode};
pub use attributes::{AttributeChanges, FileFlags, HardLinks};
pub use capabilities::Capabilities;
pub use command::{Command, Output};
pub use content::{Content, Digest, Sensitive};
pub use packages::{Conffiles, PackageOptions, PackageRequest, PackageTransaction};
pub(crate) use platform::usual_home;
pub use platform::{CreateUser, PlatformEffect, UnitAction, UserChanges};
pub use rebuild::Rebuild;
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
    /// Gives the kernel a value, by one write to a file below `/proc/sys` or `/sys` that is there; nothing of it lasts beyond the next boot.
    SetKernel {
        /// The file.
        path: HostPath,
        /// The value, without an end of line.
        value: String,
    },
    /// Runs a command.
    Run(Command),
    /// Runs a command that makes files out of others.
    Rebuild(Rebuild),
    /// What the distribution has programs for: packages, accounts and units.
    #[serde(untagged)]
    Platform(PlatformEffect),
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

impl Access {
    /// Of root, with these permission bits.
    pub fn root(mode: u32) -> Access {
        Access { owner: "root".into(), group: "root".into(), mode: Mode::new(mode) }
    }

    /// The owner, the group and the mode that have to be set for another access, each if it has to.
    pub fn to_set_for(&self, want: &Access) -> (Option<String>, Option<String>, Option<Mode>) {
        let differs = |now: &str, want: &str| (now != want).then(|| want.to_owned());
        let (owner, group) = (differs(&self.owner, &want.owner), differs(&self.group, &want.group));
        // A change of owner takes set-user-id and set-group-id away, so a mode that has them is set again.
        let special = want.mode.bits() & 0o6000 != 0 && (owner.is_some() || group.is_some());
        let mode = (self.mode != want.mode || special).then_some(want.mode);
        (owner, group, mode)
    }
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

impl Effect {
    /// The command that it runs, by itself or to check what it writes.
    pub(crate) fn command_mut(&mut self) -> Option<&mut Command> {
        if let Effect::Run(command) | Effect::Rebuild(Rebuild { command, .. }) = self {
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
        if let Effect::Platform(PlatformEffect::Packages(transaction)) = self { Some(transaction) } else { None }
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
            Effect::SetKernel { path, value } => write!(f, "set {path} to {value}"),
            Effect::Run(command) => write!(f, "run {command}"),
            Effect::Rebuild(rebuild) => write!(f, "run {}", rebuild.command),
            Effect::Platform(effect) => effect.fmt(f),
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
