//! Each law can be broken: a type that breaks it on purpose is caught by it, and a good one keeps them all.
#![cfg(feature = "testing")]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use std::sync::atomic::{AtomicU32, Ordering};

use provision_core::effect::{Access, Command, Effect, FileFlags, PlatformEffect, UnitAction, WriteFile};
use provision_core::error::Result;
use provision_core::host::{Fault, Host, HostExt, HostView, HostViewExt};
use provision_core::path::{HostPath, Mode};
use provision_core::registry::Registry;
use provision_core::resource::{ApplyContext, CheckContext, Claim, PlanContext, Resource, ResourceId, Target};
use provision_core::secret::Text;
use provision_core::sim::{HostRecord, Scope, SimHost};
use provision_core::testing::{Case, Extent, Failure, Ground, Law, Laws, Part, Tried, Verdict, Verdicts, Watched};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const MOTD: &str = "/etc/motd";

fn path(path: &str) -> HostPath {
    HostPath::new(path).unwrap()
}

fn hosts() -> [(&'static str, SimHost); 3] {
    [
        ("absent", SimHost::debian(13).without(MOTD)),
        ("drifted", SimHost::debian(13).with_file(MOTD, "something that is quite old\n")),
        ("in sync", SimHost::debian(13).with_file(MOTD, "hello\n")),
    ]
}

/// What a file holds, or a digest of it where it is compared with a secret.
fn look(text: &Text, host: &dyn HostView) -> Result<Option<String>> {
    let Some(found) = host.read_text(MOTD)? else { return Ok(None) };
    Ok(Some(text.digest(found.as_bytes()).unwrap_or(found)))
}

fn want(text: &Text) -> Result<Option<String>> {
    let wanted = text.reveal()?;
    Ok(Some(text.digest(wanted.as_bytes()).unwrap_or_else(|| wanted.to_owned())))
}

fn write(text: &Text, host: &dyn Host) -> Result<()> {
    let content = text.content()?;
    let mode = Mode::new(if content.is_sensitive() { 0o600 } else { 0o644 });
    let access = Access { owner: "root".into(), group: "root".into(), mode };
    host.perform(&Effect::WriteFile(WriteFile::new(path(MOTD), content, access)))
}

/// A type that writes `/etc/motd`, but for what it does otherwise.
macro_rules! motd {
    (@for $name:ident, check $check:expr, plan $plan:expr, apply $apply:expr) => {
        impl Resource for $name {
            const TYPE: &'static str = "motd";
            type State = Option<String>;
            fn check(&self, cx: &CheckContext<'_>) -> Result<Self::State> {
                let check: fn(&Text, &dyn HostView) -> Result<Option<String>> = $check;
                check(&self.text, cx.host())
            }
            fn plan(&self, _: &PlanContext<'_>, now: &Self::State) -> Result<Self::State> {
                let plan: fn(&Text, &Option<String>) -> Result<Option<String>> = $plan;
                plan(&self.text, now)
            }
            fn apply(&self, cx: &ApplyContext<'_>, now: &Self::State, _: &Self::State) -> Result<()> {
                let apply: fn(&Text, &Option<String>, &dyn Host) -> Result<()> = $apply;
                apply(&self.text, now, cx.host())
            }
            fn secrets(&mut self) -> Vec<(&'static str, &mut Text)> {
                vec![("text", &mut self.text)]
            }
            fn hidden(&self, cx: &CheckContext<'_>, _: &Self::State) -> &'static [&'static str] {
                if cx.host().is_readable_by_all(&path(MOTD)) { &[] } else { &[""] }
            }
            fn claims(&self, _: &ResourceId) -> Vec<Claim> {
                vec![Claim::owns(Target::Path(path(MOTD)))]
            }
        }
    };
    ($name:ident { check $check:expr, plan $plan:expr, apply $apply:expr }) => {
        #[derive(Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        struct $name {
            text: Text,
        }
        motd!(@for $name, check $check, plan $plan, apply $apply);
    };
}

/// What a trial comes to.
type Tested = std::result::Result<(), Failure>;

/// A ground on which not everything is tried, as on real hosts.
struct Partly;

impl Ground for Partly {
    fn try_on(&self, like: &SimHost, trial: &mut dyn FnMut(&dyn Tried) -> Tested) -> Tested {
        let host = SimHost::debian(13);
        like.beginnings().iter().try_for_each(|beginning| beginning.bring_about(&host))?;
        trial(&Watched::new(host, Scope::comparison()))
    }

    fn try_on_empty(&self, _: &SimHost, trial: &mut dyn FnMut(&dyn HostView) -> Tested) -> Tested {
        let mut record = HostRecord { format: HostRecord::FORMAT.to_owned(), ..HostRecord::default() };
        record.os.version = "13".to_owned();
        trial(&SimHost::from_record(record)?)
    }

    fn extent(&self) -> Extent {
        let deaths = &[Fault::DiesAfter];
        Extent::Part(Part { crash_points: 1, deaths, deaths_with_packages: &[], orders: 1 })
    }
}

/// The laws that a type breaks.
fn broken<R: Resource>(make: fn(Text) -> R) -> Vec<Law> {
    let case = |(name, host)| Case::new(name, host, "greeting", make("hello\n".into()));
    let laws = Laws::new(Registry::new().with::<R>()).of(hosts().map(case));
    let verdicts = laws.try_all();
    assert_eq!(verdicts.entries().len(), Law::ALL.len(), "{verdicts}");
    let broken = verdicts.broken();
    // Where hosts are few, the first law that is broken ends the trials with a host.
    let partly = laws.try_on(&Partly);
    let of_hosts = |law: &&Law| !matches!(law, Law::ContractAndTypeAgree | Law::RoundTripAndClosed);
    assert_eq!(partly.entries().len(), Law::ALL.len() - 2, "{partly}");
    let caught = partly.broken().iter().any(|law| broken.contains(law));
    assert_eq!(caught, broken.iter().any(|law| of_hosts(&law)), "{broken:?}: {partly}");
    broken
}

#[test]
fn no_cases_are_no_success() {
    motd!(Good { check look, plan |text, _| want(text), apply |text, _, host| write(text, host) });
    assert!(!Laws::new(Registry::new().with::<Good>()).of::<Good>([]).try_all().all_kept());
    // Cases add up, and bring their type with them.
    let case = |(name, host)| Case::new(name, host, "greeting", Good { text: "hello\n".into() });
    let once = Laws::new(Registry::new()).of(hosts().map(case)).try_all();
    let twice = Laws::new(Registry::new()).of(hosts().map(case)).of(hosts().map(case)).try_all();
    let trials = |verdicts: &Verdicts| verdicts.entries().iter().map(|verdict| verdict.trials).sum::<usize>();
    assert!(trials(&once) > 0 && trials(&twice) > trials(&once));
}

#[test]
fn a_type_that_panics_breaks_a_law_and_not_the_report() {
    motd!(Hasty {
        check |text, host| look(text, host).map(|found| Some(found.unwrap())),
        plan |text, _| want(text),
        apply |text, _, host| write(text, host)
    });
    let host = SimHost::debian(13).without(MOTD);
    let gone = Case::new("gone", host, "greeting", Hasty { text: "hello\n".into() });
    let verdicts = Laws::new(Registry::new()).of([gone]).try_all();
    assert!(!verdicts.all_kept() && verdicts.to_string().contains("panic"), "{verdicts}");
}

#[test]
fn a_good_type_keeps_them_all() {
    motd!(Good { check look, plan |text, _| want(text), apply |text, _, host| write(text, host) });
    let case = |(name, host)| Case::new(name, host, "greeting", Good { text: "hello\n".into() });
    let verdicts = Laws::new(Registry::new().with::<Good>()).of(hosts().map(case)).try_all();
    verdicts.assert();
    let laws = Laws::new(Registry::new().with::<Good>());
    laws.of(hosts().map(|(name, host)| Case::new(name, host, "greeting", Good { text: "hello\n".into() })))
        .try_on(&Partly)
        .assert();
    // The contract needs Nickel.
    let tried = |verdict: &&Verdict| verdict.trials > 0 || verdict.law == Law::ContractAndTypeAgree;
    assert_eq!(verdicts.entries().iter().filter(tried).count(), Law::ALL.len(), "every law was tried: {verdicts}");
}

#[test]
fn a_type_without_cases_fails() {
    motd!(Good { check look, plan |text, _| want(text), apply |text, _, host| write(text, host) });
    let verdicts = Laws::new(Registry::new().with::<Good>()).try_all();
    assert_eq!((verdicts.untried(), verdicts.all_kept()), (&["motd"][..], false));
}

/// Law 1: two looks find two states.
#[test]
fn looking_that_does_not_repeat_is_caught() {
    static LOOKS: AtomicU32 = AtomicU32::new(0);
    motd!(Restless {
        check |text, host| look(text, host).map(|_| Some(LOOKS.fetch_add(1, Ordering::Relaxed).to_string())),
        plan |_, now| Ok(now.clone()),
        apply |text, _, host| write(text, host)
    });
    assert!(broken(|text| Restless { text }).contains(&Law::LookingNeverWrites));
}

/// Law 2: what is wanted moves on.
#[test]
fn a_plan_that_is_never_content_is_caught() {
    motd!(Greedy {
        check look,
        plan |_, now| Ok(Some(format!("{}x", now.clone().unwrap_or_default()))),
        apply |text, _, host| write(text, host)
    });
    assert!(broken(|text| Greedy { text }).contains(&Law::PlanIsIdempotent));
}

/// Law 3: what is promised is not what is done.
#[test]
fn a_promise_that_is_not_kept_is_caught() {
    motd!(Liar {
        check look,
        plan |text, _| want(text),
        apply |_, _, host| host.write_text(MOTD, "a lie\n")
    });
    assert!(broken(|text| Liar { text }).contains(&Law::ThePlanIsWhatHappens));
}

/// Law 4: there is always something to do.
/// A plan held a file that a command's output was missing from, and a type that did its work by itself did it while planning.
#[test]
fn work_that_is_not_an_effect_is_caught() {
    static OUTSIDE: AtomicU32 = AtomicU32::new(0);
    motd!(DoesItItself {
        check look,
        plan |text, _| want(text),
        apply |_, _, _| {
            OUTSIDE.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    });
    assert!(broken(|text| DoesItItself { text }).contains(&Law::ThePlanIsWhatHappens));
    assert!(OUTSIDE.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_type_that_is_never_quiet_is_caught() {
    motd!(Noisy {
        check |text, host| Ok(look(text, host)?.map(|found| format!("{found}{}", host.now().monotonic_micros))),
        plan |text, _| want(text),
        apply |text, _, host| write(text, host)
    });
    assert!(broken(|text| Noisy { text }).contains(&Law::TheSecondRunIsQuiet));
}

/// Law 5: it decides by a mark that it sets before its work is done.
#[test]
fn work_that_a_crash_loses_is_caught() {
    motd!(Forgetful {
        check |text, host| Ok(if host.read_text("/srv/done")?.is_some() { want(text)? } else { None }),
        plan |text, _| want(text),
        apply |text, _, host| {
            host.write_text("/srv/done", "")?;
            write(text, host)
        }
    });
    assert!(broken(|text| Forgetful { text }).contains(&Law::ACrashIsSurvived));
}

/// Law 6: a file is written in two halves.
#[test]
fn a_file_that_is_torn_is_caught() {
    motd!(Torn {
        check look,
        plan |text, _| want(text),
        apply |text, _, host| {
            host.write_text(MOTD, "hel")?;
            write(text, host)
        }
    });
    assert_eq!(broken(|text| Torn { text }), [Law::NoTornFiles]);
}

/// Law 7: something else is changed as well.
#[test]
fn what_is_not_claimed_and_changed_is_caught() {
    motd!(Trespasser {
        check look,
        plan |text, _| want(text),
        apply |text, _, host| {
            write(text, host)?;
            host.write_text("/etc/issue", "mine\n")
        }
    });
    assert!(broken(|text| Trespasser { text }).contains(&Law::NothingOutsideItsClaims));
}

/// Law 8: an effect that fails is passed over.
#[test]
fn a_failure_that_is_passed_over_is_caught() {
    motd!(Careless {
        check look,
        plan |text, _| want(text),
        apply |text, _, host| {
            let _ = write(text, host);
            Ok(())
        }
    });
    assert!(broken(|text| Careless { text }).contains(&Law::FailuresAreReported));
}

/// Law 9: the schema says more than the type accepts.
#[cfg(feature = "nickel")]
#[test]
fn a_contract_that_says_something_else_is_caught() {
    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct TwoTongues {
        #[schemars(with = "u32")]
        text: Text,
    }
    motd!(@for TwoTongues, check look, plan |text, _| want(text), apply |text, _, host| write(text, host));
    assert!(broken(|text| TwoTongues { text }).contains(&Law::ContractAndTypeAgree));
}

/// Law 10: attributes that do not exist are accepted, so a typo is passed over.
#[test]
fn a_type_that_accepts_anything_is_caught() {
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Open {
        text: Text,
    }
    motd!(@for Open, check look, plan |text, _| want(text), apply |text, _, host| write(text, host));
    assert!(broken(|text| Open { text }).contains(&Law::RoundTripAndClosed));
}

/// Law 10: a secret that a site may name is never asked for.
#[test]
fn a_secret_that_is_not_listed_is_caught() {
    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Forgetful {
        text: Text,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        other: Option<Text>,
    }
    motd!(@for Forgetful, check look, plan |text, _| want(text), apply |text, _, host| write(text, host));
    assert_eq!(broken(|text| Forgetful { text, other: None }), [Law::RoundTripAndClosed]);
}

/// Law 11: what is not there is taken for granted.
#[test]
fn a_panic_in_an_empty_world_is_caught() {
    motd!(Confident {
        check |text, host| {
            host.read_text("/etc/debian_version")?.expect("every host is a Debian");
            look(text, host)
        },
        plan |text, _| want(text),
        apply |text, _, host| write(text, host)
    });
    assert_eq!(broken(|text| Confident { text }), [Law::AnEmptyWorldIsSurvived]);
}

/// Law 12: the state is the secret itself.
#[test]
fn a_secret_that_is_told_is_caught() {
    motd!(Chatty {
        check |_, host| host.read_text(MOTD),
        plan |text, _| Ok(Some(text.reveal()?.to_owned())),
        apply |text, _, host| write(text, host)
    });
    assert_eq!(broken(|text| Chatty { text }), [Law::SecretsStayIn]);
}

/// Law 13: a file is parted from its other name, which no undo joins again, and nothing says so.
#[test]
fn what_cannot_be_undone_and_does_not_say_so_is_caught() {
    motd!(Parting { check look, plan |text, _| want(text), apply |text, _, host| write(text, host) });
    let host = SimHost::debian(13).with_file(MOTD, "old").with_hard_link("/etc/motd.other", MOTD);
    let case = Case::new("two names", host, "greeting", Parting { text: "hello\n".into() });
    let verdicts = Laws::new(Registry::new().with::<Parting>()).of([case]).try_all();
    assert_eq!(verdicts.broken(), [Law::UndoIsExact], "{verdicts}");
}

/// Law 13 counted them as undone.
#[test]
fn a_case_that_is_irreversible_is_not_one_that_was_undone() {
    motd!(Running {
        check look,
        plan |text, _| want(text),
        apply |text, _, host| host.run(Command::new(["true"])).and_then(|()| write(text, host))
    });
    let access = Access { owner: "root".into(), group: "root".into(), mode: Mode::new(0o644) };
    let leaves = Effect::WriteFile(WriteFile::new(path("/var/lib/mark"), "left", access));
    let host = SimHost::debian(13).without(MOTD).with_command_effects("true", vec![leaves]);
    let case = Case::new("a command", host, "greeting", Running { text: "hello\n".into() });
    let verdicts = Laws::new(Registry::new().with::<Running>()).of([case]).try_all();
    let undo = verdicts.entries().iter().find(|verdict| verdict.law == Law::UndoIsExact).unwrap();
    assert_eq!((undo.trials, undo.irreversible), (0, 1), "{verdicts}");
    assert!(verdicts.to_string().contains("undo is exact: 1 of the cases of motd are irreversible"), "{verdicts}");
}

/// Law 14: who comes last has the last word.
#[test]
fn an_order_that_matters_is_caught() {
    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct LastWord {
        text: String,
    }
    impl Resource for LastWord {
        const TYPE: &'static str = "word";
        type State = bool;
        fn check(&self, cx: &CheckContext<'_>) -> Result<bool> {
            Ok(cx.host().unit(cx.id().name())?.is_active())
        }
        fn plan(&self, _: &PlanContext<'_>, _: &bool) -> Result<bool> {
            Ok(true)
        }
        fn apply(&self, cx: &ApplyContext<'_>, _: &bool, _: &bool) -> Result<()> {
            cx.host().perform(&Effect::Platform(PlatformEffect::Unit {
                unit: cx.id().name().to_owned(),
                action: UnitAction::Start,
            }))
        }
        fn claims(&self, id: &ResourceId) -> Vec<Claim> {
            vec![Claim::owns(Target::Unit(id.name().to_owned()))]
        }
    }
    // Each of these units stops the others.
    let units = ["one.service", "two.service", "three.service"];
    let text = format!("[Unit]\nConflicts={}\n[Service]\nExecStart=/usr/bin/sleep infinity\n", units.join(" "));
    let case = |name: &str| {
        let host = SimHost::debian(13);
        let host = units.iter().fold(host, |host, unit| {
            let others = text.replace(unit, "").replace("  ", " ");
            host.with_file(&format!("/etc/systemd/system/{unit}"), &others)
        });
        Case::new(name, host, name, LastWord { text: String::new() })
    };
    let verdicts = Laws::new(Registry::new().with::<LastWord>()).of(units.map(case)).try_all();
    assert!(verdicts.broken().contains(&Law::OrderDoesNotMatter), "{verdicts}");
}

/// A case that only a simulated host can begin with is counted, and left out elsewhere.
#[test]
fn what_no_real_host_begins_with_is_left_out_there() {
    motd!(Good { check look, plan |text, _| want(text), apply |text, _, host| write(text, host) });
    let host = SimHost::debian(13).with_failing_unit("app");
    let case = Case::new("a unit that fails", host, "greeting", Good { text: "hello\n".into() });
    let verdicts = Laws::new(Registry::new().with::<Good>()).of([case]).try_on(&Partly);
    assert_eq!((verdicts.simulated_alone("motd"), verdicts.all_kept()), (1, true), "{verdicts}");
}

/// Every word with which a simulated host is made can be said to another.
#[test]
fn a_beginning_can_be_brought_about_on_another_host() {
    let flags = FileFlags::default();
    let host = SimHost::debian(13)
        .with_user("anna")
        .with_group("media")
        .with_file("/srv/a/b", "text")
        .with_access("/srv/a/b", "anna", "media", 0o640)
        .with_attributes("/srv/a/b", &[("user.note", "mine".into())], flags)
        .with_directory("/srv/empty")
        .with_link("/srv/link", "/etc")
        .with_package("hello")
        .with_held_package("hello");
    let other = SimHost::debian(13);
    host.beginnings().iter().try_for_each(|beginning| beginning.bring_about(&other)).unwrap();
    assert_eq!(other.differences(), host.differences());
    assert_eq!(host.only_simulated(), None);
}
