//! Which branches there are, which were taken, and that to notice them changes nothing.

use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::json;

use super::super::evaluate::evaluate_apart;
use super::imports::{directory, without};
use super::{Branches, Site, evaluate_noting, sweep, wrong};

/// All branches, one a line: `+` if it was taken.
fn branches(site: &Site) -> String {
    let branches = Branches::new();
    let evaluation = evaluate_noting(&site.request(), &branches);
    assert_eq!(wrong(&evaluation), "");
    listed(&branches)
}

fn listed(branches: &Branches) -> String {
    let untaken = branches.untaken();
    let line = |branch| {
        let sign = if untaken.contains(&branch) { '-' } else { '+' };
        format!("{sign} {} {branch}\n", branch.at)
    };
    branches.all().into_iter().map(line).chain(branches.unwatched()).collect()
}

/// A site with one file that holds this.
fn content(expression: &str) -> Site {
    Site::text(&format!(
        "let facts = (import \"provision.ncl\").facts in {{ resources.file.\"/a\".content =\n{expression}\n}}"
    ))
}

#[test]
fn the_arms_of_an_if() {
    assert_snapshot!(branches(&content("if 1 < 2 then \"a\" else \"b\"")), @"
    + site.ncl:2:15 if 1 < 2 then …
    - site.ncl:2:24 if 1 < 2 … else …
    ");
}

#[test]
fn an_else_if_is_one_decision() {
    assert_snapshot!(branches(&content("if 2 < 1 then \"a\"\nelse if 3\n  < 4 then \"b\"\nelse \"c\"")), @"
    - site.ncl:2:15 if 2 < 1 then …
    + site.ncl:4:12 if 3 < 4 then …
    - site.ncl:5:6 if 3 < 4 … else …
    ");
}

#[test]
fn a_long_condition_is_cut_short_where_it_is_shown() {
    let shown = branches(&content(&format!("if \"{}\" == \"\" then \"a\" else \"b\"", "ä".repeat(99))));
    assert!(shown.lines().all(|line| line.chars().count() < 100) && shown.contains("ä … then …"), "{shown}");
}

#[test]
fn the_arms_of_a_match() {
    let arms = "'Web => \"web\",\n  { port, .. } if port > 80 => \"high\",\n  'Db => \"db\",\n  _ => \"other\",";
    assert_snapshot!(branches(&content(&format!("{{ port = 8080 }} |> match {{\n  {arms}\n}}"))), @"
    - site.ncl:3:3 'Web => …
    + site.ncl:4:3 { port, .. } if port > 80 => …
    - site.ncl:5:3 'Db => …
    - site.ncl:6:3 _ => …
    ");
}

#[test]
fn branches_are_found_wherever_an_expression_can_stand() {
    let site = Site::text(
        r#"let Short = std.contract.from_validator (fun text => if std.string.length text < 9 then 'Ok
  else 'Error { message = if text == "" then "empty" else "long" }) in
let f : forall a. Bool -> a -> a -> a = fun b x y => if b then x else y in
let { name ? (if true then "n" else "m") } = {} in let facts = (import "provision.ncl").facts in
{
  resources.file."/%{if facts.n == 1 then "one" else "two"}" = {
    content | Short | default = "%{f true "x" "y"}%{name}",
    notifies = std.array.map (match { 1 => "file:/a", _ => "file:/b" }) [1, 2],
  },
}"#,
    );
    assert_snapshot!(branches(&site.facts(json!({ "n": 1 }))), @r#"
    + site.ncl:1:89 if std.string.length text < 9 then …
    - site.ncl:2:8 if std.string.length text < 9 … else …
    - site.ncl:2:46 if text == "" then …
    - site.ncl:2:59 if text == "" … else …
    + site.ncl:3:64 if b then …
    - site.ncl:3:71 if b … else …
    + site.ncl:4:28 if true then …
    - site.ncl:4:37 if true … else …
    + site.ncl:6:43 if facts.n == 1 then …
    - site.ncl:6:54 if facts.n == 1 … else …
    + site.ncl:8:39 1 => …
    + site.ncl:8:55 _ => …
    "#);
}

#[test]
fn files_that_are_imported_have_branches_and_data_and_overrides_have_none() {
    let files = [
        ("site.ncl", "(import \"role.ncl\") false & (import \"data.json\")"),
        (
            "role.ncl",
            "let p = import \"provision.ncl\" in\nfun big => { resources.file.\"/b\".size = if big then 2 else 1 }",
        ),
        ("data.json", "{ \"resources\": {} }"),
    ];
    let directory = directory(&files);
    let site = Site::file(&directory.path().join("site.ncl")).set("resources.file.\"/b\".owner", "\"if\"");
    assert_snapshot!(without(&directory, &branches(&site)), @"
    - DIR/role.ncl:2:53 if big then …
    + DIR/role.ncl:2:60 if big … else …
    ");
}

#[test]
fn a_site_that_is_refused_takes_branches_too() {
    let noted = Branches::new();
    let site = content("if facts.n > 1 then \"a\" else std.fail_with \"too small\"").facts(json!({ "n": 1 }));
    let evaluation = evaluate_noting(&site.request(), &noted);
    assert_eq!(wrong(&evaluation), site.wrong());
    assert!(!wrong(&evaluation).is_empty());
    evaluate_noting(&site.facts(json!({ "n": 2 })).request(), &noted);
    assert_snapshot!(listed(&noted), @"
    + site.ncl:2:21 if facts.n > 1 then …
    + site.ncl:2:30 if facts.n > 1 … else …
    ");
}

#[test]
fn what_a_site_traces_itself_is_no_branch() {
    let site = content("std.trace \"branch 1\" (if true then \"a\" else \"b\")");
    assert!(branches(&site).ends_with("- site.ncl:2:45 if true … else …\n"), "{}", branches(&site));
}

/// What holds for any text: watched or not, an evaluation gives the same values at the same places.
fn assert_same(site: &Site) -> Result<(), TestCaseError> {
    let plain = site.run();
    let noted = Branches::new();
    let watched = evaluate_apart(&site.request(), Some(&noted));
    prop_assert_eq!(&plain.tree, &watched.tree);
    prop_assert_eq!(&plain.broken, &watched.broken);
    prop_assert_eq!(said_of(&plain), said_of(&watched));
    prop_assert_eq!(noted.unwatched(), Vec::<String>::new());
    Ok(())
}

/// What is wrong, without what may differ. Nickel numbers the variables that it makes up, in messages as well: `%91684`.
/// Where it was called from it tells as far as it remembers, and a mark helps its memory.
fn said_of(evaluation: &crate::config::Evaluation) -> String {
    let text = wrong(evaluation);
    let text: String = text.split_inclusive('\n').filter(|line| !line.contains(" While calling to ")).collect();
    let parts = text.split('%').enumerate();
    parts
        .map(|(index, part)| if index == 0 { part } else { part.trim_start_matches(|c: char| c.is_ascii_digit()) })
        .collect()
}

/// Expressions of strings in which decisions are nested in what else the language has.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("\"leaf\"".to_owned()),
        Just("facts.text".to_owned()),
        Just("(std.to_string facts.n)".to_owned()),
        Just("(std.fail_with \"no\")".to_owned()),
    ];
    leaf.prop_recursive(5, 48, 3, |inner| {
        let inner = || inner.clone();
        prop_oneof![
            (inner(), inner()).prop_map(|(a, b)| format!("(if facts.n > 1 then {a} else {b})")),
            (inner(), inner(), inner())
                .prop_map(|(a, b, c)| format!("(if {a} == \"leaf\" then {b} else if facts.n < 9 then {c} else {a})")),
            (inner(), inner(), inner())
                .prop_map(|(a, b, c)| format!("({a} |> match {{ \"leaf\" => {b}, x if x == {c} => x, _ => {c} }})")),
            (inner(), inner()).prop_map(|(a, b)| format!("('Some {a} |> match {{ 'None => {b}, 'Some x => x }})")),
            (inner(), inner())
                .prop_map(|(a, b)| format!("(match {{ {{ a, ..r }} => a, [x, ..] => x }}) {{ a = {a}, b = {b} }}"))
                .prop_map(|text| format!("({text})")),
            inner().prop_map(|a| format!("((if facts.n > 1 then fun x y => x else fun x y => y) {a} \"z\")")),
            (inner(), inner()).prop_map(|(a, b)| format!("(({{ a | default = {a}, c = a }} & {{ a = {b} }}).c)")),
            inner().prop_map(|a| format!("\"text %{{{a}}}\"")),
            inner().prop_map(|a| format!("m%\"\n  first\n    %{{{a}}}\n  last\n\"%")),
            inner().prop_map(|a| format!("(let rec f = fun n => if n == 0 then {a} else f (n - 1) in f 3)")),
            inner().prop_map(|a| format!("({a} | (if facts.n > 1 then String else Number))")),
            inner().prop_map(|a| format!("((let id : forall a. a -> a = fun x => if true then x else x in id) {a})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: sweep(24), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn to_watch_a_site_changes_nothing_of_it(text in expression(), n in 0..3) {
        assert_same(&content(&text).facts(json!({ "n": n, "text": "a fact" })))?;
    }

    #[test]
    fn to_watch_a_mutilated_site_changes_nothing_of_it(
        // What calls itself, and has lost the end of it, never ends.
        text in expression().prop_filter("it calls itself", |text| !text.contains("let rec")), at in any::<prop::sample::Index>(), length in 0..8usize, piece in "[(){},\"a%=&|]{0,2}",
    ) {
        let mut text = text;
        let start = at.index(text.len() + 1);
        let end = (start + length).min(text.len());
        text.replace_range(start..end, &piece);
        assert_same(&content(&text).facts(json!({ "n": 1, "text": "a fact" })))?;
    }
}
