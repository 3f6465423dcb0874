//! A round: as many packages as can be installed together are installed one by one, watched, and removed again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use provision_core::sim::{RecordedPackage, ScriptChanges};

use crate::changes::{Explained, Installed, Purged, Removed, changes};
use crate::deb::Deb;
use crate::index::Index;
use crate::root::Root;
use crate::run::{Said, tail};
use crate::snapshot::Snapshot;

/// Where package files lie when seen from a root directory.
const ARCHIVES: &str = "/var/cache/apt/archives";

/// A package that a round installs.
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    /// What it holds.
    pub deb: Deb,
    /// Whether it is to be recorded, because it was not in an earlier round.
    pub wanted: bool,
}

/// Packages that are installed one by one and watched.
pub struct Round<'a> {
    root: Root,
    candidates: BTreeMap<String, Candidate>,
    records: BTreeMap<String, RecordedPackage>,
    now: Snapshot,
    /// In the order of their installation.
    watched: Vec<String>,
    problems: &'a mut Vec<String>,
}

impl<'a> Round<'a> {
    /// Begins a round in a root directory.
    pub fn new(
        root: Root,
        index: &Index,
        candidates: Vec<Candidate>,
        problems: &'a mut Vec<String>,
    ) -> Result<Round<'a>, String> {
        let mut records = BTreeMap::new();
        for candidate in candidates.iter().filter(|candidate| candidate.wanted) {
            let fields =
                index.get(&candidate.name).ok_or_else(|| format!("{} is not in the archive", candidate.name))?;
            records.insert(candidate.name.clone(), candidate.deb.record(fields)?);
        }
        let candidates = candidates.into_iter().map(|candidate| (candidate.name.clone(), candidate)).collect();
        let now = Snapshot::take(&root.path, None)?;
        Ok(Round { root, candidates, records, now, watched: Vec::new(), problems })
    }

    /// Installs the packages in groups that are in order, removes them unless they are to stay, and returns the records.
    pub fn record(mut self, groups: &[Vec<String>], stay: bool) -> Result<BTreeMap<String, RecordedPackage>, String> {
        let mut quiet = Vec::new();
        for (number, group) in groups.iter().enumerate() {
            let acts = |name: &String| self.candidates.get(name).is_some_and(|one| one.wanted && one.deb.acts);
            if !stay && !group.iter().any(acts) {
                quiet.extend(group.iter().cloned());
                continue;
            }
            eprintln!("{}/{}: {}", number + 1, groups.len(), group.join(" "));
            self.install_quietly(&mut quiet)?;
            if group.len() == 1 {
                self.install(&group[0])?;
            } else {
                self.install_cycle(group)?;
            }
        }
        self.install_quietly(&mut quiet)?;
        if !stay {
            while let Some(name) = self.watched.pop() {
                eprintln!("removing {name}, {} are left", self.watched.len());
                self.remove(&name)?;
            }
        }
        Ok(self.records)
    }

    /// Installs packages that do nothing, or that an earlier round has watched.
    fn install_quietly(&mut self, names: &mut Vec<String>) -> Result<(), String> {
        if names.is_empty() {
            return Ok(());
        }
        let files: Vec<String> = names.iter().map(|name| self.file(name)).collect();
        self.dpkg("--install", &files.iter().map(String::as_str).collect::<Vec<_>>(), &names.join(" "))?;
        let done = self.look(names, true)?;
        let new = |name: &String| self.candidates.get(name).is_some_and(|candidate| candidate.wanted);
        if names.iter().all(new) && !done.is_empty() {
            let done = serde_json::to_string(&done).map_err(|error| error.to_string())?;
            self.problems.push(format!("taken for idle, but one of these did something: {}: {done}", names.join(" ")));
        }
        names.clear();
        Ok(())
    }

    fn install(&mut self, name: &str) -> Result<(), String> {
        let file = self.file(name);
        self.dpkg("--install", &[&file], name)?;
        let done = self.look(&[name.to_owned()], true)?;
        self.note(name, |record| record.configure = done);
        Ok(())
    }

    /// Installs packages that need each other: all are unpacked, then one after the other is configured.
    fn install_cycle(&mut self, names: &[String]) -> Result<(), String> {
        let files: Vec<String> = names.iter().map(|name| self.file(name)).collect();
        self.dpkg("--unpack", &files.iter().map(String::as_str).collect::<Vec<_>>(), &names.join(" "))?;
        // What was done before anything was configured counts for the first: its changes are those since the last look.
        for (number, name) in names.iter().enumerate() {
            self.dpkg("--configure", &[name], name)?;
            let done = self.look(names, number + 1 == names.len())?;
            self.note(name, |record| record.configure = done);
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), String> {
        self.dpkg("--remove", &[name], name)?;
        let removed = self.look_after(name, |deb| Box::new(Removed(deb)))?;
        self.dpkg("--purge", &[name], name)?;
        let purged = self.look_after(name, |deb| Box::new(Purged(deb)))?;
        if let Some(record) = self.records.get_mut(name) {
            (record.remove, record.purge) = (removed, purged);
        }
        Ok(())
    }

    /// What an installation of packages has changed since the last look.
    fn look(&mut self, names: &[String], complete: bool) -> Result<ScriptChanges, String> {
        let after = Snapshot::take(&self.root.path, Some(&self.now))?;
        let debs: Vec<&Deb> =
            names.iter().filter_map(|name| self.candidates.get(name)).map(|candidate| &candidate.deb).collect();
        let done = changes(&self.now, &after, &Installed { debs: &debs, complete }, self.root.units())?;
        self.now = after;
        Ok(done)
    }

    fn look_after(
        &mut self,
        name: &str,
        explained: impl for<'d> Fn(&'d Deb) -> Box<dyn Explained + 'd>,
    ) -> Result<ScriptChanges, String> {
        let after = Snapshot::take(&self.root.path, Some(&self.now))?;
        let Some(candidate) = self.candidates.get(name) else { return Ok(ScriptChanges::default()) };
        let done = changes(&self.now, &after, &*explained(&candidate.deb), self.root.units())?;
        self.now = after;
        Ok(done)
    }

    fn note(&mut self, name: &str, note: impl FnOnce(&mut RecordedPackage)) {
        if let Some(record) = self.records.get_mut(name) {
            note(record);
            self.watched.push(name.to_owned());
        }
    }

    fn file(&self, name: &str) -> String {
        let file = self.candidates.get(name).and_then(|candidate| candidate.file.file_name());
        format!("{ARCHIVES}/{}", file.unwrap_or_default().to_string_lossy())
    }

    /// Runs the package manager; that it fails for a package is a problem to be reported, and the recording goes on.
    fn dpkg(&mut self, action: &str, what: &[&str], names: &str) -> Result<(), String> {
        let mut argv = vec!["dpkg", "--force-depends", "--force-confnew", action];
        argv.extend(what);
        let Said { success, errors, .. } = self.root.run(&argv)?;
        if !success {
            let problem = format!("dpkg {action} {names}: {}", tail(&errors));
            eprintln!("{problem}");
            self.problems.push(problem);
        }
        Ok(())
    }
}

/// The files of packages that were fetched, by the names of the packages.
pub fn files(listing: impl IntoIterator<Item = PathBuf>) -> BTreeMap<String, PathBuf> {
    let named = listing.into_iter().filter_map(|file| {
        let name = file.file_name()?.to_str()?.strip_suffix(".deb")?.split_once('_')?.0.to_owned();
        Some((name, file))
    });
    named.collect()
}

/// The packages that a simulated installation would install.
pub fn simulated(output: &str) -> BTreeSet<String> {
    let lines = output.lines().filter_map(|line| line.strip_prefix("Inst "));
    lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulation_names_packages() {
        let output = "Reading...\nInst libc6 [1] (2 Debian:12 [amd64])\nInst nginx (1.22 Debian:12 [amd64])\nConf nginx (1.22)\n";
        assert_eq!(simulated(output), ["libc6", "nginx"].map(str::to_owned).into());
    }

    #[test]
    fn files_are_known_by_package() {
        let found = files(["/a/nginx_1%3a2_amd64.deb", "/a/lock", "/a/x_1_all.deb"].map(PathBuf::from));
        assert_eq!(found.keys().collect::<Vec<_>>(), ["nginx", "x"]);
    }
}
