//! Nickel in, values with their places out.
//!
//! [`evaluate`] reads the files of a site, merges them, applies the `Site` contract that
//! [`contract_library`] makes from the schemas of the resource types, and answers with a tree of plain data in
//! which every value knows the place that gave it. When something is wrong, all of it is reported at once, and
//! the tree holds what could be evaluated regardless.
//!
//! No type of Nickel appears in an interface outside of this module.

mod bounded;
mod branches;
mod cache;
mod contracts;
mod data;
mod errors;
mod evaluate;
mod evaluator;
mod failures;
mod files;
mod inputs;
mod kept;
mod load;
mod opened;
mod overrides;
mod pieces;
mod places;
mod prepare;
mod proof;
mod scan;
mod schema;
mod session;
mod shape;
mod spread;
#[cfg(test)]
mod tests;
mod tests_of_site;
mod traps;
mod walk;
mod watch;

use std::fmt;
use std::path::PathBuf;

use crate::diagnostic::{Diagnostic, Sources};
use inputs::Inputs;

pub use branches::{Branch, BranchKind, Branches};
pub use cache::{EvaluationCache, KeptEvaluation};
pub use contracts::contract_library;
pub use evaluate::{evaluate, evaluate_noting};
pub use evaluator::Evaluator;
pub use load::{Input, load, load_kept};

pub use crate::located::{Data, Field, Located, Step};
use crate::registry::{DescribeTypes, TypeDescription};

/// One file of a site, or a text that stands for one.
#[derive(Clone, Debug)]
pub enum SiteSource {
    /// A file: Nickel, or JSON, YAML or TOML by its extension.
    File(PathBuf),
    /// A text that was read already, such as standard input. Its imports are looked up in the import paths.
    Text {
        /// What diagnostics call it, such as `<stdin>`.
        name: String,
        /// The Nickel text.
        text: String,
    },
}

impl fmt::Display for SiteSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SiteSource::File(path) => path.display().fmt(f),
            SiteSource::Text { name, .. } => f.write_str(name),
        }
    }
}

/// What to evaluate, and with what.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The files of the site; several merge, as with `&`.
    pub sources: Vec<SiteSource>,
    /// Field paths and the values to force on them, as `--set path=value` gives them. Of two with the same path
    /// the later one counts.
    pub overrides: Vec<(String, String)>,
    /// Directories to look for imports in, after the one of the importing file.
    pub import_paths: Vec<PathBuf>,
    /// What is known of the host: `facts` of the library, which the site and every file that it imports can import.
    pub facts: &'a serde_json::Value,
    /// The resource types that the `Site` contract admits.
    pub types: &'a dyn DescribeTypes,
}

/// What came of an evaluation.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// The site. With diagnostics it lacks what could not be evaluated; without a tree nothing could.
    pub tree: Option<Located>,
    /// Everything that is wrong with the site in itself: syntax, conflicts, broken contracts of the user's own,
    /// missing definitions, fields that a site does not have.
    pub diagnostics: Vec<Diagnostic>,
    /// What the `Site` contract found wrong. The checks that resource types make on the tree say it better: show
    /// these only if those checks and `diagnostics` find nothing.
    pub contract_failure: Vec<Diagnostic>,
    /// The fields that `tree` lacks because their evaluation failed, as paths from the root.
    pub broken: Vec<Vec<String>>,
    /// The texts that spans in the diagnostics and in the tree point into.
    pub sources: Sources,
    /// Every file that was read, imports included, in order of their names.
    pub files: Vec<PathBuf>,
    /// What it depends on.
    inputs: Inputs,
    /// Where it is kept.
    kept: Option<KeptEvaluation>,
}

impl Evaluation {
    /// Whether the site is right as far as Nickel can tell.
    pub fn is_sound(&self) -> bool {
        self.tree.is_some() && self.diagnostics.is_empty() && self.contract_failure.is_empty()
    }
}
