//! The difference between two states, as people see it. Authors of resource types write none of this.

use serde_json::{Map, Value};

use crate::change::Change;
use crate::claim::{Claim, Hold, Target};
use crate::effect::{Effect, Sensitive};
use crate::graph::Node;
use crate::host::HostView;
use crate::path::HostPath;
use crate::resource::DynState;

/// What differs between two states. A sensitive resource tells the attributes and not the values. An attribute that was found
/// is hidden if the resource hides it on one of the hosts: how the host is, and how it will be.
pub(crate) fn between(node: &Node, now: &DynState, want: &DynState, hosts: &[&dyn HostView]) -> Vec<Change> {
    if now == want {
        return Vec::new();
    }
    let mut changes = Vec::new();
    compare("", &now.to_json(), &want.to_json(), &mut changes);
    let hidden: Vec<&str> = hosts.iter().flat_map(|host| node.resource.hidden(&node.id, now, *host)).copied().collect();
    let hide = |value: &mut Value| *value = Value::String(Sensitive::HIDDEN.into());
    for change in &mut changes {
        if node.common.sensitive {
            hide(&mut change.from);
            hide(&mut change.to);
        } else if hidden.contains(&change.attribute.as_str()) && !change.from.is_null() {
            hide(&mut change.from);
        }
    }
    changes
}

/// The directories that effects make on the way to what a resource owns; its states do not tell of them.
pub(crate) fn made_on_the_way(node: &Node, effects: &[Effect], host: &dyn HostView) -> Vec<Change> {
    let owned: Vec<&HostPath> = node.claims.iter().filter(|claim| claim.hold == Hold::Owns).filter_map(path).collect();
    let leads_there = |directory: &HostPath| owned.iter().any(|path| *path != directory && path.is_within(directory));
    let made = effects.iter().filter_map(|effect| match effect {
        Effect::CreateDirectory { path, access, .. } if leads_there(path) && !owned.contains(&path) => {
            // One that is there gets other permissions only.
            let is_new = host.metadata(path).is_ok_and(|found| found.is_none());
            is_new.then(|| (path, format!("directory {}:{} {}", access.owner, access.group, access.mode)))
        }
        _ => None,
    });
    made.map(|(path, to)| Change { attribute: format!("parents.{path}"), from: Value::Null, to: to.into() }).collect()
}

fn path(claim: &Claim) -> Option<&HostPath> {
    if let Target::Path(path) = &claim.target { Some(path) } else { None }
}

fn compare(attribute: &str, from: &Value, to: &Value, changes: &mut Vec<Change>) {
    if from == to {
        return;
    }
    match (from, to) {
        (Value::Object(from), Value::Object(to)) => compare_fields(attribute, from, to, changes),
        _ => changes.push(Change { attribute: attribute.to_owned(), from: from.clone(), to: to.clone() }),
    }
}

fn compare_fields(attribute: &str, from: &Map<String, Value>, to: &Map<String, Value>, changes: &mut Vec<Change>) {
    let gone = from.keys().filter(|key| !to.contains_key(*key));
    for key in to.keys().chain(gone) {
        let name = if attribute.is_empty() { key.clone() } else { format!("{attribute}.{key}") };
        let field = |fields: &Map<String, Value>| fields.get(key).cloned().unwrap_or_default();
        compare(&name, &field(from), &field(to), changes);
    }
}
