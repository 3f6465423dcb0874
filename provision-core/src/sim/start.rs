//! What a simulated host begins with: the words in which a test says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::debian::Given;
use super::programs::CommandScript;
use super::record::{HostRecord, RecordedHost};
use super::{Beginning, SimHost, data};
use crate::effect::{
    Access, Content, CreateUser, Effect, FileFlags, Output, PackageRequest, PackageTransaction, PlatformEffect,
    Removal, UnitAction, UserChanges,
};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{FileKind, Host, HostView, HostViewExt, PackageState, UnitState};
use crate::path::{HostPath, Mode};

/// The minimal installation of a release.
pub(super) fn base(release: &str) -> Result<RecordedHost> {
    static BUILT_IN: Mutex<BTreeMap<String, RecordedHost>> = Mutex::new(BTreeMap::new());
    let text = data::host(release).ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, format!("no host of Debian {release} was recorded"))
            .with_hint("simulated hosts are Debian 12 and 13")
    })?;
    let mut known = BUILT_IN.lock().unwrap_or_else(PoisonError::into_inner);
    let recorded = || RecordedHost::new(HostRecord::from_json(text).expect("the built-in record is well-formed"));
    Ok(known.entry(release.to_owned()).or_insert_with(recorded).clone())
}

#[track_caller]
fn path(text: &str) -> HostPath {
    match HostPath::new(text) {
        Ok(path) => path,
        Err(error) => panic!("{error}"),
    }
}

/// What installs a package of the catalogue.
fn installing(name: &str) -> PackageTransaction {
    let request = PackageRequest { name: name.to_owned(), version: None };
    PackageTransaction { install: vec![request], ..PackageTransaction::default() }
}

impl SimHost {
    #[track_caller]
    fn put(mut self, at: &str, kind: FileKind, mode: u32, data: Option<Content>) -> SimHost {
        let at = path(at);
        let missing = self.missing_above(&at);
        self.machine().make_directories(&at).expect("directories can be put there");
        self.machine().place(&at, kind, Access::root(mode), data).expect("it can be put there");
        self.note_path(&at, missing);
        self
    }

    fn give(&self, change: impl FnOnce(&mut Given)) {
        self.machine().given(change);
    }

    /// Performs an effect that the host begins with.
    #[track_caller]
    fn begin(self, effect: Effect) -> SimHost {
        if let Err(error) = self.perform(&effect) {
            let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
            panic!("the host cannot begin like that: {error}{hint}");
        }
        self.take_effects();
        self.noting(Beginning::of(effect))
    }

    /// With a file that belongs to root (`0644`), and the directories above it.
    ///
    /// # Panics
    /// If the path is not absolute.
    #[must_use]
    #[track_caller]
    pub fn with_file(self, at: &str, content: impl Into<Content>) -> SimHost {
        self.put(at, FileKind::File, 0o644, Some(content.into()))
    }

    /// With a directory that belongs to root (`0755`). What lies in one that is there stays.
    ///
    /// # Panics
    /// If the path is not absolute.
    #[must_use]
    #[track_caller]
    pub fn with_directory(self, at: &str) -> SimHost {
        let is_there = self.metadata(&path(at)).ok().flatten().is_some_and(|found| found.kind == FileKind::Directory);
        if is_there {
            return self.with_access(at, "root", "root", 0o755);
        }
        self.put(at, FileKind::Directory, 0o755, None)
    }

    /// With a named pipe, a socket or a device of root (`0600`), whatever was at the path. Real hosts cannot be given it.
    ///
    /// # Panics
    /// If the path is not absolute, or the kind is another one.
    #[must_use]
    #[track_caller]
    pub fn with_special(self, at: &str, kind: FileKind) -> SimHost {
        assert!(kind.is_special(), "{} is not special", kind.noun());
        let path = path(at);
        self.machine().make_directories(&path).expect("directories can be put there");
        self.machine().place(&path, kind, Access::root(0o600), None).expect("it can be put there");
        self
    }

    /// Without what the installation has at a path: a file, a link, or a directory with all in it. Nothing happens if
    /// nothing is there.
    ///
    /// # Panics
    /// If the path is not absolute, or lies below a file.
    #[must_use]
    #[track_caller]
    pub fn without(self, at: &str) -> SimHost {
        let path = path(at);
        let what = match self.metadata(&path).expect("it can be looked at") {
            None => return self,
            Some(found) if found.kind == FileKind::Directory => Removal::Tree,
            Some(_) => Removal::File,
        };
        self.begin(Effect::Remove { path, what })
    }

    /// With a symbolic link.
    ///
    /// # Panics
    /// If the path is not absolute.
    #[must_use]
    #[track_caller]
    pub fn with_link(self, at: &str, target: &str) -> SimHost {
        self.put(at, FileKind::Symlink, 0o777, Some(target.into()))
    }

    /// With one more name for a file that is there.
    ///
    /// # Panics
    /// If a path is not absolute.
    #[must_use]
    #[track_caller]
    pub fn with_hard_link(mut self, at: &str, of: &str) -> SimHost {
        let missing = self.missing_above(&path(at));
        self.machine().make_directories(&path(at)).expect("directories can be put there");
        self.machine().place_hard_link(&path(at), &path(of)).expect("the file can have another name");
        missing.iter().rev().for_each(|directory| self.note_image(directory, true));
        self.noting(Beginning::HardLink { at: path(at), of: path(of) })
    }

    /// With another owner, group and mode for what is at a path.
    ///
    /// # Panics
    /// If nothing is there, or there are no accounts of these names.
    #[must_use]
    #[track_caller]
    pub fn with_access(self, at: &str, owner: &str, group: &str, mode: u32) -> SimHost {
        self.begin(Effect::SetMetadata {
            path: path(at),
            owner: Some(owner.to_owned()),
            group: Some(group.to_owned()),
            mode: Some(Mode::new(mode)),
            attributes: crate::effect::AttributeChanges::default(),
        })
    }

    /// With extended attributes and flags of what is at a path.
    ///
    /// # Panics
    /// If the path is not absolute.
    #[must_use]
    #[track_caller]
    pub fn with_attributes(mut self, at: &str, xattrs: &[(&str, Content)], flags: FileFlags) -> SimHost {
        self.machine().place_attributes(&path(at), xattrs, flags).expect("attributes can be put there");
        self.note_image(&path(at), false);
        self
    }

    /// With a directory that another file system is mounted on.
    ///
    /// # Panics
    /// If the path is not absolute.
    #[must_use]
    #[track_caller]
    pub fn with_mount(self, at: &str) -> SimHost {
        let host = self.with_directory(at);
        host.machine().mount(&path(at), false).expect("the directory is there");
        host.noting(Beginning::Simulated("a mounted file system"))
    }

    /// With a directory that another file system is mounted on, which can only be read.
    ///
    /// # Panics
    /// If the path is not absolute.
    #[must_use]
    #[track_caller]
    pub fn with_read_only_mount(self, at: &str) -> SimHost {
        let host = if self.file(at).exists() { self } else { self.with_directory(at) };
        host.machine().mount(&path(at), true).expect("the directory is there");
        host.noting(Beginning::Simulated("a mounted file system"))
    }

    /// With so many bytes left on the disk.
    #[must_use]
    pub fn with_free_space(self, bytes: u64) -> SimHost {
        self.machine().set_free_space(bytes);
        self.noting(Beginning::Simulated("a disk with so many bytes left"))
    }

    /// With a package of the catalogue installed, and all that it depends on.
    ///
    /// # Panics
    /// If the catalogue does not have it.
    #[must_use]
    #[track_caller]
    pub fn with_package(self, name: &str) -> SimHost {
        self.begin(Effect::Platform(PlatformEffect::Packages(installing(name))))
    }

    /// With a package in a state, whatever the catalogue says.
    #[must_use]
    pub fn with_package_state(self, name: &str, state: PackageState) -> SimHost {
        self.machine().set_package(name, state);
        self.noting(Beginning::Simulated("a package in a given state"))
    }

    /// With a package of the catalogue that was unpacked, and whose installation was then interrupted.
    ///
    /// # Panics
    /// If the catalogue does not have it, or it is installed.
    #[must_use]
    #[track_caller]
    pub fn with_interrupted_package(self, name: &str) -> SimHost {
        let transaction = installing(name);
        let steps = match self.preview(&transaction) {
            Ok(preview) => preview.steps_of_dpkg(),
            Err(error) => panic!("the host cannot begin like that: {error}; {}", error.hint().unwrap_or_default()),
        };
        assert!(steps > 0, "the host cannot begin like that: {name} is installed");
        // All are unpacked, and all but the last one are configured.
        self.give(|given| given.steps_until_killed = Some(steps - 1));
        let _ = self.perform(&Effect::Platform(PlatformEffect::Packages(transaction)));
        self.take_effects();
        self.noting(Beginning::InterruptedPackage(name.to_owned()))
    }

    /// With a dpkg that is killed in the next transaction, after so many packages were removed, unpacked or configured.
    #[must_use]
    pub fn with_dpkg_killed_after(self, steps: usize) -> SimHost {
        self.give(|given| given.steps_until_killed = Some(steps));
        self.noting(Beginning::Simulated("a dpkg that is killed"))
    }

    /// With a package that upgrades leave alone.
    #[must_use]
    #[track_caller]
    pub fn with_held_package(self, name: &str) -> SimHost {
        self.begin(Effect::Platform(PlatformEffect::Packages(PackageTransaction {
            hold: vec![name.to_owned()],
            ..PackageTransaction::default()
        })))
    }

    /// With these versions of a package on offer, the preferred one first.
    #[must_use]
    pub fn with_available_versions(self, name: &str, versions: &[&str]) -> SimHost {
        let versions = versions.iter().map(|version| (*version).to_owned()).collect();
        self.give(|given| drop(given.available.insert(name.to_owned(), versions)));
        self.noting(Beginning::Simulated("given versions on offer"))
    }

    /// With package lists that were fetched so many seconds ago; `None` if they never were.
    #[must_use]
    pub fn with_lists_age(self, lists_age: Option<u64>) -> SimHost {
        self.give(|given| given.lists_age = Some(lists_age));
        self.noting(Beginning::Simulated("package lists of a given age"))
    }

    /// Lets the `postinst` script of a package fail; see `deb-postinst(5)`.
    #[must_use]
    pub fn with_failing_scripts(self, name: &str) -> SimHost {
        self.give(|given| {
            given.failing_scripts.insert(name.to_owned());
        });
        self
    }

    /// Lets the archive have other files than the package lists say, until they are fetched: what is to be installed is not
    /// found there.
    #[must_use]
    pub fn with_moved_archive(self) -> SimHost {
        self.give(|given| given.archive_moved = true);
        self
    }

    /// With another program that holds the lock of the package database for longer than anybody waits.
    #[must_use]
    pub fn with_package_lock(self, holder: &str) -> SimHost {
        self.give(|given| given.package_lock = Some(holder.to_owned()));
        self.noting(Beginning::Simulated("a package database that is locked"))
    }

    /// As a directory that holds an installation, in which no unit runs. What comes later is as in one.
    #[must_use]
    pub fn switched_off(self) -> SimHost {
        self.give(|given| given.switched_off = true);
        self.noting(Beginning::Simulated("no unit running"))
    }

    /// With a user, its group of the same name and its home directory.
    ///
    /// # Panics
    /// If the user exists already.
    #[must_use]
    #[track_caller]
    pub fn with_user(self, name: &str) -> SimHost {
        let user =
            CreateUser { name: name.to_owned(), system: false, create_home: true, attributes: UserChanges::default() };
        self.begin(Effect::Platform(PlatformEffect::CreateUser(user)))
    }

    /// With a group.
    ///
    /// # Panics
    /// If the group exists already.
    #[must_use]
    #[track_caller]
    pub fn with_group(self, name: &str) -> SimHost {
        self.begin(Effect::Platform(PlatformEffect::CreateGroup { name: name.to_owned(), gid: None, system: false }))
    }

    /// With a unit in a state, whatever its files say.
    #[must_use]
    pub fn with_unit(self, name: &str, state: UnitState) -> SimHost {
        self.machine().set_unit(name, state);
        self.noting(Beginning::Simulated("a unit in a given state"))
    }

    /// With a unit that was started, after the service manager has read its files.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    #[track_caller]
    pub fn with_started_unit(self, name: &str) -> SimHost {
        let start =
            Effect::Platform(PlatformEffect::Unit { unit: super::looks::unit_name(name), action: UnitAction::Start });
        self.begin(Effect::Platform(PlatformEffect::ReloadUnits)).begin(start)
    }

    /// With a unit that starts, restarts and reloads only if this says so: an error is why it does not.
    #[must_use]
    pub fn with_unit_script(
        self,
        name: &str,
        script: impl Fn(&dyn HostView, UnitAction) -> Result<()> + Send + Sync + 'static,
    ) -> SimHost {
        self.give(|given| drop(given.unit_scripts.insert(super::looks::unit_name(name), Arc::new(script))));
        self.noting(Beginning::Simulated("a unit that follows a script"))
    }

    /// With a unit that never starts.
    #[must_use]
    pub fn with_failing_unit(self, name: &str) -> SimHost {
        self.with_unit_script(name, |_, _| Err(Error::new(ErrorKind::CommandFailed, "the test lets it fail")))
    }

    /// With a command that gives this answer; named by its first words, as many as should count (`nginx`, `nginx -t`).
    /// Commands that are not known are errors.
    #[must_use]
    pub fn with_command(self, words: &str, output: Output) -> SimHost {
        self.give(|given| drop(given.commands.insert(words.to_owned(), output.into())));
        self.noting(Beginning::Simulated("a command that gives a certain answer"))
    }

    /// With a command that does these things to the host.
    #[must_use]
    pub fn with_command_effects(self, words: &str, effects: Vec<Effect>) -> SimHost {
        let script = CommandScript { output: Output::default(), effects };
        self.give(|given| drop(given.commands.insert(words.to_owned(), script)));
        self.noting(Beginning::Simulated("a command that does certain things"))
    }
}
