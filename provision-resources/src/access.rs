//! What `file`, `directory` and `symlink` have in common: a path for a name, an owner, a group and a mode.

use provision_core::effect::{Access, Effect};
use provision_core::error::Result;
use provision_core::host::{FileKind, FileMetadata, Host, HostView};
use provision_core::path::{HostPath, Mode};
use provision_core::resource::{AttributeError, Claim, ResourceId, Target};

use crate::attributes::{Attributes, Declared};
use crate::links;

/// What is managed of owner, group and mode; what is unset is left as it is.
#[derive(Clone, Copy)]
pub(crate) struct Managed<'a> {
    pub(crate) owner: Option<&'a str>,
    pub(crate) group: Option<&'a str>,
    pub(crate) mode: Option<Mode>,
}

impl Managed<'_> {
    /// Owner, group and mode of what was found like this, once what is managed has its value.
    ///
    /// A file that gets another owner or group without a mode loses the set-user-id and set-group-id bits, as with chown(2):
    /// they were set for another account.
    pub(crate) fn of_found(&self, found: &Access, kind: FileKind) -> Access {
        let owner = self.owner.unwrap_or(&found.owner).to_owned();
        let group = self.group.unwrap_or(&found.group).to_owned();
        let is_given_away = kind == FileKind::File && (owner != found.owner || group != found.group);
        let kept = Mode::new(found.mode.bits() & if is_given_away { 0o1777 } else { 0o7777 });
        Access { owner, group, mode: self.mode.unwrap_or(kept) }
    }

    /// Owner, group and mode of something new.
    pub(crate) fn of_new(&self, group: &NewGroup, mode: u32) -> Access {
        Access {
            owner: self.owner.unwrap_or("root").to_owned(),
            group: self.group.or(group.0.as_deref()).unwrap_or("root").to_owned(),
            mode: self.mode.unwrap_or(Mode::new(mode)),
        }
    }
}

/// The group that something new gets if none is declared: that of the directory if that is set-group-id, otherwise root's.
///
/// It says nothing of what was found in the place, so it is neither shown nor compared.
#[derive(Clone, Debug, Default)]
pub struct NewGroup(Option<String>);

impl NewGroup {
    /// The group of something new at a path.
    pub(crate) fn at(path: &HostPath, host: &dyn HostView) -> Result<NewGroup> {
        let Some(parent) = path.parent() else { return Ok(NewGroup::default()) };
        let mut found = host.metadata(&parent)?;
        if found.as_ref().is_some_and(|found| found.kind == FileKind::Symlink) {
            // A link that must not be followed is refused when something is written behind it.
            found = links::real_path(&parent, host).map_or(Ok(None), |real| host.metadata(&real))?;
        }
        let gives = |found: &FileMetadata| found.kind == FileKind::Directory && found.access.mode.bits() & 0o2000 != 0;
        Ok(NewGroup(found.filter(gives).map(|found| found.access.group)))
    }
}

impl PartialEq for NewGroup {
    fn eq(&self, _: &NewGroup) -> bool {
        true
    }
}

/// The path that a resource is named by.
pub(crate) fn path_of(id: &ResourceId) -> Result<HostPath> {
    HostPath::new(id.name())
}

/// What is wrong with the name and the accounts of a resource that is named by its path.
pub(crate) fn mistakes(id: &ResourceId, owner: Option<&str>, group: Option<&str>) -> Vec<AttributeError> {
    let mut mistakes = Vec::new();
    if let Err(error) = path_of(id) {
        let message = format!("a {} is named by its absolute path, and {}", id.kind(), error.message());
        let help = format!("write `{}.\"/etc/example\"`", id.kind());
        mistakes.push(AttributeError::new("", message).help(help));
    }
    for (attribute, what, name) in [("owner", "user", owner), ("group", "group", group)] {
        let Some(name) = name else { continue };
        // chown(2) takes the highest number for "leave it as it is".
        let number = name.bytes().all(|digit| digit.is_ascii_digit());
        let usable = match number {
            true => name.parse().is_ok_and(|number: u32| number != u32::MAX),
            false => !name.starts_with('-') && !name.contains([':', '/', ',']) && !name.contains(char::is_whitespace),
        };
        if !usable || name.contains(char::is_control) {
            mistakes.push(
                AttributeError::new(attribute, format!("{name:?} is not the name of a {what}"))
                    .help(format!("a name such as \"root\", or a number in quotes such as \"1000\" for a {what}")),
            );
        }
    }
    mistakes
}

/// What such a resource claims: the path, and the accounts that it names.
///
/// The directories above are not claimed: the engine knows by itself that a path comes after them.
pub(crate) fn claims(id: &ResourceId, owner: Option<&str>, group: Option<&str>) -> Vec<Claim> {
    let mut claims: Vec<Claim> = path_of(id).map(|path| Claim::owns(Target::Path(path))).into_iter().collect();
    let named = |name: &&str| needs_account(name);
    claims.extend(owner.filter(named).map(|owner| Claim::needs(Target::User(owner.to_owned()))));
    claims.extend(group.filter(named).map(|group| Claim::needs(Target::Group(group.to_owned()))));
    claims
}

/// Whether an account must be there for what names it: a number needs no name, and root is always there.
pub(crate) fn needs_account(name: &str) -> bool {
    name != "root" && !name.bytes().all(|digit| digit.is_ascii_digit())
}

/// Whether programs that read a file take a word for the name or the number of an account.
pub(crate) fn is_account(word: &str) -> bool {
    !word.is_empty()
        && !word.starts_with('-')
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-$".contains(&byte))
}

/// Changes what differs of owner, group, mode and attributes, and nothing else.
pub(crate) fn change(
    host: &dyn Host,
    path: &HostPath,
    (now, attributes_now): (&Access, &Attributes),
    (want, attributes): (&Access, &Attributes),
    declared: Declared<'_>,
) -> Result<()> {
    let (owner, group, mode) = now.to_set_for(want);
    if owner.is_some() || group.is_some() || mode.is_some() || attributes_now != attributes {
        let attributes = declared.changes(Some((attributes_now, now.mode)), (attributes, want.mode))?;
        host.perform(&Effect::SetMetadata { path: path.clone(), owner, group, mode, attributes })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use provision_core::host::{HostViewExt, in_words_of};
    use provision_core::sim::SimHost;

    #[test]
    fn numbers_and_names_of_one_user_are_the_same() {
        let host = SimHost::debian(12).with_user("deploy");
        let uid = host.user("deploy").unwrap().unwrap().uid.to_string();
        let access = |owner: &str, group: &str| Access { owner: owner.into(), group: group.into(), mode: Mode::new(0) };
        let said =
            |declared: (&str, &str), found| in_words_of(&host, Some(declared.0), Some(declared.1), found).unwrap();
        assert_eq!(said((&uid, "0"), access("deploy", "root")), access(&uid, "0"));
        assert_eq!(said(("deploy", "root"), access(&uid, "0")), access("deploy", "root"));
        assert_eq!(said(("ghost", "77777"), access("root", "77777")), access("root", "77777"));
    }

    #[test]
    fn names_that_cannot_be_are_found() {
        let id = ResourceId::new("file", "etc/motd");
        let found = mistakes(&id, Some(""), Some("a:b"));
        let messages: Vec<&str> = found.iter().map(|mistake| mistake.message.as_str()).collect();
        insta::assert_debug_snapshot!(messages, @r#"
        [
            "a file is named by its absolute path, and \"etc/motd\" is not an absolute path",
            "\"\" is not the name of a user",
            "\"a:b\" is not the name of a group",
        ]
        "#);
        let file = ResourceId::new("file", "/etc/motd");
        assert!(mistakes(&file, Some("_apt"), Some("1000")).is_empty());
        assert_eq!(mistakes(&file, Some("4294967295"), Some("99999999999")).len(), 2);
    }

    #[test]
    fn only_names_are_claimed() {
        let id = ResourceId::new("file", "/etc/motd");
        let targets = |owner: &str, group: &str| {
            claims(&id, Some(owner), Some(group)).iter().map(|claim| claim.target.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(targets("root", "1000"), ["path /etc/motd"]);
        assert_eq!(targets("deploy", "www-data"), ["path /etc/motd", "user deploy", "group www-data"]);
    }
}
