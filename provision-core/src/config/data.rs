//! Values that come from outside of Nickel: facts and imported data files.

use nickel_lang_core::closurize::Closurize;
use nickel_lang_core::eval::Environment;
use nickel_lang_core::eval::value::{Container, NickelValue, ValueContentRef};
use nickel_lang_core::term::record::RecordData;

use super::bounded::BoundedCache;

/// JSON as a value that can be merged.
pub(super) fn from_json(cache: &mut BoundedCache, json: &serde_json::Value) -> NickelValue {
    // JSON knows no value that Nickel does not.
    let value = serde_json::from_value(json.clone()).unwrap_or_else(|_| NickelValue::null());
    closed(cache, value)
}

/// The same data with each inner record as a closure.
///
/// Nickel takes imported data as it is, and a debug build of it panics when that is merged with anything.
pub(super) fn closed(cache: &mut BoundedCache, value: NickelValue) -> NickelValue {
    let position = value.pos_idx();
    match value.content_ref() {
        ValueContentRef::Record(Container::Alloc(record)) => {
            let fields = record.fields.iter().map(|(name, field)| {
                let mut field = field.clone();
                let inner = field.value.take().map(|inner| closed(cache, inner));
                field.value = inner.map(|inner| inner.closurize(cache, Environment::new()));
                (*name, field)
            });
            let fields = fields.collect();
            NickelValue::record(RecordData::new(fields, record.attrs, None), position)
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
