//! Users and groups: the account files read directly, and changed by the programs of `passwd`.

use provision_core::effect::{Command, CreateUser, Sensitive, UserChanges};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{Accounts, LocalSystem, Shadow, parse_shadow};

use crate::accounts::Day;

/// Reads `/etc/passwd` and `/etc/group`; see `passwd(5)` and `group(5)`. Lines that are none are passed over.
pub(super) fn read(system: &LocalSystem) -> Result<Accounts> {
    let passwd = system.read_text("/etc/passwd")?.unwrap_or_default();
    let group = system.read_text("/etc/group")?.unwrap_or_default();
    Ok(Accounts::parse(&passwd, &group))
}

/// The entry of a user in `/etc/shadow`; see `shadow(5)`.
pub(super) fn shadow(system: &LocalSystem, user: &str) -> Result<Option<Shadow>> {
    let text = system.read_text("/etc/shadow")?.unwrap_or_default();
    Ok(text.lines().filter_map(parse_shadow).find(|(name, _)| *name == user).map(|(_, shadow)| shadow))
}

pub(super) fn remove_user(system: &LocalSystem, name: &str, remove_home: bool) -> Result<()> {
    let remove = remove_home.then_some("--remove");
    run(system, ["userdel"].into_iter().chain(remove).chain([name]))
}

pub(super) fn create_group(system: &LocalSystem, name: &str, gid: Option<u32>, is_system: bool) -> Result<()> {
    let gid = gid.map(|gid| gid.to_string());
    let gid = gid.iter().flat_map(|gid| ["--gid", gid]);
    let is_system = is_system.then_some("--system");
    run(system, ["groupadd"].into_iter().chain(gid).chain(is_system).chain([name]))
}

pub(super) fn change_group(system: &LocalSystem, name: &str, gid: u32) -> Result<()> {
    run(system, ["groupmod", "--gid", &gid.to_string(), name])
}

pub(super) fn set_members(system: &LocalSystem, group: &str, members: &[String]) -> Result<()> {
    run(system, ["gpasswd", "--members", &members.join(","), group])
}

pub(super) fn remove_group(system: &LocalSystem, name: &str) -> Result<()> {
    run(system, ["groupdel", name])
}

pub(super) fn create_user(system: &LocalSystem, user: &CreateUser) -> Result<()> {
    let attributes = &user.attributes;
    let mut argv = vec!["useradd".to_owned()];
    argv.push(if user.create_home { "--create-home" } else { "--no-create-home" }.to_owned());
    if user.system {
        argv.push("--system".to_owned());
    }
    if attributes.primary_group.is_none() {
        argv.push("--user-group".to_owned());
    }
    argv.extend(options(attributes));
    argv.push(user.name.clone());
    run(system, argv)?;
    set_password(system, &user.name, attributes)
}

pub(super) fn change_user(system: &LocalSystem, name: &str, changes: &UserChanges) -> Result<()> {
    let options = options(changes);
    if !options.is_empty() {
        run(system, ["usermod".to_owned()].into_iter().chain(options).chain([name.to_owned()]))?;
    }
    set_password(system, name, changes)
}

/// What useradd(8) and usermod(8) share.
fn options(changes: &UserChanges) -> Vec<String> {
    let mut options = Vec::new();
    let mut option = |name: &str, value: Option<String>| {
        options.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
    };
    option("--uid", changes.uid.map(|uid| uid.to_string()));
    option("--gid", changes.primary_group.clone());
    option("--groups", changes.groups.as_ref().map(|groups| groups.join(",")));
    option("--shell", changes.shell.as_ref().map(ToString::to_string));
    option("--home-dir", changes.home.as_ref().map(ToString::to_string));
    option("--comment", changes.gecos.clone());
    option("--expiredate", changes.expires.map(|day| day.map(|day| Day(Some(day)).to_string()).unwrap_or_default()));
    // usermod(8) calls this one differently, and both know the short form.
    options.iter_mut().filter(|option| *option == "--home-dir").for_each(|option| "-d".clone_into(option));
    options
}

/// The hash goes through standard input: arguments can be read by everyone.
fn set_password(system: &LocalSystem, name: &str, changes: &UserChanges) -> Result<()> {
    let mut password = changes.password.clone();
    if let Some(locked) = changes.locked {
        let current = match &password {
            Some(password) => password.reveal().to_owned(),
            None => shadow(system, name)?.map(|shadow| shadow.password.reveal().to_owned()).unwrap_or_default(),
        };
        let open = current.trim_start_matches('!');
        if !locked && open.is_empty() {
            return Err(Error::new(
                ErrorKind::Refused,
                format!("user {name} has no password, so unlocking would let anyone in"),
            )
            .with_hint("declare a `password` as well"));
        }
        password = Some(Sensitive::new(if locked { format!("!{open}") } else { open.to_owned() }));
    }
    let Some(password) = password else { return Ok(()) };
    let command = Command::new(["chpasswd", "--encrypted"]).stdin(format!("{name}:{}\n", password.reveal()));
    checked(system, &command)
}

fn run<S: Into<String>>(system: &LocalSystem, argv: impl IntoIterator<Item = S>) -> Result<()> {
    checked(system, &Command::new(argv))
}

fn checked(system: &LocalSystem, command: &Command) -> Result<()> {
    let output = system.run(command)?;
    if output.success() {
        return Ok(());
    }
    let program = command.argv.first().map(String::as_str).unwrap_or_default();
    let meaning = meaning(program, output.code).map(str::to_owned);
    let message = meaning.unwrap_or_else(|| format!("{program} ended with exit code {}", output.code));
    let said = if output.stderr.trim().is_empty() { output.stdout } else { output.stderr };
    Err(Error::new(ErrorKind::CommandFailed, message).with_cause(said.trim()))
}

/// Exit codes, from the sections EXIT VALUES of useradd(8), usermod(8), userdel(8), groupadd(8), and groupdel(8).
fn meaning(program: &str, code: i32) -> Option<&'static str> {
    Some(match (program, code) {
        (_, 1 | 10) => "the account files cannot be changed: they are locked, or may not be written",
        ("useradd" | "usermod", 4) | ("groupadd" | "groupmod", 4) => "the number is taken by another account",
        ("useradd" | "usermod", 6) => "a user or group that it names does not exist",
        ("useradd" | "usermod" | "groupadd" | "groupmod", 9) => "the name is taken",
        ("useradd", 12) => "the home directory cannot be created",
        ("usermod" | "userdel", 8) => "the user has running processes",
        ("userdel", 6) => "there is no such user",
        ("userdel", 12) => "the home directory cannot be removed",
        ("groupdel", 6) => "there is no such group",
        ("groupdel", 8) => "it is the primary group of a user",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        for (day, written) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(Day(Some(day)).to_string(), written);
        }
    }
}
