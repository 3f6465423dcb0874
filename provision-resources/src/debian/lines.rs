//! Lines of the account files: kept, and put back as they were.

use provision_core::effect::Sensitive;
use provision_core::error::{Result, ResultExt};
use provision_core::host::{AccountDatabase, AccountLine, LocalSystem};
use provision_core::path::HostPath;

/// The lines that users and groups have in every account file.
pub(super) fn read(system: &LocalSystem, users: &[&str], groups: &[&str]) -> Result<Vec<AccountLine>> {
    let mut found = Vec::new();
    for database in AccountDatabase::ALL {
        let text = system.read_text(database.path())?.unwrap_or_default();
        let names = if database.is_about_groups() { groups } else { users };
        found.extend(names.iter().map(|name| line_of(&text, database, name)));
    }
    Ok(found)
}

fn line_of(text: &str, database: AccountDatabase, name: &str) -> AccountLine {
    let lines = lines(text);
    let place = lines.iter().position(|line| is_of(line, name));
    let line = place.map(|place| Sensitive::new(lines[place]));
    AccountLine { database, name: name.to_owned(), line, position: place.unwrap_or(lines.len()) }
}

/// The lines of a text without their ends. A carriage return is no part of an end: no reader of these files takes it for one.
fn lines(text: &str) -> Vec<&str> {
    match text.strip_suffix('\n').unwrap_or(text) {
        "" if text.is_empty() => Vec::new(),
        text => text.split('\n').collect(),
    }
}

fn is_of(line: &str, name: &str) -> bool {
    line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'))
}

/// Puts lines back, each file at once. A line that is there stays in its place; one that was gone goes where it was.
pub(super) fn restore(system: &LocalSystem, lines: &[AccountLine]) -> Result<()> {
    let _locked = system.lock(&HostPath::new("/etc/.pwd.lock")?)?;
    for database in AccountDatabase::ALL {
        let mine: Vec<&AccountLine> = lines.iter().filter(|line| line.database == database).collect();
        let Some(text) = system.read_text(database.path())? else { continue };
        let restored = restored(&text, &mine);
        if restored != text {
            let path = HostPath::new(database.path())?;
            system.rewrite(&path, &restored).while_doing(|| format!("putting lines of {path} back"))?;
        }
    }
    Ok(())
}

/// A text with lines put back. All other lines keep their bytes, whatever they are.
fn restored(text: &str, put_back: &[&AccountLine]) -> String {
    let mut all = lines(text);
    let mut missing: Vec<(usize, &str)> = Vec::new();
    for AccountLine { name, line, position, .. } in put_back {
        let line = line.as_ref().map(Sensitive::reveal);
        match (all.iter().position(|other| is_of(other, name)), line) {
            (Some(place), Some(line)) => all[place] = line,
            (Some(place), None) => drop(all.remove(place)),
            (None, Some(line)) => missing.push((*position, line)),
            (None, None) => {}
        }
    }
    let is_ended = text.is_empty() || text.ends_with('\n') || missing.iter().any(|(place, _)| *place >= all.len());
    // From the first on, so that each finds the ones before it in their places.
    missing.sort_unstable_by_key(|(position, _)| *position);
    for (position, line) in missing {
        all.insert(position.min(all.len()), line);
    }
    let end = if is_ended && !all.is_empty() { "\n" } else { "" };
    all.join("\n") + end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use provision_core::bytes::{from_bytes, to_bytes};

    fn kept(text: &str, names: &[String]) -> Vec<AccountLine> {
        names.iter().map(|name| line_of(text, AccountDatabase::Passwd, name)).collect()
    }

    #[test]
    fn bytes_of_other_users_survive_an_undo() {
        let others =
            b"# by hand\njoerg:x:1000:1000:J\xF6rg:/home/j\xF6rg:/bin/sh\r\n\n+@nis::::::\nbroken\nlast:x:7:7::/:";
        let before = from_bytes(others).into_owned();
        let lines = kept(&before, &["newbie".to_owned()]);
        let lines: Vec<&AccountLine> = lines.iter().collect();
        let made = format!("{before}\nnewbie:x:1001:1001::/home/newbie:/bin/sh\n");
        assert_eq!(*to_bytes(&restored(&made, &lines)), [others.as_slice(), b"\n"].concat());
        assert_eq!(*to_bytes(&restored(&before, &lines)), *others);
    }

    proptest! {
        #[test]
        fn any_change_of_the_kept_lines_is_taken_back(
            names in proptest::collection::btree_set("[a-e]", 0..5),
            kept_names in proptest::collection::btree_set("[a-e]", 0..5),
            change in 0u8..3,
        ) {
            let text: String = names.iter().map(|name| format!("{name}:x:1\n")).collect();
            let kept_names: Vec<String> = kept_names.into_iter().collect();
            let lines = kept(&text, &kept_names);
            let mut after: Vec<String> = text.lines().map(str::to_owned).collect();
            for name in &kept_names {
                match (after.iter().position(|line| is_of(line, name)), change) {
                    (Some(place), 0) => drop(after.remove(place)),
                    (Some(place), 1) => after[place].push_str(":changed"),
                    (None, 2) => after.push(format!("{name}:new")),
                    _ => {}
                }
            }
            let after: String = after.into_iter().map(|line| line + "\n").collect();
            let lines: Vec<&AccountLine> = lines.iter().collect();
            prop_assert_eq!(restored(&after, &lines), text);
        }
    }
}
