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
fn debug_library() {
    println!("{}", contract_library(&types()));
}
