//! What the module does, end to end.

use serde_json::{Value, json};

use super::*;

fn types() -> Vec<TypeDescription> {
    let schema = json!({
        "type": "object",
        "description": "A regular file.",
        "additionalProperties": false,
        "properties": {
            "content": { "type": ["string", "null"], "description": "The whole content." },
            "source": { "type": ["string", "null"], "x-nickel": "AbsolutePath" },
            "owner": { "type": "string", "default": "root", "description": "Who owns it." },
            "mode": { "$ref": "#/$defs/Mode" },
            "size": { "type": ["integer", "null"], "minimum": 0 },
            "ensure": { "$ref": "#/$defs/Ensure" },
            "notifies": { "type": "array", "items": { "type": "string", "x-nickel": "ResourceId" } },
        },
        "$defs": {
            "Mode": { "type": "string", "x-nickel": "Mode" },
            "Ensure": { "oneOf": [
                { "const": "present", "type": "string", "description": "It is there." },
                { "const": "absent", "type": "string", "description": "It is not." },
            ] },
        },
    });
    vec![TypeDescription { name: "file".into(), description: "A regular file.".into(), schema }]
}

fn evaluate_texts(texts: &[(&str, &str)], overrides: &[(&str, &str)], facts: Value) -> Evaluation {
    let sources = texts.iter().map(|(name, text)| SiteSource::Text { name: (*name).into(), text: (*text).into() });
    let types = types();
    evaluate(&Request {
        sources: sources.collect(),
        overrides: overrides.iter().map(|(path, value)| ((*path).into(), (*value).into())).collect(),
        import_paths: Vec::new(),
        facts: &facts,
        types: &types,
    })
}

fn evaluate_text(text: &str) -> Evaluation {
    evaluate_texts(&[("site.ncl", text)], &[], json!({}))
}

/// Diagnostics as text: the message, each label with what it points at, notes and help.
fn render(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&format!("{:?}: {}\n", diagnostic.severity, diagnostic.message).to_lowercase()[..0]);
        text.push_str(&format!("{}\n", diagnostic.message));
        for label in &diagnostic.labels {
            let source = sources.get(&label.span.file).map_or("?", |source| source);
            let shown = source.get(label.span.start..label.span.end).unwrap_or("?");
            let mark = if label.primary { "-->" } else { "  >" };
            text.push_str(&format!("  {mark} {} `{shown}` {}\n", label.span, label.message));
        }
        for note in &diagnostic.notes {
            text.push_str(&format!("  note: {note}\n"));
        }
        if let Some(help) = &diagnostic.help {
            text.push_str(&format!("  help: {help}\n"));
        }
    }
    text
}

fn all(evaluation: &Evaluation) -> String {
    render(&evaluation.diagnostics, &evaluation.sources)
}

fn sound(evaluation: &Evaluation) -> &Located {
    let contract = render(&evaluation.contract_failure, &evaluation.sources);
    assert!(evaluation.is_sound(), "{}\ncontract: {contract}", all(evaluation));
    evaluation.tree.as_ref().unwrap()
}

#[test]
fn a_sound_site_becomes_a_tree_with_places() {
    let evaluation = evaluate_text(
        r#"let p = import "provision.ncl" in
{
  resources.file."/etc/motd" = {
    content = "hello\n",
    mode = "0644",
    ensure = 'present,
  },
} | p.Site
"#,
    );
    let tree = sound(&evaluation);
    let motd = tree.at(["resources", "file", "/etc/motd"]).unwrap();
    assert_eq!(motd.to_json(), json!({ "content": "hello\n", "mode": "0644", "ensure": "present" }));
    let place = |name: &str| motd.get(name).unwrap().span.as_ref().unwrap().to_string();
    assert_eq!(place("content"), "site.ncl:4:15");
    assert_eq!(place("mode"), "site.ncl:5:12");
    assert_eq!(place("ensure"), "site.ncl:6:14");
    let name = motd.field("mode").unwrap().name_span.as_ref().unwrap();
    assert_eq!(name.to_string(), "site.ncl:5:5");
    let resource = tree.name_span_at(&["resources", "file", "/etc/motd"]).unwrap();
    assert_eq!(resource.to_string(), "site.ncl:3:18");
}


#[test]
fn debug_many() {
    let show = |title: &str, evaluation: Evaluation| {
        println!("== {title}");
        println!("tree {}", evaluation.tree.as_ref().map_or("none".into(), |tree| tree.to_json().to_string()));
        println!("{}", all(&evaluation));
        println!("contract:\n{}", render(&evaluation.contract_failure, &evaluation.sources));
        println!("broken {:?} files {:?}", evaluation.broken, evaluation.files);
    };
    show("typo", evaluate_text(r#"{ resources.file."/a" = { contnet = "x", mode = 0644 } }"#));
    show("user site typo", evaluate_text(r#"(let p = import "provision.ncl" in { resources.file."/a" = { contnet = "x", mode = "99" } } | p.Site)"#));
    show("bad mode", evaluate_text(r#"{ resources.file."/a" = { mode = 644, ensure = "absnt", notifies = ["x"] } }"#));
    show("several", evaluate_text(r#"let Port = std.contract.from_predicate (fun x => x > 0) in
{
  resources.file."/a" = { content = "x" & "y", size = 1 / 0 },
  resources.file."/b" = { content = foo, size | Port = -1 },
  resources.file."/c" = { content, owner = {}.nope },
  resources.file."/d".content = "fine",
  resources.file."/e".content = "%{5}",
  rec_a = rec_b, rec_b = rec_a,
}"#));
    show("merge", evaluate_texts(&[("a.ncl", "{ resources.file.\"/a\" = { content = \"one\", size | default = 1, notifies = [\"a:b\"] } }"), ("b.ncl", "{\n  resources.file.\"/a\" = { content = \"two\", size = 2, notifies = [\"c:d\"] } }")], &[], json!({})));
    show("arrays", evaluate_text("{ a = { x = [1, [2, 3]] } & { x = [1,\n[2, 4]], } & { y = [1] }, resources.file.b.c = [1], resources.file.b.c = [1, 2] }"));
    show("syntax", evaluate_texts(&[("a.ncl", "{ a = , b = ] }"), ("b.ncl", "{\n x = \"unterminated ")], &[], json!({})));
    show("set", evaluate_texts(&[("a.ncl", "{ resources.file.\"/a\".content = \"one\" }")], &[("resources.file.\"/a\".content", "hello \"you\" %{x}"), ("resources.file.\"/a\".size", "3"), ("resources.file.\"/a\".ensure", "'absent"), ("resources.file.\"/b\"", "{ size = -3 }"), ("resources.fil.x.y", "[1, 2]")], json!({})));
    show("set bad", evaluate_texts(&[("a.ncl", "{ }")], &[("resources..x", "1"), ("", "2"), ("a b", "3")], json!({})));
    show("set conflict", evaluate_texts(&[("a.ncl", "{ resources.file.\"/a\".content | force = \"one\" }")], &[("resources.file.\"/a\".content", "two")], json!({})));
    show("facts", evaluate_texts(&[("a.ncl", "{ resources.file.\"/a\" = { content = \"I am %{facts.hostname}\", owner = facts.user, size = facts.size } }")], &[], json!({ "hostname": "web1", "user": "bob", "size": 9007199254740993_i64 })));
    show("numbers", evaluate_text("{ resources.file.a = { a = 18446744073709551615, b = -9223372036854775808, c = 0.1, d = 1/3, e = 1e30, f = 1.0 } }"));
    show("top", evaluate_text("{ resorces = {}, provision_version = 3, helper | not_exported = 1 }"));
    show("shape", evaluate_text("{ resources = { file = [], user.x = 3 } }"));
    show("not record", evaluate_text("[1]"));
    show("function", evaluate_text("{ resources.file.a = { b = fun x => x, c = 'Foo 3, d = Number } }"));
    show("infinite", evaluate_text("let rec x = { a = x, b = x } in { resources = x }"));
    show("import", evaluate_text("{ resources = import \"missing.ncl\", b = import \"other.json\" }"));
    show("missing", evaluate(&Request { sources: vec![SiteSource::File("/nonexistent/site.ncl".into()), SiteSource::File("/tmp".into()), SiteSource::Text { name: "t".into(), text: "{ a = ]".into() }], overrides: vec![], import_paths: vec![], facts: &json!({}), types: &types() }));
    show("type error", evaluate_text("{ resources.file.a.content = (\"a\" : Number), resources.file.b.size = \"x\" + 1 }"));
    show("empty", evaluate_text(""));
    show("comment", evaluate_text("# x"));
    show("derived", evaluate_text(r#"let role = fun args => { resources.file."%{args.path}" = { content | default = args.text, owner = "x" ++ "y" } } in role { path = "/q", text = "t" } & { resources.file."/q" = { size | default = 2, content = "over" } }"#));
    show("types", evaluate_text(r#"let p = import "provision.ncl" in { resources.file."/a" | p.types.file = { mode = "99" }, x | not_exported | p.Mode = "1", y | p.Mode = "bad" }"#));
}

#[test]
fn debug_files() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    let site = write("site.ncl", r#"let role = import "roles/web.ncl" in let d = import "data.json" in { resources.file."/a".content = d.x, resources.file."/b".size = d.y, resources.file."/n".content = facts.n } & role"#);
    write("roles/web.ncl", "let p = import \"provision.ncl\" in\n{ resources.file.\"/c\" | p.types.file = { content = \"role %{facts.n}\", mode = 12 } }");
    write("roles/provision.ncl", "{ types.file = String }");
    write("data.json", "{ \"x\": \"text\",\n \"y\": \"no\" }");
    let show = |title: &str, evaluation: Evaluation| {
        println!("== {title}");
        println!("tree {}", evaluation.tree.as_ref().map_or("none".into(), |tree| tree.to_json().to_string()));
        println!("{}", all(&evaluation));
        println!("contract:\n{}", render(&evaluation.contract_failure, &evaluation.sources));
        println!("broken {:?} files {:?}", evaluation.broken, evaluation.files);
    };
    let run = |path: &std::path::Path| evaluate(&Request { sources: vec![SiteSource::File(path.into())], overrides: vec![], import_paths: vec![], facts: &json!({"n": "name"}), types: &types() });
    show("files", run(&site));
    let bad = write("bad.ncl", r#"{ a = import "nope.ncl", b = import "syntax.ncl", c = import "syntax.json", d = import "nope.json", e = import "roles" }"#);
    write("syntax.ncl", "{ = }");
    write("syntax.json", "{ \"a\": \n}}");
    show("bad imports", run(&bad));
}

#[test]
fn debug_deep() {
    let n = 20000;
    for text in [
        "[".repeat(n),
        format!("{}{}", "[".repeat(n), "]".repeat(n)),
        format!("{{ resources.a.b.c = {}{} }}", "[".repeat(n), "]".repeat(n)),
        format!("{{ resources.a.b.c = {}1{} }}", "(".repeat(n), ")".repeat(n)),
        format!("{{ resources.a.b.c = {}1{} }}", "{ x = ".repeat(n), "}".repeat(n)),
        format!("{{ resources.a.b.c = 1{} }}", " + 1".repeat(n)),
        format!("{{ resources.a.b.c = \"a\" {} }}", " ++ \"b\"".repeat(n)),
        format!("{{ resources.{}c = 1 }}", "a.".repeat(n)),
        format!("{{ resources.a.b.c = {} 1 }}", "fun x => ".repeat(n)),
        format!("{{ resources.a.b.c = {} 1 }}", "let x = 1 in ".repeat(n)),
        "let rec f = fun n => if n == 0 then [] else [f (n - 1)] in { resources.a.b.c = f 100000 }".to_owned(),
        "let rec f = fun n => 1 + f (n - 1) in { resources.a.b.c = if std.is_number 1 then 1 else f 100000 }".to_owned(),
        "let rec f = fun n => if n == 0 then 0 else 1 + f (n - 1) in { resources.a.b.c = f 300000 }".to_owned(),
        "let rec f = fun n x => if n == 0 then x else f (n - 1) { a = x } in { h | not_exported = f 300000 1, resources.a.b.c = std.deep_seq h 1 }".to_owned(),
    ] {
        let start = std::time::Instant::now();
        let e = evaluate_text(&text);
        println!("{}.. -> {:?} {}", &text[..40.min(text.len())], start.elapsed(), e.diagnostics.first().map_or("-", |d| &d.message));
    }
}
