//! Cases: a host, and a declaration to bring about on it.

use std::collections::BTreeMap;

use schemars::schema_for;
use serde_json::Value;

use crate::effect::{Content, Effect, PlatformEffect};
use crate::error::Result;
use crate::graph::Graph;
use crate::id::ResourceId;
use crate::plan::PlanOptions;
use crate::policy::Common;
use crate::resource::{DynResource, DynState, Resource};
use crate::secret::MemorySecrets;
use crate::sim::SimHost;
use crate::site::{Declaration, Site, Spans};
use crate::state::HostKey;
use crate::testing::Failure;

/// How often a law was tried, or why it is broken.
pub(super) type Trial = Result<usize, Failure>;

/// A host, and a declaration to bring about on it.
pub struct Case<R> {
    name: String,
    host: SimHost,
    id: ResourceId,
    want: R,
    sources: BTreeMap<String, Content>,
}

impl<R: Resource> Case<R> {
    /// A case by its name; the host; the name of the resource, and the resource.
    pub fn new(name: &str, host: SimHost, resource: &str, want: R) -> Case<R> {
        let id = ResourceId::new(R::TYPE, resource);
        Case { name: name.to_owned(), host, id, want, sources: BTreeMap::new() }
    }

    /// With a file beside the site that the resource may name as its source.
    #[must_use]
    pub fn source(mut self, path: &str, content: impl Into<Content>) -> Case<R> {
        self.sources.insert(path.to_owned(), content.into());
        self
    }

    pub(super) fn erased(self) -> ErasedCase {
        let Case { name, mut host, id, want, sources } = self;
        host.note_effects();
        let attributes = DynResource::all_attributes(&want).unwrap_or_default();
        ErasedCase { name, host, id, attributes, sources, build: build::<R> }
    }
}

fn build<R: Resource>(attributes: &Value) -> Result<Box<dyn DynResource>, String> {
    match serde_json::from_value::<R>(attributes.clone()) {
        Ok(resource) => Ok(Box::new(resource)),
        Err(error) => Err(error.to_string()),
    }
}

fn revive<R: Resource>(state: &Value) -> Result<DynState, String> {
    serde_json::from_value::<R::State>(state.clone()).map(DynState::new).map_err(|error| error.to_string())
}

/// A case without the type of its resource.
pub(super) struct ErasedCase {
    pub(super) name: String,
    pub(super) host: SimHost,
    pub(super) id: ResourceId,
    pub(super) attributes: Value,
    pub(super) sources: BTreeMap<String, Content>,
    build: fn(&Value) -> Result<Box<dyn DynResource>, String>,
}

/// The cases of a type.
pub(super) struct TypeCases {
    pub(super) cases: Vec<ErasedCase>,
    /// The attributes that can name a secret.
    pub(super) texts: Vec<String>,
    pub(super) build: fn(&Value) -> Result<Box<dyn DynResource>, String>,
    pub(super) revive: fn(&Value) -> Result<DynState, String>,
}

/// The attributes whose schema is that of [`Text`](crate::secret::Text).
fn texts(schema: &Value) -> Vec<String> {
    let is_text = |schema: &Value| schema["x-nickel"] == "Text";
    let properties = schema["properties"].as_object().into_iter().flatten();
    let texts = properties
        .filter(|(_, schema)| is_text(schema) || schema["anyOf"].as_array().into_iter().flatten().any(is_text));
    texts.map(|(name, _)| name.clone()).collect()
}

impl TypeCases {
    pub(super) fn new<R: Resource>() -> TypeCases {
        TypeCases { cases: Vec::new(), texts: texts(schema_for!(R).as_value()), build: build::<R>, revive: revive::<R> }
    }
}

impl ErasedCase {
    /// A host as the case has it, that nothing is known to have been done to.
    pub(super) fn host(&self) -> SimHost {
        self.host.clone()
    }

    /// The same with other attributes.
    pub(super) fn declaring(&self, attributes: Value) -> ErasedCase {
        ErasedCase {
            name: self.name.clone(),
            host: self.host.clone(),
            id: self.id.clone(),
            attributes,
            sources: self.sources.clone(),
            build: self.build,
        }
    }

    pub(super) fn resource(&self) -> Result<Box<dyn DynResource>, Failure> {
        (self.build)(&self.attributes).map_err(|error| {
            Failure::new(format!("a declaration does not survive being written down: {error}")).at(&self.id, None)
        })
    }

    /// Whether packages are installed or removed to bring it about.
    pub(super) fn brings_packages(&self) -> Result<bool, Failure> {
        let graph = self.graph()?;
        let planned = graph.plan(&self.host(), &PlanOptions::default())?;
        let mut effects = planned.plan().steps.iter().flat_map(|step| step.effects.iter());
        Ok(effects.any(|effect| {
            matches!(effect, Effect::Platform(PlatformEffect::Packages(_) | PlatformEffect::RepairPackages))
        }))
    }

    /// The resource alone on a site.
    pub(super) fn graph(&self) -> Result<Graph, Failure> {
        ErasedCase::graph_of(&[self])
    }

    /// Several cases on one site.
    pub(super) fn graph_of(cases: &[&ErasedCase]) -> Result<Graph, Failure> {
        let mut declared = Vec::new();
        let mut sources = BTreeMap::new();
        for case in cases {
            declared.push(Declaration {
                id: case.id.clone(),
                resource: case.resource()?,
                common: Common::default(),
                spans: Spans::default(),
                is_companion: false,
                is_valid: false,
            });
            sources.extend(case.sources.clone());
        }
        let site = Site::of_declarations(declared).with_source_files(sources);
        let mut graph = site.into_graph()?;
        let secrets = MemorySecrets::new([("canary", super::secrets::CANARY)]);
        if graph.names_secrets() {
            graph.resolve_secrets(&secrets, &HostKey::random()?, &[]).map_err(|errors| {
                errors.into_iter().next().map_or_else(|| Failure::new("a secret cannot be read"), Failure::from)
            })?;
        }
        Ok(graph)
    }

    /// The node of the resource in a graph.
    pub(super) fn node<'g>(&self, graph: &'g Graph) -> Result<&'g crate::graph::Node, Failure> {
        let found = graph.nodes.iter().find(|node| node.id == self.id);
        found.ok_or_else(|| Failure::new(format!("{} is not in the graph", self.id)))
    }
}
