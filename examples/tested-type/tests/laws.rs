//! The types of this crate keep the laws that all types keep.

use provision_core::registry::Registry;
use provision_core::sim::SimHost;
use provision_core::testing::{Case, Laws};
use provision_tested_type::{Issue, Motd};

/// As Debian installs it, nothing, something else, nothing in it, and what is wanted.
fn hosts(path: &str, text: &str) -> [(&'static str, SimHost); 5] {
    [
        ("fresh", SimHost::debian(13)),
        ("nothing there", SimHost::debian(13).without(path)),
        ("drifted", SimHost::debian(12).with_file(path, "old\n")),
        ("empty", SimHost::debian(13).with_file(path, "")),
        ("in sync", SimHost::debian(13).with_file(path, text)),
    ]
}

#[test]
fn every_type_keeps_every_law() {
    let text = "hello\n";
    let motds =
        hosts("/etc/motd", text).map(|(name, host)| Case::new(name, host, "greeting", Motd { text: text.to_owned() }));
    let issues = hosts("/etc/issue", text)
        .map(|(name, host)| Case::new(name, host, "greeting", Issue { text: text.to_owned() }));
    let registry = Registry::new().with::<Motd>().with::<Issue>();
    Laws::new(registry).of(motds).of(issues).try_all().assert();
}
