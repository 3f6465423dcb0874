//! All that is wrong, at once.

use insta::assert_snapshot;
use serde_json::json;

use super::{Site, sweep, wrong};

#[test]
fn every_broken_field_is_reported_and_the_others_remain() {
    let text = r#"let Port = std.contract.from_predicate (fun x => x > 0) in let facts = (import "provision.ncl").facts in
{
  resources.file."/a" = { content = "x" & "y", size = 1 / 0, owner = "kept" },
  resources.file."/b" = { content = unknown, size | Port = -1 },
  resources.file."/c" = { content, owner = {}.nope, mode = facts.nope },
  resources.file."/d" = { content = "fine", size = "a" + 1 },
  resources.file."/e" = { owner = content, content = owner },
}"#;
    let evaluation = Site::text(text).run();
    assert_snapshot!(wrong(&evaluation), @r#"
    two different values for one field
      --> site.ncl:3:37 `"x"` this value
      --> site.ncl:3:43 `"y"` conflicts with this one
        > site.ncl:3:37 `"x" & "y"` merged here
      note: Found while evaluating `resources.file."/a".content`
      help: give one of them a lower priority with `| default`, or a higher one with `| force`
    division by zero
      --> site.ncl:3:55 `1 / 0` here
      note: Found while evaluating `resources.file."/a".size`
    unbound identifier `unknown`
      --> site.ncl:4:37 `unknown` this identifier is unbound
      note: Found while evaluating `resources.file."/b".content`
    `resources.file."/b".size` breaks its contract
        > site.ncl:4:53 `Port` this contract
      --> site.ncl:4:60 `-1` this value
    missing definition for `content`
      --> site.ncl:5:27 `content` required here
        > site.ncl:5:25 `{ content, owner = {}.nope, mode = facts.nope }` in this record
      note: Found while evaluating `resources.file."/c".content`
    missing field `nope`
      --> site.ncl:5:44 `{}.nope` this requires the field `nope` to exist
        > site.ncl:5:44 `{}` this record lacks the field `nope`
      note: Found while evaluating `resources.file."/c".owner`
    missing field `nope`
      --> site.ncl:5:60 `facts.nope` this requires the field `nope` to exist
      note: Found while evaluating `resources.file."/c".mode`
    dynamic type error
      --> site.ncl:6:52 `"a"` this expression has type String, but Number was expected
      note: (+) expects its 1st argument to be a Number
      note: Found while evaluating `resources.file."/d".size`
    infinite recursion
      --> site.ncl:7:35 `content` recursive reference
      note: Found while evaluating `resources.file."/e".owner`
      help: the fields of a record see each other, so `content = content` means itself: give the outer value another name, as in `let text = … in { content = text }`
    infinite recursion
      --> site.ncl:7:54 `owner` recursive reference
      note: Found while evaluating `resources.file."/e".content`
      help: the fields of a record see each other, so `content = content` means itself: give the outer value another name, as in `let text = … in { content = text }`
    "#);
    let files = json!({ "/a": { "owner": "kept" }, "/b": {}, "/c": {}, "/d": { "content": "fine" }, "/e": {} });
    assert_eq!(evaluation.tree.unwrap().to_json()["resources"]["file"], files);
    assert!(evaluation.broken.contains(&["resources", "file", "/b", "size"].map(str::to_owned).to_vec()));
    assert!(evaluation.contract_failure.is_empty());
}

#[test]
fn syntax_errors_of_all_sources_are_reported() {
    let site = Site::text("{ a = , b = ] }").and_text("other.ncl", "{\n x = \"unterminated ");
    assert_snapshot!(site.wrong(), @r#"
    unexpected end of file
      --> other.ncl:2:20 ``
    unexpected token
      --> site.ncl:1:7 `,`
    unexpected token
      --> site.ncl:1:13 `]`
    "#);
}

#[test]
fn a_type_error_does_not_hide_what_evaluation_finds() {
    let text = "{ resources.file.a.content = (\"a\" : Number), resources.file.b.size = \"x\" + 1 }";
    assert_snapshot!(Site::text(text).wrong(), @r#"
    incompatible types
      --> site.ncl:1:31 `"a"` this expression
      note: Expected an expression of type `Number`
      note: Found an expression of type `String`
      note: These types are not compatible
    dynamic type error
      --> site.ncl:1:70 `"x"` this expression has type String, but Number was expected
      note: (+) expects its 1st argument to be a Number
      note: Found while evaluating `resources.file.b.size`
    "#);
}

#[test]
fn one_mistake_in_a_shared_value_is_reported_once() {
    let text = "let name = \"a\" ++ 1 in { resources.file = { a.content = name, b.content = name, c.owner = name } }";
    assert_snapshot!(Site::text(text).wrong(), @r#"
    dynamic type error
      --> site.ncl:1:19 `1` this expression has type Number, but String was expected
      note: string/concat expects its 2nd argument to be a String
      note: Found while evaluating `resources.file.a.content`
      note: The same goes for 2 more fields
    "#);
}

#[test]
fn a_users_own_contract_says_what_it_has_to_say() {
    let text = r#"let p = import "provision.ncl" in
let Even = std.contract.from_validator (fun n =>
  if n % 2 == 0 then 'Ok else 'Error { message = "must be even", notes = ["Halve it."] }) in
{ mode | not_exported | p.Mode = 644, resources.file.a = { size | Even = 3, mode = mode, owner | p.Mode = "9" } }"#;
    assert_snapshot!(Site::text(text).wrong(), @r#"
    `resources.file.a.size` breaks its contract: must be even
        > site.ncl:4:67 `Even` this contract
      --> site.ncl:4:74 `3` this value
      note: Halve it.
    infinite recursion
      --> site.ncl:4:84 `mode` recursive reference
      note: Found while evaluating `resources.file.a.mode`
      help: the fields of a record see each other, so `content = content` means itself: give the outer value another name, as in `let text = … in { content = text }`
    `resources.file.a.owner` breaks its contract: a mode has three or four octal digits, as "0644" has, but this is "9"
        > site.ncl:4:98 `p.Mode` this contract
      --> site.ncl:4:107 `"9"` this value
    "#);
}

#[test]
fn the_frame_of_a_site_is_checked() {
    let text =
        "{ resorces = {}, mine = 1, provision_version = 3, resources = { file = [], link.a = 3, link.b.target = 4 } }";
    let evaluation = Site::text(text).run();
    assert_snapshot!(wrong(&evaluation), @r#"
    a site has no field `resorces`
      --> site.ncl:1:3 `resorces` unknown field
      note: A site has the fields `provision_version`, `name`, `on_failure`, `prune`, `journal`, `resources`, `tests` and `test_host`
      help: did you mean `resources`?
    a site has no field `mine`
      --> site.ncl:1:18 `mine` unknown field
      note: A site has the fields `provision_version`, `name`, `on_failure`, `prune`, `journal`, `resources`, `tests` and `test_host`
      help: for a value of your own, use `let`, or mark the field `not_exported`
    `provision_version` is a string such as "^0.1", but this is a number
      --> site.ncl:1:48 `3`
    `resources.file` is a record of resources: `resources.file.<name> = { .. }`, but this is an array
      --> site.ncl:1:72 `[]`
    the resource link:a is a record of attributes, but this is a number
      --> site.ncl:1:85 `3`
    "#);
    assert_eq!(evaluation.tree.unwrap().to_json(), json!({ "resources": { "link": { "b": { "target": 4 } } } }));
    assert_snapshot!(Site::text("[1]").wrong(), @r#"
    a site is a record, but this is an array
      --> site.ncl:1:1 `[1]`
      help: write `{ resources = { .. } }`, or `{}` for a site of nothing
    "#);
}

#[test]
fn what_is_no_data_is_refused() {
    let text = "{ resources.file.a = { a = fun x => x, b = 'Tag 3, c = Number, d = 1e30 } }";
    assert_snapshot!(Site::text(text).wrong(), @r#"
    a function cannot be part of a site: apply it, or mark the field `not_exported`
      --> site.ncl:1:28 `fun x => x`
      note: This is `resources.file.a.a`
    the enum variant `'Tag` carries an argument: a site holds plain tags only
      --> site.ncl:1:44 `'Tag 3`
      note: This is `resources.file.a.b`
    a contract cannot be part of a site: mark the field `not_exported`
      --> site.ncl:1:56 `Number`
      note: This is `resources.file.a.c`
    the number 1e30 is too large: integers go from -2^63 to 2^64 - 1
      --> site.ncl:1:68 `1e30`
      note: This is `resources.file.a.d`
    "#);
}

#[test]
fn what_never_ends_is_refused() {
    let text = "let rec x = { a = x, b = x } in { resources = x }";
    let evaluation = Site::text(text).run();
    assert_snapshot!(wrong(&evaluation), @r#"
    values are nested more than 100 deep
      --> site.ncl:1:13 `{ a = x, b = x }`
      note: It begins with `resources.a.a.a.a.a`
      help: a field that contains the record it lies in never ends: name the outer value with `let`
    "#);
    assert_eq!(evaluation.tree, None);
    assert_snapshot!(Site::text("{ resources = resources }").wrong(), @r#"
    infinite recursion
      --> site.ncl:1:15 `resources` recursive reference
      note: Found while evaluating `resources`
      help: the fields of a record see each other, so `content = content` means itself: give the outer value another name, as in `let text = … in { content = text }`
    "#);
}

#[test]
fn what_calls_itself_without_an_end_is_refused() {
    let texts = [
        "let rec f = fun n => f n in { resources = f 1 }",
        "let rec f = fun n => 1 + f (n + 1) in { resources.file.\"/a\".size = f 0 }",
        "let rec f = fun xs => f (xs @ [1]) in { resources = f [] }",
        "let rec f = fun r => f { inner = r } in { resources = f {} }",
    ];
    // Each fills its memory, which takes seconds.
    for text in texts.into_iter().take(sweep(1) as usize) {
        let wrong = Site::text(text).wrong();
        assert!(wrong.starts_with("the evaluation takes more than 256 MiB of memory"), "{text}: {wrong}");
    }
}

#[test]
fn an_empty_text_is_no_site() {
    assert_snapshot!(Site::text("# nothing\n").wrong(), @r#"
    this is empty, and a site is a record
      --> site.ncl:2:1 ``
      help: write `{ resources = { .. } }`, or `{}` for a site of nothing
    "#);
}

#[test]
fn only_the_contract_speaks_where_nothing_else_is_wrong() {
    let text = r#"let p = import "provision.ncl" in {
  resources.file."/a" = { contnet = "x", mode = "99" },
  resources.file."/b" = { mode = 644, ensure = "absnt", notifies = ["x"], source = "etc", size = -1 },
  resources.link."/c" = {},
  resources.fil."/d" = {},
} | p.Site"#;
    let evaluation = Site::text(text).run();
    assert_eq!(wrong(&evaluation), "");
    assert_eq!(evaluation.tree.as_ref().unwrap().to_json()["resources"]["file"]["/a"]["contnet"], "x");
    assert_snapshot!(super::breaches(&evaluation), @r#"
    `resources` breaks its contract: extra field `fil`
      --> site.ncl:1:35 `{
      resources.file."/a" = { contnet = "x", mode = "99" },
      resources.file."/b" = { mode = 644, ensure = "absnt", notifies = ["x"], source = "etc", size = -1 },
      resources.link."/c" = {},
      resources.fil."/d" = {},
    }`
      note: Have you misspelled a field?
    "#);
    let without_type = text.replace("resources.fil.", "# ");
    assert_snapshot!(Site::text(&without_type).breaches(), @r#"
    `resources.file."/a"` breaks its contract: extra field `contnet`
      --> site.ncl:2:25 `{ contnet = "x", mode = "99" }` this value
      note: Have you misspelled a field?
    `resources.file."/b".mode` breaks its contract: a mode is a string: write it in quotes, as in "0644"
      --> site.ncl:3:34 `644` this value
    `resources.file."/b".ensure` breaks its contract: expected one of 'present, 'absent
      --> site.ncl:3:48 `"absnt"` this value
    `resources.file."/b".notifies.0` breaks its contract: a resource is named `type:name`, as in "service:nginx", but this is "x"
      --> site.ncl:3:69 `"x"` this value
    `resources.file."/b".source` breaks its contract: a path begins with `/`, but this is "etc"
      --> site.ncl:3:84 `"etc"` this value
    `resources.file."/b".size` breaks its contract: expected a number of at least 0
      --> site.ncl:3:98 `-1` this value
    missing definition for `target`
        > site.ncl:4:25 `{}` in this record
      note: Found while evaluating `resources.link."/c".target`
    "#);
}

#[test]
fn a_string_that_is_closed_in_the_wrong_order_is_a_mistake_and_no_panic() {
    let text = r#"{ resources.file."/etc/%{ = { content = m%"hello %{name}"% } }"#;
    let evaluation = Site::text(text).run();
    let [mistake] = evaluation.diagnostics.as_slice() else { panic!("{:?}", evaluation.diagnostics) };
    assert_eq!(mistake.message, "strings are closed in the wrong order in site.ncl");
    assert!(mistake.help.as_deref().is_some_and(|help| help.contains("%{")));
}
