//! From the files of a site to a [`Site`]: evaluated, built by the registry, with every mistake at once.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use semver::{Version, VersionReq};
use serde_json::{Map, Value};

use super::{
    Branches, Data, Evaluation, EvaluationCache, Field, KeptEvaluation, Located, Request, SiteSource, evaluate,
    evaluate_noting, tests_of_site,
};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::facts::Facts;
use crate::id::ResourceId;
use crate::policy::SitePolicy;
use crate::registry::Registry;
use crate::site::{RawDeclaration, Site};

/// What a site is made from.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// The files of the site; several merge, as with `&`.
    pub sources: Vec<SiteSource>,
    /// Field paths and the values to force on them, as `--set path=value` gives them.
    pub overrides: Vec<(String, String)>,
    /// Directories to look for imports in, after the one of the importing file.
    pub import_paths: Vec<PathBuf>,
    /// Takes note of the branches of the site, and of those that each evaluation takes.
    pub branches: Option<Branches>,
    /// Keeps evaluations; not used where branches are taken note of.
    pub cache: Option<EvaluationCache>,
}

impl Input {
    /// What is asked for a host of which these facts are known.
    pub(super) fn request<'r>(&self, registry: &'r Registry, facts: &'r Value) -> Request<'r> {
        let Input { sources, overrides, import_paths, .. } = self.clone();
        Request { sources, overrides, import_paths, facts, types: registry }
    }
}

/// Evaluates a site for a host of which these facts are known, and builds its resources.
///
/// # Errors
/// Everything that is wrong with the site, each mistake with its place.
pub fn load(registry: &Registry, facts: &Facts, input: Input) -> Result<Site, Diagnostics> {
    load_kept(registry, facts, input).map(|(site, _)| site)
}

/// The same, with the evaluation that it is of, if that is kept.
///
/// # Errors
/// As [`load`].
pub fn load_kept(
    registry: &Registry,
    facts: &Facts,
    input: Input,
) -> Result<(Site, Option<KeptEvaluation>), Diagnostics> {
    let known = serde_json::to_value(facts).unwrap_or_default();
    let request = input.request(registry, &known);
    let mut evaluation = match (&input.branches, &input.cache) {
        (Some(branches), _) => evaluate_noting(&request, branches),
        (None, Some(cache)) => cache.evaluate(&request),
        (None, None) => evaluate(&request),
    };
    let kept = evaluation.kept.take();
    Ok((site_of(registry, evaluation, facts, &input.sources)?, kept))
}

/// Builds the resources of a site that was evaluated.
pub(super) fn site_of(
    registry: &Registry,
    evaluation: Evaluation,
    facts: &Facts,
    files: &[SiteSource],
) -> Result<Site, Diagnostics> {
    let Evaluation { tree, mut diagnostics, contract_failure, broken, sources, inputs, .. } = evaluation;
    let Some(tree) = tree else {
        return Err(Diagnostics { list: diagnostics, sources });
    };
    diagnostics.extend(version_mismatch(&tree));
    let warnings = name_that_changes(&tree, &inputs.facts, facts).into_iter().collect();
    let (policy, (tests, test_host)) = (policy(&tree), tests_of_site::of(&tree));
    let name = tree.get("name").and_then(Located::as_str).map(str::to_owned).or_else(|| name_of(files));
    let (site, mistakes) = Site::assemble(registry, declarations(tree), broken_resources(&broken), sources);
    diagnostics.extend(mistakes);
    if diagnostics.is_empty() && contract_failure.is_empty() {
        let site = site.with_policy(policy).with_tests(tests, test_host).with_warnings(warnings);
        let site = site.with_origin(files.iter().map(ToString::to_string));
        return Ok(match name {
            Some(name) => site.with_name(&name),
            None => site,
        });
    }
    let mut all = site.with_all_mistakes(diagnostics);
    if all.list.is_empty() {
        all.list = contract_failure;
    }
    Err(all)
}

/// A site that gives its host a name, and uses the one that the host has before.
fn name_that_changes(tree: &Located, used: &BTreeSet<Vec<String>>, facts: &Facts) -> Option<Diagnostic> {
    let fact = ["hostname", "fqdn"].into_iter().find(|name| used.contains(&vec![(*name).to_owned()]))?;
    let file = tree.at(["resources", "file", "/etc/hostname"])?;
    let content = file.field("content")?;
    let declared = content.value.as_str()?.trim();
    if declared == facts.hostname || declared == facts.fqdn {
        return None;
    }
    let message =
        format!("the site uses `facts.{fact}`, and changes the name of the host from {} to {declared}", facts.hostname);
    let span = content.value.span.clone().or_else(|| content.name_span.clone());
    Some(
        Diagnostic::warning(message)
            .at(span, "the new name")
            .note("What uses the fact gets the new name in the run after the host has taken it")
            .help("name the host once with `let`, and use that name instead of the fact"),
    )
}

/// The name of a site that says none: that of its first file, without the extension.
fn name_of(files: &[SiteSource]) -> Option<String> {
    match files.first()? {
        SiteSource::File(path) => Some(path.file_stem()?.to_string_lossy().into_owned()),
        SiteSource::Text { .. } => None,
    }
}

/// What holds for the site as a whole. Its fields were checked with the frame of the site.
fn policy(tree: &Located) -> SitePolicy {
    let fields = ["on_failure", "prune", "journal"]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), tree.get(name)?.to_json())));
    serde_json::from_value(fields.collect::<Map<_, _>>().into()).unwrap_or_default()
}

/// Whether the site asks for another version of this library.
fn version_mismatch(tree: &Located) -> Option<Diagnostic> {
    let required = tree.get("provision_version")?;
    let text = required.as_str()?;
    let span = required.span.clone();
    let this = env!("CARGO_PKG_VERSION");
    match (VersionReq::parse(text), Version::parse(this)) {
        (Ok(requirement), Ok(version)) if requirement.matches(&version) => None,
        (Ok(_), _) => Some(
            Diagnostic::error(format!("the site requires provision {text}, and this is provision {this}"))
                .at(span, "required here")
                .help("install a version that fits, or change `provision_version`"),
        ),
        (Err(error), _) => Some(
            Diagnostic::error(format!("`provision_version` is not a version requirement: {error}"))
                .at(span, "")
                .help("write it as Cargo does, such as \"^0.1\""),
        ),
    }
}

/// The resources of which a part could not be evaluated.
fn broken_resources(paths: &[Vec<String>]) -> BTreeSet<ResourceId> {
    paths
        .iter()
        .filter_map(|path| match path.as_slice() {
            [resources, kind, name, ..] if resources == "resources" => {
                Some(ResourceId::new(kind.as_str(), name.as_str()))
            }
            _ => None,
        })
        .collect()
}

fn declarations(tree: Located) -> impl Iterator<Item = RawDeclaration> {
    let kinds =
        fields_of(tree).filter(|field| field.name == "resources").flat_map(|resources| fields_of(resources.value));
    kinds.flat_map(|kind| {
        let type_name: Arc<str> = kind.name.into();
        fields_of(kind.value).map(move |resource| {
            let id = ResourceId::new(type_name.clone(), resource.name);
            let declared_at = resource.name_span.or_else(|| resource.value.span.clone());
            RawDeclaration { id, attributes: resource.value, declared_at }
        })
    })
}

/// The fields of a record; none of anything else.
fn fields_of(located: Located) -> impl Iterator<Item = Field> {
    let fields = if let Data::Record(fields) = located.value { fields } else { Vec::new() };
    fields.into_iter()
}
