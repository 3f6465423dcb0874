//! Evaluates a site field by field, so that one broken field hides no other.

use nickel_lang_core::error::{Error, EvalErrorKind};
use nickel_lang_core::eval::Closure;
use nickel_lang_core::eval::value::{Container, EnumVariantData, NickelValue, ValueContentRef};
use nickel_lang_core::position::PosIdx;
use nickel_lang_core::term::record::Field as NickelField;
use nickel_lang_core::term::{BinaryOp, Term};

use crate::diagnostic::{Diagnostic, Span};

use super::errors;
use super::located::{Data, Field, Located};
use super::session::{LIBRARY, Session};

/// A site is nested about five deep. What is deeper than this is a record that contains itself.
const MAX_DEPTH: usize = 100;

/// Reports beyond this many help nobody.
const MAX_ERRORS: usize = 200;

/// What a walk found.
#[derive(Default)]
pub(super) struct Walked {
    pub tree: Option<Located>,
    pub diagnostics: Vec<Diagnostic>,
    /// Paths of the fields that could not be evaluated.
    pub broken: Vec<Vec<String>>,
}

/// Evaluates all that a site exports.
pub(super) fn walk(session: &mut Session, site: NickelValue) -> Walked {
    let found = Walked::default();
    let mut walk = Walk { session, path: Vec::new(), merged: None, found, stopped: false };
    let tree = walk.value(site, None);
    walk.found.tree = tree;
    walk.found
}

struct Walk<'s> {
    session: &'s mut Session,
    path: Vec<String>,
    /// The field that is being evaluated, if it was merged from two values.
    merged: Option<Merged>,
    found: Walked,
    /// Set once going on makes no sense.
    stopped: bool,
}

/// A field that two values were given for. Nickel compares arrays element by element, and then knows no more where
/// the arrays came from.
struct Merged {
    operands: [Closure; 2],
    /// The length of the path of the field.
    depth: usize,
    reported: bool,
}

impl Walk<'_> {
    /// The value in full. A value without a place in the user's texts gets the place of the field's name.
    fn value(&mut self, value: NickelValue, name_span: Option<&Span>) -> Option<Located> {
        if self.stopped {
            return None;
        }
        let value = match self.session.eval(value) {
            Ok(value) => value,
            Err(error) => {
                self.fail(Error::EvalError(error), name_span);
                return None;
            }
        };
        let position = value.pos_idx();
        let span = self.span(position).or_else(|| name_span.cloned());
        let data = match value.content_ref() {
            ValueContentRef::Null => Data::Null,
            ValueContentRef::Bool(value) => Data::Bool(value),
            ValueContentRef::Number(_) => self.number(&value, span.as_ref())?,
            ValueContentRef::String(text) => Data::String(text.to_string()),
            ValueContentRef::EnumVariant(EnumVariantData { tag, arg: None }) => Data::String(tag.label().to_owned()),
            ValueContentRef::Array(Container::Empty) => Data::Array(Vec::new()),
            ValueContentRef::Record(Container::Empty) => Data::Record(Vec::new()),
            ValueContentRef::Array(Container::Alloc(array)) => {
                let elements: Vec<NickelValue> = array.iter_with_pending_contracts(position).collect();
                self.array(elements, span.as_ref())?
            }
            ValueContentRef::Record(Container::Alloc(record)) => {
                let mut fields: Vec<_> = record.fields.iter().map(|(name, field)| (*name, field.clone())).collect();
                fields.sort_by_key(|(name, _)| name.ident());
                self.record(fields, position, span.as_ref())?
            }
            _ => {
                self.reject(unfit(&value), span.as_ref());
                return None;
            }
        };
        Some(Located { value: data, span })
    }

    fn array(&mut self, elements: Vec<NickelValue>, span: Option<&Span>) -> Option<Data> {
        self.descend(span)?;
        let mut located = Vec::with_capacity(elements.len());
        let mut whole = true;
        for (index, element) in elements.into_iter().enumerate() {
            self.path.push(index.to_string());
            match self.value(element, span) {
                Some(element) => located.push(element),
                None => whole = false,
            }
            self.path.pop();
        }
        if !whole {
            // Without one of its elements an array is another array: indices shift, checks of its length mislead.
            let broken = &mut self.found.broken;
            broken.retain(|path| !path.starts_with(&self.path));
            broken.push(self.path.clone());
            return None;
        }
        Some(Data::Array(located))
    }

    fn record(
        &mut self,
        fields: Vec<(nickel_lang_core::identifier::LocIdent, NickelField)>,
        position: PosIdx,
        span: Option<&Span>,
    ) -> Option<Data> {
        self.descend(span)?;
        let mut located = Vec::with_capacity(fields.len());
        for (name, field) in fields {
            if field.metadata.not_exported() {
                continue;
            }
            let files = self.session.files();
            let name_span = self.session.places.user_span(&files, name.pos.into_opt());
            self.path.push(name.label().to_owned());
            match field.value_with_pending_contracts() {
                Some(value) => {
                    let operands = field.value.as_ref().and_then(merge_operands);
                    let merged = operands.map(|operands| Merged { operands, depth: self.path.len(), reported: false });
                    let outer = std::mem::replace(&mut self.merged, merged);
                    if let Some(value) = self.value(value, name_span.as_ref().or(span)) {
                        located.push(Field { name: name.label().to_owned(), name_span, value });
                    }
                    self.merged = outer;
                }
                None if field.metadata.opt() => {}
                None => {
                    let metadata = field.metadata.clone_inner();
                    let error = EvalErrorKind::MissingFieldDef {
                        id: name,
                        metadata,
                        pos_record: position,
                        pos_access: PosIdx::NONE,
                    };
                    let error = self.session.error(error);
                    self.fail(error, name_span.as_ref().or(span));
                }
            }
            self.path.pop();
        }
        // What was cut short is not the user's site.
        (!self.stopped).then_some(Data::Record(located))
    }

    /// Integers stay what they are, of any other number the nearest `f64` is taken.
    fn number(&mut self, value: &NickelValue, span: Option<&Span>) -> Option<Data> {
        match serde_json::to_value(value) {
            Ok(serde_json::Value::Number(number)) if number.is_f64() && is_integer(value) => {
                let what = format!("the number {value} is too large: integers go from -2^63 to 2^64 - 1");
                self.reject(what, span);
                None
            }
            Ok(serde_json::Value::Number(number)) => Some(Data::Number(number)),
            _ => {
                self.reject("the number is too large".to_owned(), span);
                None
            }
        }
    }

    fn span(&mut self, position: PosIdx) -> Option<Span> {
        let raw = self.session.position(position);
        let files = self.session.files();
        self.session.places.user_span(&files, raw)
    }

    /// Refuses to go deeper than any site does. A record that contains itself would go on forever, in breadth too.
    fn descend(&mut self, span: Option<&Span>) -> Option<()> {
        if self.path.len() < MAX_DEPTH {
            return Some(());
        }
        let message = format!("values are nested more than {MAX_DEPTH} deep");
        let shown: Vec<String> = self.path.iter().take(6).cloned().collect();
        let diagnostic = Diagnostic::error(message)
            .at(span.cloned(), "")
            .note(format!("It begins with `{}`", path_text(&shown)))
            .help("a field that contains the record it lies in never ends: name the outer value with `let`");
        self.found.diagnostics.push(diagnostic);
        self.found.broken.push(shown);
        self.stopped = true;
        None
    }

    fn reject(&mut self, what: String, span: Option<&Span>) {
        let mut diagnostic = Diagnostic::error(what).at(span.cloned(), "");
        if !self.path.is_empty() {
            diagnostic = diagnostic.note(format!("This is `{}`", path_text(&self.path)));
        }
        self.add(vec![diagnostic]);
    }

    fn fail(&mut self, error: Error, name_span: Option<&Span>) {
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

/// The two values that a field is the merge of, before it is evaluated.
fn merge_operands(value: &NickelValue) -> Option<[Closure; 2]> {
    let closure = value.as_thunk()?.get_owned();
    match closure.value.as_term() {
        Some(Term::Op2(data)) if matches!(data.op, BinaryOp::Merge(_)) => {
            let operand = |value: &NickelValue| Closure { value: value.clone(), env: closure.env.clone() };
            Some([operand(&data.arg1), operand(&data.arg2)])
        }
        _ => None,
    }
}

/// Whether a span lies in a text of the user's, rather than in the contracts or the standard library.
fn is_users(span: &Span) -> bool {
    !(span.file.starts_with("<stdlib") || &*span.file == LIBRARY)
}

/// Why a value that is no data cannot be part of a site.
fn unfit(value: &NickelValue) -> String {
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

fn is_integer(value: &NickelValue) -> bool {
    value.as_number().is_some_and(|number| !number.to_string().contains('/'))
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
