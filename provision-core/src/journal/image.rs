//! How something was before an effect, kept well enough to be put back; and how it was afterwards, to be known again.

mod accounts;
mod files;
mod packages;
mod zeros;

use std::io::{Read, Write};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::effect::{Content, Effect, PathChange, Touched, UnitAction};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::{HostView, HostViewExt, UnitState};
use crate::state::{BLOBS, HostKey, StateStore};

pub use accounts::AccountsImage;
pub use files::{Fingerprint, PathImage, There, Was};

use files::Extent;
pub use packages::{PackageChanges, PackageDiff, PackagesImage};
#[cfg(test)]
pub(super) use zeros::encoded;
use zeros::{Decoder, Encoder};

pub(crate) use packages::entry as entry_of;
pub(super) use packages::inverse as inverse_of_packages;

/// A content up to this length lies in the log itself, in bytes.
const INLINE: usize = 64 << 10;

/// How it was before an effect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Before {
    /// There is nothing to put back.
    #[default]
    Nothing,
    /// Paths, each after the directory that holds it.
    Paths {
        /// How each was.
        paths: Vec<PathImage>,
    },
    /// All packages.
    Packages(PackagesImage),
    /// Users and groups.
    Accounts(AccountsImage),
    /// A unit.
    Unit(UnitImage),
}

/// How it was after an effect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum After {
    /// There is nothing to know again.
    #[default]
    Nothing,
    /// Paths.
    Paths {
        /// How each is.
        paths: Vec<Fingerprint>,
    },
    /// Packages.
    Packages(PackageChanges),
    /// Users and groups.
    Accounts {
        /// Digest of all that is known of them.
        digest: String,
        /// How home directories are.
        paths: Vec<Fingerprint>,
    },
    /// A unit.
    Unit(UnitImage),
}

/// What of a unit's state lasts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitImage {
    /// Whether it runs; `None` where no units run.
    pub active: Option<bool>,
    /// Whether it is masked.
    pub masked: bool,
    /// Its `UnitFileState`.
    pub file_state: String,
}

impl UnitImage {
    pub(super) fn new(unit: &UnitState) -> UnitImage {
        let active = unit.active.as_ref().map(|_| unit.is_active());
        UnitImage { active, masked: unit.is_masked(), file_state: unit.file_state.clone() }
    }
}

/// A content that is kept, sealed with the key of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a kept content (`sealed` and `digest`, or `digest` and `size`)")]
pub enum Kept {
    /// In the log itself.
    Inline {
        /// The sealed bytes, in Base64.
        sealed: String,
        /// Digest of the content.
        digest: String,
    },
    /// In a file of its own, which has the digest as its name.
    Blob {
        /// Digest of the content.
        digest: String,
        /// Length of the content, in bytes.
        size: u64,
    },
}

impl Kept {
    /// Digest of the content, which cannot be made without the key of the host.
    pub fn digest(&self) -> &str {
        match self {
            Kept::Inline { digest, .. } | Kept::Blob { digest, .. } => digest,
        }
    }
}

impl Before {
    /// The names of the large contents that it needs.
    pub(super) fn blobs(&self) -> Vec<&str> {
        let paths = match self {
            Before::Paths { paths } => paths.as_slice(),
            Before::Accounts(image) => &image.paths,
            Before::Nothing | Before::Packages(_) | Before::Unit(_) => &[],
        };
        let kept = paths.iter().filter_map(PathImage::content).chain(match self {
            Before::Packages(image) => Some(&image.known),
            Before::Nothing | Before::Paths { .. } | Before::Accounts(_) | Before::Unit(_) => None,
        });
        kept.filter_map(|kept| match kept {
            Kept::Blob { digest, .. } => Some(digest.as_str()),
            Kept::Inline { .. } => None,
        })
        .collect()
    }
}

/// Keeps how things are, and gives it back.
#[derive(Clone, Copy)]
pub(crate) struct Keeper<'a> {
    pub(crate) key: &'a HostKey,
    pub(crate) store: &'a Arc<dyn StateStore>,
}

impl Keeper<'_> {
    /// Keeps what an effect is about to change.
    pub(super) fn before(&self, effect: &Effect, host: &dyn HostView) -> Result<Before> {
        let touched = effect.touches();
        Ok(match touched.first() {
            Some(Touched::Path { .. }) => {
                let mut paths = Vec::new();
                for thing in &touched {
                    if let Touched::Path { path, change } = thing {
                        paths.extend(self.paths_before(path, *change, host)?);
                    }
                }
                Before::Paths { paths }
            }
            Some(Touched::User(_) | Touched::Group(_) | Touched::UsersOf(_) | Touched::Home { .. }) => {
                Before::Accounts(self.accounts_before(&touched, host)?)
            }
            Some(Touched::Packages(_)) => Before::Packages(self.packages_before(host)?),
            Some(Touched::Unit { action: UnitAction::ResetFailed, .. }) => Before::Nothing,
            Some(Touched::Unit { unit, .. }) => Before::Unit(UnitImage::new(&host.unit(unit)?)),
            Some(Touched::PackageDatabase | Touched::PackageLists | Touched::ServiceManager | Touched::Anything(_))
            | None => Before::Nothing,
        })
    }

    /// Notes how an effect has left what it was about. `written` are the bytes that it is known to have written, which need
    /// not be read again.
    pub(super) fn after(
        &self,
        effect: &Effect,
        before: &Before,
        written: Option<&Content>,
        host: &dyn HostView,
    ) -> Result<After> {
        let touched = effect.touches();
        Ok(match before {
            Before::Nothing => After::Nothing,
            Before::Paths { paths } => {
                let is_metadata =
                    |thing: &Touched<'_>| matches!(thing, Touched::Path { change: PathChange::Metadata, .. });
                let extent = Extent { reads: !touched.iter().any(is_metadata), deep: false, written };
                After::Paths { paths: self.fingerprints(paths, extent, host)? }
            }
            Before::Packages(image) => After::Packages(self.packages_after(image, host)?),
            Before::Accounts(image) => After::Accounts {
                digest: self.accounts_digest(&touched, host)?,
                paths: self.fingerprints(&image.paths, Extent::TREE, host)?,
            },
            Before::Unit(_) => match touched.first() {
                Some(Touched::Unit { unit, .. }) => After::Unit(UnitImage::new(&host.unit(unit)?)),
                _ => After::Nothing,
            },
        })
    }

    /// Keeps a value.
    pub(super) fn keep_json<T: Serialize>(&self, value: &T) -> Result<Kept> {
        let json = serde_json::to_vec(value).map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()))?;
        self.keep(&json)
    }

    /// Gives a kept value back.
    pub(super) fn json_of<T: for<'de> Deserialize<'de>>(&self, kept: &Kept) -> Result<T> {
        let mut json = zeroize::Zeroizing::new(Vec::new());
        self.open(kept)?.read_to_end(&mut json).while_doing(|| "opening what the journal keeps")?;
        serde_json::from_slice(&json)
            .map_err(|error| Error::new(ErrorKind::Damaged, format!("what the journal keeps makes no sense: {error}")))
    }

    /// Keeps bytes that are in memory already.
    fn keep(&self, bytes: &[u8]) -> Result<Kept> {
        if bytes.len() <= INLINE {
            return Ok(Kept::Inline { sealed: BASE64.encode(self.key.seal(bytes)?), digest: self.key.digest(bytes) });
        }
        let digest = self.key.digest(bytes);
        self.store.stream(&mut |to| {
            let mut sealer = Encoder::new(self.key.sealer(to)?);
            sealer.write_all(bytes)?;
            sealer.finish()?.finish()?;
            Ok(format!("{BLOBS}/{digest}"))
        })?;
        Ok(Kept::Blob { digest, size: bytes.len() as u64 })
    }

    /// Opens a kept content.
    pub(super) fn open(&self, kept: &Kept) -> Result<Box<dyn Read + Send>> {
        match kept {
            Kept::Inline { sealed, .. } => {
                let sealed = BASE64
                    .decode(sealed)
                    .map_err(|_| Error::new(ErrorKind::Damaged, "a content in the journal is no Base64"))?;
                Ok(Box::new(self.key.open(std::io::Cursor::new(sealed))))
            }
            Kept::Blob { digest, .. } => match self.store.open(&format!("{BLOBS}/{digest}"))? {
                Some(sealed) => Ok(Box::new(Decoder::new(self.key.open(sealed)))),
                None => Err(Error::new(ErrorKind::NotFound, format!("the journal has lost the content {digest}"))),
            },
        }
    }
}
