//! Evaluations that are kept: a site that is as it was is not evaluated again.
//!
//! An entry is named by a digest of what was asked for: the program, its types, the sources, import paths, and which facts
//! there are. It says what else the evaluation depended on, and holds only while all of that is the same: the bytes of
//! every file that was read, the facts that were used, and that there is still nothing where an import was looked for
//! first. What cannot be read, was changed, or belongs to another user, counts as not there.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::files::{this_program, working_directory};
use super::kept::{self, Kept, KeptInputs};
use super::{Evaluation, Input, Request, SiteSource, evaluate};
use crate::bytes::hex;
use crate::error::Result;
use crate::facts::Facts;
use crate::format::Format;
use crate::registry::Registry;
use crate::state::{HostKey, Shelf, StateStore};

/// Evaluations, with what they depend on.
const EVALUATIONS: Shelf = Shelf { format: EVALUATION, directory: "evaluations", most: 64 };

/// See `docs/formats/caches.md`.
pub(crate) const EVALUATION: Format = Format { name: "evaluation", noun: "a kept evaluation", version: 3 };

/// What is remembered of those that had nothing to do.
const CONVERGED: Shelf = Shelf { format: QUIET, directory: "converged", most: 64 };

/// See `docs/formats/caches.md`.
pub(crate) const QUIET: Format = Format { name: "converged", noun: "a remembered run", version: 1 };

/// A place in which evaluations are kept.
///
/// An entry holds what the files of the site say, and no secret: a site has only the names of secrets. One with sensitive
/// resources, with overrides, or with a text that is in no file, is not kept.
#[derive(Clone)]
pub struct EvaluationCache {
    store: Arc<dyn StateStore>,
    key: Option<HostKey>,
}

impl fmt::Debug for EvaluationCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EvaluationCache")
    }
}

impl EvaluationCache {
    /// Keeps evaluations in a store that no other user can write to, such as
    /// [`LocalHost::cache`](crate::host::LocalHost::cache).
    pub fn new(store: impl StateStore + 'static) -> EvaluationCache {
        EvaluationCache { store: Arc::new(store), key: None }
    }

    /// Also remembers quiet runs of sites with overrides, which may hold anybody's secrets: their entries are named by a
    /// digest that only this key makes, and hold no tree.
    #[must_use]
    pub fn with_key(self, key: HostKey) -> EvaluationCache {
        EvaluationCache { key: Some(key), ..self }
    }

    /// The evaluation that is asked for: a kept one that still holds, or a new one, which is kept if it is sound.
    ///
    /// That it cannot be kept is no failure of the evaluation.
    pub fn evaluate(&self, request: &Request<'_>) -> Evaluation {
        let Some(name) = self.name(request) else { return evaluate(request) };
        match self.find(&name, request) {
            Ok(Some(evaluation)) => return evaluation,
            Ok(None) => tracing::debug!("there is no kept evaluation that holds"),
            Err(error) => tracing::debug!("a kept evaluation is ignored: {error}"),
        }
        let mut evaluation = evaluate(request);
        match self.keep(name, &evaluation, request) {
            Ok(kept) => evaluation.kept = kept,
            Err(error) => tracing::debug!("the evaluation is not kept: {error}"),
        }
        evaluation
    }

    /// What was remembered of a run that had nothing to do, if the site is as it was then.
    pub fn converged<T: DeserializeOwned>(&self, registry: &Registry, facts: &Facts, input: &Input) -> Option<T> {
        let facts = serde_json::to_value(facts).ok()?;
        let name = self.name(&input.request(registry, &facts))?;
        let remembered = CONVERGED.read(&*self.store, &name).ok()??;
        let (inputs, converged): (KeptInputs, T) = rmp_serde::from_slice(&remembered).ok()?;
        inputs.if_same(&facts).is_some().then_some(converged)
    }

    /// Remembers what a run found that had nothing to do, for the evaluation of the site that it was for.
    pub fn keep_converged(&self, of: &KeptEvaluation, converged: &impl Serialize) {
        if let Err(error) = CONVERGED.write(&*self.store, &of.name, &(&*of.inputs, converged)) {
            tracing::debug!("that the run had nothing to do is not remembered: {error}");
        }
    }

    /// A kept evaluation, if it still holds.
    fn find(&self, name: &str, request: &Request<'_>) -> Result<Option<Evaluation>> {
        let Some(bytes) = EVALUATIONS.read(&*self.store, name)? else { return Ok(None) };
        let (inputs, kept): (KeptInputs, Kept<'_>) = rmp_serde::from_slice(&bytes).map_err(|_| Shelf::damaged())?;
        let Some(read) = inputs.if_same(request.facts) else { return Ok(None) };
        let evaluation = kept.evaluation(&inputs, &read).ok_or_else(Shelf::damaged)?;
        let kept = Some(KeptEvaluation { name: name.to_owned(), inputs: Arc::new(inputs) });
        Ok(Some(Evaluation { kept, ..evaluation }))
    }

    /// Keeps an evaluation, or only what it depends on if the tree holds overrides.
    fn keep(&self, name: String, evaluation: &Evaluation, request: &Request<'_>) -> Result<Option<KeptEvaluation>> {
        let Some((inputs, tree)) = kept::inputs_of(evaluation, request.facts) else { return Ok(None) };
        if request.overrides.is_empty() {
            let Some(kept) = kept::of(evaluation, tree) else { return Ok(None) };
            EVALUATIONS.write(&*self.store, &name, &(&inputs, &kept))?;
        }
        Ok(Some(KeptEvaluation { name, inputs: Arc::new(inputs) }))
    }

    /// What was asked for, as the name of an entry. `None` for what is not kept: typed texts, and overrides without a key,
    /// may be anybody's secrets. A path that is no text has no name either.
    fn name(&self, request: &Request<'_>) -> Option<String> {
        let asked = asked(request)?;
        if request.overrides.is_empty() {
            return Some(hex(&Sha256::digest(asked)));
        }
        let key = self.key.as_ref()?;
        let asked = Zeroizing::new(rmp_serde::to_vec(&("overridden", asked, &request.overrides)).ok()?);
        Some(key.digest(&asked))
    }
}

/// An evaluation that is kept.
#[derive(Clone, Debug)]
pub struct KeptEvaluation {
    name: String,
    inputs: Arc<KeptInputs>,
}

/// What was asked for, apart from overrides; `None` if a text was typed.
fn asked(request: &Request<'_>) -> Option<Vec<u8>> {
    let sources = request.sources.iter().map(|source| match source {
        SiteSource::File(path) => Some(path.as_path()),
        SiteSource::Text { .. } => None,
    });
    let sources = sources.collect::<Option<Vec<&Path>>>()?;
    let asked = (
        (env!("CARGO_PKG_VERSION"), this_program()?),
        // The contract library is made from these, and what they are is a part of the program.
        request.types.identity(),
        sources,
        &request.import_paths,
        working_directory(),
        // Which facts there are, a site can ask without using one.
        names_of(request.facts),
    );
    rmp_serde::to_vec(&asked).ok()
}

/// The names in records, and in records within them, in order.
fn names_of(facts: &Value) -> Vec<(&str, Vec<&str>)> {
    let mut names = Vec::new();
    let mut todo = vec![("", facts)];
    while let Some((name, facts)) = todo.pop() {
        let Value::Object(fields) = facts else { continue };
        names.push((name, fields.keys().map(String::as_str).collect()));
        todo.extend(fields.iter().map(|(name, inner)| (name.as_str(), inner)));
    }
    names
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Located;
    use super::*;
    use crate::golden;
    use crate::state::MemoryStore;
    use serde_json::json;

    /// Whether an evaluation would be answered from the cache.
    pub(in crate::config) fn has(cache: &EvaluationCache, request: &Request<'_>) -> bool {
        cache.name(request).is_some_and(|name| cache.find(&name, request).is_ok_and(|kept| kept.is_some()))
    }

    /// What is kept of an evaluation, with a value of each kind in its tree.
    fn sample<'a>(tree: &'a Located, text: &Arc<str>) -> (KeptInputs, Kept<'a>) {
        kept::tests::sample(tree, text)
    }

    fn tree() -> Located {
        let json = json!({ "resources": { "file": { "/a": { "content": "é", "size": 1, "ok": true, "no": null, "list": [0.5] } } } });
        Located::from(json)
    }

    #[test]
    fn golden_evaluations_of_every_version_are_read_and_those_of_a_newer_one_left_as_they_are() {
        let (store, tree, text): (_, _, Arc<str>) = (MemoryStore::new(), tree(), "the text".into());
        EVALUATIONS.write(&store, "entry", &sample(&tree, &text)).unwrap();
        let written = store.files()["evaluations/entry"].clone();
        for bytes in golden::versions("evaluation", &written) {
            store.replace("evaluations/entry", &bytes).unwrap();
            let bytes = EVALUATIONS.read(&store, "entry").unwrap().unwrap();
            let (inputs, kept): (KeptInputs, Kept<'_>) = rmp_serde::from_slice(&bytes).unwrap();
            let evaluation = kept.evaluation(&inputs, std::slice::from_ref(&text)).unwrap();
            assert_eq!(evaluation.tree.unwrap().to_json(), tree.to_json());
        }
        let newer = golden::of_next_version(&EVALUATION, &written);
        store.replace("evaluations/entry", &newer).unwrap();
        golden::assert_newer(&EVALUATIONS.write(&store, "entry", &sample(&tree, &text)).unwrap_err(), &EVALUATION);
        golden::assert_newer(&EVALUATIONS.read(&store, "entry").unwrap_err(), &EVALUATION);
        assert!(store.files()["evaluations/entry"] == newer);
    }

    #[test]
    fn golden_quiet_runs_of_every_version_are_read_and_those_of_a_newer_one_left_as_they_are() {
        let (store, tree, text): (_, _, Arc<str>) = (MemoryStore::new(), tree(), "the text".into());
        let (inputs, _) = sample(&tree, &text);
        let converged = crate::plan::tests_of_converged::sample();
        CONVERGED.write(&store, "entry", &(&inputs, &converged)).unwrap();
        let written = store.files()["converged/entry"].clone();
        for bytes in golden::versions("converged", &written) {
            store.replace("converged/entry", &bytes).unwrap();
            let bytes = CONVERGED.read(&store, "entry").unwrap().unwrap();
            let (_, read): (KeptInputs, crate::plan::Converged) = rmp_serde::from_slice(&bytes).unwrap();
            assert_eq!(format!("{read:?}"), format!("{converged:?}"));
        }
        let newer = golden::of_next_version(&QUIET, &written);
        store.replace("converged/entry", &newer).unwrap();
        golden::assert_newer(&CONVERGED.write(&store, "entry", &(&inputs, &converged)).unwrap_err(), &QUIET);
        assert!(store.files()["converged/entry"] == newer);
    }
}
