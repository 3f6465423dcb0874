//! Facts for people: as a site would write them.

use std::io::Write;

use serde_json::Value;

use super::foreign;
use crate::exit::Failure;
use crate::output;

/// Shows facts, one a line.
pub fn show(facts: &Value) -> Result<(), Failure> {
    let mut out = output::stdout();
    let mut lines = Vec::new();
    flatten("facts", facts, &mut lines);
    let width = lines.iter().map(|(path, _)| path.len()).max().unwrap_or_default();
    for (path, value) in lines {
        writeln!(out, "{:width$} = {}", foreign::line(path), foreign::line(value))?;
    }
    Ok(())
}

fn flatten(path: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| flatten(&format!("{path}.{key}"), value, lines)),
        Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(ToString::to_string).collect();
            lines.push((path.to_owned(), format!("[{}]", elements.join(", "))));
        }
        other => lines.push((path.to_owned(), other.to_string())),
    }
}
