//! The difference between two states, as people see it. Authors of resource types write none of this.

use serde_json::{Map, Value};

use crate::change::Change;
use crate::effect::Sensitive;
use crate::graph::Node;
use crate::host::HostView;
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
