//! Differences of attributes: a line each, or a unified diff of a text.

use std::io::Write;

use provision_core::effect::Content;
use provision_core::plan::Change;
use serde_json::{Map, Value};
use similar::ChangeTag;

use crate::cli::Options;
use crate::exit::Failure;
use crate::render::{diff, foreign, style};

/// More lines of a diff are counted and not shown, unless more is asked for.
const MOST_LINES: usize = 30;

/// Shows what differs of a resource.
pub fn show(out: &mut impl Write, changes: &[Change], options: &Options) -> Result<(), Failure> {
    for change in changes {
        match (&change.from, &change.to) {
            (Value::String(from), Value::String(to)) if is_text(from) || is_text(to) => {
                text(out, &change.attribute, from, to, options)?;
            }
            (Value::Null, Value::String(to)) if is_text(to) => text(out, &change.attribute, "", to, options)?,
            (Value::String(from), Value::Null) if is_text(from) => text(out, &change.attribute, from, "", options)?,
            (Value::Object(gone), Value::Null) => entries(out, &change.attribute, ("-", style::REMOVE), gone)?,
            (Value::Null, Value::Object(new)) => entries(out, &change.attribute, ("+", style::ADD), new)?,
            (Value::Null, Value::Null) => {}
            (Value::Null, to) => writeln!(out, "    {}{}", label(&change.attribute), short(to))?,
            (from, to) => {
                let (old, new) = (style::REMOVE, style::ADD);
                let label = label(&change.attribute);
                writeln!(out, "    {label}{old}{}{old:#} → {new}{}{new:#}", short(from), short(to))?;
            }
        }
    }
    Ok(())
}

/// What is in a record that appears or goes, a line each.
fn entries(
    out: &mut impl Write,
    attribute: &str,
    (sign, style): (&str, anstyle::Style),
    record: &Map<String, Value>,
) -> Result<(), Failure> {
    writeln!(out, "    {}:", foreign::line(attribute))?;
    for (key, value) in record {
        writeln!(out, "      {style}{sign} {}: {}{style:#}", foreign::line(key), short(value))?;
    }
    Ok(())
}

fn label(attribute: &str) -> String {
    if attribute.is_empty() { String::new() } else { format!("{}: ", foreign::line(attribute)) }
}

fn is_text(value: &str) -> bool {
    value.contains('\n')
}

/// A value in one line.
fn short(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(text) => foreign::content(text),
        Value::Array(elements) if elements.is_empty() => "none".to_owned(),
        Value::Array(elements) => elements.iter().map(short).collect::<Vec<_>>().join(", "),
        other => foreign::line(other),
    }
}

fn text(out: &mut impl Write, attribute: &str, from: &str, to: &str, options: &Options) -> Result<(), Failure> {
    let faint = style::FAINT;
    if !attribute.is_empty() {
        writeln!(out, "    {}:", foreign::line(attribute))?;
    }
    // What is not shown has no lines.
    let unshown = |side: &str| Content::is_placeholder(side).then(|| side.to_owned());
    let (unshown_from, unshown_to) = (unshown(from), unshown(to));
    let from = if unshown_from.is_some() { "" } else { from };
    let to = if unshown_to.is_some() { "" } else { to };
    let mut lines = Vec::new();
    lines.extend(unshown_from.map(|it| (style::REMOVE, format!("-{it}"), false)));
    for hunk in diff::hunks(from, to) {
        if !from.is_empty() && !to.is_empty() {
            lines.push((faint, hunk.to_string(), false));
        }
        for line in hunk.lines {
            let style = match line.tag {
                ChangeTag::Delete => style::REMOVE,
                ChangeTag::Insert => style::ADD,
                ChangeTag::Equal => faint,
            };
            lines.push((style, format!("{}{}", line.sign(), line.text), line.unfinished));
        }
    }
    lines.extend(unshown_to.map(|it| (style::ADD, format!("+{it}"), false)));
    let most = if options.verbose > 0 { lines.len() } else { MOST_LINES };
    for (style, line, unfinished) in lines.iter().take(most) {
        writeln!(out, "      {style}{}{style:#}", foreign::content(line.trim_end_matches([' ', '\t'])))?;
        if *unfinished {
            writeln!(out, "      {faint}\\ No newline at end of file{faint:#}")?;
        }
    }
    if lines.len() > most {
        writeln!(out, "      {faint}… {} more lines; -v shows them{faint:#}", lines.len() - most)?;
    }
    Ok(())
}
