//! A real host, or a root directory: the one place of the core that touches the file system or starts a process.
#![expect(clippy::disallowed_types, reason = "this is the room in which files are opened")]

mod attributes;
mod change;
mod clock;
mod command;
mod confined;
mod locked;
mod remove;
mod restore;
mod stage;
mod state;
mod walk;
mod write;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::effect::{AclSubject, Command, Content, Effect, Output, PackageTransaction};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::{
    AccountLine, Accounts, FileAttributes, FileMetadata, Group, Host, HostView, PackageManager, PackageState,
    PackageTable, Platform, Shadow, TransactionPreview, UnitState, User, missing_account,
};
use crate::moment::Moment;
use crate::path::HostPath;
use crate::resource::Claim;

use change::Changes;
use confined::Root;
use write::{Belongings, Others};

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
        // Commands start in `/`, from where a relative path leads elsewhere.
        let directory = directory.canonicalize()?;
        let system = LocalSystem { root, directory, progress: None };
        Ok(LocalHost { system, platform: Box::new(platform) })
    }

    /// Lets somebody watch what long-running commands say.
    #[must_use]
    pub fn with_progress(mut self, progress: Progress) -> LocalHost {
        self.system.progress = Some(progress);
        self
    }

    /// Where the state of this host is kept: `/var/lib/provision`, which is made when something is written.
    ///
    /// # Errors
    /// The root directory cannot be opened.
    pub fn state(&self) -> Result<DirectoryStore> {
        DirectoryStore::new(&self.system.directory)
    }

    /// Takes the lock that lets one run at a time work on this host, `/run/provision.lock`; waits for it as long as
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

    fn resolve_access(&self, owner: Option<&str>, group: Option<&str>) -> Result<(Option<u32>, Option<u32>)> {
        let accounts = self.accounts()?;
        let uid = owner.map(|name| {
            lookup(name, accounts.users.get(name).map(|user| user.uid)).ok_or_else(|| missing_account("user", name))
        });
        let gid = group.map(|name| {
            lookup(name, accounts.groups.get(name).map(|group| group.gid)).ok_or_else(|| missing_account("group", name))
        });
        Ok((uid.transpose()?, gid.transpose()?))
    }

    fn perform_on_files(&self, effect: &Effect) -> Result<()> {
        let root = &self.system.root;
        let access = |owner: &str, group: &str| -> Result<(u32, u32)> {
            let (uid, gid) = self.resolve_access(Some(owner), Some(group))?;
            Ok((uid.unwrap_or_default(), gid.unwrap_or_default()))
        };
        let numbers = |subject: &AclSubject| self.number_of(subject);
        match effect {
            Effect::WriteFile(file) => {
                let belongings = Belongings {
                    owner: access(&file.access.owner, &file.access.group)?,
                    mode: file.access.mode,
                    hard_links: file.hard_links,
                    confidential: file.content.is_sensitive(),
                    others: Others::Kept(&file.attributes, &numbers),
                };
                let fill = |new: &mut std::fs::File| Ok(new.write_all(file.content.bytes())?);
                let check = |staged: &HostPath| match &file.validate {
                    Some(command) => self.validate(command, staged, file.content.is_sensitive()),
                    None => Ok(()),
                };
                root.write_file(&file.path, &belongings, fill, check)
            }
            Effect::CopyFile { from, to } => root.copy_file(from, to),
            Effect::CreateDirectory { path, access: wanted, attributes } => {
                let (uid, gid) = access(&wanted.owner, &wanted.group)?;
                let owner = (Some(uid), Some(gid));
                let changes = Changes { owner, mode: Some(wanted.mode), attributes, numbers: &numbers };
                root.create_directory(path, |directory| changes.make_to(directory))
            }
            Effect::CreateSymlink { path, target, owner, group } => {
                root.create_symlink(path, target, access(owner, group)?, |_| Ok(()))
            }
            Effect::SetMetadata { path, owner, group, mode, attributes } => {
                let owner = self.resolve_access(owner.as_deref(), group.as_deref())?;
                root.set_metadata(path, &Changes { owner, mode: *mode, attributes, numbers: &numbers })
            }
            Effect::Restore(image) => root.restore(image, access(&image.access.owner, &image.access.group)?),
            Effect::Remove { path, what } => root.remove(path, *what),
            _ => Err(Error::new(ErrorKind::Unsupported, "this is no effect on files")),
        }
    }

    fn number_of(&self, subject: &AclSubject) -> Result<u32> {
        let (uid, gid) = match subject {
            AclSubject::User(name) => self.resolve_access(Some(name), None)?,
            AclSubject::Group(name) => self.resolve_access(None, Some(name))?,
            _ => (None, None),
        };
        Ok(uid.or(gid).unwrap_or(u32::MAX))
    }

    fn validate(&self, command: &Command, staged: &HostPath, confidential: bool) -> Result<()> {
        let mut command = command.clone();
        for argument in &mut command.argv {
            *argument = argument.replace('%', staged.as_str());
        }
        let output = self.system.run(&command)?;
        if output.success() {
            return Ok(());
        }
        // What it says may be a part of the content, in whatever quotes.
        let said = if confidential { format!("exit code {}", output.code) } else { last_words(&output) };
        Err(Error::new(ErrorKind::CommandFailed, "the new content did not pass its validation, so the old file stays")
            .with_cause(format!("{command}\n{said}")))
    }
}

/// A number where a name has none; `root` is 0 even where there are no account files yet.
fn lookup(name: &str, known: Option<u32>) -> Option<u32> {
    known.or_else(|| if name == "root" { Some(0) } else { name.parse().ok() })
}

/// The end of what a failed command said, for people.
pub(crate) fn last_words(output: &Output) -> String {
    let said = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
    let lines: Vec<&str> = said.trim_end().lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
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

    /// The text of a file, its invalid UTF-8 replaced. `None` if nothing is there.
    ///
    /// # Errors
    /// As [`HostView::read`].
    pub fn read_text(&self, path: &str) -> Result<Option<String>> {
        let content = self.read(&HostPath::new(path)?)?;
        Ok(content.map(|content| String::from_utf8_lossy(content.bytes()).into_owned()))
    }

    /// See [`HostView::list`].
    ///
    /// # Errors
    /// As there.
    pub fn list(&self, path: &HostPath) -> Result<Option<Vec<String>>> {
        self.root.list(path).while_doing(|| format!("listing {path}"))
    }

    /// See [`HostView::read_link`].
    ///
    /// # Errors
    /// As there.
    pub fn read_link(&self, path: &HostPath) -> Result<Option<String>> {
        self.root.read_link(path).while_doing(|| format!("reading the link {path}"))
    }

    /// Seconds since a path was last modified; `None` if nothing is there.
    ///
    /// # Errors
    /// A directory above it cannot be searched.
    pub fn age(&self, path: &HostPath) -> Result<Option<u64>> {
        self.root.age(path).while_doing(|| format!("looking at {path}"))
    }

    /// Who holds a POSIX lock on a file: the number of the process. `None` if nobody does or there is no such file.
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

    /// Writes a file of the platform's own, readable by all and executable if asked for.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &HostPath, text: &str, mode: crate::path::Mode) -> Result<()> {
        self.root.write_bytes(path, text.as_bytes(), (0, 0), mode)
    }

    /// Replaces the text of a file and keeps its owner and mode.
    ///
    /// # Errors
    /// It is not there, or cannot be written.
    pub fn rewrite(&self, path: &HostPath, text: &str) -> Result<()> {
        let Some(stat) = self.root.stat(path)? else {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no {path}")));
        };
        let mode = crate::path::Mode::new(stat.st_mode);
        self.root.write_bytes(path, text.as_bytes(), (stat.st_uid, stat.st_gid), mode)
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

    /// As [`run`](LocalSystem::run), with somebody who is told each line of its standard output.
    ///
    /// # Errors
    /// As there.
    pub fn run_watched(&self, command: &Command, watch: &(dyn Fn(&str) + Sync)) -> Result<Output> {
        let root = (!self.is_running()).then_some(self.directory.as_path());
        command::run(command, root, watch).while_doing(|| format!("running {command}"))
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
            .with_cause(last_words(&output)))
    }
}

impl HostView for LocalHost {
    fn metadata(&self, path: &HostPath) -> Result<Option<FileMetadata>> {
        let found = self.system.root.metadata(path).while_doing(|| format!("looking at {path}"))?;
        let Some(raw) = found else { return Ok(None) };
        let accounts = self.accounts()?;
        let name = |known: Option<&str>, number: u32| match known {
            Some(name) => name.to_owned(),
            None if number == 0 => "root".to_owned(),
            None => number.to_string(),
        };
        let owner = name(accounts.user_name(raw.uid), raw.uid);
        let group = name(accounts.group_name(raw.gid), raw.gid);
        Ok(Some(raw.named(owner, group)))
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
    fn read_link(&self, path: &HostPath) -> Result<Option<String>> {
        self.system.read_link(path)
    }
    fn list(&self, path: &HostPath) -> Result<Option<Vec<String>>> {
        self.system.list(path)
    }
    fn package(&self, name: &str) -> Result<PackageState> {
        self.platform.package(&self.system, name)
    }
    fn available_versions(&self, name: &str) -> Result<Vec<String>> {
        self.platform.available_versions(&self.system, name)
    }
    fn package_manager(&self) -> Result<PackageManager> {
        self.platform.package_manager(&self.system)
    }
    fn preview(&self, transaction: &PackageTransaction) -> Result<TransactionPreview> {
        self.platform.preview(&self.system, transaction)
    }
    fn package_of(&self, path: &HostPath) -> Result<Option<String>> {
        self.platform.package_of(&self.system, path)
    }
    fn unit(&self, name: &str) -> Result<UnitState> {
        self.platform.unit(&self.system, name)
    }
    fn user(&self, name: &str) -> Result<Option<User>> {
        Ok(self.accounts()?.users.get(name).cloned())
    }
    fn group(&self, name: &str) -> Result<Option<Group>> {
        Ok(self.accounts()?.groups.get(name).cloned())
    }
    fn accounts(&self) -> Result<Arc<Accounts>> {
        self.platform.accounts(&self.system)
    }
    fn shadow(&self, user: &str) -> Result<Option<Shadow>> {
        self.platform.shadow(&self.system, user)
    }
    fn query(&self, command: &Command) -> Result<Output> {
        self.system.run(command)
    }
    fn packages(&self) -> Result<Arc<PackageTable>> {
        self.platform.packages(&self.system)
    }
    fn account_lines(&self, users: &[&str], groups: &[&str]) -> Result<Vec<AccountLine>> {
        self.platform.account_lines(&self.system, users, groups)
    }
    fn is_running(&self) -> bool {
        self.system.is_running()
    }
    fn now(&self) -> Moment {
        clock::now()
    }
    fn prefetch(&self, claims: &[Claim]) {
        self.platform.prefetch(claims);
    }
}

impl Host for LocalHost {
    fn perform(&self, effect: &Effect) -> Result<Output> {
        let outcome = match effect {
            Effect::WriteFile(_)
            | Effect::CopyFile { .. }
            | Effect::CreateDirectory { .. }
            | Effect::CreateSymlink { .. }
            | Effect::SetMetadata { .. }
            | Effect::Restore(_)
            | Effect::Remove { .. } => {
                let done = self.perform_on_files(effect).map(|()| Output::default());
                done.map_err(|error| self.system.root.explain(effect, error))
            }
            Effect::Run(command) => self.system.run_ok(command),
            _ => self.platform.perform(&self.system, effect),
        };
        self.platform.forget(effect);
        outcome.while_doing(|| effect.to_string())
    }
}
