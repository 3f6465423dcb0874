//! One thing on a host by two names: paths of different resources that lead to one place, and units by their other names.

use foldhash::{HashMap, HashSet};

use crate::claim::{Hold, Target};
use crate::effect::Effect;
use crate::error::{Error, ErrorKind};
use crate::graph::{Graph, Node};
use crate::host::{HostView, HostViewExt, Overlay};
use crate::path::HostPath;
use crate::prune::Pruned;

/// What resources decide about, by where it really is.
#[derive(Default)]
pub(super) struct Aliases<'g> {
    /// The last parts that several paths have in common: without one, two paths are one thing only by a link that is followed.
    /// So directories are resolved for few paths, and each once.
    shared: HashSet<&'g str>,
    /// Whether there are several units.
    units: bool,
    /// The resource that decides about a thing, by the name that it uses.
    holders: HashMap<Target, (usize, &'g Target)>,
    /// What is wrong with a resource; both of two have it.
    contradictions: HashMap<usize, Error>,
    /// Removals of what a resource declares by another name.
    idle: HashSet<usize>,
}

impl<'g> Aliases<'g> {
    /// The contradictions on a host as it is.
    pub(super) fn of<H: HostView>(graph: &'g Graph, overlay: &Overlay<H>) -> Aliases<'g> {
        let mut aliases = Aliases::default();
        let (mut names, mut units): (HashMap<&str, &HostPath>, usize) = Default::default();
        for target in graph.nodes.iter().flat_map(held) {
            match target {
                Target::Path(path) => {
                    let first = names.entry(path.name()).or_insert(path);
                    if *first != path {
                        aliases.shared.insert(path.name());
                    }
                }
                Target::Unit(_) => units += 1,
                _ => {}
            }
        }
        aliases.units = units > 1;
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
        if self.shared.is_empty() && !self.units {
            return;
        }
        let node = &graph.nodes[number];
        for name in held(node) {
            let thing = match name {
                Target::Path(path) if self.shared.contains(path.name()) => Target::Path(overlay.real_path(path)),
                Target::Unit(unit) if self.units => {
                    let alias_of = overlay.unit(unit).ok().and_then(|found| found.alias_of);
                    Target::Unit(alias_of.unwrap_or_else(|| unit.clone()))
                }
                _ => continue,
            };
            let Some((first, other_name)) = self.holders.get(&thing).copied() else {
                self.holders.insert(thing, (number, name));
                continue;
            };
            let other = &graph.nodes[first];
            match (is_removal(node), is_removal(other)) {
                _ if first == number || other_name == name => {}
                // The second one finds that it is gone.
                (true, true) => {}
                (true, false) => drop(self.idle.insert(number)),
                (false, true) => {
                    self.idle.insert(first);
                    self.holders.insert(thing, (number, name));
                }
                (false, false) if agree(node, other) => {}
                (false, false) => {
                    self.contradictions.insert(number, one_thing(&thing, name, other_name, other));
                    self.contradictions.entry(first).or_insert_with(|| one_thing(&thing, other_name, name, node));
                }
            }
        }
    }
}

/// What is wrong with effects that change what another resource decides about, by a link that this one follows.
pub(super) fn followed<H: HostView>(
    graph: &Graph,
    number: usize,
    effects: &[Effect],
    overlay: &Overlay<H>,
) -> Option<Error> {
    let node = &graph.nodes[number];
    let own = || held(node).filter_map(path_of);
    let is_own = |place: &HostPath| own().any(|path| path == place);
    if is_removal(node) || effects.iter().filter_map(Effect::path).all(is_own) {
        return None;
    }
    for name in own() {
        let Some(place) = overlay.leads_to(name).filter(|place| !is_own(place)) else { continue };
        if effects.iter().all(|effect| effect.path() != Some(&place)) {
            continue;
        }
        let place = Target::Path(place);
        let is_other =
            |other: &&Node| other.id != node.id && !is_removal(other) && held(other).any(|held| *held == place);
        if let Some(other) = graph.nodes.iter().find(is_other).filter(|other| !agree(node, other)) {
            return Some(one_thing(&place, &Target::Path(name.clone()), &place, other));
        }
    }
    None
}

fn agree(one: &Node, other: &Node) -> bool {
    one.id.kind() == other.id.kind() && one.resource.attributes() == other.resource.attributes()
}

fn one_thing(thing: &Target, name: &Target, other_name: &Target, other: &Node) -> Error {
    let what = if matches!(thing, Target::Unit(_)) { "unit" } else { "place" };
    let message = format!(
        "{} and {} are one {what} on this host, {}, and {} says otherwise",
        bare(name),
        bare(other_name),
        bare(thing),
        other.called()
    );
    Error::new(ErrorKind::Conflict, message).with_hint("declare it once, by one of its names")
}

fn bare(target: &Target) -> String {
    match target {
        Target::Path(path) => path.to_string(),
        Target::Unit(name) => name.clone(),
        other => other.to_string(),
    }
}

fn path_of(target: &Target) -> Option<&HostPath> {
    match target {
        Target::Path(path) => Some(path),
        _ => None,
    }
}

/// What a resource decides about.
fn held(node: &Node) -> impl Iterator<Item = &Target> {
    let decides = |hold| matches!(hold, Hold::Owns | Hold::Removes);
    node.claims.iter().filter(move |claim| decides(claim.hold)).map(|claim| &claim.target)
}

/// Whether it takes away what is no longer declared.
fn is_removal(node: &Node) -> bool {
    node.resource.as_any().is::<Pruned>()
}
