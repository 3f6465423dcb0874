//! The contracts that are made from schemas.

use insta::assert_snapshot;
use nickel_lang_core::eval::cache::CacheImpl;
use nickel_lang_core::program::ProgramBuilder;
use nickel_lang_core::typecheck::TypecheckMode;
use serde_json::{Value, json};

use super::{Site, contract_library, described, types};

#[test]
fn the_library_is_readable() {
    let library = super::contracts::library(&types(), false);
    let generated = &library[library.find("let resource_types").unwrap()..];
    assert_snapshot!(generated, @r#"
    let resource_types = {
      file
        | doc "A regular file."
        = {
          content
            | (nullable String)
            | doc "The whole content."
            | optional,
          source
            | (nullable AbsolutePath)
            | optional,
          owner
            | String
            | doc m%"
              Who owns it.

              Default: `"root"`.
              "%
            | optional,
          mode
            | Mode
            | optional,
          size
            | (nullable (integer_between (0) null))
            | optional,
          ensure
            | (one_of (match { 'present or "present" or 'absent or "absent" => true, _ => false }) "'present, 'absent")
            | optional,
          notifies
            | (Array ResourceId)
            | optional,
        },
      link
        | doc "A symbolic link."
        = {
          target
            | String
            | doc "Where it leads.",
        },
    } in
    {
      Site
        | doc "A whole site. Fields of your own belong into `let`, or are marked `not_exported`."
        = {
          provision_version
            | String
            | doc "The versions of provision that the site is written for, such as \"^0.1\"."
            | optional,
          name
            | String
            | doc "The name of the site, that of its first file without the extension if this is not said. What is made on a host is made for the site of this name, and no other site removes it."
            | optional,
          on_failure
            | (one_of (match { 'continue or "continue" or 'stop or "stop" or 'rollback or "rollback" => true, _ => false }) "'continue, 'stop, 'rollback")
            | doc "What happens when a resource fails that says nothing about it: what does not require it goes on (the default), nothing new is begun, or all that the run has done is undone."
            | optional,
          prune
            | Bool
            | doc "Whether what provision made on the host, and the site no longer declares, is removed."
            | optional,
          journal
            | { runs | integer_between 1 null | optional, bytes | integer_between 1 null | optional }
            | doc "How much of the past is kept: 100 runs in 1 GiB if this is not said. The newest run always is."
            | optional,
          resources
            | {
                file | { _ | resource_types.file } | optional,
                link | { _ | resource_types.link } | optional,
              }
            | doc "What the host should be like: `resources.<type>.<name>`."
            | optional,
          ..
        },
      types | doc "The contracts of the resource types." = resource_types,
      facts
        | {
          os | { id | String, version | String, codename | String } | doc "The operating system, from os-release(5): `debian`, `13`, `trixie`.",
          architecture | (nullable String) | doc "Debian's name of the architecture, such as `amd64`.",
          hostname | String | doc "The name of the host without a domain.",
          fqdn | String | doc "The name with its domain, where `/etc/hosts` has one; otherwise the name alone.",
          kernel | (nullable String) | doc "Release of the kernel; null in a root directory.",
          cpus | (nullable Number) | doc "Number of processors; null in a root directory.",
          memory_mib | (nullable Number) | doc "Memory in MiB; null in a root directory.",
          addresses | { ipv4 | Array String, ipv6 | Array String } | doc "Addresses of all interfaces but the loopback; none in a root directory.",
          virtualisation | (nullable String) | doc "`kvm`, `container`, … or `none`; null in a root directory.",
          init | (nullable String) | doc "The first process: `systemd`, or another name; null in a root directory.",
          is_root | (nullable Bool) | doc "Whether the program that asks runs as root; null in a root directory.",
        }
        | doc "What is known of the host; `provision facts` lists it. Give others to try a site with `--facts FILE` or `--set facts.cpus=8`."
        | optional,
      include AbsolutePath | doc "An absolute path: it begins with `/` and has no `..` in it, such as \"/etc/motd\".",
      include Mode | doc "The mode of a file: a string of three or four octal digits, such as \"0644\".",
      include ResourceId | doc "The name of a resource in full, `type:name`, such as \"service:nginx\".",
      include Text | doc "A string, or a secret in its place: `{ secret = \"name\" }` or `{ secret_template = \"… {{name}} …\" }`.",
      include Duration | doc "A span of time: a whole number and its unit (s, m, h or d), such as \"30s\" or \"5m\".",
    }
    "#);
}

#[test]
fn the_library_works_in_an_editor() {
    let library = contract_library(&types());
    let check = |site: &str| {
        let text = format!("let p = ({library}) in {site} | p.Site");
        let program = ProgramBuilder::new().add_source_string(text.as_str(), "site.ncl").build::<CacheImpl>();
        let mut program = program.unwrap();
        program.typecheck(TypecheckMode::Walk).unwrap();
        program.eval_full_for_export().is_ok()
    };
    assert!(check("{ resources.file.a = { mode = \"0644\", content = null }, mine | not_exported = 1 }"));
    assert!(!check("{ resources.file.a = { mode = 644 } }"));
    assert!(!check("{ resources.fil.a = {} }"));
    assert!(check(
        "{ tests.a = { host.files.\"/x\" = \"1\", expect = { invalid = null, plan.\"file:a\" = 'change } } }"
    ));
    assert!(!check("{ tests.a.expect.filse = {} }"));
    assert!(!check("{ test_host.files.x = \"1\" }"));
}

#[test]
fn the_order_of_types_does_not_matter() {
    let mut reversed = types();
    reversed.reverse();
    assert_eq!(contract_library(&types()), contract_library(&reversed));
}

#[test]
fn an_unknown_contract_name_falls_back_to_the_schema() {
    let schema = json!({ "properties": { "a": { "type": "integer", "x-nickel": "NoSuchThing" } } });
    assert!(contract_library(&[described("t", "", schema)]).contains("| (integer_between null null)"));
}

/// Whether the contract of an attribute with this schema accepts a value.
fn accepts(schema: &Value, value: &str) -> bool {
    let whole = json!({ "type": "object", "properties": { "a": schema }, "$defs": {
        "Tree": { "type": "object", "additionalProperties": false, "properties": {
            "name": { "type": "string" }, "children": { "type": "array", "items": { "$ref": "#/$defs/Tree" } } } },
        "Port": { "type": "integer", "minimum": 1, "maximum": 65535 },
    } });
    let site =
        Site { types: vec![described("t", "", whole)], ..Site::text(&format!("{{ resources.t.x.a = {value} }}")) };
    let evaluation = site.run();
    assert_eq!(super::wrong(&evaluation), "", "{schema} {value}");
    evaluation.is_sound()
}

#[test]
fn contracts_accept_what_the_schema_does() {
    let table = [
        (json!({ "type": "string" }), vec!["\"x\""], vec!["1", "null", "'x"]),
        (json!({ "type": ["string", "null"] }), vec!["\"x\"", "null"], vec!["1"]),
        (json!({ "type": "boolean" }), vec!["true"], vec!["\"true\""]),
        (json!({ "type": "integer", "minimum": -2, "maximum": 3 }), vec!["-2", "3"], vec!["-3", "4", "1.5", "\"1\""]),
        (json!({ "type": "number" }), vec!["1.5"], vec!["\"1\""]),
        (json!({ "type": "number", "minimum": 0.5 }), vec!["0.5"], vec!["0.4"]),
        (json!({ "type": "string", "pattern": "^a\"%\\{b$" }), vec!["\"a\\\"\\%{b\""], vec!["\"ab\"", "1"]),
        (
            json!({ "enum": ["a-b", "or", "2x", 1, null] }),
            vec!["\"a-b\"", "'a-b", "'\"or\"", "'\"2x\"", "1", "null"],
            vec!["'x", "2"],
        ),
        (json!({ "const": "only" }), vec!["'only"], vec!["'other"]),
        (json!({ "type": "array", "items": { "$ref": "#/$defs/Port" } }), vec!["[]", "[1, 65535]"], vec!["[0]", "{}"]),
        (
            json!({ "type": "object", "additionalProperties": { "$ref": "#/$defs/Port" } }),
            vec!["{}", "{ x = 1 }"],
            vec!["{ x = 0 }", "[]"],
        ),
        (
            json!({ "type": "object", "patternProperties": { "^/": { "$ref": "#/$defs/Port" } }, "additionalProperties": false }),
            vec!["{}", "{ \"/x\" = 1 }"],
            vec!["{ x = 1 }", "{ \"/x\" = 0 }", "[]"],
        ),
        (json!({ "type": "object", "additionalProperties": false }), vec!["{}"], vec!["{ x = 0 }"]),
        (json!({ "type": "object" }), vec!["{ x = 1 }"], vec!["1"]),
        (
            json!({ "$ref": "#/$defs/Tree" }),
            vec!["{ name = \"a\", children = [{ children = [] }] }"],
            vec!["{ nam = \"a\" }", "{ children = [{ name = 1 }] }"],
        ),
        (json!({ "anyOf": [{ "$ref": "#/$defs/Port" }, { "type": "null" }] }), vec!["1", "null"], vec!["0", "\"1\""]),
        (json!({ "anyOf": [{ "type": "string" }, { "$ref": "#/$defs/Port" }] }), vec!["1", "\"x\""], vec!["0", "true"]),
        (
            json!({ "oneOf": [{ "const": "all" }, { "type": "object", "required": ["only"], "additionalProperties": false,
            "properties": { "only": { "type": "string" } } }] }),
            vec!["'all", "\"all\"", "{ only = \"x\" }"],
            vec!["'none", "{ onyl = \"x\" }"],
        ),
        (json!({ "allOf": [{ "$ref": "#/$defs/Port" }], "description": "x" }), vec!["1"], vec!["0"]),
        (json!(true), vec!["1", "{ x = [] }"], vec![]),
        (json!({}), vec!["1"], vec![]),
        (json!({ "$ref": "#/nowhere" }), vec!["1"], vec![]),
        (
            json!({ "type": "string", "x-nickel": "AbsolutePath" }),
            vec!["\"/a/..b\""],
            vec!["\"a\"", "\"/a/../b\"", "\"/..\"", "1"],
        ),
        (
            json!({ "type": "string", "x-nickel": "Mode" }),
            vec!["\"0644\"", "\"755\""],
            vec!["644", "\"0944\"", "\"7\"", "\"0644\\n\""],
        ),
        (
            json!({ "type": "string", "x-nickel": "ResourceId" }),
            vec!["\"file:/a b\""],
            vec!["\"file\"", "\"file:\"", "1"],
        ),
        (
            json!({ "type": "string", "x-nickel": "Duration" }),
            vec!["\"30s\"", "\"1d\""],
            vec!["30", "\"30\"", "\"-1s\"", "\"1.5h\""],
        ),
        (json!({ "type": ["string", "null"], "x-nickel": "Mode" }), vec!["null", "\"0644\""], vec!["644"]),
        (
            json!({ "anyOf": [{ "type": "string", "x-nickel": "Mode" }, { "type": "null" }] }),
            vec!["null", "\"0644\""],
            vec!["644"],
        ),
    ];
    for (schema, good, bad) in table {
        for value in good {
            assert!(accepts(&schema, value), "{schema} refuses {value}");
        }
        for value in bad {
            assert!(!accepts(&schema, value), "{schema} accepts {value}");
        }
    }
}

#[test]
fn odd_names_and_documentation_are_quoted() {
    let schema = json!({ "properties": {
        "let": { "description": "One line with \"quotes\", %{braces} and \\." },
        "with space": { "description": "Several\n\n  lines with \"% and %{x} in them.\n" , "default": "%{y}" },
        "_x'": {},
    } });
    let types = vec![described("odd type", "Two\nlines", schema)];
    let site = Site { types, ..Site::text(r#"{ resources."odd type".a = { "let" = 1, "with space" = 2, _x' = 3 } }"#) };
    site.tree();
}

#[test]
fn the_prelude_explains_what_is_allowed() {
    let text = "let p = import \"provision.ncl\" in { resources.file = {
  a.content | p.Mode = 644, b.content | p.Mode = \"abc\", c.content | p.Mode = {}, d.content | p.AbsolutePath = \"etc\",
  e.content | p.AbsolutePath = \"/a/../b\", f.content | p.ResourceId = \"nginx\", g.content | p.Duration = 5,
  h.content | p.Duration = \"5 minutes\", i.content | p.AbsolutePath = 1, j.content | p.ResourceId = 'x, k.content | p.Duration = \"36501d\",
  l.content | p.Duration = \"876000h\", m.content | p.Duration = \"99999999999999999999999s\" } }";
    let messages: Vec<_> =
        Site::text(text).run().diagnostics.into_iter().map(|diagnostic| diagnostic.message).collect();
    assert_snapshot!(messages.join("\n"), @r#"
    `resources.file.a.content` breaks its contract: a mode is a string: write it in quotes, as in "0644"
    `resources.file.b.content` breaks its contract: a mode has three or four octal digits, as "0644" has, but this is "abc"
    `resources.file.c.content` breaks its contract: a mode is a string such as "0644", not a Record
    `resources.file.d.content` breaks its contract: a path begins with `/`, but this is "etc"
    `resources.file.e.content` breaks its contract: a path has no `..` in it, but this is "/a/../b"
    `resources.file.f.content` breaks its contract: a resource is named `type:name`, as in "service:nginx", but this is "nginx"
    `resources.file.g.content` breaks its contract: a duration is a string with its unit, as in "30s"
    `resources.file.h.content` breaks its contract: a duration is a whole number and its unit (s, m, h or d), as in "30s" or "5m", but this is "5 minutes"
    `resources.file.i.content` breaks its contract: a path is a string such as "/etc/motd", not a Number
    `resources.file.j.content` breaks its contract: a resource is named by a string such as "service:nginx", not by a Enum
    `resources.file.k.content` breaks its contract: a duration is at most 36500 days, but this is "36501d"
    `resources.file.m.content` breaks its contract: a duration is at most 36500 days, but this is "99999999999999999999999s"
    "#);
}

#[test]
fn a_list_is_no_record_in_a_test() {
    for says in ["host = [\"nginx\"]", "expect.units.nginx = [true]", "host.commands.nginx = [0]"] {
        let evaluation = Site::text(&format!("{{ tests.a = {{ {says} }} }}")).run();
        let told: Vec<&str> = evaluation.contract_failure.iter().map(|failure| failure.message.as_str()).collect();
        assert!(matches!(told[..], [one] if one.ends_with("expected a Record")), "{says}: {told:?}");
    }
}
