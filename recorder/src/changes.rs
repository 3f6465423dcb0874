//! What changed between two moments, beyond what a package manager does by itself.

use std::collections::BTreeSet;

use provision_core::host::Group;
use provision_core::path::HostPath;
use provision_core::sim::{PathTable, ScriptChanges};

use crate::deb::Deb;
use crate::filter::{Kept, kept};
use crate::snapshot::{Entry, Kind, Snapshot, covers};
use crate::tar::{Member, MemberKind};
use crate::texts::made_text;

/// Which of the changes of paths are the package manager's own.
pub trait Explained {
    /// Whether it put there what lies at a path now.
    fn came(&self, path: &str, now: &Entry, after: &Snapshot) -> bool;
    /// Whether it is known already what a file holds, because that was shipped.
    fn is_known(&self, path: &str, data: &[u8]) -> bool;
    /// Whether it took a path away.
    fn went(&self, path: &str) -> bool;
    /// Paths that it put there, and that have to be there now.
    fn promised(&self) -> Vec<String>;
}

/// The installation of packages.
pub struct Installed<'a> {
    /// What was unpacked.
    pub debs: &'a [&'a Deb],
    /// Whether all of it was configured as well: the configuration files are there only then.
    pub complete: bool,
}

/// The removal of a package.
pub struct Removed<'a>(pub &'a Deb);

/// The purge of a package that was removed.
pub struct Purged<'a>(pub &'a Deb);

impl Explained for Installed<'_> {
    fn came(&self, path: &str, now: &Entry, after: &Snapshot) -> bool {
        let mut shipped = self.debs.iter().filter_map(|deb| deb.members.get(path));
        shipped.any(|member| is_as_shipped(member, now, after))
    }

    fn is_known(&self, path: &str, data: &[u8]) -> bool {
        self.debs.iter().filter_map(|deb| deb.members.get(path)).any(|member| member.data.as_deref() == Some(data))
    }

    fn went(&self, _: &str) -> bool {
        false
    }

    fn promised(&self) -> Vec<String> {
        let debs = self.debs.iter().filter(|_| self.complete);
        debs.flat_map(|deb| deb.members.keys().cloned()).collect()
    }
}

impl Explained for Removed<'_> {
    fn came(&self, _: &str, _: &Entry, _: &Snapshot) -> bool {
        false
    }

    fn is_known(&self, _: &str, _: &[u8]) -> bool {
        false
    }

    fn went(&self, path: &str) -> bool {
        self.0.members.contains_key(path) && !self.0.conffiles.iter().any(|conffile| conffile == path)
    }

    fn promised(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Explained for Purged<'_> {
    fn came(&self, _: &str, _: &Entry, _: &Snapshot) -> bool {
        false
    }

    fn is_known(&self, _: &str, _: &[u8]) -> bool {
        false
    }

    fn went(&self, path: &str) -> bool {
        self.0.members.contains_key(path)
    }

    fn promised(&self) -> Vec<String> {
        Vec::new()
    }
}

fn is_as_shipped(member: &Member, now: &Entry, after: &Snapshot) -> bool {
    // Times are kept when a package is unpacked.
    let same = match (&member.kind, &now.kind) {
        (MemberKind::File, Kind::File) => (member.size, member.mtime) == (now.stamp.size, now.stamp.mtime),
        (MemberKind::Directory, Kind::Directory) | (MemberKind::Other, Kind::Other) => true,
        (MemberKind::Symlink(one), Kind::Symlink(other)) => return one == other,
        // What a link leads to is used where the directory was there before.
        (MemberKind::Directory, Kind::Symlink(_)) => return true,
        _ => false,
    };
    let owner = after.accounts.user_name(now.uid);
    let group = after.accounts.group_name(now.gid);
    same && member.mode == now.mode
        && owner.unwrap_or("root") == member.owner
        && group.unwrap_or("root") == member.group
}

/// What changed between two moments, beyond what is explained, and what was asked of the service manager meanwhile.
pub fn changes(
    before: &Snapshot,
    after: &Snapshot,
    explained: &dyn Explained,
    units: Vec<(String, String)>,
) -> Result<ScriptChanges, String> {
    let mut changes = ScriptChanges { units, ..ScriptChanges::default() };
    accounts(before, after, &mut changes);
    let checked = |path: &str| HostPath::new(path).map_err(|error| error.to_string());
    let mut paths = Vec::new();
    for (path, now) in &after.entries {
        let old = before.entries.get(path);
        if old == Some(now) || explained.came(path, now, after) {
            continue;
        }
        paths.push((checked(path)?, after.recorded(now)));
        let rewritten = old.is_none_or(|old| old.kind != now.kind || old.stamp != now.stamp);
        if now.kind == Kind::File
            && rewritten
            && let Some(data) = after.data(path)
            && !explained.is_known(path, &data)
            && let Some(text) = made_text(path, now.mode, &data)
        {
            changes.texts.insert(checked(path)?, text);
        }
    }
    changes.paths = PathTable::from_iter(paths);
    let mut gone: BTreeSet<String> = before
        .entries
        .keys()
        .filter(|path| !after.entries.contains_key(*path) && !explained.went(path))
        .cloned()
        .collect();
    let is_kept = |path: &String| covers(path) && kept(path) == Kept::Yes && !after.entries.contains_key(path);
    gone.extend(explained.promised().into_iter().filter(is_kept));
    changes.paths_gone = gone.iter().map(|path| checked(path)).collect::<Result<_, _>>()?;
    Ok(changes)
}

fn accounts(before: &Snapshot, after: &Snapshot, changes: &mut ScriptChanges) {
    let (before, after) = (&before.accounts, &after.accounts);
    for (name, user) in &after.users {
        if before.users.get(name) != Some(user) {
            changes.users.push(user.clone());
        }
    }
    for (name, group) in &after.groups {
        let old = before.groups.get(name);
        if old.is_none_or(|old| old.gid != group.gid) {
            changes.groups.push(Group { members: Vec::new(), ..group.clone() });
        }
        let was = |member: &String| old.is_some_and(|old| old.members.contains(member));
        let new = group.members.iter().filter(|member| !was(member));
        changes.members.extend(new.map(|member| (name.clone(), member.clone())));
    }
    changes.users_gone = before.users.keys().filter(|name| !after.users.contains_key(*name)).cloned().collect();
    changes.groups_gone = before.groups.keys().filter(|name| !after.groups.contains_key(*name)).cloned().collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Stamp, accounts};
    use std::collections::BTreeMap;
    use std::path::Path;

    fn entry(kind: Kind, mode: u32, mtime: i64) -> Entry {
        Entry { kind, mode, uid: 0, gid: 0, stamp: Stamp { mtime, ..Stamp::default() } }
    }

    fn snapshot(root: &Path, passwd: &str, group: &str, entries: &[(&str, Entry)]) -> Snapshot {
        let entries = entries.iter().map(|(path, entry)| ((*path).to_owned(), entry.clone())).collect();
        Snapshot { root: root.to_owned(), entries, accounts: accounts(passwd, group) }
    }

    fn deb() -> Deb {
        let member = |path: &str, kind| Member {
            path: path.into(),
            kind,
            mode: 0o755,
            owner: "root".into(),
            group: "root".into(),
            size: 0,
            mtime: 5,
            data: None,
        };
        let members = [member("/etc/x", MemberKind::Directory), member("/etc/x/conf", MemberKind::File)];
        let members: BTreeMap<_, _> = members.into_iter().map(|member| (member.path.clone(), member)).collect();
        Deb { members, conffiles: vec!["/etc/x/conf".into()], has_postrm: false, acts: true }
    }

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n";

    #[test]
    fn an_installation_is_what_was_not_shipped() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("etc/x")).unwrap();
        std::fs::write(root.path().join("etc/x/made"), "A=1\n").unwrap();
        let before = snapshot(root.path(), PASSWD, "root:x:0:\nadm:x:4:\n", &[]);
        let after = snapshot(
            root.path(),
            &format!("{PASSWD}x:x:101:102:X:/var/lib/x:/usr/sbin/nologin\n"),
            "root:x:0:\nadm:x:4:x\nx:x:102:\n",
            &[
                ("/etc/x", entry(Kind::Directory, 0o750, 0)),
                ("/etc/x/conf", entry(Kind::File, 0o755, 5)),
                ("/etc/x/made", entry(Kind::File, 0o644, 9)),
            ],
        );
        let units = vec![("start".to_owned(), "x.service".to_owned())];
        let found = changes(&before, &after, &Installed { debs: &[&deb()], complete: true }, units).unwrap();
        insta_like(
            &found,
            r#"{"users":[{"name":"x","uid":101,"gid":102,"gecos":"X","home":"/var/lib/x","shell":"/usr/sbin/nologin"}],"groups":[{"name":"x","gid":102,"members":[]}],"members":[["adm","x"]],"paths":{"/etc":{"d750":["x"]},"/etc/x":{"f644":["made"]}},"texts":{"/etc/x/made":"A=1\n"},"units":[["start","x.service"]]}"#,
        );
    }

    #[test]
    fn a_removal_leaves_configuration_and_a_purge_does_not() {
        let root = tempfile::tempdir().unwrap();
        let all = [
            ("/etc/x", entry(Kind::Directory, 0o755, 0)),
            ("/etc/x/conf", entry(Kind::File, 0o755, 5)),
            ("/etc/x/made", entry(Kind::File, 0o644, 9)),
        ];
        let before = snapshot(root.path(), PASSWD, "root:x:0:\nx:x:102:\n", &all);
        let after = snapshot(root.path(), PASSWD, "root:x:0:\n", &[]);
        let removed = changes(&before, &after, &Removed(&deb()), Vec::new()).unwrap();
        insta_like(&removed, r#"{"groups_gone":["x"],"paths_gone":["/etc/x/conf","/etc/x/made"]}"#);
        let purged = changes(&before, &after, &Purged(&deb()), Vec::new()).unwrap();
        insta_like(&purged, r#"{"groups_gone":["x"],"paths_gone":["/etc/x/made"]}"#);
    }

    fn insta_like(found: &ScriptChanges, expected: &str) {
        assert_eq!(serde_json::to_string(found).unwrap(), expected);
    }
}
