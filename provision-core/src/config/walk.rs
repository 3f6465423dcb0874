//! Evaluates a site field by field, so that one broken field hides no other.

use nickel_lang_core::error::{Error, EvalErrorKind};
use nickel_lang_core::eval::value::{Container, EnumVariantData, NickelValue, ValueContentRef};
use nickel_lang_core::identifier::LocIdent;
use nickel_lang_core::position::PosIdx;
use nickel_lang_core::term::record::Field as NickelField;

use crate::diagnostic::{Diagnostic, Span};

use super::failures::{Merged, path_text, unfit};
use super::session::Session;
use super::{Data, Field, Located};

/// A site is nested about five deep. What is deeper than this is a record that contains itself.
const MAX_DEPTH: usize = 100;

/// What a walk found.
#[derive(Default)]
pub(super) struct Walked {
    pub tree: Option<Located>,
    pub diagnostics: Vec<Diagnostic>,
    /// Paths of the fields that could not be evaluated.
    pub broken: Vec<Vec<String>>,
    /// Whether a record beneath the site has fields that are not exported, or never defined.
    pub hides_fields: bool,
}

/// Evaluates all that a site exports.
pub(super) fn walk(session: &mut Session, site: NickelValue) -> Walked {
    let found = Walked::default();
    let mut walk = Walk { session, path: Vec::new(), merged: None, found, stopped: false };
    let tree = walk.value(site, None);
    walk.found.tree = tree;
    walk.found
}

pub(super) struct Walk<'s> {
    pub session: &'s mut Session,
    pub path: Vec<String>,
    /// The field that is being evaluated, if it was merged from two values.
    pub merged: Option<Merged>,
    pub found: Walked,
    /// Set once going on makes no sense.
    pub stopped: bool,
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
            ValueContentRef::EnumVariant(EnumVariantData { tag, arg: None }) => Data::Tag(tag.label().to_owned()),
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

    fn record(&mut self, fields: Vec<(LocIdent, NickelField)>, position: PosIdx, span: Option<&Span>) -> Option<Data> {
        self.descend(span)?;
        let mut located = Vec::with_capacity(fields.len());
        for (name, field) in fields {
            if field.metadata.not_exported() {
                self.found.hides_fields |= !self.path.is_empty();
                continue;
            }
            let files = self.session.files();
            let name_span = self.session.places.user_span(&files, name.pos.into_opt());
            self.path.push(name.label().to_owned());
            match field.value_with_pending_contracts() {
                Some(value) => {
                    let merged = field.value.as_ref().and_then(|value| Merged::of(value, self.path.len()));
                    let outer = std::mem::replace(&mut self.merged, merged);
                    if let Some(value) = self.value(value, name_span.as_ref().or(span)) {
                        located.push(Field { name: name.label().to_owned(), name_span, value });
                    }
                    self.merged = outer;
                }
                None if field.metadata.opt() => self.found.hides_fields |= !self.path.is_empty(),
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

    pub(super) fn span(&mut self, position: PosIdx) -> Option<Span> {
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
}

fn is_integer(value: &NickelValue) -> bool {
    value.as_number().is_some_and(|number| !number.to_string().contains('/'))
}
