//! Users and groups as the account files have them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::effect::Sensitive;

/// A user of `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Number.
    pub uid: u32,
    /// Number of the primary group.
    pub gid: u32,
    /// Full name and the like.
    pub gecos: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// A group of `/etc/group`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Number.
    pub gid: u32,
    /// Users that are in it beside those whose primary group it is; sorted.
    pub members: Vec<String>,
}

/// All users and groups of a host, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Users.
    pub users: BTreeMap<String, User>,
    /// Groups.
    pub groups: BTreeMap<String, Group>,
}

impl Accounts {
    /// The name of the user with this number.
    pub fn user_name(&self, uid: u32) -> Option<&str> {
        self.users.values().find(|user| user.uid == uid).map(|user| user.name.as_str())
    }

    /// The name of the group with this number.
    pub fn group_name(&self, gid: u32) -> Option<&str> {
        self.groups.values().find(|group| group.gid == gid).map(|group| group.name.as_str())
    }

    /// The number of a user, by name or by a number that needs no name; `root` has one even where there are no account files.
    pub fn uid(&self, name: &str) -> Option<u32> {
        self.users.get(name).map(|user| user.uid).or_else(|| number(name))
    }

    /// The number of a group, as [`uid`](Accounts::uid).
    pub fn gid(&self, name: &str) -> Option<u32> {
        self.groups.get(name).map(|group| group.gid).or_else(|| number(name))
    }

    /// The supplementary groups of a user, sorted.
    pub fn groups_of(&self, user: &str) -> Vec<String> {
        let member = |group: &&Group| group.members.iter().any(|member| member == user);
        self.groups.values().filter(member).map(|group| group.name.clone()).collect()
    }
}

fn number(name: &str) -> Option<u32> {
    if name == "root" { Some(0) } else { name.parse().ok() }
}

/// The entry of a user in `/etc/shadow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// Hash of the password, `!` before it if it is locked; `*` and `!` alone allow no password.
    pub password: Sensitive,
    /// Day after which the account is closed, in days since 1970-01-01.
    pub expires: Option<i64>,
}
