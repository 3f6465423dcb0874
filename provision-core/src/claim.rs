//! [`Claim`]: what a resource owns or needs on a host.

use std::fmt;

use crate::path::HostPath;

/// Something on a host that a resource owns or needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim {
    /// What it is.
    pub target: Target,
    /// Whether it is owned or needed.
    pub hold: Hold,
}

/// Something on a host that can be claimed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Target {
    /// A path.
    Path(HostPath),
    /// A unit, by its full name.
    Unit(String),
    /// A package, by `name` or `name:architecture`.
    Package(String),
    /// A user.
    User(String),
    /// A group.
    Group(String),
    /// The number of a user.
    Uid(u32),
    /// The number of a group.
    Gid(u32),
    /// Anything else, such as `("sysctl key", "vm.swappiness")`.
    Other(&'static str, String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Path(path) => write!(f, "path {path}"),
            Target::Unit(name) => write!(f, "unit {name}"),
            Target::Package(name) => write!(f, "package {name}"),
            Target::User(name) => write!(f, "user {name}"),
            Target::Group(name) => write!(f, "group {name}"),
            Target::Uid(uid) => write!(f, "uid {uid}"),
            Target::Gid(gid) => write!(f, "gid {gid}"),
            Target::Other(kind, name) => write!(f, "{kind} {name}"),
        }
    }
}

/// How a resource relates to what it claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Hold {
    /// It decides about it; no other resource may.
    Owns,
    /// It takes it away, after all that needed it; no other resource may decide about it.
    Removes,
    /// It comes after the resource that owns it.
    Needs,
    /// It comes after every resource that owns it, or a path beneath it.
    NeedsWithin,
    /// It comes before the resource that owns it.
    Precedes,
    /// It judges what all that own it, or a path beneath it, are about to change, before any of them changes anything.
    Judges,
}

impl Claim {
    /// The resource decides about this target; no other may.
    pub fn owns(target: Target) -> Claim {
        Claim { target, hold: Hold::Owns }
    }

    /// The resource takes this target away; whatever needs it, or lies beneath it, comes first.
    pub fn removes(target: Target) -> Claim {
        Claim { target, hold: Hold::Removes }
    }

    /// The resource comes after the one that owns this target, if one does.
    pub fn needs(target: Target) -> Claim {
        Claim { target, hold: Hold::Needs }
    }

    /// The resource comes after all that own this path or one beneath it.
    pub fn needs_within(path: HostPath) -> Claim {
        Claim { target: Target::Path(path), hold: Hold::NeedsWithin }
    }

    /// The resource judges what is about to change at this path or beneath it; see `Resource::judge`.
    pub fn judges(path: HostPath) -> Claim {
        Claim { target: Target::Path(path), hold: Hold::Judges }
    }

    /// The resource comes before the one that owns this target, if one does.
    pub fn precedes(target: Target) -> Claim {
        Claim { target, hold: Hold::Precedes }
    }
}
