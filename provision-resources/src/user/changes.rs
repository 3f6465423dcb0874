//! From two states of a user to the changes between them.

use provision_core::effect::UserChanges;
use provision_core::error::Result;
use provision_core::host::{HostView, HostViewExt};

use super::{State, User, primary_group_of};
use crate::accounts::{Day, PasswordHash};

impl User {
    /// What is to change; everything that is declared, for a new user.
    pub(super) fn changes(&self, name: &str, now: &State, want: &State, host: &dyn HostView) -> Result<UserChanges> {
        // Unlocking `!` would leave an empty password, so the declared one takes its place.
        let unlocks = now.locked == Some(true) && want.locked == Some(false);
        let password = self.password.as_ref().filter(|_| unlocks || now.password != want.password);
        let mut changes = UserChanges {
            uid: want.uid.filter(|_| now.uid != want.uid),
            primary_group: want.primary_group.clone().filter(|_| now.primary_group != want.primary_group),
            groups: want.groups.clone().filter(|_| now.groups != want.groups),
            shell: self.shell.clone().filter(|_| now.shell != want.shell),
            home: self.home.clone().filter(|_| now.home != want.home),
            gecos: want.gecos.clone().filter(|_| now.gecos != want.gecos),
            password: password.map(PasswordHash::sensitive).transpose()?,
            locked: want.locked.filter(|_| now.locked != want.locked),
            expires: self
                .expires
                .as_deref()
                .and_then(Day::parse)
                .map(|day| day.0)
                .filter(|_| now.expires != want.expires),
        };
        if password.is_some() {
            // A new hash is an open one, and replaces a lock; one that is wanted, or was made by hand, is kept.
            let by_hand = || -> Result<bool> {
                let shadow = host.shadow(name)?.filter(|_| now.exists && want.locked.is_none());
                let entry = shadow.as_ref().map_or("", |shadow| shadow.password.reveal());
                Ok(entry.starts_with('!') && !entry.trim_start_matches('!').is_empty())
            };
            let locked = want.locked == Some(true) || by_hand()?;
            changes.locked = locked.then_some(true);
        }
        let primary_group = match host.user(name)? {
            None if changes.primary_group.is_none() => {
                // useradd(8) fails if the group of the user's name exists and is not asked for.
                changes.primary_group = host.group(name)?.map(|group| group.name);
                name.to_owned()
            }
            Some(user) if changes.primary_group.is_none() => primary_group_of(&user, &*host.accounts()?),
            _ => changes.primary_group.clone().unwrap_or_default(),
        };
        if let Some(groups) = &mut changes.groups {
            groups.retain(|group| *group != primary_group);
        }
        changes.groups = changes.groups.filter(|groups| now.exists || !groups.is_empty());
        Ok(changes)
    }
}
