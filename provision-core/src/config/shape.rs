//! The frame of a site: which fields it has at the top, and what `resources` holds.
//!
//! The `Site` contract is open at the top, because a closed one would refuse the helper fields that are marked
//! `not_exported`. What is exported is checked here.

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::run::Retention;

use super::tests_of_site as tests;
use super::{Data, Field, Located};
use crate::site::StartingState;

/// The fields of a site.
const FIELDS: [&str; 8] =
    ["provision_version", "name", "on_failure", "prune", "journal", "resources", "tests", "test_host"];

/// Says what is wrong with the frame, and takes it out of the tree so that nothing stumbles over it.
pub(super) fn check(tree: &mut Located) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let Data::Record(fields) = &mut tree.value else {
        diagnostics.push(
            Diagnostic::error(format!("a site is a record, but this is {}", tree.kind()))
                .at(tree.span.clone(), "")
                .help("write `{ resources = { .. } }`, or `{}` for a site of nothing"),
        );
        tree.value = Data::Record(Vec::new());
        return diagnostics;
    };
    fields.retain_mut(|field| match field.name.as_str() {
        "resources" => check_resources(field, &mut diagnostics),
        "provision_version" => match field.value.value {
            Data::String(_) => true,
            _ => {
                diagnostics.push(unlike(field, "`provision_version` is a string such as \"^0.1\""));
                false
            }
        },
        "name" => match field.value.as_str() {
            Some(name) if matches!(field.value.value, Data::String(_)) && is_name(name) => true,
            _ => {
                let rule =
                    "`name` is a string of letters, digits, `-`, `_` and `.`, at most 64 of them, such as \"web\"";
                diagnostics.push(unlike(field, rule));
                false
            }
        },
        "on_failure" => match field.value.as_str() {
            Some("continue" | "stop" | "rollback") => true,
            _ => {
                diagnostics.push(unlike(field, "`on_failure` is 'continue, 'stop or 'rollback"));
                false
            }
        },
        "prune" => match field.value.value {
            Data::Bool(_) => true,
            _ => {
                diagnostics.push(unlike(field, "`prune` is true or false"));
                false
            }
        },
        "journal" => match serde_json::from_value::<Retention>(field.value.to_json()) {
            Ok(Retention { runs: 1.., bytes: 1.. }) => true,
            other => {
                let why = other.map_or_else(|error| error.to_string(), |_| "at least 1 is kept".to_owned());
                let span = field.value.span.clone().or_else(|| field.name_span.clone());
                diagnostics.push(
                    Diagnostic::error(format!("`journal` does not say how much of the past is kept: {why}"))
                        .at(span, "")
                        .help("write it as `{ runs = 100, bytes = 1_000_000_000 }`, or one of the two"),
                );
                false
            }
        },
        "tests" => tests::check_all(field, &mut diagnostics),
        "test_host" => tests::check::<StartingState>(&field.value, "test_host", field, &mut diagnostics),
        _ => {
            diagnostics.push(unknown(field));
            false
        }
    });
    diagnostics
}

/// Whether a site may be called so.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn check_resources(field: &mut Field, diagnostics: &mut Vec<Diagnostic>) -> bool {
    let Data::Record(types) = &mut field.value.value else {
        diagnostics.push(unlike(field, "`resources` is a record of types: `resources.<type>.<name> = { .. }`"));
        return false;
    };
    types.retain_mut(|of_type| {
        let Data::Record(resources) = &mut of_type.value.value else {
            let rule =
                format!("`resources.{0}` is a record of resources: `resources.{0}.<name> = {{ .. }}`", of_type.name);
            diagnostics.push(unlike(of_type, &rule));
            return false;
        };
        resources.retain(|resource| {
            let fits = matches!(resource.value.value, Data::Record(_));
            if !fits {
                let rule = format!("the resource {}:{} is a record of attributes", of_type.name, resource.name);
                diagnostics.push(unlike(resource, &rule));
            }
            fits
        });
        true
    });
    true
}

pub(super) fn unlike(field: &Field, rule: &str) -> Diagnostic {
    let span = field.value.span.clone().or_else(|| field.name_span.clone());
    Diagnostic::error(format!("{rule}, but this is {}", field.value.kind())).at(span, "")
}

fn unknown(field: &Field) -> Diagnostic {
    let span = field.name_span.clone().or_else(|| field.value.span.clone());
    let diagnostic = Diagnostic::error(format!("a site has no field `{}`", field.name))
        .at(span, "unknown field")
        .note("A site has the fields `provision_version`, `name`, `on_failure`, `prune`, `journal`, `resources`, `tests` and `test_host`");
    match did_you_mean(&field.name, FIELDS) {
        Some(name) => diagnostic.help(format!("did you mean `{name}`?")),
        None => diagnostic.help("for a value of your own, use `let`, or mark the field `not_exported`"),
    }
}
