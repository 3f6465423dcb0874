//! Judging what resources are about to change, before any of it is done; see [`Resource::judge`](crate::resource::Resource::judge).

use std::collections::BTreeSet;

use super::ahead::Foresight;
use super::{Decision, DeclaredPackages, Planner, Verdict, bring_about, decide};
use crate::claim::{Hold, Target};
use crate::effect::Effect;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Reason};
use crate::host::{HostView, Overlay};

impl Graph {
    /// The resources whose changes a resource judges.
    pub(crate) fn judged_by(&self, judge: usize) -> BTreeSet<usize> {
        let is_judged = |node: &usize| {
            self.predecessors[*node].iter().any(|edge| edge.from == judge && matches!(edge.reason, Reason::Judged(_)))
        };
        let judges = self.nodes[judge].claims.iter().any(|claim| claim.hold == Hold::Judges);
        let later = if judges { judge + 1..self.nodes.len() } else { 0..0 };
        later.filter(is_judged).collect()
    }

    /// These and what comes before them, after a resource; in order.
    fn leading_to(&self, members: &BTreeSet<usize>, after: usize) -> BTreeSet<usize> {
        let mut found = members.clone();
        let mut open: Vec<usize> = members.iter().copied().collect();
        while let Some(node) = open.pop() {
            let before = self.predecessors[node].iter().map(|edge| edge.from);
            open.extend(before.filter(|before| *before > after && found.insert(*before)));
        }
        found
    }
}

/// Brings a node about on a model, and gives the effects that it takes.
type BringAbout<'d> = &'d dyn Fn(usize, &Overlay<&dyn HostView>) -> Result<Vec<Effect>>;

/// Lets a resource judge what those that it judges are about to change, on a model of the host as they will leave it. `pending` are the nodes
/// that have yet to be brought about, and `decide` brings one about on the model.
fn judge(
    graph: &Graph,
    judge: usize,
    host: &dyn HostView,
    pending: &dyn Fn(usize) -> bool,
    decide: BringAbout<'_>,
) -> Result<()> {
    let members = graph.judged_by(judge);
    let ahead = Overlay::new(host);
    let is_secret = |node: &Node| node.names_secret || node.common.sensitive;
    let mut is_confidential = members.iter().any(|member| is_secret(&graph.nodes[*member]));
    let mut changes = false;
    for node in graph.leading_to(&members, judge).into_iter().filter(|node| pending(*node)) {
        let is_member = members.contains(&node);
        match decide(node, &ahead) {
            Ok(effects) => {
                changes |= is_member && !effects.is_empty();
                is_confidential |= effects.iter().any(Effect::holds_secret);
            }
            Err(error) if is_member && error.kind() == ErrorKind::Unknown => {
                let id = &graph.nodes[node].id;
                return Err(Error::unknown(format!("{id} is decided first: {}", error.message())));
            }
            // Its own step says so, and it changes nothing.
            Err(_) => {}
        }
    }
    if !changes {
        return Ok(());
    }
    let judged = graph.nodes[judge].judge(&ahead).map_err(|error| {
        let said = error.cause().unwrap_or_default();
        let named = members.iter().map(|member| &graph.nodes[*member]).filter(|node| is_named(node, said));
        match named.map(Node::called).collect::<Vec<_>>() {
            named if named.is_empty() => error,
            named => error.with_hint(format!("it names what is declared by {}", named.join(", "))),
        }
    });
    // What a program says may be a part of what it was shown.
    judged.map_err(|error| match is_confidential {
        true => error.without_cause().with_hint("its words are not shown, as these files hold secrets"),
        false => error,
    })
}

/// Whether a text names a path that a resource owns, and not only one that begins alike.
fn is_named(node: &Node, text: &str) -> bool {
    let mut owned =
        node.claims.iter().filter(|claim| claim.hold == Hold::Owns).filter_map(|claim| match &claim.target {
            Target::Path(path) => Some(path.as_str()),
            _ => None,
        });
    let goes_on = |rest: &str| rest.starts_with(|next: char| next.is_alphanumeric() || "-_/~".contains(next));
    owned.any(|path| text.match_indices(path).any(|(at, _)| !goes_on(&text[at + path.len()..])))
}

impl Planner<'_> {
    /// Judges what is planned after this resource; what cannot be judged yet is judged before it is done.
    pub(super) fn judge(&self, number: usize, node: &Node) -> Option<Verdict> {
        let is_pending = |node: usize| self.turn_of[node].is_some_and(|turn| turn > self.steps.len());
        let decide = |node: usize, ahead: &Overlay<&dyn HostView>| {
            let foreseen = self.turn_of[node].and_then(|turn| self.foreseen[turn].as_ref());
            let still_holds =
                |seen: &&Foresight| self.overlay.leaves_alone(&seen.paths) && ahead.leaves_alone(&seen.paths);
            let (node, declared) = (&self.graph.nodes[node], &self.declared_packages);
            let decision = match foreseen.filter(still_holds) {
                Some(seen) => bring_about(node, seen.states.clone(), ahead, declared),
                None => decide(node, ahead, declared),
            };
            decision.map(|Decision { effects, .. }| effects)
        };
        let error = judge(self.graph, number, &self.overlay, &is_pending, &decide).err()?;
        Some(match error.kind() {
            ErrorKind::Unknown => Verdict::Deferred { because: error.message().to_owned() },
            ErrorKind::PermissionDenied => Verdict::Deferred { because: "root applies it".to_owned() },
            _ => Verdict::Failed { error: self.graph.redacted(error).of(&node.id, node.declared_at()) },
        })
    }
}

/// As planning judges, but on the host as it is at this moment.
pub(crate) fn judge_now(
    graph: &Graph,
    number: usize,
    host: &dyn HostView,
    declared: &DeclaredPackages,
    pending: &dyn Fn(usize) -> bool,
) -> Result<()> {
    let decide = |node: usize, ahead: &Overlay<&dyn HostView>| {
        decide(&graph.nodes[node], ahead, declared).map(|Decision { effects, .. }| effects)
    };
    judge(graph, number, host, pending, &decide)
}
