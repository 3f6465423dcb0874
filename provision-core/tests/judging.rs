//! A type of a third party that judges what others are about to change; and one that judges badly.
#![cfg(feature = "testing")]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Mutex;

use provision_core::effect::{Access, AttributeChanges, Effect};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::fragment::{Fragment, file_in};
use provision_core::host::{Host, HostExt, HostView, HostViewExt};
use provision_core::path::HostPath;
use provision_core::plan::Verdict;
use provision_core::prelude::{ApplyOptions, Engine, Journal, MemoryStore, Options, PlanOptions, Site};
use provision_core::registry::{Registry, SitePolicy};
use provision_core::report::Outcome;
use provision_core::resource::{ApplyContext, CheckContext, Claim, PlanContext, Resource, ResourceId};
use provision_core::secret::Text;
use provision_core::sim::SimHost;
use provision_core::testing::{Case, Law, Laws};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const ZONES: &str = "/etc/zones.d";

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Zone {
    text: String,
}

impl Fragment for Zone {
    const TYPE: &'static str = "zone";
    fn place(&self, id: &ResourceId) -> Result<HostPath> {
        file_in(ZONES, id.name())
    }
    fn text(&self, _: &ResourceId) -> Result<Text> {
        Ok(self.text.clone().into())
    }
}

/// Every judgement is written down here, under the name of the resource.
static JUDGED: Mutex<Vec<(String, Vec<String>)>> = Mutex::new(Vec::new());

/// Wants one of the zones to begin with `root`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OneRoot {}

impl Resource for OneRoot {
    const TYPE: &'static str = "one_root";
    type State = ();

    fn claims(&self, _: &ResourceId) -> Vec<Claim> {
        vec![Claim::judges(HostPath::new(ZONES).unwrap())]
    }
    fn check(&self, _: &CheckContext<'_>) -> Result<()> {
        Ok(())
    }
    fn plan(&self, _: &PlanContext<'_>, (): &()) -> Result<()> {
        Ok(())
    }
    fn apply(&self, _: &ApplyContext<'_>, (): &(), (): &()) -> Result<()> {
        Ok(())
    }
    fn judge(&self, cx: &CheckContext<'_>) -> Result<()> {
        let zones = HostPath::new(ZONES)?;
        let mut texts = Vec::new();
        for name in cx.host().list(&zones)?.unwrap_or_default() {
            texts.extend(cx.host().read_text(zones.join(&name)?.as_str())?);
        }
        JUDGED.lock().unwrap().push((cx.id().name().to_owned(), texts.clone()));
        match texts.iter().filter(|text| text.starts_with("root")).count() {
            1 => Ok(()),
            roots => Err(Error::new(ErrorKind::Invalid, format!("there are {roots} root zones"))),
        }
    }
}

fn judgements(name: &str) -> usize {
    JUDGED.lock().unwrap().iter().filter(|(judge, _)| judge == name).count()
}

fn site(judge: &str, zones: &[(&str, &str)]) -> Site {
    let mut site = Site::new();
    site.declare(judge, OneRoot {});
    for (name, text) in zones {
        site.declare(name, Zone { text: (*text).to_owned() });
    }
    site
}

fn open(host: SimHost) -> Engine<SimHost> {
    Engine::open(host, Journal::new(MemoryStore::new()), Options::new("test")).unwrap()
}

fn zones(host: &SimHost) -> Vec<String> {
    host.list(&HostPath::new(ZONES).unwrap()).unwrap().unwrap_or_default()
}

#[test]
fn all_changes_are_judged_at_once_and_none_of_them_is_made_if_they_are_refused() {
    let engine = open(SimHost::debian(13));
    let wrong = site("two roots", &[("a", "root 1\n"), ("b", "leaf\n"), ("c", "root 2\n"), ("d", "leaf\n")]);
    let planned = engine.plan(wrong, &PlanOptions::default()).unwrap();
    let verdicts: Vec<&Verdict> = planned.plan().steps.iter().map(|step| &step.verdict).collect();
    assert!(matches!(verdicts[0], Verdict::Failed { error } if error.message() == "there are 2 root zones"));
    assert!(verdicts[1..].iter().all(|verdict| matches!(verdict, Verdict::Skipped { .. })));
    let report = planned.apply(&ApplyOptions::default(), &()).unwrap();
    assert!(!report.is_success());
    assert_eq!(zones(engine.host()), Vec::<String>::new());
    let right = site("one root", &[("a", "root 1\n"), ("b", "leaf\n")]);
    assert!(
        engine.plan(right, &PlanOptions::default()).unwrap().apply(&ApplyOptions::default(), &()).unwrap().is_success()
    );
    assert_eq!(zones(engine.host()), ["a", "b"]);
    assert_eq!(judgements("one root"), 2, "for the plan, and again before it is done");
}

#[test]
fn what_is_not_about_to_change_is_not_judged() {
    let there = SimHost::debian(13).with_file("/etc/zones.d/a", "leaf\n");
    let engine = open(there);
    let report = engine.plan(site("quiet", &[("a", "leaf\n")]), &PlanOptions::default()).unwrap();
    assert!(report.apply(&ApplyOptions::default(), &()).unwrap().is_success());
    assert_eq!(judgements("quiet"), 0);
}

/// Between the plan and its turn something else has spoilt the set.
#[test]
fn what_the_plan_found_good_is_judged_again_before_it_is_done() {
    let engine = open(SimHost::debian(13));
    let planned = engine.plan(site("later", &[("a", "root 1\n")]), &PlanOptions::default()).unwrap();
    assert!(planned.plan().is_feasible());
    let directory = Effect::CreateDirectory {
        path: HostPath::new(ZONES).unwrap(),
        access: Access::root(0o755),
        attributes: AttributeChanges::default(),
    };
    engine.host().perform(&directory).unwrap();
    engine.host().write_text("/etc/zones.d/z", "root 2\n").unwrap();
    let report = planned.apply(&ApplyOptions::default(), &()).unwrap();
    assert!(
        matches!(&report.steps[0].outcome, Outcome::Failed { error } if error.message() == "there are 2 root zones")
    );
    assert_eq!(zones(engine.host()), ["z"]);
}

/// A removal is judged as well: what is left has to be good.
#[test]
fn what_pruning_would_leave_is_judged() {
    let pruning = |judge: &str, zones: &[(&str, &str)]| {
        site(judge, zones).with_policy(SitePolicy { prune: true, ..SitePolicy::default() })
    };
    let engine = open(SimHost::debian(13));
    let run = |site| engine.plan(site, &PlanOptions::default()).unwrap().apply(&ApplyOptions::default(), &()).unwrap();
    assert!(run(pruning("whole", &[("a", "root 1\n"), ("b", "leaf\n")])).is_success());
    assert!(!run(pruning("whole", &[("b", "leaf\n")])).is_success());
    assert_eq!(zones(engine.host()), ["a", "b"], "without a there is no root");
    assert!(run(pruning("whole", &[("a", "root 1\n")])).is_success());
    assert_eq!(zones(engine.host()), ["a"]);
}

/// `/` had never been a directory above anything.
#[test]
fn a_judge_of_everything_judges() {
    #[derive(Clone, Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        paths: Vec<HostPath>,
    }
    impl Resource for Strict {
        const TYPE: &'static str = "strict";
        type State = ();
        fn claims(&self, _: &ResourceId) -> Vec<Claim> {
            self.paths.iter().cloned().map(Claim::judges).collect()
        }
        fn check(&self, _: &CheckContext<'_>) -> Result<()> {
            Ok(())
        }
        fn plan(&self, _: &PlanContext<'_>, (): &()) -> Result<()> {
            Ok(())
        }
        fn apply(&self, _: &ApplyContext<'_>, (): &(), (): &()) -> Result<()> {
            Ok(())
        }
        fn judge(&self, _: &CheckContext<'_>) -> Result<()> {
            Err(Error::new(ErrorKind::Invalid, "no"))
        }
    }
    let path = |text: &str| HostPath::new(text).unwrap();
    let is_refused = |paths: &[&str], zone: Zone| {
        let mut site = Site::new();
        site.declare("all", Strict { paths: paths.iter().map(|text| path(text)).collect() });
        site.declare("a", zone);
        let engine = open(SimHost::debian(13));
        let planned = engine.plan(site, &PlanOptions::default()).unwrap();
        planned.plan().steps.iter().any(|step| matches!(step.verdict, Verdict::Failed { .. }))
    };
    let zone = || Zone { text: "leaf\n".into() };
    for paths in [&["/"][..], &["/etc"], &["/etc/zones.d/"], &["/etc/zones.d/a"], &["/etc/zones.d/a/beneath"]] {
        assert!(is_refused(paths, zone()), "{paths:?}: also what lies above may take it away");
    }
    assert!(!is_refused(&["/etc/zones"], zone()), "it only begins alike");
}

#[test]
fn a_judge_of_a_third_party_keeps_the_laws() {
    let case = Case::new("alone", SimHost::debian(13), "zones", OneRoot {});
    let verdicts = Laws::new(Registry::new().with::<OneRoot>()).of([case]).try_all();
    assert_eq!(verdicts.broken(), [], "{verdicts}");
}

/// A judge that finds something else each time it looks at the host.
#[test]
fn a_judge_that_changes_what_it_says_is_caught() {
    #[derive(Clone, Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Moody {}
    impl Resource for Moody {
        const TYPE: &'static str = "moody";
        type State = u32;
        fn claims(&self, _: &ResourceId) -> Vec<Claim> {
            vec![Claim::judges(HostPath::new(ZONES).unwrap())]
        }
        fn check(&self, _: &CheckContext<'_>) -> Result<u32> {
            static LOOKS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
            Ok(LOOKS.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        }
        fn plan(&self, _: &PlanContext<'_>, now: &u32) -> Result<u32> {
            Ok(*now)
        }
        fn apply(&self, _: &ApplyContext<'_>, _: &u32, _: &u32) -> Result<()> {
            Ok(())
        }
    }
    let case = Case::new("alone", SimHost::debian(13), "zones", Moody {});
    let broken: Vec<Law> = Laws::new(Registry::new().with::<Moody>()).of([case]).try_all().broken();
    assert!(!broken.is_empty());
}
