//! Takes note of what a host answers while a plan is made.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::{Answer, Converged, OfFile, Other, both, digest_of_answer, digest_of_content};
use crate::claim::Claim;
use crate::effect::{Content, Digest};
use crate::error::Result;
use crate::graph::Graph;
use crate::host::{self, FileAttributes, FileMetadata, HostView, PackageModel, Question, UnitIndex, UnitModel};
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
        let is_quiet = plan.is_empty() && plan.dropped_notifications.is_empty();
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

#[deny(clippy::missing_trait_methods)]
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
    fn ask(&self, question: &Question<'_>) -> Result<host::Answer> {
        let answer = self.host.ask(question);
        match Other::asked_by(question) {
            Some(asked) => {
                let digest = answer.as_ref().ok().and_then(|answer| digest_of_answer(self.digester(), answer));
                self.note_other(asked, digest);
            }
            None => self.spoil(),
        }
        answer
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
    /// As it reads, so that note is taken.
    fn copy_out(&self, path: &HostPath, to: &mut dyn std::io::Write) -> Result<Option<u64>> {
        let Some(content) = self.read(path)? else { return Ok(None) };
        to.write_all(content.bytes())?;
        Ok(Some(content.bytes().len() as u64))
    }
    fn package_model(&self) -> Option<&dyn PackageModel> {
        None
    }
    fn unit_model(&self) -> Option<&dyn UnitModel> {
        None
    }
    fn unit_index(&self) -> Option<&dyn UnitIndex> {
        None
    }
}
