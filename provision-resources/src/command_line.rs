//! [`CommandLine`]: a command as people write it, without a shell.

use std::borrow::Cow;

use provision_core::resource::AttributeError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A command: a string that is split into words at white space, or an array of words.
///
/// Quotes and backslashes keep a word together as in a shell. Nothing else of a shell works, and what only a shell
/// would understand is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a command is a string, or an array of strings")]
pub enum CommandLine {
    /// As one string, to be split.
    Text(String),
    /// Word by word.
    Words(Vec<String>),
}

impl From<&str> for CommandLine {
    fn from(text: &str) -> CommandLine {
        CommandLine::Text(text.to_owned())
    }
}

impl<const N: usize> From<[&str; N]> for CommandLine {
    fn from(words: [&str; N]) -> CommandLine {
        CommandLine::Words(words.map(str::to_owned).to_vec())
    }
}

impl CommandLine {
    /// The program and its arguments.
    ///
    /// # Errors
    /// There is no program, a quote is open, or only a shell would understand it. The error is one of `attribute`.
    pub fn words(&self, attribute: &str) -> Result<Vec<String>, AttributeError> {
        let words = match self {
            CommandLine::Words(words) => words.clone(),
            CommandLine::Text(text) => split(text, attribute)?,
        };
        if words.first().is_none_or(String::is_empty) {
            return Err(AttributeError::new(attribute, "the command has no program"));
        }
        if words.iter().any(|word| word.contains('\0')) {
            return Err(AttributeError::new(attribute, "the command holds a NUL byte"));
        }
        Ok(words)
    }
}

/// What a shell would not take as it is.
const OF_A_SHELL: [char; 8] = ['|', '&', ';', '<', '>', '$', '`', '\n'];

fn split(text: &str, attribute: &str) -> Result<Vec<String>, AttributeError> {
    let needs_a_shell = |what: char| {
        AttributeError::new(attribute, format!("{what:?} would need a shell, and commands run without one"))
            .help("put it in single quotes if the program shall see it; otherwise write [\"sh\", \"-c\", \"…\"]")
    };
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                let unclosed = || AttributeError::new(attribute, format!("the quote {character} is not closed"));
                loop {
                    match characters.next().ok_or_else(unclosed)? {
                        end if end == character => break,
                        '\\' if character == '"' => {
                            let next = characters.next().ok_or_else(unclosed)?;
                            if !matches!(next, '"' | '\\' | '$' | '`') {
                                word.push('\\');
                            }
                            word.push(next);
                        }
                        expanded @ ('$' | '`') if character == '"' => return Err(needs_a_shell(expanded)),
                        plain => word.push(plain),
                    }
                }
            }
            '\\' => match characters.next() {
                Some(next) => word.get_or_insert_default().push(next),
                None => return Err(AttributeError::new(attribute, "the command ends with a backslash")),
            },
            shell if OF_A_SHELL.contains(&shell) => return Err(needs_a_shell(shell)),
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    Ok(words)
}

impl JsonSchema for CommandLine {
    fn schema_name() -> Cow<'static, str> {
        "CommandLine".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Result<Vec<String>, String> {
        CommandLine::from(text).words("validate").map_err(|error| error.message)
    }

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(words("visudo -cf %").unwrap(), ["visudo", "-cf", "%"]);
        assert_eq!(words(r#" a  'b c'"d e" '' "\"\x" \' "#).unwrap(), ["a", "b cd e", "", "\"\\x", "'"]);
        assert_eq!(words("grep '$x|y' %").unwrap(), ["grep", "$x|y", "%"]);
    }

    #[test]
    fn what_needs_a_shell_is_refused() {
        for text in ["a | b", "a && b", "a; b", "a > b", "a < b", "echo $HOME", "echo `b`", "echo \"$HOME\"", "a\nb"] {
            assert!(words(text).unwrap_err().contains("would need a shell"), "{text}");
        }
        for text in ["", "  ", "''", "a 'b", "a \"b", "a \\"] {
            assert!(words(text).is_err(), "{text:?}");
        }
        let error = serde_json::from_str::<CommandLine>("1").unwrap_err().to_string();
        assert_eq!(error, "a command is a string, or an array of strings");
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(expected in proptest::collection::vec("[^\0]{1,8}", 1..4)) {
            let quoted: Vec<String> = expected.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
            prop_assert_eq!(words(&quoted.join(" ")).unwrap(), expected);
        }
    }
}
