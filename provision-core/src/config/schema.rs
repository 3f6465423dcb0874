//! From a JSON Schema to the expression of a Nickel contract.

use std::fmt::Write;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::contracts::NAMED;

/// Definitions may refer to each other; what is nested deeper than this is recursive, and accepted as it is.
pub(super) const MAX_DEPTH: usize = 8;

/// Writes contracts for the schemas of one type.
pub(super) struct Writer<'s> {
    /// What `#/...` references start from.
    pub(super) root: &'s Value,
}

impl<'s> Writer<'s> {
    pub(super) fn new(root: &'s Value) -> Writer<'s> {
        Writer { root }
    }

    /// The record contract of the whole type.
    pub(super) fn whole(&self, indent: usize) -> String {
        let (schema, _) = self.resolve(self.root);
        match schema.as_object().filter(|object| object.contains_key("properties")) {
            Some(object) => self.record(object, indent, 0),
            None => self.contract(self.root, indent, 0),
        }
    }

    /// One expression for the contract of a schema.
    fn contract(&self, schema: &Value, indent: usize, depth: usize) -> String {
        let (target, named) = self.resolve(schema);
        if let Some(name) = named {
            return if admits_null(target) { format!("(nullable {name})") } else { name.to_owned() };
        }
        let Some(object) = target.as_object().filter(|_| depth < MAX_DEPTH) else { return "Dyn".to_owned() };
        if let Some(constant) = object.get("const") {
            return self.one_of(std::slice::from_ref(constant));
        }
        if let Some(Value::Array(choices)) = object.get("enum") {
            return self.one_of(choices);
        }
        for key in ["oneOf", "anyOf"] {
            if let Some(Value::Array(alternatives)) = object.get(key) {
                return self.any_of(alternatives, indent, depth);
            }
        }
        if let Some(Value::Array(parts)) = object.get("allOf") {
            return match parts.as_slice() {
                [only] => self.contract(only, indent, depth + 1),
                _ => "Dyn".to_owned(),
            };
        }
        match object.get("type") {
            Some(Value::String(kind)) => self.of_kind(kind, object, indent, depth),
            Some(Value::Array(kinds)) => {
                let nullable = kinds.iter().any(|kind| kind == "null");
                let kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
                let contracts = kinds.map(|kind| self.of_kind(kind, object, indent, depth)).collect();
                union(contracts, nullable)
            }
            _ if object.contains_key("properties") => self.record(object, indent, depth),
            _ => "Dyn".to_owned(),
        }
    }

    fn of_kind(&self, kind: &str, object: &Map<String, Value>, indent: usize, depth: usize) -> String {
        match kind {
            "string" => match object.get("pattern").and_then(Value::as_str) {
                Some(pattern) => format!("(matching {})", string(pattern)),
                None => "String".to_owned(),
            },
            "boolean" => "Bool".to_owned(),
            "integer" => format!("(integer_between {})", limits(object)),
            "number" => match limits(object) {
                limits if limits == "null null" => "Number".to_owned(),
                limits => format!("(number_between {limits})"),
            },
            "array" => match object.get("items").map(|items| self.contract(items, indent, depth + 1)) {
                Some(items) => format!("(Array {items})"),
                None => "(Array Dyn)".to_owned(),
            },
            "object" if object.contains_key("properties") => self.record(object, indent, depth),
            "object" if object.contains_key("patternProperties") => self.by_pattern(object, indent, depth),
            "object" => match object.get("additionalProperties") {
                Some(values @ Value::Object(_)) => format!("{{ _ | {} }}", self.contract(values, indent, depth + 1)),
                Some(Value::Bool(false)) => "{}".to_owned(),
                _ => "{ _ | Dyn }".to_owned(),
            },
            "null" => "(nullable (check (fun _value => \"expected null\")))".to_owned(),
            _ => "Dyn".to_owned(),
        }
    }

    /// A dictionary of which the names are to match a pattern.
    fn by_pattern(&self, object: &Map<String, Value>, indent: usize, depth: usize) -> String {
        let patterns = object.get("patternProperties").and_then(Value::as_object);
        let closed = object.get("additionalProperties") == Some(&Value::Bool(false));
        let mut patterns = patterns.into_iter().flatten();
        match (patterns.next(), patterns.next()) {
            (Some((pattern, values)), None) if closed => format!(
                "(std.contract.Sequence [names_matching {}, {{ _ | {} }}])",
                string(pattern),
                self.contract(values, indent, depth + 1)
            ),
            _ => "{ _ | Dyn }".to_owned(),
        }
    }

    /// A closed record, unless the schema says that it admits more.
    fn record(&self, object: &Map<String, Value>, indent: usize, depth: usize) -> String {
        let inner = indent + 1;
        let pad = "  ".repeat(inner);
        let mut text = "{\n".to_owned();
        let required: Vec<&str> =
            object.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, schema) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let _ = write!(text, "{pad}{}\n{pad}  | {}", field_name(name), self.contract(schema, inner + 1, depth + 1));
            if let Some(doc) = self.documentation(schema) {
                let _ = write!(text, "\n{pad}  | doc {}", documentation(&doc, inner + 2));
            }
            if !required.contains(&name.as_str()) {
                let _ = write!(text, "\n{pad}  | optional");
            }
            text.push_str(",\n");
        }
        if matches!(object.get("additionalProperties"), Some(Value::Bool(true) | Value::Object(_))) {
            let _ = writeln!(text, "{pad}..");
        }
        let _ = write!(text, "{}}}", "  ".repeat(indent));
        text
    }

    fn any_of(&self, alternatives: &[Value], indent: usize, depth: usize) -> String {
        // Unit variants that have documentation come one by one: together they are an enumeration.
        let mut choices: Vec<Value> = Vec::new();
        let mut contracts: Vec<String> = Vec::new();
        let mut nullable = false;
        for alternative in alternatives {
            let (target, named) = self.resolve(alternative);
            if is_null(target) {
                nullable = true;
            } else if let (Some(constant), None) = (target.get("const"), named) {
                choices.push(constant.clone());
            } else if let (Some(Value::Array(several)), None) = (target.get("enum"), named) {
                choices.extend(several.iter().cloned());
            } else {
                contracts.push(self.contract(alternative, indent, depth + 1));
            }
        }
        if !choices.is_empty() {
            contracts.insert(0, self.one_of(&choices));
        }
        contracts.dedup();
        union(contracts, nullable)
    }

    /// An enumeration. Strings are accepted as enum tags too; a pattern is much cheaper than a search in an array.
    fn one_of(&self, choices: &[Value]) -> String {
        let mut patterns = Vec::new();
        let mut shown = Vec::new();
        for choice in choices {
            match choice {
                Value::String(name) => {
                    patterns.push(format!("{} or {}", tag(name), string(name)));
                    shown.push(tag(name));
                }
                other => {
                    patterns.push(other.to_string());
                    shown.push(other.to_string());
                }
            }
        }
        let shown = string(&shown.join(", "));
        format!("(one_of (match {{ {} => true, _ => false }}) {shown})", patterns.join(" or "))
    }

    /// The schema behind references, and the contract of the prelude that is asked for on the way.
    pub(super) fn resolve<'v>(&'v self, schema: &'v Value) -> (&'v Value, Option<&'v str>) {
        let mut target = schema;
        for _ in 0..MAX_DEPTH {
            if let Some(name) = target.get("x-nickel").and_then(Value::as_str)
                && NAMED.iter().any(|(known, _)| *known == name)
            {
                return (target, Some(name));
            }
            let pointer = target.get("$ref").and_then(Value::as_str).and_then(|at| at.strip_prefix('#'));
            let Some(next) = pointer.and_then(|pointer| self.root.pointer(pointer)) else { break };
            target = next;
        }
        (target, None)
    }

    /// What to say of an attribute: its description and its default.
    fn documentation(&self, schema: &Value) -> Option<String> {
        let description = |schema: &Value| schema.get("description").and_then(Value::as_str).map(str::to_owned);
        let text = description(schema).or_else(|| description(self.resolve(schema).0));
        // Nothing, and records of nothing, say no more than that the attribute can be left out.
        let is_nothing = |value: &Value| match value {
            Value::Null | Value::Object(_) => true,
            Value::Array(elements) => elements.is_empty(),
            _ => false,
        };
        let default = schema.get("default").filter(|default| !is_nothing(default));
        match (text, default) {
            (text, None) => text,
            (Some(text), Some(default)) => Some(format!("{text}\n\nDefault: `{default}`.")),
            (None, Some(default)) => Some(format!("Default: `{default}`.")),
        }
    }
}

fn union(mut contracts: Vec<String>, nullable: bool) -> String {
    let contract = match contracts.len() {
        0 => "Dyn".to_owned(),
        1 => contracts.remove(0),
        _ => format!("(std.contract.any_of [{}])", contracts.join(", ")),
    };
    if nullable { format!("(nullable {contract})") } else { contract }
}

pub(super) fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

fn admits_null(schema: &Value) -> bool {
    let kinds = schema.get("type").and_then(Value::as_array).into_iter().flatten();
    let alternatives = ["anyOf", "oneOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
    kinds.into_iter().any(|kind| kind == "null") || alternatives.into_iter().any(is_null)
}

/// The least and the greatest number that a schema admits.
fn bounds(object: &Map<String, Value>) -> [Option<Value>; 2] {
    // A Rust integer has limits of its own, which schemars tells as a format.
    let own = |name: &str| match (name, object.get("format").and_then(Value::as_str)) {
        ("minimum", Some("uint8" | "uint16" | "uint32" | "uint64" | "uint")) => Some(0.into()),
        ("maximum", Some("uint8")) => Some(u8::MAX.into()),
        ("maximum", Some("uint16")) => Some(u16::MAX.into()),
        ("maximum", Some("uint32")) => Some(u32::MAX.into()),
        ("minimum", Some("int32")) => Some(i32::MIN.into()),
        ("maximum", Some("int32")) => Some(i32::MAX.into()),
        _ => None,
    };
    ["minimum", "maximum"].map(|name| object.get(name).filter(|limit| limit.is_number()).cloned().or_else(|| own(name)))
}

fn limits(object: &Map<String, Value>) -> String {
    // A negative argument has to be in parentheses.
    let limit = |limit: Option<Value>| limit.map_or_else(|| "null".to_owned(), |number| format!("({number})"));
    let [least, most] = bounds(object).map(limit);
    format!("{least} {most}")
}

/// The whole numbers that a schema admits; `None` if its limits are no whole numbers.
pub(super) fn limits_of(object: &Map<String, Value>) -> Option<RangeInclusive<i128>> {
    let whole = |limit: Option<Value>, none: i128| match limit {
        Some(limit) => limit.as_i64().map(i128::from).or_else(|| limit.as_u64().map(i128::from)),
        None => Some(none),
    };
    let [least, most] = bounds(object);
    Some(whole(least, i128::MIN)?..=whole(most, i128::MAX)?)
}

const KEYWORDS: [&str; 20] = [
    "let", "rec", "fun", "if", "then", "else", "in", "import", "match", "forall", "or", "as", "include", "null",
    "true", "false", "Dyn", "Number", "Bool", "String",
];

fn is_identifier(name: &str) -> bool {
    let mut characters = name.trim_start_matches('_').chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '\''))
        && !KEYWORDS.contains(&name)
}

/// A name as the name of a field.
pub(super) fn field_name(name: &str) -> String {
    if is_identifier(name) { name.to_owned() } else { string(name) }
}

/// A name as an enum tag.
fn tag(name: &str) -> String {
    if is_identifier(name) { format!("'{name}") } else { format!("'{}", string(name)) }
}

/// A text as a string of Nickel's.
pub(super) fn string(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace("%{", "\\%{");
    format!("\"{}\"", escaped.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t"))
}

/// A text as documentation: in one line if it is one, else as a block that is indented.
pub(super) fn documentation(text: &str, indent: usize) -> String {
    if !text.trim().contains('\n') {
        return string(text.trim());
    }
    let mut percents = "%".to_owned();
    while text.contains(&format!("\"{percents}")) || text.contains(&format!("{percents}{{")) {
        percents.push('%');
    }
    let pad = "  ".repeat(indent);
    let lines = text.trim().lines().map(|line| match line.trim_end() {
        "" => "\n".to_owned(),
        line => format!("{pad}{line}\n"),
    });
    format!("m{percents}\"\n{}{pad}\"{percents}", lines.collect::<String>())
}
