//! Takes note of what a host answers while a plan is made.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::{Answer, Converged, OfFile, Other, both, digest, digest_of_accounts, digest_of_content, digest_of_shadow};
use crate::claim::Claim;
use crate::effect::{Command, Content, Digest, Output, PackageTransaction};
use crate::error::Result;
use crate::graph::Graph;
use crate::host::{
    Accounts, FileAttributes, FileMetadata, Group, HostView, PackageManager, PackageState, PackageTable, Shadow,
    TransactionPreview, UnitState, User,
};
use crate::journal::Journal;
use crate::moment::Moment;
use crate::path::HostPath;
use crate::plan::{PlanOptions, Planned};
use crate::state::{Digester, HostKey};

impl Graph {
    /// As [`plan`](Graph::plan), and remembers what the host answered if there is nothing to do. Of secrets only their names
    /// are remembered, with digests that only the host can make. Nothing is remembered of a host whose journal has no key
    /// yet, nor where answers are others each time: the clock, the age of package lists, a command.
    ///
    /// # Errors
    /// A selector names nothing.
    pub fn plan_and_remember(
        &self,
        host: &dyn HostView,
        options: &PlanOptions,
        journal: &Journal,
    ) -> Result<(Planned<'_>, Option<Converged>)> {
        let Some(key) = journal.key().ok().flatten() else { return Ok((self.plan(host, options)?, None)) };
        let answers = Answers::new(&key);
        let planned = self.plan(&Asked { host, answers: &answers }, options)?;
        let converged = answers.converged(&planned, journal);
        Ok((planned, converged))
    }
}

/// Note of what a host answers.
struct Answers {
    digester: Digester,
    files: Mutex<Vec<(HostPath, OfFile, Answer)>>,
    others: Mutex<Vec<(Other, Answer)>>,
    /// Whether there was an answer that may be another one at any time, or none.
    is_fleeting: AtomicBool,
}

impl Answers {
    /// Digests are made with the key of the host.
    fn new(key: &HostKey) -> Answers {
        let (files, others) = Default::default();
        Answers { digester: key.digester(), files, others, is_fleeting: AtomicBool::new(false) }
    }

    /// What was answered, if the plan of a whole site has nothing to do and nothing to say.
    fn converged(self, planned: &Planned<'_>, journal: &Journal) -> Option<Converged> {
        let Planned { plan, graph, only, .. } = planned;
        let is_whole = only.is_empty() && graph.warnings().is_empty();
        let is_quiet = plan.is_empty() && plan.forgotten.is_empty();
        if !is_whole || !is_quiet || self.is_fleeting.into_inner() {
            return None;
        }
        let past = journal.digest_of_what_matters().ok()??;
        let mut files: BTreeMap<HostPath, BTreeMap<OfFile, Answer>> = BTreeMap::new();
        for (path, asked, answer) in self.files.into_inner().unwrap_or_else(PoisonError::into_inner) {
            // What changed meanwhile may change again.
            if files.entry(path).or_default().insert(asked, answer).is_some_and(|other| other != answer) {
                return None;
            }
        }
        let mut others = BTreeMap::new();
        for (asked, answer) in self.others.into_inner().unwrap_or_else(PoisonError::into_inner) {
            if others.insert(asked, answer).is_some_and(|other| other != answer) {
                return None;
            }
        }
        let files = files.into_iter().map(|(path, asked)| {
            let bits = asked.keys().fold(0, |bits, asked| bits | asked.bit());
            (path, bits, asked.into_values().fold(Answer::default(), both))
        });
        let sources = graph.source_files().iter();
        Some(Converged {
            steps: plan.steps.len(),
            past,
            files: files.collect(),
            others: others.into_iter().collect(),
            sources: sources.map(|(path, source)| (path.clone(), source.digest().clone())).collect(),
            secrets: graph.secret_digests().to_vec(),
        })
    }
}

/// A host of whose answers note is taken. A simulated one is asked as if it were none.
struct Asked<'a, H> {
    host: H,
    answers: &'a Answers,
}

impl<H: HostView> Asked<'_, H> {
    fn file<T: Serialize>(&self, path: &HostPath, asked: OfFile, answer: Result<T>) -> Result<T> {
        self.note_file(path, asked, answer.as_ref().ok().and_then(|answer| asked.digest(self.digester(), answer)));
        answer
    }

    fn note_file(&self, path: &HostPath, asked: OfFile, digest: Option<Answer>) {
        let Some(digest) = digest else { return self.spoil() };
        let mut files = self.answers.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.push((path.clone(), asked, digest));
    }

    fn other<T: Serialize>(&self, asked: Other, answer: Result<T>) -> Result<T> {
        self.note_other(asked, answer.as_ref().ok().and_then(|answer| digest(self.digester(), answer)));
        answer
    }

    fn note_other(&self, asked: Other, digest: Option<Answer>) {
        let Some(digest) = digest else { return self.spoil() };
        self.answers.others.lock().unwrap_or_else(PoisonError::into_inner).push((asked, digest));
    }

    /// What is answered cannot be asked again, or is another answer each time.
    fn spoil(&self) {
        self.answers.is_fleeting.store(true, Ordering::Relaxed);
    }

    fn digester(&self) -> &Digester {
        &self.answers.digester
    }
}

impl<H: HostView> HostView for Asked<'_, H> {
    fn metadata(&self, path: &HostPath) -> Result<Option<FileMetadata>> {
        self.file(path, OfFile::Metadata, self.host.metadata(path))
    }
    fn attributes(&self, path: &HostPath) -> Result<Option<FileAttributes>> {
        self.file(path, OfFile::Attributes, self.host.attributes(path))
    }
    fn read(&self, path: &HostPath) -> Result<Option<Content>> {
        let answer = self.host.read(path);
        let digest = answer.as_ref().ok().map(|content| digest_of_content(self.digester(), content.as_ref()));
        self.note_file(path, OfFile::Content, digest);
        answer
    }
    fn digest(&self, path: &HostPath) -> Result<Option<Digest>> {
        self.file(path, OfFile::Digest, self.host.digest(path))
    }
    fn read_link(&self, path: &HostPath) -> Result<Option<String>> {
        self.file(path, OfFile::Link, self.host.read_link(path))
    }
    fn list(&self, path: &HostPath) -> Result<Option<Vec<String>>> {
        self.file(path, OfFile::Names, self.host.list(path))
    }
    fn package(&self, name: &str) -> Result<PackageState> {
        self.other(Other::Package(name.to_owned()), self.host.package(name))
    }
    fn interrupted_packages(&self) -> Result<Vec<String>> {
        self.other(Other::Interrupted, self.host.interrupted_packages())
    }
    fn unit(&self, name: &str) -> Result<UnitState> {
        self.other(Other::Unit(name.to_owned()), self.host.unit(name))
    }
    fn user(&self, name: &str) -> Result<Option<User>> {
        self.other(Other::User(name.to_owned()), self.host.user(name))
    }
    fn group(&self, name: &str) -> Result<Option<Group>> {
        self.other(Other::Group(name.to_owned()), self.host.group(name))
    }
    fn accounts(&self) -> Result<Arc<Accounts>> {
        let answer = self.host.accounts();
        let digest = answer.as_ref().ok().and_then(|accounts| digest_of_accounts(self.digester(), accounts));
        self.note_other(Other::Accounts, digest);
        answer
    }
    fn shadow(&self, user: &str) -> Result<Option<Shadow>> {
        let answer = self.host.shadow(user);
        let digest = answer.as_ref().ok().and_then(|shadow| digest_of_shadow(self.digester(), shadow.as_ref()));
        self.note_other(Other::Shadow(user.to_owned()), digest);
        answer
    }
    fn architecture(&self) -> Result<Option<String>> {
        self.other(Other::Architecture, self.host.architecture())
    }
    fn available_versions(&self, name: &str) -> Result<Vec<String>> {
        self.spoil();
        self.host.available_versions(name)
    }
    fn package_manager(&self) -> Result<PackageManager> {
        self.spoil();
        self.host.package_manager()
    }
    fn packages(&self) -> Result<Arc<PackageTable>> {
        self.spoil();
        self.host.packages()
    }
    fn preview(&self, transaction: &PackageTransaction) -> Result<TransactionPreview> {
        self.spoil();
        self.host.preview(transaction)
    }
    fn package_of(&self, path: &HostPath) -> Result<Option<String>> {
        self.spoil();
        self.host.package_of(path)
    }
    fn query(&self, command: &Command) -> Result<Output> {
        self.spoil();
        self.host.query(command)
    }
    fn is_running(&self) -> bool {
        self.host.is_running()
    }
    fn now(&self) -> Moment {
        self.spoil();
        self.host.now()
    }
    fn at_a_glance(&self) -> Option<Box<dyn HostView + '_>> {
        let host = self.host.at_a_glance()?;
        Some(Box::new(Asked { host, answers: self.answers }))
    }
    fn prefetch(&self, claims: &mut dyn Iterator<Item = &Claim>) {
        self.host.prefetch(claims);
    }
}
