//! The installations and packages of Debian that were recorded: kept compressed (zstd, RFC 8878) in the program, and unpacked
//! when they are first asked for.

use std::io::{BufRead, BufReader, Read};
use std::sync::LazyLock;

use ruzstd::decoding::StreamingDecoder;

use super::CatalogueHeader;

/// The releases in the order in which they are kept. Those of all releases are one text, so that what two of them share is
/// compressed once; no more of it is unpacked than has to be.
const RELEASES: [&str; 2] = ["12", "13"];

type Text = LazyLock<String>;

/// A minimal installation of a release, by its number; `None` for one that was not recorded.
pub(super) fn host(release: &str) -> Option<&'static str> {
    static HOSTS: [Text; 2] = [LazyLock::new(|| unpacked_host(0)), LazyLock::new(|| unpacked_host(1))];
    place(release).map(|place| HOSTS[place].as_str())
}

/// The packages of a release, by its number; `None` for one that was not recorded.
pub(super) fn packages(release: &str) -> Option<impl FnOnce() -> &'static str + Send + Sync + 'static> {
    static PACKAGES: [Text; 2] = [LazyLock::new(|| unpacked_packages(0)), LazyLock::new(|| unpacked_packages(1))];
    place(release).map(|place| move || PACKAGES[place].as_str())
}

fn place(release: &str) -> Option<usize> {
    RELEASES.iter().position(|known| *known == release)
}

/// Each has its length in bytes before it, in a line of its own.
fn unpacked_host(place: usize) -> String {
    let mut text = unpacked(include_bytes!("../../data/debian.hosts.zst"));
    let mut host = String::new();
    for _ in 0..=place {
        host.clear();
        read_line(&mut text, &mut host);
        let length = host.trim_end().parse().expect("a host has its length before it");
        host = String::with_capacity(length);
        text.by_ref().take(length as u64).read_to_string(&mut host).expect("the built-in data is whole");
    }
    host
}

/// Each is a header, which tells how many lines follow it.
fn unpacked_packages(place: usize) -> String {
    let mut text = unpacked(include_bytes!("../../data/debian.packages.zst"));
    let mut packages = String::new();
    for at in 0..=place {
        packages.clear();
        read_line(&mut text, &mut packages);
        let header: CatalogueHeader = serde_json::from_str(&packages).expect("the packages of a release have a header");
        for _ in 0..header.packages {
            if at < place {
                packages.clear();
            }
            read_line(&mut text, &mut packages);
        }
    }
    packages
}

fn unpacked(bytes: &'static [u8]) -> impl BufRead {
    BufReader::new(StreamingDecoder::new(bytes).expect("the built-in data is compressed with zstd"))
}

fn read_line(text: &mut impl BufRead, line: &mut String) {
    text.read_line(line).expect("the built-in data is whole");
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
