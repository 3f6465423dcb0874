//! [`Converged`]: what a host answered while there was nothing to do.
//!
//! A plan is a function of the site, of what earlier runs left, and of what the host answers to the questions of resources,
//! which are the same as long as the answers are. So where the first two are as they were, a host that gives the
//! answers that it gave when there was nothing to do has nothing to do now, and it is enough to ask.

mod asked;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::ahead;
use crate::claim::{Claim, Target};
use crate::effect::{Content, Digest};
use crate::host::{self, Accounts, DigestCache, HostView, Question, Shadow};
use crate::journal::Journal;
use crate::path::HostPath;
use crate::resource::Source;
use crate::secret::{SecretStore, digest_of};
use crate::state::Digester;

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
    /// The names of secrets that the site names, each with a digest of what it stood for.
    secrets: Vec<(String, Answer)>,
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

impl Converged {
    /// How many resources there are.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Whether the site names secrets, which [`holds`](Converged::holds) asks for.
    pub fn names_secrets(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// Whether a host still answers the same, and its journal, source files and secrets are the same; `digests` remembers
    /// large files. Secrets are asked for last, and only if all else is the same.
    pub fn holds(
        &self,
        host: &dyn HostView,
        journal: &Journal,
        digests: Option<&DigestCache>,
        secrets: &dyn SecretStore,
    ) -> bool {
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
        let is_same = |(name, known): &(String, Answer)| {
            secrets.read(name).is_ok_and(|secret| digest_of(&secret, &digester) == *known)
        };
        !differs.into_inner() && self.secrets.iter().all(is_same)
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
    /// What is remembered of a question; `None` for one that may be answered differently each time, as any other is taken to be:
    /// a run that asks it is not remembered.
    fn asked_by(question: &Question<'_>) -> Option<Other> {
        match question {
            Question::Package(name) => Some(Other::Package((*name).to_owned())),
            Question::InterruptedPackages => Some(Other::Interrupted),
            Question::Unit(name) => Some(Other::Unit((*name).to_owned())),
            Question::User(name) => Some(Other::User((*name).to_owned())),
            Question::Group(name) => Some(Other::Group((*name).to_owned())),
            Question::Accounts => Some(Other::Accounts),
            Question::Shadow(name) => Some(Other::Shadow((*name).to_owned())),
            Question::Architecture => Some(Other::Architecture),
            _ => None,
        }
    }

    fn question(&self) -> Question<'_> {
        match self {
            Other::Package(name) => Question::Package(name),
            Other::Interrupted => Question::InterruptedPackages,
            Other::Unit(name) => Question::Unit(name),
            Other::User(name) => Question::User(name),
            Other::Group(name) => Question::Group(name),
            Other::Accounts => Question::Accounts,
            Other::Shadow(name) => Question::Shadow(name),
            Other::Architecture => Question::Architecture,
        }
    }

    /// What a host answers now.
    fn of(&self, host: &dyn HostView, digester: &Digester) -> Option<Answer> {
        digest_of_answer(digester, &host.ask(&self.question()).ok()?)
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

/// The digest of an answer to a question of which something is remembered.
fn digest_of_answer(digester: &Digester, answer: &host::Answer) -> Option<Answer> {
    match answer {
        host::Answer::Package(answer) => digest(digester, answer),
        host::Answer::InterruptedPackages(answer) => digest(digester, answer),
        host::Answer::Unit(answer) => digest(digester, answer),
        host::Answer::User(answer) => digest(digester, answer),
        host::Answer::Group(answer) => digest(digester, answer),
        host::Answer::Accounts(answer) => digest_of_accounts(digester, answer),
        host::Answer::Shadow(answer) => digest_of_shadow(digester, answer.as_ref()),
        host::Answer::Architecture(answer) => digest(digester, answer),
        _ => None,
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

/// For the tests of what is kept on a host.
#[cfg(test)]
#[cfg(feature = "nickel")]
pub(crate) mod tests {
    use super::*;

    /// One with everything in it.
    pub(crate) fn sample() -> Converged {
        let path = HostPath::new("/etc/motd").unwrap();
        Converged {
            steps: 3,
            past: "ab".repeat(32),
            files: vec![(path, OfFile::Metadata.bit() | OfFile::Content.bit(), (1, u64::MAX))],
            others: [
                Other::Package("hello".into()),
                Other::Interrupted,
                Other::Unit("ssh.service".into()),
                Other::User("root".into()),
                Other::Group("root".into()),
                Other::Accounts,
                Other::Shadow("root".into()),
                Other::Architecture,
            ]
            .into_iter()
            .map(|other| (other, (3, 4)))
            .collect(),
            sources: vec![("/site/motd".into(), Digest::of(b"abc"))],
            secrets: vec![("db/password".into(), (5, 6))],
        }
    }
}
