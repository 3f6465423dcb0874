//! The modules of this crate stand on floors: each imports only from modules that stand below it.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test reads the sources of its own crate")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// From the top to the ground. Modules of one floor do not know each other.
const FLOORS: &[&[&str]] = &[
    &["testing", "prelude"],
    &["engine"],
    &["rollback"],
    &["apply"],
    &["undo"],
    &["plan"],
    &["config"],
    &["site"],
    &["prune", "observe"],
    &["report"],
    &["graph"],
    &["declaration"],
    &["registry", "fragment"],
    &["resource"],
    &["journal", "held"],
    &["facts", "source", "sim"],
    &["host"],
    &["secret"],
    &["state", "effect", "policy"],
    &["change", "format", "canonical", "claim", "run"],
    &["path", "duration"],
    &["located", "regular"],
    &["bytes", "moment", "random", "version", "error", "shared"],
    &["id", "diagnostic"],
];

/// Imports that run up or sideways, as `module -> module (file)`.
fn wrong_imports(imports: &[Import]) -> BTreeSet<String> {
    let floor = |module: &str| FLOORS.iter().position(|modules| modules.contains(&module));
    let runs_down = |import: &Import| floor(&import.from).zip(floor(&import.to)).is_some_and(|(from, to)| from < to);
    let wrong = imports.iter().filter(|import| import.from != import.to && !runs_down(import));
    wrong.map(|Import { from, to, file }| format!("{from} -> {to} ({})", file.display())).collect()
}

struct Import {
    from: String,
    to: String,
    file: PathBuf,
}

/// What files of a directory import from other modules of the crate, tests left out.
fn imports(directory: &Path, source: &Path, known: &BTreeSet<String>, found: &mut Vec<Import>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let is_for_tests = name == "tests" || name == "golden";
        if is_for_tests || path == source.join("lib.rs") {
            continue;
        }
        if path.is_dir() {
            imports(&path, source, known, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.strip_prefix(source).unwrap().to_owned();
            let first = file.iter().next().unwrap().to_string_lossy();
            let from = first.strip_suffix(".rs").unwrap_or(&first).to_owned();
            let text = without_tests(&fs::read_to_string(&path).unwrap());
            let named = named_modules(&text).into_iter().filter(|to| known.contains(to));
            found.extend(named.map(|to| Import { from: from.clone(), to, file: file.clone() }));
        }
    }
}

/// The text without comments, and without what is compiled for tests alone.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push_str(line.split("//").next().unwrap_or_default());
            kept.push('\n');
            continue;
        }
        // One item: to its end, which is a line of the same indent that closes it.
        let indent = &line[..line.len() - line.trim_start().len()];
        let is_block = lines.next().is_some_and(|first| first.ends_with('{'));
        let end = format!("{indent}}}");
        while is_block && lines.next().is_some_and(|line| !line.starts_with(&end)) {}
    }
    kept
}

/// The first segments of all paths that begin at the root of the crate.
fn named_modules(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // A macro that others use names things by the path that they see.
    let text = text.replace("$crate::", "");
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.extend(first_segment(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut starts = true;
                for (at, character) in group.char_indices() {
                    match character {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => starts = true,
                        _ if starts && !character.is_whitespace() => {
                            found.extend(first_segment(&group[at..]));
                            starts = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

fn first_segment(path: &str) -> Option<String> {
    let end = path.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(path.len());
    (end > 0).then(|| path[..end].to_owned())
}

fn modules() -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = without_tests(&fs::read_to_string(source.join("lib.rs")).unwrap());
    let declared =
        lib.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'));
    declared.map(str::to_owned).collect()
}

#[test]
fn modules_import_only_from_the_floors_below_them() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    imports(&source, &source, &modules(), &mut found);
    assert!(found.len() > 100, "the imports are not found any more: {} are", found.len());
    assert_eq!(wrong_imports(&found), BTreeSet::new());
}

#[test]
fn every_module_has_its_floor() {
    let mut times: BTreeMap<String, usize> = modules().into_iter().map(|module| (module, 0)).collect();
    for module in FLOORS.iter().copied().flatten() {
        *times.get_mut(*module).unwrap_or_else(|| panic!("there is no module {module}")) += 1;
    }
    assert!(times.values().all(|times| *times == 1), "{times:?}");
}

#[test]
fn an_import_that_runs_up_or_sideways_is_found() {
    let import = |from: &str, to: &str| Import { from: from.into(), to: to.into(), file: "x.rs".into() };
    assert_eq!(wrong_imports(&[import("plan", "host"), import("host", "host")]), BTreeSet::new());
    assert_eq!(wrong_imports(&[import("host", "plan")]).len(), 1);
    assert_eq!(wrong_imports(&[import("prune", "observe")]).len(), 1);
    let text = without_tests(
        "use crate::{a, b::{c, d}};\n// crate::e\n#[cfg(test)]\nmod tests {\n    use crate::f;\n}\nfn g() { crate::h::i() }\n",
    );
    assert_eq!(named_modules(&text).into_iter().collect::<Vec<_>>(), ["a", "b", "h"]);
}
