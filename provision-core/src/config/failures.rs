//! What a walk says of fields that cannot be evaluated.

use nickel_lang_core::error::Error;
use nickel_lang_core::eval::Closure;
use nickel_lang_core::eval::value::{EnumVariantData, NickelValue, ValueContentRef};
use nickel_lang_core::term::{BinaryOp, Term};

use crate::diagnostic::{Diagnostic, Span};

use super::errors;
use super::session::LIBRARY;
use super::walk::Walk;

/// More reports than these do not help.
const MAX_ERRORS: usize = 200;

/// A field that two values were given for. Nickel compares arrays element by element, and then knows no more where
/// the arrays came from.
pub(super) struct Merged {
    operands: [Closure; 2],
    /// The length of the path of the field.
    depth: usize,
    reported: bool,
}

impl Merged {
    /// The two values that a field is the merge of, before it is evaluated.
    pub(super) fn of(value: &NickelValue, depth: usize) -> Option<Merged> {
        let closure = value.as_thunk()?.get_owned();
        match closure.value.as_term() {
            Some(Term::Op2(data)) if matches!(data.op, BinaryOp::Merge(_)) => {
                let operand = |value: &NickelValue| Closure { value: value.clone(), env: closure.env.clone() };
                let operands = [operand(&data.arg1), operand(&data.arg2)];
                Some(Merged { operands, depth, reported: false })
            }
            _ => None,
        }
    }
}

impl Walk<'_> {
    pub(super) fn reject(&mut self, what: String, span: Option<&Span>) {
        let mut diagnostic = Diagnostic::error(what).at(span.cloned(), "");
        if !self.path.is_empty() {
            diagnostic = diagnostic.note(format!("This is `{}`", path_text(&self.path)));
        }
        self.add(vec![diagnostic]);
    }

    pub(super) fn fail(&mut self, error: Error, name_span: Option<&Span>) {
        if errors::is_array_conflict(&error)
            && let Some(merged) = self.merged.take()
        {
            return self.fail_array(merged);
        }
        let mut diagnostics = self.session.describe(error);
        if let Some(diagnostic) = diagnostics.first_mut() {
            if !diagnostic.labels.iter().any(|label| label.primary || is_users(&label.span)) && name_span.is_some() {
                diagnostic.labels.clear();
                *diagnostic = diagnostic.clone().at(name_span.cloned(), "");
            }
            self.name_the_field(diagnostic);
        }
        self.add(diagnostics);
    }

    /// Two arrays that are not equal: once for the whole field, with both of them.
    fn fail_array(&mut self, mut merged: Merged) {
        let mut places = Vec::new();
        for operand in &merged.operands {
            let position = self.session.eval_closure(operand.clone()).map(|value| value.pos_idx());
            places.push(position.ok().and_then(|position| self.span(position)));
        }
        if !merged.reported {
            merged.reported = true;
            let [one, other] = [places.first(), places.get(1)].map(|place| place.cloned().flatten());
            let field = path_text(&self.path[..merged.depth.min(self.path.len())]);
            self.found.diagnostics.push(errors::array_conflict(&field, one, other));
        }
        self.found.broken.push(self.path.clone());
        self.merged = Some(merged);
    }

    /// Nickel names at most the innermost field, and of a dictionary the whole: the path says it better.
    fn name_the_field(&self, diagnostic: &mut Diagnostic) {
        if self.path.is_empty() {
            return;
        }
        let path = path_text(&self.path);
        let blamed = diagnostic.message.strip_prefix("contract broken by ").and_then(|blamed| {
            let (who, why) = blamed.split_once(": ").map_or((blamed, None), |(who, why)| (who, Some(why)));
            let name = who.strip_prefix("the value of `").and_then(|name| name.strip_suffix('`'));
            let is_it = who == "a value" || name.is_some_and(|name| self.path.iter().any(|step| step == name));
            is_it.then(|| why.map(str::to_owned))
        });
        if blamed.is_some() {
            let blameless = !diagnostic.labels.iter().any(|label| label.primary);
            for label in &mut diagnostic.labels {
                match label.message.as_str() {
                    "expected type" => label.message = "this contract".to_owned(),
                    "applied to this expression" => label.message = "this value".to_owned(),
                    "evaluated to this expression" => {
                        label.message = "this value".to_owned();
                        label.primary |= blameless;
                    }
                    _ => {}
                }
            }
        }
        match blamed {
            Some(Some(why)) => diagnostic.message = format!("`{path}` breaks its contract: {why}"),
            Some(None) => diagnostic.message = format!("`{path}` breaks its contract"),
            None => diagnostic.notes.push(format!("Found while evaluating `{path}`")),
        }
    }

    fn add(&mut self, diagnostics: Vec<Diagnostic>) {
        self.found.diagnostics.extend(diagnostics);
        self.found.broken.push(self.path.clone());
        self.stopped |= self.found.diagnostics.len() >= MAX_ERRORS;
    }
}

/// Whether a span lies in a text of the user's, rather than in the contracts or the standard library.
fn is_users(span: &Span) -> bool {
    !(span.file.starts_with("<stdlib") || &*span.file == LIBRARY)
}

/// Why a value that is no data cannot be part of a site.
pub(super) fn unfit(value: &NickelValue) -> String {
    match value.content_ref() {
        ValueContentRef::EnumVariant(EnumVariantData { tag, .. }) => {
            format!("the enum variant `'{tag}` carries an argument: a site holds plain tags only")
        }
        _ => match value.type_of() {
            Some("Function" | "MatchExpression") => {
                "a function cannot be part of a site: apply it, or mark the field `not_exported`".to_owned()
            }
            Some("Type" | "CustomContract") => {
                "a contract cannot be part of a site: mark the field `not_exported`".to_owned()
            }
            _ => "this value cannot be part of a site: mark the field `not_exported`".to_owned(),
        },
    }
}

/// A path as Nickel writes it: `resources.file."/etc/motd"`.
pub(super) fn path_text(path: &[String]) -> String {
    let plain = |name: &str| {
        let mut characters = name.trim_start_matches('_').chars();
        characters.next().is_some_and(|first| first.is_ascii_alphanumeric())
            && characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '\''))
    };
    let quote = |name: &String| if plain(name) { name.clone() } else { format!("{name:?}") };
    path.iter().map(quote).collect::<Vec<_>>().join(".")
}
