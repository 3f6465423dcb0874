//! Whatever texts stand in what is shown: every renderer keeps them in their place. A renderer without a row fails.

mod sample;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use clap::FromArgMatches;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use provision_core::bytes::escaped_byte;
use provision_core::error::{Error, ErrorKind, Errors};
use provision_core::observe::{Event, Observer};
use provision_core::plan::Plan;
use provision_core::report::Report;
use provision_core::testing::{Coverage, Failure as TestFailure};
use serde::Serialize;
use serde_json::{Deserializer, Value, json};

use super::events::Watcher;
use super::{diagnostics, error, events, facts, foreign, history, json as for_programs, markdown, plan, style, tests};
use crate::cli::{self, Arguments, Options};
use crate::commands::test::Outcome;
use crate::exit::Failure;
use crate::output::{self, captured};

use sample::Texts;

/// Stands in every hostile text, so that a text in a wrong place is found.
const MARK: char = '\u{a66e}';

/// What a renderer has to write.
enum Form {
    /// Text for people.
    Text(fn(&Texts, &Options)),
    /// Markdown.
    Markdown(fn(&Texts)),
    /// JSON; it gives the documents that have to be read back.
    Json(fn(&Texts, &Options) -> Vec<Value>),
    /// XML.
    Xml(fn(&Texts) -> String),
}

use Form::{Json, Markdown, Text, Xml};

/// Every renderer, by its module and name.
const RENDERERS: &[(&str, Form)] = &[
    ("diagnostics::all", Text(|texts, _| diagnostics::all(&texts.diagnostics()))),
    (
        "diagnostics::warnings",
        Text(|texts, _| {
            let found = texts.diagnostics();
            diagnostics::warnings(&found.list, &found.sources);
        }),
    ),
    ("error::show", Text(|texts, _| failures(texts).iter().for_each(error::show))),
    ("error::details", Text(|texts, _| error::details(&mut output::stdout(), "  ", &texts.error()).unwrap())),
    (
        "events::Watcher::event",
        Text(|texts, options| {
            let watcher = Watcher::new(options);
            texts.events().iter().for_each(|event| watcher.event(event));
        }),
    ),
    (
        "events::Watcher::event",
        Json(|texts, _| {
            let (options, events) = (options("--format json"), texts.events());
            let watcher = Watcher::new(&options);
            events.iter().for_each(|event| watcher.event(event));
            events.iter().map(value).collect()
        }),
    ),
    (
        "events::Watcher::finish",
        Text(|texts, options| {
            Watcher::new(options).finish(&texts.plan(), &texts.report()).unwrap();
        }),
    ),
    (
        "events::Watcher::finish",
        Json(|texts, _| {
            let (options, report) = (options("--format json"), texts.report());
            Watcher::new(&options).finish(&texts.plan(), &report).unwrap();
            let (event, schema) = ("report", "provision/report/1");
            vec![json!({ "event": event, "schema": schema, "success": report.is_success(), "report": report })]
        }),
    ),
    (
        "events::Watcher::progress",
        Json(|texts, _| {
            let (options, line) = (options("--format json"), texts.text());
            Watcher::new(&options).progress().unwrap()(&line);
            vec![json!({ "event": "progress", "text": line })]
        }),
    ),
    ("events::nothing_to_do", Text(|_, _| events::nothing_to_do(3, Duration::ZERO).unwrap())),
    ("facts::show", Text(|texts, _| facts::show(&texts.facts()).unwrap())),
    ("history::list", Text(|texts, _| history::list(&texts.summaries()).unwrap())),
    ("history::run", Text(|texts, options| history::run(&texts.run_record(), options).unwrap())),
    ("history::unfinished", Text(|_, _| history::unfinished(&[3]).unwrap())),
    ("history::recovered", Text(|texts, options| history::recovered(&texts.recovered(), options).unwrap())),
    (
        "history::recovered",
        Json(|texts, _| {
            let recovered = texts.recovered();
            history::recovered(&recovered, &options("--format json")).unwrap();
            recovered.iter().map(|run| json!({ "event": "recovered", "recovered": run })).collect()
        }),
    ),
    (
        "history::rollback",
        Text(|texts, options| {
            history::rollback(&texts.rollback(), &texts.text(), options).unwrap();
        }),
    ),
    ("history::left", Text(|texts, options| history::left(&texts.rollback(), options).unwrap())),
    (
        "json::print",
        Json(|texts, _| {
            let (plan, record, rollback) = (texts.plan(), texts.run_record(), texts.rollback());
            for_programs::print(&plan).unwrap();
            for_programs::print(&record).unwrap();
            for_programs::print(&rollback).unwrap();
            vec![value(&plan), value(&record), value(&rollback)]
        }),
    ),
    (
        "json::line",
        Json(|texts, _| {
            let report = texts.report();
            for_programs::line(&report).unwrap();
            vec![value(&report)]
        }),
    ),
    ("markdown::plan", Markdown(|texts| markdown::plan(&texts.plan(), &texts.text()).unwrap())),
    ("plan::show", Text(|texts, options| plan::show(&texts.plan(), &texts.text(), options).unwrap())),
    ("plan::show_steps", Text(|texts, options| plan::show_steps(&texts.plan(), options).unwrap())),
    (
        "plan::headline",
        Text(|texts, _| {
            let (id, says, at) = (texts.id(), texts.text(), texts.span());
            plan::headline(&mut output::stdout(), ("~", style::CHANGE), &id, &says, Some(&at)).unwrap();
        }),
    ),
    (
        "plan::show_failure",
        Text(|texts, _| {
            plan::show_failure(&mut output::stdout(), &texts.id(), &texts.error(), Some(&texts.span())).unwrap();
        }),
    ),
    (
        "plan::changes::show",
        Text(|texts, options| {
            plan::show_changes(&mut output::stdout(), &texts.changes(), options).unwrap();
        }),
    ),
    (
        "plan::packages::show",
        Text(|texts, _| {
            plan::show_packages(&mut output::stdout(), &texts.transactions()).unwrap();
        }),
    ),
    (
        "tests::show",
        Text(|texts, options| {
            tests::show(&outcomes(texts), &Coverage::default(), Duration::ZERO, options).unwrap();
        }),
    ),
    (
        "tests::show",
        Json(|texts, _| {
            let outcomes = outcomes(texts);
            tests::show(&outcomes, &Coverage::default(), Duration::ZERO, &options("--format json")).unwrap();
            vec![tests::document(&outcomes, &Coverage::default())]
        }),
    ),
    (
        "tests::show_untried",
        Text(|texts, _| {
            let places = [(texts.text(), Some(texts.text())), (texts.text(), None)];
            tests::show_untried(&mut output::stdout(), "No check has taken", &places).unwrap();
        }),
    ),
    ("tests::Progress::step", Text(|texts, options| tests::Progress::new(options, 1).step(&texts.text()))),
    ("tests::Progress::finish", Text(|_, options| tests::Progress::new(options, 1).finish())),
    ("tests::junit", Xml(|texts| tests::junit(&outcomes(texts)))),
];

fn options(arguments: &str) -> Options {
    let words = ["provision", "facts"].into_iter().chain(arguments.split_whitespace());
    let matches = cli::command().try_get_matches_from(words).unwrap();
    Arguments::from_arg_matches(&matches).unwrap().options
}

fn value(document: &impl Serialize) -> Value {
    serde_json::to_value(document).unwrap()
}

fn failures(texts: &Texts) -> [Failure; 7] {
    [
        Failure::Invalid(texts.diagnostics()),
        Failure::Locked(texts.error()),
        Failure::Failed(texts.error()),
        Failure::Secrets(Errors(vec![texts.error(), texts.error()])),
        Failure::Tests(TestFailure::new(texts.text())),
        Failure::Output(texts.error()),
        Failure::Usage(texts.text()),
    ]
}

fn test_failure(texts: &Texts) -> TestFailure {
    let error = Error::new(ErrorKind::CommandFailed, texts.text());
    error.with_cause(texts.content()).with_hint(texts.content()).into()
}

fn outcomes(texts: &Texts) -> Vec<Outcome> {
    let outcome = |result| Outcome { name: texts.text(), result, took: Duration::from_millis(7) };
    vec![outcome(Ok(texts.text())), outcome(Err(test_failure(texts)))]
}

/// A text with all that a terminal, a line or Markdown would obey.
fn hostile_text() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        3 => Just("\nFORGED".to_owned()),
        1 => prop::sample::select(vec!["\r", "\r\n", "\u{b}", "\u{c}", "\u{85}", "\u{2028}", "\u{2029}"])
            .prop_map(|end| format!("{end}FORGED")),
        2 => Just("\x1b[31mSTYLED".to_owned()),
        2 => prop::sample::select(vec![
            "\x1b[2K\x1b[1A", "\x1b]0;title\x07", "\u{9b}31m", "\u{9d}", "\0", "\x08", "\x7f", "\t", "\u{202e}", "\u{2066}",
            "\u{200b}", "\u{200f}", "\u{61c}", "\u{feff}", "\u{e0041}", "\u{2060}", "\u{10ff80}", "\u{10ffff}",
        ])
        .prop_map(str::to_owned),
        2 => prop::sample::select(vec![
            "`", "``", "```", "~~~", "|", "\\|", "\\", "</code>", "<b>", "&amp;", "]]>", "\"", "[a](b)", "@all", "*a*", "# ",
            " ", "\n", "\n\n", "'", "é", "😀",
        ])
        .prop_map(str::to_owned),
        1 => "(\\PC|\\p{C}){0,4}",
        1 => (50usize..100).prop_map(|length| "long ".repeat(length)),
    ];
    prop::collection::vec(fragment, 0..5).prop_map(|fragments| {
        let mark = MARK.to_string();
        format!("{mark}{}{mark}", fragments.join(&mark))
    })
}

/// What a terminal would show, without the styles of this program.
fn without_styles(mut text: &str) -> String {
    let mut plain = String::new();
    while let Some(place) = text.find('\x1b') {
        plain.push_str(&text[..place]);
        let own = output::own_color(&text[place..]);
        plain.push_str(if own == 0 { "\x1b" } else { "" });
        text = &text[place + own.max(1)..];
    }
    plain + text
}

/// No character is obeyed, and no line is forged.
fn is_harmless(shown: &str) -> Result<(), String> {
    if shown.contains("\x1b[31mSTYLED") {
        return Err("a style of a foreign text".to_owned());
    }
    let plain = without_styles(shown);
    let is_obeyed = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || foreign::changes_the_display(c);
    if let Some(character) = plain.chars().find(|c| is_obeyed(*c) || escaped_byte(*c).is_some()) {
        return Err(format!("the character {character:?}"));
    }
    for line in plain.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        // A line of a content is indented, or a line of a diff, which has a sign before it.
        if text.starts_with("FORGED") || (text.starts_with("CONTENT") && indent == 0) {
            return Err(format!("the line {line:?}"));
        }
    }
    Ok(())
}

/// Foreign text stands in code spans and fences alone; see CommonMark 4.5, 4.6 and 6.1, and tables of GitHub.
fn is_kept_in_code(shown: &str) -> Result<(), String> {
    let mut fence: Option<String> = None;
    for line in shown.lines() {
        let ticks = &line[..line.len() - line.trim_start_matches('`').len()];
        if let Some(open) = &fence {
            if ticks.len() >= open.len() && ticks.len() == line.trim_end().len() {
                fence = None;
            }
            continue;
        }
        if ticks.len() >= 3 && !line[ticks.len()..].contains('`') {
            fence = Some(ticks.to_owned());
            continue;
        }
        let cells = line.char_indices().filter(|(at, c)| *c == '|' && !line[..*at].ends_with('\\')).count();
        if line.starts_with('|') && cells != 4 {
            return Err(format!("a row of other cells: {line:?}"));
        }
        let outside = match line.strip_prefix("<details><summary><code>").and_then(|rest| rest.split_once("</code>")) {
            Some((inside, rest)) if !inside.contains(['<', '>']) => rest.to_owned(),
            _ => without_code_spans(line),
        };
        if outside.contains(MARK) {
            return Err(format!("text that is no code: {line:?}"));
        }
    }
    fence.map_or(Ok(()), |fence| Err(format!("a fence {fence} that nothing ends")))
}

fn without_code_spans(mut line: &str) -> String {
    let run = |text: &str| text.len() - text.trim_start_matches('`').len();
    let mut outside = String::new();
    while let Some(place) = line.find('`') {
        outside.push_str(&line[..place]);
        let opened = run(&line[place..]);
        let rest = &line[place + opened..];
        let mut at = 0;
        let end = loop {
            let Some(next) = rest[at..].find('`') else { break None };
            let length = run(&rest[at + next..]);
            at += next + length;
            if length == opened {
                break Some(at);
            }
        };
        line = &rest[end.unwrap_or(0)..];
    }
    outside + line
}

/// JSON that a terminal does not obey, and that says what it was made of.
fn says(shown: &str, expected: &[Value]) -> Result<(), String> {
    if let Some(c) = shown.chars().find(|c| (c.is_control() && *c != '\n') || foreign::changes_the_display(*c)) {
        return Err(format!("the character {c:?}"));
    }
    let read: Result<Vec<Value>, _> = Deserializer::from_str(shown).into_iter().collect();
    match read {
        Err(error) => Err(format!("it is no JSON: {error}")),
        Ok(read) if read == expected => Ok(()),
        Ok(read) => Err(format!("it was read back as {read:?}")),
    }
}

/// XML 1.0 allows fewer characters than Unicode has.
fn is_xml(shown: &str) -> Result<(), String> {
    let is_allowed = |c: char| matches!(c, '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let is_obeyed = |c: char| matches!(c, '\u{7f}') || foreign::changes_the_display(c);
    if let Some(c) = shown.chars().find(|c| !is_allowed(*c) || is_obeyed(*c)) {
        return Err(format!("the character {c:?}"));
    }
    let is_own = |line: &str| line.starts_with('<') && line.ends_with('>');
    shown.lines().find(|line| !is_own(line)).map_or(Ok(()), |line| Err(format!("the line {line:?}")))
}

fn try_all(list: &[String]) -> Result<(), TestCaseError> {
    let texts = Texts::new(list.to_vec());
    for (name, form) in RENDERERS {
        for arguments in ["", "-v", "-q"] {
            let options = options(arguments);
            let found = match form {
                Text(render) => {
                    render(&texts, &options);
                    is_harmless(&captured::take())
                }
                Markdown(render) => {
                    render(&texts);
                    let shown = captured::take();
                    is_harmless(&shown).and_then(|()| is_kept_in_code(&shown))
                }
                Json(render) => {
                    let expected = render(&texts, &options);
                    says(&captured::take(), &expected)
                }
                Xml(render) => is_xml(&render(&texts)),
            };
            found.map_err(|why| TestCaseError::fail(format!("{name} {arguments}: {why}")))?;
        }
    }
    Ok(())
}

#[test]
fn every_renderer_keeps_hostile_texts_in_their_place() {
    let config = Config { cases: 8, max_shrink_iters: 32, failure_persistence: None, ..Config::default() };
    let texts = prop::collection::vec(hostile_text(), 1..7);
    TestRunner::new(config).run(&texts, |list| try_all(&list)).unwrap();
}

#[test]
fn what_programs_are_shown_is_read_back_as_it_was() {
    let config = Config { cases: 8, max_shrink_iters: 32, failure_persistence: None, ..Config::default() };
    let texts = prop::collection::vec(hostile_text(), 1..7);
    let is_read_back = |list: Vec<String>| {
        let texts = Texts::new(list);
        let (plan, report) = (texts.plan(), texts.report());
        for_programs::print(&plan).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Plan>(&captured::take()).unwrap(), &plan);
        for_programs::print(&report).unwrap();
        prop_assert_eq!(value(&serde_json::from_str::<Report>(&captured::take()).unwrap()), value(&report));
        for event in texts.events() {
            for_programs::line(&event).unwrap();
            let shown = captured::take();
            prop_assert_eq!(value(&serde_json::from_str::<Event<'static>>(&shown).unwrap()), value(&event));
        }
        Ok(())
    };
    TestRunner::new(config).run(&texts, is_read_back).unwrap();
}

/// The public functions of a file that write something: those that give nothing back but whether it could be written.
fn renderers_in(text: &str, module: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut of = String::new();
    for (at, line) in
        text.match_indices('\n').map(|(at, _)| (at + 1, text[at + 1..].lines().next().unwrap_or_default()))
    {
        if let Some(rest) = line.strip_prefix("impl") {
            let kind = rest.split(' ').find(|word| word.starts_with(char::is_uppercase)).unwrap_or_default();
            of = format!("{}::", kind.split('<').next().unwrap_or_default());
        }
        let Some(name) = line.trim_start().strip_prefix("pub fn ") else { continue };
        let name = &name[..name.find(['(', '<']).unwrap_or(name.len())];
        let head = text[at..].split('{').next().unwrap_or_default();
        let gives = head.rsplit_once("->").map_or("()", |(_, gives)| gives.trim());
        if matches!(gives, "()" | "Result<(), Failure>" | "std::io::Result<()>" | "io::Result<()>") {
            let of = if line.starts_with(' ') { of.as_str() } else { "" };
            found.push(format!("{module}::{of}{name}"));
        }
    }
    found
}

fn renderers_below(directory: &Path, module: &str, found: &mut BTreeSet<String>) {
    #[expect(clippy::disallowed_methods, reason = "a test reads the sources of its own crate")]
    let entries = std::fs::read_dir(directory).unwrap();
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        // What others are written with.
        if matches!(name.as_str(), "foreign" | "hostile_texts") {
            continue;
        }
        let module = if module.is_empty() { name } else { format!("{module}::{name}") };
        if path.is_dir() {
            renderers_below(&path, &module, found);
            continue;
        }
        #[expect(clippy::disallowed_methods, reason = "a test reads the sources of its own crate")]
        let text = std::fs::read_to_string(&path).unwrap();
        found.extend(renderers_in(&text, &module));
    }
}

#[test]
fn every_renderer_has_a_row() {
    let mut found = BTreeSet::new();
    renderers_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/render"), "", &mut found);
    assert!(found.len() > 20, "the renderers are not found any more: {found:?}");
    let rows: BTreeSet<String> = RENDERERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let missing: Vec<&String> = found.difference(&rows).collect();
    assert!(missing.is_empty(), "without a row: {missing:?}");
}
