//! What two declarations of a site say differently about one thing.

use std::collections::BTreeMap;

use super::{DynResource, Resource, ResourceId};

/// Two declarations that cannot both hold, so that each run would undo what the other one has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// Where the resource itself says so: keys and indices from the resource on; empty for the resource as a whole.
    pub path: Vec<String>,
    /// The other resource.
    pub other: ResourceId,
    /// Where the other resource says so.
    pub other_path: Vec<String>,
    /// What they disagree about, in one line.
    pub message: String,
    /// What would help.
    pub help: String,
}

/// The resources that a site declares and that take part, by type and name.
pub struct Declared<'s> {
    kinds: BTreeMap<&'s str, BTreeMap<&'s str, (&'s ResourceId, &'s dyn DynResource)>>,
}

impl<'s> Declared<'s> {
    pub(crate) fn new(all: impl Iterator<Item = (&'s ResourceId, &'s dyn DynResource)>) -> Declared<'s> {
        let mut kinds: BTreeMap<&str, BTreeMap<&str, _>> = BTreeMap::new();
        for (id, resource) in all {
            kinds.entry(id.kind()).or_default().insert(id.name(), (id, resource));
        }
        Declared { kinds }
    }

    /// The resource of a type with this name.
    pub fn get<R: Resource>(&self, name: &str) -> Option<&'s R> {
        self.kinds.get(R::TYPE)?.get(name)?.1.as_any().downcast_ref()
    }

    /// All resources of a type, in the order of their names.
    pub fn all<R: Resource>(&self) -> impl Iterator<Item = (&'s ResourceId, &'s R)> {
        let of_type = self.kinds.get(R::TYPE).into_iter().flat_map(BTreeMap::values);
        of_type.filter_map(|(id, resource)| Some((*id, resource.as_any().downcast_ref()?)))
    }
}
