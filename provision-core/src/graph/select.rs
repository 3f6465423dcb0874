//! Choosing resources (`--only`): those that are named or tagged, and what they need.

use std::fmt;
use std::str::FromStr;

use super::Graph;
use crate::diagnostic::did_you_mean;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InvalidId, ResourceId};

/// Which resources take part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// This one.
    Id(ResourceId),
    /// Those with this label.
    Tag(String),
}

impl FromStr for Selector {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Selector, InvalidId> {
        match text.parse() {
            Ok(id) => Ok(Selector::Id(id)),
            Err(_) if !text.is_empty() && !text.contains(':') => Ok(Selector::Tag(text.to_owned())),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Id(id) => id.fmt(f),
            Selector::Tag(tag) => f.write_str(tag),
        }
    }
}

impl Graph {
    /// The chosen nodes in order; all if nothing is chosen.
    pub(crate) fn selected(&self, only: &[Selector]) -> Result<Vec<usize>> {
        select(self, only)
    }
}

/// The chosen nodes in order: all, or those that are selected and what these cannot do without.
pub(super) fn select(graph: &Graph, only: &[Selector]) -> Result<Vec<usize>> {
    if only.is_empty() {
        return Ok((0..graph.nodes.len()).collect());
    }
    let mut chosen = vec![false; graph.nodes.len()];
    for selector in only {
        let mut any = false;
        for (node, chosen) in graph.nodes.iter().zip(&mut chosen) {
            let selected = match selector {
                Selector::Id(id) => node.id == *id,
                Selector::Tag(tag) => node.common.tags.contains(tag),
            };
            any |= selected;
            *chosen |= selected;
        }
        if !any {
            return Err(nothing_selected(graph, selector));
        }
    }
    // What comes before has a lower number, so one pass from the end finds all that is needed.
    for node in (0..chosen.len()).rev().filter(|node| chosen[*node]).collect::<Vec<_>>() {
        mark_needed(graph, node, &mut chosen);
    }
    // What has to be done once after all of them is part of their work.
    for trigger in (0..chosen.len()).filter(|node| graph.nodes[*node].id.kind() == "trigger") {
        chosen[trigger] |= graph.predecessors[trigger].iter().any(|edge| chosen[edge.from]);
    }
    Ok((0..chosen.len()).filter(|node| chosen[*node]).collect())
}

fn mark_needed(graph: &Graph, node: usize, chosen: &mut [bool]) {
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        for edge in graph.predecessors[node].iter().filter(|edge| edge.reason.is_hard()) {
            if !std::mem::replace(&mut chosen[edge.from], true) {
                open.push(edge.from);
            }
        }
    }
}

fn nothing_selected(graph: &Graph, selector: &Selector) -> Error {
    let text = selector.to_string();
    let error = Error::new(ErrorKind::Invalid, format!("--only {text} selects nothing"));
    let ids: Vec<String> = graph.nodes.iter().map(|node| node.id.to_string()).collect();
    let tags = graph.nodes.iter().flat_map(|node| &node.common.tags);
    match did_you_mean(&text, ids.iter().chain(tags).map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint("name a resource as `type:name`, or a tag"),
    }
}
