//! What `file` and `directory` declare beside owner, group and mode: access control lists, capabilities and flags.

use std::collections::BTreeMap;

use provision_core::diagnostic::did_you_mean;
use provision_core::effect::{
    Acl, AclSubject, AttributeChanges, Capabilities, Effect, FileFlags, permissions_from_text, permissions_text,
};
use provision_core::error::{Error, Result};
use provision_core::host::{Accounts, FileAttributes, Host, HostView, HostViewExt};
use provision_core::path::{HostPath, Mode};
use provision_core::resource::{AttributeError, Claim, Target};
use serde::{Deserialize, Serialize};

use crate::access::needs_account;

/// What is declared; what is not is left as it is.
#[derive(Clone, Copy, Default)]
pub(crate) struct Declared<'a> {
    pub(crate) acl: Option<&'a BTreeMap<String, String>>,
    pub(crate) default_acl: Option<&'a BTreeMap<String, String>>,
    pub(crate) capabilities: Option<&'a String>,
    pub(crate) flags: Option<&'a BTreeMap<String, bool>>,
}

/// What was found of what is declared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attributes {
    /// The access control list beyond the mode: who (`user:deploy`) may do what (`rw-`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<BTreeMap<String, String>>,
    /// The list that new files in a directory get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_acl: Option<BTreeMap<String, String>>,
    /// The capabilities of a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<String>,
    /// The flags that are declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<BTreeMap<String, bool>>,
}

impl Declared<'_> {
    fn is_empty(&self) -> bool {
        self.acl.is_none() && self.default_acl.is_none() && self.capabilities.is_none() && self.flags.is_none()
    }

    /// What is wrong with it, for something with this mode.
    pub(crate) fn mistakes(&self, mode: Mode) -> Vec<AttributeError> {
        let mut mistakes = Vec::new();
        for (attribute, record) in [("acl", self.acl), ("default_acl", self.default_acl)] {
            for (subject, permissions) in record.into_iter().flatten() {
                let of_acl = (attribute == "acl").then_some(mode);
                mistakes.extend(mistake_in_entry(attribute, subject, permissions, of_acl));
            }
        }
        if let Some(Err(error)) = self.capabilities.map(|text| text.parse::<Capabilities>()) {
            mistakes.push(mistake(vec!["capabilities".into()], &error));
        }
        for name in self.flags.into_iter().flat_map(BTreeMap::keys).filter(|name| FileFlags::named(name).is_none()) {
            let known: Vec<&str> = FileFlags::all().names().collect();
            let near = did_you_mean(name, known.iter().copied());
            let help = near
                .map_or_else(|| format!("flags are {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
            let path = vec!["flags".to_owned(), name.clone()];
            mistakes.push(AttributeError::at(path, format!("there is no flag `{name}`")).help(help));
        }
        mistakes
    }

    /// The accounts that it names.
    pub(crate) fn claims(&self) -> Vec<Claim> {
        let subjects = [self.acl, self.default_acl].into_iter().flatten().flat_map(BTreeMap::keys);
        let targets = subjects.filter_map(|subject| match subject.parse() {
            Ok(AclSubject::User(name)) if needs_account(&name) => Some(Target::User(name)),
            Ok(AclSubject::Group(name)) if needs_account(&name) => Some(Target::Group(name)),
            _ => None,
        });
        targets.map(Claim::needs).collect()
    }

    /// Looks at what is declared, and at nothing else.
    pub(crate) fn look(&self, host: &dyn HostView, path: &HostPath, mode: Mode) -> Result<Attributes> {
        if self.is_empty() {
            return Ok(Attributes::default());
        }
        let found = host.attributes(path)?.unwrap_or_default();
        let list = |name: &str| found.xattrs.get(name).map(|list| Acl::decode(list.bytes())).transpose();
        let capabilities = match found.xattrs.get(FileAttributes::CAPABILITIES) {
            Some(value) => {
                Capabilities::decode(value.bytes()).map_or_else(|| "unknown".to_owned(), |it| it.to_string())
            }
            None => String::new(),
        };
        let accounts = host.accounts()?;
        let in_words = |declared: Option<&BTreeMap<String, String>>, found: Acl| {
            declared.map(|declared| in_words_of(declared, &found, &accounts))
        };
        let flag = |name: &String| (name.clone(), FileFlags::named(name).is_some_and(|flag| found.flags.has(flag)));
        Ok(Attributes {
            acl: in_words(self.acl, list(FileAttributes::ACL)?.unwrap_or_default().beyond(mode)).filter(says_something),
            default_acl: in_words(self.default_acl, list(FileAttributes::DEFAULT_ACL)?.unwrap_or_default()),
            capabilities: self.capabilities.map(|_| capabilities),
            flags: self.flags.map(|flags| flags.keys().map(flag).collect()),
        })
    }

    /// What is to be found, of something with this mode.
    pub(crate) fn wanted(&self, mode: Mode) -> Result<Attributes> {
        let text = |acl: Acl| acl.entries().map(|(subject, it)| (subject.to_string(), permissions_text(it))).collect();
        let default_acl = self.default_acl.map(acl_of).transpose()?;
        let capabilities = self.capabilities.map(|text| text.parse::<Capabilities>()).transpose()?;
        Ok(Attributes {
            acl: self.acl.map(acl_of).transpose()?.map(|acl| text(acl.beyond(mode))).filter(says_something),
            default_acl: default_acl.map(|acl| text(acl.completed(mode).unwrap_or_default())),
            capabilities: capabilities.map(|it| it.to_string()),
            flags: self.flags.cloned(),
        })
    }

    /// What an effect has to change of something that was found like this; everything, if nothing was.
    ///
    /// Flags are always among it: only those that are named may be lifted to make a change. A list is too if the mode
    /// changes: chmod(2) moves the mask alone, and what the group itself gets would stay behind.
    pub(crate) fn changes(
        &self,
        now: Option<(&Attributes, Mode)>,
        (want, mode): (&Attributes, Mode),
    ) -> Result<AttributeChanges> {
        let differs = |same: bool| now.is_none() || !same;
        let same_mode = now.is_some_and(|(_, found)| found == mode);
        let now = now.map(|(now, _)| now.clone()).unwrap_or_default();
        let acl = self.acl.filter(|_| differs(now.acl == want.acl && same_mode));
        let default_acl = self.default_acl.filter(|_| differs(now.default_acl == want.default_acl));
        let capabilities = self.capabilities.filter(|_| differs(now.capabilities == want.capabilities));
        let flags = |wanted: bool| {
            let named = self.flags.into_iter().flatten().filter(|(_, set)| **set == wanted);
            named.filter_map(|(name, _)| FileFlags::named(name)).fold(FileFlags::none(), FileFlags::with)
        };
        Ok(AttributeChanges {
            acl: acl.map(acl_of).transpose()?,
            default_acl: default_acl.map(acl_of).transpose()?,
            capabilities: capabilities.map(|text| text.parse()).transpose()?,
            set_flags: flags(true),
            clear_flags: flags(false),
        })
    }

    /// Lifts the flags that keep something from being removed, if they are declared.
    pub(crate) fn unlock(&self, host: &dyn Host, path: &HostPath, now: &Attributes) -> Result<()> {
        let is_set = |name: &&String| now.flags.as_ref().is_some_and(|flags| flags.get(*name) == Some(&true));
        let named = self.flags.into_iter().flat_map(BTreeMap::keys).filter(is_set);
        let locks = named.filter_map(|name| FileFlags::named(name)).fold(FileFlags::none(), FileFlags::with);
        let clear_flags = locks.only(FileFlags::LOCKS);
        if !clear_flags.is_empty() {
            let attributes = AttributeChanges { clear_flags, ..AttributeChanges::default() };
            let path = path.clone();
            host.perform(&Effect::SetMetadata { path, owner: None, group: None, mode: None, attributes })?;
        }
        Ok(())
    }
}

/// No list is nothing to show.
fn says_something(list: &BTreeMap<String, String>) -> bool {
    !list.is_empty()
}

fn mistake(path: Vec<String>, error: &Error) -> AttributeError {
    let mistake = AttributeError::at(path, error.message());
    error.hint().map_or(mistake.clone(), |hint| mistake.help(hint))
}

fn mistake_in_entry(attribute: &str, subject: &str, text: &str, of_mode: Option<Mode>) -> Option<AttributeError> {
    let path = || vec![attribute.to_owned(), subject.to_owned()];
    let who: AclSubject = match subject.parse() {
        Ok(who) => who,
        Err(error) => return Some(mistake(path(), &error)),
    };
    let permissions = match permissions_from_text(text) {
        Ok(permissions) => permissions,
        Err(error) => return Some(mistake(path(), &error)),
    };
    let mode = of_mode?;
    if matches!(who, AclSubject::Owner | AclSubject::Mask | AclSubject::Other) {
        let message = format!("what `{subject}` stands for is in the mode, {mode}");
        return Some(AttributeError::at(path(), message).help("leave it out, and change the mode"));
    }
    // acl(5): no named user or group gets more than the mask, which is what the mode says for the group.
    let mask = (mode.bits() >> 3 & 7) as u8;
    if permissions & !mask != 0 {
        let message = format!("with the mode {mode}, no named user or group gets more than {}", permissions_text(mask));
        let wider = Mode::new(mode.bits() | u32::from(permissions) << 3);
        return Some(AttributeError::at(path(), message).help(format!(
            "say `mode = \"{wider}\"`, and what the group itself gets as `\"group:\" = \"{}\"`",
            permissions_text(mask)
        )));
    }
    None
}

fn acl_of(record: &BTreeMap<String, String>) -> Result<Acl> {
    record.iter().try_fold(Acl::default(), |acl, (subject, permissions)| {
        Ok(acl.with(subject.parse()?, permissions_from_text(permissions)?))
    })
}

/// Names users and groups as the declaration does, where they are the same: `1000` and `deploy` may be one user.
fn in_words_of(declared: &BTreeMap<String, String>, found: &Acl, accounts: &Accounts) -> BTreeMap<String, String> {
    let declared: Vec<AclSubject> = declared.keys().filter_map(|subject| subject.parse().ok()).collect();
    let number_of = |subject: &AclSubject| match subject {
        AclSubject::User(name) => accounts.uid(name),
        AclSubject::Group(name) => accounts.gid(name),
        _ => None,
    };
    let kind = std::mem::discriminant::<AclSubject>;
    let word = |subject: &AclSubject| {
        let number = number_of(subject);
        let same = |other: &&AclSubject| number.is_some() && kind(other) == kind(subject) && number_of(other) == number;
        if let Some(declared) = declared.iter().find(same) {
            return declared.to_string();
        }
        let known = match (subject, number) {
            (AclSubject::User(_), Some(uid)) => accounts.user_name(uid).map(|name| AclSubject::User(name.to_owned())),
            (AclSubject::Group(_), Some(gid)) => {
                accounts.group_name(gid).map(|name| AclSubject::Group(name.to_owned()))
            }
            _ => None,
        };
        known.as_ref().unwrap_or(subject).to_string()
    };
    found.entries().map(|(subject, permissions)| (word(subject), permissions_text(permissions))).collect()
}
