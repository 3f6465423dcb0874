//! The resource type `trigger`.

use derive_setters::Setters;
use provision_core::effect::{Command, Effect, Rebuild};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::fragment::file_in;
use provision_core::host::{FileKind, HostExt, HostView, digest_of_sources, make_parents, products_are_younger};
use provision_core::path::HostPath;
use provision_core::resource::{
    ApplyContext, AttributeError, CheckContext, Claim, Contradiction, Declared, PlanContext, Resource, ResourceId,
    Stage, Target,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command_line::CommandLine;

/// Where it is kept what products were made from.
const STAMPS: &str = "/var/lib/provision/triggers";

/// Files that a command makes out of others: the command runs once, after all that changes its sources, and again only when they
/// have changed or a product is gone.
///
/// Whatever changed the sources, and whenever: what a run that died had still to do, the next one does, and a command that fails is
/// run again. A product that is missing is made again, and another command makes its products anew. A source that is a link means what
/// it leads to as well. On a host where the command never ran under this resource, times decide, as with make(1): if no source is
/// younger than a product, it is only written down what the products were made from. Where that cannot be known, because there are no
/// products, or one lies in a directory that is a source, the command runs once. A product is put back by a rollback as it was.
///
/// ```nickel
/// trigger.virtual = {
///   command = "postmap /etc/postfix/virtual",
///   sources = ["/etc/postfix/virtual"],
///   products = ["/etc/postfix/virtual.db"],
/// },
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(into, strip_option)]
pub struct Trigger {
    /// The command that makes the products; it runs without a shell.
    pub command: CommandLine,
    /// The files and directories that it reads. A resource that decides about one of them, or about something below it, comes
    /// first.
    pub sources: Vec<HostPath>,
    /// The files that it makes; they are no sources, also where they lie in a directory that is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub products: Vec<HostPath>,
}

/// How derived files were found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerState {
    /// Whether the products were made from the sources as they are.
    pub products: Products,
    /// The products that are not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<HostPath>,
}

/// Whether products were made from the sources as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Products {
    /// They were.
    Current,
    /// They are younger than the sources, and it is not written down yet what they were made from.
    Unrecorded,
    /// They were not, or it is not known.
    Outdated,
}

impl Trigger {
    /// What a command makes of sources.
    pub fn new(command: impl Into<CommandLine>, sources: impl Into<Vec<HostPath>>) -> Trigger {
        Trigger { command: command.into(), sources: sources.into(), products: Vec::new() }
    }

    fn stamp(id: &ResourceId) -> Result<HostPath> {
        file_in(STAMPS, id.name())
    }

    fn rebuild(&self, id: &ResourceId) -> Result<Rebuild> {
        let words = self.command.words("command").map_err(|mistake| Error::new(ErrorKind::Invalid, mistake.message))?;
        let (sources, products) = (self.sources.clone(), self.products.clone());
        Ok(Rebuild { command: Command::new(words), sources, products, stamp: Some(Trigger::stamp(id)?) })
    }

    fn makes_a_source_of(&self, other: &Trigger) -> bool {
        let is_source = |product: &HostPath| other.sources.iter().any(|source| product.is_within(source));
        self.products.iter().any(|product| is_source(product) && !other.products.contains(product))
    }
}

impl Resource for Trigger {
    const TYPE: &'static str = "trigger";
    const STAGE: Stage = Stage::Units;
    type State = TriggerState;

    fn validate(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut mistakes: Vec<AttributeError> = self.command.words("command").err().into_iter().collect();
        if let Err(error) = Trigger::stamp(id) {
            mistakes.push(AttributeError::new("", error.message()));
        }
        if self.sources.is_empty() {
            let mistake = AttributeError::new("sources", "nothing would ever change, so the command would run once");
            mistakes.push(mistake.help("name the files or directories that the command reads"));
        }
        for (place, product) in self.products.iter().enumerate().filter(|(_, path)| self.sources.contains(path)) {
            let path = vec!["products".to_owned(), place.to_string()];
            mistakes.push(AttributeError::at(path, format!("{product} is a source as well")));
        }
        mistakes
    }

    fn claims(&self, id: &ResourceId) -> Vec<Claim> {
        let mut claims: Vec<Claim> = self.sources.iter().cloned().map(Claim::needs_within).collect();
        claims.extend(self.products.iter().cloned().chain(Trigger::stamp(id)).map(Target::Path).map(Claim::owns));
        claims
    }

    fn check(&self, cx: &CheckContext<'_>) -> Result<TriggerState> {
        let host = cx.host();
        let mut missing = Vec::new();
        for product in &self.products {
            match host.metadata(product)?.map(|found| found.kind) {
                None => missing.push(product.clone()),
                Some(FileKind::File | FileKind::Symlink) => {}
                Some(other) => {
                    let message = format!("{product} is {}, not a file that a command makes", other.noun());
                    return Err(Error::new(ErrorKind::Conflict, message).with_hint("name files in `products`"));
                }
            }
        }
        let rebuild = self.rebuild(cx.id())?;
        let products = match stamp_of(host, &Trigger::stamp(cx.id())?)? {
            Some(stamp) if stamp.trim_end() == digest_of_sources(host, &rebuild)? => Products::Current,
            None if missing.is_empty() && products_are_younger(host, &rebuild)? => Products::Unrecorded,
            _ => Products::Outdated,
        };
        Ok(TriggerState { products, missing })
    }

    fn plan(&self, _: &PlanContext<'_>, _: &TriggerState) -> Result<TriggerState> {
        Ok(TriggerState { products: Products::Current, missing: Vec::new() })
    }

    fn apply(&self, cx: &ApplyContext<'_>, now: &TriggerState, _: &TriggerState) -> Result<()> {
        let (host, stamp) = (cx.host(), Trigger::stamp(cx.id())?);
        make_parents(host, &stamp, true)?;
        let rebuild = self.rebuild(cx.id())?;
        if now.products == Products::Unrecorded {
            return host.write_text(stamp.as_str(), &(digest_of_sources(host, &rebuild)? + "\n"));
        }
        host.perform(&Effect::Rebuild(rebuild))
    }

    fn contradictions(&self, id: &ResourceId, site: &Declared<'_>) -> Vec<Contradiction> {
        let others = site.all::<Trigger>().filter(|(other, _)| id < *other);
        let rings = others.filter(|(_, other)| self.makes_a_source_of(other) && other.makes_a_source_of(self));
        rings
            .map(|(other, _)| Contradiction {
                path: vec!["sources".to_owned()],
                other: other.clone(),
                other_path: vec!["sources".to_owned()],
                message: "each of two triggers makes a source of the other, so both would run for ever".to_owned(),
                help: "name the files that are read, instead of a directory that products lie in".to_owned(),
            })
            .collect()
    }
}

/// What a stamp says; nothing if something else is in its place, or nothing is.
fn stamp_of(host: &dyn HostView, stamp: &HostPath) -> Result<Option<String>> {
    match host.metadata(stamp)?.map(|found| found.kind) {
        Some(FileKind::File) => Ok(host.read(stamp)?.and_then(|content| content.text().map(str::to_owned))),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
