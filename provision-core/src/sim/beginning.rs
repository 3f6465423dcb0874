//! What a simulated host was made to begin with, as plain data: so that a real one can be brought to the same.

use super::SimHost;
use crate::effect::{Command, Effect, PackageOptions, PackageTransaction, PlatformEffect, Removal};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{FileAttributes, FileImage, FileKind, Host, HostView, HostViewExt, ImageContent, is_manager_input};
use crate::path::HostPath;

/// One thing that a simulated host was made to begin with.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Beginning {
    /// What an effect does.
    Effect(Box<Effect>),
    /// One more name for a file.
    HardLink {
        /// The new name.
        at: HostPath,
        /// The file.
        of: HostPath,
    },
    /// A package that was unpacked, and whose installation was then interrupted.
    InterruptedPackage(String),
    /// What a real host cannot be given, in words.
    Simulated(&'static str),
}

impl Beginning {
    pub(super) fn of(effect: Effect) -> Beginning {
        Beginning::Effect(Box::new(effect))
    }

    /// Brings it about on another host.
    ///
    /// # Errors
    /// It cannot be had there; always so for what only a simulated host can be given.
    pub fn bring_about(&self, host: &dyn Host) -> Result<()> {
        let effect = match self {
            Beginning::Effect(effect) => (**effect).clone(),
            Beginning::HardLink { at, of } => Effect::Run(Command::new(["ln", of.as_str(), at.as_str()])),
            Beginning::InterruptedPackage(name) => {
                // What apt-get(8) does before the moment at which it is interrupted.
                let fetch = format!("cd /var/cache/apt/archives && apt-get -q download {name}");
                let unpack = format!("dpkg --unpack {name}_*.deb && rm {name}_*.deb");
                Effect::Run(Command::new(["sh", "-c", &format!("{fetch} && {unpack}")]))
            }
            Beginning::Simulated(what) => {
                return Err(Error::new(ErrorKind::Unsupported, format!("only a simulated host begins with {what}")));
            }
        };
        host.perform(&effect)
    }

    /// Takes away what no journal can: for a host that is to be as it was before it was brought about.
    ///
    /// # Errors
    /// It cannot be taken away.
    pub fn take_away(&self, host: &dyn Host) -> Result<()> {
        match self {
            Beginning::HardLink { at, .. } => host.perform(&Effect::Remove { path: at.clone(), what: Removal::File }),
            Beginning::InterruptedPackage(name) => {
                if !host.package_manager()?.interrupted.is_empty() {
                    host.perform(&Effect::Platform(PlatformEffect::RepairPackages))?;
                }
                let options = PackageOptions { allow_removals: true, ..PackageOptions::default() };
                let purge = vec![name.clone()];
                let transaction = PackageTransaction { purge, options, ..PackageTransaction::default() };
                host.perform(&Effect::Platform(PlatformEffect::Packages(transaction)))
            }
            Beginning::Effect(_) | Beginning::Simulated(_) => Ok(()),
        }
    }
}

impl SimHost {
    /// What it was made to begin with, in order: what another host needs to begin alike, if it is of the same release.
    pub fn beginnings(&self) -> &[Beginning] {
        &self.beginnings
    }

    /// What it begins with that a real host cannot be given, if there is anything.
    pub fn only_simulated(&self) -> Option<&'static str> {
        self.beginnings.iter().find_map(|beginning| match beginning {
            Beginning::Simulated(what) => Some(*what),
            _ => None,
        })
    }

    /// Notes one more thing that it begins with.
    #[must_use]
    pub(super) fn noting(mut self, beginning: Beginning) -> SimHost {
        self.beginnings.push(beginning);
        self
    }

    /// Notes what is now at a path, and at the directories that were made above it.
    pub(super) fn note_path(&mut self, at: &HostPath, made: Vec<HostPath>) {
        let paths: Vec<HostPath> = made.into_iter().rev().chain([at.clone()]).collect();
        paths.iter().for_each(|path| self.note_image(path, true));
        if is_manager_input(at) {
            self.beginnings.push(Beginning::of(Effect::Platform(PlatformEffect::ReloadUnits)));
        }
    }

    /// Notes how a path is now, with what it holds or without it.
    pub(super) fn note_image(&mut self, path: &HostPath, with_content: bool) {
        let image = self.image(path, with_content).expect("it was just put there");
        self.beginnings.push(Beginning::of(Effect::Restore(Box::new(image))));
    }

    /// Notes what its author did to it after it was made.
    #[cfg(feature = "testing")]
    pub(crate) fn note_effects(&mut self) {
        let performed = self.take_effects();
        self.beginnings.extend(performed.into_iter().map(Beginning::of));
    }

    /// The directories above a path that are not there, the lowest first.
    pub(super) fn missing_above(&self, path: &HostPath) -> Vec<HostPath> {
        path.ancestors().take_while(|above| self.metadata(above).is_ok_and(|found| found.is_none())).collect()
    }

    fn image(&self, path: &HostPath, with_content: bool) -> Result<FileImage> {
        let gone = || Error::new(ErrorKind::NotFound, format!("there is no {path}"));
        let found = self.metadata(path)?.ok_or_else(gone)?;
        let content = match found.kind {
            _ if !with_content => ImageContent::Same,
            FileKind::Symlink => ImageContent::Symlink(self.read_link(path)?.unwrap_or_default()),
            FileKind::Directory => ImageContent::Directory,
            _ => ImageContent::File(self.read(path)?.ok_or_else(gone)?),
        };
        let FileAttributes { xattrs, flags, .. } = self.attributes(path)?.unwrap_or_default();
        let modified = self.now().unix_micros / 1_000_000;
        let attributes = FileAttributes { modified, modified_nanos: 0, xattrs, flags };
        Ok(FileImage { path: path.clone(), content, access: found.access, attributes })
    }
}
