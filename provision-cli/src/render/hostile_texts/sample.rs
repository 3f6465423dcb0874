//! Plans, reports, events and records in which every text is hostile.

use std::borrow::Cow;
use std::cell::Cell;
use std::time::Duration;

use provision_core::diagnostic::{Diagnostic, Diagnostics, Sources, Span};
use provision_core::effect::{
    Access, AttributeChanges, Command, CreateUser, Effect, PackageRequest, PackageTransaction, PlatformEffect, Removal,
    UnitAction, UserChanges, WriteFile,
};
use provision_core::error::{Error, ErrorKind};
use provision_core::host::{Doubt, PackageAction, PackageChange, TransactionPreview};
use provision_core::journal::{
    Ended, Ending, Journal, MemoryStore, Orphan, PendingNotification, Purpose, Recovered, RunInfo, RunRecord,
    RunSummary, Settled, SettledState,
};
use provision_core::moment::Moment;
use provision_core::observe::Event;
use provision_core::path::{HostPath, Mode};
use provision_core::plan::{Change, OtherSite, Plan, PlannedTransaction, Reaction, Shared, Step, Verdict};
use provision_core::report::{Counts, Outcome, Report, StepReport};
use provision_core::resource::ResourceId;
use provision_core::rollback::{Left, Rollback};
use provision_core::sim::SimHost;
use serde_json::{Value, json};

/// Gives hostile texts, one after another.
pub struct Texts {
    list: Vec<String>,
    next: Cell<usize>,
}

impl Texts {
    pub fn new(list: Vec<String>) -> Texts {
        Texts { list, next: Cell::new(0) }
    }

    /// A name, a message, or whatever else belongs into one line.
    pub fn text(&self) -> String {
        let next = self.next.replace(self.next.get() + 1);
        self.list[next % self.list.len()].clone()
    }

    /// A text that is shown with its lines.
    pub fn content(&self) -> String {
        self.text().replace("FORGED", "CONTENT")
    }

    fn texts(&self) -> Vec<String> {
        vec![self.text(), self.text(), self.text()]
    }

    pub fn id(&self) -> ResourceId {
        ResourceId::new("file", self.text())
    }

    fn ids(&self) -> Vec<ResourceId> {
        vec![self.id(), self.id(), self.id(), self.id()]
    }

    fn path(&self) -> HostPath {
        let name = self.text().replace(['\0', '.'], "");
        HostPath::new(&format!("/srv/{name}")).unwrap()
    }

    pub fn span(&self) -> Span {
        Span { file: self.text().into(), line: 3, column: 4, start: 0, end: 0 }
    }

    pub fn error(&self) -> Error {
        Error::new(ErrorKind::CommandFailed, self.text())
            .while_doing(self.text())
            .of(&self.id(), Some(&self.span()))
            .with_cause(self.content())
            .with_hint(self.text())
    }

    fn access(&self) -> Access {
        Access { owner: self.text(), group: self.text(), mode: Mode::new(0o644) }
    }

    fn transaction(&self) -> PackageTransaction {
        PackageTransaction {
            install: vec![PackageRequest { name: self.text(), version: Some(self.text()) }],
            remove: self.texts(),
            purge: self.texts(),
            hold: self.texts(),
            unhold: self.texts(),
            automatic: self.texts(),
            manual: self.texts(),
            exclude: self.texts(),
            ..PackageTransaction::default()
        }
    }

    /// One of each kind.
    pub fn effects(&self) -> Vec<Effect> {
        let user = || UserChanges { gecos: Some(self.text()), groups: Some(self.texts()), ..UserChanges::default() };
        let attributes = AttributeChanges::default;
        vec![
            Effect::WriteFile(WriteFile {
                validate: Some(Command::new(self.texts()).env("NAME", &self.text())),
                ..WriteFile::new(self.path(), self.content(), self.access())
            }),
            Effect::WriteFile(WriteFile::new(self.path(), [0xff, 0x1b].as_slice(), self.access())),
            Effect::CopyFile { from: self.path(), to: self.path() },
            Effect::CreateDirectory { path: self.path(), access: self.access(), attributes: attributes() },
            Effect::CreateSymlink { path: self.path(), target: self.text(), owner: self.text(), group: self.text() },
            Effect::SetMetadata {
                path: self.path(),
                owner: Some(self.text()),
                group: Some(self.text()),
                mode: Some(Mode::new(0o600)),
                attributes: attributes(),
            },
            Effect::Remove { path: self.path(), what: Removal::Special },
            Effect::Remove { path: self.path(), what: Removal::Tree },
            Effect::Platform(PlatformEffect::RepairPackages),
            Effect::Platform(PlatformEffect::RefreshPackageLists),
            Effect::Platform(PlatformEffect::Packages(self.transaction())),
            Effect::Platform(PlatformEffect::CreateUser(CreateUser {
                name: self.text(),
                system: false,
                create_home: true,
                attributes: user(),
            })),
            Effect::Platform(PlatformEffect::ChangeUser { name: self.text(), changes: user() }),
            Effect::Platform(PlatformEffect::RemoveUser { name: self.text(), remove_home: true }),
            Effect::Platform(PlatformEffect::CreateGroup { name: self.text(), gid: None, system: true }),
            Effect::Platform(PlatformEffect::ChangeGroup { name: self.text(), gid: 7 }),
            Effect::Platform(PlatformEffect::SetMembers { group: self.text(), members: self.texts() }),
            Effect::Platform(PlatformEffect::RemoveGroup { name: self.text() }),
            Effect::Platform(PlatformEffect::Unit { unit: self.text(), action: UnitAction::Restart }),
            Effect::Platform(PlatformEffect::ReloadUnits),
            Effect::Platform(PlatformEffect::WatchUnit { unit: self.text(), seconds: 3 }),
            Effect::Run(Command::new(self.texts()).env(&self.text(), &self.text())),
        ]
    }

    fn change(&self, from: Value, to: Value) -> Change {
        Change { attribute: self.text(), from, to }
    }

    pub fn changes(&self) -> Vec<Change> {
        let record = || json!({ self.text(): self.text(), "list": [self.text(), self.text()], "flag": true });
        vec![
            self.change(self.content().into(), self.content().into()),
            self.change(Value::Null, self.content().into()),
            self.change(self.content().into(), Value::Null),
            self.change("<sensitive>".into(), self.content().into()),
            self.change(record(), record()),
            self.change(Value::Null, record()),
            self.change(record(), Value::Null),
            self.change(json!([self.text()]), json!([self.text(), [self.text()]])),
            self.change(json!(7), Value::Null),
            Change { attribute: String::new(), from: self.text().into(), to: Value::Null },
        ]
    }

    fn moment(&self) -> Moment {
        Moment { unix_micros: 1_767_225_600_000_000, boot: self.text().into(), monotonic_micros: 7 }
    }

    fn pending(&self) -> Vec<PendingNotification> {
        let one = || PendingNotification { id: self.id(), because: self.id(), run: 3, at: self.moment() };
        vec![one(), one()]
    }

    fn step(&self, verdict: Verdict) -> Step {
        let reaction = |pending| Reaction {
            causes: self.ids(),
            pending_notifications: pending,
            effects: self.effects(),
            certain: false,
        };
        let is_change = verdict == Verdict::Change;
        Step {
            id: self.id(),
            declared_at: Some(self.span()),
            phase: 1,
            changes: if is_change { self.changes().into() } else { Shared::default() },
            effects: if is_change { self.effects().into() } else { Shared::default() },
            reaction: match &verdict {
                Verdict::InSync => Some(reaction(self.pending())),
                Verdict::Change => Some(reaction(Vec::new())),
                Verdict::Deferred { .. } | Verdict::Failed { .. } | Verdict::Skipped { .. } => None,
            },
            verdict,
            assumes: vec![Doubt { about: self.text(), because: self.text() }],
            tags: self.texts(),
        }
    }

    pub fn transactions(&self) -> Vec<PlannedTransaction> {
        let planned = |preview, unknown| PlannedTransaction {
            ids: self.ids(),
            transaction: self.transaction(),
            preview,
            unknown,
        };
        let change = |action, from, to| PackageChange { name: self.text(), action, from, to };
        let changes = vec![
            change(PackageAction::Install, None, Some(self.text())),
            change(PackageAction::Upgrade, Some(self.text()), Some(self.text())),
            change(PackageAction::Purge, Some(self.text()), None),
        ];
        vec![
            planned(None, Some(self.text())),
            planned(Some(TransactionPreview { changes, download_bytes: Some(7) }), None),
        ]
    }

    pub fn plan(&self) -> Plan {
        let made = || json!([format!("path {}", self.path()), format!("package {}", self.text())]);
        let orphan = |made: Value, changed: Value, needed: Value| -> Orphan {
            let (id, site) = (self.id(), self.text());
            let orphan =
                json!({ "id": id, "site": site, "run": 7, "made": made, "changed": changed, "needed": needed });
            serde_json::from_value(orphan).unwrap()
        };
        let none = || json!([]);
        let mut orphans =
            vec![orphan(made(), made(), none()), orphan(made(), none(), made()), orphan(none(), none(), none())];
        orphans.extend((0..6).map(|_| orphan(made(), none(), none())));
        Plan {
            steps: vec![
                self.step(Verdict::Change),
                self.step(Verdict::InSync),
                self.step(Verdict::Deferred { because: self.text() }),
                self.step(Verdict::Failed { error: self.error() }),
                self.step(Verdict::Skipped { because: self.id() }),
            ],
            transactions: self.transactions(),
            dropped_notifications: self.pending(),
            orphans,
            others: vec![OtherSite { site: self.text(), resources: self.ids() }],
        }
    }

    fn step_report(&self, outcome: Outcome) -> StepReport {
        StepReport {
            id: self.id(),
            declared_at: Some(self.span()),
            changes: if outcome == Outcome::Changed { self.changes().into() } else { Shared::default() },
            outcome,
            effects: self.effects().into(),
            reacted_to: self.ids(),
            deferred: true,
            took: Duration::from_millis(1500),
        }
    }

    pub fn report(&self) -> Report {
        let reacted = StepReport { changes: Shared::default(), ..self.step_report(Outcome::Changed) };
        let steps = vec![
            reacted,
            self.step_report(Outcome::Changed),
            self.step_report(Outcome::InSync),
            self.step_report(Outcome::Failed { error: self.error() }),
            self.step_report(Outcome::Skipped { because: self.id() }),
            self.step_report(Outcome::RolledBack { because: self.id() }),
            self.step_report(Outcome::NotRun),
        ];
        Report {
            counts: Counts::of(steps.iter().map(|step| &step.outcome)),
            undone: vec![self.step_report(Outcome::RolledBack { because: self.id() })],
            steps,
            cancelled: false,
            run: Some(7),
            pending_notifications: self.pending(),
            journal_error: Some(self.error()),
            took: Duration::from_millis(2500),
        }
    }

    /// One of each kind.
    pub fn events(&self) -> Vec<Event<'static>> {
        let ids = || self.ids().into_iter().map(Cow::Owned).collect::<Vec<Cow<'static, ResourceId>>>();
        let mut events = vec![
            Event::RunStarted { steps: 7 },
            Event::StepStarted { id: Cow::Owned(self.id()) },
            Event::StepDecided { id: Cow::Owned(self.id()), effects: Cow::Owned(self.effects()) },
            Event::StepRetried {
                id: Cow::Owned(self.id()),
                error: Cow::Owned(self.error()),
                attempts: 2,
                after: Duration::from_secs(3),
            },
            Event::RollbackStarted { ids: Cow::Owned(self.ids()), because: Cow::Owned(self.id()) },
            Event::RunFinished { counts: Counts::default() },
        ];
        for effect in self.effects() {
            let effect: Cow<'static, Effect> = Cow::Owned(effect);
            let error = Some(Cow::Owned(self.error()));
            events.push(Event::EffectStarted { ids: ids(), effect: effect.clone() });
            events.push(Event::EffectFinished { ids: ids(), effect, error, took: Duration::from_millis(500) });
        }
        let steps = self.report().steps;
        events.extend(steps.into_iter().map(|step| Event::StepFinished { step: Cow::Owned(step) }));
        events
    }

    fn info(&self) -> RunInfo {
        RunInfo { purpose: Purpose::Apply, who: self.text(), site: self.text(), site_digest: Some(self.text()) }
    }

    /// Written to a journal and read back.
    pub fn run_record(&self) -> RunRecord {
        let host = SimHost::debian(12);
        let journal = Journal::new(MemoryStore::new());
        let recorder = journal.begin(&journal.lock().unwrap(), self.info()).unwrap();
        for (number, effect) in self.effects().iter().enumerate() {
            let ids = self.ids();
            let Ok(entry) = recorder.intend(&ids.iter().collect::<Vec<_>>(), effect, &host) else { continue };
            let error = self.error();
            recorder.conclude(entry, effect, (number % 2 == 0).then_some(&error), &host);
        }
        recorder.finish(Ending::Failed, Counts::default(), &host).unwrap();
        let mut record = journal.run(1).unwrap();
        record.program = self.text();
        let ended = record.ended.as_mut().unwrap();
        ended.pending_notifications = self.pending();
        record
    }

    pub fn summaries(&self) -> Vec<(u64, provision_core::error::Result<RunSummary>)> {
        let ended = Ended { at_micros: 7, how: Ending::Died, counts: None, pending_notifications: self.pending() };
        let summary =
            RunSummary { run: 3, info: self.info(), began: self.moment(), ended: Some(ended), effects: 2, done: 1 };
        vec![(3, Ok(summary)), (4, Err(self.error()))]
    }

    pub fn recovered(&self) -> Vec<Recovered> {
        let states = [SettledState::Old, SettledState::New, SettledState::Unknown];
        let settled = self.effects().into_iter().zip(states.into_iter().cycle());
        let settled = settled.map(|(effect, state)| {
            let ids = self.ids();
            Settled { ids, effect, state, error: Some(self.error()) }
        });
        vec![Recovered { run: 3, began_micros: 7, settled: settled.collect(), pending_notifications: self.pending() }]
    }

    pub fn rollback(&self) -> Rollback {
        let left = || -> Vec<Left> {
            let effects = self.effects().into_iter();
            effects.map(|effect| Left { ids: self.ids(), effect, because: self.text() }).collect()
        };
        Rollback { of: 7, plan: self.plan(), kept: left(), irreversible: left(), sensitive: Default::default() }
    }

    pub fn diagnostics(&self) -> Diagnostics {
        let mut sources = Sources::default();
        let (name, source) = (self.text(), format!("first line\n{}\n", self.content()));
        sources.insert(name.as_str(), source.as_str());
        let span = Span { file: name.into(), line: 1, column: 1, start: 0, end: 5 };
        let diagnostic = |diagnostic: Diagnostic| {
            diagnostic
                .at(Some(span.clone()), self.content())
                .see(Some(self.span()), self.content())
                .note(self.content())
                .help(self.content())
        };
        let list = vec![diagnostic(Diagnostic::error(self.text())), diagnostic(Diagnostic::warning(self.text()))];
        Diagnostics { list, sources }
    }

    pub fn facts(&self) -> Value {
        json!({ self.text(): { self.text(): self.text() }, "list": [self.text(), { self.text(): self.text() }] })
    }
}
