//! [`Site`]: everything that is declared, from a configuration or from a Rust program.

mod case;
mod trigger;

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::claim::{Hold, Target};
use crate::diagnostic::{Diagnostic, Diagnostics, Sources, Span};
use crate::effect::Content;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::graph::Graph;
use crate::host::DigestCache;
use crate::id::ResourceId;
use crate::journal::{Made, Orphan, Ways};
use crate::located::Located;
use crate::path::HostPath;
use crate::policy::{Common, SitePolicy};
use crate::prune::Pruned;
use crate::registry::Registry;
use crate::resource::{AttributeError, Declared, DynResource, Resource, Surroundings};
use crate::run::PendingNotification;
use crate::source::Source;

pub use crate::declaration::{Entry, Handle, Spans};

pub(crate) use crate::declaration::Declaration;
pub use case::{
    CommandAnswer, Expectations, FileExpectation, FullFile, PlanWord, SiteTest, StartingFile, StartingState,
    TestAddresses, TestCase, TestFacts, UnitExpectation,
};
pub(crate) use trigger::is_of_the_engine;

/// Everything that is declared for a host.
///
/// ```
/// # use provision_core::host::{Host, HostExt, HostView, HostViewExt};
/// # use provision_core::sim::SimHost;
/// # use provision_core::resource::{ApplyContext, CheckContext, PlanContext, Claim, Resource, ResourceId, Target};
/// # use provision_core::{error::Result, path::HostPath, site::Site};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, schemars::JsonSchema)]
/// # struct Motd { text: String }
/// # impl Resource for Motd {
/// #     const TYPE: &'static str = "motd";
/// #     type State = Option<String>;
/// #     fn check(&self, cx: &CheckContext<'_>) -> Result<Option<String>> { cx.host().read_text("/etc/motd") }
/// #     fn plan(&self, _: &PlanContext<'_>, _: &Option<String>) -> Result<Option<String>> { Ok(Some(self.text.clone())) }
/// #     fn apply(&self, cx: &ApplyContext<'_>, _: &Option<String>, _: &Option<String>) -> Result<()> {
/// #         cx.host().write_text("/etc/motd", &self.text)
/// #     }
/// #     fn claims(&self, _: &ResourceId) -> Vec<Claim> {
/// #         vec![Claim::owns(Target::Path(HostPath::new("/etc/motd").unwrap()))]
/// #     }
/// # }
/// let mut site = Site::new();
/// site.declare("greeting", Motd { text: "hello\n".into() }).tag("greetings");
/// let graph = site.into_graph()?;
/// assert_eq!(graph.len(), 1);
/// # Ok::<(), provision_core::diagnostic::Diagnostics>(())
/// ```
#[derive(Default)]
pub struct Site {
    declared: Vec<Declaration>,
    /// Resources that could not be built: they are declared all the same.
    broken: BTreeSet<ResourceId>,
    sources: Sources,
    /// Contents of source files that are known already; others are not read then.
    source_files: Option<BTreeMap<String, Content>>,
    /// Remembers the digests of source files that are large.
    digests: Option<DigestCache>,
    policy: SitePolicy,
    /// Its name, if it has one.
    name: Option<String>,
    /// The files that it came from.
    origin: Vec<String>,
    /// What was made for resources that are not declared.
    orphans: Vec<Orphan>,
    /// What other sites made on the host.
    foreign: Vec<Orphan>,
    /// Whether an earlier run has left the reload of the service manager pending.
    is_reload_pending: bool,
    /// Tests that it brings along.
    tests: Vec<SiteTest>,
    /// What simulated hosts have beside their installation, in all tests.
    test_host: StartingState,
    test_host_spans: Spans,
    /// What is no mistake, and yet worth a word.
    warnings: Vec<Diagnostic>,
}

/// Attributes of a resource as plain data, with their places.
pub struct RawDeclaration {
    /// The resource.
    pub id: ResourceId,
    /// A record of its attributes, common ones included.
    pub attributes: Located,
    /// Where it was written.
    pub declared_at: Option<Span>,
}

impl Site {
    /// Nothing is declared.
    pub fn new() -> Site {
        Site::default()
    }

    /// Declares a resource. Errors about it name the line of this call. More is said of the [`Entry`], and other resources refer
    /// to its [`Handle`].
    #[track_caller]
    pub fn declare<R: Resource>(&mut self, name: &str, resource: R) -> Entry<'_, R> {
        let caller = Location::caller();
        let span = Span { file: caller.file().into(), line: caller.line(), column: caller.column(), start: 0, end: 0 };
        self.declared.push(Declaration {
            id: ResourceId::new(R::TYPE, name),
            resource: Box::new(resource),
            common: Common::default(),
            spans: Spans { whole: Some(span), ..Spans::default() },
            is_companion: false,
            is_valid: false,
        });
        let last = self.declared.len() - 1;
        Entry { declaration: &mut self.declared[last], resource: PhantomData }
    }

    /// Builds a site from plain data.
    ///
    /// # Errors
    /// Every mistake in every declaration, at once.
    pub fn from_declarations(
        registry: &Registry,
        declarations: impl IntoIterator<Item = RawDeclaration>,
        sources: Sources,
    ) -> Result<Site, Diagnostics> {
        let (site, mistakes) = Site::assemble(registry, declarations, BTreeSet::new(), sources);
        if mistakes.is_empty() { Ok(site) } else { Err(site.with_all_mistakes(mistakes)) }
    }

    /// Builds what can be built, and tells what is wrong with the rest. Of `broken` resources parts are missing, and
    /// that has been told already.
    pub(crate) fn assemble(
        registry: &Registry,
        declarations: impl IntoIterator<Item = RawDeclaration>,
        mut broken: BTreeSet<ResourceId>,
        mut sources: Sources,
    ) -> (Site, Vec<Diagnostic>) {
        let mut declared = Vec::new();
        let mut mistakes = Vec::new();
        let mut never_shown = Vec::new();
        for RawDeclaration { id, attributes, declared_at } in declarations {
            never_shown.extend(registry.places_never_shown(id.kind(), &attributes));
            let built = registry.build(id.kind(), &attributes).and_then(|(mut resource, common)| {
                let mut errors = resource.validate(&id);
                errors.extend(mistaken_references(&mut *resource));
                if errors.is_empty() { Ok((resource, common)) } else { Err(errors) }
            });
            let spans = Spans { whole: declared_at, attributes };
            match built {
                Ok(_) if broken.contains(&id) => {}
                Ok((resource, common)) => {
                    let (is_companion, is_valid) = (false, true);
                    declared.push(Declaration { id, resource, common, spans, is_companion, is_valid })
                }
                Err(mut errors) => {
                    // What is missing may be what could not be evaluated.
                    errors.retain(|error| !(error.path.is_empty() && broken.contains(&id)));
                    mistakes.extend(errors.into_iter().map(|error| diagnose(&id, &spans, error)));
                    broken.insert(id);
                }
            }
        }
        sources.mask(&never_shown);
        (Site { declared, broken, sources, ..Site::default() }, mistakes)
    }

    /// With what holds for the site as a whole.
    #[must_use]
    pub fn with_policy(self, policy: SitePolicy) -> Site {
        Site { policy, ..self }
    }

    /// What holds for the site as a whole.
    pub fn policy(&self) -> SitePolicy {
        self.policy
    }

    /// The resources that are declared, whether they take part or not.
    pub fn ids(&self) -> BTreeSet<ResourceId> {
        self.declared.iter().map(|declaration| declaration.id.clone()).collect()
    }

    /// Under a name: what is made on a host is made for the site of this name, and no other site removes it.
    #[must_use]
    pub fn with_name(self, name: &str) -> Site {
        Site { name: Some(name.to_owned()), ..self }
    }

    /// Its name. A site that was read has, unless it says another one, that of its first file, without the extension; others `site`.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("site")
    }

    /// From these files, which the journal and saved plans name; without any, the name of the site stands there.
    #[must_use]
    pub fn with_origin(self, files: impl IntoIterator<Item = String>) -> Site {
        Site { origin: files.into_iter().collect(), ..self }
    }

    /// With what earlier runs made for resources that are no longer declared, or for other sites. If the policy is to prune, what was made
    /// for this site is taken away, as far as it is as it was left; otherwise it is only named. Call it once the site has its name.
    #[must_use]
    pub fn with_orphans(self, orphans: Vec<Orphan>) -> Site {
        let (orphans, foreign) = orphans.into_iter().partition(|orphan| orphan.site == self.name());
        Site { orphans, foreign, ..self }
    }

    /// With what earlier runs left pending. What the engine itself still has to do is done by the next run, whatever its site
    /// declares.
    #[must_use]
    pub fn with_pending_notifications(self, pending: &[PendingNotification]) -> Site {
        Site { is_reload_pending: pending.iter().any(|pending| is_of_the_engine(&pending.id)), ..self }
    }

    /// Warns of what this site decides about and another one has made: they would undo each other's work.
    fn shared_with_other_sites(&self) -> Vec<Diagnostic> {
        let mut shared: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        if self.foreign.is_empty() {
            return Vec::new();
        }
        let declared = self.declared.iter().filter(|declaration| declaration.common.when.0);
        let mut owners: BTreeMap<Target, &ResourceId> = BTreeMap::new();
        for declaration in declared {
            for claim in declaration.resource.claims(&declaration.id) {
                if claim.hold == Hold::Owns {
                    owners.insert(claim.target, &declaration.id);
                }
            }
        }
        let ids = self.ids();
        for orphan in &self.foreign {
            let of_site = shared.entry(&orphan.site).or_default();
            if ids.contains(&orphan.id) {
                of_site.push(orphan.id.to_string());
            } else {
                let made = orphan.made.iter().map(Made::target).filter(|target| owners.contains_key(target));
                of_site.extend(made.map(|target| target.to_string()));
            }
        }
        let warn = |(site, mut things): (&str, Vec<String>)| {
            let count = things.len();
            if count > 4 {
                things.truncate(3);
                things.push(format!("{} more", count - 3));
            }
            let message = format!("the sites `{}` and `{site}` both decide about {}", self.name(), things.join(", "));
            let help = "two sites that decide about one thing undo each other's work: declare it in one of them; if they are the same site, give \
                        both the same `name`";
            Diagnostic::warning(message).help(help)
        };
        shared.into_iter().filter(|(_, things)| !things.is_empty()).map(warn).collect()
    }

    /// Declares, in the place of each orphan, that what was made for it goes. What a declared resource owns or needs stays; but what one of
    /// another type is to take the place of goes before.
    fn prune(&mut self) {
        if !self.policy.prune {
            return;
        }
        let (mut owners, mut needed) = (BTreeMap::new(), BTreeSet::new());
        for declaration in self.declared.iter().filter(|declaration| declaration.common.when.0) {
            for claim in declaration.resource.claims(&declaration.id) {
                match claim.hold {
                    Hold::Owns | Hold::Removes => {
                        drop(owners.insert(claim.target, (claim.hold, declaration.id.clone())))
                    }
                    Hold::Needs | Hold::Precedes => drop(needed.insert(claim.target)),
                    // They ask for nothing to be there.
                    Hold::NeedsWithin | Hold::Judges => {}
                }
            }
        }
        let known = self.ids();
        let mut pruned: Vec<(usize, Pruned)> = Vec::new();
        let mut rooms: BTreeMap<HostPath, usize> = BTreeMap::new();
        for (number, orphan) in self.orphans.iter_mut().enumerate() {
            let mut goes = Pruned::new(orphan);
            goes.without(|made| {
                let target = made.target();
                match owners.get(&target) {
                    Some((Hold::Owns, owner)) => match made {
                        Made::Path(path) if owner.kind() != orphan.id.kind() => {
                            rooms.insert(path.clone(), number);
                            false
                        }
                        _ => true,
                    },
                    Some(_) => true,
                    None if needed.contains(&target) => {
                        orphan.needed.push(made.clone());
                        true
                    }
                    None => false,
                }
            });
            pruned.push((number, goes));
        }
        // What lies beneath goes first, and by the same resource.
        let room_of = |made: &Made| {
            let path = made.path()?;
            std::iter::once(path.clone()).chain(path.ancestors()).filter_map(|above| rooms.get_key_value(&above)).last()
        };
        let mut beneath: BTreeMap<(usize, &HostPath), BTreeMap<Made, String>> = BTreeMap::new();
        for (_, goes) in pruned.iter_mut().filter(|_| !rooms.is_empty()) {
            for (made, digest) in goes.without(|made| room_of(made).is_some()) {
                if let Some((place, number)) = room_of(&made) {
                    beneath.entry((*number, place)).or_default().insert(made, digest);
                }
            }
        }
        for ((number, place), made) in beneath {
            pruned[number].1.make_room(place, made);
        }
        let ways = Arc::new(ways(&owners, &pruned));
        pruned.iter_mut().for_each(|(_, goes)| goes.lead(&ways));
        self.orphans.iter_mut().for_each(|orphan| orphan.ways = Arc::clone(&ways));
        for (number, goes) in pruned.into_iter().filter(|(_, goes)| !goes.is_empty()) {
            let orphan = &self.orphans[number];
            let notifies = orphan.notifies.iter().filter(|id| known.contains(*id)).cloned().collect();
            self.declared.push(Declaration {
                id: orphan.id.clone(),
                resource: Box::new(goes),
                common: Common { notifies, sensitive: orphan.sensitive, ..Common::default() },
                spans: Spans::default(),
                is_companion: true,
                is_valid: false,
            });
        }
    }

    /// A site of declarations that were made elsewhere.
    #[cfg(feature = "testing")]
    pub(crate) fn of_declarations(declared: Vec<Declaration>) -> Site {
        Site { declared, ..Site::default() }
    }

    /// With contents of source files that are used in place of the files.
    pub(crate) fn with_source_files(self, files: BTreeMap<String, Content>) -> Site {
        Site { source_files: Some(files), ..self }
    }

    /// Reads large source files again only if they may have changed.
    #[must_use]
    pub fn with_digests(self, digests: DigestCache) -> Site {
        Site { digests: Some(digests), ..self }
    }

    /// Adds to known mistakes those that can be found all the same in the rest of the site.
    pub(crate) fn with_all_mistakes(self, mistakes: Vec<Diagnostic>) -> Diagnostics {
        let mut diagnostics = Diagnostics { list: mistakes, sources: self.sources.clone() };
        if let Err(more) = self.into_graph() {
            diagnostics.list.extend(more.list);
        }
        diagnostics.normalise();
        diagnostics
    }

    #[cfg(feature = "nickel")]
    pub(crate) fn with_tests(self, tests: Vec<SiteTest>, (test_host, test_host_spans): (StartingState, Spans)) -> Site {
        Site { tests, test_host, test_host_spans, ..self }
    }

    /// With what is no mistake, and yet worth a word.
    #[cfg(feature = "nickel")]
    pub(crate) fn with_warnings(self, warnings: Vec<Diagnostic>) -> Site {
        Site { warnings, ..self }
    }

    /// The tests that it brings along.
    pub fn tests(&self) -> &[SiteTest] {
        &self.tests
    }

    /// What simulated hosts have beside their installation, in all tests of this site.
    pub fn test_host(&self) -> &StartingState {
        &self.test_host
    }

    /// Where that was written.
    pub fn test_host_spans(&self) -> &Spans {
        &self.test_host_spans
    }

    /// How many resources are declared.
    pub fn len(&self) -> usize {
        self.declared.len()
    }

    /// Whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        self.declared.is_empty()
    }

    /// Adds what belongs to the declarations, reads their source files, and orders them.
    ///
    /// # Errors
    /// Every mistake that can be found without a host: cycles, unknown references, two owners of one thing, source files
    /// that cannot be read.
    pub fn into_graph(mut self) -> Result<Graph, Diagnostics> {
        let name = self.name().to_owned();
        let mut diagnostics = Vec::new();
        for declaration in self.declared.iter().filter(|declaration| !declaration.is_valid) {
            let Declaration { id, resource, spans, .. } = declaration;
            diagnostics.extend(resource.validate(id).into_iter().map(|error| diagnose(id, spans, error)));
        }
        if !diagnostics.is_empty() {
            return Err(Diagnostics { list: diagnostics, sources: self.sources });
        }
        self.add_companions();
        diagnostics.extend(self.contradictions());
        let shared = self.shared_with_other_sites();
        let owned = self.owned_paths();
        self.prune();
        // What is pruned counts as well.
        if self.is_reload_pending || self.owned_paths().iter().any(crate::host::is_manager_input) {
            self.declared.extend(trigger::daemon_reload(&self.declared, self.is_reload_pending));
        }
        let (known, digests) = (self.source_files.take(), self.digests.take());
        let read = Mutex::new(BTreeMap::new());
        for Declaration { id, resource, spans, common, .. } in &mut self.declared {
            if !common.when.0 {
                continue;
            }
            let base = spans.whole.as_ref().and_then(|span| Path::new(span.file.as_ref()).parent());
            let surroundings = Neighbours {
                base: base.map(Path::to_owned),
                owned: &owned,
                known: known.as_ref(),
                digests: digests.as_ref(),
                read: &read,
            };
            if let Err(error) = resource.prepare(id, &surroundings) {
                diagnostics.push(diagnose(id, spans, error));
            }
        }
        let sources = self.sources;
        let origin = if self.origin.is_empty() { vec![name.clone()] } else { self.origin };
        match Graph::build(self.declared, &self.broken, &mut diagnostics) {
            Some(graph) if diagnostics.is_empty() => Ok(graph
                .with_policy(self.policy, self.orphans)
                .with_warnings(self.warnings)
                .of_site(name, origin, self.foreign, shared)
                .with_sources(sources, read.into_inner().unwrap_or_else(PoisonError::into_inner))),
            _ => {
                let mut diagnostics = Diagnostics { list: diagnostics, sources };
                diagnostics.normalise();
                Err(diagnostics)
            }
        }
    }

    fn add_companions(&mut self) {
        let mut by_kind: BTreeMap<&str, Vec<(&ResourceId, &dyn DynResource)>> = BTreeMap::new();
        for declaration in self.declared.iter().filter(|declaration| declaration.common.when.0) {
            by_kind.entry(declaration.id.kind()).or_default().push((&declaration.id, &*declaration.resource));
        }
        let companions: Vec<_> = by_kind.values().flat_map(|all| all[0].1.companions(all)).collect();
        let known: BTreeSet<ResourceId> = self.declared.iter().map(|declaration| declaration.id.clone()).collect();
        for companion in companions.into_iter().filter(|companion| !known.contains(&companion.id)) {
            self.declared.push(Declaration {
                id: companion.id,
                resource: companion.resource,
                common: Common::default(),
                spans: Spans::default(),
                is_companion: true,
                is_valid: false,
            });
        }
    }

    fn contradictions(&self) -> Vec<Diagnostic> {
        let takes_part = || self.declared.iter().filter(|declaration| declaration.common.when.0);
        let site = Declared::new(takes_part().map(|declaration| (&declaration.id, &*declaration.resource)));
        let mut diagnostics = Vec::new();
        for Declaration { id, resource, spans, .. } in takes_part() {
            for found in resource.contradictions(id, &site) {
                let other = takes_part().find(|declaration| declaration.id == found.other);
                let there = other.and_then(|other| other.spans.at(&found.other_path)).cloned();
                diagnostics.push(
                    Diagnostic::error(found.message)
                        .at(spans.at(&found.path).cloned(), format!("{id} here"))
                        .see(there, format!("{} here", found.other))
                        .help(found.help),
                );
            }
        }
        diagnostics
    }

    fn owned_paths(&self) -> BTreeSet<HostPath> {
        let claims = self.declared.iter().flat_map(|declaration| declaration.resource.claims(&declaration.id));
        claims
            .filter_map(|claim| match (claim.hold, claim.target) {
                (Hold::Owns | Hold::Removes, Target::Path(path)) => Some(path),
                _ => None,
            })
            .collect()
    }
}

/// What may be pruned and lies above paths that are declared, with those. What is declared itself on the way comes before what is
/// beneath it, and is enough.
fn ways(owners: &BTreeMap<Target, (Hold, ResourceId)>, pruned: &[(usize, Pruned)]) -> Ways {
    let going: BTreeSet<&HostPath> = pruned.iter().flat_map(|(_, goes)| goes.paths()).collect();
    let is_owned = |path: &HostPath| matches!(owners.get(&Target::Path(path.clone())), Some((Hold::Owns, _)));
    let mut ways = Ways::new();
    for (target, (hold, _)) in owners.iter().filter(|_| !going.is_empty()) {
        let (Target::Path(path), Hold::Owns) = (target, hold) else { continue };
        for above in path.ancestors().take_while(|above| !is_owned(above)).filter(|above| going.contains(above)) {
            ways.entry(above).or_default().push(path.clone());
        }
    }
    ways
}

/// What is wrong with how attributes name secrets.
fn mistaken_references(resource: &mut dyn DynResource) -> Vec<AttributeError> {
    let texts = resource.secrets();
    let mistaken = texts.into_iter().filter_map(|(attribute, text)| Some((attribute, text.mistake()?)));
    mistaken.map(|(attribute, (message, help))| AttributeError::new(attribute, message).help(help)).collect()
}

/// A mistake in an attribute, at its line.
pub(crate) fn diagnose(id: &ResourceId, spans: &Spans, error: AttributeError) -> Diagnostic {
    let attribute = error.path.join(".");
    let message = if attribute.is_empty() || error.message.contains(&format!("`{attribute}`")) {
        format!("{id}: {}", error.message)
    } else {
        format!("{id}: `{attribute}`: {}", error.message)
    };
    let name = error.path.first().filter(|_| error.about_name).and_then(|name| spans.of_name(name));
    let mut diagnostic = Diagnostic::error(message).at(name.or(spans.at(&error.path)).cloned(), "");
    diagnostic.help = error.help;
    diagnostic
}

struct Neighbours<'a> {
    base: Option<PathBuf>,
    owned: &'a BTreeSet<HostPath>,
    known: Option<&'a BTreeMap<String, Content>>,
    digests: Option<&'a DigestCache>,
    /// What was named, for a plan that is saved.
    read: &'a Mutex<BTreeMap<String, Source>>,
}

impl Surroundings for Neighbours<'_> {
    fn source(&self, path: &str) -> Result<Source> {
        let full = match &self.base {
            _ if Path::new(path).is_absolute() => PathBuf::from(path),
            Some(base) => base.join(path),
            None => {
                return Err(Error::new(ErrorKind::Invalid, format!("{path:?} is relative, and there is no site file"))
                    .with_hint("write an absolute path"));
            }
        };
        let name = full.display().to_string();
        let source = match self.known {
            Some(known) => {
                let saved = known.get(&name).cloned().map(Source::from);
                saved.ok_or_else(|| Error::new(ErrorKind::NotFound, "it was not saved"))
            }
            None => Source::read_from(&full, self.digests),
        };
        let source = source.while_doing(|| format!("reading the source file {name}"))?;
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(name, source.clone());
        Ok(source)
    }

    fn declared_within(&self, directory: &HostPath) -> Vec<HostPath> {
        self.owned.range(directory.clone()..).filter(|path| path.is_within(directory)).cloned().collect()
    }
}
