//! The syntax of apt.conf(5): how settings are written, and what a file means.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::settings::Scalar;

/// The value of a setting of apt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a value is true or false, a whole number, a string, or a list of these")]
pub enum Setting {
    /// One value.
    One(Scalar),
    /// All elements of a list; those of earlier files are dropped.
    List(Vec<Scalar>),
}

impl<T: Into<Scalar>> From<T> for Setting {
    fn from(value: T) -> Setting {
        Setting::One(value.into())
    }
}

/// The lines that give settings these values.
pub(crate) fn write<'a>(settings: impl IntoIterator<Item = (&'a str, &'a Setting)>) -> String {
    let lines = |(key, setting): (&str, &Setting)| match setting {
        Setting::One(value) => format!("{key} \"{value}\";\n"),
        Setting::List(values) => {
            let elements: String = values.iter().map(|value| format!("{key}:: \"{value}\";\n")).collect();
            format!("#clear {key};\n{elements}")
        }
    };
    settings.into_iter().map(lines).collect()
}

/// Whether apt can be given this value: a string has no escapes, and a tab in it becomes blanks.
pub(crate) fn can_be_written(value: &Scalar) -> bool {
    !value.to_string().contains(|c: char| c == '"' || c.is_control())
}

/// The host of a URI, with what stands before it: a user and a password, which every user could read in a file of apt.
pub(crate) fn authority_of(uri: &str) -> Option<&str> {
    uri.split_once("://").and_then(|(_, rest)| rest.split('/').next())
}

/// Whether apt takes this for the name of a setting.
pub(crate) fn is_key(key: &str) -> bool {
    key.split("::").all(|part| !part.is_empty() && !part.starts_with(':'))
        && !key.contains("//")
        && key.bytes().all(is_of_a_key)
}

fn is_of_a_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b":/._+-".contains(&byte)
}

/// What apt does when it reads a text, step by step: settings in small letters with their values, or `null` where one is cleared.
/// `None` for all that apt may read in another way, among it comments behind a setting and values without quotes.
pub(crate) fn read(text: &str) -> Option<Value> {
    if text.contains(|c: char| c.is_control() && c != '\n' && c != '\t') {
        return None;
    }
    let (mut steps, mut scopes, mut words) = (Vec::new(), Vec::new(), Vec::new());
    for line in text.split('\n').map(|line| line.trim_matches([' ', '\t'])) {
        let lower = line.to_ascii_lowercase();
        if lower.starts_with("#clear") || lower.starts_with("#include") {
            let key = line.strip_prefix("#clear ")?.strip_suffix(';').filter(|key| is_key(key))?;
            if !scopes.is_empty() || !words.is_empty() {
                return None;
            }
            steps.push((key.to_ascii_lowercase(), None));
        } else if !line.starts_with('#') && !line.starts_with("//") {
            for token in tokens(line)? {
                match (token, words.as_slice()) {
                    (Token::Begin, [Token::Name(name)]) if is_key(name) => {
                        scopes.push(name.to_ascii_lowercase());
                        words.clear();
                    }
                    (Token::End, []) => {
                        scopes.pop()?;
                    }
                    (Token::Stop, []) => {}
                    (Token::Stop, [name @ .., Token::Text(value)]) => {
                        steps.push((setting(&scopes, name)?, Some(*value)));
                        words.clear();
                    }
                    (token @ (Token::Name(_) | Token::Text(_)), _) => words.push(token),
                    _ => return None,
                }
            }
        }
    }
    (scopes.is_empty() && words.is_empty()).then(|| json!(steps))
}

/// The setting that a value is for, in these scopes.
fn setting(scopes: &[String], name: &[Token<'_>]) -> Option<String> {
    let name = match *name {
        [] if !scopes.is_empty() => "",
        [Token::Name(name)] if is_key(name) || scopes.is_empty() && name.strip_suffix("::").is_some_and(is_key) => name,
        _ => return None,
    };
    let parts: Vec<&str> = scopes.iter().map(String::as_str).chain([name]).collect();
    Some(parts.join("::").to_ascii_lowercase())
}

#[derive(Clone, Copy)]
enum Token<'a> {
    Name(&'a str),
    Text(&'a str),
    Begin,
    End,
    Stop,
}

fn tokens(line: &str) -> Option<Vec<Token<'_>>> {
    let (mut tokens, mut rest) = (Vec::new(), line);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => {
                let text = rest[1..].split_once('"')?.0;
                // Two strings side by side are one.
                let is_followed =
                    rest[text.len() + 2..].starts_with([' ', '\t', ';', '{', '}']) || rest.len() == text.len() + 2;
                if text.contains('\t') || !is_followed {
                    return None;
                }
                tokens.push(Token::Text(text));
                text.len() + 2
            }
            '{' | '}' | ';' => {
                tokens.push(if first == '{' {
                    Token::Begin
                } else if first == '}' {
                    Token::End
                } else {
                    Token::Stop
                });
                1
            }
            _ => {
                let name = rest.split([' ', '\t', '{', '}', ';']).next()?;
                if !name.bytes().all(is_of_a_key) || name.contains("//") {
                    return None;
                }
                tokens.push(Token::Name(name));
                name.len()
            }
        };
        rest = rest[length..].trim_start_matches([' ', '\t']);
    }
    Some(tokens)
}
