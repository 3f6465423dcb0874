//! The packages that a simulated host can install: recorded from Debian, read one by one as they are asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use foldhash::HashMap;

use super::data;
use super::package::{CatalogueHeader, RecordedPackage};
use super::record::PathKind;
use super::relations::{self, Relation};
use crate::effect::Content;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::path::HostPath;

/// Packages with what they bring.
///
/// The text of recorded packages is unpacked when the first package is asked for, and each package read when it is asked for.
pub struct Catalogue {
    release: String,
    index: LazyLock<Index, Box<dyn FnOnce() -> Index + Send + Sync>>,
}

/// Recorded packages, found by name in their text.
struct Index {
    release: String,
    lines: BTreeMap<&'static str, &'static str>,
    versions: HashMap<&'static str, &'static str>,
    read: Mutex<HashMap<&'static str, Arc<Offer>>>,
    providers: OnceLock<Providers>,
    opponents: OnceLock<Namers>,
    dependents: OnceLock<Namers>,
}

/// The packages that stand for a name, with the version that they give it.
type Providers = HashMap<&'static str, Vec<(&'static str, Option<&'static str>)>>;

/// The packages that name another one in a field.
type Namers = HashMap<String, Vec<&'static str>>;

/// A package, made ready to be installed.
pub(crate) struct Offer {
    pub(crate) package: Arc<RecordedPackage>,
    /// What it ships, each directory before what lies in it.
    pub(crate) ships: Vec<Shipped>,
    pub(crate) depends: Vec<Vec<Relation>>,
    pub(crate) recommends: Vec<Vec<Relation>>,
    /// What it conflicts with, or breaks.
    pub(crate) opposes: Vec<Relation>,
}

/// Something that a package ships.
pub(crate) struct Shipped {
    pub(crate) path: HostPath,
    pub(crate) kind: PathKind,
    /// The content of a file or the text of a link, if it is known.
    pub(crate) data: Option<Content>,
    pub(crate) is_conffile: bool,
}

impl Offer {
    pub(crate) fn of(package: RecordedPackage) -> Offer {
        let shipped = |(path, kind): (&HostPath, &PathKind)| Shipped {
            path: path.clone(),
            kind: kind.clone(),
            data: kind.holds(package.texts.get(path)),
            is_conffile: package.conffiles.contains(path),
        };
        let ships = package.paths.iter().map(shipped).collect();
        let opposes = [&package.conflicts, &package.breaks].into_iter().flat_map(|field| relations::parse(field));
        Offer {
            depends: relations::parse(&package.depends),
            recommends: relations::parse(&package.recommends),
            opposes: opposes.flatten().collect(),
            ships,
            package: Arc::new(package),
        }
    }

    /// The names that it stands for, with the versions that it gives them.
    pub(crate) fn provides(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        relations::provided(&self.package.provides)
    }
}

impl Index {
    fn read(text: &'static str) -> Result<Index> {
        let mut lines = text.lines();
        let header: CatalogueHeader = serde_json::from_str(lines.next().unwrap_or_default())
            .map_err(|error| Error::new(ErrorKind::Damaged, error.to_string()))
            .while_doing(|| "reading the head of a file of recorded packages")?;
        if header.format != CatalogueHeader::FORMAT {
            let message =
                format!("it says that it is {:?}, and this program reads {:?}", header.format, CatalogueHeader::FORMAT);
            return Err(Error::new(ErrorKind::Unsupported, message).with_hint("record the packages again"));
        }
        let (mut by_name, mut versions) = (BTreeMap::new(), HashMap::default());
        for line in lines {
            let name = between(line, "\"name\":\"").ok_or_else(|| {
                Error::new(ErrorKind::Damaged, "a line of recorded packages does not begin with a name")
            })?;
            by_name.insert(name, line);
            versions.extend(between(line, "\"version\":\"").map(|version| (name, version)));
        }
        Ok(Index {
            release: header.release,
            lines: by_name,
            versions,
            read: Mutex::default(),
            providers: OnceLock::new(),
            opponents: OnceLock::new(),
            dependents: OnceLock::new(),
        })
    }
}

impl Catalogue {
    /// The packages of a release of Debian, by its number.
    ///
    /// # Errors
    /// It is none of those that were recorded.
    pub fn debian(release: &str) -> Result<Arc<Catalogue>> {
        static BUILT_IN: Mutex<BTreeMap<String, Arc<Catalogue>>> = Mutex::new(BTreeMap::new());
        let text = data::packages(release).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, format!("no packages of Debian {release} were recorded"))
                .with_hint("simulated hosts are Debian 12 and 13")
        })?;
        let index = move || Index::read(text()).expect("the built-in catalogue is well-formed");
        let mut known = BUILT_IN.lock().unwrap_or_else(PoisonError::into_inner);
        let unread = || Catalogue { release: release.to_owned(), index: LazyLock::new(Box::new(index)) };
        Ok(Arc::clone(known.entry(release.to_owned()).or_insert_with(|| Arc::new(unread()))))
    }

    /// Reads a file of recorded packages.
    ///
    /// # Errors
    /// It is none, or one of another version of the program.
    pub fn read(text: &'static str) -> Result<Catalogue> {
        let index = Index::read(text)?;
        Ok(Catalogue { release: index.release.clone(), index: LazyLock::new(Box::new(|| index)) })
    }

    /// The release of Debian, such as `13`.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The names of all packages.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.index.lines.keys().copied()
    }

    /// A package by its name.
    pub fn get(&self, name: &str) -> Option<Arc<RecordedPackage>> {
        self.offer(name).map(|offer| Arc::clone(&offer.package))
    }

    /// The same with what it says of others.
    pub(crate) fn offer(&self, name: &str) -> Option<Arc<Offer>> {
        let name = plain(name);
        let mut read = self.index.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(offer) = read.get(name) {
            return Some(Arc::clone(offer));
        }
        let (name, line) = self.index.lines.get_key_value(name)?;
        let offer = Arc::new(Offer::of(serde_json::from_str(line).ok()?));
        read.insert(name, Arc::clone(&offer));
        Some(offer)
    }

    /// The version of a package.
    pub fn version(&self, name: &str) -> Option<&str> {
        self.index.versions.get(plain(name)).copied()
    }

    /// The packages that stand for a name, with the version that they give it; sorted.
    pub fn providers(&self, name: &str) -> &[(&'static str, Option<&'static str>)] {
        let all = self.index.providers.get_or_init(|| {
            let mut all = Providers::default();
            for (package, line) in &self.index.lines {
                let Some(field) = between(line, "\"provides\":\"") else { continue };
                for (name, version) in relations::provided(field) {
                    all.entry(name).or_default().push((package, version));
                }
            }
            all
        });
        all.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The packages that conflict with a name, or break it, in some version; sorted.
    pub(crate) fn opponents(&self, name: &str) -> &[&'static str] {
        let all = self.index.opponents.get_or_init(|| self.namers(&["\"conflicts\":\"", "\"breaks\":\""]));
        all.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The packages that may need a name, in some version; sorted.
    pub(crate) fn dependents(&self, name: &str) -> &[&'static str] {
        let all = self.index.dependents.get_or_init(|| self.namers(&["\"depends\":\""]));
        all.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    fn namers(&self, fields: &[&str]) -> Namers {
        let mut all = Namers::default();
        for (package, line) in &self.index.lines {
            let texts = fields.iter().filter_map(|field| between(line, field));
            for relation in texts.flat_map(relations::parse).flatten() {
                let namers = all.entry(relation.name).or_default();
                if namers.last() != Some(package) {
                    namers.push(package);
                }
            }
        }
        all
    }
}

/// A name without its architecture.
fn plain(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}

/// The text of a field. Those that are looked for have no character that JSON would escape.
fn between<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(start)?;
    rest.split_once('"').map(|(text, _)| text)
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<packages of Debian {}>", self.release)
    }
}
