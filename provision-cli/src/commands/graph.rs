//! `provision graph`: what comes before what, and why.

use std::io::Write;

use provision_core::graph::Graph;
use serde_json::json;

use crate::cli::{Format, GraphArguments, GraphForm};
use crate::context::{self, Program, Target};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::render;
use crate::render::foreign;

/// Shows the graph of a site.
pub fn run(program: &Program<'_>, verb: &GraphArguments) -> Result<Exit, Failure> {
    let options = program.options;
    let facts = context::facts(options, &verb.site, &*Target::open(options, None)?.view(), true)?;
    let graph = context::graph(program, &verb.site, &facts)?;
    match (options.format, verb.form) {
        (Format::Json, _) => {
            let resources: Vec<_> = graph.vertices().collect();
            render::json::print(&json!({ "schema": "provision/graph/1", "resources": resources }))?;
        }
        (_, GraphForm::Text) => {
            render::diagnostics::warnings(graph.warnings(), graph.sources());
            text(&graph)?;
        }
        (_, GraphForm::Dot) => dot(&graph)?,
        (_, GraphForm::Mermaid) => mermaid(&graph)?,
    }
    Ok(Exit::Success)
}

fn text(graph: &Graph) -> Result<(), Failure> {
    let mut out = output::stdout();
    let style = render::style::ID;
    for vertex in graph.vertices() {
        writeln!(out, "{style}{}{style:#}", foreign::line(vertex.id))?;
        for (before, reason) in vertex.after {
            writeln!(out, "    after {}: {}", foreign::line(before), foreign::line(because(reason)))?;
        }
    }
    Ok(())
}

fn because(reason: &provision_core::graph::Reason) -> String {
    use provision_core::graph::Reason;
    match reason {
        Reason::Before => "which says `before`".to_owned(),
        Reason::Notifies => "which notifies it".to_owned(),
        Reason::After => "it says `after`".to_owned(),
        other => format!("it {other}"),
    }
}

fn dot(graph: &Graph) -> Result<(), Failure> {
    let mut out = output::stdout();
    writeln!(out, "digraph site {{\n  rankdir = LR;\n  node [shape = box];")?;
    for vertex in graph.vertices() {
        writeln!(out, "  {:?};", vertex.id.to_string())?;
        for (before, reason) in vertex.after {
            let label = reason.to_string();
            writeln!(out, "  {:?} -> {:?} [label = {label:?}];", before.to_string(), vertex.id.to_string())?;
        }
    }
    writeln!(out, "}}")?;
    Ok(())
}

fn mermaid(graph: &Graph) -> Result<(), Failure> {
    let mut out = output::stdout();
    let ids: Vec<_> = graph.vertices().map(|vertex| vertex.id.clone()).collect();
    let number = |id| ids.iter().position(|other| other == id).unwrap_or_default();
    writeln!(out, "flowchart LR")?;
    for (place, vertex) in graph.vertices().enumerate() {
        writeln!(out, "  n{place}[\"{}\"]", foreign::line(vertex.id).replace('"', "#quot;"))?;
        for (before, reason) in vertex.after {
            writeln!(out, "  n{} -->|{}| n{place}", number(before), foreign::line(reason).replace('|', "/"))?;
        }
    }
    Ok(())
}
