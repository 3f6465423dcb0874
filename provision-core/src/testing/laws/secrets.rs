//! The law of secrets: what a declaration names is shown nowhere.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::apply::ApplyOptions;
use crate::effect::Effect;
use crate::error::ErrorKind;
use crate::graph::Graph;
use crate::host::{Fault, Faulty};
use crate::journal::{Journal, Purpose, Recorder, RunInfo};
use crate::observe::Event;
use crate::plan::PlanOptions;
use crate::rollback::RollbackOptions;
use crate::state::MemoryStore;
use crate::testing::{Failure, Tried};

use super::case::{ErasedCase, Trial, TypeCases};
use super::ground::Ground;

/// A text that nothing else holds; it could be the hash of a password, see `crypt(5)`.
pub(super) const CANARY: &str =
    "$6$c4nary9f2esings$X3DX6M94c7o9agCG9G317fhZg9SqC5i5rdRhAtQ7X3DX6M94c7o9agCG9G317fhZg9SqC5i5rdRhAtQ7abcdef";

/// Whether any case has an attribute that can name a secret.
pub(super) fn can_be_named(cases: &TypeCases) -> bool {
    cases.cases.iter().any(|case| case.resource().is_ok_and(|mut resource| !resource.secrets().is_empty()))
}

/// Law 12: each attribute that can name a secret names one, in a run that goes well and in ones that fail at each effect,
/// or at so many of them, from the first.
pub(super) fn stay_in(case: &ErasedCase, points: usize, ground: &dyn Ground) -> Trial {
    let mut resource = case.resource()?;
    let attributes: Vec<&'static str> = resource.secrets().into_iter().map(|(attribute, _)| attribute).collect();
    let mut trials = 0;
    for attribute in attributes {
        let mut declared = case.attributes.clone();
        if let Value::Object(fields) = &mut declared {
            fields.insert(attribute.to_owned(), json!({ "secret": "canary" }));
        }
        let secret = case.declaring(declared);
        // The attribute may not go together with others.
        let Ok(graph) = secret.graph() else { continue };
        let effects = {
            let planned = graph.plan(&secret.host(), &PlanOptions::default())?;
            planned.plan().steps.iter().map(|step| step.effects.len()).sum::<usize>()
        };
        for at in (0..effects).take(points).chain([effects]) {
            let mut heard = Vec::new();
            ground.try_on(&secret.host, &mut |host| {
                heard = heard_of(&secret, &graph, at, host)?;
                if at == effects {
                    heard.extend(heard_of_undo(case, host)?);
                }
                Ok(())
            })?;
            if let Some((place, _)) = heard.iter().find(|(_, text)| text.contains(CANARY)) {
                return Err(Failure::new(format!("a secret in `{attribute}` is heard in {place}")));
            }
            trials += 1;
        }
    }
    Ok(trials)
}

/// Everything that is told of a run that takes the secret away again, and of the undo of that run: the secret is in what the
/// journal keeps, and in the effects that put it back.
fn heard_of_undo(case: &ErasedCase, host: &dyn Tried) -> Result<Heard, Failure> {
    let journal = Journal::new(MemoryStore::new());
    let graph = case.graph()?;
    let planned = graph.plan(&host, &PlanOptions::default())?;
    let plan = planned.plan().clone();
    let heard = Mutex::new(String::new());
    let told = |event: &Event<'_>| note(&heard, event);
    let report = planned.apply(&host, &ApplyOptions { recorder: begin(&journal)?, ..ApplyOptions::default() }, &told);
    let mut undone = Vec::new();
    if let Some(run) = report.run {
        let rollback = journal.rollback(run, &host, RollbackOptions { keep_changed: true })?;
        undone.push(format!("{} {rollback:?} {}", rollback.plan, serde_json::to_string(&rollback).unwrap_or_default()));
        let options = ApplyOptions { recorder: begin(&journal)?, ..ApplyOptions::default() };
        let report = rollback.apply(&host, &options, &told);
        undone.push(format!("{report:?} {}", serde_json::to_string(&report).unwrap_or_default()));
    }
    Ok(vec![
        ("the plan to take it away", format!("{plan} {plan:?} {}", serde_json::to_string(&plan).unwrap_or_default())),
        ("the report of taking it away", format!("{report:?} {}", serde_json::to_string(&report).unwrap_or_default())),
        ("the undo", undone.join("\n")),
        ("an event of the undo", heard.into_inner().unwrap_or_else(PoisonError::into_inner)),
    ])
}

fn begin(journal: &Journal) -> Result<Option<Arc<Recorder>>, Failure> {
    let info = RunInfo { purpose: Purpose::Apply, who: "test".into(), site: "site".into(), site_digest: None };
    Ok(Some(journal.begin(&journal.lock()?, info)?))
}

fn note(heard: &Mutex<String>, event: &Event<'_>) {
    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    heard.push_str(&format!("{event:?} {}\n", serde_json::to_string(event).unwrap_or_default()));
}

/// What is told somewhere.
type Heard = Vec<(&'static str, String)>;

/// Everything that is told of a run in which the effect of this number fails.
fn heard_of(case: &ErasedCase, graph: &Graph, at: usize, host: &dyn Tried) -> Result<Heard, Failure> {
    host.take_effects();
    let store = MemoryStore::new();
    let journal = Journal::new(store.clone());
    let faulty = Faulty::new(&host, at, Fault::Fails(ErrorKind::CommandFailed));
    let planned = graph.plan(&faulty, &PlanOptions::default())?;
    let events = Mutex::new(String::new());
    let told = |event: &Event<'_>| note(&events, event);
    let recorder = begin(&journal)?;
    let report = planned.apply(&faulty, &ApplyOptions { recorder, ..ApplyOptions::default() }, &told);
    let plan = planned.plan();
    let arguments = host
        .take_effects()
        .iter()
        .filter_map(|effect| match effect {
            Effect::Run(command) => Some(command.argv.join(" ")),
            Effect::WriteFile(file) => file.validate.as_ref().map(|command| command.argv.join(" ")),
            _ => None,
        })
        .collect();
    let node = case.node(graph)?;
    let state = node.check(&host).map(|state| state.to_json().to_string()).unwrap_or_default();
    let kept = store.files().values().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
    Ok(vec![
        ("the plan", format!("{plan} {plan:?} {}", serde_json::to_string(plan).unwrap_or_default())),
        ("the report", format!("{report:?} {}", serde_json::to_string(&report).unwrap_or_default())),
        ("an event", events.into_inner().unwrap_or_else(PoisonError::into_inner)),
        ("the arguments of a command", arguments),
        ("the state", state),
        ("the attributes", node.resource.attributes().to_string()),
        ("the journal", kept),
    ])
}
