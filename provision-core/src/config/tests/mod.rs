//! What the module does, end to end.

mod branches;
mod cache;
mod errors;
mod evaluator;
mod imports;
mod library;
mod merging;
mod on_demand;
mod pieces;
mod random;
mod trees;

use std::path::Path;

use serde_json::{Value, json};

use super::*;

/// How many cases of a long sweep are tried: more with `PROVISION_SWEEPS=whole`.
#[expect(clippy::disallowed_methods, reason = "a test asks how long it may take")]
fn sweep(usual: u32) -> u32 {
    let is_whole = std::env::var("PROVISION_SWEEPS").is_ok_and(|which| which == "whole");
    if is_whole { usual * 5 } else { usual }
}

/// Types that show every kind of attribute that matters to a contract.
fn types() -> Vec<TypeDescription> {
    let file = json!({
        "type": "object",
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
    let link = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["target"],
        "properties": { "target": { "type": "string", "description": "Where it leads." } },
    });
    vec![described("file", "A regular file.", file), described("link", "A symbolic link.", link)]
}

fn described(name: &str, description: &str, schema: Value) -> TypeDescription {
    TypeDescription { name: name.to_owned(), description: description.to_owned(), schema }
}

/// A request that can be built up; `run` evaluates it.
struct Site {
    sources: Vec<SiteSource>,
    overrides: Vec<(String, String)>,
    import_paths: Vec<PathBuf>,
    facts: Value,
    types: Vec<TypeDescription>,
}

impl Site {
    fn text(text: &str) -> Site {
        Site::default().and_text("site.ncl", text)
    }

    fn file(path: &Path) -> Site {
        Site { sources: vec![SiteSource::File(path.to_owned())], ..Site::default() }
    }

    fn and_text(mut self, name: &str, text: &str) -> Site {
        self.sources.push(SiteSource::Text { name: name.to_owned(), text: text.to_owned() });
        self
    }

    fn set(mut self, path: &str, value: &str) -> Site {
        self.overrides.push((path.to_owned(), value.to_owned()));
        self
    }

    fn facts(mut self, facts: Value) -> Site {
        self.facts = facts;
        self
    }

    fn request(&self) -> Request<'_> {
        Request {
            sources: self.sources.clone(),
            overrides: self.overrides.clone(),
            import_paths: self.import_paths.clone(),
            facts: &self.facts,
            types: &self.types,
        }
    }

    fn run(&self) -> Evaluation {
        evaluate(&self.request())
    }

    /// The tree of a site with nothing wrong.
    fn tree(&self) -> Located {
        let evaluation = self.run();
        assert!(evaluation.is_sound(), "{}\n{}", wrong(&evaluation), breaches(&evaluation));
        evaluation.tree.unwrap()
    }

    fn json(&self) -> Value {
        self.tree().to_json()
    }

    /// All that is wrong with a site, as text.
    fn wrong(&self) -> String {
        wrong(&self.run())
    }

    /// What the contract refuses in a site that is right otherwise.
    fn breaches(&self) -> String {
        let evaluation = self.run();
        assert_eq!(wrong(&evaluation), "");
        breaches(&evaluation)
    }
}

impl Default for Site {
    fn default() -> Site {
        let (sources, overrides, import_paths) = Default::default();
        Site { sources, overrides, import_paths, facts: json!({}), types: types() }
    }
}

/// What would help with the mistakes of a text, of which one fact is null.
pub(super) fn help_of(text: &str) -> String {
    let evaluation = Site::text(text).facts(json!({ "n": null })).run();
    let rendered = wrong(&evaluation);
    let help = evaluation.diagnostics.iter().filter_map(|diagnostic| diagnostic.help.clone()).collect::<Vec<_>>();
    format!("{}\n{rendered}", help.join("\n"))
}

fn wrong(evaluation: &Evaluation) -> String {
    render(&evaluation.diagnostics, &evaluation.sources)
}

fn breaches(evaluation: &Evaluation) -> String {
    render(&evaluation.contract_failure, &evaluation.sources)
}

/// Diagnostics as text: the message, each label with the text that it points at, notes and help.
fn render(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&format!("{}\n", diagnostic.message));
        for label in &diagnostic.labels {
            let source = sources.get(&label.span.file).expect("the text of each span is known");
            let shown = &source[label.span.start..label.span.end];
            let mark = if label.primary { "-->" } else { "  >" };
            text.push_str(format!("  {mark} {} `{shown}` {}", label.span, label.message).trim_end());
            text.push('\n');
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
