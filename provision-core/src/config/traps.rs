//! What probably happened where Nickel only says what it stumbled over.

use crate::diagnostic::{Diagnostic, Sources};

/// Says what would help, if Nickel does not.
pub(super) fn explain(diagnostic: &mut Diagnostic, sources: &Sources) {
    if diagnostic.help.is_some() {
        return;
    }
    let message = diagnostic.message.as_str();
    diagnostic.help = if message == "unbound identifier `facts`" {
        let help =
            "facts are in the library: begin the file with `let p = import \"provision.ncl\" in`, and write `p.facts`";
        Some(help.to_owned())
    } else if message.contains("infinite recursion") {
        let help = "the fields of a record see each other, so `content = content` means itself: give the outer value another \
                    name, as in `let text = … in { content = text }`";
        Some(help.to_owned())
    } else if message.starts_with("unexpected token") || message.starts_with("unexpected end of file") {
        let label = diagnostic.labels.iter().find(|label| label.primary).or(diagnostic.labels.first());
        label.and_then(|label| {
            let text = sources.get(&label.span.file)?;
            syntax(text, label.span.start, message.starts_with("unexpected end"))
        })
    } else if diagnostic.labels.iter().any(|label| label.message.contains("has type Other, but")) {
        Some(
            "it is null: in a root directory some facts are, so ask `if x == null`; `--facts FILE` and `--set facts.…` try \
              the site with others, in `validate`, `graph` and with `--simulate`"
                .to_owned(),
        )
    } else {
        None
    };
}

/// What is probably missing before a place where the parser gave up.
fn syntax(text: &str, at: usize, at_end: bool) -> Option<String> {
    let before = text.get(..at.min(text.len()))?;
    if at_end {
        let begins = text.rfind("m%\"")?;
        if text[begins + 3..].contains("\"%") {
            return None;
        }
        let line = text[..begins].matches('\n').count() + 1;
        return Some(format!("the text that begins with `m%\"` in line {line} has no end: close it with `\"%`"));
    }
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let this_line = &before[line_start..];
    let after = &text[before.len()..];
    if after.starts_with('/') || this_line.trim_end().ends_with('/') || this_line.contains("= /") {
        return Some("a path is a text: write it in quotes, as in \"/bin/bash\"".to_owned());
    }
    let before_it = before.trim_end();
    let is_new_line = before[before_it.len()..].contains('\n') || this_line.trim().chars().all(is_of_name);
    let last = before_it.chars().last()?;
    if is_new_line && !this_line.trim_start().starts_with(['{', '[']) {
        let (number, end) = match before[before_it.len()..].contains('\n') {
            true => (before_it.matches('\n').count() + 1, last),
            false => {
                let lines = before[..line_start].trim_end();
                (lines.matches('\n').count() + 1, lines.chars().last()?)
            }
        };
        if !matches!(end, ',' | '{' | '[' | '(' | '=' | ';' | '&' | '|') {
            return Some(format!("a comma may be missing at the end of line {number}"));
        }
    }
    None
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '.' | '"' | '/')
}

#[cfg(test)]
mod tests {
    use super::super::tests::help_of;

    #[test]
    fn what_newcomers_stumble_over_gets_help() {
        for (text, help) in [
            (
                "{\n  resources.file.\"/a\" = {\n    content = \"x\"\n    mode = \"0644\",\n  },\n}",
                "a comma may be missing at the end of line 3",
            ),
            (
                "{\n  resources.file.\"/a\" = {}\n  resources.file.\"/b\" = {},\n}",
                "a comma may be missing at the end of line 2",
            ),
            ("{ resources.user.a.shell = /bin/bash }", "write it in quotes"),
            ("{ resources.file.\"/a\".content = m%\"\n  text\n}", "line 1 has no end"),
            ("let content = \"x\" in { resources.file.\"/a\" = { content = content } }", "means itself"),
            ("let p = import \"provision.ncl\" in { resources.file.\"/a\".size = p.facts.n + 1 }", "some facts are"),
            ("{ resources.file.\"/a\".size = facts.n + 1 }", "and write `p.facts`"),
        ] {
            let found = help_of(text);
            assert!(found.contains(help), "{text}\n{found}");
        }
    }
}
