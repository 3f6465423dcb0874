//! [`Fragment`]: a small file of its own in a directory that a program reads, which is what most configuration comes to.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::effect::{Access, AttributeChanges, Effect, Removal, WriteFile};
use crate::error::{Error, ErrorKind, Result};
use crate::held::Held;
use crate::host::{
    FileKind, HostView, HostViewExt, PackageStatus, in_the_way, in_words_of, make_parents, missing_account,
    retire_unit_of,
};
use crate::path::HostPath;
use crate::resource::{
    ApplyContext, AttributeError, CheckContext, Claim, Companion, Contradiction, Declared, Hold, PlanContext, Resource,
    ResourceId, Stage, Surroundings, Target,
};
use crate::secret::Text;

/// A kind whose resources are one small file each, in a directory that a program reads, such as `/etc/cron.d`.
///
/// It says where the file is and what it holds; reading, writing, diff, undo and removal are those of every fragment. The file belongs to root and is always written whole; another one in its place, a link or one with several names
/// is replaced.
///
/// ```
/// use provision_core::fragment::{Fragment, file_in};
/// use provision_core::prelude::*;
///
/// /// A text that is shown after a login, in `/etc/update-motd.d`.
/// #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Greeting {
///     /// The text.
///     text: String,
/// }
///
/// impl Fragment for Greeting {
///     const TYPE: &'static str = "greeting";
///     const MODE: u32 = 0o755;
///
///     fn place(&self, id: &ResourceId) -> Result<HostPath> {
///         file_in("/etc/update-motd.d", &format!("50-{}", id.name()))
///     }
///     fn text(&self, _: &ResourceId) -> Result<Text> {
///         Ok(format!("#!/bin/sh\necho '{}'\n", self.text).into())
///     }
/// }
///
/// let mut site = Site::new();
/// site.declare("hello", Greeting { text: "Hello.".into() });
/// # let host = provision_core::sim::SimHost::debian(13);
/// # let engine = Engine::open(host, Journal::new(MemoryStore::new()), Options::new("example"))?;
/// # assert!(engine.plan(site, &PlanOptions::default())?.apply(&ApplyOptions::default(), &())?.is_success());
/// # assert!(engine.host().read_text("/etc/update-motd.d/50-hello")?.unwrap().contains("Hello."));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Fragment: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The key in `resources`.
    const TYPE: &'static str;

    /// When its resources are due among those that no edge orders.
    const STAGE: Stage = Stage::Files;

    /// Permission bits of the file; one that holds a secret has none for others.
    const MODE: u32 = 0o644;

    /// The Debian packages whose programs read the file, virtual ones among them. They come first, and if none of them is
    /// there that is an error: nothing would come of the file.
    const READERS: &'static [&'static str] = &[];

    /// Whether the file is there.
    fn is_present(&self) -> bool {
        true
    }

    /// Where the file is.
    ///
    /// # Errors
    /// The name of the resource makes no path.
    fn place(&self, id: &ResourceId) -> Result<HostPath>;

    /// What the file holds; a secret in it keeps all of it from being shown.
    ///
    /// # Errors
    /// Its secrets are not known yet.
    fn text(&self, id: &ResourceId) -> Result<Text>;

    /// What a text means to the program that reads it. A file that means what is declared is left as it is, so that another
    /// comment restarts nothing. `None` if the text cannot be read, or if every byte counts.
    fn means(&self, text: &str) -> Option<Value> {
        let _ = text;
        None
    }

    /// As [`Resource::validate`].
    fn mistakes(&self, id: &ResourceId) -> Vec<AttributeError> {
        let _ = id;
        Vec::new()
    }

    /// What it needs, and what it decides about beside its file. A user or a group that it needs has to be there.
    fn also_claims(&self, id: &ResourceId) -> Vec<Claim> {
        let _ = id;
        Vec::new()
    }

    /// What has to hold on the host beside [`READERS`](Fragment::READERS) and accounts, if the file is to be there.
    ///
    /// # Errors
    /// The file would have no effect, or another one than is declared.
    fn require(&self, id: &ResourceId, host: &dyn HostView) -> Result<()> {
        let _ = (id, host);
        Ok(())
    }

    /// As [`Resource::secrets`].
    fn secrets(&mut self) -> Vec<(&'static str, &mut Text)> {
        Vec::new()
    }

    /// As [`Resource::prepare`].
    ///
    /// # Errors
    /// As there.
    fn prepare(&mut self, id: &ResourceId, surroundings: &dyn Surroundings) -> Result<(), AttributeError> {
        let _ = (id, surroundings);
        Ok(())
    }

    /// As [`Resource::contradictions`].
    fn contradictions(&self, id: &ResourceId, site: &Declared<'_>) -> Vec<Contradiction> {
        let _ = (id, site);
        Vec::new()
    }

    /// As [`Resource::companions`].
    fn companions(declared: &[(&ResourceId, &Self)]) -> Vec<Companion>
    where
        Self: Sized,
    {
        let _ = declared;
        Vec::new()
    }
}

/// How the file of a fragment was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ensure", rename_all = "snake_case")]
pub enum FragmentState {
    /// Nothing is there.
    Absent,
    /// A symbolic link is in its place.
    Symlink {
        /// Where it leads.
        target: String,
    },
    /// A file with several names (hard links) is in its place; some programs pass over one.
    SeveralNames {
        /// How many.
        links: u64,
    },
    /// It is there.
    Present {
        /// What it holds.
        content: Held,
        /// Owner, group and mode.
        #[serde(flatten)]
        access: Access,
    },
}

impl<F: Fragment> Resource for F {
    const TYPE: &'static str = F::TYPE;
    const STAGE: Stage = F::STAGE;
    type State = FragmentState;

    fn validate(&self, id: &ResourceId) -> Vec<AttributeError> {
        let mut mistakes = self.mistakes(id);
        if mistakes.is_empty() {
            mistakes.extend(self.place(id).err().map(|error| {
                let mistake = AttributeError::new("", error.message());
                error.hint().map_or(mistake.clone(), |hint| mistake.help(hint))
            }));
        }
        mistakes
    }

    fn claims(&self, id: &ResourceId) -> Vec<Claim> {
        let mut claims: Vec<Claim> = self.place(id).map(Target::Path).map(Claim::owns).into_iter().collect();
        claims.extend(F::READERS.iter().map(|package| Claim::needs(Target::Package((*package).to_owned()))));
        claims.extend(self.also_claims(id));
        claims
    }

    fn secrets(&mut self) -> Vec<(&'static str, &mut Text)> {
        Fragment::secrets(self)
    }

    fn prepare(&mut self, id: &ResourceId, surroundings: &dyn Surroundings) -> Result<(), AttributeError> {
        Fragment::prepare(self, id, surroundings)
    }

    fn contradictions(&self, id: &ResourceId, site: &Declared<'_>) -> Vec<Contradiction> {
        Fragment::contradictions(self, id, site)
    }

    fn companions(declared: &[(&ResourceId, &F)]) -> Vec<Companion> {
        <F as Fragment>::companions(declared)
    }

    fn hidden(&self, cx: &CheckContext<'_>, now: &FragmentState) -> &'static [&'static str] {
        let is_readable = || self.place(cx.id()).is_ok_and(|path| cx.host().is_readable_by_all(&path));
        match now {
            // A digest says nothing.
            FragmentState::Present { content: Held::Hidden(_), .. } => &[],
            FragmentState::Present { access, .. } if access.mode.bits() & 0o004 == 0 || !is_readable() => &["content"],
            _ => &[],
        }
    }

    fn check(&self, cx: &CheckContext<'_>) -> Result<FragmentState> {
        let (host, path) = (cx.host(), self.place(cx.id())?);
        if self.is_present() {
            require_one_of(F::READERS, &path, host)?;
            for claim in self.also_claims(cx.id()).iter().filter(|claim| claim.hold == Hold::Needs) {
                require_account(&claim.target, host)?;
            }
            self.require(cx.id(), host)?;
        }
        let Some(found) = host.metadata(&path)? else { return Ok(FragmentState::Absent) };
        match found.kind {
            FileKind::File if found.links > 1 && self.is_present() => {
                return Ok(FragmentState::SeveralNames { links: found.links });
            }
            FileKind::File => {}
            FileKind::Symlink => {
                return Ok(FragmentState::Symlink { target: host.read_link(&path)?.unwrap_or_default() });
            }
            other => return Err(in_the_way(&path, other.noun(), "remove it, or give the resource another name")),
        }
        let declared = if self.is_present() { Some(self.text(cx.id())?) } else { None };
        let content = host.read(&path)?.unwrap_or_else(|| "".into());
        let access = in_words_of(host, Some("root"), Some("root"), found.access)?;
        Ok(FragmentState::Present { content: Held::beside(declared.as_ref().and_then(secret), content), access })
    }

    fn plan(&self, cx: &PlanContext<'_>, now: &FragmentState) -> Result<FragmentState> {
        if !self.is_present() {
            return Ok(FragmentState::Absent);
        }
        let text = self.text(cx.id())?;
        let access = Access::root(if text.is_secret() { F::MODE & 0o770 } else { F::MODE });
        let content = match now {
            FragmentState::Present { content, .. } if means_the_same(self, content, &text)? => content.clone(),
            _ => Held::beside(secret(&text), text.content()?),
        };
        Ok(FragmentState::Present { content, access })
    }

    fn apply(&self, cx: &ApplyContext<'_>, now: &FragmentState, want: &FragmentState) -> Result<()> {
        let (host, path) = (cx.host(), self.place(cx.id())?);
        let FragmentState::Present { content, access } = want else {
            retire_unit_of(&path, host)?;
            return host.perform(&Effect::Remove { path, what: Removal::File });
        };
        match now {
            FragmentState::Present { content: before, access: found } if before == content => {
                let (owner, group, mode) = found.to_set_for(access);
                let attributes = AttributeChanges::default();
                return host.perform(&Effect::SetMetadata { path, owner, group, mode, attributes });
            }
            FragmentState::Absent => make_parents(host, &path, true)?,
            FragmentState::Present { .. } | FragmentState::Symlink { .. } | FragmentState::SeveralNames { .. } => {}
        }
        let content = self.text(cx.id())?.content()?;
        host.perform(&Effect::WriteFile(WriteFile::new(path, content, access.clone())))
    }
}

/// Whether a name has only letters, digits and these other bytes, and does not begin with a dot: many programs ignore files with
/// other names.
pub fn is_plain_name(name: &str, others: &[u8]) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_plain)
}

/// The path of a file of this name in a directory.
///
/// # Errors
/// The name is not that of one file.
pub fn file_in(directory: &str, name: &str) -> Result<HostPath> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) || name.len() > 255 {
        let message = format!("{name:?} cannot be the name of a file");
        return Err(Error::new(ErrorKind::Invalid, message).with_hint("a name has no `/`, and at most 255 bytes"));
    }
    HostPath::new(directory)?.join(name)
}

/// The first line of a file, a comment that says where it comes from.
pub fn managed(comment: &str, id: &ResourceId) -> String {
    format!("{comment} Managed by provision: {id}\n")
}

/// Whether a file means what is declared.
fn means_the_same<F: Fragment>(fragment: &F, found: &Held, wanted: &Text) -> Result<bool> {
    let Held::Bytes(found) = found else { return Ok(false) };
    let meaning = found.text().and_then(|text| fragment.means(text));
    Ok(meaning.is_some() && meaning == fragment.means(wanted.reveal()?))
}

/// Fails where nothing reads what would be written.
fn require_one_of(packages: &[&str], path: &HostPath, host: &dyn HostView) -> Result<()> {
    let Some(usual) = packages.first() else { return Ok(()) };
    for package in packages {
        let found = host.package(package)?;
        if found.status == PackageStatus::Installed || !found.provided_by.is_empty() {
            return Ok(());
        }
    }
    let message = format!("nothing reads {path}: the package {usual} is not installed");
    Err(Error::new(ErrorKind::NotFound, message).with_hint(format!("declare `package.{usual} = {{}}`")))
}

/// Fails where the program would pass over the file, or a line of it, because an account that it names is not there.
fn require_account(target: &Target, host: &dyn HostView) -> Result<()> {
    match target {
        Target::User(name) if host.user(name)?.is_none() => Err(missing_account("user", name)),
        Target::Group(name) if host.group(name)?.is_none() => Err(missing_account("group", name)),
        _ => Ok(()),
    }
}

fn secret(text: &Text) -> Option<&Text> {
    Some(text).filter(|text| text.is_secret())
}
