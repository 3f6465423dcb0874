//! From edges to one order: rings are found whole, and ready resources always come in the same order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::Range;

use super::{Edge, Node, Ring};
use crate::claim::{Hold, Target};
use crate::resource::Stage;

/// One shortest ring from each knot of nodes that wait for one another.
pub(super) fn rings(count: usize, edges: &[Vec<Edge>]) -> Vec<Ring> {
    let mut left = unordered(count, edges);
    let mut rings = Vec::new();
    while let Some(start) = left.iter().position(|left| *left) {
        let Some(ring) = shortest_ring(start, edges, &left) else {
            left[start] = false;
            continue;
        };
        // The rest of the knot may hang on this ring; it is looked at once this one is gone.
        for (node, _) in &ring {
            left[*node] = false;
        }
        rings.push(ring);
    }
    rings
}

/// The nodes that lie on a ring or between rings: what is left when all that can be ordered is taken away, from the front
/// and from the back.
fn unordered(count: usize, edges: &[Vec<Edge>]) -> Vec<bool> {
    let successors = successors(count, edges);
    let predecessors: Vec<Vec<usize>> =
        edges.iter().map(|before| before.iter().map(|edge| edge.from).collect()).collect();
    let mut left = vec![true; count];
    for (before, after) in [(&predecessors, &successors), (&successors, &predecessors)] {
        let mut waiting: Vec<usize> =
            before.iter().map(|all| all.iter().filter(|other| left[**other]).count()).collect();
        let mut ready: Vec<usize> = (0..count).filter(|node| left[*node] && waiting[*node] == 0).collect();
        while let Some(node) = ready.pop() {
            left[node] = false;
            for next in after[node].iter().filter(|next| left[**next]) {
                waiting[*next] -= 1;
                if waiting[*next] == 0 {
                    ready.push(*next);
                }
            }
        }
    }
    left
}

fn successors(count: usize, edges: &[Vec<Edge>]) -> Vec<Vec<usize>> {
    let mut successors = vec![Vec::new(); count];
    for (to, before) in edges.iter().enumerate() {
        before.iter().for_each(|edge| successors[edge.from].push(to));
    }
    successors
}

/// The shortest ring through a node, walked against the edges: each entry waits for the next one.
fn shortest_ring(start: usize, edges: &[Vec<Edge>], left: &[bool]) -> Option<Ring> {
    let mut came_by: Vec<Option<(usize, &Edge)>> = vec![None; edges.len()];
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for edge in edges[node].iter().filter(|edge| left[edge.from]) {
            if edge.from == start {
                let mut ring = vec![(node, edge.clone())];
                let mut here = node;
                while let Some((later, edge)) = came_by[here].filter(|_| here != start) {
                    ring.push((later, edge.clone()));
                    here = later;
                }
                ring.reverse();
                return Some(ring);
            }
            if came_by[edge.from].is_none() {
                came_by[edge.from] = Some((node, edge));
                queue.push_back(edge.from);
            }
        }
    }
    None
}

/// Takes implied edges away until no ring is left, and tells the rings, each with the edge that went at its front.
///
/// A declared edge wins over an implied one. Declared edges alone have no ring.
pub(super) fn break_implied_rings(count: usize, edges: &mut [Vec<Edge>]) -> Vec<Ring> {
    let mut dropped = Vec::new();
    loop {
        let found = rings(count, edges);
        if found.is_empty() {
            return dropped;
        }
        for mut ring in found {
            let Some(place) = ring.iter().position(|(_, edge)| !edge.reason.is_declared()) else { continue };
            ring.rotate_left(place);
            let (node, edge) = &ring[0];
            edges[*node].retain(|other| other != edge);
            dropped.push(ring);
        }
    }
}

/// The order in which nodes are due. Sets each node's stage and batch.
pub(super) fn order(nodes: &mut [Node], edges: &[Vec<Edge>]) -> Vec<usize> {
    let successors = successors(nodes.len(), edges);
    let any = topological(nodes.len(), edges, &successors);
    batch_packages(nodes, edges, &any);
    // Whatever a resource waits for is due as early as the resource itself would be.
    for node in any.iter().rev() {
        let earliest = successors[*node].iter().map(|next| nodes[*next].stage).min();
        nodes[*node].stage = nodes[*node].stage.min(earliest.unwrap_or(Stage::Commands));
    }
    let nodes: &[Node] = nodes;
    let (sorted, units) = contract(nodes, any);
    let mut unit_of = vec![0; nodes.len()];
    for (unit, members) in units.iter().enumerate() {
        sorted[members.clone()].iter().for_each(|node| unit_of[*node] = unit);
    }
    let mut waiting = vec![0usize; units.len()];
    for (to, before) in edges.iter().enumerate() {
        waiting[unit_of[to]] += before.iter().filter(|edge| unit_of[edge.from] != unit_of[to]).count();
    }
    let key = |unit: usize| {
        let first = &nodes[sorted[units[unit].start]];
        Reverse((first.stage, is_group_that_goes(first), first.id.name(), first.id.kind(), unit))
    };
    let mut ready: BinaryHeap<_> = (0..units.len()).filter(|unit| waiting[*unit] == 0).map(key).collect();
    let mut due = Vec::with_capacity(nodes.len());
    while let Some(Reverse((.., unit))) = ready.pop() {
        for node in &sorted[units[unit].clone()] {
            due.push(*node);
            for next in &successors[*node] {
                let next = unit_of[*next];
                if next != unit {
                    waiting[next] -= 1;
                    if waiting[next] == 0 {
                        ready.push(key(next));
                    }
                }
            }
        }
    }
    due
}

/// A group can go when it is no longer the primary one of any user; of which user it was, only the host knows.
fn is_group_that_goes(node: &Node) -> bool {
    let goes = |is_it: fn(&Target) -> bool| node.claims.iter().any(|c| c.hold == Hold::Removes && is_it(&c.target));
    node.stage == Stage::AccountRemovals
        && goes(|target| matches!(target, Target::Group(_)))
        && !goes(|target| matches!(target, Target::User(_)))
}

/// Any order that keeps the edges, ties broken by name.
fn topological(count: usize, edges: &[Vec<Edge>], successors: &[Vec<usize>]) -> Vec<usize> {
    let mut waiting: Vec<usize> = edges.iter().map(Vec::len).collect();
    let mut ready: VecDeque<usize> = (0..count).filter(|node| waiting[*node] == 0).collect();
    let mut due = Vec::with_capacity(count);
    while let Some(node) = ready.pop_front() {
        due.push(node);
        for next in &successors[node] {
            waiting[*next] -= 1;
            if waiting[*next] == 0 {
                ready.push_back(*next);
            }
        }
    }
    due
}

/// Puts package resources into as few transactions as the edges allow: a package goes into a later one only if something
/// else must happen between the two.
fn batch_packages(nodes: &mut [Node], edges: &[Vec<Edge>], any: &[usize]) {
    let mut rank = vec![0usize; nodes.len()];
    let is_package = |node: &Node| node.stage == Stage::Packages;
    for node in any {
        let here = is_package(&nodes[*node]);
        let before = edges[*node].iter().map(|edge| {
            let crosses = is_package(&nodes[edge.from]) && !here;
            rank[edge.from] + usize::from(crosses)
        });
        rank[*node] = before.max().unwrap_or_default();
    }
    for (node, rank) in nodes.iter_mut().zip(rank) {
        node.batch = is_package(node).then_some(rank);
    }
}

/// The units of the order, as stretches of all nodes: a batch of packages is one, everything else stands alone. Members
/// keep the edges' order.
fn contract(nodes: &[Node], any: Vec<usize>) -> (Vec<usize>, Vec<Range<usize>>) {
    let mut sorted = any;
    // Topological order is kept among package resources that have edges; names decide among the others.
    sorted.sort_by_key(|node| nodes[*node].batch);
    let mut units: Vec<Range<usize>> = Vec::with_capacity(sorted.len());
    for (place, node) in sorted.iter().enumerate() {
        let batch = nodes[*node].batch;
        match units.last_mut() {
            Some(unit) if batch.is_some() && nodes[sorted[unit.start]].batch == batch => unit.end = place + 1,
            _ => units.push(place..place + 1),
        }
    }
    (sorted, units)
}
