//! A real host, or a root directory: the one place of the core that touches the file system or starts a process.
#![expect(clippy::disallowed_types, reason = "this is the room in which files are opened")]

mod attributes;
mod change;
mod clock;
mod command;
mod confined;
mod digests;
mod glance;
mod locked;
mod perform;
mod remove;
mod restore;
mod stage;
mod state;
mod view;
mod walk;
mod write;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bytes;
use crate::claim::Claim;
use crate::effect::{Command, Content, Digest, Effect, Output};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::{Answer, FileAttributes, FileKind, FileMetadata, Host, HostView, HostViewExt, Platform, Question};
use crate::moment::Moment;
use crate::path::HostPath;

use confined::Root;

pub use confined::{Age, FileIdentity};
pub use digests::DigestCache;
pub use state::{DirectoryStore, LockHolder, RunLock};

/// Told what a long-running command says, line by line.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// The running host, or one that lies in a directory (`--root`, images).
///
/// Nothing that it does to files leaves the root directory, whatever links lie there (`openat2(2)` with
/// `RESOLVE_IN_ROOT`); commands run inside of it (`chroot(8)`).
pub struct LocalHost {
    system: LocalSystem,
    platform: Box<dyn Platform>,
    digests: Option<DigestCache>,
}

/// The files and commands of a host: what a [`Platform`] is given to work with.
pub struct LocalSystem {
    root: Root,
    directory: PathBuf,
    progress: Option<Progress>,
}

/// A lock that is held until this is dropped.
pub struct LockGuard(#[expect(dead_code, reason = "closing the file releases the lock")] std::fs::File);

impl LocalHost {
    /// The host that this program runs on.
    ///
    /// # Errors
    /// The root directory cannot be opened.
    pub fn running(platform: impl Platform + 'static) -> Result<LocalHost> {
        LocalHost::open(Path::new("/"), platform)
    }

    /// A host that lies in a directory. `/` means the running host.
    ///
    /// # Errors
    /// It is not a directory, or cannot be opened.
    pub fn open(directory: &Path, platform: impl Platform + 'static) -> Result<LocalHost> {
        let root = Root::open(directory)
            .while_doing(|| format!("opening the root directory {}", directory.display()))
            .map_err(|error| error.with_hint("--root names a directory that holds a Debian system"))?;
        if nix::sys::stat::stat("/proc/self/fd").is_err() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "/proc is not mounted, and nothing can be written safely without it",
            )
            .while_doing(format!("opening the root directory {}", directory.display()))
            .with_hint("mount it: `mount -t proc proc /proc`, in a chroot as well"));
        }
        // Commands start in `/`, from where a relative path leads elsewhere.
        let directory = directory.canonicalize()?;
        let system = LocalSystem { root, directory, progress: None };
        Ok(LocalHost { system, platform: Box::new(platform), digests: None })
    }

    /// Reports the output of long-running commands to an observer.
    #[must_use]
    pub fn with_progress(mut self, progress: Progress) -> LocalHost {
        self.system.progress = Some(progress);
        self
    }

    /// Reads large files again only if they may have changed.
    #[must_use]
    pub fn with_digests(self, digests: DigestCache) -> LocalHost {
        LocalHost { digests: Some(digests), ..self }
    }

    /// Where the state of this host is kept: `/var/lib/provision`, which is made when something is written.
    ///
    /// # Errors
    /// The root directory cannot be opened.
    pub fn state(&self) -> Result<DirectoryStore> {
        DirectoryStore::new(&self.system.directory, state::STATE)
    }

    /// Where is kept what can be made again: `/var/cache/provision`, which is made when something is written.
    ///
    /// # Errors
    /// The root directory cannot be opened, there is no `/var/cache`, or the directory is not this user's alone.
    pub fn cache(&self) -> Result<DirectoryStore> {
        DirectoryStore::new(&self.system.directory, state::CACHE)?.only_ours()
    }

    /// Takes the lock that lets one run at a time work on this host, `/run/provision/lock`; waits for it as long as
    /// `patience`, and tells `busy` once who holds it.
    ///
    /// # Errors
    /// Another run holds it ([`ErrorKind::Locked`]), or the file cannot be opened.
    pub fn lock_run(
        &self,
        holder: &LockHolder,
        patience: std::time::Duration,
        busy: &dyn Fn(Option<&LockHolder>),
    ) -> Result<RunLock> {
        RunLock::take(&self.system.root, holder, patience, busy).while_doing(|| "taking the lock of this host")
    }
}

impl LocalSystem {
    /// Whether this is the running host, not a root directory.
    pub fn is_running(&self) -> bool {
        self.directory == Path::new("/")
    }

    /// See [`HostView::read`].
    ///
    /// # Errors
    /// As there.
    pub fn read(&self, path: &HostPath) -> Result<Option<Content>> {
        self.root.read(path).while_doing(|| format!("reading {path}"))
    }

    /// The text of a file as [`bytes`] has it, so that none of its bytes is lost. `None` if nothing is there.
    ///
    /// # Errors
    /// As [`HostView::read`].
    pub fn read_text(&self, path: &str) -> Result<Option<String>> {
        let content = self.read(&HostPath::new(path)?)?;
        Ok(content.map(|content| bytes::from_bytes(content.bytes()).into_owned()))
    }

    /// See [`HostView::list`].
    ///
    /// # Errors
    /// As there.
    pub fn list(&self, path: &HostPath) -> Result<Option<Vec<String>>> {
        self.root.list(path).while_doing(|| format!("listing {path}"))
    }

    /// See [`HostView::now`].
    pub fn now(&self) -> Moment {
        clock::now()
    }

    /// What lies at a path, without following a link at its end. `None` if nothing is there.
    ///
    /// # Errors
    /// A directory above it cannot be searched.
    pub fn kind(&self, path: &HostPath) -> Result<Option<FileKind>> {
        let found = self.root.metadata(path).while_doing(|| format!("reading {path}"))?;
        Ok(found.map(|found| found.kind))
    }

    /// Whether a regular file lies at a path that may be executed.
    ///
    /// # Errors
    /// A directory above it cannot be searched.
    pub fn is_program(&self, path: &HostPath) -> Result<bool> {
        let found = self.root.metadata(path).while_doing(|| format!("reading {path}"))?;
        Ok(found.is_some_and(|found| found.kind == FileKind::File && found.mode.bits() & 0o111 != 0))
    }

    /// See [`HostView::read_link`].
    ///
    /// # Errors
    /// As there.
    pub fn read_link(&self, path: &HostPath) -> Result<Option<String>> {
        self.root.read_link(path).while_doing(|| format!("reading the link {path}"))
    }

    /// How long a path is as it is; `None` if nothing is there.
    ///
    /// # Errors
    /// A directory above it cannot be searched.
    pub fn age(&self, path: &HostPath) -> Result<Option<Age>> {
        self.root.age(path).while_doing(|| format!("looking at {path}"))
    }

    /// What tells a file from others that were at its path before. `None` if nothing is there.
    ///
    /// # Errors
    /// A directory above it cannot be searched.
    pub fn identity(&self, path: &HostPath) -> Result<Option<FileIdentity>> {
        let found = self.root.stat(path).while_doing(|| format!("looking at {path}"))?;
        Ok(found.as_ref().map(FileIdentity::new))
    }

    /// Who holds a POSIX lock on a file: the number of the process. `None` if no process does or there is no such file.
    ///
    /// # Errors
    /// The file may not be opened.
    pub fn lock_holder(&self, path: &HostPath) -> Result<Option<i32>> {
        self.root.lock_holder(path).while_doing(|| format!("asking who locks {path}"))
    }

    /// The name of a running process, as `ps` has it. Processes are those of the running host, whatever the root is.
    pub fn process_name(&self, process: i32) -> Option<String> {
        #[expect(clippy::disallowed_methods, reason = "`/proc` belongs to this host, not to the root directory")]
        let name = std::fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    }

    /// Writes a file of the platform's own from host text, readable by all and executable if asked for.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &HostPath, text: &str, mode: crate::path::Mode) -> Result<()> {
        self.root.write_bytes(path, &bytes::to_bytes(text), (0, 0), mode)
    }

    /// Replaces the text of a file by other host text, see [`bytes`], and keeps its owner and mode.
    ///
    /// # Errors
    /// It is not there, or cannot be written.
    pub fn rewrite(&self, path: &HostPath, text: &str) -> Result<()> {
        let Some(stat) = self.root.stat(path)? else {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no {path}")));
        };
        let mode = crate::path::Mode::new(stat.st_mode);
        self.root.write_bytes(path, &bytes::to_bytes(text), (stat.st_uid, stat.st_gid), mode)
    }

    /// Takes a POSIX lock on a file, which is created if need be; held until the guard is dropped.
    ///
    /// # Errors
    /// Another process holds it, or the file cannot be opened.
    pub fn lock(&self, path: &HostPath) -> Result<LockGuard> {
        self.root.lock(path).map(LockGuard).while_doing(|| format!("locking {path}"))
    }

    /// Removes a file of the platform's own.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, path: &HostPath) -> Result<()> {
        self.root.remove(path, crate::effect::Removal::File)
    }

    /// Runs a command inside of the root directory and waits for it. An exit code other than 0 is no error here.
    ///
    /// # Errors
    /// It cannot be started, or takes longer than it may.
    pub fn run(&self, command: &Command) -> Result<Output> {
        self.run_watched(command, &|_| {})
    }

    /// As [`run`](LocalSystem::run), with an observer of each line of its standard output.
    ///
    /// # Errors
    /// As there.
    pub fn run_watched(&self, command: &Command, watch: &(dyn Fn(&str) + Sync)) -> Result<Output> {
        let root = (!self.is_running()).then_some(self.directory.as_path());
        command::run(command, root, command::Rest::GoesOn, watch).while_doing(|| format!("running {command}"))
    }

    /// Tells whoever watches what is going on; nothing that a program has read from files of the host, for there may be
    /// secrets in it.
    pub fn progress(&self, line: &str) {
        if let Some(progress) = &self.progress {
            progress(line);
        }
    }

    /// Runs a command that must succeed.
    ///
    /// # Errors
    /// As [`run`](LocalSystem::run), or it ends with another exit code than 0.
    pub fn run_ok(&self, command: &Command) -> Result<Output> {
        let output = self.run(command)?;
        if output.success() {
            return Ok(output);
        }
        Err(Error::new(ErrorKind::CommandFailed, format!("exit code {}", output.code))
            .while_doing(format!("running {command}"))
            .with_cause(output.excerpt()))
    }
}

impl HostView for LocalHost {
    fn metadata(&self, path: &HostPath) -> Result<Option<FileMetadata>> {
        let found = self.system.root.metadata(path).while_doing(|| format!("looking at {path}"))?;
        let Some(raw) = found else { return Ok(None) };
        let accounts = self.accounts()?;
        let (owner, group) = (raw.owner(&accounts), raw.group(&accounts));
        Ok(Some(raw.owned_by(owner, group)))
    }
    fn attributes(&self, path: &HostPath) -> Result<Option<FileAttributes>> {
        self.system.root.attributes(path).while_doing(|| format!("looking at {path}"))
    }
    fn copy_out(&self, path: &HostPath, to: &mut dyn Write) -> Result<Option<u64>> {
        self.system.root.copy_out(path, to).while_doing(|| format!("reading {path}"))
    }
    fn read(&self, path: &HostPath) -> Result<Option<Content>> {
        self.system.read(path)
    }
    fn digest(&self, path: &HostPath) -> Result<Option<Digest>> {
        let doing = || format!("reading {path}");
        let Some((mut file, _)) = self.system.root.open_file(path).while_doing(doing)? else { return Ok(None) };
        let digest = match &self.digests {
            Some(digests) => digests.digest(&format!("{}{path}", self.system.directory.display()), &mut file),
            None => digests::digest_of(&mut file),
        };
        digest.map(Some).while_doing(doing)
    }
    fn read_link(&self, path: &HostPath) -> Result<Option<String>> {
        self.system.read_link(path)
    }
    fn list(&self, path: &HostPath) -> Result<Option<Vec<String>>> {
        self.system.list(path)
    }
    fn ask(&self, question: &Question<'_>) -> Result<Answer> {
        Ok(match question {
            Question::User(name) => Answer::User(self.accounts()?.users.get(*name).cloned()),
            Question::Group(name) => Answer::Group(self.accounts()?.groups.get(*name).cloned()),
            Question::InterruptedPackages => Answer::InterruptedPackages(self.package_manager()?.interrupted),
            Question::Query(command) => Answer::Query(self.system.run(command)?),
            Question::QueryWith(command, staged) => Answer::QueryWith(self.run_in_view(command, staged)?),
            // The platform names each that there is.
            _ => self.platform.ask(&self.system, question)?,
        })
    }
    fn is_running(&self) -> bool {
        self.platform.runs_units(&self.system)
    }
    fn now(&self) -> Moment {
        clock::now()
    }
    fn at_a_glance(&self) -> Option<Box<dyn HostView + '_>> {
        Some(Box::new(glance::Glance::new(self).ok()?))
    }
    fn prefetch(&self, claims: &mut dyn Iterator<Item = &Claim>) {
        self.platform.prefetch(claims);
    }
}

impl Host for LocalHost {
    fn come_to_rest(&self, effect: &Effect) -> Result<()> {
        let rested = if let Effect::Platform(effect) = effect {
            self.platform.come_to_rest(&self.system, effect)
        } else {
            Ok(())
        };
        self.platform.forget(effect);
        rested
    }

    fn perform(&self, effect: &Effect) -> Result<()> {
        self.perform_unsynced(effect)?;
        self.sync(std::slice::from_ref(effect)).while_doing(|| effect.to_string())
    }

    fn perform_unsynced(&self, effect: &Effect) -> Result<()> {
        let outcome = self.carry_out(effect);
        self.platform.forget(effect);
        outcome.while_doing(|| effect.to_string())
    }

    fn sync(&self, effects: &[Effect]) -> Result<()> {
        let touched = effects.iter().flat_map(Effect::touches);
        self.system.root.sync_removals(touched.filter(|thing| thing.is_removed()).filter_map(|thing| thing.path()))
    }
}
