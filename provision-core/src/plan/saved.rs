//! A plan in a file: what people read of it, and, sealed with the key of the host, all that is needed to make it again.
//!
//! A saved plan is applied by making the plan anew from what was declared then, on the host as it is now. Only if both
//! are the same, and everything that its effects touch is as it was, anything is done. See `docs/formats/saved-plan.md`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Plan, PlanOptions, Planned, Selector, Verdict};
use crate::canonical;
use crate::diagnostic::{Sources, Span};
use crate::effect::Content;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::graph::Graph;
use crate::host::HostView;
use crate::id::ResourceId;
use crate::journal::Journal;
use crate::path::HostPath;
use crate::policy::{Common, SitePolicy};
use crate::registry::Registry;
use crate::run::PendingNotification;
use crate::site::{RawDeclaration, Site};
use crate::state::HostKey;

/// What a saved plan says that it is.
const FORMAT: &str = "provision-plan";

/// See `docs/formats/saved-plan.md`.
pub(crate) const PLAN: Format = Format { name: "plan", noun: "the saved plan", version: 1 };

/// What stands before the sealed part, and after it.
const BEFORE_SEALED: &str = ",\n  \"sealed\": \"";
const AFTER_SEALED: &str = "\"\n}\n";

/// How many things that have moved are named.
const MOST_NAMED: usize = 8;

/// A plan that was read from a file.
pub struct SavedPlan {
    /// What people read of it.
    visible: Value,
    hidden: Hidden,
}

/// What is sealed: declarations may hold what must not be shown.
#[derive(Serialize, Deserialize)]
struct Hidden {
    /// SHA-256 of all bytes of the file before what is sealed.
    digest: String,
    declared: Vec<Declared>,
    /// Contents of source files, by their paths.
    sources: BTreeMap<String, Content>,
    only: Vec<String>,
    policy: SitePolicy,
    site_name: String,
}

#[derive(Serialize, Deserialize)]
struct Declared {
    id: ResourceId,
    attributes: Value,
    common: Common,
    declared_at: Option<Span>,
}

/// What every version of a saved plan says of itself.
#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    version: u32,
    /// The version of the program.
    program: String,
}

/// What of a saved plan is not sealed.
#[derive(Serialize, Deserialize)]
struct Visible {
    #[serde(flatten)]
    head: Head,
    visible: Value,
}

/// Something that an effect of a plan touches, and how it was when the plan was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReliedOn {
    /// What it is: `path /etc/motd`.
    pub what: String,
    /// Digest of all that is known of it. Only the host can make it.
    pub digest: String,
}

impl Planned<'_> {
    /// The plan as a file. `key` is the key of the host's journal; without it what is sealed cannot be read, nor can anyone make
    /// a file that passes for one of this host.
    ///
    /// # Errors
    /// The host cannot be looked at.
    pub fn save(&self, host: &dyn HostView, key: &HostKey) -> Result<Vec<u8>> {
        let visible = json!({
            "host": identity(host)?,
            "sites": self.graph.origin(),
            "site_digest": self.graph.digest()?,
            "made_micros": host.now().unix_micros,
            "plan": comparable(&self.plan)?,
            "relied_on": self.plan.relied_on(host, key)?,
        });
        let declared = self.graph.nodes.iter().filter(|node| !node.is_companion).map(|node| {
            Ok(Declared {
                id: node.id.clone(),
                attributes: node.resource.all_attributes()?,
                common: node.common.clone(),
                declared_at: node.declared_at().cloned(),
            })
        });
        let sources = self.graph.source_files().iter().map(|(path, source)| Ok((path.clone(), source.content()?)));
        let head =
            Head { format: FORMAT.to_owned(), version: PLAN.version, program: env!("CARGO_PKG_VERSION").to_owned() };
        let file = serde_json::to_string_pretty(&Visible { head, visible }).map_err(|error| unwritable(&error))?;
        let open = file.strip_suffix("\n}").ok_or_else(|| unwritable(&"it is empty"))?.to_owned() + BEFORE_SEALED;
        let hidden = Hidden {
            digest: digest(open.as_bytes()),
            declared: declared.collect::<Result<_>>()?,
            sources: sources.collect::<Result<_>>()?,
            only: self.only.iter().map(ToString::to_string).collect(),
            policy: self.graph.policy(),
            site_name: self.graph.site_name().to_owned(),
        };
        let bytes = zeroize::Zeroizing::new(rmp_serde::to_vec_named(&hidden).map_err(|error| unwritable(&error))?);
        Ok((open + &BASE64.encode(key.seal(&bytes)?) + AFTER_SEALED).into_bytes())
    }
}

impl SavedPlan {
    /// Whether bytes are meant to be a saved plan.
    pub fn is_one(bytes: &[u8]) -> bool {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
        text.trim_start().starts_with('{') && text.contains(FORMAT)
    }

    /// Reads a saved plan with the key of the host that it was made on.
    ///
    /// # Errors
    /// It was changed in any byte, made on another host, or written by a newer version of this program.
    pub fn read(bytes: &[u8], key: &HostKey) -> Result<SavedPlan> {
        let damaged = |why: &str| {
            Error::new(ErrorKind::Damaged, why.to_owned())
                .with_hint("make the plan again with `provision plan -o FILE`")
        };
        let head: Head =
            serde_json::from_slice(bytes).map_err(|error| damaged(&format!("it is no saved plan: {error}")))?;
        if head.format != FORMAT {
            return Err(damaged("it is no saved plan"));
        }
        PLAN.admit(head.version)?;
        let changed = || damaged("it was changed by hand, or it is damaged");
        let text = str::from_utf8(bytes).map_err(|_| changed())?;
        let (_, sealed) = text.rsplit_once(BEFORE_SEALED).ok_or_else(changed)?;
        let open = &text[..text.len() - sealed.len()];
        let sealed = BASE64.decode(sealed.strip_suffix(AFTER_SEALED).ok_or_else(changed)?).map_err(|_| changed())?;
        let mut opened = zeroize::Zeroizing::new(Vec::new());
        std::io::Read::read_to_end(&mut key.open(&*sealed), &mut opened)
            .map_err(|_| damaged("it was made on another host, or it is damaged"))?;
        let hidden: Hidden = rmp_serde::from_slice(&opened)
            .map_err(|error| damaged(&format!("its sealed part makes no sense: {error}")))?;
        if hidden.digest != digest(open.as_bytes()) {
            return Err(changed());
        }
        let Visible { visible, .. } = serde_json::from_str(text).map_err(|_| changed())?;
        Ok(SavedPlan { visible, hidden })
    }

    /// The files that the site came from.
    pub fn sites(&self) -> Vec<&str> {
        self.visible["sites"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The resources that were chosen; all if there are none.
    ///
    /// # Errors
    /// One of them is none.
    pub fn only(&self) -> Result<Vec<Selector>> {
        self.hidden.only.iter().map(|text| Ok(text.parse::<Selector>()?)).collect()
    }

    /// Steps that are decided only while it is applied.
    pub fn deferred(&self) -> Vec<&str> {
        let steps = self.visible["plan"]["steps"].as_array().into_iter().flatten();
        steps.filter(|step| step["verdict"]["verdict"] == "deferred").filter_map(|step| step["id"].as_str()).collect()
    }

    /// What was declared.
    ///
    /// # Errors
    /// A resource type is not known here, or no longer takes what was declared; or the journal cannot be read.
    pub fn graph(&self, registry: &Registry, journal: &Journal) -> Result<Graph> {
        let raw = self.hidden.declared.iter().map(|declared| {
            let mut attributes = declared.attributes.as_object().cloned().unwrap_or_default();
            if let Ok(Value::Object(common)) = serde_json::to_value(&declared.common) {
                attributes.extend(common);
            }
            RawDeclaration {
                id: declared.id.clone(),
                attributes: Value::Object(attributes).into(),
                declared_at: declared.declared_at.clone(),
            }
        });
        let site = Site::from_declarations(registry, raw.collect::<Vec<_>>(), Sources::default());
        let site = site.map(|site| {
            site.with_name(&self.hidden.site_name).with_origin(self.sites().into_iter().map(str::to_owned))
        });
        let orphans = match &site {
            Ok(site) if self.hidden.only.is_empty() => journal.orphans(site.name(), &site.ids())?,
            _ => Vec::new(),
        };
        let pending = journal.pending()?.notifications;
        let graph = site.and_then(|site| {
            let site = site.with_source_files(self.hidden.sources.clone());
            let site = site.with_policy(self.hidden.policy).with_orphans(orphans);
            site.with_pending_notifications(&pending).into_graph()
        });
        graph.map_err(|diagnostics| {
            let mistakes: Vec<String> = diagnostics.list.iter().map(|mistake| mistake.message.clone()).collect();
            Error::new(ErrorKind::Invalid, "what was declared then is not accepted now")
                .with_cause(mistakes.join("\n"))
                .with_hint("make the plan again with `provision plan -o FILE`")
        })
    }

    /// Makes the plan anew, and requires it to be the saved one.
    ///
    /// # Errors
    /// Something that it relied on has moved ([`ErrorKind::Stale`]); the cause names what.
    pub fn renew<'g>(
        &self,
        graph: &'g Graph,
        host: &dyn HostView,
        key: &HostKey,
        pending_notifications: Vec<PendingNotification>,
    ) -> Result<Planned<'g>> {
        let here = identity(host)?;
        if self.visible["host"] != here {
            let made = self.visible["host"]["name"].as_str().unwrap_or_default();
            let message = format!("it was made for {made}, and this is {}", here["name"].as_str().unwrap_or_default());
            return Err(Error::new(ErrorKind::Stale, message).with_hint("make a plan on this host"));
        }
        let planned =
            graph.plan(host, &PlanOptions { only: self.only()?, pending_notifications, ..PlanOptions::default() })?;
        let now = comparable(&planned.plan)?;
        let mut moved = self.moved_things(&planned.plan.relied_on(host, key)?);
        moved.extend(different_steps(&self.visible["plan"], &now));
        if moved.is_empty() && self.visible["plan"] == now {
            return Ok(planned);
        }
        if moved.len() > MOST_NAMED {
            let others = moved.len() - MOST_NAMED;
            moved.truncate(MOST_NAMED);
            moved.push(format!("and {others} more"));
        }
        Err(Error::new(ErrorKind::Stale, "the host is no longer as the plan found it")
            .with_cause(moved.join("\n"))
            .with_hint("nothing was changed; make the plan again with `provision plan -o FILE`"))
    }

    fn moved_things(&self, now: &[ReliedOn]) -> Vec<String> {
        let before: Vec<ReliedOn> = serde_json::from_value(self.visible["relied_on"].clone()).unwrap_or_default();
        let other =
            |thing: &&ReliedOn| now.iter().any(|other| other.what == thing.what && other.digest != thing.digest);
        before.iter().filter(other).map(|thing| format!("{} has changed", thing.what)).collect()
    }
}

/// The steps that would be other ones now.
fn different_steps(before: &Value, now: &Value) -> Vec<String> {
    let steps = |plan: &Value| -> BTreeMap<String, Value> {
        let steps = plan["steps"].as_array().into_iter().flatten();
        steps.map(|step| (step["id"].as_str().unwrap_or_default().to_owned(), step.clone())).collect()
    };
    let (before, now) = (steps(before), steps(now));
    let mut said = Vec::new();
    for (id, step) in &before {
        let difference = match now.get(id) {
            Some(other) if other == step => continue,
            Some(other) if other["verdict"] != step["verdict"] => {
                let verdict = |step: &Value| step["verdict"]["verdict"].as_str().unwrap_or_default().replace('_', " ");
                format!("was planned as {:?}, and is {:?} now", verdict(step), verdict(other))
            }
            Some(other) if other["reaction"] != step["reaction"] => "would react to something else now".to_owned(),
            Some(_) => "is in another state than the plan found".to_owned(),
            None => "takes no part now".to_owned(),
        };
        said.push(format!("{id} {difference}"));
    }
    said
}

/// The plan as it is compared: how much is to be fetched depends on what was fetched before, and changes nothing.
fn comparable(plan: &Plan) -> Result<Value> {
    let mut plan = canonical::value(plan)?;
    for transaction in plan["transactions"].as_array_mut().into_iter().flatten() {
        if let Some(preview) = transaction["preview"].as_object_mut() {
            preview.remove("download_bytes");
        }
    }
    Ok(plan)
}

/// Which host a plan was made for, as far as one program can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostIdentity {
    name: Option<Content>,
    machine: Option<Content>,
    is_running: bool,
    /// Of the root directory, which tells root directories of different file systems apart.
    mount: Option<u64>,
}

impl HostIdentity {
    /// What cannot be read is the same for all.
    pub(crate) fn of(host: &dyn HostView) -> HostIdentity {
        let read = |path| HostPath::new(path).and_then(|path| host.read(&path)).ok().flatten();
        HostIdentity {
            name: read("/etc/hostname"),
            machine: read("/etc/machine-id"),
            is_running: host.is_running(),
            mount: host.metadata(&HostPath::root()).ok().flatten().map(|found| found.mount),
        }
    }

    /// Refuses another host.
    pub(crate) fn require(&self, host: &dyn HostView) -> Result<()> {
        if *self == HostIdentity::of(host) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Refused, "the plan was made for another host").with_hint("make a plan on this host"))
    }
}

/// Which host it is: its name, and a digest of its `/etc/machine-id`, see `machine-id(5)`.
fn identity(host: &dyn HostView) -> Result<Value> {
    let read = |path: &str| -> Result<String> {
        let content = host.read(&HostPath::new(path)?)?;
        Ok(content.and_then(|content| content.text().map(|text| text.trim().to_owned())).unwrap_or_default())
    };
    // The id itself is to be kept confidential.
    let id = crate::bytes::hex(&Sha256::digest(read("/etc/machine-id")?));
    Ok(json!({ "name": read("/etc/hostname")?, "machine": id, "running": host.is_running() }))
}

fn digest(bytes: &[u8]) -> String {
    crate::bytes::hex(&Sha256::digest(bytes))
}

fn unwritable(error: &impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Invalid, format!("the plan cannot be written down: {error}"))
}

impl Plan {
    /// Whether some of its steps are decided only while it is applied.
    pub fn has_deferred(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.verdict, Verdict::Deferred { .. }) || !step.assumes.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::host::{HostExt, HostViewExt};
    use crate::resource::{ApplyContext, CheckContext, PlanContext, Resource};
    use crate::sim::{HostRecord, SimHost};
    use crate::state::with_fixed_randomness;
    use schemars::JsonSchema;

    /// A text file.
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Note {
        text: String,
    }

    impl Resource for Note {
        const TYPE: &'static str = "note";
        type State = Option<String>;
        fn check(&self, cx: &CheckContext<'_>) -> Result<Self::State> {
            cx.host().read_text(cx.id().name())
        }
        fn plan(&self, _: &PlanContext<'_>, _: &Self::State) -> Result<Self::State> {
            Ok(Some(self.text.clone()))
        }
        fn apply(&self, cx: &ApplyContext<'_>, _: &Self::State, _: &Self::State) -> Result<()> {
            cx.host().write_text(cx.id().name(), &self.text)
        }
    }

    fn host() -> SimHost {
        let mut record = HostRecord { format: HostRecord::FORMAT.to_owned(), ..HostRecord::default() };
        record.os.version = "13".to_owned();
        let host =
            SimHost::from_record(record).unwrap().with_file("/etc/hostname", "web\n").with_file("/etc/motd", "old\n");
        host.take_effects();
        host
    }

    fn saved() -> (HostKey, Vec<u8>) {
        with_fixed_randomness(|| {
            let (host, key) = (host(), HostKey::random().unwrap());
            let mut site = Site::new().with_origin(["site.ncl".to_owned()]);
            // Where this test stands in its file is no part of the format.
            site.declare("/etc/motd", Note { text: "new\n".into() }).declaration.spans =
                crate::declaration::Spans::default();
            let graph = site.into_graph().unwrap();
            let planned = graph.plan(&host, &PlanOptions::default()).unwrap();
            let bytes = planned.save(&host, &key).unwrap();
            (key, bytes)
        })
    }

    #[test]
    fn golden_plans_of_every_version_are_read_and_renewed() {
        let (key, present) = saved();
        for bytes in golden::versions("plan.json", &present) {
            let saved = SavedPlan::read(&bytes, &key).unwrap();
            let graph =
                saved.graph(&Registry::new().with::<Note>(), &Journal::new(crate::state::MemoryStore::new())).unwrap();
            let planned = saved.renew(&graph, &host(), &key, Vec::new()).unwrap();
            assert_eq!(planned.plan().steps.len(), 1);
            assert_eq!(planned.plan().steps[0].effects.len(), 1);
        }
    }

    #[test]
    fn a_golden_plan_of_a_newer_version_is_refused_by_name() {
        let (key, present) = saved();
        let text = String::from_utf8(present).unwrap().replacen("\"version\": 1", "\"version\": 2, \"new\": {}", 1);
        let error = SavedPlan::read(text.as_bytes(), &key).err().unwrap();
        golden::assert_newer(&error, &PLAN);
    }
}
