//! What the types of a user's attributes cannot say.

use std::collections::BTreeMap;

use provision_core::resource::AttributeError;

use super::User;
use crate::accounts::{Day, PasswordHash, name_mistake, number_mistake};
use crate::authorized_keys;
use crate::ensure::Ensure;

impl User {
    /// All that is wrong with the declaration.
    pub(super) fn mistakes(&self, name: &str) -> Vec<AttributeError> {
        let mut errors: Vec<AttributeError> = name_mistake("", name).into_iter().collect();
        errors.extend(number_mistake("uid", self.uid));
        errors.extend(self.primary_group.as_deref().and_then(|group| name_mistake("primary_group", group)));
        for group in self.groups.keys() {
            errors.extend(name_mistake("groups", group).map(|mistake| below(mistake, group)));
        }
        errors.extend(self.password.as_ref().and_then(PasswordHash::mistake));
        errors.extend(authorized_keys::mistakes(self.authorized_keys.as_ref().unwrap_or(&BTreeMap::new())));
        let mut refuse = |attribute: &str, message: &str, help: &str| {
            errors.push(AttributeError::new(attribute, message).help(help));
        };
        if self.uid.is_some_and(|uid| (uid == 0) != (name == "root")) {
            refuse("uid", "0 is the number of root, and of no other user", "leave `uid` out, or choose another");
        }
        if self.gecos.as_ref().is_some_and(|gecos| gecos.contains([':', '\n', '\0'])) {
            refuse("gecos", "it cannot hold a colon or more than one line", "passwd(5) separates its fields by colons");
        }
        for (attribute, path) in [("shell", &self.shell), ("home", &self.home)] {
            if path.as_ref().is_some_and(|path| path.as_str().contains([':', '\n'])) {
                refuse(attribute, "it cannot hold a colon or a newline", "passwd(5) separates its fields by colons");
            }
        }
        if self.expires.as_deref().is_some_and(|day| Day::parse(day).is_none()) {
            refuse(
                "expires",
                "it is not a day after 1970-01-01",
                "write YYYY-MM-DD, such as \"2030-12-31\", or \"never\"",
            );
        }
        if self.locked == Some(false) && self.password.as_ref().is_some_and(PasswordHash::is_lock) {
            refuse("locked", "the password \"!\" is a lock", "say `password = \"*\"` for an account without password");
        }
        if let Some(group) = self.primary_group.as_ref().filter(|group| self.groups.get(*group) == Some(&false)) {
            let message = format!("{group} is the primary group, so the user is in it");
            errors.push(below(AttributeError::new("groups", message).help("leave it out"), group));
        }
        errors.extend(self.mistakes_of_presence(name));
        errors
    }

    fn mistakes_of_presence(&self, name: &str) -> Vec<AttributeError> {
        let mut errors = Vec::new();
        let mut refuse = |attribute: &str, message: &str, help: &str| {
            errors.push(AttributeError::new(attribute, message).help(help));
        };
        match self.ensure {
            Ensure::Absent if name == "root" || self.uid == Some(0) => {
                refuse("ensure", "root cannot be removed", "lock its password instead: `locked = true`");
            }
            Ensure::Absent => {
                if self.authorized_keys.is_some() {
                    refuse("authorized_keys", "a user who does not exist has no keys", "leave them out");
                }
            }
            Ensure::Present if self.remove_home => {
                refuse(
                    "remove_home",
                    "only a user who is removed loses its home directory",
                    "it goes with `ensure = 'absent`",
                );
            }
            Ensure::Present => {}
        }
        errors
    }
}

fn below(mut mistake: AttributeError, key: &str) -> AttributeError {
    mistake.path.push(key.to_owned());
    mistake
}
