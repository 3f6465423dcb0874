//! Files as each version of this program writes them, in `tests/golden/VERSION`: later versions have to read them.
//!
//! Those of the present version are written with `PROVISION_GOLDEN=write cargo test -p provision-core --lib golden`. Files of versions that were
//! released never change.
#![expect(clippy::disallowed_methods, reason = "golden files lie beside the tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind};
use crate::format::Format;

/// Compares a file with the golden one of this version, and gives those of all versions.
pub(crate) fn versions(name: &str, present: &[u8]) -> Vec<Vec<u8>> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let here = all.join(env!("CARGO_PKG_VERSION")).join(name);
    if std::env::var("PROVISION_GOLDEN").is_ok_and(|says| says == "write") {
        fs::create_dir_all(here.parent().unwrap()).unwrap();
        fs::write(&here, present).unwrap();
    }
    let golden = fs::read(&here).unwrap_or_default();
    assert!(golden == present, "{} is not what this version writes", here.display());
    let versions = fs::read_dir(all).unwrap().map(|version| version.unwrap().path().join(name));
    versions.filter_map(|file| fs::read(file).ok()).collect()
}

/// As [`versions`], for all files of a state directory.
pub(crate) fn states(present: &BTreeMap<String, Vec<u8>>) -> Vec<BTreeMap<String, Vec<u8>>> {
    present.iter().for_each(|(name, bytes)| drop(versions(&format!("state/{name}"), bytes)));
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let versions = fs::read_dir(all).unwrap().map(|version| version.unwrap().path().join("state"));
    versions.map(|state| files_below(&state, "")).collect()
}

fn files_below(directory: &PathBuf, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        let name = format!("{prefix}{}", entry.file_name().unwrap().to_str().unwrap());
        match entry.is_dir() {
            true => files.extend(files_below(&entry, &format!("{name}/"))),
            false => drop(files.insert(name, fs::read(entry).unwrap())),
        }
    }
    files
}

/// The same file as the next version would write it.
pub(crate) fn of_next_version(format: &Format, bytes: &[u8]) -> Vec<u8> {
    let next = Format { version: format.version + 1, ..*format };
    [next.header().as_bytes(), format.whole_body(bytes).unwrap()].concat()
}

/// Requires the error for a file of the next version.
pub(crate) fn assert_newer(error: &Error, format: &Format) {
    assert_eq!(error.kind(), ErrorKind::Newer, "{error:?}");
    let message = format!(
        "{} was written by a newer version of provision (format {}; this program reads up to {})",
        format.noun,
        format.version + 1,
        format.version
    );
    assert_eq!(error.message(), message);
    assert!(error.hint().is_some_and(|hint| hint.starts_with("upgrade provision")), "{error:?}");
}
