//! What effects on users and groups do to the model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::effect::{Access, CreateUser, Effect, Removal, Sensitive, UserChanges};
use crate::error::{Error, ErrorKind, Result};
use crate::host::homes::{effects_of_new_home, has_user_groups};
use crate::host::lines::{parse_group, parse_shadow, parse_user};
use crate::host::{AccountDatabase, AccountLine, FileKind, Group, HostView, Layer, Shadow, User, missing_account};
use crate::path::{HostPath, Mode};

impl Layer<'_> {
    pub(crate) fn create_user(&self, user: &CreateUser) -> Result<()> {
        let attributes = &user.attributes;
        if self.accounts()?.users.contains_key(&user.name) {
            return Err(Error::new(ErrorKind::Conflict, format!("user {} exists already", user.name)));
        }
        let taken: BTreeSet<u32> = self.accounts()?.users.values().map(|user| user.uid).collect();
        let uid = match attributes.uid {
            Some(uid) => uid,
            None => free_number(&taken, user.system)?,
        };
        let gid = match &attributes.primary_group {
            Some(group) => self.gid_of(group)?,
            // useradd(8) refuses as well
            None if self.group(&user.name)?.is_some() => {
                return Err(Error::new(ErrorKind::Conflict, format!("group {} exists already", user.name))
                    .with_hint(format!("say `primary_group = \"{}\"` to use it", user.name)));
            }
            None => {
                // It gets the number of the user where no group has that.
                let is_free = self.accounts()?.group_name(uid).is_none();
                self.create_group(&user.name, is_free.then_some(uid), user.system)?;
                self.gid_of(&user.name)?
            }
        };
        let home = user.home()?.to_string();
        {
            let mut model = self.model();
            let accounts = self.accounts_of(&mut model)?;
            let shell = if user.system { "/usr/sbin/nologin" } else { "/bin/sh" };
            let created = User {
                name: user.name.clone(),
                uid,
                gid,
                gecos: String::new(),
                home: home.clone(),
                shell: shell.to_owned(),
            };
            accounts.users.insert(user.name.clone(), created);
            let locked = Shadow { password: Sensitive::new("!"), expires: None };
            model.shadows.insert(user.name.clone(), Some(locked));
            model.rename_owner(&uid.to_string(), &user.name, |_| true);
        }
        self.change_user(&user.name, attributes)?;
        let home = HostPath::new(&home)?;
        if user.create_home && self.metadata(&home)?.is_none() {
            self.make_directories(&home)?;
            let group = self.accounts()?.group_name(gid).map_or_else(|| gid.to_string(), str::to_owned);
            for effect in effects_of_new_home(self, &home, &user.name, &group)? {
                self.place_in_home(effect)?;
            }
        }
        Ok(())
    }

    fn place_in_home(&self, effect: Effect) -> Result<()> {
        if let Effect::CreateDirectory { path, access, .. } = effect {
            self.place(&path, FileKind::Directory, access, None)
        } else if let Effect::WriteFile(file) = effect {
            self.place(&file.path, FileKind::File, file.access, Some(file.content))
        } else if let Effect::CreateSymlink { path, target, owner, group } = effect {
            let access = Access { owner, group, mode: Mode::new(0o777) };
            self.place(&path, FileKind::Symlink, access, Some(target.into()))
        } else {
            Err(Error::new(ErrorKind::Unsupported, format!("{effect} makes no home directory")))
        }
    }

    pub(crate) fn gid_of(&self, group: &str) -> Result<u32> {
        self.group(group)?.map(|group| group.gid).ok_or_else(|| missing_account("group", group))
    }

    pub(crate) fn change_user(&self, name: &str, changes: &UserChanges) -> Result<()> {
        let gid = changes.primary_group.as_deref().map(|group| self.gid_of(group)).transpose()?;
        for group in changes.groups.iter().flatten() {
            self.gid_of(group)?;
        }
        let mut shadow = self.shadow(name).ok().flatten();
        let mut model = self.model();
        let accounts = self.accounts_of(&mut model)?;
        let taken = changes.uid.and_then(|uid| accounts.user_name(uid)).filter(|other| *other != name);
        if let Some(other) = taken {
            return Err(Error::new(ErrorKind::Conflict, format!("user {other} has that number already")));
        }
        let Some(user) = accounts.users.get_mut(name) else { return Err(missing_account("user", name)) };
        let (old, home) = (user.uid, HostPath::new(&user.home).ok());
        user.uid = changes.uid.unwrap_or(user.uid);
        user.gid = gid.unwrap_or(user.gid);
        for (field, value) in [
            (&mut user.shell, changes.shell.as_ref().map(ToString::to_string)),
            (&mut user.home, changes.home.as_ref().map(ToString::to_string)),
            (&mut user.gecos, changes.gecos.clone()),
        ] {
            if let Some(value) = value {
                *field = value;
            }
        }
        if let Some(groups) = &changes.groups {
            for group in accounts.groups.values_mut() {
                group.members.retain(|member| member != name);
                if groups.contains(&group.name) {
                    group.members.push(name.to_owned());
                    group.members.sort_unstable();
                }
            }
        }
        if let Some(shadow) = &mut shadow {
            if let Some(password) = &changes.password {
                shadow.password = password.clone();
            }
            if let Some(locked) = changes.locked {
                let open = shadow.password.reveal().trim_start_matches('!').to_owned();
                shadow.password = Sensitive::new(if locked { format!("!{open}") } else { open });
            }
            shadow.expires = changes.expires.unwrap_or(shadow.expires);
        }
        model.shadows.insert(name.to_owned(), shadow);
        if let Some(uid) = changes.uid.filter(|uid| *uid != old) {
            // usermod(8), --uid, takes what lies in the home along.
            let outside = |path: &HostPath| home.as_ref().is_none_or(|home| !path.is_within(home));
            model.rename_owner(name, &old.to_string(), outside);
            model.rename_owner(&uid.to_string(), name, |_| true);
        }
        Ok(())
    }

    pub(crate) fn remove_user(&self, name: &str, remove_home: bool) -> Result<()> {
        let stays = self.user(name)?.filter(|_| remove_home).map(|user| self.home_stays(&user)).transpose()?.flatten();
        let takes_group = has_user_groups(self)?;
        let mut model = self.model();
        let accounts = self.accounts_of(&mut model)?;
        let Some(user) = accounts.users.remove(name) else { return Err(missing_account("user", name)) };
        for group in accounts.groups.values_mut() {
            group.members.retain(|member| member != name);
        }
        // userdel(8) takes the user's own group along if no other user is in it, and login.defs(5) lets it.
        let own = takes_group
            && accounts.groups.get(name).is_some_and(|group| group.gid == user.gid && group.members.is_empty());
        if own && !accounts.users.values().any(|other| other.gid == user.gid) {
            accounts.groups.remove(name);
            model.rename_group(name, &user.gid.to_string());
        }
        model.rename_owner(name, &user.uid.to_string(), |_| true);
        model.shadows.insert(name.to_owned(), None);
        drop(model);
        if let Some(why) = stays {
            let message = format!("the home directory cannot be removed: {why}");
            return Err(Error::new(ErrorKind::CommandFailed, message));
        }
        if remove_home {
            self.remove(&HostPath::new(&user.home)?, Removal::Tree)?;
        }
        Ok(())
    }

    /// Why userdel(8) leaves a home directory, although the user is gone by then.
    fn home_stays(&self, user: &User) -> Result<Option<String>> {
        let Some(found) = self.metadata(&HostPath::new(&user.home)?)? else { return Ok(None) };
        let is_own = found.access.owner == user.name
            || self.user(&found.access.owner)?.is_some_and(|owner| owner.uid == user.uid);
        Ok(if found.kind != FileKind::Directory {
            Some(format!("{} is {}", user.home, found.kind.noun()))
        } else {
            (!is_own).then(|| format!("{} is not owned by {}", user.home, user.name))
        })
    }

    pub(crate) fn create_group(&self, name: &str, gid: Option<u32>, system: bool) -> Result<()> {
        let mut model = self.model();
        let accounts = self.accounts_of(&mut model)?;
        if accounts.groups.contains_key(name) {
            return Err(Error::new(ErrorKind::Conflict, format!("group {name} exists already")));
        }
        let taken: BTreeSet<u32> = accounts.groups.values().map(|group| group.gid).collect();
        let gid = match gid {
            Some(gid) if taken.contains(&gid) => {
                return Err(Error::new(ErrorKind::Conflict, format!("the group number {gid} is taken")));
            }
            Some(gid) => gid,
            None => free_number(&taken, system)?,
        };
        accounts.groups.insert(name.to_owned(), Group { name: name.to_owned(), gid, members: Vec::new() });
        model.rename_group(&gid.to_string(), name);
        Ok(())
    }

    pub(crate) fn change_group(&self, name: &str, change: impl FnOnce(&mut Group)) -> Result<()> {
        let mut model = self.model();
        match self.accounts_of(&mut model)?.groups.get_mut(name) {
            Some(group) => change(group),
            None => return Err(missing_account("group", name)),
        }
        Ok(())
    }

    /// Puts account lines back. Of the files that the model has no counterpart of, nothing is known.
    pub(crate) fn restore_accounts(&self, lines: &[AccountLine]) -> Result<()> {
        let before = self.accounts()?;
        let mut model = self.model();
        for AccountLine { database, name, line, .. } in lines {
            let text = line.as_ref().map(Sensitive::reveal);
            match database {
                AccountDatabase::Passwd => {
                    let users = &mut self.accounts_of(&mut model)?.users;
                    put(users, name, text.and_then(parse_user));
                }
                AccountDatabase::Group => {
                    let groups = &mut self.accounts_of(&mut model)?.groups;
                    put(groups, name, text.and_then(parse_group));
                }
                AccountDatabase::Shadow => {
                    let shadow = text.and_then(parse_shadow).map(|(_, shadow)| shadow);
                    model.shadows.insert(name.clone(), shadow);
                }
                AccountDatabase::Gshadow | AccountDatabase::Subuid | AccountDatabase::Subgid => {}
            }
        }
        // Files belong to numbers: some have names again now, and others have none any more.
        let after = Arc::clone(model.accounts.get_or_insert_with(|| Arc::clone(&before)));
        for (name, user) in &before.users {
            if after.users.get(name).is_none_or(|other| other.uid != user.uid) {
                model.rename_owner(name, &user.uid.to_string(), |_| true);
            }
        }
        for (name, group) in &before.groups {
            if after.groups.get(name).is_none_or(|other| other.gid != group.gid) {
                model.rename_group(name, &group.gid.to_string());
            }
        }
        for user in after.users.values().filter(|user| before.users.get(&user.name) != Some(user)) {
            model.rename_owner(&user.uid.to_string(), &user.name, |_| true);
        }
        for group in after.groups.values().filter(|group| before.groups.get(&group.name) != Some(group)) {
            model.rename_group(&group.gid.to_string(), &group.name);
        }
        Ok(())
    }

    pub(crate) fn remove_group(&self, name: &str) -> Result<()> {
        let mut model = self.model();
        let accounts = self.accounts_of(&mut model)?;
        let Some(group) = accounts.groups.get(name) else { return Err(missing_account("group", name)) };
        if let Some(user) = accounts.users.values().find(|user| user.gid == group.gid) {
            let message = format!("it is the primary group of user {}", user.name);
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let gid = group.gid;
        accounts.groups.remove(name);
        model.rename_group(name, &gid.to_string());
        Ok(())
    }
}

fn put<T>(entries: &mut BTreeMap<String, T>, name: &str, entry: Option<T>) {
    match entry {
        Some(entry) => drop(entries.insert(name.to_owned(), entry)),
        None => drop(entries.remove(name)),
    }
}

/// The next number as useradd(8) and groupadd(8) choose it with Debian's login.defs(5): above the highest from 1000 on,
/// for the system below the lowest from 999 down; and where that leads out of the range, any that is free.
fn free_number(taken: &BTreeSet<u32>, system: bool) -> Result<u32> {
    let number = if system {
        let lowest = taken.range(101..=999).next().map_or(1000, |lowest| *lowest) - 1;
        let below = Some(lowest).filter(|number| *number >= 101);
        below.or_else(|| (101..=999).rev().find(|number| !taken.contains(number)))
    } else {
        let highest = taken.range(1000..60000).next_back().map_or(1000, |highest| highest + 1);
        Some(highest).filter(|number| *number < 60000).or_else(|| (1000..60000).find(|n| !taken.contains(n)))
    };
    number.ok_or_else(|| Error::new(ErrorKind::Conflict, "no free number is left"))
}
