//! `group`: a group of the account files.

use derive_setters::Setters;
use provision_core::effect::{Effect, PlatformEffect};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::HostViewExt;
use provision_core::resource::{
    ApplyContext, AttributeError, CheckContext, Claim, PlanContext, Resource, ResourceId, Stage, Target,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::accounts::{name_mistake, number_mistake};
use crate::ensure::Ensure;

/// A group. Only `/etc/group` is looked at: a group of a directory service (LDAP) is not seen.
///
/// ```nickel
/// group.deploy = {},
/// group.media = { gid = 2000, members = ["anna", "ben"] },
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(into, strip_option)]
pub struct Group {
    /// Whether it exists. A group that is the primary one of a user cannot be removed; users that are removed as well go
    /// before.
    pub ensure: Ensure,
    /// Its number. Left alone if it is not said; a new group then gets the next free one. If the number changes, files
    /// keep the old one.
    pub gid: Option<u32>,
    /// Exactly these users are its members, beside those whose primary group it is. Left alone if it is not said. The
    /// users come first. What `groups` of a declared user says otherwise is refused.
    pub members: Option<Vec<String>>,
    /// Whether a new group gets its number from the range of the system. An existing group is left as it is.
    pub system: bool,
}

/// How a group is, as far as its declaration cares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    exists: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    members: Option<Vec<String>>,
}

impl Resource for Group {
    const TYPE: &'static str = "group";
    const STAGE: Stage = Stage::Accounts;
    type State = State;

    fn stage(&self) -> Stage {
        if self.ensure == Ensure::Absent { Stage::AccountRemovals } else { Self::STAGE }
    }

    fn validate(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut errors: Vec<AttributeError> = name_mistake("", id.name()).into_iter().collect();
        errors.extend(number_mistake("gid", self.gid));
        for (index, member) in self.members.iter().flatten().enumerate() {
            if let Some(mut mistake) = name_mistake("members", member) {
                mistake.path.push(index.to_string());
                errors.push(mistake);
            }
        }
        let is_root = id.name() == "root";
        if self.gid.is_some_and(|gid| (gid == 0) != is_root) {
            errors.push(AttributeError::new("gid", "0 is the number of root, and of no other group"));
        }
        if self.ensure == Ensure::Absent {
            if is_root {
                errors.push(AttributeError::new("ensure", "the group root cannot be removed"));
            }
            for (name, is_said) in [("gid", self.gid.is_some()), ("members", self.members.is_some())] {
                if is_said {
                    errors.push(AttributeError::new(name, "a group that does not exist has none").help("leave it out"));
                }
            }
        }
        errors
    }

    fn claims(&self, id: &ResourceId) -> Vec<Claim> {
        let group = Target::Group(id.name().to_owned());
        if self.ensure == Ensure::Absent {
            return vec![Claim::removes(group)];
        }
        let mut claims = vec![Claim::owns(group)];
        claims.extend(self.gid.map(|gid| Claim::owns(Target::Gid(gid))));
        claims.extend(self.members.iter().flatten().map(|member| Claim::needs(Target::User(member.clone()))));
        claims
    }

    fn check(&self, cx: &CheckContext<'_>) -> Result<State> {
        let Some(group) = cx.host().group(cx.id().name())? else { return Ok(State::default()) };
        if self.ensure == Ensure::Absent {
            return Ok(State { exists: true, ..State::default() });
        }
        let members = self.members.as_ref().map(|_| sorted(&group.members));
        Ok(State { exists: true, gid: self.gid.map(|_| group.gid), members })
    }

    fn plan(&self, _: &PlanContext<'_>, _: &State) -> Result<State> {
        Ok(match self.ensure {
            Ensure::Absent => State::default(),
            Ensure::Present => State { exists: true, gid: self.gid, members: self.members.as_deref().map(sorted) },
        })
    }

    fn apply(&self, cx: &ApplyContext<'_>, now: &State, want: &State) -> Result<()> {
        let host = cx.host();
        let name = cx.id().name().to_owned();
        if !want.exists {
            return match host.perform(&Effect::Platform(PlatformEffect::RemoveGroup { name })) {
                Ok(_) => Ok(()),
                Err(error) => {
                    Err(error.with_hint("a user whose primary group it is goes, or gets another one, before"))
                }
            };
        }
        if let Some(gid) = want.gid.filter(|gid| now.gid != Some(*gid)) {
            let accounts = host.accounts()?;
            if let Some(other) = accounts.group_name(gid).filter(|other| *other != name) {
                let message = format!("the group {other} has the number {gid} already");
                return Err(
                    Error::new(ErrorKind::Conflict, message).with_hint("choose another `gid`, or remove that group")
                );
            }
        }
        match want.gid {
            gid if !now.exists => host.perform(&Effect::Platform(PlatformEffect::CreateGroup {
                name: name.clone(),
                gid,
                system: self.system,
            }))?,
            Some(gid) if now.gid != want.gid => {
                host.perform(&Effect::Platform(PlatformEffect::ChangeGroup { name: name.clone(), gid }))?
            }
            _ => {}
        }
        // A new group has no members yet.
        let found = now.members.as_deref().unwrap_or_default();
        if let Some(members) = want.members.clone().filter(|members| members != found) {
            host.perform(&Effect::Platform(PlatformEffect::SetMembers { group: name, members }))?;
        }
        Ok(())
    }
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::converging::{converge, fails, mistakes};
    use provision_core::sim::SimHost;
    use serde_json::json;

    #[test]
    fn a_group_is_created_changed_and_removed() {
        let host = SimHost::debian(12).with_user("anna").with_user("ben");
        assert_eq!(converge::<Group>(&host, "media", json!({})).words(), ["create group media"]);
        assert_eq!(host.group("media").unwrap().unwrap().gid, 1002);
        let done = converge::<Group>(&host, "media", json!({ "gid": 2000, "members": ["ben", "anna", "ben"] }));
        assert_eq!(done.words(), ["give group media the number 2000", "set members of group media to [anna, ben]"]);
        assert_eq!(done.now, json!({ "exists": true, "gid": 1002, "members": [] }));
        assert_eq!(converge::<Group>(&host, "media", json!({ "gid": 2000 })).words(), [""; 0]);
        let done = converge::<Group>(&host, "media", json!({ "members": [] }));
        assert_eq!(done.words(), ["set members of group media to []"]);
        assert_eq!(converge::<Group>(&host, "media", json!({ "ensure": "absent" })).words(), ["remove group media"]);
        assert_eq!(converge::<Group>(&host, "media", json!({ "ensure": "absent" })).words(), [""; 0]);
    }

    #[test]
    fn a_new_group_may_have_members_at_once_and_a_number_of_the_system() {
        let host = SimHost::debian(12).with_user("anna");
        let done = converge::<Group>(&host, "media", json!({ "members": ["anna"], "system": true }));
        assert_eq!(done.words(), ["create group media", "set members of group media to [anna]"]);
        assert_eq!(host.group("media").unwrap().unwrap().gid, 997, "the first that is free below 999");
    }

    #[test]
    fn what_stands_in_the_way_is_named() {
        let host = SimHost::debian(12).with_user("anna");
        let error = fails::<Group>(&host, "anna", json!({ "ensure": "absent" }));
        assert!(error.message().contains("primary group of user anna"), "{error}");
        let error = fails::<Group>(&host, "media", json!({ "gid": 33 }));
        assert!(error.message().contains("www-data has the number 33"), "{error}");
        let error = fails::<Group>(&host, "sudo", json!({ "members": ["carl"] }));
        assert!(error.message().contains("no user carl"), "{error}");
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let found = mistakes::<Group>("Me dia", json!({ "gid": 0, "members": ["anna", "b c"] }));
        let paths: Vec<Vec<String>> = found.iter().map(|mistake| mistake.path.clone()).collect();
        assert_eq!(paths, [vec![], vec!["members".to_owned(), "1".to_owned()], vec!["gid".to_owned()]]);
        assert_eq!(mistakes::<Group>("root", json!({ "ensure": "absent", "gid": 0, "members": [] })).len(), 3);
        assert_eq!(mistakes::<Group>("media", json!({ "gid": 65535 })).len(), 1);
        assert!(serde_json::from_value::<Group>(json!({ "guid": 5 })).is_err());
    }

    #[test]
    fn members_come_first() {
        let group: Group = crate::converging::declare(json!({ "gid": 5, "members": ["anna"] }));
        assert_eq!(
            group.claims(&ResourceId::new("group", "media")),
            [
                Claim::owns(Target::Group("media".into())),
                Claim::owns(Target::Gid(5)),
                Claim::needs(Target::User("anna".into())),
            ]
        );
    }
}
