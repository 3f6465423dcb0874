//! A site around a resource, for the tests of types that look around in it.

use std::collections::BTreeMap;

use provision_core::effect::{Content, Effect};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::path::HostPath;
use provision_core::resource::{AttributeError, Resource, ResourceId, Source, Surroundings};
use provision_core::sim::SimHost;

use crate::converging::attempt;

/// A site around a resource.
#[derive(Default)]
pub(crate) struct Site {
    pub(crate) declared: Vec<&'static str>,
    pub(crate) sources: BTreeMap<&'static str, Content>,
}

impl Surroundings for Site {
    fn source(&self, path: &str) -> Result<Source> {
        self.sources
            .get(path)
            .cloned()
            .map(Source::from)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no {path}")))
    }
    fn declared_within(&self, directory: &HostPath) -> Vec<HostPath> {
        let mut paths: Vec<HostPath> = self.declared.iter().map(|path| HostPath::new(path).unwrap()).collect();
        paths.retain(|path| path.is_within(directory));
        paths.sort();
        paths
    }
}

/// Brings a resource about, alone on its site.
pub(crate) fn converge<R: Resource>(host: &SimHost, name: &str, resource: R) -> Result<Vec<Effect>> {
    converge_in(host, name, resource, &Site::default())
}

/// Brings a resource about, holds it to the laws, and gives the effects that it took.
pub(crate) fn converge_in<R: Resource>(host: &SimHost, name: &str, resource: R, site: &Site) -> Result<Vec<Effect>> {
    let id = ResourceId::new(R::TYPE, name);
    assert_eq!(resource.validate(&id), []);
    let json = serde_json::to_value(&resource).unwrap();
    let mut resource: R = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&resource).unwrap(), json, "a declaration survives JSON");
    resource.prepare(&id, site).map_err(|mistake| Error::new(ErrorKind::Invalid, mistake.message))?;
    attempt(host, &resource, &id).map(|done| done.effects)
}

/// The effects in words.
pub(crate) fn in_words(effects: &[Effect]) -> Vec<String> {
    effects.iter().map(ToString::to_string).collect()
}

/// What is wrong with a declaration, in words.
pub(crate) fn mistakes<R: Resource>(name: &str, resource: &R) -> Vec<String> {
    resource.validate(&ResourceId::new(R::TYPE, name)).iter().map(in_a_line).collect()
}

fn in_a_line(mistake: &AttributeError) -> String {
    format!("{}: {}", mistake.path.join("."), mistake.message)
}
