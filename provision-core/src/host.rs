//! What a host can be asked ([`HostView`]) and told ([`Host`]), and what it answers with.

mod accounts;
mod attributes;
mod faulty;
mod forward;
mod homes;
pub(crate) mod lines;
mod local;
mod models;
pub(crate) mod overlay;
mod packages;
mod places;
mod public;
mod questions;
mod sources;
pub(crate) mod system;
pub(crate) mod units;

use serde::{Deserialize, Serialize};

use crate::claim::Claim;
use crate::effect::{Access, Command, Content, Digest, Effect, Output, PlatformEffect, WriteFile};
use crate::error::{Error, ErrorKind, Result};
use crate::moment::Moment;
use crate::path::HostPath;

pub use crate::effect::images::{
    AccountDatabase, AccountLine, Blob, BlobSource, FileAttributes, FileImage, ImageContent,
};
pub use accounts::{Accounts, Group, Shadow, User};
pub(crate) use attributes::{locked, several_names};
pub use faulty::{Fault, Faulty};
pub use homes::effects_of_new_home;
pub use lines::parse_shadow;
pub use local::{
    Age, DigestCache, DirectoryStore, FileIdentity, LocalHost, LocalSystem, LockGuard, LockHolder, Progress, RunLock,
};
#[doc(hidden)]
pub use models::{PackageModel, UnitIndex, UnitModel};
pub(crate) use overlay::Layer;
pub use overlay::{Doubt, Overlay};
pub use packages::{
    PackageAction, PackageChange, PackageEntry, PackageManager, PackageState, PackageStatus, PackageTable,
    TransactionPreview, native_package_name,
};
pub use places::{as_parents_are, in_the_way, in_words_of, make_parents};
pub use questions::{Answer, HostViewExt, Question};
pub use sources::{digest_of_sources, products_are_younger};
pub use units::{is_manager_input, retire_unit_of};

/// A host that can be looked at and not changed.
///
/// All paths are those of the host: with a root directory, `/etc/motd` lies below that directory.
pub trait HostView: Send + Sync {
    /// What lies at a path, without following a link at its end. `None` if nothing is there.
    ///
    /// # Errors
    /// A directory above it cannot be searched, or is none.
    fn metadata(&self, path: &HostPath) -> Result<Option<FileMetadata>>;

    /// What belongs to a file beside what [`metadata`](HostView::metadata) tells, without following a link at its end.
    /// `None` if nothing is there.
    ///
    /// # Errors
    /// It may not be read.
    fn attributes(&self, path: &HostPath) -> Result<Option<FileAttributes>>;

    /// Gives the bytes of a regular file piece by piece, and tells how many there were. `None` if nothing is there.
    ///
    /// # Errors
    /// As [`read`](HostView::read), or `to` takes no more.
    fn copy_out(&self, path: &HostPath, to: &mut dyn std::io::Write) -> Result<Option<u64>> {
        let Some(content) = self.read(path)? else { return Ok(None) };
        to.write_all(content.bytes())?;
        Ok(Some(content.bytes().len() as u64))
    }

    /// The bytes of a regular file. `None` if nothing is there.
    ///
    /// # Errors
    /// It is not a regular file, or may not be read.
    fn read(&self, path: &HostPath) -> Result<Option<Content>>;

    /// The digest of the bytes of a regular file, whatever its size. `None` if nothing is there. A host may remember it for as
    /// long as the file is the same.
    ///
    /// # Errors
    /// As [`read`](HostView::read).
    fn digest(&self, path: &HostPath) -> Result<Option<Digest>> {
        Ok(self.read(path)?.map(|content| Digest::of(content.bytes())))
    }

    /// The text of a symbolic link. `None` if nothing is there.
    ///
    /// # Errors
    /// It is not a link.
    fn read_link(&self, path: &HostPath) -> Result<Option<String>>;

    /// The names in a directory, sorted. `None` if nothing is there.
    ///
    /// # Errors
    /// It is not a directory, or may not be read.
    fn list(&self, path: &HostPath) -> Result<Option<Vec<String>>>;

    /// Answers a question. The methods of [`HostViewExt`] ask them.
    ///
    /// # Errors
    /// See there; or this host cannot be asked that.
    fn ask(&self, question: &Question<'_>) -> Result<Answer>;

    /// Whether units can run here: not so in a root directory, or where no service manager runs.
    fn is_running(&self) -> bool;

    /// What time it is on the host.
    fn now(&self) -> Moment;

    /// How packages and programs behave, where a whole host is modelled.
    #[doc(hidden)]
    fn package_model(&self) -> Option<&dyn PackageModel> {
        None
    }

    /// How the service manager behaves, where a whole host is modelled.
    #[doc(hidden)]
    fn unit_model(&self) -> Option<&dyn UnitModel> {
        None
    }

    /// What is known of unit files already, where a whole host is modelled.
    #[doc(hidden)]
    fn unit_index(&self) -> Option<&dyn UnitIndex> {
        None
    }

    /// The same host, for many looks in a short time: it may keep open what it came by, and see for itself nothing of what
    /// is moved meanwhile. `None` if there is nothing to gain from looking at several things at once.
    ///
    /// It may be asked in a thread that has a table of open files of its own (unshare(2), `CLONE_FILES`): what it opens is not
    /// open for others, so it leaves nothing open in what it shares with them.
    fn at_a_glance(&self) -> Option<Box<dyn HostView + '_>> {
        None
    }

    /// A hint of what will be looked at, so that a host may look at all of it at once.
    fn prefetch(&self, claims: &mut dyn Iterator<Item = &Claim>) {
        let _ = claims;
    }
}

/// A host that can be changed, by nothing but effects.
pub trait Host: HostView {
    /// Carries out an effect. It gives no answer: on a model nothing runs, and what an effect has brought about is found by
    /// looking.
    ///
    /// # Errors
    /// Whatever keeps it from being done; a file is then as it was.
    fn perform(&self, effect: &Effect) -> Result<()>;

    /// As [`perform`](Host::perform), but what it has changed need not survive a loss of power before [`sync`](Host::sync) has
    /// returned: many effects then wait for the disk once.
    ///
    /// # Errors
    /// As [`perform`](Host::perform).
    fn perform_unsynced(&self, effect: &Effect) -> Result<()> {
        self.perform(effect)
    }

    /// Makes what these effects have changed survive a loss of power.
    ///
    /// # Errors
    /// The disk does not take it.
    fn sync(&self, effects: &[Effect]) -> Result<()> {
        let _ = effects;
        Ok(())
    }

    /// Waits until no program is at work any more on what an effect is about, and looks at all of that anew: a run may have
    /// died, and the program that it had started lives on.
    ///
    /// # Errors
    /// A program does not come to an end.
    fn come_to_rest(&self, effect: &Effect) -> Result<()> {
        let _ = effect;
        Ok(())
    }
}

/// The words that `apply` is written in.
pub trait HostExt: Host {
    /// Writes a text file that belongs to root and that all may read (`0644`).
    ///
    /// # Errors
    /// As [`Host::perform`].
    fn write_text(&self, path: &str, text: &str) -> Result<()> {
        let access = Access::root(0o644);
        self.perform(&Effect::WriteFile(WriteFile::new(HostPath::new(path)?, text, access)))?;
        Ok(())
    }

    /// Runs a command, and fails if it does. Its output is nothing to plan with: while planning no command runs. Ask with
    /// [`HostViewExt::query`] for what a program says.
    ///
    /// # Errors
    /// It cannot be started, takes too long, or ends with an error.
    fn run(&self, command: Command) -> Result<()> {
        self.perform(&Effect::Run(command))
    }
}

impl<H: Host + ?Sized> HostExt for H {}

/// What only a distribution knows; [`LocalHost`] is built over one.
///
/// A platform sees the host through [`LocalSystem`] and nothing else, so it works in a root directory as well.
pub trait Platform: Send + Sync {
    /// Answers a question. The host itself answers [`Question::User`], [`Question::Group`] and
    /// [`Question::InterruptedPackages`] from other answers, and [`Question::Query`].
    ///
    /// # Errors
    /// See [`HostView::ask`].
    fn ask(&self, system: &LocalSystem, question: &Question<'_>) -> Result<Answer>;
    /// See [`HostView::is_running`].
    fn runs_units(&self, system: &LocalSystem) -> bool {
        system.is_running()
    }
    /// Carries out an effect on packages, accounts or units.
    fn perform(&self, system: &LocalSystem, effect: &PlatformEffect) -> Result<()>;
    /// See [`Host::come_to_rest`].
    fn come_to_rest(&self, system: &LocalSystem, effect: &PlatformEffect) -> Result<()> {
        let _ = (system, effect);
        Ok(())
    }
    /// Told after every effect on the host, of whatever kind, so that nothing stale is remembered.
    fn forget(&self, effect: &Effect);
    /// See [`HostView::prefetch`].
    fn prefetch(&self, claims: &mut dyn Iterator<Item = &Claim>);
}

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMetadata {
    /// What it is.
    pub kind: FileKind,
    /// Owner, group and permission bits.
    #[serde(flatten)]
    pub access: Access,
    /// Length in bytes; for a link, of its text.
    pub size: u64,
    /// Tells what is mounted where: something that has another number than its directory is the root of a mount. Numbers say
    /// nothing in another process, so they are not written down.
    #[serde(skip)]
    pub mount: u64,
    /// How many names it has; 1 for a directory.
    pub links: u64,
}

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe, see `fifo(7)`.
    Fifo,
    /// A socket.
    Socket,
    /// A device.
    Device,
}

impl FileKind {
    /// With its article: "a directory".
    pub fn noun(self) -> &'static str {
        match self {
            FileKind::File => "a file",
            FileKind::Directory => "a directory",
            FileKind::Symlink => "a symbolic link",
            FileKind::Fifo => "a named pipe (fifo)",
            FileKind::Socket => "a socket",
            FileKind::Device => "a device",
        }
    }

    /// Whether it is something of which no image can be kept: a pipe, a socket or a device.
    pub fn is_special(self) -> bool {
        matches!(self, FileKind::Fifo | FileKind::Socket | FileKind::Device)
    }
}

/// The state of a unit, in systemd's own words; see `systemctl(1)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitState {
    /// `LoadState`: `loaded`, `not-found`, `masked`, `bad-setting`, `error`.
    pub load: String,
    /// `ActiveState`: `active`, `reloading`, `inactive`, `failed`, `activating`, `deactivating`.
    /// `None` where no units run.
    pub active: Option<String>,
    /// `SubState`, such as `running` or `exited`.
    pub sub: Option<String>,
    /// The unit that this name stands for, if it is another name of it (`Alias=`), linked or not.
    #[serde(default)]
    pub alias_of: Option<String>,
    /// `UnitFileState`: `enabled`, `disabled`, `static`, `masked`, `indirect`, `generated` …; empty for a unit without a file.
    /// A unit that is made from an init script is `enabled` or `disabled`, as `systemctl is-enabled` has it, and one whose file
    /// is gone is `enabled` while links to it are left.
    pub file_state: String,
    /// Whether its file has changed since it was read.
    pub needs_reload: bool,
    /// Whether it can reload its configuration.
    pub can_reload: bool,
    /// Whether it ends by itself, with nothing left running (a `oneshot` without `RemainAfterExit`).
    pub ends_by_itself: bool,
    /// How often it was started, where a simulation counts it.
    pub starts: u32,
    /// When it was last started, in microseconds of the clock of [`Moment::monotonic_micros`]; `None` if it was not,
    /// or if that is not known.
    pub started_micros: Option<u64>,
}

impl UnitState {
    /// A unit that does not exist.
    pub fn not_found() -> UnitState {
        UnitState {
            load: "not-found".into(),
            active: None,
            sub: None,
            alias_of: None,
            file_state: String::new(),
            needs_reload: false,
            can_reload: false,
            ends_by_itself: false,
            starts: 0,
            started_micros: None,
        }
    }

    /// Whether there is such a unit.
    pub fn exists(&self) -> bool {
        self.load != "not-found"
    }

    /// Whether it is masked.
    pub fn is_masked(&self) -> bool {
        self.load == "masked" || self.file_state.starts_with("masked")
    }

    /// Whether it runs, or has run to its lasting effect.
    pub fn is_active(&self) -> bool {
        matches!(self.active.as_deref(), Some("active" | "reloading"))
    }
}

/// The error for a new content that the command which checks it refuses.
fn failed_validation(command: &Command, output: &Output, is_confidential: bool) -> Error {
    // What it says may be a part of the content, in whatever quotes.
    let said = if is_confidential { String::new() } else { output.excerpt() };
    let said = if said.is_empty() { format!("exit code {}", output.code) } else { said };
    Error::new(ErrorKind::CommandFailed, "the new content did not pass its validation, so it was not put in place")
        .with_cause(format!("{command}\n{said}"))
}

/// Whether a path is that of a value of the kernel.
pub(crate) fn require_kernel_value(path: &HostPath) -> Result<()> {
    match ["/proc/sys/", "/sys/"].iter().any(|place| path.as_str().starts_with(place)) {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Refused, format!("{path} is no value of the kernel"))),
    }
}

/// The error for a value of the kernel that does not exist.
pub(crate) fn no_kernel_value(path: &HostPath) -> Error {
    Error::new(ErrorKind::NotFound, format!("the kernel has no {path}"))
}

/// The error for the name of a user or group that does not exist.
pub(crate) fn missing_account(what: &str, name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no {what} {name}"))
        .with_hint(format!("declare `{what}.{name}`, or correct the name"))
}

#[deny(clippy::missing_trait_methods)]
impl<H: HostView + ?Sized> HostView for &H {
    crate::forward_view!(at a glance: self => **self);
    crate::forward_view!(files: self => **self);
    crate::forward_view!(rest: self => **self);
    crate::forward_view!(models: self => **self);
    crate::forward_view!(index: self => **self);
}

#[deny(clippy::missing_trait_methods)]
impl<H: HostView + ?Sized> HostView for Box<H> {
    crate::forward_view!(at a glance: self => **self);
    crate::forward_view!(files: self => **self);
    crate::forward_view!(rest: self => **self);
    crate::forward_view!(models: self => **self);
    crate::forward_view!(index: self => **self);
}

impl<H: Host + ?Sized> Host for &H {
    fn perform(&self, effect: &Effect) -> Result<()> {
        (**self).perform(effect)
    }
    fn perform_unsynced(&self, effect: &Effect) -> Result<()> {
        (**self).perform_unsynced(effect)
    }
    fn sync(&self, effects: &[Effect]) -> Result<()> {
        (**self).sync(effects)
    }
    fn come_to_rest(&self, effect: &Effect) -> Result<()> {
        (**self).come_to_rest(effect)
    }
}

impl<H: Host + ?Sized> Host for Box<H> {
    fn perform(&self, effect: &Effect) -> Result<()> {
        (**self).perform(effect)
    }
    fn perform_unsynced(&self, effect: &Effect) -> Result<()> {
        (**self).perform_unsynced(effect)
    }
    fn sync(&self, effects: &[Effect]) -> Result<()> {
        (**self).sync(effects)
    }
    fn come_to_rest(&self, effect: &Effect) -> Result<()> {
        (**self).come_to_rest(effect)
    }
}
