//! The difference between two states, as people see it. Authors of resource types write none of this.

use serde_json::{Map, Value};

use crate::change::Change;
use crate::claim::{Claim, Hold, Target};
use crate::effect::{Digest, Effect, PlatformEffect, Sensitive, UnitAction};
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
    compare("", now.to_json(), want.to_json(), &mut changes);
    let hidden: Vec<&str> = hosts.iter().flat_map(|host| node.hidden(now, *host)).copied().collect();
    for change in &mut changes {
        if node.common.sensitive {
            change.hide(Sensitive::HIDDEN);
        } else if hidden.contains(&change.attribute.as_str()) && !change.from.is_null() {
            change.from = Sensitive::HIDDEN.into();
        }
    }
    changes
}

/// What effects do beside that which the states of a resource tell of: the directories that are made on the way, and the units
/// that are stopped and disabled because their files go.
pub(crate) fn beside_the_states(node: &Node, effects: &[Effect], host: &dyn HostView) -> Vec<Change> {
    let mut changes = made_on_the_way(node, effects, host);
    if effects.iter().any(|effect| matches!(effect, Effect::Remove { .. })) {
        changes.extend(effects.iter().filter_map(of_retired_unit));
    }
    changes
}

fn of_retired_unit(effect: &Effect) -> Option<Change> {
    let Effect::Platform(PlatformEffect::Unit { unit, action }) = effect else { return None };
    let attribute = match action {
        UnitAction::Stop => "running",
        UnitAction::Disable => "enabled",
        UnitAction::Start
        | UnitAction::Restart
        | UnitAction::Reload
        | UnitAction::Enable
        | UnitAction::Mask
        | UnitAction::Unmask
        | UnitAction::ResetFailed => return None,
    };
    Some(Change { attribute: format!("{unit}.{attribute}"), from: true.into(), to: false.into() })
}

/// The directories that are made on the way to what a resource owns, and to a home.
fn made_on_the_way(node: &Node, effects: &[Effect], host: &dyn HostView) -> Vec<Change> {
    let owned: Vec<&HostPath> = node.claims.iter().filter(|claim| claim.hold == Hold::Owns).filter_map(path).collect();
    let made: Vec<HostPath> = effects.iter().filter_map(made_at).collect();
    let leads_there = |directory: &HostPath| {
        owned.iter().copied().chain(&made).any(|path| path != directory && path.is_within(directory))
    };
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

/// The directory that an effect makes.
fn made_at(effect: &Effect) -> Option<HostPath> {
    match effect {
        Effect::CreateDirectory { path, .. } => Some(path.clone()),
        Effect::Platform(PlatformEffect::CreateUser(user)) if user.create_home => user.home().ok(),
        _ => None,
    }
}

fn path(claim: &Claim) -> Option<&HostPath> {
    if let Target::Path(path) = &claim.target { Some(path) } else { None }
}

/// It takes the values, which may be large, instead of copying them.
fn compare(attribute: &str, from: Value, to: Value, changes: &mut Vec<Change>) {
    if from == to {
        return;
    }
    let (of_from, of_to) = (digest(&from), digest(&to));
    // Contents of one size are told apart by their digests.
    let same_size = of_from.as_ref().zip(of_to.as_ref()).is_some_and(|(from, to)| from.size == to.size);
    let shown = |value: Value, digest: Option<Digest>| match digest {
        Some(digest) => Value::String(digest.in_words(same_size)),
        None => value,
    };
    match (from, to) {
        (Value::Object(from), Value::Object(to)) if of_from.is_none() && of_to.is_none() => {
            compare_fields(attribute, from, to, changes);
        }
        (from, to) => {
            changes.push(Change { attribute: attribute.to_owned(), from: shown(from, of_from), to: shown(to, of_to) });
        }
    }
}

/// The digest that stands for a content in a state.
fn digest(value: &Value) -> Option<Digest> {
    let fields = value.as_object().filter(|fields| fields.len() == 2)?;
    let sha256 = fields.get("sha256")?.as_str()?.to_owned();
    Some(Digest { sha256, size: fields.get("size")?.as_u64()? })
}

fn compare_fields(attribute: &str, mut from: Map<String, Value>, to: Map<String, Value>, changes: &mut Vec<Change>) {
    let gone: Vec<String> = from.keys().filter(|key| !to.contains_key(*key)).cloned().collect();
    for (key, to) in to.into_iter().chain(gone.into_iter().map(|key| (key, Value::Null))) {
        let name = if attribute.is_empty() { key.clone() } else { format!("{attribute}.{key}") };
        let from = from.get_mut(&key).map(Value::take).unwrap_or_default();
        compare(&name, from, to, changes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn differences(from: Value, to: Value) -> Vec<String> {
        let mut changes = Vec::new();
        compare("", json!({ "content": from }), json!({ "content": to }), &mut changes);
        changes.iter().map(|change| format!("{change}")).collect()
    }

    #[test]
    fn a_content_that_is_no_text_is_told_by_its_size_beside_a_text_and_beside_another() {
        let binary = |sha256: &str, size: u64| json!({ "sha256": sha256.repeat(16), "size": size });
        insta::assert_debug_snapshot!([
            differences(binary("ab", 12), json!("one\ntwo\n")),
            differences(json!("one\ntwo"), binary("ab", 12)),
            differences(Value::Null, binary("ab", 12)),
            differences(binary("ab", 12), binary("ab", 13)),
            differences(binary("ab", 12), binary("cd", 12)),
            differences(binary("", 300_000), binary("ab", 300_000)),
        ], @r#"
        [
            [
                "    content:\n      -<binary, 12 bytes>\n      +one\n      +two\n",
            ],
            [
                "    content:\n      -one\n      -two (no newline at the end)\n      +<binary, 12 bytes>\n",
            ],
            [
                "    content: <binary, 12 bytes>\n",
            ],
            [
                "    content: <binary, 12 bytes> → <binary, 13 bytes>\n",
            ],
            [
                "    content: <binary, 12 bytes, sha256 abababababababab> → <binary, 12 bytes, sha256 cdcdcdcdcdcdcdcd>\n",
            ],
            [
                "    content: <300000 bytes> → <300000 bytes, sha256 abababababababab>\n",
            ],
        ]
        "#);
    }
}
