//! The resource type `symlink`.

use derive_setters::Setters;
use provision_core::effect::{Access, Effect, Removal};
use provision_core::error::Result;
use provision_core::host::{FileKind, in_the_way, in_words_of, make_parents};
use provision_core::path::{HostPath, Mode};
use provision_core::resource::{
    ApplyContext, AttributeError, CheckContext, Claim, PlanContext, Resource, ResourceId, Target,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access;
use crate::attributes::{Attributes, Declared};
use crate::ensure::Ensure;

/// A symbolic link, named by its absolute path.
///
/// The text of the link is what counts, not where it leads: `../run` and `/run` are different targets, and a target
/// need not exist. A link that leads elsewhere is replaced in one step, so there is always one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(into, strip_option)]
pub struct Symlink {
    /// Whether the link is there.
    pub ensure: Ensure,
    /// Where it leads: an absolute path, or one that starts at the directory of the link. Required if it is present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// User that owns the link itself: a name, or a number in quotes.
    pub owner: String,
    /// Group that owns the link itself: a name, or a number in quotes.
    pub group: String,
    /// Whether a regular file or an empty directory in its place is removed, or a named pipe, a socket or a device, which cannot
    /// be undone. A directory that is not empty is always an error.
    pub force: bool,
    /// Whether missing directories above it are created, for root and with mode 0755.
    pub parents: bool,
}

/// How a link was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ensure", rename_all = "snake_case")]
pub enum SymlinkState {
    /// Nothing is there.
    Absent,
    /// A regular file is in its place, and may be removed.
    File,
    /// An empty directory is in its place, and may be removed.
    EmptyDirectory,
    /// A pipe, a socket or a device is in its place, and may be removed.
    Special {
        /// Which.
        kind: FileKind,
    },
    /// It is there.
    Present {
        /// Where it leads.
        target: String,
        /// User that owns the link itself.
        owner: String,
        /// Group that owns the link itself.
        group: String,
    },
}

impl Default for Symlink {
    fn default() -> Symlink {
        Symlink {
            ensure: Ensure::Present,
            target: None,
            owner: "root".into(),
            group: "root".into(),
            force: false,
            parents: true,
        }
    }
}

impl Symlink {
    /// A link that leads to a target, and otherwise has the defaults.
    pub fn to(target: impl Into<String>) -> Symlink {
        Symlink { target: Some(target.into()), ..Symlink::default() }
    }

    /// A link that is not there.
    pub fn absent() -> Symlink {
        Symlink { ensure: Ensure::Absent, ..Symlink::default() }
    }

    /// The path that the link leads to, taken as text.
    fn destination(&self, id: &ResourceId) -> Option<HostPath> {
        let path = access::path_of(id).ok()?;
        let target = self.target.as_deref()?;
        let base = if target.starts_with('/') { HostPath::root() } else { path.parent()? };
        let mut parts: Vec<&str> = base.as_str().split('/').filter(|part| !part.is_empty()).collect();
        for part in target.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        HostPath::new(&format!("/{}", parts.join("/"))).ok()
    }
}

impl Resource for Symlink {
    const TYPE: &'static str = "symlink";
    type State = SymlinkState;

    fn validate(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut mistakes = access::mistakes(id, Some(&self.owner), Some(&self.group));
        let path = access::path_of(id).ok();
        if path.as_ref().is_some_and(|path| path.parent().is_none()) {
            mistakes.push(AttributeError::new("", "the root directory cannot be a link"));
        }
        let refuse = |message: &str| AttributeError::new("target", message);
        mistakes.extend(match self.target.as_deref() {
            None if self.ensure == Ensure::Present => {
                Some(refuse("a link needs a `target`").help("write `target = \"/where/it/leads\"`"))
            }
            Some("") => Some(refuse("the target is empty")),
            Some(target) if target.contains('\0') => Some(refuse("the target holds a NUL byte")),
            Some(target) if target.len() > 4095 => Some(refuse("the target is longer than a path can be")),
            _ => None,
        });
        if let (Some(path), Some(destination)) = (path, self.destination(id))
            && path.parent().is_some()
            && destination.is_within(&path)
        {
            mistakes.push(refuse("the link would lead to itself"));
        }
        mistakes
    }

    fn claims(&self, id: &ResourceId) -> Vec<Claim> {
        if self.ensure == Ensure::Absent {
            return access::claims(id, None, None);
        }
        let mut claims = access::claims(id, Some(&self.owner), Some(&self.group));
        claims.extend(self.destination(id).map(|path| Claim::needs(Target::Path(path))));
        claims
    }

    fn check(&self, cx: &CheckContext<'_>) -> Result<SymlinkState> {
        let host = cx.host();
        let path = access::path_of(cx.id())?;
        let Some(found) = host.metadata(&path)? else { return Ok(SymlinkState::Absent) };
        let hint = "set `force = true` to remove it, or choose another path";
        match found.kind {
            FileKind::Symlink => {
                let target = host.read_link(&path)?.unwrap_or_default();
                let Access { owner, group, .. } =
                    in_words_of(host, Some(&self.owner), Some(&self.group), found.access)?;
                Ok(SymlinkState::Present { target, owner, group })
            }
            FileKind::File if self.force => Ok(SymlinkState::File),
            FileKind::File => Err(in_the_way(&path, "a file", hint)),
            FileKind::Directory if host.list(&path)?.is_some_and(|names| !names.is_empty()) => {
                let hint = "a directory with something in it is never removed; move it away";
                Err(in_the_way(&path, "a directory that is not empty", hint))
            }
            FileKind::Directory if self.force => Ok(SymlinkState::EmptyDirectory),
            FileKind::Directory => Err(in_the_way(&path, "an empty directory", hint)),
            kind if self.force => Ok(SymlinkState::Special { kind }),
            kind => Err(in_the_way(&path, kind.noun(), hint)),
        }
    }

    fn plan(&self, _: &PlanContext<'_>, _: &SymlinkState) -> Result<SymlinkState> {
        Ok(match self.ensure {
            Ensure::Absent => SymlinkState::Absent,
            Ensure::Present => SymlinkState::Present {
                target: self.target.clone().unwrap_or_default(),
                owner: self.owner.clone(),
                group: self.group.clone(),
            },
        })
    }

    fn apply(&self, cx: &ApplyContext<'_>, now: &SymlinkState, want: &SymlinkState) -> Result<()> {
        let host = cx.host();
        let path = access::path_of(cx.id())?;
        let makes_way = match now {
            SymlinkState::EmptyDirectory => Some(Removal::EmptyDirectory),
            SymlinkState::Special { .. } => Some(Removal::Special),
            _ => None,
        };
        if let Some(what) = makes_way {
            host.perform(&Effect::Remove { path: path.clone(), what })?;
        }
        let SymlinkState::Present { target, owner, group } = want else {
            return match makes_way {
                Some(_) => Ok(()),
                None => host.perform(&Effect::Remove { path, what: Removal::File }),
            };
        };
        match now {
            SymlinkState::Present { target: before, owner: old_owner, group: old_group } if before == target => {
                let access = |owner: &String, group: &String| Access {
                    owner: owner.clone(),
                    group: group.clone(),
                    mode: Mode::new(0o777),
                };
                let none = Attributes::default();
                let (now, want) = (access(old_owner, old_group), access(owner, group));
                return access::change(host, &path, (&now, &none), (&want, &none), Declared::default());
            }
            SymlinkState::Absent => make_parents(host, &path, self.parents)?,
            _ => {}
        }
        let (target, owner, group) = (target.clone(), owner.clone(), group.clone());
        host.perform(&Effect::CreateSymlink { path, target, owner, group })
    }
}

#[cfg(test)]
mod tests;
