use super::*;
use crate::openpgp::tests::{EXAMPLE, EXAMPLE_FINGERPRINT, OTHER};
use crate::testing::{Site, converge, converge_in, mistakes};
use provision_core::host::HostViewExt;
use provision_core::sim::SimHost;

const PLACE: &str = "/etc/apt/keyrings/example.asc";

fn key() -> AptKey {
    AptKey::default().content(EXAMPLE)
}

#[test]
fn a_key_is_written_armoured_wherever_it_comes_from() {
    let host = SimHost::debian(13);
    converge(&host, "example", key()).unwrap();
    assert_eq!(host.read_text(PLACE).unwrap().unwrap(), EXAMPLE);
    let binary = key_block(EXAMPLE.as_bytes()).unwrap();
    let site = Site { sources: [("example.gpg", binary.into())].into(), ..Site::default() };
    let host = SimHost::debian(12);
    let from_file = AptKey::default().source("example.gpg").fingerprints(vec![EXAMPLE_FINGERPRINT.to_lowercase()]);
    converge_in(&host, "example", from_file, &site).unwrap();
    assert_eq!(host.read_text(PLACE).unwrap().unwrap(), EXAMPLE);
}

#[test]
fn the_same_key_with_other_headers_is_left() {
    let there = SimHost::debian(13).with_file(PLACE, EXAMPLE.replacen("\n\n", "\nComment: by hand\n\n", 1).as_str());
    assert!(converge(&there, "example", key()).unwrap().is_empty());
}

#[test]
fn a_key_that_is_not_the_pinned_one_is_refused() {
    let pinned = |content: &str| AptKey::default().content(content).fingerprints(vec![EXAMPLE_FINGERPRINT.into()]);
    assert_eq!(mistakes("example", &pinned(EXAMPLE)), [""; 0]);
    assert_eq!(
        mistakes("example", &pinned(OTHER)),
        ["content: it holds the key 4A9D11A4D58E96423C159B7F9958282056C99B12, which `fingerprints` does not name"]
    );
    let two = key().fingerprints(vec![EXAMPLE_FINGERPRINT.into(), "0".repeat(40)]);
    assert_eq!(mistakes("example", &two), [format!("content: it does not hold the key {}", "0".repeat(40))]);
    let short = key().fingerprints(vec!["71F73C35".into()]);
    assert!(mistakes("example", &short).contains(&"fingerprints.0: \"71F73C35\" is no whole fingerprint".to_owned()));
}

#[test]
fn a_key_that_apt_could_not_read_is_refused() {
    assert_eq!(mistakes("example", &AptKey::default()), ["source: there is no key"]);
    assert_eq!(mistakes("example", &key().source("x")), ["source: there are two keys"]);
    assert_eq!(mistakes("example", &AptKey::default().content("<html>")), ["content: it is no key of OpenPGP"]);
    let site = Site { sources: [("x", "-----BEGIN PGP PRIVATE KEY BLOCK-----".into())].into(), ..Site::default() };
    let error = converge_in(&SimHost::debian(13), "example", AptKey::default().source("x"), &site).unwrap_err();
    assert_eq!(error.message(), "it is a private key");
}
