use provision_core::host::{PackageState, PackageStatus};
use provision_core::sim::SimHost;
use serde_json::{Value, json};

use super::*;
use crate::converging::{Converged, attempt, converge, declare, mistakes};

fn host(lists_age: Option<u64>, interrupted: &[&str]) -> SimHost {
    let host = SimHost::debian(12).with_lists_age(lists_age);
    interrupted.iter().fold(host, |host, name| host.with_interrupted_package(name))
}

/// The companion of some packages.
fn companion(host: &SimHost, packages: &[(&str, Value)]) -> Converged {
    let packages = packages.iter().map(|(name, value)| ((*name).to_owned(), declare(value.clone()))).collect();
    attempt(host, &PackageManager::for_packages(packages), &ResourceId::new("package_manager", "apt")).unwrap()
}

#[test]
fn the_lists_are_fetched_if_something_is_to_be_installed() {
    let day = 86_400;
    let refresh = ["refresh the package lists"];
    for (age, lists) in [(None, "missing"), (Some(2 * day), "stale")] {
        let done = companion(&host(age, &[]), &[("nginx", json!({}))]);
        assert_eq!(done.words(), refresh);
        assert_eq!(done.now, json!({ "interrupted": [], "lists": lists }));
        assert_eq!(done.want, json!({ "interrupted": [], "lists": "usable" }));
    }
    assert_eq!(companion(&host(Some(day), &[]), &[("nginx", json!({}))]).words(), [""; 0]);
    let patient = json!({ "lists_max_age": "7d" });
    assert_eq!(companion(&host(Some(2 * day), &[]), &[("nginx", patient.clone())]).words(), [""; 0]);
    assert_eq!(
        companion(&host(Some(2 * day), &[]), &[("nginx", patient.clone()), ("git", json!({}))]).words(),
        refresh
    );
    // The impatient one is there already.
    let done = companion(&host(Some(2 * day), &[]), &[("nginx", patient), ("bash", json!({ "lists_max_age": "1s" }))]);
    assert_eq!(done.words(), [""; 0]);
}

#[test]
fn their_age_does_not_matter_if_nothing_is_to_be_installed() {
    let installed = |version: &str| PackageState {
        status: PackageStatus::Installed,
        version: Some(version.to_owned()),
        ..PackageState::default()
    };
    let host = host(None, &[]).with_package_state("hello", installed("2.9")).with_package("nginx");
    for (name, quiet) in [
        ("hello", json!({})),
        ("hello", json!({ "ensure": "absent" })),
        ("git", json!({ "ensure": "purged" })),
        ("hello", json!({ "version": ">= 2.5" })),
    ] {
        let done = companion(&host, &[(name, quiet)]);
        assert_eq!(done.now, json!({ "interrupted": [], "lists": "usable" }));
        assert_eq!(done.words(), [""; 0]);
    }
    // A virtual package is told from another one by lists of any age.
    let old = || self::host(Some(1_000_000), &[]).with_package("nginx");
    assert_eq!(companion(&old(), &[("httpd", json!({}))]).words(), [""; 0]);
    let none = self::host(None, &[]).with_package("nginx");
    assert_eq!(companion(&none, &[("httpd", json!({}))]).words(), ["refresh the package lists"]);
    for loud in [json!({ "ensure": "latest" }), json!({ "version": "2.10-3" })] {
        let done = companion(&self::host(None, &[]).with_package_state("hello", installed("2.9")), &[("hello", loud)]);
        assert_eq!(done.words(), ["refresh the package lists"]);
    }
}

#[test]
fn what_was_interrupted_is_completed_first() {
    let done = companion(&host(None, &["man-db"]), &[("nginx", json!({}))]);
    assert_eq!(done.words(), ["refresh the package lists", "complete interrupted package installations"]);
    let done = companion(&host(None, &["man-db"]), &[]);
    assert_eq!(done.words(), ["complete interrupted package installations"]);
    assert_eq!(done.now, json!({ "interrupted": ["man-db"], "lists": "usable" }));
}

#[test]
fn a_declared_one_keeps_the_lists_fresh() {
    let host = host(Some(7200), &[]);
    assert_eq!(converge::<PackageManager>(&host, "apt", json!({})).words(), [""; 0]);
    let done = converge::<PackageManager>(&host, "apt", json!({ "lists_max_age": "1h" }));
    assert_eq!(done.words(), ["refresh the package lists"]);
}

#[test]
fn there_is_only_apt() {
    assert_eq!(mistakes::<PackageManager>("apt", json!({})), []);
    assert_eq!(mistakes::<PackageManager>("yum", json!({})).len(), 1);
    assert!(serde_json::from_value::<PackageManager>(json!({ "packages": [] })).is_err());
}
