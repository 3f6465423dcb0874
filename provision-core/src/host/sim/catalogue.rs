//! The packages that a simulated host can install: recorded from Debian, read one by one as they are asked for.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use super::package::{CatalogueHeader, RecordedPackage};
use super::relations;
use crate::error::{Error, ErrorKind, Result, ResultExt};

/// Packages with what they bring.
///
/// A file of recorded packages is held as its text; a package is read when it is asked for.
pub struct Catalogue {
    header: CatalogueHeader,
    lines: BTreeMap<&'static str, &'static str>,
    read: Mutex<HashMap<String, Arc<RecordedPackage>>>,
    providers: OnceLock<Providers>,
}

/// The packages that stand for a name, with the version that they give it.
type Providers = HashMap<String, Vec<(String, Option<String>)>>;

impl Catalogue {
    /// The packages of a release of Debian, by its number.
    ///
    /// # Errors
    /// It is none of those that were recorded.
    pub fn debian(release: &str) -> Result<Arc<Catalogue>> {
        static BUILT_IN: LazyLock<[Arc<Catalogue>; 2]> = LazyLock::new(|| {
            [include_str!("../../../data/debian-12.packages"), include_str!("../../../data/debian-13.packages")]
                .map(|text| Arc::new(Catalogue::read(text).expect("the built-in catalogue is well-formed")))
        });
        let found = BUILT_IN.iter().find(|catalogue| catalogue.header.release == release);
        found.cloned().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, format!("no packages of Debian {release} were recorded"))
                .with_hint("simulated hosts are Debian 12 and 13")
        })
    }

    /// Reads a file of recorded packages.
    ///
    /// # Errors
    /// It is none, or one of another version of the program.
    pub fn read(text: &'static str) -> Result<Catalogue> {
        let mut lines = text.lines();
        let header: CatalogueHeader = serde_json::from_str(lines.next().unwrap_or_default())
            .map_err(|error| Error::new(ErrorKind::Damaged, error.to_string()))
            .while_doing(|| "reading the head of a file of recorded packages")?;
        if header.format != CatalogueHeader::FORMAT {
            let message =
                format!("it says that it is {:?}, and this program reads {:?}", header.format, CatalogueHeader::FORMAT);
            return Err(Error::new(ErrorKind::Unsupported, message).with_hint("record the packages again"));
        }
        let mut by_name = BTreeMap::new();
        for line in lines {
            let name = between(line, "\"name\":\"").ok_or_else(|| {
                Error::new(ErrorKind::Damaged, "a line of recorded packages does not begin with a name")
            })?;
            by_name.insert(name, line);
        }
        Ok(Catalogue { header, lines: by_name, read: Mutex::default(), providers: OnceLock::new() })
    }

    /// The release and its architecture.
    pub fn header(&self) -> &CatalogueHeader {
        &self.header
    }

    /// The names of all packages.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lines.keys().copied()
    }

    /// A package by its name.
    pub fn get(&self, name: &str) -> Option<Arc<RecordedPackage>> {
        let name = name.split(':').next().unwrap_or(name);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(package) = read.get(name) {
            return Some(Arc::clone(package));
        }
        let package = Arc::new(serde_json::from_str(self.lines.get(name)?).ok()?);
        read.insert(name.to_owned(), Arc::clone(&package));
        Some(package)
    }

    /// The version of a package.
    pub fn version(&self, name: &str) -> Option<&str> {
        between(self.lines.get(name.split(':').next().unwrap_or(name))?, "\"version\":\"")
    }

    /// The packages that stand for a name, with the version that they give it; sorted.
    pub fn providers(&self, name: &str) -> &[(String, Option<String>)] {
        let all = self.providers.get_or_init(|| {
            let mut all = Providers::new();
            for (package, line) in &self.lines {
                let Some(field) = between(line, "\"provides\":\"") else { continue };
                for (name, version) in relations::provided(field) {
                    all.entry(name.to_owned()).or_default().push(((*package).to_owned(), version.map(str::to_owned)));
                }
            }
            all
        });
        all.get(name).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The text of a field. Those that are looked for have no character that JSON would escape.
fn between<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(start)?;
    rest.split_once('"').map(|(text, _)| text)
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<{} packages of Debian {}>", self.lines.len(), self.header.release)
    }
}
