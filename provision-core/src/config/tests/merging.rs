//! Several sources and overrides: what wins, and what clashes.

use insta::assert_snapshot;
use serde_json::json;

use super::Site;

#[test]
fn a_plain_value_wins_over_a_default_and_a_forced_one_over_both() {
    let role = r#"{ resources.file."/a" = { content | default = "role", owner | default = "role", mode = "0600" } }"#;
    let host = r#"{ resources.file."/a" = { content = "host", mode | force = "0644" } }"#;
    let merged = Site::text(role).and_text("host.ncl", host).json();
    assert_eq!(merged["resources"]["file"]["/a"], json!({ "content": "host", "mode": "0644", "owner": "role" }));
}

#[test]
fn two_plain_values_clash_with_both_lines() {
    let site = Site::text("{ resources.file.\"/a\" = { content = \"one\", size = 1 } }")
        .and_text("host.ncl", "{\n  resources.file.\"/a\" = { content = \"two\", size = 1 } }");
    assert_snapshot!(site.wrong(), @r#"
    two different values for one field
      --> site.ncl:1:37 `"one"` this value
      --> host.ncl:2:37 `"two"` conflicts with this one
      note: Found while evaluating `resources.file."/a".content`
      help: give one of them a lower priority with `| default`, or a higher one with `| force`
    "#);
    let tree = site.run().tree.unwrap();
    assert_eq!(tree.to_json(), json!({ "resources": { "file": { "/a": { "size": 1 } } } }));
}

#[test]
fn two_arrays_clash_once_with_both_lines() {
    let text = r#"let web = { notifies = ["service:a", "service:b"] } in
{ resources.file."/a" = web & { notifies = ["service:c", "service:d"], content = "x" } }"#;
    let evaluation = Site::text(text).run();
    assert_snapshot!(super::wrong(&evaluation), @r#"
    two different values for one field
      --> site.ncl:1:24 `["service:a", "service:b"]` this value
      --> site.ncl:2:44 `["service:c", "service:d"]` conflicts with this one
      note: Arrays do not add up: only equal ones can be merged
      note: Found while evaluating `resources.file."/a".notifies`
      help: give one of them a lower priority with `| default`, or a higher one with `| force`
    "#);
    assert_eq!(evaluation.broken, [["resources", "file", "/a", "notifies"]]);
}

#[test]
fn arrays_of_different_lengths_clash_alike() {
    let text = "{ resources.file.a.notifies = [\"a:b\"],\n  resources.file.a.notifies = [\"a:b\", \"c:d\"] }";
    assert_snapshot!(Site::text(text).wrong(), @r#"
    two different values for one field
      --> site.ncl:1:31 `["a:b"]` this value
      --> site.ncl:2:31 `["a:b", "c:d"]` conflicts with this one
      note: Arrays do not add up: only equal ones can be merged
      note: Found while evaluating `resources.file.a.notifies`
      help: give one of them a lower priority with `| default`, or a higher one with `| force`
    "#);
}

#[test]
fn an_override_is_a_literal_or_a_text() {
    let site = Site::text("{ resources.file.\"/a\" = { content = \"site\", owner | default = \"o\" } }")
        .set("resources.file.\"/a\".content", "hello \"you\", %{facts} costs 3\\4\nand more")
        .set("resources.file.\"/a\".mode", "0644")
        .set("resources.file.\"/a\".size", "3")
        .set("resources.file.\"/a\".ensure", "'absent")
        .set("resources.file.\"/a\".notifies", r#"["a:b"] # a comment"#)
        .set("resources.file.\"/a\".owner", "facts.user")
        .set("resources.file.b", r#"{ content = null, owner = "x" }"#)
        .set("resources.file.c.content", "");
    let expected = json!({
        "/a": { "content": "hello \"you\", %{facts} costs 3\\4\nand more", "mode": "0644", "size": 3,
            "ensure": "absent", "notifies": ["a:b"], "owner": "facts.user" },
        "b": { "content": null, "owner": "x" },
        "c": { "content": "" },
    });
    assert_eq!(site.json()["resources"]["file"], expected);
}

#[test]
fn an_override_has_a_place() {
    let site = Site::text("{}").set("resources.file.a.content", "text").set("resources.file.a.notifies", "[\"a:b\"]");
    let tree = site.tree();
    let file = tree.at(["resources", "file", "a"]).unwrap();
    assert_eq!(file.get("content").unwrap().span.as_ref().unwrap().to_string(), "--set:1:26");
    let element = file.get("notifies").unwrap().at([0]).unwrap();
    assert_eq!(element.span.as_ref().unwrap().to_string(), "--set:2:28");
    assert_eq!(file.field("notifies").unwrap().name_span.as_ref().unwrap().to_string(), "--set:2:1");
    assert_eq!(site.run().sources.get("--set").unwrap().lines().count(), 2);
}

#[test]
fn of_two_overrides_of_a_field_the_later_counts() {
    let site = Site::text("{}").set("resources.file.a.content", "one").set("resources.file.\"a\".content", "two");
    assert_eq!(site.json()["resources"]["file"]["a"]["content"], "two");
}

#[test]
fn an_override_clashes_with_a_forced_value() {
    let site = Site::text("{ resources.file.a.content | force = \"one\" }").set("resources.file.a.content", "two");
    assert_snapshot!(site.wrong(), @r#"
    two different values for one field
      --> site.ncl:1:38 `"one"` this value
      --> --set:1:26 `two` conflicts with this one
      note: Found while evaluating `resources.file.a.content`
      help: give one of them a lower priority with `| default`, or a higher one with `| force`
    "#);
}

#[test]
fn a_malformed_path_is_an_error() {
    let site = Site::text("{}").set("resources..a", "1").set("", "2").set("a b", "3").set("x = 1, y", "4");
    assert_snapshot!(site.wrong(), @r#"
    `resources..a` is not the path of a field: unexpected token
      --> --set:1:1 `resources..a`
      help: write for example --set 'resources.file."/etc/motd".content=Hello'
    `` is not the path of a field: it is empty
      --> --set:2:1 ``
      help: write for example --set 'resources.file."/etc/motd".content=Hello'
    `a b` is not the path of a field: unexpected token
      --> --set:3:1 `a b`
      help: write for example --set 'resources.file."/etc/motd".content=Hello'
    `x = 1, y` is not the path of a field: it is more than one field
      --> --set:4:1 `x = 1, y`
      help: write for example --set 'resources.file."/etc/motd".content=Hello'
    "#);
}

#[test]
fn a_path_to_an_unknown_field_is_like_any_other() {
    let site = Site::text("{}").set("resorces.file.a.content", "x").set("resources.file.b.contnet", "x");
    assert_snapshot!(site.wrong(), @r#"
    a site has no field `resorces`
      --> --set:1:1 `resorces.file.a.content` unknown field
      note: A site has the fields `provision_version`, `name`, `on_failure`, `prune`, `journal`, `resources`, `tests` and `test_host`
      help: did you mean `resources`?
    "#);
}
