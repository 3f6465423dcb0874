//! What is declared piece by piece is what it would be if Nickel merged the pieces itself.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::opened::Opened;
use super::super::pieces::LEFT_APART;
use super::{Evaluation, Site, breaches, sweep, wrong};

/// The evaluation on a thread with the stack that it needs, with the pieces put together or not.
fn evaluated(text: &str, apart: bool) -> Evaluation {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(1 << 28).spawn_scoped(scope, || {
            LEFT_APART.set(apart);
            let site = Site::text(text);
            Opened::new(&site.request(), false).evaluate(&site.facts, None)
        });
        thread.unwrap().join().unwrap()
    })
}

fn compare(text: &str) -> Result<(), TestCaseError> {
    let (joined, apart) = (evaluated(text, false), evaluated(text, true));
    prop_assert_eq!(&joined.tree, &apart.tree, "{}", text);
    prop_assert_eq!(without_addresses(wrong(&joined)), without_addresses(wrong(&apart)), "{}", text);
    prop_assert_eq!(breaches(&joined), breaches(&apart), "{}", text);
    prop_assert_eq!(&joined.broken, &apart.broken);
    Ok(())
}

/// A message without the addresses by which Nickel names values in memory.
fn without_addresses(text: String) -> String {
    let mut parts = text.split("0x");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |clean, part| clean + "0x" + part.trim_start_matches(|digit: char| digit.is_ascii_hexdigit()))
}

/// Pieces of a record: paths of few names, so that they meet, and values of all sorts.
fn pieces() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["file", "link", "\"/a\"", "b", "content", "\"%{\"dyn\"}\"", "size"]);
    let path = prop::collection::vec(name, 1..5).prop_map(|names| names.join("."));
    let meta = prop::sample::select(vec![
        "",
        "",
        "",
        "",
        "",
        "",
        " | default",
        " | force",
        " | String",
        " | not_exported",
        " | optional",
        " | doc \"d\"",
        " | { content | String | optional, .. }",
    ]);
    let value = prop::sample::select(vec![
        "= 1",
        "= 1",
        "= 2",
        "= \"x\"",
        "= \"x\"",
        "= {}",
        "= { content = \"x\" }",
        "= { content = b, b = \"in\" }",
        "= { \"%{\"dyn\"}\" = 1 }",
        "= { size = 1, .. }",
        "= [1, 2]",
        "= b",
        "= file",
        "= content",
        "= outer",
        "= outer & { size = 3 }",
        "= { b = 1 } & { size | default = 2 }",
        "",
    ]);
    let piece = (path, meta, value).prop_map(|(path, meta, value)| format!("  {path}{meta} {value},\n"));
    prop::collection::vec(piece, 1..9).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: sweep(48), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_that_are_put_together_mean_what_they_meant(one in pieces(), other in pieces()) {
        compare(&format!(
            "let outer = {{ content = \"o\", b = \"p\" }} in\n{{ resources = {{\n{one}}} }} & {{\n  resources.{}}}",
            other.trim_start()
        ))?;
    }

    #[test]
    fn resources_in_pieces_mean_what_they_meant(
        sizes in prop::collection::vec((0..6usize, 0..3usize, prop::bool::ANY), 1..12),
        whole in prop::option::of(prop::sample::select(vec!["/0", "/1", "/7"])),
    ) {
        let whole = whole.map(|name| format!("  file = {{ \"{name}\" = {{ owner = \"w\" }} }},\n")).unwrap_or_default();
        let pieces = sizes.iter().map(|(name, content, deep)| match deep {
            true => format!("  file.\"/{name}\".content = \"{content}\",\n"),
            false => format!("  file.\"/{name}\" = {{ content = \"{content}\", owner = \"o\" }},\n"),
        });
        compare(&format!("{{ resources = {{\n{whole}{}}} }}", pieces.collect::<String>()))?;
    }
}

#[test]
fn a_resource_declared_in_two_pieces_clashes_with_both_lines() {
    let text = "{\n  resources.file.\"/a\" = { content = \"one\" },\n  resources.link.b.target = \"/x\",\n  resources.file.\"/a\".content = \"two\",\n}";
    insta::assert_snapshot!(Site::text(text).wrong(), @r#"
    two different values for one field
      --> site.ncl:2:37 `"one"` this value
      --> site.ncl:4:33 `"two"` conflicts with this one
        > site.ncl:4:3 `resources` when combining the definitions of this field
      note: Found while evaluating `resources.file."/a".content`
      help: give one of them a lower priority with `| default`, or a higher one with `| force`
    "#);
}

/// Many pieces are checked apart; what is wrong in one of them is found as ever.
#[test]
fn types_of_many_pieces_are_checked() {
    let pieces: String = (0..60).map(|n| format!("  resources.file.\"/{n}\".content = \"{n}\",\n")).collect();
    let with = |last: &str| Site::text(&format!("{{\n{pieces}  {last}\n}}"));
    with("resources.file.\"/60\" = ((import \"provision.ncl\") |> (fun _p => { content = \"x\" })),").tree();
    let wrong = with("resources.file.a.size = (1 + \"b\" : Number),").wrong();
    assert!(wrong.contains("Number"), "{wrong}");
    let wrong = with("resources.file.a.content = nowhere,").wrong();
    assert!(wrong.contains("nowhere"), "{wrong}");
    let wrong = with("resources.file.a.content = facts.n,").wrong();
    assert!(wrong.contains("unbound identifier `facts`") && wrong.contains("p.facts"), "{wrong}");
    let wrong = with("resources.file.a = import \"gone.ncl\",").wrong();
    assert!(wrong.contains("cannot import `gone.ncl`"), "{wrong}");
}

/// Merging them one by one takes a hundred times as long.
#[test]
fn many_pieces_take_time_in_proportion_to_their_number() {
    let declare = |count: usize, before: &str| {
        let pieces = (0..count).map(|n| format!("  {before}\"/{n}\" = {{ content = \"{n}\", owner = \"o\" }},\n"));
        pieces.collect::<String>()
    };
    let mut times: BTreeMap<&str, std::time::Duration> = BTreeMap::new();
    let in_pieces = format!("{{ resources = {{\n{}}} }}", declare(1500, "file."));
    let as_one = format!("{{ resources = {{ file = {{\n{}}} }} }}", declare(1500, ""));
    for _ in 0..3 {
        for (name, text) in [("pieces", &in_pieces), ("one", &as_one)] {
            let began = std::time::Instant::now();
            assert_eq!(Site::text(text).tree().at(["resources", "file"]).unwrap().fields().len(), 1500);
            let took = began.elapsed();
            times.entry(name).and_modify(|least| *least = took.min(*least)).or_insert(took);
        }
    }
    assert!(times["pieces"] < times["one"] * 3, "{times:?}");
}
