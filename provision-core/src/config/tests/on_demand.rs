//! A site costs what it uses, and not what the program knows.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Mutex;

use super::{Site, types};
use crate::config::{Evaluation, Request, TypeDescription, evaluate};
use crate::registry::DescribeTypes;

/// Many types, which note what is asked of them.
#[derive(Debug, Default)]
struct Many(Mutex<RefCell<BTreeSet<String>>>);

impl DescribeTypes for Many {
    fn identity(&self) -> Vec<String> {
        Vec::new()
    }
    fn names(&self) -> Vec<String> {
        (0..45).map(|number| format!("dummy{number}")).chain(["file".to_owned(), "link".to_owned()]).collect()
    }
    fn description(&self, name: &str) -> Option<TypeDescription> {
        self.0.lock().unwrap().borrow_mut().insert(name.to_owned());
        types().into_iter().find(|described| described.name == name)
    }
}

/// The evaluation, and the types that it asked for.
fn asked(site: &Site) -> (Evaluation, Vec<String>) {
    let many = Many::default();
    let evaluation = evaluate(&Request { types: &many, ..site.request() });
    let asked = many.0.lock().unwrap().borrow().iter().cloned().collect();
    (evaluation, asked)
}

#[test]
fn only_types_that_a_site_names_are_described() {
    // What is plain is proven, and what is not is left to the contracts.
    for text in [
        "{ resources.file.\"/a\".content = \"x\" }",
        "(let p = import \"provision.ncl\" in { resources.file.\"/a\" = { hidden | not_exported = 1 } } | p.Site)",
        "{ resources.file.\"/a\".size = \"x\" }",
    ] {
        assert_eq!(asked(&Site::text(text)).1, ["file"], "{text}");
    }
    assert_eq!(asked(&Site::text("{}")).1, Vec::<String>::new());
    assert!(asked(&Site::text("{ resources.file.\"/a\".content = \"x\" }")).0.is_sound());
}
