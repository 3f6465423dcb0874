//! What lies in a root directory at one moment.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use provision_core::host::{Accounts, Group, User};
use provision_core::sim::{PathAccess, PathKind};

use crate::filter::{Kept, kept, within};

/// Trees that scripts may change.
const TREES: &[&str] = &["/boot", "/etc", "/home", "/opt", "/root", "/run", "/srv", "/usr", "/var"];

/// Whether a snapshot looks at a path.
pub fn covers(path: &str) -> bool {
    TREES.iter().any(|tree| within(path, tree))
}

/// What lies in a root directory at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The root directory.
    pub root: PathBuf,
    /// What lies where, as far as it is [`kept`].
    pub entries: BTreeMap<String, Entry>,
    /// Users and groups.
    pub accounts: Accounts,
}

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Number of the user.
    pub uid: u32,
    /// Number of the group.
    pub gid: u32,
    /// What changes when it is written.
    pub stamp: Stamp,
}

/// What something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link with its text.
    Symlink(String),
    /// Anything else.
    Other,
}

/// What changes when a file is written; all zero for what is no file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Seconds of the last change.
    pub mtime: i64,
    /// Nanoseconds of it.
    pub nanoseconds: i64,
    /// Number of the file.
    pub inode: u64,
    /// Of what a file in `/etc` or `/var` holds, so that one that is written again with the same is none that was changed.
    pub digest: Option<u64>,
}

impl PartialEq for Stamp {
    fn eq(&self, other: &Stamp) -> bool {
        match (self.digest, other.digest) {
            (Some(one), Some(other)) => one == other,
            _ => self.same_file(other),
        }
    }
}

impl Eq for Stamp {}

impl Stamp {
    fn same_file(&self, other: &Stamp) -> bool {
        (self.size, self.mtime, self.nanoseconds, self.inode)
            == (other.size, other.mtime, other.nanoseconds, other.inode)
    }
}

impl Snapshot {
    /// Looks at a root directory; what files hold is read again only where the last look found something else.
    pub fn take(root: &Path, last: Option<&Snapshot>) -> Result<Snapshot, String> {
        let passwd = read(&root.join("etc/passwd"))?;
        let group = read(&root.join("etc/group"))?;
        let accounts = accounts(&passwd, &group);
        let mut snapshot = Snapshot { root: root.to_owned(), entries: BTreeMap::new(), accounts };
        for tree in TREES {
            snapshot.visit(tree, last)?;
        }
        Ok(snapshot)
    }

    fn visit(&mut self, path: &str, last: Option<&Snapshot>) -> Result<(), String> {
        let keep = kept(path);
        if keep == Kept::NoTree {
            return Ok(());
        }
        let full = self.root.join(&path[1..]);
        let Ok(metadata) = fs::symlink_metadata(&full) else { return Ok(()) };
        let kind = match metadata.file_type() {
            kind if kind.is_dir() => Kind::Directory,
            kind if kind.is_file() => Kind::File,
            kind if kind.is_symlink() => {
                Kind::Symlink(fs::read_link(&full).unwrap_or_default().to_string_lossy().into_owned())
            }
            _ => Kind::Other,
        };
        let is_directory = kind == Kind::Directory;
        if keep == Kept::Yes || (keep == Kept::Directory && is_directory) {
            let mut stamp = Stamp::default();
            if kind == Kind::File {
                stamp.size = metadata.size();
                (stamp.mtime, stamp.nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
                stamp.inode = metadata.ino();
                let known = last.and_then(|last| last.entries.get(path)).map(|entry| entry.stamp);
                stamp.digest = match known {
                    Some(known) if known.same_file(&stamp) => known.digest,
                    _ => digest(path, &full, stamp.size),
                };
            }
            let mode = if matches!(kind, Kind::Symlink(_)) { 0o777 } else { metadata.mode() & 0o7777 };
            let entry = Entry { kind, mode, uid: metadata.uid(), gid: metadata.gid(), stamp };
            self.entries.insert(path.to_owned(), entry);
        }
        if is_directory {
            for child in fs::read_dir(&full).map_err(|error| format!("listing {}: {error}", full.display()))?.flatten()
            {
                if let Some(name) = child.file_name().to_str() {
                    self.visit(&format!("{path}/{name}"), last)?;
                }
            }
        }
        Ok(())
    }

    /// What lies somewhere, as it is recorded.
    pub fn recorded(&self, entry: &Entry) -> PathKind {
        let access = || PathAccess {
            mode: entry.mode,
            owner: self.accounts.user_name(entry.uid).map_or_else(|| entry.uid.to_string().into(), Into::into),
            group: self.accounts.group_name(entry.gid).map_or_else(|| entry.gid.to_string().into(), Into::into),
        };
        match &entry.kind {
            Kind::File => PathKind::File(access()),
            Kind::Directory => PathKind::Directory(access()),
            Kind::Symlink(target) => PathKind::Symlink(target.clone()),
            Kind::Other => PathKind::Other(access()),
        }
    }

    /// What a file holds.
    pub fn data(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.root.join(path.get(1..)?)).ok()
    }
}

fn read(file: &Path) -> Result<String, String> {
    match fs::read_to_string(file) {
        // The first packages of a system come before there are accounts.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|error| format!("reading {}: {error}", file.display())),
    }
}

fn digest(path: &str, file: &Path, size: u64) -> Option<u64> {
    if size > 1 << 20 || !(path.starts_with("/etc/") || path.starts_with("/var/")) {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    fs::read(file).ok()?.hash(&mut hasher);
    Some(hasher.finish())
}

/// Users and groups from the texts of `passwd(5)` and `group(5)`.
pub fn accounts(passwd: &str, group: &str) -> Accounts {
    let mut accounts = Accounts::default();
    for line in passwd.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if let [name, _, uid, gid, gecos, home, shell] = fields[..]
            && let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse())
        {
            let [name, gecos, home, shell] = [name, gecos, home, shell].map(str::to_owned);
            accounts.users.insert(name.clone(), User { name, uid, gid, gecos, home, shell });
        }
    }
    for line in group.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if let [name, _, gid, members] = fields[..]
            && let Ok(gid) = gid.parse()
        {
            let mut members: Vec<String> =
                members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
            members.sort();
            accounts.groups.insert(name.to_owned(), Group { name: name.to_owned(), gid, members });
        }
    }
    accounts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read() {
        let accounts = accounts("root:x:0:0:root:/root:/bin/bash\n+::::::\nbad\n", "root:x:0:\nadm:x:4:syslog,admin\n");
        assert_eq!(accounts.users["root"].shell, "/bin/bash");
        assert_eq!(accounts.groups["adm"].members, ["admin", "syslog"]);
        assert_eq!((accounts.users.len(), accounts.groups.len()), (1, 2));
    }

    #[test]
    fn a_look_finds_what_is_kept() {
        let root = tempfile::tempdir().unwrap();
        for directory in ["etc/x", "usr/share/doc/x", "var/cache/x/y"] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        fs::write(root.path().join("etc/x/a"), "one").unwrap();
        std::os::unix::fs::symlink("../y", root.path().join("etc/x/l")).unwrap();
        let first = Snapshot::take(root.path(), None).unwrap();
        let found: Vec<&str> = first.entries.keys().map(String::as_str).collect();
        assert_eq!(
            found,
            ["/etc", "/etc/x", "/etc/x/a", "/etc/x/l", "/usr", "/usr/share", "/var", "/var/cache", "/var/cache/x"]
        );
        fs::remove_file(root.path().join("etc/x/a")).unwrap();
        fs::write(root.path().join("etc/x/a"), "one").unwrap();
        let second = Snapshot::take(root.path(), Some(&first)).unwrap();
        assert_eq!(first.entries["/etc/x/a"], second.entries["/etc/x/a"]);
        fs::write(root.path().join("etc/x/a"), "two").unwrap();
        let third = Snapshot::take(root.path(), Some(&second)).unwrap();
        assert_ne!(second.entries["/etc/x/a"], third.entries["/etc/x/a"]);
    }
}
