//! What is published is whole, small and described; what it links is licensed as `deny.toml` allows, and needs no newer
//! Rust than is promised.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests run cargo and read what is in the repository"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What crates.io takes at most is 10 MB.
const MOST_BYTES: u64 = 5 << 20;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(repository().join(file)).unwrap()
}

/// What cargo says, its messages apart. It asks no registry.
fn cargo(arguments: &[&str]) -> (String, String) {
    let output =
        Command::new(env!("CARGO")).current_dir(repository()).args(arguments).arg("--offline").output().unwrap();
    let (out, messages) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "cargo {}: {messages}", arguments.join(" "));
    (out, messages)
}

/// The packages that are compiled for this platform, by name and version.
fn packages() -> Vec<Value> {
    let (out, _) =
        cargo(&["metadata", "--format-version=1", "--filter-platform=x86_64-unknown-linux-gnu", "--all-features"]);
    let mut metadata: Value = serde_json::from_str(&out).unwrap();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap().iter();
    let compiled: BTreeSet<String> = nodes.map(|node| text(&node["id"]).to_owned()).collect();
    let Value::Array(mut packages) = metadata["packages"].take() else { panic!("no packages") };
    packages.retain(|package| compiled.contains(text(&package["id"])));
    packages
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn is_ours(package: &Value) -> bool {
    package["source"].is_null()
}

/// Those of this workspace that are published.
fn published() -> Vec<Value> {
    let found: Vec<Value> = packages().into_iter().filter(|it| is_ours(it) && it["publish"].is_null()).collect();
    let names: Vec<&str> = found.iter().map(|package| text(&package["name"])).collect();
    assert_eq!(names, ["provision-cli", "provision-core", "provision-resources"]);
    found
}

#[test]
fn a_published_crate_says_what_registries_show() {
    for package in published() {
        let name = text(&package["name"]);
        for field in ["description", "license", "repository", "documentation", "rust_version"] {
            assert!(!text(&package[field]).is_empty(), "{name} has no {field}");
        }
        // https://doc.rust-lang.org/cargo/reference/manifest.html, "The keywords field", "The categories field".
        let list = |field: &str| package[field].as_array().unwrap().iter().map(text).collect::<Vec<_>>();
        let is_keyword = |word: &&str| {
            let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_-+".contains(c);
            word.len() <= 20 && word.starts_with(|c: char| c.is_ascii_alphanumeric()) && word.chars().all(is_allowed)
        };
        assert!((1..=5).contains(&list("keywords").len()) && list("keywords").iter().all(is_keyword), "{name}");
        assert!((1..=5).contains(&list("categories").len()), "{name}");
        assert_eq!(package["metadata"]["docs"]["rs"]["all-features"], true, "{name}");
        let readme = read(&format!("{name}/{}", text(&package["readme"])));
        for word in ["LGPL-3.0-only", "malachite"] {
            assert!(readme.contains(word), "the README of {name} says nothing of {word}");
        }
        for feature in package["features"].as_object().unwrap().keys().filter(|feature| *feature != "default") {
            assert!(readme.contains(&format!("| `{feature}`")), "the README of {name} does not explain {feature}");
        }
    }
}

#[test]
fn a_published_crate_is_whole_and_small() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packaging");
    let mut arguments = vec!["package", "--no-verify", "--allow-dirty", "--target-dir", target.to_str().unwrap()];
    let published = published();
    for package in &published {
        arguments.extend(["-p", text(&package["name"])]);
    }
    let (_, messages) = cargo(&arguments);
    assert!(!messages.contains("warning"), "{messages}");
    for package in &published {
        let name = text(&package["name"]);
        let file = target.join("package").join(format!("{name}-{}.crate", text(&package["version"])));
        let size = file.metadata().unwrap().len();
        assert!(size <= MOST_BYTES, "{name} has {size} bytes");
        let (list, _) = cargo(&["package", "--list", "--allow-dirty", "-p", name]);
        let files: BTreeSet<&str> = list.lines().collect();
        for needed in ["LICENSE-APACHE", "LICENSE-MIT", "README.md"] {
            assert!(files.contains(needed), "{name} has no {needed}");
        }
        for file in files.iter().filter(|file| file.ends_with(".rs")) {
            assert_reads_its_own_package(name, file, &files);
        }
    }
}

/// What is not in the package is not there for those who have only the package.
fn assert_reads_its_own_package(name: &str, file: &str, files: &BTreeSet<&str>) {
    let source = read(&format!("{name}/{file}"));
    let included = ["include_str!(\"", "include_bytes!(\"", "#[path = \""];
    for included in included.iter().flat_map(|call| source.split(call).skip(1)) {
        let path = Path::new(file).parent().unwrap().join(included.split('"').next().unwrap());
        let mut plain = PathBuf::new();
        for part in path.components() {
            match part {
                Component::ParentDir => assert!(plain.pop(), "{name}/{file} includes {}", path.display()),
                part => plain.push(part),
            }
        }
        assert!(files.contains(plain.to_str().unwrap()), "{name}/{file} includes {}", plain.display());
    }
    let outside = ["join(\"..", "CARGO_MANIFEST_DIR\")).parent()", "CARGO_MANIFEST_DIR\"), \"/.."];
    assert!(!outside.iter().any(|words| source.contains(words)), "{name}/{file} reads outside of its package");
}

/// A licence expression (SPDX, and the older form with a slash) as what of it has to be allowed: choices of which one does.
fn choices(expression: &str) -> Vec<BTreeSet<String>> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let found = any_of(&mut words);
    assert_eq!(words.next(), None, "{expression}");
    found
}

type Words<'w> = std::iter::Peekable<std::str::SplitWhitespace<'w>>;

fn any_of(words: &mut Words<'_>) -> Vec<BTreeSet<String>> {
    let mut found = all_of(words);
    while words.next_if_eq(&"OR").is_some() {
        found.extend(all_of(words));
    }
    found
}

fn all_of(words: &mut Words<'_>) -> Vec<BTreeSet<String>> {
    let mut found = one(words);
    while words.next_if_eq(&"AND").is_some() {
        let more = one(words);
        found = found.iter().flat_map(|one| more.iter().map(|other| one | other).collect::<Vec<_>>()).collect();
    }
    found
}

fn one(words: &mut Words<'_>) -> Vec<BTreeSet<String>> {
    if words.next_if_eq(&"(").is_some() {
        let found = any_of(words);
        assert_eq!(words.next(), Some(")"));
        return found;
    }
    let mut licence = words.next().unwrap().trim_end_matches('+').to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        licence = format!("{licence} WITH {}", words.next().unwrap());
    }
    vec![BTreeSet::from([licence])]
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let policy: toml::Table = toml::from_str(&read("deny.toml")).unwrap();
    let strings = |list: &toml::Value| -> BTreeSet<String> {
        list.as_array().unwrap().iter().map(|licence| licence.as_str().unwrap().to_owned()).collect()
    };
    let allowed = strings(&policy["licenses"]["allow"]);
    let exceptions: BTreeMap<&str, BTreeSet<String>> = policy["licenses"]["exceptions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|exception| (exception["crate"].as_str().unwrap(), strings(&exception["allow"])))
        .collect();
    let (mut refused, mut used) = (Vec::new(), BTreeSet::new());
    for package in packages().iter().filter(|package| !is_ours(package)) {
        let (name, licence) = (text(&package["name"]), text(&package["license"]));
        let choices = if licence.is_empty() { Vec::new() } else { choices(licence) };
        if choices.iter().any(|all| all.is_subset(&allowed)) {
            continue;
        }
        let excepted = exceptions.get(name).map(|more| more | &allowed).unwrap_or_default();
        match choices.iter().any(|all| all.is_subset(&excepted)) {
            true => drop(used.insert(name.to_owned())),
            false => refused.push(format!("{name}: {licence:?}")),
        }
    }
    assert!(refused.is_empty(), "deny.toml does not allow {}", refused.join(", "));
    assert!(exceptions.keys().all(|name| used.contains(*name)), "only {used:?} need an exception");
}

#[test]
fn a_licence_expression_is_read_as_spdx_says() {
    let shown = |expression: &str| {
        let choices = choices(expression);
        choices.iter().map(|all| all.iter().cloned().collect::<Vec<_>>().join("&")).collect::<Vec<_>>().join("|")
    };
    assert_eq!(shown("MIT"), "MIT");
    assert_eq!(shown("MIT/Apache-2.0"), "MIT|Apache-2.0");
    assert_eq!(shown("(MIT OR Apache-2.0) AND Unicode-3.0"), "MIT&Unicode-3.0|Apache-2.0&Unicode-3.0");
    assert_eq!(shown("A OR B AND C"), "A|B&C");
    assert_eq!(shown("Apache-2.0 WITH LLVM-exception OR MPL-2.0+"), "Apache-2.0 WITH LLVM-exception|MPL-2.0");
}

/// What embeds the libraries without Nickel links nothing that asks something of it.
#[test]
fn without_nickel_only_permissive_licences_are_linked() {
    let (tree, _) = cargo(&[
        "tree",
        "-p",
        "provision-core",
        "-p",
        "provision-resources",
        "--no-default-features",
        "--edges=normal",
        "--prefix=none",
        "--format={p}: {l}",
        "--target=x86_64-unknown-linux-gnu",
    ]);
    assert!(tree.lines().any(|line| line.starts_with("serde v")), "{tree}");
    let asking: Vec<&str> = tree.lines().filter(|line| line.contains("LGPL") || line.contains("MPL")).collect();
    assert!(asking.is_empty(), "{asking:?}");
}

#[test]
fn no_dependency_needs_a_newer_rust_than_is_promised() {
    let number = |version: &str| {
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap());
        [parts.next().unwrap_or(0), parts.next().unwrap_or(0), parts.next().unwrap_or(0)]
    };
    let published = published();
    let ours: BTreeSet<&str> = published.iter().map(|package| text(&package["rust_version"])).collect();
    let [promised] = ours.into_iter().collect::<Vec<_>>()[..] else { panic!("one version of Rust is promised") };
    assert!(read("README.md").contains(&format!("Rust {promised} or newer")), "the README says {promised}");
    let newer: Vec<String> = packages()
        .iter()
        .filter(|package| package["rust_version"].is_string())
        .filter(|package| number(text(&package["rust_version"])) > number(promised))
        .map(|package| format!("{} needs {}", text(&package["name"]), text(&package["rust_version"])))
        .collect();
    assert!(newer.is_empty(), "Rust {promised} is promised, but {}", newer.join(", "));
}
