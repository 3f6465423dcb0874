//! Values written as JSON, TOML, YAML and INI: the same bytes for the same value, with a final newline.
//!
//! Keys are sorted, because the records of a site have no order.

use provision_core::resource::AttributeError;
use serde_json::Value;

/// A record of a site.
pub(crate) type Record = std::collections::BTreeMap<String, Value>;

/// The place of a mistake within a value: keys and indices, the attribute first.
struct Place<'a> {
    above: Option<&'a Place<'a>>,
    key: &'a str,
}

impl Place<'_> {
    fn at<'a>(&'a self, key: &'a str) -> Place<'a> {
        Place { above: Some(self), key }
    }

    fn mistake(&self, message: impl Into<String>) -> AttributeError {
        let mut path: Vec<String> =
            std::iter::successors(Some(self), |place| place.above).map(|place| place.key.to_owned()).collect();
        path.reverse();
        AttributeError::at(path, message)
    }
}

/// A value with the keys of all its records sorted.
fn sorted(value: &Value) -> Value {
    let mut value = value.clone();
    value.sort_all_objects();
    value
}

/// JSON with an indentation of two spaces.
pub(crate) fn json(value: &Value) -> Result<String, Vec<AttributeError>> {
    let text = serde_json::to_string_pretty(&sorted(value));
    text.map(|text| text + "\n").map_err(|error| vec![AttributeError::new("json", error.to_string())])
}

/// YAML in block style, its strings quoted wherever YAML 1.1 or 1.2 would read something else.
pub(crate) fn yaml(value: &Value) -> Result<String, Vec<AttributeError>> {
    // Folding long lines would change nothing but how they look.
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    let text = serde_saphyr::to_string_with_options(&sorted(value), options);
    let text = text.map_err(|error| vec![AttributeError::new("yaml", error.to_string())])?;
    Ok(if text.ends_with('\n') { text } else { text + "\n" })
}

/// TOML; the values of a table come before the tables in it.
pub(crate) fn toml(record: &Record) -> Result<String, Vec<AttributeError>> {
    let mut mistakes = Vec::new();
    let place = Place { above: None, key: "toml" };
    let table = toml_table(record.iter(), &place, &mut mistakes);
    if mistakes.is_empty() {
        match ::toml::to_string_pretty(&table) {
            Ok(text) => return Ok(text),
            Err(error) => mistakes.push(place.mistake(error.to_string())),
        }
    }
    Err(mistakes)
}

fn toml_table<'a>(
    record: impl Iterator<Item = (&'a String, &'a Value)>,
    place: &Place<'_>,
    mistakes: &mut Vec<AttributeError>,
) -> ::toml::Table {
    record.filter_map(|(key, value)| Some((key.clone(), toml_value(value, &place.at(key), mistakes)?))).collect()
}

fn toml_value(value: &Value, place: &Place<'_>, mistakes: &mut Vec<AttributeError>) -> Option<::toml::Value> {
    Some(match value {
        Value::Null => {
            mistakes.push(place.mistake("TOML has no null").help("leave the key out"));
            return None;
        }
        Value::Bool(value) => (*value).into(),
        Value::String(value) => value.as_str().into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => integer.into(),
            (None, Some(float)) if number.is_f64() => float.into(),
            _ => {
                mistakes.push(place.mistake(format!("{number} is too large for TOML, whose integers have 64 bits")));
                return None;
            }
        },
        Value::Array(values) => {
            let mut value_at =
                |(index, value): (usize, &Value)| toml_value(value, &place.at(&index.to_string()), mistakes);
            ::toml::Value::Array(values.iter().enumerate().filter_map(&mut value_at).collect())
        }
        Value::Object(record) => toml_table(record.iter(), place, mistakes).into(),
    })
}

/// INI as systemd, git and most other programs read it: `key=value`, values as they are; an array repeats its key.
/// Values outside of a section come first.
pub(crate) fn ini(record: &Record) -> Result<String, Vec<AttributeError>> {
    let mut mistakes = Vec::new();
    let mut text = String::new();
    let all = Place { above: None, key: "ini" };
    let (sections, top): (Vec<_>, Vec<_>) = record.iter().partition(|(_, value)| value.is_object());
    for (key, value) in top {
        ini_line(&mut text, key, value, &all.at(key), &mut mistakes);
    }
    for (name, section) in sections {
        let place = all.at(name);
        if name.is_empty() || name.trim() != name || name.contains(']') || name.contains(char::is_control) {
            mistakes.push(place.mistake(format!("{name:?} cannot be the name of a section")));
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("[{name}]\n"));
        let mut keys: Vec<_> = section.as_object().into_iter().flatten().collect();
        keys.sort_unstable_by_key(|(key, _)| *key);
        for (key, value) in keys {
            ini_line(&mut text, key, value, &place.at(key), &mut mistakes);
        }
    }
    if mistakes.is_empty() { Ok(text) } else { Err(mistakes) }
}

fn ini_line(text: &mut String, key: &str, value: &Value, place: &Place<'_>, mistakes: &mut Vec<AttributeError>) {
    let unusable = key.is_empty() || key.trim() != key || key.starts_with(['[', '#', ';']) || key.contains('=');
    if unusable || key.contains(char::is_control) {
        mistakes.push(place.mistake(format!("{key:?} cannot be a key")));
    }
    let mut write = |value: &Value, place: &Place<'_>| {
        let scalar = match value {
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => number.to_string(),
            Value::String(value) => value.clone(),
            Value::Null => return mistakes.push(place.mistake("INI has no null").help("leave the key out")),
            Value::Array(_) | Value::Object(_) => {
                return mistakes.push(place.mistake("INI has no place for a value within a value"));
            }
        };
        if scalar.contains(char::is_control) {
            mistakes.push(place.mistake("a value of INI is one line").help("write the file with `content`"));
        } else if scalar.trim() != scalar {
            let message = "white space around a value is not read back from INI";
            mistakes.push(place.mistake(message).help("quote it as the program that reads the file wants it"));
        }
        text.push_str(&format!("{key}={scalar}\n"));
    };
    match value {
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(index, value)| write(value, &place.at(&index.to_string())));
        }
        value => write(value, place),
    }
}

#[cfg(test)]
mod tests;
