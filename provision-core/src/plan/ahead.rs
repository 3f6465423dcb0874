//! Looking ahead: what needs nothing but files is looked at before it is its turn, by as many threads as there are
//! processors. What was seen counts only where the model of the host still says the same.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::sched::{CloneFlags, unshare};

use crate::claim::Claim;
use crate::effect::{Content, Digest};
use crate::error::{Error, Result};
use crate::graph::Node;
use crate::host::{Answer, FileAttributes, FileMetadata, HostView, PackageModel, Question, UnitIndex, UnitModel};
use crate::moment::Moment;
use crate::path::HostPath;
use crate::resource::DynState;

/// How many things a thread takes at a time.
const PORTION: usize = 16;

/// What was found and what is wanted, before it was the turn of a resource.
pub(super) struct Foresight {
    pub(super) states: (DynState, DynState),
    /// Where was looked.
    pub(super) paths: Vec<HostPath>,
}

/// Looks at all of these resources; `None` for one that needs more than files and accounts, or fails.
pub(super) fn look(nodes: &[&Node], host: &dyn HostView) -> Vec<Option<Foresight>> {
    let found: Vec<OnceLock<Foresight>> = nodes.iter().map(|_| OnceLock::new()).collect();
    // A host that gains nothing from it is looked at when it is their turn.
    if host.at_a_glance().is_some() {
        let look = |view: &dyn HostView, number: usize| {
            if let Some(foresight) = foresee(nodes[number], view) {
                let _ = found[number].set(foresight);
            }
        };
        on_all_processors(nodes.len(), host, &look, || {});
    }
    found.into_iter().map(OnceLock::into_inner).collect()
}

/// Has so many things looked at, each once, by as many threads as there are processors; by this one alone if the host gains
/// nothing from more. This one does something else before, while the others have begun.
pub(super) fn on_all_processors(
    count: usize,
    host: &dyn HostView,
    look: &(dyn Fn(&dyn HostView, usize) + Sync),
    meanwhile: impl FnOnce(),
) {
    let next = AtomicUsize::new(0);
    let work = |view: &dyn HostView| {
        loop {
            let first = next.fetch_add(PORTION, Ordering::Relaxed);
            let last = count.min(first + PORTION);
            (first..last).for_each(|number| look(view, number));
            if last <= first {
                return;
            }
        }
    };
    let Some(view) = host.at_a_glance() else {
        meanwhile();
        return work(host);
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let others = processors.min(count.div_ceil(PORTION)).saturating_sub(1);
    std::thread::scope(|scope| {
        // Where no thread can be had, this one does it all.
        for _ in 0..others {
            let other = || {
                // Threads that share a table of open files wait for one another at each open and close.
                let _ = unshare(CloneFlags::CLONE_FILES);
                host.at_a_glance().iter().for_each(|view| work(&**view));
            };
            drop(std::thread::Builder::new().spawn_scoped(scope, other));
        }
        meanwhile();
        work(&*view);
    });
}

fn foresee(node: &Node, host: &dyn HostView) -> Option<Foresight> {
    let noted = Noted { host, paths: Mutex::default(), refused: AtomicBool::new(false) };
    let now = node.check(&noted).ok()?;
    let want = node.plan(&now).ok()?;
    // A type may take a refusal for an answer.
    if noted.refused.into_inner() {
        return None;
    }
    let paths = noted.paths.into_inner().unwrap_or_else(PoisonError::into_inner);
    Some(Foresight { states: (now, want), paths })
}

/// Takes note of where is looked.
struct Noted<'h> {
    host: &'h dyn HostView,
    paths: Mutex<Vec<HostPath>>,
    /// Whether something was not answered.
    refused: AtomicBool,
}

impl Noted<'_> {
    fn at(&self, path: &HostPath) -> &dyn HostView {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        if paths.last() != Some(path) {
            paths.push(path.clone());
        }
        self.host
    }

    fn not_yet(&self) -> Error {
        self.refused.store(true, Ordering::Relaxed);
        Error::unknown("it is looked at when it is its turn")
    }
}

/// What costs more than a look, or may be the wrong question yet, is not asked ahead.
#[deny(clippy::missing_trait_methods)]
impl HostView for Noted<'_> {
    fn metadata(&self, path: &HostPath) -> Result<Option<FileMetadata>> {
        self.at(path).metadata(path)
    }
    fn attributes(&self, path: &HostPath) -> Result<Option<FileAttributes>> {
        self.at(path).attributes(path)
    }
    fn read(&self, path: &HostPath) -> Result<Option<Content>> {
        self.at(path).read(path)
    }
    fn digest(&self, path: &HostPath) -> Result<Option<Digest>> {
        self.at(path).digest(path)
    }
    fn read_link(&self, path: &HostPath) -> Result<Option<String>> {
        self.at(path).read_link(path)
    }
    fn list(&self, _: &HostPath) -> Result<Option<Vec<String>>> {
        Err(self.not_yet())
    }
    fn ask(&self, question: &Question<'_>) -> Result<Answer> {
        match question {
            Question::User(_) | Question::Group(_) | Question::Accounts | Question::Shadow(_) => {
                self.host.ask(question)
            }
            _ => Err(self.not_yet()),
        }
    }
    fn is_running(&self) -> bool {
        self.host.is_running()
    }
    fn now(&self) -> Moment {
        self.host.now()
    }
    fn copy_out(&self, path: &HostPath, to: &mut dyn std::io::Write) -> Result<Option<u64>> {
        self.at(path).copy_out(path, to)
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
    fn prefetch(&self, _: &mut dyn Iterator<Item = &Claim>) {}
    fn at_a_glance(&self) -> Option<Box<dyn HostView + '_>> {
        None
    }
}
