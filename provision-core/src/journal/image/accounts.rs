//! How users and groups were: their lines in the account files, and home directories that come or go with them.

use serde::{Deserialize, Serialize};

use super::files::PathImage;
use super::{Keeper, Kept};
use crate::canonical;
use crate::effect::{Sensitive, Touched, usual_home};
use crate::error::Result;
use crate::host::{AccountDatabase, AccountLine, Group, HostView, HostViewExt, User};
use crate::path::HostPath;

/// How users and groups were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountsImage {
    /// Their lines, as JSON: password hashes are among them.
    pub lines: Kept,
    /// Whether the effect's own subject, a user or a group, was not there before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_new: bool,
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

/// The users and groups among the things that an effect touches, in that order.
fn touched_names(touched: &[Touched<'_>], host: &dyn HostView) -> Result<(Vec<String>, Vec<String>)> {
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    for thing in touched {
        match thing {
            Touched::User(name) => users.push((*name).to_owned()),
            Touched::Group(name) => groups.push((*name).to_owned()),
            Touched::UsersOf(name) => {
                let Some(group) = host.group(name)? else { continue };
                let accounts = host.accounts()?;
                let all = accounts.users.values().filter(|user| user.gid == group.gid);
                users.extend(all.map(|user| user.name.clone()));
            }
            Touched::Home { .. }
            | Touched::Path { .. }
            | Touched::Packages(_)
            | Touched::PackageDatabase
            | Touched::PackageLists
            | Touched::Unit { .. }
            | Touched::ServiceManager
            | Touched::Anything(_) => {}
        }
    }
    Ok((users, groups))
}

/// The same with all groups that these users are in.
fn all_names(touched: &[Touched<'_>], host: &dyn HostView) -> Result<(Vec<String>, Vec<String>)> {
    let (users, mut groups) = touched_names(touched, host)?;
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
    pub(super) fn accounts_before(&self, touched: &[Touched<'_>], host: &dyn HostView) -> Result<AccountsImage> {
        let is_new = match touched.first() {
            Some(Touched::User(name)) => host.user(name)?.is_none(),
            Some(Touched::Group(name)) => host.group(name)?.is_none(),
            _ => false,
        };
        let (users, groups) = all_names(touched, host)?;
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
        for thing in touched {
            if let Touched::Home { user, home } = thing {
                for path in homes(user, *home, host)? {
                    self.tree(&path, host, &mut paths)?;
                }
            }
        }
        Ok(AccountsImage { lines: self.keep_json(&lines)?, is_new, uid, paths })
    }

    /// The lines that were kept.
    pub(crate) fn account_lines(&self, image: &AccountsImage) -> Result<Vec<AccountLine>> {
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
    pub(crate) fn has_lines(&self, kept: &[AccountLine], host: &dyn HostView) -> Result<bool> {
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

    /// Digest of all that is known of the users and groups among the things that an effect touches.
    pub(crate) fn accounts_digest(&self, touched: &[Touched<'_>], host: &dyn HostView) -> Result<String> {
        let (users, groups) = touched_names(touched, host)?;
        self.digest_of_accounts(&users, &groups, host)
    }

    /// Digest of all that is known of users and groups.
    pub(crate) fn digest_of_accounts(
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

/// The home directory and the mail spool of a user; see `useradd(8)` and `userdel(8)`. `named` is the one of a user to come.
fn homes(user: &str, named: Option<&HostPath>, host: &dyn HostView) -> Result<Vec<HostPath>> {
    let home = match (named, host.user(user)?) {
        (Some(named), _) => named.clone(),
        (None, Some(known)) => HostPath::new(&known.home)?,
        (None, None) => usual_home(user)?,
    };
    Ok(vec![home, HostPath::new(&format!("/var/mail/{user}"))?])
}
