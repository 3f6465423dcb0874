//! Fragments as a third party writes them, held to the laws; and some that break them.
#![cfg(feature = "testing")]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test may panic")]

use std::sync::atomic::{AtomicU32, Ordering};

use provision_core::error::Result;
use provision_core::fragment::{Fragment, file_in};
use provision_core::host::{HostView, HostViewExt};
use provision_core::path::HostPath;
use provision_core::prelude::{ApplyOptions, Engine, Journal, MemoryStore, Options, PlanOptions, Site};
use provision_core::registry::Registry;
use provision_core::report::Report;
use provision_core::resource::{Resource, ResourceId};
use provision_core::secret::{MemorySecrets, Text};
use provision_core::sim::SimHost;
use provision_core::testing::{Case, Law, Laws};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const NOTE: &str = "/etc/notes.d/hello.note";

/// A type whose resources are notes, but for what it does otherwise.
macro_rules! note {
    ($name:ident, $($other:tt)*) => {
        #[derive(Clone, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        struct $name {
            says: Option<Text>,
        }

        impl Fragment for $name {
            const TYPE: &'static str = "note";
            fn is_present(&self) -> bool {
                self.says.is_some()
            }
            fn place(&self, id: &ResourceId) -> Result<HostPath> {
                file_in("/etc/notes.d", &format!("{}.note", id.name()))
            }
            fn secrets(&mut self) -> Vec<(&'static str, &mut Text)> {
                self.says.iter_mut().map(|text| ("says", text)).collect()
            }
            $($other)*
        }
    };
}

note! { Note,
    fn text(&self, _: &ResourceId) -> Result<Text> {
        Ok(self.says.clone().unwrap_or_else(|| "".into()))
    }
    fn means(&self, text: &str) -> Option<Value> {
        Some(text.lines().filter(|line| !line.starts_with('#')).collect())
    }
}

fn says(text: &str) -> Option<Text> {
    Some(text.into())
}

fn hosts() -> [(&'static str, SimHost); 6] {
    let with = |text: &str| SimHost::debian(13).with_file(NOTE, text);
    [
        ("absent", SimHost::debian(13)),
        ("drifted", with("something that is quite old\n")),
        ("in sync", with("hello\n")),
        ("in other words", with("# a comment\nhello\n")),
        ("of another user", with("# a comment\nhello\n").with_access(NOTE, "games", "games", 0o600)),
        ("a link in its place", SimHost::debian(13).with_link(NOTE, "/dev/null")),
    ]
}

fn broken<R: Resource + Clone>(declared: R) -> Vec<Law> {
    let case = |(name, host)| Case::new(name, host, "hello", declared.clone());
    let verdicts = Laws::new(Registry::new().with::<R>()).of(hosts().map(case)).try_all();
    assert_eq!(verdicts.entries().len(), Law::ALL.len(), "{verdicts}");
    verdicts.broken()
}

#[test]
fn a_fragment_of_a_third_party_keeps_the_laws() {
    assert_eq!(broken(Note { says: says("hello\n") }), []);
    assert_eq!(broken(Note { says: None }), [], "absent");
}

#[test]
fn a_text_that_is_another_one_each_time_is_caught() {
    note! { Counted,
        fn text(&self, _: &ResourceId) -> Result<Text> {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            Ok(format!("{}\n", COUNT.fetch_add(1, Ordering::Relaxed)).into())
        }
    }
    assert!(!broken(Counted { says: says("hello\n") }).is_empty());
}

fn apply<R: Resource>(host: SimHost, name: &str, resource: R, secrets: MemorySecrets) -> (Report, SimHost) {
    let mut site = Site::new();
    site.declare(name, resource);
    let options = Options::new("test").with_secrets(secrets);
    let engine = Engine::open(host, Journal::new(MemoryStore::new()), options).unwrap();
    let planned = engine.plan(site, &PlanOptions::default()).unwrap();
    let report = planned.apply(&ApplyOptions::default(), &()).unwrap();
    (report, engine.host().clone())
}

#[test]
fn a_secret_in_a_fragment_is_shown_nowhere() {
    let note = Note { says: Some(Text::template("password {{password}}\n")) };
    let (report, host) = apply(SimHost::debian(13), "hello", note, MemorySecrets::new([("password", "canary")]));
    assert!(report.is_success());
    assert!(host.read_text(NOTE).unwrap().unwrap().contains("canary"));
    let mode = host.metadata(&HostPath::new(NOTE).unwrap()).unwrap().unwrap().access.mode;
    assert_eq!(mode.bits(), 0o640, "others are kept out");
    assert!(!serde_json::to_string(&report).unwrap().contains("canary"));
}

#[test]
fn a_directory_in_the_place_is_left_alone() {
    let host = SimHost::debian(13).with_file(&format!("{NOTE}/x"), "");
    let (report, host) = apply(host, "hello", Note { says: says("hello\n") }, MemorySecrets::default());
    let error = serde_json::to_string(&report).unwrap();
    assert!(!report.is_success() && error.contains("a directory is in the place of"), "{error}");
    assert!(host.metadata(&HostPath::new(&format!("{NOTE}/x")).unwrap()).unwrap().is_some());
}

#[test]
fn a_name_that_makes_no_path_is_a_mistake_of_the_site() {
    let note = Note { says: says("hello\n") };
    for name in ["a/b", "../b", "a\0b"] {
        let id = ResourceId::new("note", name);
        assert_eq!(Resource::validate(&note, &id).len(), 1, "{name:?}");
    }
}

#[test]
fn what_nothing_would_read_is_refused() {
    #[derive(Clone, Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Site {}
    impl Fragment for Site {
        const TYPE: &'static str = "nginx_site";
        const READERS: &'static [&'static str] = &["nginx"];
        fn place(&self, id: &ResourceId) -> Result<HostPath> {
            file_in("/etc/nginx/conf.d", id.name())
        }
        fn text(&self, _: &ResourceId) -> Result<Text> {
            Ok("server {}\n".into())
        }
    }
    let (report, _) = apply(SimHost::debian(13), "a", Site {}, MemorySecrets::default());
    let said = serde_json::to_string(&report).unwrap();
    assert!(!report.is_success() && said.contains("nothing reads /etc/nginx/conf.d/a"), "{said}");
    assert!(apply(SimHost::debian(13).with_package("nginx"), "a", Site {}, MemorySecrets::default()).0.is_success());
}
