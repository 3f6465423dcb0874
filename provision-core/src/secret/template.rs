//! Texts with secrets in them: `{{name}}` stands for the secret of that name.

use crate::effect::Sensitive;
use crate::error::Result;
use zeroize::Zeroizing;

/// A text with secrets in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template<'t> {
    parts: Vec<Part<'t>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part<'t> {
    Text(&'t str),
    Secret(&'t str),
}

impl<'t> Template<'t> {
    /// Reads a template. There is no way to write `{{` itself; a text that needs it can hold it in a secret.
    ///
    /// # Errors
    /// What is wrong: a `{{` without its `}}`, or nothing between them.
    pub fn parse(text: &'t str) -> Result<Template<'t>, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, after)) = after.split_once("}}") else {
                let near: String = after.chars().take(20).collect();
                return Err(format!("`{{{{{near}` has no `}}}}` after it"));
            };
            parts.push(Part::Text(before));
            parts.push(Part::Secret(name.trim()));
            rest = after;
        }
        parts.push(Part::Text(rest));
        Ok(Template { parts })
    }

    /// The secrets that it names, in order.
    pub fn names(&self) -> impl Iterator<Item = &'t str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Secret(name) => Some(*name),
            Part::Text(_) => None,
        })
    }

    /// The text with the secrets in their places. One line break at the end of a secret is left out: editors and `echo` put
    /// one there.
    ///
    /// # Errors
    /// A secret cannot be read.
    pub fn fill(&self, read: impl Fn(&str) -> Result<Sensitive>) -> Result<Sensitive> {
        let mut secrets = Vec::new();
        for part in &self.parts {
            secrets.push(match part {
                Part::Text(_) => None,
                Part::Secret(name) => Some(read(name)?),
            });
        }
        let pieces = self.parts.iter().zip(&secrets).map(|(part, secret)| match (part, secret) {
            (_, Some(secret)) => without_line_break(secret.reveal()),
            (Part::Text(text) | Part::Secret(text), None) => text,
        });
        let pieces: Vec<&str> = pieces.collect();
        // Its length is known, so that it does not move and leave copies behind.
        let mut filled = Zeroizing::new(String::with_capacity(pieces.iter().map(|piece| piece.len()).sum()));
        pieces.iter().for_each(|piece| filled.push_str(piece));
        Ok(Sensitive::new(std::mem::take(&mut *filled)))
    }
}

fn without_line_break(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_without_braces_is_itself(text in "[^{}]{0,40}") {
            let template = Template::parse(&text).unwrap();
            let filled = template.fill(|_| unreachable!()).unwrap();
            prop_assert_eq!(filled.reveal(), &text);
        }

        #[test]
        fn every_name_is_filled_in(parts in proptest::collection::vec(("[a-z \n{}]{0,6}", "[a-z]{1,4}"), 0..5)) {
            let text: String = parts.iter().map(|(before, name)| format!("{}{{{{{name}}}}}", before.replace("{{", ""))).collect();
            if let Ok(template) = Template::parse(&text) {
                let filled = template.fill(|name| Ok(Sensitive::new(format!("<{name}>\n")))).unwrap();
                prop_assert_eq!(filled.reveal().matches('<').count(), template.names().count());
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[{} a]{0,30}") {
            let _ = Template::parse(&text);
        }
    }
}
