//! Puts together what a record declares piece by piece (`file."/a" = …, file."/b" = …`).
//!
//! Nickel makes a record of each piece and merges them one after the other while it evaluates, each time all that came
//! before: time grows with the square of their number. Its compiler means to merge them beforehand, but wraps the records
//! first, and then does not recognise them. What is done here is what that would do, where it makes no difference:
//! records without annotations, of static names. Names, values and the places of both stay those of the pieces, and a
//! value that is declared twice is left to Nickel to merge, or to refuse.

use std::convert::Infallible;

use nickel_lang_core::ast::MergeKind;
use nickel_lang_core::cache::TermEntry;
use nickel_lang_core::eval::value::{Container, NickelValue, ValueContent, ValueContentRef};
use nickel_lang_core::files::FileId;
use nickel_lang_core::label::MergeLabel;
use nickel_lang_core::term::record::{Field, RecordAttrs, RecordData};
use nickel_lang_core::term::{BinaryOp, Term, make};
use nickel_lang_core::traverse::{Traverse, TraverseOrder};

use super::session::Session;

#[cfg(test)]
thread_local! {
    /// Leaves the pieces as they are, to compare.
    pub(super) static LEFT_APART: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

impl Session {
    /// Puts the pieces of files together that were compiled, and nothing has been done with yet.
    pub(super) fn join_pieces(&mut self, files: &[FileId]) {
        #[cfg(test)]
        if LEFT_APART.get() {
            return;
        }
        let terms = &mut self.context.import_resolver.terms;
        for file in files {
            let Some(TermEntry { value, state, format }) = terms.get_entry(*file).cloned() else { continue };
            // A value that is shared would be copied at every step.
            terms.insert(*file, TermEntry { value: NickelValue::null(), state, format });
            terms.insert(*file, TermEntry { value: joined(value), state, format });
        }
    }
}

/// The same program with its pieces put together.
fn joined(value: NickelValue) -> NickelValue {
    let joined: Result<_, Infallible> = value.traverse(&mut |value| Ok(merged(value)), TraverseOrder::BottomUp);
    let Ok(joined) = joined;
    joined
}

/// A merge of two pieces as one record, if it is one and the two fit; the parts of the value have been put together.
fn merged(value: NickelValue) -> NickelValue {
    let Some((label, one, other)) = merge_of(&value) else { return value };
    let beside = match merge_of(one) {
        // Behind a record that was written as a whole, new names make no difference.
        Some((_, whole, pieces)) if are_new(whole, pieces, other) => true,
        _ if fit(one, other) => false,
        _ => return value,
    };
    let Some((_, one, other)) = taken(value) else { return NickelValue::null() };
    if !beside {
        return join(label, one, other);
    }
    let Some((first, whole, pieces)) = taken(one) else { return NickelValue::null() };
    make::op2(BinaryOp::Merge(first), whole, join(label, pieces, other))
}

/// The operands of a merge of two definitions of one field.
fn merge_of(value: &NickelValue) -> Option<(MergeLabel, &NickelValue, &NickelValue)> {
    match value.as_term()? {
        Term::Op2(data) => match &data.op {
            BinaryOp::Merge(label) if label.kind == MergeKind::PiecewiseDef => Some((*label, &data.arg1, &data.arg2)),
            _ => None,
        },
        _ => None,
    }
}

fn taken(value: NickelValue) -> Option<(MergeLabel, NickelValue, NickelValue)> {
    let ValueContent::Term(term) = value.content() else { return None };
    match term.take() {
        Term::Op2(data) => match data.op {
            BinaryOp::Merge(label) => Some((label, data.arg1, data.arg2)),
            _ => None,
        },
        _ => None,
    }
}

/// The record that Nickel makes of a path of static names: its fields do not see each other.
fn piece(value: &NickelValue) -> Option<&RecordData> {
    let Term::Closurize(inner) = value.as_term()? else { return None };
    match inner.content_ref() {
        ValueContentRef::Record(Container::Alloc(record))
            if record.attrs == RecordAttrs::default() && record.sealed_tail.is_none() =>
        {
            Some(record)
        }
        _ => None,
    }
}

/// Whether both are pieces, and what both have carries no annotation.
fn fit(one: &NickelValue, other: &NickelValue) -> bool {
    let (Some(one), Some(other)) = (piece(one), piece(other)) else { return false };
    let is_plain = |field: &Field| field.metadata.is_empty() && field.value.is_some();
    other.fields.iter().all(|(name, field)| one.fields.get(name).is_none_or(|known| is_plain(known) && is_plain(field)))
}

/// Whether the names of a piece are neither in the record before nor in the pieces that were added to it, which are none of
/// the record's either.
fn are_new(whole: &NickelValue, pieces: &NickelValue, other: &NickelValue) -> bool {
    let (Some(Term::RecRecord(whole)), Some(pieces), Some(other)) = (whole.as_term(), piece(pieces), piece(other))
    else {
        return false;
    };
    let is_static = whole.dyn_fields.is_empty() && whole.includes.is_empty();
    // Of more than one piece this was asked when they came together.
    let first = pieces.fields.keys().take(if pieces.fields.len() == 1 { 1 } else { 0 });
    is_static
        && other.fields.keys().all(|name| !pieces.fields.contains_key(name))
        && first.chain(other.fields.keys()).all(|name| !whole.record.fields.contains_key(name))
}

/// Two values of one field: as one record if they are pieces that fit, or else as Nickel merges them.
fn join(label: MergeLabel, one: NickelValue, other: NickelValue) -> NickelValue {
    if !fit(&one, &other) {
        return make::op2(BinaryOp::Merge(label), one, other);
    }
    let (Some(mut record), Some(other)) = (record_of(one), record_of(other)) else { return NickelValue::null() };
    for (name, field) in other.fields {
        match record.fields.get_mut(&name) {
            Some(known) => {
                let values = (known.value.take(), field.value);
                known.value = match values {
                    (Some(one), Some(other)) => Some(join(label, one, other)),
                    (one, other) => one.or(other),
                };
            }
            None => {
                record.fields.insert(name, field);
            }
        }
    }
    // As a merge has none, this has no position.
    NickelValue::term_posless(Term::Closurize(NickelValue::record_posless(record)))
}

fn record_of(value: NickelValue) -> Option<RecordData> {
    let ValueContent::Term(term) = value.content() else { return None };
    let Term::Closurize(inner) = term.take() else { return None };
    let ValueContent::Record(record) = inner.content() else { return None };
    record.take().into_opt()
}
