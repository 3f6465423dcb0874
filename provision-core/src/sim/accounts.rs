//! Accounts that maintainer scripts create, with numbers of their own.

use std::collections::BTreeSet;

use super::{Machine, ScriptChanges};
use crate::effect::Sensitive;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{Group, Shadow, User};

impl Machine<'_> {
    /// Creates a group as a maintainer script did, with a number of its own.
    pub(super) fn create_recorded_group(&self, recorded: &Group) -> Result<()> {
        let taken = self.accounts()?.groups.values().map(|group| group.gid).collect();
        let gid = number_like(recorded.gid, &taken)?;
        self.create_group(&recorded.name, Some(gid), true)
    }

    /// Creates a user as a maintainer script did, with a number of its own.
    pub(super) fn create_recorded_user(&self, recorded: &User, changes: &ScriptChanges) -> Result<()> {
        let accounts = self.accounts()?;
        let taken = accounts.users.values().map(|user| user.uid).collect();
        let group = changes.groups.iter().find(|group| group.gid == recorded.gid).map(|group| group.name.as_str());
        let group = group.or_else(|| accounts.group_name(recorded.gid));
        let gid = group.map_or(Ok(recorded.gid), |group| self.gid_of(group))?;
        // adduser(8) and systemd-sysusers(8) give user and group one number where they can.
        let uid = match group == Some(recorded.name.as_str()) {
            true if recorded.uid == recorded.gid && !BTreeSet::contains(&taken, &gid) => gid,
            _ => number_like(recorded.uid, &taken)?,
        };
        // Held any longer, they would be copied to be changed.
        drop(accounts);
        let mut model = self.model();
        let user = User { uid, gid, ..recorded.clone() };
        self.accounts_of(&mut model)?.users.insert(user.name.clone(), user);
        let locked = Shadow { password: Sensitive::new("!"), expires: None };
        model.shadows.insert(recorded.name.clone(), Some(locked));
        Ok(())
    }

    /// Takes a user into a group.
    pub(super) fn add_member(&self, group: &str, user: &str) -> Result<()> {
        if self.group(group)?.is_none() {
            return Ok(());
        }
        self.change_group(group, |group| {
            if !group.members.iter().any(|member| member == user) {
                group.members.push(user.to_owned());
                group.members.sort_unstable();
            }
        })
    }
}

/// A number for what was recorded with another: fixed ones stay, adduser(8) counts up, systemd-sysusers(8) down.
fn number_like(recorded: u32, taken: &BTreeSet<u32>) -> Result<u32> {
    let number = match recorded {
        0..100 | 60000.. => Some(recorded),
        100..500 => (100..=999).find(|number| !taken.contains(number)),
        _ => (100..=999).rev().find(|number| !taken.contains(number)),
    };
    number.ok_or_else(|| Error::new(ErrorKind::Conflict, "no free number is left"))
}
