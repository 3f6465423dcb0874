//! One thing on a host by two names: paths of different resources that lead to one place, through links on the way.

use foldhash::{HashMap, HashSet};

use crate::claim::{Hold, Target};
use crate::error::{Error, ErrorKind};
use crate::graph::{Graph, Node};
use crate::host::{HostView, Overlay};
use crate::path::HostPath;
use crate::prune::Pruned;

/// What resources decide about, by where it really is.
#[derive(Default)]
pub(super) struct Aliases<'g> {
    /// The last parts that several paths have in common: without one, two paths cannot be one thing. So directories are
    /// resolved for few paths, and each once.
    shared: HashSet<&'g str>,
    /// The resource that decides about a place, by the name that it uses.
    holders: HashMap<HostPath, (usize, &'g HostPath)>,
    /// What is wrong with a resource; both of two have it.
    contradictions: HashMap<usize, Error>,
    /// Removals of what a resource declares by another name.
    idle: HashSet<usize>,
}

impl<'g> Aliases<'g> {
    /// The contradictions on a host as it is.
    pub(super) fn of<H: HostView>(graph: &'g Graph, overlay: &Overlay<H>) -> Aliases<'g> {
        let mut aliases = Aliases::default();
        let mut names: HashMap<&str, &HostPath> = HashMap::default();
        for path in graph.nodes.iter().flat_map(held) {
            let first = names.entry(path.name()).or_insert(path);
            if *first != path {
                aliases.shared.insert(path.name());
            }
        }
        for number in 0..graph.nodes.len() {
            aliases.enter(graph, number, overlay);
        }
        // Links of the plan itself lead somewhere from their turn on.
        aliases.holders.clear();
        aliases
    }

    /// Why a resource cannot be brought about at its turn.
    pub(super) fn contradiction<H: HostView>(
        &mut self,
        graph: &'g Graph,
        number: usize,
        overlay: &Overlay<H>,
    ) -> Option<Error> {
        self.enter(graph, number, overlay);
        self.contradictions.get(&number).cloned()
    }

    /// Whether a removal is none, because what it would take is declared by another name.
    pub(super) fn is_idle(&self, number: usize) -> bool {
        self.idle.contains(&number)
    }

    fn enter<H: HostView>(&mut self, graph: &'g Graph, number: usize, overlay: &Overlay<H>) {
        if self.shared.is_empty() {
            return;
        }
        let node = &graph.nodes[number];
        for path in held(node).filter(|path| self.shared.contains(path.name())) {
            let place = overlay.real_path(path);
            let Some((first, name)) = self.holders.get(&place).copied().filter(|(_, name)| *name != path) else {
                self.holders.entry(place).or_insert((number, path));
                continue;
            };
            let other = &graph.nodes[first];
            if is_removal(node) || is_removal(other) {
                self.idle.insert(if is_removal(node) { number } else { first });
            } else if node.id.kind() != other.id.kind() || node.resource.attributes() != other.resource.attributes() {
                self.contradictions.insert(number, one_place(&place, path, name, other));
                self.contradictions.entry(first).or_insert_with(|| one_place(&place, name, path, node));
            }
        }
    }
}

fn one_place(place: &HostPath, path: &HostPath, name: &HostPath, other: &Node) -> Error {
    let message =
        format!("{path} and {name} are one place on this host, {place}, and {} says otherwise", other.called());
    Error::new(ErrorKind::Conflict, message).with_hint("declare it once, by one of its names")
}

/// The paths that a resource decides about.
fn held(node: &Node) -> impl Iterator<Item = &HostPath> {
    node.claims.iter().filter_map(|claim| match (&claim.target, claim.hold) {
        (Target::Path(path), Hold::Owns | Hold::Removes) => Some(path),
        _ => None,
    })
}

/// Whether it takes away what is no longer declared.
fn is_removal(node: &Node) -> bool {
    node.resource.as_any().is::<Pruned>()
}
