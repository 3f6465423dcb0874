//! Nothing that a user writes makes the evaluator fail.

use proptest::prelude::*;

use super::{Site, sweep};

const SEED: &str = r#"let p = import "provision.ncl" in
let role = fun user => { owner | default = user, mode | p.Mode | default = "0600" } in
{
  provision_version = "^0.1",
  helper | not_exported = 3,
  resources.file."/etc/motd" = role "bob" & { content = m%"hello %{p.facts.n}"%, ensure = 'present, size = helper * 2 },
  resources.file."/b" = { content = (match { 1 => "one", _ => "other" }) 1, notifies = ["file:/etc/motd"] },
} | p.Site
"#;

/// What replaces parts of the text: the words of the language, and what breaks it.
const PIECES: [&str; 24] = [
    "",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "\"",
    "%{",
    "m%\"",
    "\"%",
    " & ",
    " | ",
    " = ",
    ",",
    "'",
    "..",
    "fun x => ",
    "let y = ",
    " in ",
    "null",
    "\u{e9}\u{1F600}",
    "0",
    "resources",
];

fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: sweep(48), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutilated_site_is_reported_or_accepted(
        cuts in prop::collection::vec((0..SEED.len(), 0..20usize, 0..PIECES.len()), 1..6),
    ) {
        let mut text = SEED.to_owned();
        for (at, length, piece) in cuts {
            let start = boundary(&text, at);
            let end = boundary(&text, start + length).max(start);
            text.replace_range(start..end, PIECES[piece]);
        }
        let evaluation = Site::text(&text).set("resources.file.x.content", &text).run();
        prop_assert!(evaluation.tree.is_some() || !evaluation.diagnostics.is_empty());
        let failed = evaluation.diagnostics.iter().any(|diagnostic| diagnostic.message.contains("this is a bug"));
        prop_assert!(!failed, "{}", text);
        // Rendering looks up the text of every span.
        super::wrong(&evaluation);
        super::breaches(&evaluation);
    }

    #[test]
    fn any_override_is_reported_or_accepted(path in "[a-z.\"\\\\%{} #/]{0,12}", value in "\\PC{0,12}") {
        let evaluation = Site::text("{}").set(&path, &value).run();
        let failed = evaluation.diagnostics.iter().any(|diagnostic| diagnostic.message.contains("this is a bug"));
        prop_assert!(!failed);
    }
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let deep = 10_000;
    for text in [
        "[".repeat(deep),
        format!("{{ resources.a.b.c = {}{} }}", "[".repeat(deep), "]".repeat(deep)),
        format!("{{ resources.a.b.c = {}1{} }}", "{ x = ".repeat(deep), "}".repeat(deep)),
        format!("{{ resources.a.b.c = 1{} }}", " + 1".repeat(deep)),
        format!("{{ resources.{}c = 1 }}", "a.".repeat(deep)),
        "let rec f = fun n => if n == 0 then 0 else 1 + f (n - 1) in { resources.a.b.c = f 50000 }".to_owned(),
    ] {
        let evaluation = Site::text(&text).run();
        assert!(evaluation.tree.is_some() || !evaluation.diagnostics.is_empty());
    }
}

/// Its memory was asked for at once, so the program was ended.
#[test]
fn a_text_that_doubles_without_an_end_is_refused() {
    for text in [
        "let rec grow = fun n text => if n == 0 then text else grow (n - 1) (text ++ text) in { resources.file.a.content = grow 40 \"x\" }",
        "{ resources.file.a.content = std.array.fold_left (fun text _n => \"%{text}%{text}\") \"x\" (std.array.range 0 40) }",
    ] {
        let wrong = Site::text(text).wrong();
        assert!(wrong.contains("takes more than"), "{wrong}");
    }
}
