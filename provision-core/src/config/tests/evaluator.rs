//! A site that is prepared once gives each host what it would get alone.
#![expect(clippy::disallowed_methods, reason = "the files of a site lie where the test runs")]

use std::fs;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::Evaluator;
use super::super::opened::Opened;
use super::{Evaluation, Input, Site, SiteSource, breaches, evaluate, wrong};
use crate::facts::Facts;
use crate::registry::Registry;

/// Shared data, functions, contracts of its own and of the library, branches, and what is wrong for some hosts only.
const SITE: &str = r#"
let p = import "provision.ncl" in
let data = import "data.json" in
let role = fun name => { owner | default = data.owner, mode | p.Mode | default = "0600", content = name } in
let Small = std.contract.from_predicate (fun n => n < 3) in
let shared = { names = data.names |> std.array.map (fun name => "/" ++ name), size = p.facts.size } in
{
  resources.file = {
    "/shared" = role (std.string.join "," shared.names) & { size = shared.size },
    "/own" = role p.facts.name & { owner = p.facts.owner, mode = p.facts.mode },
    "/few".size | Small = p.facts.size,
    "/data" = data.file,
  },
} | p.Site
"#;

fn told(evaluation: &Evaluation) -> (Option<Value>, String, String, String) {
    let tree = evaluation.tree.as_ref().map(|tree| (tree.to_json(), format!("{tree:?}")));
    let (json, places) = tree.unzip();
    let rest = format!("{:?} {:?} {:?}", evaluation.broken, evaluation.files, evaluation.inputs);
    (json, places.unwrap_or_default(), wrong(evaluation) + &breaches(evaluation), rest)
}

fn host() -> impl Strategy<Value = Value> {
    let mode = prop_oneof!["0[0-7]{3}", Just("rwx".to_owned())];
    let size = prop_oneof![(0..6).prop_map(Value::from), Just(json!("many"))];
    ("[a-z]{0,3}", "[a-z]{1,3}", mode, size)
        .prop_map(|(name, owner, mode, size)| json!({ "name": name, "owner": owner, "mode": mode, "size": size }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn hosts_get_what_each_would_get_alone(hosts in prop::collection::vec(host(), 1..6), at_first in any::<bool>()) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("site.ncl"), SITE).unwrap();
        let data = r#"{ "owner": "www", "names": ["a", "b"], "file": { "content": "x", "size": 7 } }"#;
        fs::write(directory.path().join("data.json"), data).unwrap();
        let site = Site::file(&directory.path().join("site.ncl")).set("resources.file.\"/own\".content", "forced");
        let request = site.request();
        let mut opened = Opened::new(&request, false);
        if at_first {
            opened.prepare_contracts();
        }
        for facts in hosts {
            let together = opened.evaluate(&facts, None);
            let alone = evaluate(&super::Request { facts: &facts, ..site.request() });
            prop_assert_eq!(told(&together), told(&alone));
            opened.prepare_contracts();
        }
    }
}

fn evaluator(text: &str) -> Evaluator {
    let source = SiteSource::Text { name: "site.ncl".to_owned(), text: text.to_owned() };
    Evaluator::new(&Registry::new(), Input { sources: vec![source], ..Input::default() })
}

fn named(hostname: &str) -> Facts {
    Facts { hostname: hostname.to_owned(), ..Facts::default() }
}

#[test]
fn a_host_on_which_the_evaluation_never_ends_does_no_harm_to_others() {
    let site = r#"let rec grow = fun list => grow (list @ list) in
        { prune = if (import "provision.ncl").facts.hostname == "endless" then grow [1] == [] else true }"#;
    let fleet = evaluator(site);
    for _ in 0..2 {
        assert!(fleet.load(&named("a")).unwrap().policy().prune);
        let refused = fleet.load(&named("endless")).err().unwrap();
        assert!(refused.list[0].message.contains("takes more than"), "{:?}", refused.list);
    }
}

#[test]
fn what_is_wrong_is_told_to_each_host() {
    for text in ["{ resources = ", "{ prune = 3 }", "{ resources.nothing.a = {} }"] {
        let fleet = evaluator(text);
        let first = fleet.load(&named("a")).err().unwrap().list;
        assert_eq!(first, fleet.load(&named("b")).err().unwrap().list, "{text}");
        assert!(!first.is_empty());
    }
}

#[test]
fn threads_that_ask_at_once_each_get_their_own() {
    let fleet = evaluator(r#"{ prune = (import "provision.ncl").facts.hostname == "b" }"#);
    std::thread::scope(|scope| {
        for name in ["a", "b", "a", "b"] {
            let fleet = &fleet;
            scope.spawn(move || assert_eq!(fleet.load(&named(name)).unwrap().policy().prune, name == "b"));
        }
    });
}
