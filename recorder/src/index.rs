//! The packages that an archive has, what they need, and in which order they are installed.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::control::{Paragraph, paragraphs, relations};

/// The packages that an archive has, by name, and who stands for a virtual one.
#[derive(Debug, Default)]
pub struct Index {
    packages: BTreeMap<String, Paragraph>,
    providers: BTreeMap<String, BTreeSet<String>>,
}

impl Index {
    /// Reads what `apt-cache dumpavail` says: for each package the version that would be installed.
    pub fn parse(text: &str) -> Index {
        let mut index = Index::default();
        for paragraph in paragraphs(text) {
            let name = paragraph.get("Package").to_owned();
            for provided in relations(paragraph.get("Provides")).into_iter().flatten() {
                index.providers.entry(provided).or_default().insert(name.clone());
            }
            index.packages.insert(name, paragraph);
        }
        index
    }

    /// A package by its name.
    pub fn get(&self, name: &str) -> Option<&Paragraph> {
        self.packages.get(name)
    }

    /// What packages need that is not there, and what that needs: for each relation of which no alternative is there
    /// the first one that the archive has, for a virtual package one that stands for it.
    pub fn closure(&self, wanted: &[String], there: &BTreeSet<String>) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut ordered = Vec::new();
        let mut queue: VecDeque<String> = wanted.iter().cloned().collect();
        while let Some(name) = queue.pop_front() {
            let Some(package) = self.get(&name) else { continue };
            if !seen.insert(name.clone()) {
                continue;
            }
            if !there.contains(&name) {
                ordered.push(name);
            }
            for field in ["Pre-Depends", "Depends", "Recommends"] {
                for alternatives in relations(package.get(field)) {
                    if !self.stand_for(&alternatives).any(|name| there.contains(name) || seen.contains(name)) {
                        queue.extend(self.stand_for(&alternatives).next().map(str::to_owned));
                    }
                }
            }
        }
        ordered
    }

    /// The packages that satisfy a relation, in the order in which they are considered.
    fn stand_for<'a>(&'a self, alternatives: &'a [String]) -> impl Iterator<Item = &'a str> {
        alternatives.iter().flat_map(|name| {
            let real = self.packages.get_key_value(name).map(|(name, _)| name.as_str());
            let providers = self.providers.get(name).into_iter().flatten().map(String::as_str);
            real.into_iter().chain(providers)
        })
    }

    /// The packages in groups, each after what it needs; a group of several need each other.
    pub fn order(&self, packages: &BTreeSet<String>) -> Vec<Vec<String>> {
        let mut search =
            Search { index: self, packages, numbers: HashMap::new(), stack: Vec::new(), groups: Vec::new() };
        for name in packages {
            if !search.numbers.contains_key(name.as_str()) {
                search.visit(name);
            }
        }
        search.groups
    }

    /// The packages among some that another one needs.
    fn needs<'a>(&self, name: &str, packages: &'a BTreeSet<String>) -> Vec<&'a str> {
        let Some(package) = self.get(name) else { return Vec::new() };
        let mut needed = Vec::new();
        for alternatives in relations(&package.depends()) {
            let real = alternatives.iter().find_map(|one| packages.get(one));
            let standing = || self.stand_for(&alternatives).find_map(|one| packages.get(one));
            needed.extend(real.or_else(standing).map(String::as_str));
        }
        needed
    }
}

/// The search of Tarjan for what needs each other.
struct Search<'a> {
    index: &'a Index,
    packages: &'a BTreeSet<String>,
    numbers: HashMap<&'a str, usize>,
    stack: Vec<&'a str>,
    groups: Vec<Vec<String>>,
}

impl<'a> Search<'a> {
    fn visit(&mut self, name: &'a str) -> usize {
        let number = self.numbers.len();
        self.numbers.insert(name, number);
        let mut lowest = number;
        self.stack.push(name);
        for needed in self.index.needs(name, self.packages) {
            match self.numbers.get(needed) {
                None => lowest = lowest.min(self.visit(needed)),
                Some(other) if self.stack.contains(&needed) => lowest = lowest.min(*other),
                Some(_) => {}
            }
        }
        if lowest == number {
            let start = self.stack.iter().position(|other| *other == name).unwrap_or_default();
            self.groups.push(self.stack.drain(start..).rev().map(str::to_owned).collect());
        }
        lowest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        Index::parse(
            "Package: a\nDepends: b, mta | x\nRecommends: r\n\nPackage: b\nDepends: c\n\nPackage: c\nDepends: b\n\n\
             Package: exim\nProvides: mta\n\nPackage: postfix\nProvides: mta\n\nPackage: r\nDepends: gone | b\n",
        )
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_closure_takes_first_alternatives_and_recommends() {
        let found = index().closure(&["a".into()], &BTreeSet::new());
        assert_eq!(found, ["a", "b", "exim", "r", "c"]);
    }

    #[test]
    fn what_is_there_stands_for_a_virtual_package() {
        let found = index().closure(&["a".into()], &names(&["postfix", "b", "c"]));
        assert_eq!(found, ["a", "r"]);
    }

    #[test]
    fn packages_come_after_what_they_need_and_cycles_together() {
        let found = index().order(&names(&["a", "b", "c", "postfix"]));
        assert_eq!(found, [vec!["c", "b"], vec!["postfix"], vec!["a"]]);
    }
}
