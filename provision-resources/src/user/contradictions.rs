//! What users and groups of one site say differently about who is in a group.

use std::collections::BTreeSet;

use provision_core::resource::{Contradiction, Declared, Resource, ResourceId};

use super::{Membership, User};
use crate::ensure::Ensure;
use crate::group::Group;

/// Where this user and the declared groups disagree: each run would undo what the last one has done.
pub(super) fn of(user: &User, name: &str, site: &Declared<'_>) -> Vec<Contradiction> {
    let says = |path: &[&str], other: &str, other_path: Vec<String>, message: String, help: &str| Contradiction {
        path: path.iter().map(|key| (*key).to_owned()).collect(),
        other: ResourceId::new(Group::TYPE, other),
        other_path,
        message,
        help: help.to_owned(),
    };
    if user.ensure == Ensure::Absent {
        let listed = site.all::<Group>().filter_map(|(id, group)| Some((id.name(), place_in(group, name)?)));
        return listed
            .map(|(group, place)| {
                let message = format!("user {name} is removed, and is to be a member of group {group}");
                says(&["ensure"], group, place, message, "take it out of `members`")
            })
            .collect();
    }
    let in_one_place = "say it in one place: in `groups` of the user, or in `members` of the group";
    // The group of its own name is the primary one of a new user.
    let primary = user.primary_group.as_deref().unwrap_or(name);
    let mut found = Vec::new();
    for (group, is_in) in &user.groups {
        let Some(declared) = site.get::<Group>(group) else { continue };
        let path = ["groups", group.as_str()];
        let members = || vec!["members".to_owned()];
        match (is_in, place_in(declared, name)) {
            (true, _) if declared.ensure == Ensure::Absent => {
                let message = format!("user {name} is to be in group {group}, which is removed");
                found.push(says(&path, group, vec!["ensure".to_owned()], message, "take the group out of `groups`"));
            }
            (true, None) if declared.members.is_some() && group != primary => {
                let message = format!("user {name} is to be in group {group}, whose members are others");
                found.push(says(&path, group, members(), message, in_one_place));
            }
            (false, Some(place)) => {
                let message = format!("user {name} is not to be in group {group}, which has it as a member");
                found.push(says(&path, group, place, message, in_one_place));
            }
            _ => {}
        }
    }
    if let Some(group) = &user.primary_group
        && site.get::<Group>(group).is_some_and(|declared| declared.ensure == Ensure::Absent)
    {
        let message = format!("the primary group of user {name} is {group}, which is removed");
        let help = "declare another `primary_group`, or keep the group";
        found.push(says(&["primary_group"], group, vec!["ensure".to_owned()], message, help));
    }
    // A new user comes after the groups that it is put into, and a group after the users that it lists.
    let needed = user.groups.iter().filter(|(_, is_in)| **is_in).map(|(group, _)| group.as_str());
    for group in needed.chain([primary]).collect::<BTreeSet<&str>>() {
        let Some(place) = site.get::<Group>(group).and_then(|declared| place_in(declared, name)) else { continue };
        let (path, help) = match user.groups.contains_key(group) {
            true => (vec!["groups", group], in_one_place),
            false => (
                vec!["primary_group"],
                "take the user out of `members`: it is in its primary group anyway; other groups are said in its `groups`",
            ),
        };
        let message =
            format!("user {name} comes after group {group}, which lists it as a member and so comes after it");
        found.push(says(&path, group, place, message, help));
    }
    if user.membership == Membership::Exactly {
        for (id, declared) in site.all::<Group>() {
            let group = id.name();
            if let Some(place) = place_in(declared, name)
                && !user.groups.contains_key(group)
                && group != primary
            {
                let message =
                    format!("user {name} is in no groups but those named, and group {group} has it as a member");
                found.push(says(&["membership"], group, place, message, "name the group in `groups` of the user"));
            }
        }
    }
    found
}

/// Where a group lists a user among its members.
fn place_in(group: &Group, user: &str) -> Option<Vec<String>> {
    let place = group.members.iter().flatten().position(|member| member == user)?;
    Some(vec!["members".to_owned(), place.to_string()])
}
