//! Evaluations that are kept: a site that is as it was is not evaluated again.
//!
//! An entry is named by a digest of what was asked for: the program's version and contracts, the sources, overrides and
//! import paths. It says what else the evaluation depended on, and holds only while all of that is the same: the bytes of
//! every file that was read, the facts that were used, and that there is still nothing where an import was looked for
//! first. What cannot be read, was changed, or belongs to somebody else, counts as not there.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::files::working_directory;
use super::kept::Kept;
use super::{Evaluation, Request, SiteSource, evaluate};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::StateStore;

/// The beginning of every entry; the digest of the rest comes next.
const FORMAT: &[u8] = b"provision evaluation 1\n";

/// Where entries are in their store.
const DIRECTORY: &str = "evaluations";

/// When there are so many entries, all go.
const MOST_ENTRIES: usize = 64;

/// A place in which evaluations are kept.
///
/// An entry is as private as the files of the site. It holds no values of secrets: a site has only their names.
#[derive(Clone)]
pub struct EvaluationCache(Arc<dyn StateStore>);

impl fmt::Debug for EvaluationCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EvaluationCache")
    }
}

impl EvaluationCache {
    /// Keeps evaluations in a store that nobody else can write to, such as
    /// [`LocalHost::cache`](crate::host::LocalHost::cache).
    pub fn new(store: impl StateStore + 'static) -> EvaluationCache {
        EvaluationCache(Arc::new(store))
    }

    /// The evaluation that is asked for: a kept one that still holds, or a new one, which is kept if it is sound.
    ///
    /// That it cannot be kept is no failure of the evaluation.
    pub fn evaluate(&self, request: &Request<'_>) -> Evaluation {
        // A path that is no text has no name here, and is rare.
        let Some(entry) = name(request) else { return evaluate(request) };
        match self.find(&entry, request) {
            Ok(Some(evaluation)) => return evaluation,
            Ok(None) => tracing::debug!("there is no kept evaluation that holds"),
            Err(error) => tracing::debug!("a kept evaluation is ignored: {error}"),
        }
        let evaluation = evaluate(request);
        if let Some(kept) = Kept::of(&evaluation, request.facts)
            && let Err(error) = self.keep(&entry, &kept)
        {
            tracing::debug!("the evaluation is not kept: {error}");
        }
        evaluation
    }

    /// A kept evaluation, if it still holds.
    fn find(&self, entry: &str, request: &Request<'_>) -> Result<Option<Evaluation>> {
        let Some(bytes) = self.0.read(entry)? else { return Ok(None) };
        let damaged = || Error::new(ErrorKind::Damaged, "it is damaged, or of another version");
        let rest = bytes.strip_prefix(FORMAT).and_then(|rest| rest.split_at_checked(32)).ok_or_else(damaged)?;
        let (digest, body) = rest;
        if Sha256::digest(body)[..] != *digest {
            return Err(damaged());
        }
        let kept: Kept = rmp_serde::from_slice(body).map_err(|_| damaged())?;
        Ok(kept.if_true(request.facts))
    }

    fn keep(&self, entry: &str, kept: &Kept) -> Result<()> {
        let others = self.0.list(DIRECTORY)?;
        if others.len() >= MOST_ENTRIES {
            others.iter().try_for_each(|other| self.0.remove(&format!("{DIRECTORY}/{other}")))?;
        }
        let body = rmp_serde::to_vec(kept).map_err(|error| Error::new(ErrorKind::Damaged, error.to_string()))?;
        self.0.replace(entry, &[FORMAT, &Sha256::digest(&body), &body].concat())
    }
}

/// What was asked for, as the name of an entry.
fn name(request: &Request<'_>) -> Option<String> {
    let sources = request.sources.iter().map(|source| match source {
        SiteSource::File(path) => (path.as_path(), None),
        SiteSource::Text { name, text } => (Path::new(name), Some(text)),
    });
    let types = request.types.iter().map(|described| (&described.name, &described.description, &described.schema));
    let asked = (
        env!("CARGO_PKG_VERSION"),
        // The contract library is made from these.
        types.collect::<Vec<_>>(),
        sources.collect::<Vec<_>>(),
        &request.overrides,
        &request.import_paths,
        working_directory(),
    );
    let asked = rmp_serde::to_vec(&asked).ok()?;
    let digest: String = Sha256::digest(asked).iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("{DIRECTORY}/{digest}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Whether an evaluation would be answered from the cache.
    pub(in crate::config) fn has(cache: &EvaluationCache, request: &Request<'_>) -> bool {
        cache.find(&name(request).unwrap(), request).is_ok_and(|kept| kept.is_some())
    }
}
