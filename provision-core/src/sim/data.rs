//! The installations and packages of Debian that were recorded: kept compressed (zstd, RFC 8878) in the program, and unpacked
//! when they are first asked for.

use std::io::Read;
use std::sync::LazyLock;

type Text = LazyLock<String>;

/// A minimal installation of a release, by its number; `None` for one that was not recorded.
pub(super) fn host(release: &str) -> Option<&'static str> {
    static HOSTS: [Text; 2] = [
        LazyLock::new(|| unpacked(include_bytes!("../../data/debian-12.host.zst"))),
        LazyLock::new(|| unpacked(include_bytes!("../../data/debian-13.host.zst"))),
    ];
    place(release).map(|place| HOSTS[place].as_str())
}

/// The packages of a release, by its number; `None` for one that was not recorded.
pub(super) fn packages(release: &str) -> Option<impl FnOnce() -> &'static str + Send + Sync + 'static> {
    static PACKAGES: [Text; 2] = [
        LazyLock::new(|| unpacked(include_bytes!("../../data/debian-12.packages.zst"))),
        LazyLock::new(|| unpacked(include_bytes!("../../data/debian-13.packages.zst"))),
    ];
    place(release).map(|place| move || PACKAGES[place].as_str())
}

fn place(release: &str) -> Option<usize> {
    ["12", "13"].iter().position(|known| *known == release)
}

fn unpacked(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut decoder =
        ruzstd::decoding::StreamingDecoder::new(bytes).expect("the built-in data is compressed with zstd");
    decoder.read_to_string(&mut text).expect("the built-in data is whole");
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::packages;
    use crate::sim::{CatalogueHeader, RecordedPackage};

    #[test]
    fn recorded_packages_are_sorted_and_complete() {
        for release in ["12", "13"] {
            let mut lines = packages(release).unwrap()().lines();
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
                let name = &package.name;
                assert!(!package.version.is_empty() && !package.architecture.is_empty(), "{name}");
                for text in package.texts.keys() {
                    assert!(package.paths.get(text).is_some(), "{name}: {text} has a text, but is not shipped");
                }
                for text in package.configure.texts.keys() {
                    assert!(package.configure.paths.get(text).is_some(), "{name}: {text} was not changed");
                }
            }
        }
    }
}
