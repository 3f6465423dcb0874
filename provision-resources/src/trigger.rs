//! The resource type `trigger`.

use derive_setters::Setters;
use provision_core::effect::{Command, Effect, Rebuild};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::fragment::file_in;
use provision_core::host::{FileKind, HostView, HostViewExt, digest_of_sources, make_parents};
use provision_core::path::HostPath;
use provision_core::resource::{
    ApplyContext, AttributeError, CheckContext, Claim, PlanContext, Resource, ResourceId, Stage, Target,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command_line::CommandLine;

/// Where it is kept what products were made from.
const STAMPS: &str = "/var/lib/provision/triggers";

/// Files that a command makes out of others: the command runs once, after all that changes its sources, and again only when they
/// have changed or a product is gone.
///
/// Whatever changed the sources, and whenever: what a run that died had still to do, the next one does. A product that is missing
/// is made again. Where the command never ran under this resource, times decide, as with make(1): it runs if a source is younger
/// than a product; without products it runs once. A product is put back by a rollback as it was.
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

    /// Whether no product is older than what it is made of; see make(1).
    fn are_younger(&self, host: &dyn HostView) -> Result<bool> {
        let mut oldest: Option<(i64, u32)> = None;
        for product in &self.products {
            let Some(found) = host.attributes(product)? else { return Ok(false) };
            let time = (found.modified, found.modified_nanos);
            oldest = Some(oldest.map_or(time, |oldest| oldest.min(time)));
        }
        let Some(oldest) = oldest else { return Ok(false) };
        let mut pending = self.sources.clone();
        while let Some(path) = pending.pop() {
            if self.products.contains(&path) {
                continue;
            }
            let Some(found) = host.metadata(&path)? else { continue };
            let is_directory = found.kind == FileKind::Directory;
            let holds_a_product = is_directory && self.products.iter().any(|product| product.is_within(&path));
            // Making a product changes the directory around it.
            if !holds_a_product
                && let Some(attributes) = host.attributes(&path)?
                && (attributes.modified, attributes.modified_nanos) > oldest
            {
                return Ok(false);
            }
            if is_directory {
                for name in host.list(&path)?.unwrap_or_default() {
                    pending.push(path.join(&name)?);
                }
            }
        }
        Ok(true)
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
        let is_current = match host.read_text(Trigger::stamp(cx.id())?.as_str())? {
            Some(stamp) => stamp.trim_end() == digest_of_sources(host, &self.sources, &self.products)?,
            None => missing.is_empty() && self.are_younger(host)?,
        };
        let products = if is_current { Products::Current } else { Products::Outdated };
        Ok(TriggerState { products, missing })
    }

    fn plan(&self, _: &PlanContext<'_>, _: &TriggerState) -> Result<TriggerState> {
        Ok(TriggerState { products: Products::Current, missing: Vec::new() })
    }

    fn apply(&self, cx: &ApplyContext<'_>, _: &TriggerState, _: &TriggerState) -> Result<()> {
        let stamp = Trigger::stamp(cx.id())?;
        make_parents(cx.host(), &stamp, true)?;
        let words = self.command.words("command").map_err(|mistake| Error::new(ErrorKind::Invalid, mistake.message))?;
        let (sources, products) = (self.sources.clone(), self.products.clone());
        let rebuild = Rebuild { command: Command::new(words), sources, products, stamp: Some(stamp) };
        cx.host().perform(&Effect::Rebuild(rebuild))
    }
}

#[cfg(test)]
mod tests;
