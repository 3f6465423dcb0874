//! The file of recorded packages: those of every release as one text, the oldest first, so that what two releases share is
//! compressed once.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use provision_core::sim::CatalogueHeader;

use crate::run::must;

/// Puts the packages of a release into a file, in the place of those that it had of that release. A file whose name ends with
/// `.zst` is compressed, see zstd(1).
pub fn add(output: &Path, release: &str, text: &str) -> Result<(), String> {
    let is_compressed = output.extension().is_some_and(|extension| extension == "zst");
    let plain = if is_compressed { output.with_extension("") } else { output.to_owned() };
    let zstd = |options: &[&str], from: &Path, to: &Path| {
        let options = ["zstd", "--quiet", "--force"].iter().chain(options).map(OsStr::new);
        must(&options.chain([OsStr::new("-o"), to.as_os_str(), from.as_os_str()]).collect::<Vec<_>>()).map(drop)
    };
    if is_compressed && output.exists() {
        zstd(&["--decompress"], output, &plain)?;
    }
    let before = if plain.exists() { fs::read_to_string(&plain) } else { Ok(String::new()) };
    let before = before.map_err(|error| format!("reading {}: {error}", plain.display()))?;
    let merged = merge(&before, release, text)?;
    fs::write(&plain, merged).map_err(|error| format!("writing {}: {error}", plain.display()))?;
    if is_compressed {
        zstd(&["--ultra", "-22", "--long=27", "--rm"], &plain, output)?;
    }
    Ok(())
}

fn merge(before: &str, release: &str, text: &str) -> Result<String, String> {
    let number = |release: &str| release.parse::<u32>().map_err(|error| format!("release {release:?}: {error}"));
    let mut releases = BTreeMap::new();
    let mut rest = before;
    while let Some((first, _)) = rest.split_once('\n') {
        let header: CatalogueHeader = serde_json::from_str(first).map_err(|error| format!("{first:.80}: {error}"))?;
        let end = rest.match_indices('\n').nth(header.packages).map(|(end, _)| end + 1);
        let (catalogue, others) = rest.split_at(end.ok_or("the file of recorded packages is cut off")?);
        releases.insert(number(&header.release)?, catalogue);
        rest = others;
    }
    releases.insert(number(release)?, text);
    Ok(releases.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue(release: &str, packages: &[&str]) -> String {
        let header = CatalogueHeader {
            format: CatalogueHeader::FORMAT.into(),
            release: release.into(),
            codename: "a".into(),
            architecture: "amd64".into(),
            packages: packages.len(),
        };
        let lines: String = packages.iter().map(|name| format!("{{\"name\":\"{name}\"}}\n")).collect();
        serde_json::to_string(&header).unwrap() + "\n" + &lines
    }

    #[test]
    fn the_oldest_release_comes_first_and_one_takes_the_place_of_its_own() {
        let (old, new) = (catalogue("9", &["a"]), catalogue("12", &["b", "c"]));
        let both = merge(&merge("", "12", &new).unwrap(), "9", &old).unwrap();
        assert_eq!(both, format!("{old}{new}"));
        let again = catalogue("9", &["a", "d"]);
        assert_eq!(merge(&both, "9", &again).unwrap(), format!("{again}{new}"));
        assert!(merge(both.trim_end(), "12", &new).is_err(), "it is cut off");
    }
}
