//! What this program has made on a host, for whom, and how it left it: so that what is no longer declared can be removed,
//! and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use foldhash::HashMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::image::{After, Before, Keeper, PackageDiff, PathImage, Was};
use super::record::{Did, EffectRecord, Intent};
use super::{Journal, Pending, log};
use crate::bytes::hex;
use crate::claim::Target;
use crate::effect::{Effect, PathChange, PlatformEffect, Touched};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::format::Format;
use crate::host::{FileKind, HostView, HostViewExt, PackageStatus};
use crate::id::ResourceId;
use crate::path::HostPath;
use crate::run::RunId;
use crate::state::{HostKey, StateStore};

const NAME: &str = "ledger";

/// What was made; see `docs/formats/ledger.md`.
pub(crate) const LEDGER: Format = Format { name: "ledger", noun: "the ledger", version: 1 };

/// What this program has made on a host, by the resources that it was made for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    entries: BTreeMap<ResourceId, Entry>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Entry {
    /// The site that it was made for, or last changed for if nothing of it was made.
    site: String,
    /// The last run that changed something for it.
    run: RunId,
    made: BTreeMap<Made, String>,
    /// Resources that react to its changes.
    notifies: BTreeSet<ResourceId>,
    /// Whether the resource was sensitive in one of the runs: then no content is shown when what was made is put back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    sensitive: bool,
}

/// Something that was made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Made {
    /// A file, directory or link.
    Path(HostPath),
    /// A home directory or a mail spool that came with a user, with all that lies in it.
    Home(HostPath),
    /// A package, by `name` or `name:architecture`.
    Package(String),
    /// A user.
    User(String),
    /// A group.
    Group(String),
}

/// Paths with those that are declared beneath them.
pub(crate) type Ways = BTreeMap<HostPath, Vec<HostPath>>;

/// A resource that something was made for and that is no longer declared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Orphan {
    /// The resource.
    pub id: ResourceId,
    /// The name of the site that it was made for.
    pub site: String,
    /// The last run that changed something for it.
    pub run: RunId,
    /// What was made for it; nothing if it was there before.
    pub made: Vec<Made>,
    /// What of it something else has changed since, as far as that was looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Made>,
    /// What of it something that is declared still needs, and so stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needed: Vec<Made>,
    /// How each was left, in the digests of the host's key.
    #[serde(skip)]
    pub(crate) digests: BTreeMap<Made, String>,
    /// What may go and lies above paths that are declared.
    #[serde(skip)]
    pub(crate) ways: Arc<Ways>,
    #[serde(skip)]
    pub(crate) notifies: BTreeSet<ResourceId>,
    #[serde(skip)]
    pub(crate) sensitive: bool,
    #[serde(skip)]
    pub(crate) key: Option<Arc<HostKey>>,
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target().fmt(f)
    }
}

impl Made {
    /// The path that it is, or lies at.
    pub(crate) fn path(&self) -> Option<&HostPath> {
        match self {
            Made::Path(path) | Made::Home(path) => Some(path),
            Made::Package(_) | Made::User(_) | Made::Group(_) => None,
        }
    }

    /// The same, as something to claim.
    pub fn target(&self) -> Target {
        match self {
            Made::Path(path) | Made::Home(path) => Target::Path(path.clone()),
            Made::Package(name) => Target::Package(name.clone()),
            Made::User(name) => Target::User(name.clone()),
            Made::Group(name) => Target::Group(name.clone()),
        }
    }

    fn parse(text: &str) -> Result<Made> {
        match text.split_once(' ') {
            Some(("path", path)) => HostPath::new(path).map(Made::Path),
            Some(("home", path)) => HostPath::new(path).map(Made::Home),
            Some(("package", name)) => Ok(Made::Package(name.to_owned())),
            Some(("user", name)) => Ok(Made::User(name.to_owned())),
            Some(("group", name)) => Ok(Made::Group(name.to_owned())),
            _ => Err(Error::new(ErrorKind::Invalid, format!("{text:?} is nothing that can be made"))),
        }
    }
}

impl Serialize for Made {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Made::Home(path) => serializer.collect_str(&format_args!("home {path}")),
            Made::Path(_) | Made::Package(_) | Made::User(_) | Made::Group(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Made {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Made, D::Error> {
        Made::parse(&String::deserialize(deserializer)?).map_err(|error| serde::de::Error::custom(error.message()))
    }
}

/// Only for whom something was made: most runs ask no more.
#[derive(Default, Deserialize)]
struct Ids {
    entries: HashMap<ResourceId, OfSite>,
}

#[derive(Deserialize)]
struct OfSite {
    site: String,
}

/// What is in a ledger; nothing if there is none.
fn parse<'a, T: Default + Deserialize<'a>>(bytes: Option<&'a [u8]>) -> Result<T> {
    let Some(bytes) = bytes else { return Ok(T::default()) };
    log::read_single(&LEDGER, bytes).while_doing(|| "reading what was made on this host").map_err(|error| {
        error.with_hint(
            "remove the file `ledger` of the journal to go on; what was made so far is then not removed later",
        )
    })
}

/// Refuses a ledger of a later version.
pub(super) fn admit(store: &dyn StateStore) -> Result<()> {
    match LEDGER.admit_file(store, NAME) {
        Err(error) if error.kind() == ErrorKind::Newer => Err(error.while_doing("reading what was made on this host")),
        // What is damaged is told of where it is read.
        _ => Ok(()),
    }
}

impl Ledger {
    pub(super) fn read(store: &dyn StateStore) -> Result<Ledger> {
        parse(store.read(NAME)?.as_deref())
    }

    fn write(&self, store: &dyn StateStore) -> Result<()> {
        store.replace(NAME, &log::single(&LEDGER, self)?).while_doing(|| "writing what was made on this host")
    }

    /// What was made for resources that are not among these, or for another site than this one.
    pub fn orphans(&self, site: &str, declared: &BTreeSet<ResourceId>) -> Vec<Orphan> {
        let gone = self.entries.iter().filter(|(id, entry)| entry.site != site || !declared.contains(*id));
        gone.map(|(id, entry)| Orphan {
            id: id.clone(),
            site: entry.site.clone(),
            run: entry.run,
            made: entry.made.keys().cloned().collect(),
            changed: Vec::new(),
            needed: Vec::new(),
            digests: entry.made.clone(),
            ways: Arc::default(),
            notifies: entry.notifies.clone(),
            sensitive: entry.sensitive,
            key: None,
        })
        .collect()
    }

    /// Takes in what a run has done for a site. One that is for none, an undo, makes nothing.
    fn absorb(
        &mut self,
        run: RunId,
        site: Option<&str>,
        doings: &Doings,
        notifies: &BTreeMap<ResourceId, BTreeSet<ResourceId>>,
    ) {
        let mut makers: HashMap<Made, BTreeSet<ResourceId>> = HashMap::default();
        for (id, entry) in &self.entries {
            for made in entry.made.keys() {
                makers.entry(made.clone()).or_default().insert(id.clone());
            }
        }
        for Doing { id, made, owned, sensitive } in &doings.done {
            let mut made = made.clone();
            if let Some(path) = owned {
                made.extend(self.inherited(id, path, &mut makers));
            }
            for made in &made {
                let of_made = makers.entry(made.clone()).or_default();
                // What was not there is no longer what others have made in the same place.
                if made.path().is_some() && site.is_some() {
                    for other in std::mem::take(of_made).iter().filter(|other| *other != id) {
                        self.entries.get_mut(other).and_then(|entry| entry.made.remove(made));
                    }
                }
                of_made.insert(id.clone());
            }
            if site.is_none() && !self.entries.contains_key(id) {
                continue;
            }
            let entry = self.entries.entry(id.clone()).or_default();
            entry.run = run;
            // What a site made is not another one's for a change of it.
            if let Some(site) = site.filter(|_| entry.made.is_empty() || !made.is_empty()) {
                site.clone_into(&mut entry.site);
            }
            entry.sensitive |= *sensitive;
            entry.made.extend(made.into_iter().map(|made| (made, String::new())));
            entry.notifies.extend(notifies.get(id).into_iter().flatten().cloned());
        }
    }

    /// What was made for another resource and is this one's now.
    fn inherited(
        &mut self,
        id: &ResourceId,
        path: &HostPath,
        makers: &mut HashMap<Made, BTreeSet<ResourceId>>,
    ) -> Option<Made> {
        let mut any = false;
        for made in [Made::Path(path.clone()), Made::Home(path.clone())] {
            let Some(of_path) = makers.get_mut(&made) else { continue };
            let (mine, others): (BTreeSet<_>, BTreeSet<_>) =
                std::mem::take(of_path).into_iter().partition(|maker| maker == id);
            *of_path = mine;
            for other in &others {
                self.entries.get_mut(other).and_then(|entry| entry.made.remove(&made));
            }
            any |= !others.is_empty();
        }
        any.then(|| Made::Path(path.clone()))
    }

    /// Notes how a run has left what it made or changed, and forgets what is gone. What it did not change itself stays as it
    /// was noted: another process may have changed it, and then it is not this program's to remove.
    fn look(
        &mut self,
        touched: &BTreeSet<ResourceId>,
        changed: &Changed,
        keeper: &Keeper<'_>,
        host: &dyn HostView,
    ) -> Result<()> {
        let concerns = |id: &ResourceId, entry: &Entry| {
            touched.contains(id) || entry.made.keys().any(|made| changed.contains(made) || changed.may_have_gone(made))
        };
        for (_, entry) in self.entries.iter_mut().filter(|(id, entry)| concerns(id, entry)) {
            for (made, digest) in &mut entry.made {
                let now = keeper.digest_of(made, host)?;
                if now.is_none() || digest.is_empty() || changed.contains(made) {
                    *digest = now.unwrap_or_default();
                }
            }
            entry.made.retain(|_, digest| !digest.is_empty());
        }
        Ok(())
    }
}

/// What a run has done, as far as the ledger is concerned. It is little for each effect, for there may be very many.
#[derive(Default)]
pub(super) struct Doings {
    touched: BTreeSet<ResourceId>,
    changed: Changed,
    done: Vec<Doing>,
}

/// What an effect has done for a resource.
struct Doing {
    id: ResourceId,
    made: Vec<Made>,
    /// The path of the effect, if the resource owns it.
    owned: Option<HostPath>,
    sensitive: bool,
}

impl Doings {
    pub(super) fn of(effects: &[EffectRecord]) -> Doings {
        let mut doings = Doings::default();
        effects.iter().for_each(|effect| doings.add(&effect.intent, effect.outcome.as_ref()));
        doings
    }

    /// Takes in an effect, with what came of it if that is known.
    pub(super) fn add(&mut self, intent: &Intent, did: Option<&Did>) {
        let Intent { ids, owners, effect, .. } = intent;
        self.touched.extend(ids.iter().filter(|id| !self.touched.contains(*id)).cloned().collect::<Vec<_>>());
        self.changed.add(effect);
        let Some(did) = did.filter(|did| did.error.is_none()) else { return };
        for (id, made) in made_by(intent, &did.after) {
            let owned = owners.contains(id).then(|| effect.path().cloned()).flatten();
            let is_known = self.done.last().is_some_and(|last| last.id == *id);
            if !(is_known && made.is_empty() && owned.is_none()) {
                self.done.push(Doing { id: id.clone(), made, owned, sensitive: intent.sensitive });
            }
        }
    }
}

/// What a run has changed that may be in the ledger.
#[derive(Default)]
struct Changed {
    made: BTreeSet<Made>,
    /// Directories that were removed with all that was in them.
    trees: BTreeSet<HostPath>,
}

impl Changed {
    fn add(&mut self, effect: &Effect) {
        for thing in effect.touches() {
            self.made.extend(entered(&thing));
            if let Touched::Path { path, change: PathChange::TreeRemoved } = thing {
                self.trees.insert(path.clone());
            }
        }
    }

    fn contains(&self, made: &Made) -> bool {
        self.made.contains(made)
    }

    /// Whether it lay in a directory that was removed.
    fn may_have_gone(&self, made: &Made) -> bool {
        let is_gone =
            |path: &HostPath| self.trees.contains(path) || path.ancestors().any(|above| self.trees.contains(&above));
        !self.trees.is_empty() && made.path().is_some_and(is_gone)
    }
}

/// What of a thing may be in the ledger. A home directory is not among it: what users put there is theirs.
fn entered(thing: &Touched<'_>) -> Option<Made> {
    match thing {
        Touched::Path { path, .. } => Some(Made::Path((*path).clone())),
        Touched::User(name) => Some(Made::User((*name).to_owned())),
        Touched::Group(name) => Some(Made::Group((*name).to_owned())),
        Touched::UsersOf(_)
        | Touched::Home { .. }
        | Touched::Packages(_)
        | Touched::PackageDatabase
        | Touched::PackageLists
        | Touched::Unit { .. }
        | Touched::ServiceManager
        | Touched::Anything(_) => None,
    }
}

/// What an effect has made, and for whom; nothing at all for a reaction, which makes nothing.
fn made_by<'r>(intent: &'r Intent, after: &After) -> Vec<(&'r ResourceId, Vec<Made>)> {
    let Intent { ids, owners, effect, .. } = intent;
    // What is put back was there before.
    let is_restored = matches!(effect, Effect::Restore(_) | Effect::Platform(PlatformEffect::RestoreAccounts { .. }));
    let absent = |paths: &[PathImage], made: fn(HostPath) -> Made| -> Vec<Made> {
        let absent = paths.iter().filter(|path| path.was == Was::Absent && !is_restored);
        absent.map(|path| made(path.path.clone())).collect()
    };
    let touched = effect.touches();
    let made = match (touched.first(), &intent.before) {
        (Some(Touched::Path { .. }), Before::Paths { paths }) => absent(paths, Made::Path),
        (
            Some(subject @ (Touched::User(_) | Touched::Group(_) | Touched::UsersOf(_) | Touched::Home { .. })),
            Before::Accounts(image),
        ) => {
            let subject = entered(subject).filter(|_| image.is_new && !is_restored);
            absent(&image.paths, Made::Home).into_iter().chain(subject).collect()
        }
        (Some(Touched::Packages(_)), _) => {
            let After::Packages(changes) = after else { return Vec::new() };
            let installed = |status| status == PackageStatus::Installed;
            let new = |id: &ResourceId| {
                let find = |name: &str| changes.packages.iter().find(|diff| diff.name == name);
                // The host's own architecture may be declared, and is not part of the name.
                let found = find(id.name()).or_else(|| find(id.name().split_once(':')?.0));
                let is_new = |diff: &&PackageDiff| !installed(diff.before.status) && installed(diff.after.status);
                found.filter(is_new).map(|diff| Made::Package(diff.name.clone()))
            };
            let made = |id: &ResourceId| owners.contains(id).then(|| new(id)).flatten();
            return ids.iter().map(|id| (id, made(id).into_iter().collect())).collect();
        }
        // A resource that only reacts is nothing to remember.
        (
            Some(
                Touched::Unit { .. }
                | Touched::ServiceManager
                | Touched::PackageDatabase
                | Touched::PackageLists
                | Touched::Anything(_),
            )
            | None,
            _,
        ) => return Vec::new(),
        // Of what was before is nothing known.
        (
            Some(
                Touched::Path { .. }
                | Touched::User(_)
                | Touched::Group(_)
                | Touched::UsersOf(_)
                | Touched::Home { .. },
            ),
            _,
        ) => Vec::new(),
    };
    // What no resource owns is not this program's to remove.
    ids.iter().map(|id| (id, if owners.contains(id) { made.clone() } else { Vec::new() })).collect()
}

/// Whether something that is no directory is where a directory above a path was.
fn lies_in_no_directory(path: &HostPath, host: &dyn HostView) -> bool {
    let nearest = path.ancestors().find_map(|above| host.metadata(&above).ok().flatten());
    nearest.is_some_and(|found| !matches!(found.kind, FileKind::Directory | FileKind::Symlink))
}

impl Keeper<'_> {
    /// Digest of how something is; `None` if it is not there.
    pub(crate) fn digest_of(&self, made: &Made, host: &dyn HostView) -> Result<Option<String>> {
        Ok(match made {
            Made::Path(path) | Made::Home(path) if lies_in_no_directory(path, host) => None,
            Made::Path(path) => {
                let found = self.fingerprint_of(path, false, host)?;
                found.kind.map(|_| self.digest_of_path(&found)).transpose()?
            }
            Made::Home(path) => self.digest_of_home(path, host)?,
            Made::Package(name) => {
                // Upgrades by others do not change whose it is.
                (host.package(name)?.status == PackageStatus::Installed).then(|| "installed".to_owned())
            }
            Made::User(name) => match host.user(name)? {
                Some(_) => Some(self.digest_of_accounts(&[name], &[] as &[&str], host)?),
                None => None,
            },
            // Nothing of it is hidden, and who has left it since must be told from who has joined.
            Made::Group(name) => host.group(name)?.map(|group| format!("{}:{}", group.gid, group.members.join(","))),
        })
    }
}

impl Journal {
    /// What this program has made on the host.
    ///
    /// # Errors
    /// It is damaged, or cannot be read.
    pub fn ledger(&self) -> Result<Ledger> {
        Ledger::read(&*self.store)
    }

    /// What was made for resources that the site of this name no longer declares, and for other sites.
    ///
    /// # Errors
    /// As [`ledger`](Journal::ledger), or the key of the host cannot be read.
    pub fn orphans(&self, site: &str, declared: &BTreeSet<ResourceId>) -> Result<Vec<Orphan>> {
        let bytes = self.store.read(NAME)?;
        let Ids { entries } = parse(bytes.as_deref())?;
        if entries.iter().all(|(id, of)| of.site == site && declared.contains(id)) {
            return Ok(Vec::new());
        }
        let key = self.key()?.map(Arc::new);
        let mut orphans = parse::<Ledger>(bytes.as_deref())?.orphans(site, declared);
        orphans.iter_mut().for_each(|orphan| orphan.key.clone_from(&key));
        Ok(orphans)
    }

    /// A digest of all that plans depend on; `None` while something waits from earlier runs.
    pub(crate) fn digest_of_what_matters(&self) -> Result<Option<String>> {
        let Pending { notifications, unfinished } = self.pending()?;
        if !(notifications.is_empty() && unfinished.is_empty()) {
            return Ok(None);
        }
        Ok(Some(hex(&Sha256::digest(self.store.read(NAME)?.unwrap_or_default()))))
    }

    /// Takes in what a run has done. Nothing is written if nothing differs.
    pub(super) fn absorb(
        &self,
        run: RunId,
        site: Option<&str>,
        doings: &Doings,
        notifies: &BTreeMap<ResourceId, BTreeSet<ResourceId>>,
        host: &dyn HostView,
    ) -> Result<()> {
        if doings.touched.is_empty() {
            return Ok(());
        }
        let before = self.ledger()?;
        let mut ledger = before.clone();
        ledger.absorb(run, site, doings, notifies);
        let key = self.make_key()?;
        let keeper = Keeper { key: &key, store: &self.store };
        ledger.look(&doings.touched, &doings.changed, &keeper, host)?;
        // What it was declared for and that is gone is not worth a line.
        let emptied = |id: &ResourceId| before.entries.get(id).is_some_and(|entry| !entry.made.is_empty());
        ledger.entries.retain(|id, entry| !(entry.made.is_empty() && emptied(id)));
        if ledger == before { Ok(()) } else { ledger.write(&*self.store) }
    }
}
