//! Many paths with what lies there, written compactly.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::effect::{Access, Content};
use crate::error::{Error, ErrorKind, Result};
use crate::host::FileKind;
use crate::path::{HostPath, Mode};

/// Many paths with what lies there.
///
/// Written down by directory, then by what its entries are, then their names:
/// `{"/etc/nginx": {"d755": ["conf.d"], "f644": ["nginx.conf"], "l ../x": ["y"]}}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathTable(BTreeMap<HostPath, PathKind>);

/// What lies at a recorded path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathKind {
    /// A regular file.
    File(PathAccess),
    /// A directory.
    Directory(PathAccess),
    /// A symbolic link, with its text.
    Symlink(String),
    /// A device, a socket or a pipe.
    Other(PathAccess),
}

/// Owner, group and mode of a recorded path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathAccess {
    /// Permission bits.
    pub mode: u32,
    /// Name of the user.
    pub owner: Arc<str>,
    /// Name of the group.
    pub group: Arc<str>,
}

impl PathTable {
    /// Adds a path, or says anew what lies there.
    pub fn insert(&mut self, path: HostPath, kind: PathKind) {
        self.0.insert(path, kind);
    }

    /// Takes a path out.
    pub fn remove(&mut self, path: &HostPath) -> Option<PathKind> {
        self.0.remove(path)
    }

    /// What lies at a path.
    pub fn get(&self, path: &HostPath) -> Option<&PathKind> {
        self.0.get(path)
    }

    /// All paths, in the order of their text.
    pub fn iter(&self) -> impl Iterator<Item = (&HostPath, &PathKind)> {
        self.0.iter()
    }

    /// The paths at or below a directory.
    pub fn within<'a>(&'a self, directory: &'a HostPath) -> impl Iterator<Item = (&'a HostPath, &'a PathKind)> {
        self.0
            .range(directory.clone()..)
            .take_while(|(path, _)| path.as_str().starts_with(directory.as_str()))
            .filter(|(path, _)| path.is_within(directory))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<(HostPath, PathKind)> for PathTable {
    fn from_iter<I: IntoIterator<Item = (HostPath, PathKind)>>(entries: I) -> PathTable {
        PathTable(entries.into_iter().collect())
    }
}

impl PathKind {
    /// What it is.
    pub fn kind(&self) -> FileKind {
        match self {
            PathKind::File(_) => FileKind::File,
            PathKind::Directory(_) => FileKind::Directory,
            PathKind::Symlink(_) => FileKind::Symlink,
            // A record does not tell which.
            PathKind::Other(_) => FileKind::Device,
        }
    }

    /// The text of a link, or the content of a file whose text is known.
    pub(crate) fn holds(&self, text: Option<impl Into<Content>>) -> Option<Content> {
        match self {
            PathKind::Symlink(target) => Some(target.into()),
            _ => text.map(Into::into),
        }
    }

    /// Owner, group and mode; links belong to root.
    pub fn access(&self) -> Access {
        match self {
            PathKind::File(access) | PathKind::Directory(access) | PathKind::Other(access) => Access {
                owner: access.owner.as_ref().into(),
                group: access.group.as_ref().into(),
                mode: Mode::new(access.mode),
            },
            PathKind::Symlink(_) => Access::root(0o777),
        }
    }
}

impl PathAccess {
    /// What belongs to root.
    pub fn root(mode: u32) -> PathAccess {
        PathAccess { mode, owner: "root".into(), group: "root".into() }
    }
}

impl From<&Access> for PathAccess {
    fn from(access: &Access) -> PathAccess {
        PathAccess {
            mode: access.mode.bits(),
            owner: access.owner.as_str().into(),
            group: access.group.as_str().into(),
        }
    }
}

impl fmt::Display for PathKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letter, access) = match self {
            PathKind::File(access) => ('f', access),
            PathKind::Directory(access) => ('d', access),
            PathKind::Other(access) => ('o', access),
            PathKind::Symlink(target) => return write!(f, "l {target}"),
        };
        write!(f, "{letter}{:o}", access.mode)?;
        if (access.owner.as_ref(), access.group.as_ref()) != ("root", "root") {
            write!(f, " {}:{}", access.owner, access.group)?;
        }
        Ok(())
    }
}

impl FromStr for PathKind {
    type Err = Error;
    fn from_str(text: &str) -> Result<PathKind> {
        let wrong = || Error::new(ErrorKind::Damaged, format!("{text:?} does not say what lies at a path"));
        if let Some(target) = text.strip_prefix("l ") {
            return Ok(PathKind::Symlink(target.to_owned()));
        }
        let (mode, names) = text.get(1..).ok_or_else(wrong)?.split_once(' ').unwrap_or((&text[1..], "root:root"));
        let (owner, group) = names.split_once(':').ok_or_else(wrong)?;
        let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777).ok_or_else(wrong)?;
        let access = PathAccess { mode, owner: owner.into(), group: group.into() };
        match text.as_bytes()[0] {
            b'f' => Ok(PathKind::File(access)),
            b'd' => Ok(PathKind::Directory(access)),
            b'o' => Ok(PathKind::Other(access)),
            _ => Err(wrong()),
        }
    }
}

impl Serialize for PathTable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tree: BTreeMap<String, BTreeMap<String, Vec<&str>>> = BTreeMap::new();
        for (path, kind) in &self.0 {
            let directory = path.parent().map(|parent| parent.to_string()).unwrap_or_default();
            tree.entry(directory).or_default().entry(kind.to_string()).or_default().push(path.name());
        }
        tree.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PathTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PathTable, D::Error> {
        let tree: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::deserialize(deserializer)?;
        let mut table = PathTable::default();
        for (directory, kinds) in tree {
            for (kind, names) in kinds {
                let kind: PathKind = kind.parse().map_err(D::Error::custom)?;
                for name in names {
                    let path = HostPath::new(&format!("{directory}/{name}")).map_err(D::Error::custom)?;
                    table.insert(path, kind.clone());
                }
            }
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds() -> impl Strategy<Value = PathKind> {
        let access = (0u32..0o10000, "[a-z_][a-z0-9_-]{0,5}", "[a-z]{1,4}")
            .prop_map(|(mode, owner, group)| PathAccess { mode, owner: owner.into(), group: group.into() });
        prop_oneof![
            access.clone().prop_map(PathKind::File),
            access.clone().prop_map(PathKind::Directory),
            access.prop_map(PathKind::Other),
            "[ -~]{1,12}".prop_map(PathKind::Symlink),
        ]
    }

    proptest! {
        #[test]
        fn a_table_survives_json(entries in proptest::collection::btree_map("(/[a-z .:]{1,3}[a-z]){1,3}", kinds(), 0..12)) {
            let table: PathTable =
                entries.into_iter().map(|(path, kind)| (HostPath::new(&path).unwrap(), kind)).collect();
            let json = serde_json::to_string(&table).unwrap();
            prop_assert_eq!(serde_json::from_str::<PathTable>(&json).unwrap(), table);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,12}") {
            let _ = text.parse::<PathKind>();
        }
    }

    #[test]
    fn a_table_is_compact() {
        let table: PathTable = [
            ("/", PathKind::Directory(PathAccess::root(0o755))),
            ("/etc", PathKind::Directory(PathAccess::root(0o755))),
            ("/etc/a", PathKind::File(PathAccess::root(0o644))),
            ("/etc/b", PathKind::File(PathAccess::root(0o644))),
            ("/etc/c", PathKind::File(PathAccess { group: "adm".into(), ..PathAccess::root(0o640) })),
            ("/etc/d", PathKind::Symlink("../x".into())),
        ]
        .into_iter()
        .map(|(path, kind)| (HostPath::new(path).unwrap(), kind))
        .collect();
        insta::assert_snapshot!(serde_json::to_string(&table).unwrap(), @r#"{"":{"d755":[""]},"/":{"d755":["etc"]},"/etc":{"f640 root:adm":["c"],"f644":["a","b"],"l ../x":["d"]}}"#);
    }
}
