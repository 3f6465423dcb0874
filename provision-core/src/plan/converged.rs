//! [`Converged`]: what a host answered while there was nothing to do.
//!
//! A plan is a function of the site, of what earlier runs left, and of what the host answers to the questions of resources,
//! which are the same as long as the answers are. So where the first two are as they were, a host that gives the
//! answers that it gave when there was nothing to do has nothing to do now, and it is enough to ask.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{PlanOptions, Planned, ahead};
use crate::effect::{Command, Content, Digest, Output, PackageTransaction};
use crate::error::Result;
use crate::graph::Graph;
use crate::host::{
    Accounts, DigestCache, FileAttributes, FileMetadata, Group, HostView, PackageManager, PackageState, PackageTable,
    Shadow, TransactionPreview, UnitState, User,
};
use crate::journal::{Digester, HostKey, Journal};
use crate::moment::Moment;
use crate::path::HostPath;
use crate::resource::{Claim, Source, Target};

/// What a host answered while there was nothing to do, as digests that only the host can make.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Converged {
    steps: usize,
    /// What earlier runs left.
    past: String,
    /// In the order of paths: what is asked of each, as bits, and all answers as one.
    files: Vec<(HostPath, u8, Answer)>,
    others: Vec<(Other, Answer)>,
    /// Files that resources copy to the host.
    sources: Vec<(String, Digest)>,
}

/// What is asked of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum OfFile {
    Metadata,
    Attributes,
    Content,
    Digest,
    Link,
    Names,
}

/// What else is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Other {
    Package(String),
    Interrupted,
    Unit(String),
    User(String),
    Group(String),
    Accounts,
    Shadow(String),
    Architecture,
}

/// The digest of an answer.
type Answer = (u64, u64);

impl Graph {
    /// As [`plan`](Graph::plan), and remembers what the host answered if there is nothing to do. Of a site with secrets
    /// nothing is remembered, for they may change where they come from; nor of a host whose journal has no key yet, nor where
    /// answers are others each time: the clock, the age of package lists, a command.
    ///
    /// # Errors
    /// A selector names nothing.
    pub fn plan_and_remember(
        &self,
        host: &dyn HostView,
        options: &PlanOptions,
        journal: &Journal,
    ) -> Result<(Planned<'_>, Option<Converged>)> {
        let key = if self.names_secrets() { None } else { journal.key().ok().flatten() };
        let Some(key) = key else { return Ok((self.plan(host, options)?, None)) };
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
        let is_quiet = plan.is_empty() && plan.released.is_empty() && plan.forgotten.is_empty();
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
        })
    }
}

impl Converged {
    /// How many resources there are.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Whether a host still answers the same, and its journal and source files are the same; `digests` remembers large
    /// files.
    pub fn holds(&self, host: &dyn HostView, journal: &Journal, digests: Option<&DigestCache>) -> bool {
        let Ok(Some(key)) = journal.key() else { return false };
        let digester = key.digester();
        let differs = AtomicBool::new(false);
        let look = |view: &dyn HostView, number: usize| {
            if !differs.load(Ordering::Relaxed) && !self.file_holds(number, view, &digester) {
                differs.store(true, Ordering::Relaxed);
            }
        };
        // Programs are started before there are other threads, which would keep the ends of their pipes.
        let claims: Vec<Claim> = self.others.iter().filter_map(|(asked, _)| asked.claim()).collect();
        host.prefetch(&mut claims.iter());
        if self.others.iter().any(|(asked, answer)| asked.of(host, &digester) != Some(*answer)) {
            return false;
        }
        ahead::on_all_processors(self.files.len(), host, &look, || {
            if !self.is_of_this_time(journal, digests) {
                differs.store(true, Ordering::Relaxed);
            }
        });
        !differs.into_inner()
    }

    /// Whether a file of the host is as it was.
    fn file_holds(&self, number: usize, host: &dyn HostView, digester: &Digester) -> bool {
        let (path, bits, known) = &self.files[number];
        let mut asked = OfFile::ALL.into_iter().filter(|asked| bits & asked.bit() != 0);
        let answer = asked.try_fold(Answer::default(), |all, asked| Some(both(all, asked.of(path, host, digester)?)));
        answer == Some(*known)
    }

    /// Whether journal and source files are as they were.
    fn is_of_this_time(&self, journal: &Journal, digests: Option<&DigestCache>) -> bool {
        let is_same = |(path, known): &(String, Digest)| {
            Source::read_from(Path::new(path), digests).is_ok_and(|source| source.digest() == known)
        };
        journal.digest_of_what_matters().is_ok_and(|past| past.as_ref() == Some(&self.past))
            && self.sources.iter().all(is_same)
    }
}

impl OfFile {
    /// Files are quickly read when they were just looked at.
    const ALL: [OfFile; 6] =
        [OfFile::Metadata, OfFile::Attributes, OfFile::Content, OfFile::Digest, OfFile::Link, OfFile::Names];

    fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The digest of an answer. It differs from that of the same answer to another question.
    fn digest(self, digester: &Digester, answer: &impl Serialize) -> Option<Answer> {
        digest(digester, &(self.bit(), answer))
    }

    /// What a host answers now.
    fn of(self, path: &HostPath, host: &dyn HostView, digester: &Digester) -> Option<Answer> {
        match self {
            OfFile::Metadata => self.digest(digester, &host.metadata(path).ok()?),
            OfFile::Attributes => self.digest(digester, &host.attributes(path).ok()?),
            OfFile::Content => Some(digest_of_content(digester, host.read(path).ok()?.as_ref())),
            OfFile::Digest => self.digest(digester, &host.digest(path).ok()?),
            OfFile::Link => self.digest(digester, &host.read_link(path).ok()?),
            OfFile::Names => self.digest(digester, &host.list(path).ok()?),
        }
    }
}

impl Other {
    fn of(&self, host: &dyn HostView, digester: &Digester) -> Option<Answer> {
        match self {
            Other::Package(name) => digest(digester, &host.package(name).ok()?),
            Other::Interrupted => digest(digester, &host.interrupted_packages().ok()?),
            Other::Unit(name) => digest(digester, &host.unit(name).ok()?),
            Other::User(name) => digest(digester, &host.user(name).ok()?),
            Other::Group(name) => digest(digester, &host.group(name).ok()?),
            Other::Accounts => digest_of_accounts(digester, &*host.accounts().ok()?),
            Other::Shadow(name) => digest_of_shadow(digester, host.shadow(name).ok()?.as_ref()),
            Other::Architecture => digest(digester, &host.architecture().ok()?),
        }
    }

    /// What a host is told beforehand that it will be asked.
    fn claim(&self) -> Option<Claim> {
        match self {
            Other::Package(name) => Some(Claim::owns(Target::Package(name.clone()))),
            Other::Unit(name) => Some(Claim::owns(Target::Unit(name.clone()))),
            _ => None,
        }
    }
}

fn digest(digester: &Digester, answer: &impl Serialize) -> Option<Answer> {
    let mut bytes = Vec::with_capacity(128);
    rmp_serde::encode::write(&mut bytes, answer).ok()?;
    Some(digester.clone().finish_short(&bytes))
}

/// Several answers as one. Each is a digest that only the host can make, and of another question.
fn both(one: Answer, other: Answer) -> Answer {
    (one.0 ^ other.0, one.1 ^ other.1)
}

fn digest_of_content(digester: &Digester, content: Option<&Content>) -> Answer {
    let mut digester = digester.clone();
    digester.update(b"content");
    digester.update(&[u8::from(content.is_some())]);
    digester.finish_short(content.map_or(&[], Content::bytes))
}

fn digest_of_shadow(digester: &Digester, shadow: Option<&Shadow>) -> Option<Answer> {
    let mut digester = digester.clone();
    if let Some(shadow) = shadow {
        digester.update(shadow.password.reveal().as_bytes());
    }
    digest(&digester, &shadow.map(|shadow| (shadow.password.reveal().len(), shadow.expires)))
}

fn digest_of_accounts(digester: &Digester, accounts: &Accounts) -> Option<Answer> {
    digest(digester, &(&accounts.users, &accounts.groups))
}

/// A host of whose answers note is taken. A simulated one is asked as if it were none.
struct Asked<'a, H> {
    host: H,
    answers: &'a Answers,
}

impl<H: HostView> Asked<'_, H> {
    fn file<T>(
        &self,
        path: &HostPath,
        asked: OfFile,
        answer: Result<T>,
        digest: impl FnOnce(&T) -> Option<Answer>,
    ) -> Result<T> {
        match answer.as_ref().ok().and_then(digest) {
            Some(digest) => {
                let mut files = self.answers.files.lock().unwrap_or_else(PoisonError::into_inner);
                files.push((path.clone(), asked, digest));
            }
            None => self.spoil(),
        }
        answer
    }

    fn other<T>(&self, asked: Other, answer: Result<T>, digest: impl FnOnce(&T) -> Option<Answer>) -> Result<T> {
        match answer.as_ref().ok().and_then(digest) {
            Some(digest) => {
                let mut others = self.answers.others.lock().unwrap_or_else(PoisonError::into_inner);
                others.push((asked, digest));
            }
            None => self.spoil(),
        }
        answer
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
        self.file(path, OfFile::Metadata, self.host.metadata(path), |answer| {
            OfFile::Metadata.digest(self.digester(), answer)
        })
    }
    fn attributes(&self, path: &HostPath) -> Result<Option<FileAttributes>> {
        self.file(path, OfFile::Attributes, self.host.attributes(path), |answer| {
            OfFile::Attributes.digest(self.digester(), answer)
        })
    }
    fn read(&self, path: &HostPath) -> Result<Option<Content>> {
        let digest = |answer: &Option<Content>| Some(digest_of_content(self.digester(), answer.as_ref()));
        self.file(path, OfFile::Content, self.host.read(path), digest)
    }
    fn digest(&self, path: &HostPath) -> Result<Option<Digest>> {
        self.file(path, OfFile::Digest, self.host.digest(path), |answer| OfFile::Digest.digest(self.digester(), answer))
    }
    fn read_link(&self, path: &HostPath) -> Result<Option<String>> {
        self.file(path, OfFile::Link, self.host.read_link(path), |answer| OfFile::Link.digest(self.digester(), answer))
    }
    fn list(&self, path: &HostPath) -> Result<Option<Vec<String>>> {
        self.file(path, OfFile::Names, self.host.list(path), |answer| OfFile::Names.digest(self.digester(), answer))
    }
    fn package(&self, name: &str) -> Result<PackageState> {
        self.other(Other::Package(name.to_owned()), self.host.package(name), |answer| digest(self.digester(), answer))
    }
    fn interrupted_packages(&self) -> Result<Vec<String>> {
        self.other(Other::Interrupted, self.host.interrupted_packages(), |answer| digest(self.digester(), answer))
    }
    fn unit(&self, name: &str) -> Result<UnitState> {
        self.other(Other::Unit(name.to_owned()), self.host.unit(name), |answer| digest(self.digester(), answer))
    }
    fn user(&self, name: &str) -> Result<Option<User>> {
        self.other(Other::User(name.to_owned()), self.host.user(name), |answer| digest(self.digester(), answer))
    }
    fn group(&self, name: &str) -> Result<Option<Group>> {
        self.other(Other::Group(name.to_owned()), self.host.group(name), |answer| digest(self.digester(), answer))
    }
    fn accounts(&self) -> Result<Arc<Accounts>> {
        self.other(Other::Accounts, self.host.accounts(), |answer| digest_of_accounts(self.digester(), answer))
    }
    fn shadow(&self, user: &str) -> Result<Option<Shadow>> {
        let digest = |answer: &Option<Shadow>| digest_of_shadow(self.digester(), answer.as_ref());
        self.other(Other::Shadow(user.to_owned()), self.host.shadow(user), digest)
    }
    fn architecture(&self) -> Result<Option<String>> {
        self.other(Other::Architecture, self.host.architecture(), |answer| digest(self.digester(), answer))
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
