//! How users and groups were: their lines in the account files, and home directories that come or go with them.

use serde::{Deserialize, Serialize};

use super::files::PathImage;
use super::{Keeper, Kept};
use crate::canonical;
use crate::effect::{Effect, Sensitive};
use crate::error::Result;
use crate::host::{AccountDatabase, AccountLine, Group, HostView, User};
use crate::path::HostPath;

/// How users and groups were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountsImage {
    /// Their lines, as JSON: password hashes are among them.
    pub lines: Kept,
    /// The number of the user before, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Home directories and mail spools that the effect makes or takes away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathImage>,
}

/// A line, with what must not be shown: only for what is sealed.
#[derive(Serialize, Deserialize)]
struct OpenLine {
    database: AccountDatabase,
    name: String,
    line: Option<String>,
    position: usize,
}

/// All that is known of a user, for a digest.
#[derive(Serialize)]
struct KnownUser<'a> {
    name: &'a str,
    user: Option<User>,
    /// Digest of the hash.
    password: Option<String>,
    expires: Option<i64>,
    groups: Vec<String>,
}

/// All that is known of a group, for a digest.
#[derive(Serialize)]
struct KnownGroup<'a> {
    name: &'a str,
    group: Option<Group>,
}

/// The users and groups that an effect is about; `None` for an effect that is about none.
pub(in crate::journal) fn names(effect: &Effect) -> Option<(Vec<&str>, Vec<&str>)> {
    Some(match effect {
        Effect::CreateUser(user) => {
            let attributes = &user.attributes;
            let mut groups = vec![user.name.as_str()];
            groups.extend(attributes.groups.iter().flatten().map(String::as_str));
            (vec![user.name.as_str()], groups)
        }
        Effect::ChangeUser { name, changes } => {
            let mut groups = vec![name.as_str()];
            groups.extend(changes.groups.iter().flatten().map(String::as_str));
            (vec![name], groups)
        }
        Effect::RemoveUser { name, .. } => (vec![name], vec![name]),
        Effect::CreateGroup { name, .. } | Effect::ChangeGroup { name, .. } | Effect::RemoveGroup { name } => {
            (Vec::new(), vec![name])
        }
        Effect::SetMembers { group, .. } => (Vec::new(), vec![group]),
        Effect::RestoreAccounts { lines } => {
            let about = |groups: bool| {
                let lines = lines.iter().filter(move |line| line.database.is_about_groups() == groups);
                let mut names: Vec<&str> = lines.map(|line| line.name.as_str()).collect();
                names.sort_unstable();
                names.dedup();
                names
            };
            (about(false), about(true))
        }
        _ => return None,
    })
}

/// The users and groups that an effect changes: the number of a group is that of its users as well, see `groupmod(8)`.
fn changed_names(effect: &Effect, host: &dyn HostView) -> Result<(Vec<String>, Vec<String>)> {
    let (users, groups) = names(effect).unwrap_or_default();
    let mut users: Vec<String> = users.into_iter().map(str::to_owned).collect();
    if let Effect::ChangeGroup { name, .. } = effect
        && let Some(group) = host.group(name)?
    {
        let accounts = host.accounts()?;
        let all = accounts.users.values().filter(|user| user.gid == group.gid);
        users.extend(all.map(|user| user.name.clone()));
    }
    Ok((users, groups.into_iter().map(str::to_owned).collect()))
}

/// The same with all groups that these users are in.
fn all_names(effect: &Effect, host: &dyn HostView) -> Result<(Vec<String>, Vec<String>)> {
    let (users, mut groups) = changed_names(effect, host)?;
    let accounts = host.accounts()?;
    for user in &users {
        groups.extend(accounts.groups_of(user));
        let primary = accounts.users.get(user).and_then(|user| accounts.group_name(user.gid));
        groups.extend(primary.map(str::to_owned));
    }
    groups.sort_unstable();
    groups.dedup();
    Ok((users, groups))
}

impl Keeper<'_> {
    pub(super) fn accounts_before(&self, effect: &Effect, host: &dyn HostView) -> Result<AccountsImage> {
        let (users, groups) = all_names(effect, host)?;
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let lines: Vec<OpenLine> = host
            .account_lines(&users, &groups)?
            .into_iter()
            .map(|AccountLine { database, name, line, position }| {
                let line = line.map(|line| line.reveal().to_owned());
                OpenLine { database, name, line, position }
            })
            .collect();
        let uid = users.first().map(|name| host.user(name)).transpose()?.flatten().map(|user| user.uid);
        let mut paths = Vec::new();
        for path in homes(effect, host)? {
            self.tree(&path, host, &mut paths)?;
        }
        Ok(AccountsImage { lines: self.keep_json(&lines)?, uid, paths })
    }

    /// The lines that were kept.
    pub(in crate::journal) fn account_lines(&self, image: &AccountsImage) -> Result<Vec<AccountLine>> {
        let lines: Vec<OpenLine> = self.json_of(&image.lines)?;
        let hide = |OpenLine { database, name, line, position }| AccountLine {
            database,
            name,
            line: line.map(Sensitive::new),
            position,
        };
        Ok(lines.into_iter().map(hide).collect())
    }

    /// Whether lines are as they were kept.
    pub(in crate::journal) fn has_lines(&self, kept: &[AccountLine], host: &dyn HostView) -> Result<bool> {
        let about = |groups: bool| -> Vec<&str> {
            kept.iter()
                .filter(|line| line.database.is_about_groups() == groups)
                .map(|line| line.name.as_str())
                .collect()
        };
        let found = host.account_lines(&about(false), &about(true))?;
        let text = |line: &AccountLine| line.line.as_ref().map(|line| line.reveal().to_owned());
        let same = |a: &AccountLine, b: &AccountLine| (a.database, &a.name, text(a)) == (b.database, &b.name, text(b));
        Ok(kept.iter().all(|kept| found.iter().any(|found| same(kept, found))))
    }

    /// Digest of all that is known of the users and groups of an effect.
    pub(in crate::journal) fn accounts_digest(&self, effect: &Effect, host: &dyn HostView) -> Result<String> {
        let (users, groups) = changed_names(effect, host)?;
        self.digest_of_accounts(&users, &groups, host)
    }

    /// Digest of all that is known of users and groups.
    pub(in crate::journal) fn digest_of_accounts(
        &self,
        users: &[impl AsRef<str>],
        groups: &[impl AsRef<str>],
        host: &dyn HostView,
    ) -> Result<String> {
        let mut digester = self.key.digester();
        let mut add = |encoded: Vec<u8>| {
            digester.update(&encoded);
            digester.update(b"\n");
        };
        for name in users.iter().map(AsRef::as_ref) {
            let shadow = host.shadow(name)?;
            let known = KnownUser {
                name,
                user: host.user(name)?,
                password: shadow.as_ref().map(|shadow| self.key.digest(shadow.password.reveal().as_bytes())),
                expires: shadow.and_then(|shadow| shadow.expires),
                groups: host.accounts()?.groups_of(name),
            };
            add(canonical::encode("user/1", &known)?);
        }
        for name in groups.iter().map(AsRef::as_ref) {
            add(canonical::encode("group/1", &KnownGroup { name, group: host.group(name)? })?);
        }
        Ok(digester.finish())
    }
}

/// Home directories and mail spools that an effect makes or takes away; see `useradd(8)` and `userdel(8)`.
fn homes(effect: &Effect, host: &dyn HostView) -> Result<Vec<HostPath>> {
    match effect {
        Effect::CreateUser(user) if user.create_home => {
            let home = user.attributes.home.clone();
            let home = home.map_or_else(|| HostPath::new(&format!("/home/{}", user.name)), Ok)?;
            Ok(vec![home, HostPath::new(&format!("/var/mail/{}", user.name))?])
        }
        Effect::RemoveUser { name, remove_home: true } => {
            let mut paths = vec![HostPath::new(&format!("/var/mail/{name}"))?];
            if let Some(user) = host.user(name)? {
                paths.push(HostPath::new(&user.home)?);
            }
            Ok(paths)
        }
        _ => Ok(Vec::new()),
    }
}
