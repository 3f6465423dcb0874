//! Values of the kernel, by a type that a third party wrote, held to the laws; and one that breaks them.
#![cfg(feature = "testing")]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use provision_core::effect::Effect;
use provision_core::error::{ErrorKind, Result};
use provision_core::host::{Host, HostViewExt};
use provision_core::path::HostPath;
use provision_core::prelude::{ApplyOptions, Engine, Journal, MemoryStore, Options, PlanOptions, Site};
use provision_core::registry::Registry;
use provision_core::resource::{ApplyContext, CheckContext, Claim, PlanContext, Resource, ResourceId, Target};
use provision_core::rollback::RollbackOptions;
use provision_core::sim::SimHost;
use provision_core::testing::{Case, Law, Laws};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const TRIM: &str = "/sys/block/vda/queue/nr_requests";

fn path(text: &str) -> HostPath {
    HostPath::new(text).unwrap()
}

/// How many requests wait for a disk.
macro_rules! queue {
    ($name:ident, claims $claims:expr, writes $writes:expr) => {
        #[derive(Clone, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        struct $name {
            length: u32,
        }

        impl Resource for $name {
            const TYPE: &'static str = "queue";
            type State = String;
            fn claims(&self, _: &ResourceId) -> Vec<Claim> {
                $claims
            }
            fn check(&self, cx: &CheckContext<'_>) -> Result<String> {
                Ok(cx.host().read_text(TRIM)?.unwrap_or_default().trim().to_owned())
            }
            fn plan(&self, _: &PlanContext<'_>, _: &String) -> Result<String> {
                Ok(self.length.to_string())
            }
            fn apply(&self, cx: &ApplyContext<'_>, _: &String, want: &String) -> Result<()> {
                let value: fn(&str) -> String = $writes;
                cx.host().perform(&Effect::SetKernel { path: path(TRIM), value: value(want) })
            }
        }
    };
}

queue!(Queue, claims vec![Claim::owns(Target::Path(path(TRIM)))], writes str::to_owned);

fn host() -> SimHost {
    SimHost::debian(13).with_file(TRIM, "256\n")
}

fn broken<R: Resource + Clone>(declared: R) -> Vec<Law> {
    Laws::new(Registry::new().with::<R>()).of([Case::new("a disk", host(), "vda", declared)]).try_all().broken()
}

#[test]
fn a_value_of_the_kernel_keeps_the_laws() {
    assert_eq!(broken(Queue { length: 64 }), []);
    assert_eq!(broken(Queue { length: 256 }), [], "in sync");
}

#[test]
fn a_value_that_is_not_claimed_is_caught() {
    queue!(Unclaimed, claims Vec::new(), writes str::to_owned);
    assert!(!broken(Unclaimed { length: 64 }).is_empty());
}

#[test]
fn a_value_that_the_kernel_rounds_is_told_with_both() {
    queue!(Rounded, claims vec![Claim::owns(Target::Path(path(TRIM)))], writes |want| format!("{}0", want.trim_end_matches(char::is_numeric)));
    let mut site = Site::new();
    site.declare("vda", Rounded { length: 65 });
    let engine = Engine::open(host(), Journal::new(MemoryStore::new()), Options::new("test")).unwrap();
    let report = engine.plan(site, &PlanOptions::default()).unwrap().apply(&ApplyOptions::default(), &()).unwrap();
    let said = serde_json::to_string(&report).unwrap();
    assert!(!report.is_success() && said.contains("did not reach its declared state"), "{said}");
}

#[test]
fn a_rollback_puts_the_value_back_that_was_there_before() {
    let mut site = Site::new();
    site.declare("vda", Queue { length: 64 });
    let engine = Engine::open(host(), Journal::new(MemoryStore::new()), Options::new("test")).unwrap();
    let report = engine.plan(site, &PlanOptions::default()).unwrap().apply(&ApplyOptions::default(), &()).unwrap();
    assert!(report.is_success());
    assert_eq!(engine.host().read_text(TRIM).unwrap().unwrap(), "64\n");
    let undo = engine.rollback(report.run.unwrap(), RollbackOptions::default()).unwrap();
    assert!(undo.apply(&ApplyOptions::default(), &()).unwrap().is_success());
    assert_eq!(engine.host().read_text(TRIM).unwrap().unwrap(), "256\n");
}

#[test]
fn nothing_else_is_written_as_a_value_of_the_kernel() {
    let set = |at: &str| host().perform(&Effect::SetKernel { path: path(at), value: "1".into() });
    assert_eq!(set("/etc/passwd").unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(set("/sys/block/vda/queue/nr_request").unwrap_err().kind(), ErrorKind::NotFound);
}
