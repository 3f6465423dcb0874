//! The recorded packages that come with the crate.
#![allow(clippy::disallowed_methods, reason = "tests read what is in the repository")]

use std::collections::BTreeSet;
use std::path::Path;

use provision_core::host::{CatalogueHeader, RecordedPackage};

#[test]
fn recorded_packages_are_sorted_and_complete() {
    for release in ["12", "13"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("data/debian-{release}.packages"));
        let text = std::fs::read_to_string(&file).unwrap();
        let mut lines = text.lines();
        let header: CatalogueHeader = serde_json::from_str(lines.next().unwrap()).unwrap();
        assert_eq!((header.format.as_str(), header.release.as_str()), (CatalogueHeader::FORMAT, release));
        let packages: Vec<RecordedPackage> = lines
            .map(|line| {
                assert!(line.starts_with("{\"name\":\""), "a name comes first: {line:.60}");
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:.60}: {error}"))
            })
            .collect();
        assert_eq!(packages.len(), header.packages);
        assert!(packages.is_sorted_by(|one, other| one.name < other.name), "{release} is not sorted");
        let known: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
        for name in ["apt", "base-files", "nginx", "postfix", "exim4", "openssh-server", "systemd", "hello"] {
            assert!(known.contains(name), "{release} has no {name}");
        }
        for package in &packages {
            assert!(!package.version.is_empty() && !package.architecture.is_empty(), "{}", package.name);
            for text in package.texts.keys() {
                assert!(package.paths.get(text).is_some(), "{}: {text} has a text, but is not shipped", package.name);
            }
            for text in package.configure.texts.keys() {
                assert!(package.configure.paths.get(text).is_some(), "{}: {text} was not changed", package.name);
            }
        }
    }
}
