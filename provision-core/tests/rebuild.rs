//! Files that a command makes, by a type that a third party wrote, held to the laws; and some that break them.
#![cfg(feature = "testing")]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use provision_core::effect::{Command, Effect, Rebuild};
use provision_core::error::Result;
use provision_core::host::{HostViewExt, digest_of_sources};
use provision_core::path::HostPath;
use provision_core::registry::Registry;
use provision_core::resource::{ApplyContext, CheckContext, Claim, PlanContext, Resource, ResourceId, Target};
use provision_core::sim::SimHost;
use provision_core::testing::{Case, Law, Laws};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const SOURCE: &str = "/etc/words";
const INDEX: &str = "/srv/words.index";
const STAMP: &str = "/srv/words.stamp";

fn path(text: &str) -> HostPath {
    HostPath::new(text).unwrap()
}

fn rebuild() -> Rebuild {
    let (sources, products) = (vec![path(SOURCE)], vec![path(INDEX)]);
    Rebuild { command: Command::new(["index-words"]), sources, products, stamp: Some(path(STAMP)) }
}

/// An index of words that is made again when the words have changed.
macro_rules! index {
    ($name:ident, claims $claims:expr, stamp $stamp:expr) => {
        #[derive(Clone, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        struct $name {}

        impl Resource for $name {
            const TYPE: &'static str = "index";
            type State = bool;
            fn check(&self, cx: &CheckContext<'_>) -> Result<bool> {
                let stamp = cx.host().read_text(STAMP)?;
                let digest = digest_of_sources(cx.host(), &rebuild())?;
                Ok(cx.host().metadata(&path(INDEX))?.is_some() && stamp.is_some_and(|stamp| stamp.trim_end() == digest))
            }
            fn plan(&self, _: &PlanContext<'_>, _: &bool) -> Result<bool> {
                Ok(true)
            }
            fn apply(&self, cx: &ApplyContext<'_>, _: &bool, _: &bool) -> Result<()> {
                cx.host().perform(&Effect::Rebuild(Rebuild { stamp: $stamp, ..rebuild() }))
            }
            fn claims(&self, _: &ResourceId) -> Vec<Claim> {
                let owned: &[&str] = &$claims;
                owned.iter().map(|owned| Claim::owns(Target::Path(path(owned)))).collect()
            }
        }
    };
}

fn broken<R: Resource + Clone>(declared: R) -> Vec<Law> {
    let words = || SimHost::debian(13).with_file(SOURCE, "one\n");
    let hosts = [
        ("absent", words()),
        ("made before", words().with_file(INDEX, "old\n")),
        ("made of others", words().with_file(INDEX, "old\n").with_file(STAMP, "0\n")),
        ("without words", SimHost::debian(13)),
    ];
    let case = |(name, host)| Case::new(name, host, "words", declared.clone());
    Laws::new(Registry::new().with::<R>()).of(hosts.map(case)).try_all().broken()
}

#[test]
fn an_index_of_a_third_party_keeps_the_laws() {
    index!(Good, claims [INDEX, STAMP], stamp Some(path(STAMP)));
    assert_eq!(broken(Good {}), []);
}

#[test]
fn a_product_that_is_not_claimed_is_caught() {
    index!(Unclaimed, claims [INDEX], stamp Some(path(STAMP)));
    assert_eq!(broken(Unclaimed {}), [Law::NothingOutsideItsClaims]);
}

#[test]
fn a_rebuild_of_which_nothing_is_kept_is_caught() {
    index!(Forgetful, claims [INDEX, STAMP], stamp None);
    assert!(broken(Forgetful {}).contains(&Law::TheSecondRunIsQuiet));
}
