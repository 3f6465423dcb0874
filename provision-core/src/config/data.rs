//! Values that come from outside of Nickel: facts and imported data files.

use nickel_lang_core::closurize::Closurize;
use nickel_lang_core::eval::Environment;
use nickel_lang_core::eval::value::{Container, NickelValue, ValueContentRef};
use nickel_lang_core::position::PosIdx;
use nickel_lang_core::term::record::RecordData;
use nickel_lang_core::term::{Term, UnaryOp, make};

use super::bounded::BoundedCache;
use super::watch::Watch;

/// Facts as a value that can be merged, of which the watch notices what is used.
pub(super) fn facts(cache: &mut BoundedCache, facts: &serde_json::Value, watch: &Watch) -> NickelValue {
    // JSON knows no value that Nickel does not.
    let value = serde_json::from_value(facts.clone()).unwrap_or_else(|_| NickelValue::null());
    noticed(cache, value, watch, &mut Vec::new())
}

/// The same data with a mark before everything that is no record.
fn noticed(cache: &mut BoundedCache, value: NickelValue, watch: &Watch, path: &mut Vec<String>) -> NickelValue {
    let ValueContentRef::Record(Container::Alloc(record)) = value.content_ref() else {
        let mark = NickelValue::string_posless(watch.mark_fact(path));
        return Term::app(make::op1(UnaryOp::Trace, mark), closed(cache, value)).into();
    };
    with_closures(cache, record, value.pos_idx(), |cache, name, inner| {
        path.push(name.to_owned());
        let inner = noticed(cache, inner, watch, path);
        path.pop();
        inner
    })
}

/// The same data with each inner record as a closure.
///
/// Nickel takes imported data as it is, and a debug build of it panics when that is merged with anything.
pub(super) fn closed(cache: &mut BoundedCache, value: NickelValue) -> NickelValue {
    let position = value.pos_idx();
    match value.content_ref() {
        ValueContentRef::Record(Container::Alloc(record)) => {
            with_closures(cache, record, position, |cache, _, inner| closed(cache, inner))
        }
        ValueContentRef::Array(Container::Alloc(array)) => {
            let elements = array.array.iter().map(|element| {
                let inner = closed(cache, element.clone());
                inner.closurize(cache, Environment::new())
            });
            NickelValue::array(elements.collect(), Vec::new(), position)
        }
        ValueContentRef::Thunk(thunk) => {
            let inner = thunk.get_owned().value;
            closed(cache, inner)
        }
        _ => value,
    }
}

/// A record with its fields changed and made closures.
fn with_closures(
    cache: &mut BoundedCache,
    record: &RecordData,
    position: PosIdx,
    mut change: impl FnMut(&mut BoundedCache, &str, NickelValue) -> NickelValue,
) -> NickelValue {
    let fields = record.fields.iter().map(|(name, field)| {
        let mut field = field.clone();
        let inner = field.value.take().map(|inner| change(cache, name.label(), inner));
        field.value = inner.map(|inner| inner.closurize(cache, Environment::new()));
        (*name, field)
    });
    NickelValue::record(RecordData::new(fields.collect(), record.attrs, None), position)
}
