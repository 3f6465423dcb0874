//! Lines of the account files, as they are kept to be put back.

use super::{AccountDatabase, AccountLine, Accounts, Group, HostView, Shadow, User};
use crate::effect::Sensitive;
use crate::error::Result;
use crate::host::HostViewExt;

/// The lines that a host without account files would have, made from what it says of its accounts.
pub(crate) fn of_model<H: HostView + ?Sized>(host: &H, users: &[&str], groups: &[&str]) -> Result<Vec<AccountLine>> {
    let accounts = host.accounts()?;
    let mut lines = Vec::new();
    let mut push = |database, name: &str, line: Option<String>, position| {
        lines.push(AccountLine { database, name: name.to_owned(), line: line.map(Sensitive::new), position });
    };
    for name in users {
        let position = accounts.users.keys().position(|other| other == name).unwrap_or(accounts.users.len());
        push(AccountDatabase::Passwd, name, accounts.users.get(*name).map(passwd_line), position);
        let shadow = host.shadow(name)?.map(|shadow| shadow_line(name, &shadow));
        push(AccountDatabase::Shadow, name, shadow, position);
    }
    for name in groups {
        let position = accounts.groups.keys().position(|other| other == name).unwrap_or(accounts.groups.len());
        push(AccountDatabase::Group, name, accounts.groups.get(*name).map(group_line), position);
    }
    Ok(lines)
}

fn passwd_line(user: &User) -> String {
    format!("{}:x:{}:{}:{}:{}:{}", user.name, user.uid, user.gid, user.gecos, user.home, user.shell)
}

fn group_line(group: &Group) -> String {
    format!("{}:x:{}:{}", group.name, group.gid, group.members.join(","))
}

fn shadow_line(name: &str, shadow: &Shadow) -> String {
    let expires = shadow.expires.map(|day| day.to_string()).unwrap_or_default();
    format!("{name}:{}::::::{expires}:", shadow.password.reveal())
}

/// What a line of `/etc/passwd` says; `None` for one that is about no user. See `passwd(5)`.
pub fn parse_user(line: &str) -> Option<User> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, gecos, home, shell] = fields.as_slice() else { return None };
    // `+` and `-` begin lines for NIS.
    if name.is_empty() || name.starts_with(['+', '-', '#']) {
        return None;
    }
    Some(User {
        name: (*name).to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        gecos: (*gecos).to_owned(),
        home: (*home).to_owned(),
        shell: (*shell).to_owned(),
    })
}

/// What a line of `/etc/group` says; `None` for one that is about no group. See `group(5)`.
pub fn parse_group(line: &str) -> Option<Group> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, gid, members] = fields.as_slice() else { return None };
    if name.is_empty() || name.starts_with(['+', '-', '#']) {
        return None;
    }
    let mut members: Vec<String> = members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
    members.sort_unstable();
    members.dedup();
    Some(Group { name: (*name).to_owned(), gid: gid.parse().ok()?, members })
}

/// What a line of `/etc/shadow` says, with the name; `None` for one that is about no user. See `shadow(5)`.
pub fn parse_shadow(line: &str) -> Option<(&str, Shadow)> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, password, _, _, _, _, _, expires, ..] = fields.as_slice() else { return None };
    Some((name, Shadow { password: Sensitive::new(*password), expires: expires.parse().ok() }))
}

impl Accounts {
    /// The accounts of the texts of `/etc/passwd` and `/etc/group`. Lines that are none are passed over.
    pub fn parse(passwd: &str, group: &str) -> Accounts {
        let users = passwd.split('\n').filter_map(parse_user).map(|user| (user.name.clone(), user)).collect();
        let groups = group.split('\n').filter_map(parse_group).map(|group| (group.name.clone(), group)).collect();
        Accounts { users, groups }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_that_are_none_are_passed_over() {
        let accounts = Accounts::parse(
            "root:x:0:0:root:/root:/bin/bash\n+nis\nbroken:x:a:0:::\n\n",
            "root:x:0:\nadm:x:4:b,a,b\n+\n",
        );
        assert_eq!(accounts.users.len(), 1);
        assert_eq!(accounts.groups["adm"].members, ["a", "b"]);
    }

    proptest! {
        #[test]
        fn no_account_file_makes_it_panic(text in "[a-z0-9:,\n+]{0,60}") {
            Accounts::parse(&text, &text);
            text.lines().for_each(|line| drop(parse_shadow(line)));
        }

        #[test]
        fn lines_survive_their_text(uid in 0u32..70_000, gecos in "[a-zA-Z ]{0,8}", expires in proptest::option::of(0i64..30_000)) {
            let user = User { name: "a".into(), uid, gid: uid, gecos, home: "/a".into(), shell: "/bin/sh".into() };
            prop_assert_eq!(parse_user(&passwd_line(&user)), Some(user));
            let shadow = Shadow { password: Sensitive::new("$y$x"), expires };
            let line = shadow_line("a", &shadow);
            prop_assert_eq!(parse_shadow(&line), Some(("a", shadow)));
        }
    }
}
