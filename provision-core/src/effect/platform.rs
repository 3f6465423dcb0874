//! [`PlatformEffect`]: what a distribution has programs for.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::images::AccountLine;
use super::{Effect, PackageTransaction, Sensitive};
use crate::error::Result;
use crate::path::HostPath;

/// What is done to packages, accounts and units: what a [`Platform`](crate::host::Platform) carries out.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PlatformEffect {
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
}

impl From<PlatformEffect> for Effect {
    fn from(effect: PlatformEffect) -> Effect {
        Effect::Platform(effect)
    }
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

/// What it does, in the words of a person: "create user deploy".
impl fmt::Display for PlatformEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlatformEffect::RepairPackages => write!(f, "complete interrupted package installations"),
            PlatformEffect::RefreshPackageLists => write!(f, "refresh the package lists"),
            PlatformEffect::Packages(transaction) => transaction.fmt(f),
            PlatformEffect::CreateUser(user) => write!(f, "create user {}", user.name),
            PlatformEffect::ChangeUser { name, .. } => write!(f, "change user {name}"),
            PlatformEffect::RemoveUser { name, remove_home: true } => {
                write!(f, "remove user {name} with the home directory")
            }
            PlatformEffect::RemoveUser { name, .. } => write!(f, "remove user {name}"),
            PlatformEffect::CreateGroup { name, .. } => write!(f, "create group {name}"),
            PlatformEffect::ChangeGroup { name, gid } => write!(f, "give group {name} the number {gid}"),
            PlatformEffect::SetMembers { group, members } => {
                write!(f, "set members of group {group} to [{}]", members.join(", "))
            }
            PlatformEffect::RemoveGroup { name } => write!(f, "remove group {name}"),
            PlatformEffect::RestoreAccounts { lines } => {
                let mut names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
                names.sort_unstable();
                names.dedup();
                write!(f, "restore the account lines of {}", names.join(", "))
            }
            PlatformEffect::Unit { unit, action } => write!(f, "{} {unit}", action.verb()),
            PlatformEffect::ReloadUnits => write!(f, "systemctl daemon-reload"),
            PlatformEffect::WatchUnit { unit, seconds } => write!(f, "watch {unit} for {seconds} s"),
        }
    }
}
