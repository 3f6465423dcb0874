//! What the guide and the README show in Nickel are tests that pass.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may panic, and reads what it is about")]

use std::path::Path;

use provision_core::config::{Input, SiteSource};
use provision_core::sim::SimHost;
use provision_core::testing::{Suite, SuiteOptions};
use provision_resources::registry;

/// The blocks of Nickel in a document that are tests.
fn tests_in(document: &str) -> Vec<&str> {
    let blocks = document.split("```nickel\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.filter(|block| block.starts_with("tests")).collect()
}

#[test]
fn the_tests_of_the_documents_pass() {
    let guide = include_str!("testing-a-site.md");
    let tests = [tests_in(guide), tests_in(include_str!("../README.md"))].concat();
    assert_eq!(tests.len(), 4);

    let here = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let web1 = SimHost::debian(13).with_package("nginx").with_user("webmaster");
    let web1 = web1.with_file("/srv/www/index.html", "<h1>Ours</h1>\n");
    std::fs::write(here.join("web1.host"), web1.record().unwrap().to_json()).unwrap();
    let role = Path::new(env!("CARGO_MANIFEST_DIR")).join("roles/web.ncl");
    for (number, test) in tests.into_iter().enumerate() {
        let role = role.display();
        let site = here.join(format!("site-{number}.ncl"));
        let text = format!(
            "let p = import \"provision.ncl\" in
             (import \"{role}\") {{ name = \"web1\", port = 8080, memory_mib = p.facts.memory_mib }} & {{\n{test}\n}}"
        );
        std::fs::write(&site, text).unwrap();
        let input = Input { sources: vec![SiteSource::File(site)], ..Input::default() };
        let only_tests = SuiteOptions { filter: Some(", test ".to_owned()), ..SuiteOptions::default() };
        let suite = Suite::new(&registry(), &input, &only_tests).unwrap();
        assert!(!suite.checks().is_empty(), "{test}");
        for check in suite.checks() {
            check.run().unwrap();
        }
    }
}
