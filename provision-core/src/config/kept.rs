//! The form in which an evaluation is kept: its tree, and what has to be as it was for it to be true.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use sha2::{Digest, Sha256};

use super::inputs::Inputs;
use super::session::LIBRARY;
use super::{Data, Evaluation, Field, Located, files};
use crate::diagnostic::{Sources, Span};

/// What a sound evaluation depends on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptInputs {
    /// Files that were read, with SHA-256 of their texts.
    files: Vec<(PathBuf, [u8; 32])>,
    /// Files that have to be there, whatever is in them.
    shadows: Vec<PathBuf>,
    /// Places where no file may be.
    preferred: Vec<PathBuf>,
    /// Facts that were used.
    facts: Vec<(Vec<String>, Value)>,
}

/// The evaluation itself.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept<'a> {
    /// The texts that places point into, by name, with the number of the file that each is of.
    texts: Vec<(String, usize)>,
    #[serde(borrow)]
    tree: Node<'a>,
}

#[derive(Serialize, Deserialize)]
struct Node<'a>(Place, #[serde(borrow)] Inner<'a>);

#[derive(Serialize, Deserialize)]
enum Inner<'a> {
    Null,
    Bool(bool),
    Number(Number),
    String(&'a str),
    Tag(&'a str),
    #[serde(borrow)]
    Array(Vec<Node<'a>>),
    #[serde(borrow)]
    Record(Vec<(&'a str, Place, Node<'a>)>),
}

/// The number of the text, line, column, first byte, and length.
type Place = Option<(usize, u32, u32, usize, usize)>;

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// The fact at a path.
fn fact<'f>(facts: &'f Value, path: &[String]) -> Option<&'f Value> {
    path.iter().try_fold(facts, |facts, name| facts.get(name))
}

/// Whether a resource of the site is marked as sensitive.
fn is_sensitive(tree: &Located) -> bool {
    let types = tree.get("resources").map(Located::fields).unwrap_or_default();
    let resources = types.iter().flat_map(|of_type| of_type.value.fields());
    resources
        .map(|resource| resource.value.get("sensitive"))
        .any(|said| said.is_some_and(|said| said.value == Data::Bool(true)))
}

/// What an evaluation depends on, and its tree; `None` if it is not sound, cannot be known to be true later, or holds what
/// the site wants hidden.
pub(super) fn inputs_of<'a>(evaluation: &'a Evaluation, facts: &Value) -> Option<(KeptInputs, &'a Located)> {
    let tree = evaluation.tree.as_ref().filter(|tree| evaluation.is_sound() && !is_sensitive(tree))?;
    let Inputs { files, shadows, preferred, facts: used } = &evaluation.inputs;
    if preferred.iter().any(|path| files::is_readable(path)) || !files.keys().all(|path| files::is_file(path)) {
        return None;
    }
    let inputs = KeptInputs {
        files: files.iter().map(|(path, text)| (path.clone(), digest(text))).collect(),
        shadows: shadows.iter().cloned().collect(),
        preferred: preferred.iter().cloned().collect(),
        facts: used.iter().filter_map(|path| Some((path.clone(), fact(facts, path)?.clone()))).collect(),
    };
    Some((inputs, tree))
}

/// The evaluation itself; `None` if a text that its places point into is in no file.
pub(super) fn of<'a>(evaluation: &'a Evaluation, tree: &'a Located) -> Option<Kept<'a>> {
    let files = &evaluation.inputs.files;
    let names: Vec<&str> = evaluation.sources.iter().map(|(name, _)| &**name).collect();
    let texts = evaluation.sources.iter().map(|(name, text)| {
        let file = files.values().position(|other| Arc::ptr_eq(other, text) || other == text)?;
        Some((name.to_string(), file))
    });
    Some(Kept { texts: texts.collect::<Option<_>>()?, tree: Node::of(tree, &names) })
}

impl KeptInputs {
    /// The texts of the files, if all is still as it was.
    pub(super) fn if_same(&self, facts: &Value) -> Option<Vec<Arc<str>>> {
        if self.facts.iter().any(|(path, value)| fact(facts, path) != Some(value)) {
            return None;
        }
        if self.preferred.iter().any(|path| files::is_readable(path)) {
            return None;
        }
        // A pipe would be emptied by looking.
        if !self.files.iter().map(|(path, _)| path).chain(&self.shadows).all(|path| files::is_file(path)) {
            return None;
        }
        let mut read: Vec<Arc<str>> = Vec::with_capacity(self.files.len());
        for (path, known) in &self.files {
            let text = files::read(path).ok().filter(|text| digest(text) == *known)?;
            read.push(text.into());
        }
        Some(read)
    }
}

impl<'a> Kept<'a> {
    /// The evaluation again, of these inputs and the texts that were read of them.
    pub(super) fn evaluation(self, inputs: &KeptInputs, read: &[Arc<str>]) -> Option<Evaluation> {
        let (mut sources, mut names) = (Sources::default(), Vec::with_capacity(self.texts.len()));
        for (name, text) in self.texts {
            let name: Arc<str> = name.into();
            sources.insert(name.clone(), read.get(text)?.clone());
            names.push(name);
        }
        let tree = self.tree.located(&names)?;
        let files = inputs.files.iter().map(|(path, _)| path);
        let files = files.filter(|path| path.file_name().is_none_or(|name| name != LIBRARY)).cloned().collect();
        let facts = inputs.facts.iter().map(|(path, _)| path.clone()).collect();
        let inputs = Inputs { facts, ..Inputs::default() };
        Some(Evaluation { tree: Some(tree), sources, files, inputs, ..Evaluation::default() })
    }
}

impl<'a> Node<'a> {
    fn of(located: &'a Located, names: &[&str]) -> Node<'a> {
        let place = |span: &Option<Span>| -> Place {
            let Span { file, line, column, start, end } = span.as_ref()?;
            Some((names.binary_search(&&**file).ok()?, *line, *column, *start, end - start))
        };
        let inner = match &located.value {
            Data::Null => Inner::Null,
            Data::Bool(value) => Inner::Bool(*value),
            Data::Number(number) => Inner::Number(number.clone()),
            Data::String(text) => Inner::String(text),
            Data::Tag(name) => Inner::Tag(name),
            Data::Array(elements) => Inner::Array(elements.iter().map(|element| Node::of(element, names)).collect()),
            Data::Record(fields) => {
                let field =
                    |field: &'a Field| (field.name.as_str(), place(&field.name_span), Node::of(&field.value, names));
                Inner::Record(fields.iter().map(field).collect())
            }
        };
        Node(place(&located.span), inner)
    }

    /// The tree again; `None` if a place is in a text that is not there.
    fn located(self, names: &[Arc<str>]) -> Option<Located> {
        let Node(place, inner) = self;
        let value = match inner {
            Inner::Null => Data::Null,
            Inner::Bool(value) => Data::Bool(value),
            Inner::Number(number) => Data::Number(number),
            Inner::String(text) => Data::String(text.to_owned()),
            Inner::Tag(name) => Data::Tag(name.to_owned()),
            Inner::Array(elements) => {
                Data::Array(elements.into_iter().map(|element| element.located(names)).collect::<Option<_>>()?)
            }
            Inner::Record(fields) => {
                let field = |(name, place, value): (&str, Place, Node<'_>)| {
                    Some(Field { name: name.to_owned(), name_span: span(place, names)?, value: value.located(names)? })
                };
                Data::Record(fields.into_iter().map(field).collect::<Option<_>>()?)
            }
        };
        Some(Located { value, span: span(place, names)? })
    }
}

#[expect(clippy::option_option, reason = "that there is no place is no failure")]
fn span(place: Place, names: &[Arc<str>]) -> Option<Option<Span>> {
    let Some((text, line, column, start, length)) = place else { return Some(None) };
    Some(Some(Span { file: names.get(text)?.clone(), line, column, start, end: start.checked_add(length)? }))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What is kept of a tree whose places are in one text.
    pub(in crate::config) fn sample<'a>(tree: &'a Located, text: &Arc<str>) -> (KeptInputs, Kept<'a>) {
        let file = PathBuf::from("/site/site.ncl");
        let inputs = KeptInputs {
            files: vec![(file, digest(text))],
            shadows: vec![PathBuf::from("/site/provision.ncl")],
            preferred: vec![PathBuf::from("/site/role.ncl")],
            facts: vec![(vec!["os".to_owned(), "version".to_owned()], Value::from("13"))],
        };
        (inputs, Kept { texts: vec![("site.ncl".to_owned(), 0)], tree: Node::of(tree, &["site.ncl"]) })
    }
}
