//! Evaluations that are kept hold as long as nothing changed that they depend on, and no longer.
#![expect(clippy::disallowed_methods, reason = "the files of a site lie where the test runs")]

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::cache::tests::has;
use super::{Evaluation, EvaluationCache, Site, evaluate, sweep};
use crate::state::{MemoryStore, StateStore};

const SITE: &str = r#"let facts = (import "provision.ncl").facts in
let role = import "role.ncl" in
{
  resources.file."/a" = { content = role.text ++ facts.os.id, size = (import "data.json").size },
  resources.file."/b" = import "shared.ncl",
  resources.file."/c".content = if facts.cpus > 2 then facts.kernel else "small",
}
"#;

/// A site with imports of all kinds, one of them from the second of two import paths, and a cache.
struct World {
    directory: TempDir,
    store: MemoryStore,
    facts: Value,
    overrides: Vec<(String, String)>,
}

impl World {
    fn new() -> World {
        let directory = TempDir::new().unwrap();
        let facts = json!({ "os": { "id": "debian" }, "cpus": 1, "kernel": "6.1" });
        let world = World { directory, store: MemoryStore::new(), facts, overrides: vec![] };
        for (file, text) in [
            ("site/site.ncl", SITE),
            ("site/role.ncl", "{ text = \"role \" }"),
            ("site/data.json", "{ \"size\": 1 }"),
            ("first/other.ncl", "{}"),
            ("second/shared.ncl", "{ owner = \"second\" }"),
        ] {
            world.write(file, text);
        }
        world
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
        fs::write(self.path(file), text).unwrap();
    }

    fn site(&self) -> Site {
        let site = Site { import_paths: ["first", "second"].map(|path| self.path(path)).into(), ..Site::default() };
        Site {
            overrides: self.overrides.clone(),
            ..site.facts(self.facts.clone()).and_file(&self.path("site/site.ncl"))
        }
    }

    fn cache(&self) -> EvaluationCache {
        EvaluationCache::new(self.store.clone())
    }

    fn has(&self) -> bool {
        has(&self.cache(), &self.site().request())
    }

    /// Evaluates with the cache, which gives what it would give without it.
    fn evaluate(&self) -> Evaluation {
        let site = self.site();
        let (cached, plain) = (self.cache().evaluate(&site.request()), evaluate(&site.request()));
        assert_eq!(cached.tree, plain.tree);
        assert_eq!(cached.diagnostics, plain.diagnostics);
        assert_eq!(cached.contract_failure, plain.contract_failure);
        assert_eq!((cached.files, &cached.broken), (plain.files.clone(), &plain.broken));
        assert!(cached.sources.iter().eq(plain.sources.iter()));
        plain
    }

    fn entries(&self) -> Vec<String> {
        let names = self.store.list("evaluations").unwrap();
        names.iter().map(|name| format!("evaluations/{name}")).collect()
    }
}

impl Site {
    fn and_file(mut self, path: &Path) -> Site {
        self.sources.push(super::SiteSource::File(path.to_owned()));
        self
    }
}

#[test]
fn what_did_not_change_is_not_evaluated_again() {
    let mut world = World::new();
    assert!(!world.has());
    assert!(world.evaluate().is_sound());
    assert!(world.has());
    // Facts that the site does not use do not spoil it; `kernel` is only used where there are many processors.
    world.facts["kernel"] = json!("6.12");
    assert!(world.has());
    world.evaluate();
    world.facts["cpus"] = json!(4);
    assert!(!world.has());
    world.evaluate();
    assert!(world.has());
    world.facts["kernel"] = json!("6.1");
    assert!(!world.has());
    world.evaluate();
    let other_types = Site { types: Vec::new(), ..world.site() };
    assert!(!has(&world.cache(), &other_types.request()));
}

#[test]
fn a_file_that_comes_before_an_import_path_is_imported() {
    for (file, owner) in [("first/shared.ncl", "first"), ("site/shared.ncl", "site")] {
        let world = World::new();
        world.evaluate();
        world.write(file, &format!("{{ owner = \"{owner}\" }}"));
        assert!(!world.has(), "{file}");
        let tree = world.evaluate().tree.unwrap();
        assert_eq!(tree.to_json()["resources"]["file"]["/b"]["owner"], owner);
    }
}

#[test]
fn a_fact_that_is_new_is_noticed_by_its_name() {
    let mut world = World::new();
    world.write(
        "site/role.ncl",
        "{ text = std.record.fields (import \"provision.ncl\").facts |> std.string.join \" \" }",
    );
    world.evaluate();
    world.facts["os"]["version"] = json!("13");
    assert!(!world.has());
    world.facts["memory_mib"] = json!(4096);
    let tree = world.evaluate().tree.unwrap();
    assert_eq!(tree.to_json()["resources"]["file"]["/a"]["content"], "cpus kernel memory_mib osdebian");
}

#[test]
fn what_stands_for_the_library_has_to_stay() {
    let world = World::new();
    world.write("site/lib/provision.ncl", "{}");
    world.write("site/role.ncl", "{ text = \"\", p | not_exported = import \"lib/provision.ncl\" }");
    assert!(world.evaluate().is_sound() && world.has());
    world.write("site/lib/provision.ncl", "[]");
    assert!(world.has(), "nothing depends on what is in it");
    fs::remove_file(world.path("site/lib/provision.ncl")).unwrap();
    assert!(!world.has());
    assert!(!world.evaluate().is_sound());
}

#[test]
fn a_way_up_to_the_root_may_be_longer_than_it_takes() {
    let world = World::new();
    let absolute = world.path("second/shared.ncl");
    let beyond = absolute.strip_prefix("/").unwrap().display().to_string();
    world.write("site/role.ncl", &format!("{{ text = \"\", p | not_exported = import \"../{beyond}\" }}"));
    let site = Site { import_paths: vec!["/".into(), world.path("second")], ..world.site() };
    assert!(world.cache().evaluate(&site.request()).is_sound());
    assert!(has(&world.cache(), &site.request()));
    world.write(&beyond, "{ owner = 3 }");
    assert!(!has(&world.cache(), &site.request()));
}

#[test]
fn what_may_be_secret_is_not_kept() {
    let mut world = World::new();
    world.write("site/data.json", "{ \"size\": 1 }");
    world.overrides = vec![("resources.file.\"/a\".content".to_owned(), "\"hunter2\"".to_owned())];
    assert!(world.evaluate().is_sound());
    world.overrides.clear();
    let text = Site::text("{ resources.file.a = { content = \"hunter2\" } }");
    assert!(world.cache().evaluate(&text.request()).is_sound());
    world.write("site/shared.ncl", "{ content = \"hunter2\", sensitive = true }");
    let types = vec![super::described("file", "", json!({ "type": "object" }))];
    let site = Site { types, ..world.site() };
    assert!(world.cache().evaluate(&site.request()).is_sound());
    assert!(world.entries().is_empty());
}

#[test]
fn what_is_wrong_is_not_kept() {
    let world = World::new();
    world.write("site/role.ncl", "{ text = 3 }");
    assert!(!world.evaluate().is_sound());
    assert!(world.entries().is_empty());
}

#[test]
fn a_damaged_entry_is_ignored() {
    let world = World::new();
    world.evaluate();
    let entry = world.entries().pop().unwrap();
    let whole = world.store.read(&entry).unwrap().unwrap();
    for length in [0, 10, whole.len() - 1] {
        world.store.replace(&entry, &whole[..length]).unwrap();
        assert!(!world.has(), "{length} bytes");
    }
    for at in [0, 30, 60, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        world.store.replace(&entry, &damaged).unwrap();
        assert!(!world.has(), "byte {at}");
    }
    assert!(world.evaluate().is_sound() && world.has());
}

#[test]
fn entries_do_not_pile_up() {
    let mut world = World::new();
    for number in 0..70 {
        world.facts[format!("fact{number}")] = json!(number);
        world.cache().evaluate(&world.site().request());
        assert!(world.has() && world.entries().len() <= 64);
    }
}

/// Something that happens between two runs.
fn change() -> impl Strategy<Value = (usize, u8)> {
    (0..10_usize, 0..3_u8)
}

fn happen(world: &mut World, (what, how): (usize, u8)) {
    let place = |file: &str, text: String| match how {
        2 if file != "site/site.ncl" => drop(fs::remove_file(world.path(file))),
        _ => world.write(file, &text),
    };
    match what {
        0 => place("site/role.ncl", format!("{{ text = \"role {how}\" }}")),
        1 => place("site/data.json", format!("{{ \"size\": {how} }}")),
        2 => place("first/shared.ncl", format!("{{ owner = \"first {how}\" }}")),
        3 => place("second/shared.ncl", format!("{{ owner = \"second {how}\" }}")),
        4 => place("site/shared.ncl", format!("{{ owner = \"site {how}\" }}")),
        5 => place("site/site.ncl", format!("{SITE} # {how}")),
        6 => place("site/provision.ncl", "{ Site = String }".to_owned()),
        7 => world.facts["cpus"] = json!(how + 1),
        8 => world.facts["kernel"] = json!(format!("6.{how}")),
        _ => {
            world.overrides =
                (0..how).map(|at| (format!("resources.file.o{at}.owner"), format!("\"{how}\""))).collect();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: sweep(4), ..ProptestConfig::default() })]

    #[test]
    fn no_change_is_ever_missed(changes in prop::collection::vec(change(), 1..16)) {
        let mut world = World::new();
        world.evaluate();
        for change in changes {
            happen(&mut world, change);
            // It compares; and what was found sound is kept.
            let evaluation = world.evaluate();
            prop_assert_eq!(world.has(), evaluation.is_sound() && world.overrides.is_empty());
        }
    }
}
