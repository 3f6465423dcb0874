//! `--set path=value`: fields that are forced from outside of the site.

use std::ops::Range;

use nickel_lang_core::ast::primop::PrimOp;
use nickel_lang_core::ast::record::FieldPathElem;
use nickel_lang_core::ast::{Ast, AstAlloc, Node, StringChunk};
use nickel_lang_core::cache::SourcePath;
use nickel_lang_core::error::Error;
use nickel_lang_core::program::FieldPath;

use crate::diagnostic::Diagnostic;

use super::places::OverridePlaces;
use super::session::Session;

/// What diagnostics call the place of an override.
const NAME: &str = "--set";

/// Adds the overrides to the site, or says which paths are no field paths.
pub(super) fn add(session: &mut Session, overrides: &[(String, String)]) -> Vec<Diagnostic> {
    if overrides.is_empty() {
        return Vec::new();
    }
    let mut text = String::new();
    let mut lines: Vec<(Range<usize>, Range<usize>)> = Vec::new();
    for (path, value) in overrides {
        let start = text.len();
        text.push_str(&format!("{path}={value}\n"));
        let path_end = start + path.len();
        lines.push((start..path_end, path_end + 1..text.len() - 1));
    }
    let shown = session.places.add_shown(NAME, text.into());

    let mut diagnostics = Vec::new();
    // By canonical path: of two overrides of one field the later counts.
    let mut chosen: Vec<(String, usize)> = Vec::new();
    for (index, (path, _)) in overrides.iter().enumerate() {
        match field_path(session, path) {
            Ok(path) => {
                chosen.retain(|(other, _)| *other != path);
                chosen.push((path, index));
            }
            Err(why) => {
                let span = session.places.shown_span(shown, lines[index].0.clone());
                diagnostics.push(
                    Diagnostic::error(format!("`{path}` is not the path of a field: {why}"))
                        .at(Some(span), "")
                        .help("write for example --set 'resources.file.\"/etc/motd\".content=Hello'"),
                );
            }
        }
    }
    for (path, index) in chosen {
        let value = &overrides[index].1;
        let verbatim = is_literal(session, value);
        let written = if verbatim { value.clone() } else { quote(value) };
        let before = format!("{{ {path} | force = ");
        // The line break ends a comment that a literal may end with.
        let file = session.add_part(format!("{before}{written}\n}}"));
        let (shown_path, shown_value) = lines[index].clone();
        let value = before.len()..before.len() + written.len();
        session.places.add_override(file, shown, OverridePlaces { value, shown_path, shown_value, verbatim });
    }
    diagnostics
}

/// The path of a field in its canonical form; or why it is none.
///
/// It is read as that of a field in a record. Nickel's own parser of paths alone would be a third copy of all of Nickel's
/// grammar in the program: 3 MB.
fn field_path(session: &mut Session, path: &str) -> Result<String, String> {
    if path.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    let alloc = AstAlloc::new();
    let file = session.cache().replace_string(SourcePath::Query, format!("{{ {path} = null }}"));
    let parsed = match session.cache().sources.parse_nickel(&alloc, file) {
        Ok(parsed) => parsed,
        Err(errors) => {
            let errors = session.describe(Error::ParseErrors(errors));
            return Err(errors.first().map_or_else(String::new, |error| error.message.clone()));
        }
    };
    let Node::Record(record) = parsed.node else { return Err("it is more than a path".to_owned()) };
    let [field] = record.field_defs else { return Err("it is more than one field".to_owned()) };
    if !field.metadata.is_empty() || !record.includes.is_empty() {
        return Err("it is more than a path".to_owned());
    }
    let names = field.path.iter().map(FieldPathElem::try_as_ident).collect::<Option<Vec<_>>>();
    names.map(|names| FieldPath(names).to_string()).ok_or_else(|| "a name in it is computed".to_owned())
}

/// Whether the text is a Nickel literal: data, and nothing that would be computed or looked up.
///
/// Digits that begin with a zero are a text: they are the mode of a file or a telephone number, never a quantity.
fn is_literal(session: &mut Session, text: &str) -> bool {
    if text.len() > 1 && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let alloc = AstAlloc::new();
    let file = session.cache().replace_string(SourcePath::Query, text.to_owned());
    let parsed = session.cache().sources.parse_nickel(&alloc, file);
    parsed.is_ok_and(|ast| is_data(&ast))
}

fn is_data(ast: &Ast<'_>) -> bool {
    match &ast.node {
        Node::Null | Node::Bool(_) | Node::Number(_) | Node::String(_) => true,
        Node::StringChunks(chunks) => chunks.iter().all(|chunk| matches!(chunk, StringChunk::Literal(_))),
        Node::EnumVariant { arg, .. } => arg.is_none_or(is_data),
        Node::Array(elements) => elements.iter().all(is_data),
        Node::Record(record) => {
            record.includes.is_empty()
                && !record.open
                && record.field_defs.iter().all(|field| {
                    field.metadata.is_empty()
                        && field.path.iter().all(|element| matches!(element, FieldPathElem::Ident(_)))
                        && field.value.as_ref().is_some_and(is_data)
                })
        }
        // A negative number is written as a subtraction from zero.
        Node::PrimOpApp { op: PrimOp::Sub, args: [zero, number] } => {
            zero.pos == nickel_lang_core::position::TermPos::None && matches!(number.node, Node::Number(_))
        }
        _ => false,
    }
}

/// The text as a Nickel string.
fn quote(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace("%{", "\\%{").replace('\r', "\\r");
    format!("\"{escaped}\"")
}
