//! The order of resources: edges with their reasons, conflicts, cycles, and an order that is always the same.

mod edges;
mod order;
mod select;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use foldhash::HashMap;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::bytes::hex;
use crate::canonical;
use crate::claim::{Claim, Hold, Target};
use crate::diagnostic::{Diagnostic, Sources, Span, did_you_mean};
use crate::effect::Effect;
use crate::error::{Error, Errors, Result};
use crate::host::{Host, HostView};
use crate::id::ResourceId;
use crate::journal::Orphan;
use crate::policy::{Common, SitePolicy};
use crate::resource::{ApplyContext, CheckContext, DynResource, DynState, PlanContext, Stage};
use crate::secret::{Redactor, Remembering, SecretStore};
use crate::source::Source;
use crate::state::HostKey;

pub(crate) use crate::declaration::{Declaration, Spans};
pub use select::Selector;

/// The resources of a site in the order in which they are due.
pub struct Graph {
    /// In the order in which they are due.
    pub(crate) nodes: Vec<Node>,
    /// For each node, what comes before it.
    pub(crate) predecessors: Vec<Vec<Edge>>,
    /// For each node, those that it notifies.
    notified: Vec<Vec<usize>>,
    warnings: Vec<Diagnostic>,
    sources: Sources,
    source_files: BTreeMap<String, Source>,
    policy: SitePolicy,
    orphans: Vec<Orphan>,
    /// The name of the site.
    site: String,
    /// The files that it came from.
    origin: Vec<String>,
    /// What other sites made on the host.
    foreign: Vec<Orphan>,
    redactor: Redactor,
    /// The secrets that were asked for, by name, with digests that only the host can make.
    secrets: Vec<(String, (u64, u64))>,
}

/// The graph of a plan: lent by a caller, or held by the plan.
pub(crate) enum GraphOf<'g> {
    Lent(&'g Graph),
    Held(Arc<Graph>),
}

impl Deref for GraphOf<'_> {
    type Target = Graph;
    fn deref(&self) -> &Graph {
        match self {
            GraphOf::Lent(graph) => graph,
            GraphOf::Held(graph) => graph,
        }
    }
}

/// A resource in the graph.
pub(crate) struct Node {
    pub(crate) id: ResourceId,
    pub(crate) resource: Box<dyn DynResource>,
    pub(crate) common: Common,
    pub(crate) spans: Spans,
    pub(crate) claims: Vec<Claim>,
    /// The stage that it is due in: its own, or that of something that waits for it.
    pub(crate) stage: Stage,
    /// Package resources of the same batch go into one transaction.
    pub(crate) batch: Option<usize>,
    /// Whether it came with others, without a declaration.
    pub(crate) is_companion: bool,
    /// Whether one of its attributes is a secret.
    pub(crate) names_secret: bool,
}

impl Node {
    pub(crate) fn check(&self, host: &dyn HostView) -> Result<DynState> {
        self.resource.check(&CheckContext::new(&self.id, host))
    }

    pub(crate) fn plan(&self, now: &DynState) -> Result<DynState> {
        self.resource.plan(&PlanContext::new(&self.id), now)
    }

    pub(crate) fn apply(&self, now: &DynState, want: &DynState, host: &dyn Host) -> Result<()> {
        self.resource.apply(&ApplyContext::new(&self.id, host), now, want)
    }

    pub(crate) fn react(&self, before: &DynState, host: &dyn Host) -> Result<()> {
        self.resource.react(&ApplyContext::new(&self.id, host), before)
    }

    pub(crate) fn judge(&self, host: &dyn HostView) -> Result<()> {
        self.resource.judge(&CheckContext::new(&self.id, host))
    }

    pub(crate) fn hidden(&self, now: &DynState, host: &dyn HostView) -> &'static [&'static str] {
        self.resource.hidden(&CheckContext::new(&self.id, host), now)
    }

    /// Effects of the resource; if it is sensitive, they show no contents.
    pub(crate) fn hiding(&self, effects: Vec<Effect>) -> Vec<Effect> {
        match self.common.sensitive {
            true => effects.into_iter().map(Effect::into_sensitive).collect(),
            false => effects,
        }
    }

    pub(crate) fn declared_at(&self) -> Option<&Span> {
        self.spans.whole.as_ref()
    }

    /// Its id with the place of its declaration.
    pub(crate) fn called(&self) -> String {
        match self.declared_at() {
            Some(span) => format!("{} ({span})", self.id),
            None => self.id.to_string(),
        }
    }
}

/// One thing comes before another, and why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) reason: Reason,
    pub(crate) span: Option<Span>,
}

/// Why one resource comes before another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The later one requires the earlier one.
    Requires,
    /// The later one says that it comes after.
    After,
    /// The earlier one says that it comes before.
    Before,
    /// The earlier one notifies the later one.
    Notifies,
    /// The later one subscribes to the earlier one.
    Subscribes,
    /// The later one needs something that the earlier one owns.
    Implied(String),
    /// The earlier one judges what the later one is about to change at this path.
    Judged(String),
}

impl Reason {
    fn is_declared(&self) -> bool {
        !matches!(self, Reason::Implied(_) | Reason::Judged(_))
    }

    /// Whether the later one is skipped if the earlier one fails.
    pub(crate) fn is_hard(&self) -> bool {
        matches!(self, Reason::Requires | Reason::Implied(_) | Reason::Judged(_))
    }

    pub(crate) fn is_notification(&self) -> bool {
        matches!(self, Reason::Notifies | Reason::Subscribes)
    }
}

/// As in "because it … file:/etc/motd".
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Requires => f.write_str("requires"),
            Reason::After => f.write_str("after"),
            Reason::Before => f.write_str("before"),
            Reason::Notifies => f.write_str("notifies"),
            Reason::Subscribes => f.write_str("subscribes"),
            Reason::Implied(what) => write!(f, "needs {what}"),
            Reason::Judged(path) => write!(f, "has {path} judged by"),
        }
    }
}

/// A resource of a graph, for showing the graph.
#[derive(Clone, Debug, Serialize)]
pub struct Vertex<'a> {
    /// The resource.
    pub id: &'a ResourceId,
    /// Where it was declared.
    pub declared_at: Option<&'a Span>,
    /// The stage that it is due in.
    pub stage: Stage,
    /// What comes before it, and why.
    pub after: Vec<(&'a ResourceId, &'a Reason)>,
}

impl Graph {
    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The resources in order, with what comes before each.
    pub fn vertices(&self) -> impl Iterator<Item = Vertex<'_>> {
        self.nodes.iter().zip(&self.predecessors).map(|(node, before)| Vertex {
            id: &node.id,
            declared_at: node.declared_at(),
            stage: node.stage,
            after: before.iter().map(|edge| (&self.nodes[edge.from].id, &edge.reason)).collect(),
        })
    }

    /// Asks a store for the secrets that the chosen resources name; all if none are chosen. `key` is the host's: contents are
    /// compared by digests that cannot be made without it. Nothing is looked at or changed before.
    ///
    /// # Errors
    /// Every secret that cannot be read, each with the resource that names it.
    pub fn resolve_secrets(&mut self, store: &dyn SecretStore, key: &HostKey, only: &[Selector]) -> Result<(), Errors> {
        let chosen = self.selected(only)?;
        let store = Remembering::new(store);
        let mut errors = Vec::new();
        for number in chosen {
            let Node { id, resource, spans, .. } = &mut self.nodes[number];
            for (attribute, text) in resource.secrets() {
                if let Err(error) = text.resolve(&store, key) {
                    let span = spans.at(&[attribute.to_owned()]);
                    errors.push(error.while_doing(format!("reading the secret of `{attribute}`")).of(id, span));
                }
            }
        }
        self.secrets = store.digests(&key.digester());
        self.redactor = store.redactor();
        if errors.is_empty() { Ok(()) } else { Err(Errors(errors)) }
    }

    /// An error without the secrets of this site.
    pub(crate) fn redacted(&self, error: Error) -> Error {
        self.redactor.error(error)
    }

    /// Whether it holds no secret of the site and no key of the host.
    pub fn holds_no_secrets(&self) -> bool {
        !self.names_secrets() && self.orphans.is_empty() && self.foreign.is_empty()
    }

    /// The secrets that were asked for, by name, with digests that only the host can make.
    pub(crate) fn secret_digests(&self) -> &[(String, (u64, u64))] {
        &self.secrets
    }

    /// Whether any resource names a secret.
    pub fn names_secrets(&self) -> bool {
        self.nodes.iter().any(|node| node.names_secret)
    }

    /// A digest of all that is declared: SHA-256 in hexadecimal. Contents of source files are not in it, and no secrets.
    ///
    /// # Errors
    /// Something that is declared cannot be written down.
    pub fn digest(&self) -> Result<String> {
        let mut hash = Sha256::new();
        for (node, before) in self.nodes.iter().zip(&self.predecessors) {
            let edges: Vec<_> = before.iter().map(|edge| (&self.nodes[edge.from].id, &edge.reason)).collect();
            let declared = (&node.id, node.resource.attributes(), &node.common, edges);
            hash.update(canonical::encode("declaration/1", &declared)?);
            hash.update(b"\n");
        }
        Ok(hex(&hash.finalize()))
    }

    /// Whether a failure may have things undone.
    #[cfg(feature = "testing")]
    pub(crate) fn may_roll_back(&self) -> bool {
        use crate::registry::OnFailure::Rollback;
        let declared = self.nodes.iter().filter_map(|node| node.common.on_failure);
        declared.chain([self.policy().on_failure]).any(|policy| policy == Rollback)
    }

    /// The nodes that react to changes of a node.
    pub(crate) fn notified(&self, node: usize) -> impl Iterator<Item = usize> {
        self.notified[node].iter().copied()
    }

    /// Whether no resource is tried again when it fails.
    #[cfg(feature = "testing")]
    pub(crate) fn has_no_retries(&self) -> bool {
        self.nodes.iter().all(|node| node.common.retries == 0)
    }

    /// What is odd about the site, but no error.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The texts that the spans of warnings point into.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The files that resources name as their sources, by path.
    pub(crate) fn source_files(&self) -> &BTreeMap<String, Source> {
        &self.source_files
    }

    /// What holds for the site as a whole.
    pub fn policy(&self) -> SitePolicy {
        self.policy
    }

    /// What earlier runs made for resources that are no longer declared, and that stays.
    pub(crate) fn orphans(&self) -> &[Orphan] {
        &self.orphans
    }

    /// The name of the site.
    pub fn site_name(&self) -> &str {
        &self.site
    }

    pub(crate) fn foreign(&self) -> &[Orphan] {
        &self.foreign
    }

    /// The files that the site came from, as they were named, or else its name.
    pub fn origin(&self) -> &[String] {
        &self.origin
    }

    pub(crate) fn of_site(
        self,
        site: String,
        origin: Vec<String>,
        foreign: Vec<Orphan>,
        warnings: Vec<Diagnostic>,
    ) -> Graph {
        let warnings = [self.warnings, warnings].concat();
        Graph { site, origin, foreign, warnings, ..self }
    }

    pub(crate) fn with_policy(self, policy: SitePolicy, orphans: Vec<Orphan>) -> Graph {
        Graph { policy, orphans, ..self }
    }

    pub(crate) fn with_warnings(mut self, more: Vec<Diagnostic>) -> Graph {
        self.warnings.extend(more);
        self
    }

    pub(crate) fn with_sources(self, sources: Sources, source_files: BTreeMap<String, Source>) -> Graph {
        Graph { sources, source_files, ..self }
    }

    /// Orders declarations; `None` if a mistake leaves no order. Every mistake is reported.
    pub(crate) fn build(
        mut declared: Vec<Declaration>,
        broken: &BTreeSet<ResourceId>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Graph> {
        // The same site gives the same order, however it came to be.
        declared.sort_by(|a, b| a.id.cmp(&b.id));
        let mut idle: BTreeSet<ResourceId> = broken.clone();
        let (declared, off): (Vec<_>, Vec<_>) = declared.into_iter().partition(|declaration| declaration.common.when.0);
        idle.extend(off.into_iter().map(|declaration| declaration.id));
        let mut index: HashMap<ResourceId, usize> = HashMap::default();
        let mut nodes: Vec<Node> = Vec::with_capacity(declared.len());
        for Declaration { id, mut resource, common, spans, is_companion, .. } in declared {
            if let Some(first) = index.get(&id) {
                let first: &Node = &nodes[*first];
                diagnostics.push(
                    Diagnostic::error(format!("{id} is declared twice"))
                        .at(spans.whole, "again here")
                        .see(first.declared_at().cloned(), "first here"),
                );
                continue;
            }
            index.insert(id.clone(), nodes.len());
            let claims = resource.claims(&id);
            let stage = resource.stage();
            let names_secret = resource.secrets().iter().any(|(_, text)| text.is_secret());
            nodes.push(Node { id, resource, common, spans, claims, stage, batch: None, is_companion, names_secret });
        }
        let owners = owners(&nodes, diagnostics);
        let mut edges = edges::declared(&nodes, &index, &idle, broken.is_empty(), diagnostics);
        let rings = order::rings(nodes.len(), &edges);
        diagnostics.extend(rings.iter().map(|ring| describe_ring(&nodes, ring)));
        if !rings.is_empty() {
            return None;
        }
        edges::add_implied(&nodes, &owners, &mut edges);
        let dropped = order::break_implied_rings(nodes.len(), &mut edges);
        let warnings = dropped.iter().map(|ring| describe_dropped(&nodes, ring)).collect();
        let due = order::order(&mut nodes, &edges);
        let mut position = vec![0; due.len()];
        for (place, node) in due.iter().enumerate() {
            position[*node] = place;
        }
        let mut predecessors: Vec<Vec<Edge>> = due.iter().map(|node| std::mem::take(&mut edges[*node])).collect();
        for before in &mut predecessors {
            before.iter_mut().for_each(|edge| edge.from = position[edge.from]);
            before.sort_by(|a, b| (a.from, &a.reason).cmp(&(b.from, &b.reason)));
        }
        let mut slots: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
        let nodes = due.iter().filter_map(|node| slots[*node].take()).collect();
        let mut notified = vec![Vec::new(); predecessors.len()];
        for (later, before) in predecessors.iter().enumerate() {
            for edge in before.iter().filter(|edge| edge.reason.is_notification()) {
                notified[edge.from].push(later);
            }
        }
        notified.iter_mut().for_each(Vec::dedup);
        Some(Graph {
            nodes,
            predecessors,
            notified,
            warnings,
            sources: Sources::default(),
            source_files: BTreeMap::new(),
            policy: SitePolicy::default(),
            orphans: Vec::new(),
            site: String::new(),
            origin: Vec::new(),
            foreign: Vec::new(),
            redactor: Redactor::default(),
            secrets: Vec::new(),
        })
    }
}

/// Who owns what. Two owners of one thing are a mistake.
fn owners<'a>(nodes: &'a [Node], diagnostics: &mut Vec<Diagnostic>) -> HashMap<&'a Target, (usize, Hold)> {
    let mut owners: HashMap<&Target, (usize, Hold)> = HashMap::default();
    for (number, node) in nodes.iter().enumerate() {
        for claim in node.claims.iter().filter(|claim| matches!(claim.hold, Hold::Owns | Hold::Removes)) {
            match owners.get(&claim.target) {
                Some((first, _)) if *first != number => {
                    let first = &nodes[*first];
                    diagnostics.push(
                        Diagnostic::error(format!("{} and {} both own {}", first.id, node.id, claim.target))
                            .at(node.declared_at().cloned(), format!("{} here", node.id))
                            .see(first.declared_at().cloned(), format!("{} here", first.id))
                            .help("declare it once, and let the other resource refer to it"),
                    );
                }
                _ => drop(owners.insert(&claim.target, (number, claim.hold))),
            }
        }
    }
    owners
}

/// A resource that is named but does not exist.
fn unknown_reference(
    node: &Node,
    attribute: &str,
    number: usize,
    id: &ResourceId,
    known: &BTreeSet<&ResourceId>,
) -> Diagnostic {
    let path = [attribute.to_owned(), number.to_string()];
    let names: Vec<String> = known.iter().map(ToString::to_string).collect();
    let diagnostic = Diagnostic::error(format!("{}: `{attribute}` names {id}, which does not exist", node.id))
        .at(node.spans.at(&path).cloned(), "");
    let written = id.to_string();
    match did_you_mean(&written, names.iter().map(String::as_str)) {
        Some(near) => diagnostic.help(format!("did you mean \"{near}\"?")),
        None => diagnostic.help(format!("declare it, or take it out of `{attribute}`")),
    }
}

/// A ring of edges, each `(earlier, edge to it from the later one)`.
type Ring = Vec<(usize, Edge)>;

fn describe_ring(nodes: &[Node], ring: &Ring) -> Diagnostic {
    let names: Vec<String> = ring.iter().map(|(node, _)| nodes[*node].id.to_string()).collect();
    let mut diagnostic =
        Diagnostic::error(format!("these resources wait for one another: {} → {}", names.join(" → "), names[0]));
    for (number, (node, edge)) in ring.iter().enumerate() {
        let (earlier, later) = (&nodes[edge.from].id, &nodes[*node].id);
        let why = match edge.reason {
            Reason::Before | Reason::Notifies => format!("{earlier} {} {later}", edge.reason),
            _ => format!("{later} {} {earlier}", edge.reason),
        };
        let span = edge.span.clone().or_else(|| nodes[*node].declared_at().cloned());
        diagnostic = if number == 0 { diagnostic.at(span, why) } else { diagnostic.see(span, why) };
    }
    diagnostic.help("take one of these edges away")
}

fn describe_dropped(nodes: &[Node], ring: &Ring) -> Diagnostic {
    let (later, dropped) = &ring[0];
    let (earlier, later) = (&nodes[dropped.from], &nodes[*later]);
    let mut diagnostic = Diagnostic::warning(format!(
        "{} {} of {}, but comes first, as the site says",
        later.id, dropped.reason, earlier.id
    ))
    .at(later.declared_at().cloned(), format!("{} here", later.id))
    .see(earlier.declared_at().cloned(), format!("{} here", earlier.id));
    if let Some((_, declared)) = ring.iter().find(|(_, edge)| edge.reason.is_declared()) {
        diagnostic = diagnostic.see(declared.span.clone(), "this decides");
    }
    diagnostic
}
