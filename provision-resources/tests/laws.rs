//! Every type of this crate keeps every law, on simulated hosts of each release.
#![cfg(feature = "testing")]
#![allow(missing_docs, reason = "a test may panic")]

use provision_resources::cases::laws;

#[test]
fn every_type_keeps_every_law_on_debian_12() {
    laws(12).try_all().assert();
}

#[test]
fn every_type_keeps_every_law_on_debian_13() {
    laws(13).try_all().assert();
}
