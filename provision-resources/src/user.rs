//! `user`: a user of the account files, and the keys that let it in.

mod changes;
mod contradictions;
mod mistakes;
mod removal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use derive_setters::Setters;
use provision_core::effect::{CreateUser, Effect, PlatformEffect};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{Accounts, HostView, HostViewExt, User as Found, effects_of_new_home, make_parents};
use provision_core::path::HostPath;
use provision_core::resource::{
    ApplyContext, AttributeError, CheckContext, Claim, Contradiction, Declared, PlanContext, Resource, ResourceId,
    Stage, Target,
};
use provision_core::secret::Text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::accounts::{Day, PasswordHash};
use crate::authorized_keys::{self, Keys};
use crate::ensure::Ensure;

/// A user. Only `/etc/passwd` and its companions are looked at: a user of a directory service (LDAP) is not seen.
///
/// What is not said is left as it is; a new user gets Debian's defaults for it. A new user without `password` is locked:
/// it cannot log in with a password, while keys still work. A new user belongs to the group of its own name, which is
/// created if it does not exist.
///
/// ```nickel
/// user.deploy = {
///   shell = "/bin/bash",
///   groups.www-data = true,
///   authorized_keys.anna = "ssh-ed25519 AAAA… anna@laptop",
/// },
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(into, strip_option)]
pub struct User {
    /// Whether it exists. A user is removed after the services of the site were stopped. Its files are kept, except with
    /// `remove_home`.
    pub ensure: Ensure,
    /// Its number. It cannot change while processes of the user run, and files outside of the home directory keep the
    /// old one.
    pub uid: Option<u32>,
    /// Name of its primary group. A new user without it gets the group of its own name.
    pub primary_group: Option<String>,
    /// Groups beside the primary one, by name: `true` is in it, `false` is not.
    pub groups: BTreeMap<String, bool>,
    /// Whether it may be in groups that `groups` does not name.
    pub membership: Membership,
    /// Login shell.
    pub shell: Option<HostPath>,
    /// Home directory. If it changes, what is in the old one stays there.
    pub home: Option<HostPath>,
    /// Whether the home directory is created, with the files of `/etc/skel` and the mode of login.defs(5). If it is unset,
    /// ordinary users get one and those of the system do not.
    pub create_home: Option<bool>,
    /// Full name and the like.
    pub gecos: Option<String>,
    /// Hash of the password as crypt(5) has it, or a secret that holds it; from `mkpasswd -m yescrypt`; `"*"` for none at all. An account that was
    /// locked by hand stays locked.
    pub password: Option<PasswordHash>,
    /// Whether the password is locked (`passwd -l`). Keys still let the user in; `expires` closes the account.
    pub locked: Option<bool>,
    /// The day on which the account is closed, such as `"2030-12-31"`, or `"never"`.
    pub expires: Option<String>,
    /// Whether a new user gets its number from the range of the system. An existing user is left as it is.
    pub system: bool,
    /// The lines of `~/.ssh/authorized_keys`, each under a name of your choice. If it is said, other keys are removed.
    pub authorized_keys: Option<BTreeMap<String, String>>,
    /// With `ensure = 'absent`: whether the home directory and the mail spool are removed too. Refused if another user's home
    /// is there, if it belongs to another user, and for directories of the system.
    pub remove_home: bool,
}

/// Whether a user may be in other groups than those named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Membership {
    /// It may.
    #[default]
    AtLeast,
    /// It may not.
    Exactly,
}

/// How a user is, as far as its declaration cares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    exists: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    primary_group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shell: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    home: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    home_exists: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gecos: Option<String>,
    /// Never the hash itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locked: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authorized_keys: Option<Keys>,
}

/// Numbers of ordinary users on Debian: `UID_MIN` and `UID_MAX` of login.defs(5).
const ORDINARY: std::ops::RangeInclusive<u32> = 1000..=59_999;

impl Resource for User {
    const TYPE: &'static str = "user";
    const STAGE: Stage = Stage::Accounts;
    const NEVER_SHOWN: &'static [&'static str] = &["password"];
    type State = State;

    fn stage(&self) -> Stage {
        if self.ensure == Ensure::Absent { Stage::AccountRemovals } else { Self::STAGE }
    }

    fn validate(&self, id: &ResourceId) -> Vec<AttributeError> {
        self.mistakes(id.name())
    }

    fn contradictions(&self, id: &ResourceId, site: &Declared<'_>) -> Vec<Contradiction> {
        contradictions::of(self, id.name(), site)
    }

    fn claims(&self, id: &ResourceId) -> Vec<Claim> {
        let name = id.name().to_owned();
        // `useradd` makes the group of the user's name, or takes the one that is declared.
        let mut groups: BTreeSet<&str> =
            self.groups.iter().filter(|(_, is_in)| **is_in).map(|(name, _)| &**name).collect();
        groups.insert(self.primary_group.as_deref().unwrap_or(&name));
        let groups = groups.into_iter().map(|group| Claim::needs(Target::Group(group.to_owned())));
        let user = Target::User(name.clone());
        if self.ensure == Ensure::Absent {
            return [Claim::removes(user)].into_iter().chain(groups).collect();
        }
        let mut claims: Vec<Claim> = [Claim::owns(user)].into_iter().chain(groups).collect();
        claims.extend(self.uid.map(|uid| Claim::owns(Target::Uid(uid))));
        let keys = self.authorized_keys.as_ref().and_then(|_| authorized_keys::path_in(&self.home_of_new(&name)).ok());
        claims.extend(keys.map(|path| Claim::owns(Target::Path(path))));
        // The home directory is made where a declared directory or mount will be.
        let above = self.home.as_ref().filter(|_| self.wants_home()).and_then(HostPath::parent);
        claims.extend(above.map(|path| Claim::needs(Target::Path(path))));
        claims
    }

    fn secrets(&mut self) -> Vec<(&'static str, &mut Text)> {
        self.password.iter_mut().map(|hash| ("password", hash.text())).collect()
    }

    fn check(&self, cx: &CheckContext<'_>) -> Result<State> {
        let host = cx.host();
        let name = cx.id().name();
        let Some(user) = host.user(name)? else { return Ok(State::default()) };
        if self.ensure == Ensure::Absent {
            removal::refuse_harm(&user, self.remove_home, host)?;
            return Ok(State { exists: true, ..State::default() });
        }
        let accounts = host.accounts()?;
        let primary_group = self.primary_group_of(&user, &accounts);
        let wanted = self.primary_group.as_ref().unwrap_or(&primary_group);
        if self.groups.get(wanted) == Some(&false) {
            return Err(cannot_leave(name, wanted));
        }
        let groups = self.asks_for_groups().then(|| {
            let mut groups: BTreeSet<String> = accounts.groups_of(name).into_iter().collect();
            // To be in a group as the primary one is to be in it; which one that will be counts, because usermod(8) gets
            // both at once.
            if self.groups.get(wanted) == Some(&true) {
                groups.insert(wanted.clone());
            } else {
                groups.remove(wanted);
            }
            groups.into_iter().collect()
        });
        let keys = self.authorized_keys.as_ref().map(|keys| {
            // A home directory that is about to change is asked where it will be.
            let home = self.home.as_ref().map_or(user.home.as_str(), HostPath::as_str);
            authorized_keys::check(host, name, home, keys)
        });
        let mut state = State {
            exists: true,
            uid: self.uid.map(|_| user.uid),
            primary_group: self.primary_group.as_ref().map(|_| primary_group),
            groups,
            shell: self.shell.as_ref().map(|_| user.shell.clone()),
            home: self.home.as_ref().map(|_| normal(&user.home)),
            home_exists: self.check_home(&user, host)?,
            gecos: self.gecos.as_ref().map(|_| trimmed(&user.gecos)),
            authorized_keys: keys.transpose()?,
            ..State::default()
        };
        if self.password.is_some() || self.locked.is_some() || self.expires.is_some() {
            self.check_shadow(name, host, &mut state)?;
        }
        Ok(state)
    }

    fn plan(&self, cx: &PlanContext<'_>, now: &State) -> Result<State> {
        let id = cx.id();
        if self.ensure == Ensure::Absent {
            return Ok(State::default());
        }
        if !now.exists && self.locked == Some(false) && self.password.is_none() {
            return Err(no_password(id.name()));
        }
        if !now.exists && self.groups.get(self.primary_group.as_deref().unwrap_or(id.name())) == Some(&false) {
            return Err(cannot_leave(id.name(), self.primary_group.as_deref().unwrap_or(id.name())));
        }
        let home_exists = if now.exists { now.home_exists.map(|_| true) } else { self.wants_home().then_some(true) };
        Ok(State {
            exists: true,
            uid: self.uid,
            primary_group: self.primary_group.clone(),
            groups: self.asks_for_groups().then(|| self.wanted_groups(now.groups.as_deref().unwrap_or_default())),
            shell: self.shell.as_ref().map(ToString::to_string),
            home: self.home.as_ref().map(ToString::to_string),
            home_exists,
            gecos: self.gecos.as_deref().map(trimmed),
            password: self.password.as_ref().map(PasswordHash::digest).transpose()?,
            locked: self.locked,
            expires: self.expires.clone(),
            authorized_keys: self.authorized_keys.as_ref().map(authorized_keys::wanted),
        })
    }

    fn apply(&self, cx: &ApplyContext<'_>, now: &State, want: &State) -> Result<()> {
        let host = cx.host();
        let name = cx.id().name();
        if !want.exists {
            host.perform(&Effect::Platform(PlatformEffect::RemoveUser {
                name: name.to_owned(),
                remove_home: self.remove_home,
            }))?;
            return Ok(());
        }
        let changes = self.changes(name, now, want, host)?;
        if !now.exists {
            let create_home = want.home_exists == Some(true);
            if create_home {
                // useradd(8) would make them as well, and nothing would take them back.
                make_parents(host, &HostPath::new(&self.home_of_new(name))?, true)?;
            }
            let user = CreateUser { name: name.to_owned(), system: self.system, create_home, attributes: changes };
            host.perform(&Effect::Platform(PlatformEffect::CreateUser(user)))?;
        } else if !changes.is_empty() {
            host.perform(&Effect::Platform(PlatformEffect::ChangeUser { name: name.to_owned(), changes }))?;
        }
        let Some(user) = host.user(name)? else {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no user {name}, although it was created")));
        };
        let group = primary_group_of(&user, &*host.accounts()?);
        if now.exists && now.home_exists == Some(false) {
            let home = HostPath::new(&user.home)?;
            make_parents(host, &home, true)?;
            for effect in effects_of_new_home(host, &home, name, &group)? {
                host.perform(&effect)?;
            }
        }
        if let Some(keys) = &self.authorized_keys {
            // The home directory of a new user may be an old one, with keys in it.
            let found = authorized_keys::check(host, name, &user.home, keys)?;
            if found != authorized_keys::wanted(keys) {
                authorized_keys::write(host, name, &group, &user.home, keys)?;
            }
        }
        Ok(())
    }
}

impl User {
    fn asks_for_groups(&self) -> bool {
        self.membership == Membership::Exactly || !self.groups.is_empty()
    }

    fn wanted_groups(&self, now: &[String]) -> Vec<String> {
        let kept = now.iter().filter(|_| self.membership == Membership::AtLeast);
        let mut groups: BTreeSet<&String> = kept.collect();
        for (group, is_in) in &self.groups {
            if *is_in {
                groups.insert(group)
            } else {
                groups.remove(group)
            };
        }
        groups.into_iter().cloned().collect()
    }

    fn home_of_new(&self, name: &str) -> String {
        match &self.home {
            Some(home) => home.to_string(),
            None if name == "root" => "/root".to_owned(),
            None => format!("/home/{name}"),
        }
    }

    /// `/nonexistent` is Debian's home directory for those who have none.
    fn wants_home(&self) -> bool {
        let none = self.home.as_ref().is_some_and(|home| home.as_str().starts_with("/nonexistent"));
        self.create_home.unwrap_or(!self.system && !none)
    }

    /// Whether the home directory is there, if that matters.
    fn check_home(&self, user: &Found, host: &dyn HostView) -> Result<Option<bool>> {
        if !self.wants_home() {
            return Ok(None);
        }
        let Some(home) = self.home.clone().or_else(|| HostPath::new(&user.home).ok()) else { return Ok(None) };
        if host.metadata(&home)?.is_some() {
            return Ok(Some(true));
        }
        // Users of the system, such as www-data, often have a home directory that does not exist, on purpose.
        let matters = self.create_home.is_some() || ORDINARY.contains(&user.uid);
        Ok(matters.then_some(false))
    }

    fn check_shadow(&self, name: &str, host: &dyn HostView, state: &mut State) -> Result<()> {
        let shadow = host.shadow(name)?;
        let entry = shadow.as_ref().map_or("", |shadow| shadow.password.reveal());
        let is_locked = entry.starts_with('!');
        if is_locked
            && entry.trim_start_matches('!').is_empty()
            && self.locked == Some(false)
            && self.password.is_none()
        {
            return Err(no_password(name));
        }
        state.password = self.password.as_ref().map(|password| password.digest_beside(entry));
        state.locked = self.locked.map(|_| is_locked);
        state.expires = self.expires.as_ref().map(|_| Day(shadow.and_then(|shadow| shadow.expires)).to_string());
        Ok(())
    }

    /// The name of a user's primary group. Where several groups have its number, it is the declared one.
    fn primary_group_of(&self, user: &Found, accounts: &Accounts) -> String {
        let declared = self.primary_group.as_ref().and_then(|group| accounts.groups.get(group));
        match declared.filter(|group| group.gid == user.gid) {
            Some(group) => group.name.clone(),
            None => primary_group_of(user, accounts),
        }
    }
}

fn cannot_leave(user: &str, group: &str) -> Error {
    let message = format!("user {user} cannot leave group {group}, which is its primary one");
    Error::new(ErrorKind::Conflict, message)
        .with_hint("declare another `primary_group`, or leave the group out of `groups`")
}

fn no_password(name: &str) -> Error {
    Error::new(ErrorKind::Refused, format!("user {name} has no password, so unlocking would let anybody in"))
        .with_hint("say `password` too: a hash, or \"*\" for an account that only keys open")
}

fn primary_group_of(user: &Found, accounts: &Accounts) -> String {
    accounts.group_name(user.gid).map_or_else(|| user.gid.to_string(), str::to_owned)
}

fn normal(path: &str) -> String {
    HostPath::new(path).map_or_else(|_| path.to_owned(), |path| path.to_string())
}

/// adduser(8) ends an entry with the commas of fields that are empty.
fn trimmed(gecos: &str) -> String {
    gecos.trim_end_matches(',').to_owned()
}
