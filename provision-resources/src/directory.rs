//! The resource type `directory`.

mod guard;
mod survey;

use std::collections::BTreeMap;

use derive_setters::Setters;
use provision_core::effect::{Access, AttributeChanges, Effect, Removal};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{FileKind, HostView, in_the_way, in_words_of, make_parents, retire_unit_of};
use provision_core::path::{HostPath, Mode};
use provision_core::resource::{
    ApplyContext, AttributeError, CheckContext, Claim, PlanContext, Resource, ResourceId, Surroundings,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{self, Managed, NewGroup};
use crate::attributes::{Attributes, Declared};
use crate::ensure::Ensure;
use crate::links::{self, Links};
use survey::Survey;

/// The mode of a new directory.
const NEW: u32 = 0o755;

/// A directory, named by its absolute path.
///
/// Anything else in its place is an error, and so is a symbolic link that leads to a directory, unless `links` says
/// otherwise.
///
/// Owner, group and mode that are unset are kept from the directory that is there. A new one gets `root`, the group of a
/// set-group-id directory around it or else `root`, and 0755. See `docs/unset-attributes.md`.
///
/// `recurse` and `purge` look at everything beneath it. What other resources of the site declare is left to them, with
/// all that lies beneath it; so is a directory that was only made on the way to such a path. Links are never followed,
/// and a declared path is recognised only as it is written, not through a link.
///
/// What lies beneath keeps its access control lists, so the group bits of a mode are the mask of a list where there is
/// one. Do not let `recurse` work where users may
/// create hard links to files that are not theirs (Debian's `fs.protected_hardlinks` keeps them from it).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct Directory {
    /// Whether the directory is there. Only an empty one is removed, unless `recurse` is set.
    pub ensure: Ensure,
    /// User that owns it: a name, or a number in quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Group that owns it: a name, or a number in quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Permission bits; 0755 if they are unset and `acl` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The access control list, beyond what the mode says: who may do what, as `{ "user:deploy" = "rw-" }`; also
    /// `"group:adm"`, and `"group:"` for the directory's own group where it gets less than the mode shows. The group bits of
    /// the mode are the most that anybody named gets. `{}` for no list; what is there is kept if this is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<BTreeMap<String, String>>,
    /// The list that new files and directories in it get, as `{ "group:adm" = "rwx" }`; what is left out of `user:`,
    /// `group:`, `other:` is as the mode has it, and `mask:` lets all of it through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_acl: Option<BTreeMap<String, String>>,
    /// Flags of chattr(1), `true` or `false`: `immutable`, `append_only`, `no_dump`, `no_atime`, `sync`,
    /// `sync_directory`. Others are kept. An immutable directory is changed only if `immutable` is named here; the flag is lifted
    /// for the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<BTreeMap<String, bool>>,
    /// What is done if a symbolic link is in the place: it is an error, what it leads to is meant, or it is replaced.
    pub links: Links,
    /// Whether those of owner, group and mode that are declared apply to everything beneath it. Files get the mode
    /// without its execute bits unless they have such a bit already, and never its set-user-id, set-group-id and sticky
    /// bits. What is mounted beneath is not entered. With `ensure = 'absent` the directory is
    /// removed with all that is in it.
    pub recurse: bool,
    /// Whether everything beneath it is removed that the site does not declare. Files that belong to an installed
    /// package stay. Something mounted beneath is an error. Refused for directories of the system, such as `/etc`.
    pub purge: bool,
    /// Whether missing directories above it are created, for root and with mode 0755.
    pub parents: bool,
    /// The paths beneath that the site declares, as `prepare` found them; not an attribute.
    #[doc(hidden)]
    #[serde(skip)]
    #[setters(skip)]
    pub declared: Option<Vec<HostPath>>,
}

/// How a directory was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ensure", rename_all = "snake_case")]
pub enum DirectoryState {
    /// Nothing is there.
    Absent {
        /// The group of a new directory.
        #[serde(skip)]
        new: NewGroup,
    },
    /// A symbolic link is in its place.
    Symlink {
        /// Where it leads.
        target: String,
        /// The group of a new directory.
        #[serde(skip)]
        new: NewGroup,
    },
    /// It is there.
    Present {
        /// Owner, group and mode.
        #[serde(flatten)]
        access: Access,
        /// What is declared beside them.
        #[serde(flatten)]
        attributes: Attributes,
        /// What lies beneath and has another owner, group or mode than it should.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        differing: BTreeMap<HostPath, Difference>,
        /// What lies beneath and should not be there.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        unwanted: BTreeMap<HostPath, FileKind>,
    },
}

/// What is otherwise than it should be, as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What it is.
    pub kind: FileKind,
    /// Its owner, if that should be another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Its group, if that should be another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its mode, if that should be another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}

impl Default for Directory {
    fn default() -> Directory {
        Directory {
            ensure: Ensure::Present,
            owner: None,
            group: None,
            mode: None,
            acl: None,
            default_acl: None,
            flags: None,
            links: Links::Refuse,
            recurse: false,
            purge: false,
            parents: true,
            declared: None,
        }
    }
}

impl Directory {
    /// A directory of a user and a group, which otherwise has the defaults.
    pub fn owned_by(owner: impl Into<String>, group: impl Into<String>) -> Directory {
        Directory { owner: Some(owner.into()), group: Some(group.into()), ..Directory::default() }
    }

    /// A directory that is not there.
    pub fn absent() -> Directory {
        Directory { ensure: Ensure::Absent, ..Directory::default() }
    }

    /// What it has beside owner, group and mode.
    fn declared_attributes(&self) -> Declared<'_> {
        let Directory { acl, default_acl, flags, .. } = self;
        let (acl, default_acl, flags) = (acl.as_ref(), default_acl.as_ref(), flags.as_ref());
        Declared { acl, default_acl, flags, ..Declared::default() }
    }

    /// What is managed of owner, group and mode of the directory itself. A list means something beside a mode only.
    fn managed(&self) -> Managed<'_> {
        let mode = self.mode.or(self.acl.as_ref().map(|_| Mode::new(NEW)));
        Managed { owner: self.owner.as_deref(), group: self.group.as_deref(), mode }
    }

    /// The group of a new directory at a path, if there will be one and it is unset.
    fn new_group(&self, path: &HostPath, host: &dyn HostView) -> Result<NewGroup> {
        match self.ensure {
            Ensure::Present if self.group.is_none() => NewGroup::at(path, host),
            _ => Ok(NewGroup::default()),
        }
    }

    /// The mode of something beneath: execute bits only where there are some, as with `X` of chmod(1).
    fn mode_beneath(&self, kind: FileKind, found: Mode) -> Mode {
        match (self.mode, kind) {
            (None, _) | (_, FileKind::Symlink) => found,
            (Some(mode), FileKind::Directory) => mode,
            (Some(mode), _) if found.bits() & 0o111 != 0 => Mode::new(mode.bits() & 0o777),
            (Some(mode), _) => Mode::new(mode.bits() & 0o666),
        }
    }
}

impl Resource for Directory {
    const TYPE: &'static str = "directory";
    type State = DirectoryState;

    fn validate(&self, id: &ResourceId) -> Vec<AttributeError> {
        let Managed { owner, group, mode } = self.managed();
        let mut mistakes = access::mistakes(id, owner, group);
        mistakes.extend(self.declared_attributes().mistakes(mode.unwrap_or(Mode::new(NEW))));
        for (attribute, set) in [("recurse", self.recurse), ("purge", self.purge)] {
            if set && self.links == Links::Follow {
                let message = format!("`{attribute}` would not know what else is declared behind a link");
                mistakes
                    .push(AttributeError::new(attribute, message).help("name the directory that the link leads to"));
            }
        }
        if self.ensure == Ensure::Absent && self.purge {
            mistakes.push(
                AttributeError::new("purge", "a directory that is absent has nothing to purge")
                    .help("set `recurse = true` to remove a directory with all that is in it"),
            );
        }
        if self.ensure == Ensure::Present && self.recurse && owner.is_none() && group.is_none() && self.mode.is_none() {
            mistakes.push(
                AttributeError::new("recurse", "without an owner, a group or a mode there is nothing to recurse with")
                    .help("declare those of `owner`, `group` and `mode` that everything beneath shall have"),
            );
        }
        let Ok(path) = access::path_of(id) else { return mistakes };
        let refuse = |attribute, what| {
            AttributeError::new(attribute, format!("{path} is a directory of the system, which is never {what}"))
                .help("name a directory further down")
        };
        match self.ensure {
            Ensure::Absent if guard::is_of_the_system(&path) => mistakes.push(refuse("ensure", "removed")),
            Ensure::Present if self.purge && guard::is_of_the_system(&path) => {
                mistakes.push(refuse("purge", "purged"));
            }
            _ => {}
        }
        if self.ensure == Ensure::Present && self.recurse && guard::has_many_owners(&path) {
            mistakes.push(refuse("recurse", "given to one owner with all that is in it"));
        }
        mistakes
    }

    fn claims(&self, id: &ResourceId) -> Vec<Claim> {
        let present = self.ensure == Ensure::Present;
        let Managed { owner, group, .. } = self.managed();
        let mut claims = access::claims(id, owner.filter(|_| present), group.filter(|_| present));
        claims.extend(self.declared_attributes().claims().into_iter().filter(|_| present));
        claims
    }

    fn prepare(&mut self, id: &ResourceId, surroundings: &dyn Surroundings) -> Result<(), AttributeError> {
        let invalid = |error: Error| AttributeError::new("", error.message());
        let path = access::path_of(id).map_err(invalid)?;
        let mut beneath = surroundings.declared_within(&path);
        beneath.retain(|declared| *declared != path);
        beneath.sort_unstable();
        let locked = |flag: &&str| self.flags.as_ref().is_some_and(|flags| flags.get(*flag) == Some(&true));
        let lock = ["immutable", "append_only"].iter().find(|flag| locked(flag));
        let within = beneath.iter().find(|declared| declared.parent().as_ref() == Some(&path));
        if let (Some(flag), Some(declared), Ensure::Present) = (lock, within, self.ensure) {
            let message = format!("nothing in {path} can be changed if it is so, and the site declares {declared}");
            return Err(AttributeError::at(vec!["flags".into(), (*flag).into()], message)
                .help("set the flag on the files in it, or leave one of the two out"));
        }
        match beneath.first() {
            Some(declared) if self.ensure == Ensure::Absent && self.recurse => {
                return Err(AttributeError::new("recurse", format!("{path} cannot be removed with all that is in it"))
                    .help(format!("the site declares {declared} beneath it; leave one of the two out")));
            }
            _ => self.declared = Some(beneath),
        }
        Ok(())
    }

    fn check(&self, cx: &CheckContext<'_>) -> Result<DirectoryState> {
        let host = cx.host();
        let path = self.links.place(cx.id(), host)?;
        let Some(found) = host.metadata(&path)? else {
            return Ok(DirectoryState::Absent { new: self.new_group(&path, host)? });
        };
        match found.kind {
            FileKind::Directory => {}
            FileKind::Symlink if self.links == Links::Replace => {
                let target = host.read_link(&path)?.unwrap_or_default();
                return Ok(DirectoryState::Symlink { target, new: self.new_group(&path, host)? });
            }
            FileKind::Symlink => {
                return Err(links::refused(&path, host)?);
            }
            kind => return Err(in_the_way(&path, kind.noun(), "remove it, or choose another path")),
        }
        let Survey { differing, unwanted, .. } = Survey::of(self, &path, found.mount, host)?;
        let above = path.parent().map(|parent| host.metadata(&parent)).transpose()?.flatten();
        if self.ensure == Ensure::Absent && above.is_some_and(|above| above.mount != found.mount) {
            return Err(
                Error::new(ErrorKind::Refused, format!("something is mounted on {path}")).with_hint("unmount it first")
            );
        }
        if self.ensure == Ensure::Absent && !self.recurse && host.list(&path)?.is_some_and(|names| !names.is_empty()) {
            return Err(Error::new(ErrorKind::Conflict, format!("the directory {path} is not empty"))
                .with_hint("set `recurse = true` to remove it with all that is in it"));
        }
        let attributes = self.declared_attributes().look(host, &path, found.access.mode)?;
        let Managed { owner, group, .. } = self.managed();
        let access = in_words_of(host, owner, group, found.access)?;
        Ok(DirectoryState::Present { access, attributes, differing, unwanted })
    }

    fn plan(&self, _: &PlanContext<'_>, now: &DirectoryState) -> Result<DirectoryState> {
        if self.ensure == Ensure::Absent {
            return Ok(DirectoryState::Absent { new: NewGroup::default() });
        }
        let access = match now {
            DirectoryState::Present { access, .. } => self.managed().of_found(access, FileKind::Directory),
            DirectoryState::Absent { new } | DirectoryState::Symlink { new, .. } => self.managed().of_new(new, NEW),
        };
        let attributes = self.declared_attributes().wanted(access.mode)?;
        Ok(DirectoryState::Present { access, attributes, differing: BTreeMap::new(), unwanted: BTreeMap::new() })
    }

    fn apply(&self, cx: &ApplyContext<'_>, now: &DirectoryState, want: &DirectoryState) -> Result<()> {
        let host = cx.host();
        let path = self.links.place(cx.id(), host)?;
        let declared = self.declared_attributes();
        let DirectoryState::Present { access, attributes, .. } = want else {
            if let DirectoryState::Present { attributes: found, .. } = now {
                declared.unlock(host, &path, found)?;
            }
            let what = match now {
                DirectoryState::Symlink { .. } => Removal::File,
                _ if self.recurse => Removal::Tree,
                _ => Removal::EmptyDirectory,
            };
            return host.perform(&Effect::Remove { path, what });
        };
        let DirectoryState::Present { access: found, attributes: had, differing, unwanted } = now else {
            match now {
                DirectoryState::Symlink { .. } => {
                    host.perform(&Effect::Remove { path: path.clone(), what: Removal::File })?;
                }
                _ => make_parents(host, &path, self.parents)?,
            }
            let attributes = declared.changes(None, (attributes, access.mode))?;
            return host.perform(&Effect::CreateDirectory { path, access: access.clone(), attributes });
        };
        access::change(host, &path, (found, had), (access, attributes), declared)?;
        // From the last to the first: a directory comes after all that is in it. Each is named, and a directory goes only
        // if it is empty, so that nothing is removed that the plan did not show.
        for (path, kind) in unwanted.iter().rev() {
            let what = match kind {
                FileKind::Directory => Removal::EmptyDirectory,
                kind if kind.is_special() => Removal::Special,
                _ => Removal::File,
            };
            retire_unit_of(path, host)?;
            host.perform(&Effect::Remove { path: path.clone(), what })?;
        }
        for (path, found) in differing {
            host.perform(&Effect::SetMetadata {
                path: path.clone(),
                owner: found.owner.as_ref().and_then(|_| self.owner.clone()),
                group: found.group.as_ref().and_then(|_| self.group.clone()),
                mode: found.mode.map(|mode| self.mode_beneath(found.kind, mode)),
                attributes: AttributeChanges::default(),
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
