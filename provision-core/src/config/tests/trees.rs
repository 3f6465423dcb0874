//! A site that is right: its data, and where each value was written.

use serde_json::json;

use super::{Located, Site};

const MOTD: &str = r#"let p = import "provision.ncl" in
{
  provision_version = "^0.1",
  resources.file."/etc/motd" = {
    content = "hello\n",
    mode = "0644",
    ensure = 'present,
    notifies = ["service:a",
      "service:b"],
  },
} | p.Site
"#;

fn place(tree: &Located, path: &[&str]) -> String {
    tree.at(path.iter().copied()).unwrap().span.as_ref().unwrap().to_string()
}

#[test]
fn a_site_becomes_plain_data() {
    let expected = json!({
        "provision_version": "^0.1",
        "resources": { "file": { "/etc/motd": {
            "content": "hello\n", "mode": "0644", "ensure": "present", "notifies": ["service:a", "service:b"],
        } } },
    });
    assert_eq!(Site::text(MOTD).json(), expected);
}

#[test]
fn values_and_names_know_their_place_under_the_contract() {
    let tree = Site::text(MOTD).tree();
    let motd = ["resources", "file", "/etc/motd"];
    assert_eq!(place(&tree, &[motd[0], motd[1], motd[2], "content"]), "site.ncl:5:15");
    assert_eq!(place(&tree, &[motd[0], motd[1], motd[2], "ensure"]), "site.ncl:7:14");
    let second = tree.at(motd).unwrap().get("notifies").unwrap().at([1]).unwrap();
    assert_eq!(second.span.as_ref().unwrap().to_string(), "site.ncl:9:7");
    assert_eq!(tree.name_span_at(&motd).unwrap().to_string(), "site.ncl:4:18");
    assert_eq!(tree.name_span_at(&["resources"]).unwrap().to_string(), "site.ncl:4:3");
    let mode = tree.at(motd).unwrap().field("mode").unwrap();
    assert_eq!(mode.name_span.as_ref().unwrap().to_string(), "site.ncl:6:5");
}

#[test]
fn a_value_points_at_the_expression_that_gave_it() {
    let text = r#"let greeting = "hello" in
let role = fun user => { owner | default = user, mode | default = "0600" } in
{ resources.file."/a" = role "bob" & { content = "%{greeting} you", mode = "0644" } }
"#;
    let tree = Site::text(text).tree();
    let attributes = |name| place(&tree, &["resources", "file", "/a", name]);
    assert_eq!(attributes("owner"), "site.ncl:3:30");
    assert_eq!(attributes("content"), "site.ncl:3:50");
    assert_eq!(attributes("mode"), "site.ncl:3:76");
}

#[test]
fn facts_are_in_the_library_and_what_they_give_points_at_the_field() {
    let text = "let p = import \"provision.ncl\" in {\n  resources.file.\"/a\" = { owner = p.facts.user.name, content = \"on %{p.facts.host}\" } }";
    let site = Site::text(text).facts(json!({ "host": "web1", "user": { "name": "bob" } }));
    let tree = site.tree();
    assert_eq!(tree.to_json()["resources"]["file"]["/a"], json!({ "owner": "bob", "content": "on web1" }));
    assert_eq!(place(&tree, &["resources", "file", "/a", "owner"]), "site.ncl:2:27");
}

#[test]
fn numbers_are_exact_where_they_can_be() {
    let types = vec![super::described("n", "", json!({ "type": "object" }))];
    let text = "let p = import \"provision.ncl\" in { resources.n.a = { most = 18446744073709551615, least = -9223372036854775808,
        half = 0.5, third = 1 / 3, whole = 4 / 2, big = 9007199254740993, fact = p.facts.n } }";
    let site = Site { types, ..Site::text(text) }.facts(json!({ "n": 9007199254740993_u64 }));
    let expected = json!({ "most": u64::MAX, "least": i64::MIN, "half": 0.5, "third": 1.0 / 3.0, "whole": 2,
        "big": 9007199254740993_u64, "fact": 9007199254740993_u64 });
    assert_eq!(site.json()["resources"]["n"]["a"], expected);
}

#[test]
fn fields_of_ones_own_are_not_exported() {
    let text = "{ port | not_exported = 80, resources.file.\"/a\".content = \"%{std.to_string port}\" }";
    assert_eq!(Site::text(text).json(), json!({ "resources": { "file": { "/a": { "content": "80" } } } }));
}

#[test]
fn null_and_strings_stand_for_absence_and_tags() {
    let text = r#"{ resources.file."/a" = { content = null, size = null, ensure = "absent" } }"#;
    let file = &Site::text(text).json()["resources"]["file"]["/a"];
    assert_eq!(*file, json!({ "content": null, "size": null, "ensure": "absent" }));
}

#[test]
fn a_derived_value_follows_what_it_derives_from() {
    let text = r#"{ port | not_exported | default = 80, resources.file."/a".content = "p%{std.to_string port}" }"#;
    let site = Site::text(text).and_text("host.ncl", "{ port = 8080 }");
    assert_eq!(site.json()["resources"]["file"]["/a"]["content"], "p8080");
}

#[test]
fn no_source_is_an_empty_site() {
    assert_eq!(Site::default().json(), json!({}));
}
