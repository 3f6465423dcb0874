//! What claims say of what was done, and of what has changed.

use std::collections::BTreeSet;

use crate::claim::{Claim, Hold, Target};
use crate::effect::{Effect, PackageTransaction, PlatformEffect, Touched};
use crate::host::units::{is_unit, pulls};
use crate::host::{HostView, HostViewExt, is_manager_input};
use crate::path::HostPath;
use crate::testing::Observed;

/// Whether anything is claimed that a question fits.
type Owned<'a> = dyn Fn(&dyn Fn(&Target) -> bool) -> bool + 'a;

/// What an effect changes that no claim covers. Home directories belong to the users that are claimed.
pub(super) fn unclaimed(
    effect: &Effect,
    claims: &[Claim],
    effects: &[Effect],
    allowed: &Allowed<'_>,
) -> Option<String> {
    let owned = |is_it: &dyn Fn(&Target) -> bool| {
        claims.iter().any(|claim| matches!(claim.hold, Hold::Owns | Hold::Removes) && is_it(&claim.target))
    };
    let touched = effect.touches();
    // What goes along with its subject, such as the group of a user, is covered with that.
    match touched.first()? {
        Touched::Path { .. } => {
            let is_claimed = |path: &HostPath| {
                let covers = |target: &Target| matches!(target, Target::Path(claimed) if path.is_within(claimed));
                // Directories on the way to what it claims may have to be made.
                let leads = |target: &Target| matches!(target, Target::Path(claimed) if claimed.is_within(path));
                let is_at_home = allowed.homes.iter().any(|home| path.is_within(home));
                is_at_home || owned(&covers) || (matches!(effect, Effect::CreateDirectory { .. }) && owned(&leads))
            };
            touched.iter().filter_map(Touched::path).find(|path| !is_claimed(path)).map(ToString::to_string)
        }
        Touched::User(name) | Touched::Home { user: name, .. } => {
            let claimed = owned(&|target| matches!(target, Target::User(claimed) if claimed == name));
            (!claimed).then(|| format!("user {name}"))
        }
        Touched::Group(name) | Touched::UsersOf(name) => {
            let claimed = owned(&|target| matches!(target, Target::Group(claimed) if claimed == name));
            (!claimed).then(|| format!("group {name}"))
        }
        Touched::Packages(transaction) => packages_outside(transaction, &owned),
        Touched::Unit { unit, .. } => {
            let claimed = owned(&|target| is_about_unit(target, unit));
            (!claimed).then(|| format!("unit {unit}"))
        }
        Touched::ServiceManager => {
            let about_units = owned(&|target| match target {
                Target::Unit(_) => true,
                Target::Path(path) => is_manager_input(path),
                _ => false,
            });
            (!about_units && effects.len() == 1).then(|| "what the service manager has read".to_owned())
        }
        // Their consequences are not known: those of a command to its author alone.
        Touched::PackageDatabase | Touched::PackageLists | Touched::Anything(_) => None,
    }
}

/// A unit is claimed itself, or with its file.
fn is_about_unit(target: &Target, name: &str) -> bool {
    match target {
        Target::Unit(unit) => unit == name,
        Target::Path(path) => path.name() == name,
        _ => false,
    }
}

fn packages_outside(transaction: &PackageTransaction, owned: &Owned<'_>) -> Option<String> {
    let outside = transaction
        .names()
        .find(|name| !owned(&|target| matches!(target, Target::Package(claimed) if claimed.as_str() == *name)));
    outside.map(|name| format!("package {name}"))
}

/// What may change on a host in a run.
pub(super) struct Allowed<'a> {
    claims: Vec<&'a Claim>,
    /// Groups that a claimed user is put into.
    joined: Vec<&'a str>,
    /// Where the claimed users have their home directories, before and after.
    homes: Vec<HostPath>,
    /// The names and numbers of claimed users and groups, before and after.
    accounts: BTreeSet<String>,
}

impl<'a> Allowed<'a> {
    /// What these claims allow.
    pub(super) fn by(claims: impl IntoIterator<Item = &'a Claim>) -> Allowed<'a> {
        let is_owned = |claim: &&Claim| matches!(claim.hold, Hold::Owns | Hold::Removes);
        let (claims, needed): (Vec<_>, Vec<_>) = claims.into_iter().partition(is_owned);
        let group = |claim: &&'a Claim| match &claim.target {
            Target::Group(name) => Some(name.as_str()),
            _ => None,
        };
        let has_users = claims.iter().any(|claim| matches!(claim.target, Target::User(_)));
        let joined = needed.iter().filter(|_| has_users).filter_map(group).collect();
        Allowed { claims, joined, homes: Vec::new(), accounts: BTreeSet::new() }
    }

    /// Notes where claimed users are at home now, and which numbers claimed accounts have.
    pub(super) fn look_at(&mut self, host: &dyn HostView) {
        for claim in &self.claims {
            match &claim.target {
                Target::User(name) => {
                    let Some(user) = host.user(name).ok().flatten() else { continue };
                    self.homes.extend(HostPath::new(&user.home));
                    self.accounts.extend([user.name, user.uid.to_string()]);
                }
                Target::Group(name) => {
                    let Some(group) = host.group(name).ok().flatten() else { continue };
                    self.accounts.extend([group.name, group.gid.to_string()]);
                }
                _ => {}
            }
        }
    }

    /// Whether lines differ only in what claimed accounts are called: files and users have numbers, and keep them.
    fn differ_in_accounts(&self, lines: [&str; 2]) -> bool {
        let is_between = |letter: char| !letter.is_alphanumeric() && !"-_".contains(letter);
        let [was, is] = lines.map(|line| {
            let others = line.split_inclusive(is_between).map(|part| match part.trim_end_matches(is_between) {
                word if self.accounts.contains(word) => &part[word.len()..],
                _ => part,
            });
            others.collect::<String>()
        });
        was == is
    }

    fn any(&self, is_it: impl Fn(&Target) -> bool) -> bool {
        self.claims.iter().any(|claim| is_it(&claim.target))
    }

    fn users(&self) -> impl Iterator<Item = &str> {
        self.claims.iter().filter_map(|claim| match &claim.target {
            Target::User(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The first thing that has changed and is covered by no claim, with how it was and is.
    pub(super) fn exceeded(&self, effects: &[Effect], before: &Observed, after: &Observed) -> Option<[String; 3]> {
        // What scripts of packages and commands do only their authors know.
        let scripts = |effect: &Effect| {
            matches!(
                effect,
                Effect::Platform(PlatformEffect::Packages(_) | PlatformEffect::RepairPackages) | Effect::Run(_)
            )
        };
        if effects.iter().any(scripts) {
            return None;
        }
        let line =
            |of: &Observed, what: &str| of.lines.get(what).map_or_else(|| "nothing".to_owned(), |line| one_name(line));
        let names = before.lines.keys().chain(after.lines.keys());
        let mut changed = names.map(|what| (what, line(before, what), line(after, what)));
        let outside = changed.find(|(what, was, is)| was != is && !self.covers(what, [was, is]))?;
        Some([outside.0.clone(), outside.1, outside.2])
    }

    fn covers(&self, what: &str, lines: [&str; 2]) -> bool {
        if self.differ_in_accounts(lines) {
            return true;
        }
        match what.split_once(' ') {
            Some(("path", path)) => HostPath::new(path).is_ok_and(|path| self.covers_path(&path, lines)),
            Some(("package", name)) => self.any(|target| matches!(target, Target::Package(claimed) if claimed == name)),
            Some(("user", name)) => self.any(|target| matches!(target, Target::User(claimed) if claimed == name)),
            // A user comes and goes with its group, and in and out of others.
            Some(("group", name)) => {
                let is_it = |target: &Target| matches!(target, Target::Group(claimed) | Target::User(claimed) if claimed == name);
                self.any(is_it)
                    || self.joined.contains(&name)
                    || self.without_users(lines[0]) == self.without_users(lines[1])
            }
            // Targets come and go with what wants them.
            Some(("unit", name)) => name.ends_with(".target") || self.covers_unit(name),
            _ => false,
        }
    }

    fn covers_path(&self, path: &HostPath, lines: [&str; 2]) -> bool {
        let under = |directory: &str| path.as_str().starts_with(directory);
        let by_unit = |unit: &str| {
            // Enabling and masking are links, some of them other names; and an init script has its own, see
            // systemd-sysv-install(8).
            let stem = unit.split(['.', '@']).next().unwrap_or_default();
            let is_link = path.name() == unit
                || pulls(path.name())
                || path.parent_text().is_some_and(pulls)
                || lines.iter().any(|line| line.contains(unit));
            (under("/etc/systemd/system/") && is_link) || (under("/etc/rc") && path.as_str().ends_with(stem))
        };
        let claimed = self.any(|target| match target {
            Target::Path(claimed) => {
                path.is_within(claimed)
                    || claimed.is_within(path)
                    || (is_unit(claimed.name()) && by_unit(claimed.name()))
            }
            Target::Unit(unit) => by_unit(unit),
            _ => false,
        });
        let of_user = || self.users().any(|user| path.as_str() == format!("/var/mail/{user}"));
        claimed || self.homes.iter().any(|home| path.is_within(home)) || of_user()
    }

    fn covers_unit(&self, name: &str) -> bool {
        self.any(|target| is_about_unit(target, name))
    }

    /// A line of a group without the members that are claimed.
    fn without_users(&self, line: &str) -> String {
        let without = self.users().fold(line.to_owned(), |line, user| line.replace(&format!("{user:?}"), ""));
        without.replace(", ", "").replace(',', "")
    }
}

/// A line of a file as if it had no other name: that one goes or comes changes the lines of the others.
fn one_name(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    if let Some(place) = words.iter().position(|word| *word == "names").filter(|place| *place > 0) {
        words.drain(place - 1..=place);
    }
    words.join(" ")
}
