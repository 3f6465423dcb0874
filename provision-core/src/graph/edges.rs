//! Edges: those that the site declares, and those that follow from what resources own and need.

use std::collections::BTreeSet;

use foldhash::HashMap;

use super::{Edge, Node, Reason, unknown_reference};
use crate::claim::{Hold, Target};
use crate::diagnostic::Diagnostic;
use crate::id::ResourceId;
use crate::path::HostPath;

/// For each node, what comes before it because the site says so. What is idle is declared, and takes no part.
pub(super) fn declared(
    nodes: &[Node],
    index: &HashMap<ResourceId, usize>,
    idle: &BTreeSet<ResourceId>,
    is_whole: bool,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Vec<Edge>> {
    // What could not be built may have brought companions of a kind that is not there otherwise.
    let is_of_known_kind =
        |id: &ResourceId| is_whole || index.keys().chain(idle).any(|known| known.kind() == id.kind());
    let mut edges: Vec<Vec<Edge>> = vec![Vec::new(); nodes.len()];
    for (number, node) in nodes.iter().enumerate() {
        let common = &node.common;
        let lists = [
            ("requires", &common.requires, Reason::Requires),
            ("after", &common.after, Reason::After),
            ("before", &common.before, Reason::Before),
            ("notifies", &common.notifies, Reason::Notifies),
            ("subscribes", &common.subscribes, Reason::Subscribes),
        ];
        for (attribute, ids, reason) in lists {
            for (place, id) in ids.iter().enumerate() {
                let Some(other) = index.get(id) else {
                    if !idle.contains(id) && is_of_known_kind(id) {
                        let known = index.keys().chain(idle).collect();
                        diagnostics.push(unknown_reference(node, attribute, place, id, &known));
                    }
                    continue;
                };
                let span = node.spans.at(&[attribute.to_owned(), place.to_string()]).cloned();
                let (from, to) = match reason {
                    Reason::Before | Reason::Notifies => (number, *other),
                    _ => (*other, number),
                };
                edges[to].push(Edge { from, reason: reason.clone(), span });
            }
        }
    }
    edges
}

/// Adds what follows from claims: a path after the directory above it, a file after its owner, and so on.
pub(super) fn add_implied(nodes: &[Node], owners: &HashMap<&Target, (usize, Hold)>, edges: &mut [Vec<Edge>]) {
    let of_paths = owners.iter().filter_map(|(target, owner)| match target {
        Target::Path(path) => Some((path.as_str(), *owner)),
        _ => None,
    });
    let of_paths: HashMap<&str, (usize, Hold)> = of_paths.collect();
    for (number, node) in nodes.iter().enumerate() {
        for claim in &node.claims {
            let holder = match (&claim.target, claim.hold) {
                (Target::Path(path), Hold::Owns | Hold::Removes) => above(path, &of_paths),
                (Target::Path(path), Hold::Needs) => {
                    owners.get(&claim.target).copied().or_else(|| above(path, &of_paths))
                }
                (_, Hold::Needs | Hold::Precedes) => owners.get(&claim.target).copied(),
                _ => None,
            };
            let Some((holder, hold)) = holder.filter(|(holder, _)| *holder != number) else { continue };
            // A home directory comes after its user, although files in it come with the user.
            if matches!(claim.target, Target::Path(_)) && belongs_to(&nodes[holder], number, owners) {
                continue;
            }
            // What is taken away goes after all that needed it.
            let reversed = hold == Hold::Removes || claim.hold == Hold::Precedes;
            let (from, to) = if reversed { (number, holder) } else { (holder, number) };
            let needed = match (&claim.target, claim.hold) {
                (Target::Path(_), _) => nodes[holder].claims.iter().find_map(|claim| match &claim.target {
                    Target::Path(path) if matches!(claim.hold, Hold::Owns | Hold::Removes) => {
                        Some(format!("path {path}"))
                    }
                    _ => None,
                }),
                _ => None,
            };
            let reason = Reason::Implied(needed.unwrap_or_else(|| claim.target.to_string()));
            let known = edges[to].iter().any(|edge| edge.from == from && edge.reason == reason);
            if !known {
                let span = nodes[to].declared_at().cloned();
                edges[to].push(Edge { from, reason, span });
            }
        }
    }
    add_within(nodes, &of_paths, edges);
}

/// What needs all that lies in a directory comes after each resource that owns a path there, and what judges it before. A resource there that
/// itself needs the former comes later: a setting of apt for a program that apt has to install first.
fn add_within(nodes: &[Node], of_paths: &HashMap<&str, (usize, Hold)>, edges: &mut [Vec<Edge>]) {
    for (number, node) in nodes.iter().enumerate() {
        for claim in node.claims.iter().filter(|claim| matches!(claim.hold, Hold::NeedsWithin | Hold::Judges)) {
            let Target::Path(directory) = &claim.target else { continue };
            let is_in = |path: &str, directory: &str| {
                let rest = path.strip_prefix(directory.trim_end_matches('/'));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            // A directory above what is judged may take it away.
            let is_within = |path: &str| {
                is_in(path, directory.as_str()) || (claim.hold == Hold::Judges && is_in(directory.as_str(), path))
            };
            let mut within: Vec<(&str, usize)> = of_paths
                .iter()
                .filter(|(path, (owner, _))| *owner != number && is_within(path))
                .map(|(path, (owner, _))| (*path, *owner))
                .collect();
            within.sort_unstable();
            if claim.hold == Hold::NeedsWithin && !within.is_empty() {
                let later = implied_after(number, edges);
                within.retain(|(_, owner)| !later.contains(owner));
            }
            for (path, owner) in within {
                let (from, to, reason) = match claim.hold {
                    Hold::Judges => (number, owner, Reason::Judged(path.to_owned())),
                    _ => (owner, number, Reason::Implied(format!("path {path}"))),
                };
                edges[to].push(Edge { from, reason, span: nodes[to].declared_at().cloned() });
            }
        }
    }
}

/// The nodes that come after a node because of what they need.
fn implied_after(node: usize, edges: &[Vec<Edge>]) -> BTreeSet<usize> {
    let mut next = vec![Vec::new(); edges.len()];
    for (later, before) in edges.iter().enumerate() {
        before.iter().filter(|edge| !edge.reason.is_declared()).for_each(|edge| next[edge.from].push(later));
    }
    let (mut found, mut open) = (BTreeSet::new(), vec![node]);
    while let Some(node) = open.pop() {
        open.extend(next[node].iter().filter(|later| found.insert(**later)));
    }
    found
}

/// Whether something needs a user or group that another node decides about.
fn belongs_to(node: &Node, other: usize, owners: &HashMap<&Target, (usize, Hold)>) -> bool {
    node.claims.iter().any(|claim| {
        matches!((&claim.target, claim.hold), (Target::User(_) | Target::Group(_), Hold::Needs))
            && owners.get(&claim.target).is_some_and(|(owner, _)| *owner == other)
    })
}

/// Who owns the nearest directory above a path.
fn above(path: &HostPath, owners: &HashMap<&str, (usize, Hold)>) -> Option<(usize, Hold)> {
    path.ancestor_texts().find_map(|directory| owners.get(directory).copied())
}
