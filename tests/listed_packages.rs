//! Every package that is recorded for its own sake can be installed in the model.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests read what is in the repository")]

use std::collections::BTreeSet;
use std::path::Path;

use provision_core::sim::{Catalogue, SimHost};
use provision_core::testing::Site;
use provision_resources::registry;

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).unwrap()
}

/// The names of the recorded packages of a release.
fn recorded(release: u32) -> BTreeSet<String> {
    Catalogue::debian(&release.to_string()).unwrap().names().map(str::to_owned).collect()
}

/// Tries them all, and tells every one that fails.
fn all_can_be_installed(release: u32) {
    let (list, recorded) = (read("recorder/packages.txt"), recorded(release));
    let listed = list.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let names: Vec<&str> = listed.filter(|name| recorded.contains(*name)).collect();
    assert!(names.len() > 300, "{} listed packages are recorded", names.len());
    let bare = SimHost::debian(release);
    let failures: Vec<String> = names
        .iter()
        .filter_map(|name| {
            let site = Site::text(&registry(), &format!("{{ resources.package.{name:?} = {{}} }}"));
            let host = bare.clone();
            match site.converge(&host).and_then(|_| site.converge(&host)) {
                Ok(second) if second.is_quiet() => None,
                Ok(second) => Some(format!("{name}: the second run has something to do:\n{}", second.plan())),
                Err(failure) => Some(format!("{name}: {failure}")),
            }
        })
        .collect();
    assert!(failures.is_empty(), "{} of {} fail:\n{}", failures.len(), names.len(), failures.join("\n"));
}

#[test]
fn every_listed_package_of_debian_12_can_be_installed() {
    all_can_be_installed(12);
}

#[test]
fn every_listed_package_of_debian_13_can_be_installed() {
    all_can_be_installed(13);
}
