//! Files: how they are found, named and reported.

use insta::assert_snapshot;
use serde_json::json;
use tempfile::TempDir;

use super::{Path, PathBuf, Site, SiteSource, wrong};

pub(super) fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        #[expect(clippy::disallowed_methods, reason = "a test makes its own files")]
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test makes its own files")]
        std::fs::write(&path, text).unwrap();
    }
    directory
}

/// The text without the name of the directory, which is another each time.
pub(super) fn without(directory: &TempDir, text: &str) -> String {
    text.replace(&directory.path().display().to_string(), "DIR")
}

const SITE: &str = r#"let role = import "roles/web.ncl" in
let data = import "data.json" in
role & { resources.file."/a" = { content = data.text, size = (import "data.toml").size, owner = (import "o.yaml").o } }"#;

#[test]
fn imports_are_found_and_listed() {
    let directory = directory(&[
        ("site.ncl", SITE),
        (
            "roles/web.ncl",
            "let p = import \"provision.ncl\" in\n{ resources.file.\"/b\" | p.types.file = { content = p.facts.n } }",
        ),
        ("data.json", "{ \"text\":\n \"from json\" }"),
        ("data.toml", "size = 3\n"),
        ("o.yaml", "o: bob\n"),
    ]);
    let site = Site::file(&directory.path().join("site.ncl")).facts(json!({ "n": "fact" }));
    let evaluation = site.run();
    assert_eq!(wrong(&evaluation), "");
    let tree = evaluation.tree.unwrap();
    let files = json!({ "/a": { "content": "from json", "size": 3, "owner": "bob" }, "/b": { "content": "fact" } });
    assert_eq!(tree.to_json()["resources"]["file"], files);
    let content = tree.at(["resources", "file", "/a", "content"]).unwrap().span.as_ref().unwrap();
    assert_eq!(without(&directory, &content.to_string()), "DIR/data.json:2:2");
    let names = ["data.json", "data.toml", "o.yaml", "roles/web.ncl", "site.ncl"];
    assert_eq!(evaluation.files, names.map(|name| directory.path().join(name)));
}

/// The bare name `facts` held the facts as well, which neither editors nor Nickel itself know.
#[test]
fn facts_are_reached_by_the_library_alone() {
    let content = |text: &str| Site::text(text).facts(json!({ "n": "fact" })).json()["resources"]["file"]["/a"].clone();
    let site = "{ resources.file.\"/a\".content = facts.n }";
    for (before, expected) in [
        ("let facts = (import \"provision.ncl\").facts in", "fact"),
        ("let facts = { n = \"own\" } in", "own"),
        ("let { facts, .. } = import \"provision.ncl\" in", "fact"),
    ] {
        assert_eq!(content(&format!("{before} {site}")), json!({ "content": expected }), "{before}");
    }
    let by_argument = format!("(fun facts => {site}) {{ n = \"argument\" }}");
    assert_eq!(content(&by_argument), json!({ "content": "argument" }));

    let directory = directory(&[
        (
            "site.ncl",
            "let p = import \"provision.ncl\" in\n(import \"role.ncl\") & { resources.file.a.size = p.facts.n }",
        ),
        ("role.ncl", "{\n  resources.file.\"/a\".content = facts.n,\n}"),
    ]);
    let site = Site::file(&directory.path().join("site.ncl")).facts(json!({ "n": 1, "other": 2 }));
    assert_snapshot!(without(&directory, &site.wrong()), @r#"
    unbound identifier `facts`
      --> DIR/role.ncl:2:33 `facts` this identifier is unbound
      note: Found while evaluating `resources.file."/a".content`
      help: facts are in the library: begin the file with `let p = import "provision.ncl" in`, and write `p.facts`
    "#);
    assert_eq!(site.run().inputs.facts, [vec!["n".to_owned()]].into());
}

#[test]
fn the_library_on_disk_is_not_read() {
    let directory = directory(&[
        (
            "site.ncl",
            "let p = import \"provision.ncl\" in (import \"roles/web.ncl\") & { resources.file.a = {} } | p.Site",
        ),
        ("provision.ncl", "{ Site = String }"),
        ("roles/web.ncl", "let p = import \"provision.ncl\" in { resources.file.b | p.types.file = {} }"),
        ("roles/provision.ncl", "this is no Nickel at all ]"),
    ]);
    let site = Site::file(&directory.path().join("site.ncl"));
    assert_eq!(site.json(), json!({ "resources": { "file": { "a": {}, "b": {} } } }));
    let names = ["roles/web.ncl", "site.ncl"];
    assert_eq!(site.run().files, names.map(|name| directory.path().join(name)));
}

#[test]
fn every_failing_import_is_reported() {
    let text = r#"{ a = import "nope.ncl", b = import "syntax.ncl", c = import "syntax.json",
  d = import "nope.json", e = import "folder.ncl", f = import "fine.ncl", g = import "bytes.ncl" }"#;
    let directory = directory(&[
        ("site.ncl", text),
        ("syntax.ncl", "{ = }"),
        ("syntax.json", "{ \"a\": \n}}"),
        ("folder.ncl/x", ""),
        ("fine.ncl", "{ x = import \"deeper.ncl\" }"),
    ]);
    #[expect(clippy::disallowed_methods, reason = "a test makes its own files")]
    std::fs::write(directory.path().join("bytes.ncl"), [0xff, 0xfe]).unwrap();
    let site = Site::file(&directory.path().join("site.ncl"));
    assert_snapshot!(without(&directory, &site.wrong()), @r#"
    cannot import `deeper.ncl`: there is no such file
      --> DIR/fine.ncl:1:7 `import "deeper.ncl"` imported here
      note: Imports are looked up beside the file that imports, then in the import paths
    cannot import `nope.ncl`: there is no such file
      --> DIR/site.ncl:1:7 `import "nope.ncl"` imported here
      note: Imports are looked up beside the file that imports, then in the import paths
    cannot import `nope.json`: there is no such file
      --> DIR/site.ncl:2:7 `import "nope.json"` imported here
      note: Imports are looked up beside the file that imports, then in the import paths
    cannot import `folder.ncl`: it is a directory
      --> DIR/site.ncl:2:31 `import "folder.ncl"` imported here
      note: Imports are looked up beside the file that imports, then in the import paths
    cannot import `bytes.ncl`: it is not UTF-8 text
      --> DIR/site.ncl:2:79 `import "bytes.ncl"` imported here
      note: Imports are looked up beside the file that imports, then in the import paths
    json parse error: expected an object, array, string, boolean, number, or null
      --> DIR/syntax.json:2:1 `}`
        > DIR/site.ncl:1:55 `import "syntax.json"` imported here
    unexpected token
      --> DIR/syntax.ncl:1:3 `=`
        > DIR/site.ncl:1:30 `import "syntax.ncl"` imported here
    "#);
}

#[test]
fn a_missing_site_file_does_not_hide_the_syntax_of_another() {
    let directory = directory(&[]);
    let mut site = Site::text("{ a = ]").and_text("fine.ncl", "{ x = unknown }");
    site.sources.push(SiteSource::File(directory.path().join("nope.ncl")));
    site.sources.push(SiteSource::File(directory.path().to_owned()));
    assert_snapshot!(without(&directory, &site.wrong()), @r#"
    cannot read the site file `DIR/nope.ncl`: there is no such file
    cannot read the site file `DIR`: it is a directory
    unexpected token
      --> site.ncl:1:7 `]`
    "#);
}

#[test]
fn a_text_imports_from_the_import_paths() {
    let directory = directory(&[("lib/role.ncl", "{ resources.file.a.content = \"role\" }")]);
    let site = Site { import_paths: vec![directory.path().join("lib")], ..Site::text("import \"role.ncl\"") };
    assert_eq!(site.json()["resources"]["file"]["a"]["content"], "role");
    assert_snapshot!(Site::text("import \"role.ncl\"").wrong(), @r#"
    cannot import `role.ncl`: there is no such file
      --> site.ncl:1:1 `import "role.ncl"` imported here
      note: Imports are looked up beside the file that imports, then in the import paths
    "#);
}

#[test]
fn a_site_may_be_data() {
    let directory = directory(&[
        ("a.json", r#"{ "resources": { "file": { "/a": { "content": "json" } } } }"#),
        ("b.toml", "[resources.file.\"/b\"]\ncontent = \"toml\"\n"),
        ("c.yaml", "resources: { file: { /c: { content: yaml } } }\n"),
    ]);
    let sources = ["a.json", "b.toml", "c.yaml"].map(|name| SiteSource::File(directory.path().join(name)));
    let site = Site { sources: sources.to_vec(), ..Site::default() };
    let files = json!({ "/a": { "content": "json" }, "/b": { "content": "toml" }, "/c": { "content": "yaml" } });
    assert_eq!(site.json()["resources"]["file"], files);
}

#[test]
fn data_merges_like_anything_else() {
    let directory = directory(&[
        (
            "site.ncl",
            "let p = import \"provision.ncl\" in
             (import \"a.json\") & { resources.file = { a.size = 1, b = p.facts.file & { size = 2 } } }",
        ),
        ("a.json", r#"{ "resources": { "file": { "a": { "content": "json", "notifies": ["a:b"] } } } }"#),
    ]);
    let site = Site::file(&directory.path().join("site.ncl")).facts(json!({ "file": { "content": "fact" } }));
    let files =
        json!({ "a": { "content": "json", "notifies": ["a:b"], "size": 1 }, "b": { "content": "fact", "size": 2 } });
    assert_eq!(site.json()["resources"]["file"], files);
}

#[test]
fn a_relative_name_stays_as_it_was_given() {
    let directory = directory(&[
        ("site.ncl", "{ resources.file.a = { content = 1 / 0, owner = (import \"x.ncl\") } }"),
        ("x.ncl", "nope"),
    ]);
    // From the working directory of the test to the root, then down again.
    let up: PathBuf = super::super::files::working_directory().unwrap().components().skip(1).map(|_| "..").collect();
    let relative = up.join(directory.path().strip_prefix(Path::new("/")).unwrap()).join("site.ncl");
    let diagnostics = Site::file(&relative).run().diagnostics;
    let places: Vec<_> = diagnostics.iter().map(|diagnostic| diagnostic.span().unwrap().file.to_string()).collect();
    assert!(places.contains(&relative.display().to_string()), "{places:?}");
    assert!(places.contains(&directory.path().join("x.ncl").display().to_string()), "{places:?}");
}
