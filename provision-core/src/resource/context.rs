//! What a resource is given to work with: its identity, and the host that it is on.

use std::fmt;

use crate::host::{Host, HostView};
use crate::id::ResourceId;

/// What [`check`](super::Resource::check) is given: the host, for reading.
#[derive(Clone, Copy)]
pub struct CheckContext<'c> {
    id: &'c ResourceId,
    host: &'c dyn HostView,
}

impl<'c> CheckContext<'c> {
    /// The context of a resource on a host.
    pub fn new(id: &'c ResourceId, host: &'c dyn HostView) -> CheckContext<'c> {
        CheckContext { id, host }
    }

    /// The identity of the resource.
    pub fn id(&self) -> &'c ResourceId {
        self.id
    }

    /// The host, which can be read and not changed.
    pub fn host(&self) -> &'c dyn HostView {
        self.host
    }
}

/// What [`plan`](super::Resource::plan) is given. It knows no host: what it needs to know of one is in the state.
#[derive(Clone, Copy)]
pub struct PlanContext<'c> {
    id: &'c ResourceId,
}

impl<'c> PlanContext<'c> {
    /// The context of a resource.
    pub fn new(id: &'c ResourceId) -> PlanContext<'c> {
        PlanContext { id }
    }

    /// The identity of the resource.
    pub fn id(&self) -> &'c ResourceId {
        self.id
    }
}

/// What [`apply`](super::Resource::apply) and [`react`](super::Resource::react) are given: the host, to be changed by effects. It is a
/// model while planning.
#[derive(Clone, Copy)]
pub struct ApplyContext<'c> {
    id: &'c ResourceId,
    host: &'c dyn Host,
}

impl<'c> ApplyContext<'c> {
    /// The context of a resource on a host.
    pub fn new(id: &'c ResourceId, host: &'c dyn Host) -> ApplyContext<'c> {
        ApplyContext { id, host }
    }

    /// The identity of the resource.
    pub fn id(&self) -> &'c ResourceId {
        self.id
    }

    /// The host, which changes by nothing but effects.
    pub fn host(&self) -> &'c dyn Host {
        self.host
    }
}

impl fmt::Debug for CheckContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckContext({})", self.id)
    }
}

impl fmt::Debug for PlanContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlanContext({})", self.id)
    }
}

impl fmt::Debug for ApplyContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApplyContext({})", self.id)
    }
}
