//! The engine as a third party sees it: two small resource types, planned and applied on simulated hosts.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Mutex;

use provision_core::apply::ApplyOptions;
use provision_core::effect::{Effect, PackageRequest, PackageTransaction, PlatformEffect, UnitAction};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{HostExt, HostViewExt, PackageStatus};
use provision_core::observe::Event;
use provision_core::path::HostPath;
use provision_core::plan::{PlanOptions, Verdict};
use provision_core::report::{Outcome, Report};
use provision_core::resource::{ApplyContext, CheckContext, Claim, PlanContext, Resource, ResourceId, Stage, Target};
use provision_core::sim::SimHost;
use provision_core::site::Site;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text file; its name is its path.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Text {
    text: String,
    lies: bool,
    breaks: bool,
    absent: bool,
}

impl Resource for Text {
    const TYPE: &'static str = "text";
    type State = Option<String>;

    fn check(&self, cx: &CheckContext<'_>) -> Result<Self::State> {
        cx.host().read_text(cx.id().name())
    }
    fn plan(&self, _: &PlanContext<'_>, _: &Self::State) -> Result<Self::State> {
        Ok((!self.absent).then(|| self.text.clone()))
    }
    fn apply(&self, cx: &ApplyContext<'_>, _: &Self::State, _: &Self::State) -> Result<()> {
        if self.breaks {
            return Err(Error::new(ErrorKind::Io, "it broke"));
        }
        cx.host().write_text(cx.id().name(), if self.lies { "a lie" } else { &self.text })
    }
    fn claims(&self, id: &ResourceId) -> Vec<Claim> {
        let path = Target::Path(HostPath::new(id.name()).unwrap());
        vec![if self.absent { Claim::removes(path) } else { Claim::owns(path) }]
    }
}

/// A unit that is restarted when something that notifies it changes.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
struct Daemon {}

impl Resource for Daemon {
    const TYPE: &'static str = "daemon";
    const STAGE: Stage = Stage::Services;
    type State = bool;

    fn check(&self, cx: &CheckContext<'_>) -> Result<bool> {
        let id = cx.id();
        let unit = cx.host().unit(id.name())?;
        match unit.exists() {
            true => Ok(unit.is_active()),
            false => Err(Error::new(ErrorKind::NotFound, format!("there is no unit {}", id.name()))),
        }
    }
    fn plan(&self, _: &PlanContext<'_>, _: &bool) -> Result<bool> {
        Ok(true)
    }
    fn apply(&self, cx: &ApplyContext<'_>, _: &bool, _: &bool) -> Result<()> {
        cx.host()
            .perform(&Effect::Platform(PlatformEffect::Unit { unit: cx.id().name().into(), action: UnitAction::Start }))
    }
    fn react(&self, cx: &ApplyContext<'_>, before: &bool) -> Result<()> {
        if *before {
            cx.host().perform(&Effect::Platform(PlatformEffect::Unit {
                unit: cx.id().name().into(),
                action: UnitAction::Restart,
            }))?;
        }
        Ok(())
    }
}

/// A package that is present.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
struct Deb {}

impl Resource for Deb {
    const TYPE: &'static str = "deb";
    const STAGE: Stage = Stage::Packages;
    type State = bool;

    fn check(&self, cx: &CheckContext<'_>) -> Result<bool> {
        Ok(cx.host().package(cx.id().name())?.status == PackageStatus::Installed)
    }
    fn plan(&self, _: &PlanContext<'_>, _: &bool) -> Result<bool> {
        Ok(true)
    }
    fn apply(&self, cx: &ApplyContext<'_>, _: &bool, _: &bool) -> Result<()> {
        let request = PackageRequest { name: cx.id().name().into(), version: None };
        let transaction = PackageTransaction { install: vec![request], ..PackageTransaction::default() };
        cx.host().perform(&Effect::Platform(PlatformEffect::Packages(transaction)))
    }
    fn claims(&self, id: &ResourceId) -> Vec<Claim> {
        vec![Claim::owns(Target::Package(id.name().into()))]
    }
}

fn id(text: &str) -> ResourceId {
    text.parse().unwrap()
}

fn text(text: &str) -> Text {
    Text { text: text.into(), ..Text::default() }
}

fn converge(site: Site, host: &SimHost, jobs: usize) -> Report {
    let graph = site.into_graph().unwrap();
    let planned = graph.plan(host, &PlanOptions::default()).unwrap();
    planned.apply(host, &ApplyOptions { jobs, ..ApplyOptions::default() }, &())
}

fn outcome<'a>(report: &'a Report, id: &str) -> &'a Outcome {
    &report.steps.iter().find(|step| step.id.to_string() == id).unwrap().outcome
}

#[test]
fn a_plan_sees_what_earlier_steps_will_have_done() {
    let mut site = Site::new();
    site.declare("nginx", Deb {});
    site.declare("/etc/nginx/conf.d/site.conf", text("listen 80;"));
    site.declare("nginx.service", Daemon {});
    let graph = site.into_graph().unwrap();
    let host = SimHost::debian(12);
    let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
    let verdicts: Vec<_> =
        planned.plan().steps.iter().map(|step| (step.id.to_string(), step.verdict.clone())).collect();
    assert_eq!(
        verdicts,
        [
            ("deb:nginx".to_owned(), Verdict::Change),
            ("text:/etc/nginx/conf.d/site.conf".to_owned(), Verdict::Change),
            // Debian starts a service when its package is installed.
            ("daemon:nginx.service".to_owned(), Verdict::InSync),
        ]
    );
    assert!(host.take_effects().is_empty(), "looking never writes");
    let preview = planned.plan().transactions[0].preview.clone().unwrap();
    assert!(preview.changes.iter().any(|change| change.name == "nginx-common"));
    let report = planned.apply(&host, &ApplyOptions::default(), &());
    assert!(report.is_success(), "{report:#?}");
}

#[test]
fn the_plan_is_what_is_done_and_the_second_run_is_quiet() {
    let site = || {
        let mut site = Site::new();
        site.declare("git", Deb {});
        site.declare("hello", Deb {});
        site.declare("/etc/a", text("a"));
        site.declare("/etc/b", text("b"));
        site
    };
    let host = SimHost::debian(12);
    let graph = site().into_graph().unwrap();
    let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
    let packages: Vec<Effect> = planned
        .plan()
        .transactions
        .iter()
        .map(|planned| Effect::Platform(PlatformEffect::Packages(planned.transaction.clone())))
        .collect();
    assert_eq!(packages.len(), 1, "all packages are one transaction");
    let rest = planned.plan().steps.iter().flat_map(|step| step.effects.iter().cloned());
    let expected: Vec<Effect> = packages
        .into_iter()
        .chain(rest.filter(|effect| !matches!(effect, Effect::Platform(PlatformEffect::Packages(_)))))
        .collect();
    planned.apply(&host, &ApplyOptions::default(), &());
    assert_eq!(host.take_effects(), expected);
    assert!(!converge(site(), &host, 4).changed_anything());
    assert!(host.take_effects().is_empty());
}

#[test]
fn a_service_restarts_once_after_all_of_its_causes() {
    let host = SimHost::debian(12).with_package("nginx");
    let mut site = Site::new();
    site.declare("nginx.service", Daemon {});
    for name in ["/etc/nginx/one.conf", "/etc/nginx/two.conf"] {
        site.declare(name, text("x")).notifies(id("daemon:nginx.service"));
    }
    let report = converge(site, &host, 2);
    let restart = Effect::Platform(PlatformEffect::Unit { unit: "nginx.service".into(), action: UnitAction::Restart });
    let effects = host.take_effects();
    assert_eq!(effects.iter().filter(|effect| **effect == restart).count(), 1);
    assert_eq!(effects.last(), Some(&restart));
    assert_eq!(report.steps.last().unwrap().reacted_to.len(), 2);
}

#[test]
fn a_failed_step_skips_only_what_requires_it() {
    let host = SimHost::debian(12);
    let mut site = Site::new();
    site.declare("/etc/broken", Text { breaks: true, ..text("x") });
    site.declare("/etc/after", text("x")).after(id("text:/etc/broken"));
    site.declare("/etc/needs", text("x")).requires(id("text:/etc/broken"));
    site.declare("/etc/needs-too", text("x")).requires(id("text:/etc/needs"));
    let report = converge(site, &host, 3);
    assert!(matches!(outcome(&report, "text:/etc/broken"), Outcome::Failed { .. }));
    assert_eq!(*outcome(&report, "text:/etc/after"), Outcome::Changed);
    assert_eq!(*outcome(&report, "text:/etc/needs"), Outcome::Skipped { because: id("text:/etc/broken") });
    assert_eq!(*outcome(&report, "text:/etc/needs-too"), Outcome::Skipped { because: id("text:/etc/needs") });
    assert!(!report.is_success());
}

#[test]
fn a_type_that_does_not_keep_its_promise_fails_and_is_named() {
    let host = SimHost::debian(12);
    let mut site = Site::new();
    site.declare("/etc/liar", Text { lies: true, ..text("the truth") });
    let report = converge(site, &host, 1);
    let Outcome::Failed { error } = outcome(&report, "text:/etc/liar") else { panic!("{report:#?}") };
    assert_eq!(error.kind(), ErrorKind::VerificationFailed);
    assert!(error.message().starts_with("text:/etc/liar did not reach its declared state: "), "{error}");
    assert!(
        error.hint().unwrap().contains("the resource type `text` has a bug"),
        "it would do the same again: {error:?}"
    );
    assert!(error.declared_at().unwrap().file.ends_with("engine.rs"));
}

#[test]
fn a_missing_package_spoils_itself_and_not_the_others() {
    let host = SimHost::debian(12);
    let mut site = Site::new();
    site.declare("gti", Deb {});
    site.declare("hello", Deb {});
    let graph = site.into_graph().unwrap();
    let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
    let Verdict::Failed { error } = &planned.plan().steps[0].verdict else { panic!() };
    assert_eq!(error.hint(), Some("did you mean git?"));
    let report = planned.apply(&host, &ApplyOptions::default(), &());
    assert_eq!(*outcome(&report, "deb:hello"), Outcome::Changed);
}

#[test]
fn a_ring_is_shown_whole() {
    let mut site = Site::new();
    site.declare("/etc/a", text("")).requires(id("text:/etc/b"));
    site.declare("/etc/b", text("")).after(id("text:/etc/c"));
    site.declare("/etc/c", text("")).subscribes(id("text:/etc/a"));
    let diagnostics = site.into_graph().err().unwrap();
    let message = &diagnostics.list[0].message;
    assert_eq!(message, "these resources wait for one another: text:/etc/a → text:/etc/b → text:/etc/c → text:/etc/a");
    assert_eq!(diagnostics.list[0].labels.len(), 3);
}

#[test]
fn a_declared_edge_wins_over_an_implied_one() {
    let mut site = Site::new();
    site.declare("/etc/dir", text(""));
    site.declare("/etc/dir/file", text("")).before(id("text:/etc/dir"));
    let graph = site.into_graph().unwrap();
    let order: Vec<_> = graph.vertices().map(|vertex| vertex.id.to_string()).collect();
    assert_eq!(order, ["text:/etc/dir/file", "text:/etc/dir"]);
    assert_eq!(graph.warnings().len(), 1);
}

#[test]
fn what_is_taken_away_goes_after_what_lies_beneath_it() {
    let mut site = Site::new();
    let gone = || Text { absent: true, ..Text::default() };
    site.declare("/srv/a", gone());
    site.declare("/srv/a/b", gone());
    let graph = site.into_graph().unwrap();
    let order: Vec<_> = graph.vertices().map(|vertex| vertex.id.to_string()).collect();
    assert_eq!(order, ["text:/srv/a/b", "text:/srv/a"]);
}

#[test]
fn two_owners_and_unknown_references_are_all_reported() {
    let mut site = Site::new();
    site.declare("/etc/motd", text(""));
    site.declare("/etc//motd", text("")).requires(id("text:/etc/mtd"));
    let diagnostics = site.into_graph().err().unwrap();
    let messages: Vec<_> = diagnostics.list.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "text:/etc//motd and text:/etc/motd both own path /etc/motd",
            "text:/etc//motd: `requires` names text:/etc/mtd, which does not exist",
        ]
    );
}

#[test]
fn a_cancelled_run_says_what_it_did_not_reach() {
    let host = SimHost::debian(12);
    let mut site = Site::new();
    for name in ["/etc/a", "/etc/b", "/etc/c"] {
        site.declare(name, text("x"));
    }
    let graph = site.into_graph().unwrap();
    let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
    let options = ApplyOptions::default();
    let cancel = options.cancel.clone();
    let seen = Mutex::new(0);
    let observer = move |event: &Event<'_>| {
        if let Event::EffectFinished { .. } = event {
            *seen.lock().unwrap() += 1;
            cancel.cancel();
        }
    };
    let report = planned.apply(&host, &options, &observer);
    assert_eq!((report.counts.changed, report.counts.not_run), (1, 2));
    assert!(report.cancelled && !report.is_success());
}

#[test]
fn any_number_of_workers_gives_the_same_host() {
    // Contents, owners, modes, and all else that can be told of a path.
    let changed = |jobs| {
        let host = SimHost::debian(12);
        let mut site = Site::new();
        for number in 0..40 {
            let declared = site.declare(&format!("/etc/file-{number:02}"), text(&number.to_string()));
            if number % 3 == 0 && number > 0 {
                declared.requires(id(&format!("text:/etc/file-{:02}", number - 1)));
            }
        }
        assert!(converge(site, &host, jobs).is_success());
        host.differences()
    };
    let alone = changed(1);
    assert!(alone.len() >= 40 && alone["path /etc/file-07"].contains("0644"), "{alone:#?}");
    assert_eq!(alone, changed(8));
}

#[test]
fn only_chooses_a_resource_and_what_it_needs() {
    let mut site = Site::new();
    site.declare("/etc/a", text("")).tag("web");
    site.declare("/etc/b", text(""));
    site.declare("/etc/c", text("")).requires(id("text:/etc/b")).tag("web");
    site.declare("/etc/d", text(""));
    let graph = site.into_graph().unwrap();
    let only = vec!["web".parse().unwrap()];
    let planned = graph.plan(&SimHost::debian(12), &PlanOptions { only, ..PlanOptions::default() }).unwrap();
    let chosen: Vec<_> = planned.plan().steps.iter().map(|step| step.id.name().to_owned()).collect();
    assert_eq!(chosen, ["/etc/a", "/etc/b", "/etc/c"]);
    let error = graph
        .plan(&SimHost::debian(12), &PlanOptions { only: vec!["wbe".parse().unwrap()], ..PlanOptions::default() })
        .err()
        .unwrap();
    assert_eq!(error.hint(), Some("did you mean web?"));
}
