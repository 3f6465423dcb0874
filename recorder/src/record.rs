//! The recording of a release.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use provision_core::path::HostPath;
use provision_core::sim::{CatalogueHeader, PathKind, RecordedPackage};

use crate::Arguments;
use crate::choose::{Outcome, extend, fetch, installation, parse_list};
use crate::deb::Deb;
use crate::index::Index;
use crate::root::Base;
use crate::round::{Candidate, Round, files};
use crate::run::online;
use crate::store;

/// Releases that can be recorded, with their numbers.
const RELEASES: &[(&str, &str)] = &[("bookworm", "12"), ("trixie", "13")];

/// After so many rounds what is left cannot be installed.
const ROUNDS: usize = 12;

/// Packages that come before all others in a system without any.
const FIRST: &[&str] = &["base-passwd", "base-files"];

/// Records a release into a file.
pub fn record(arguments: &Arguments) -> Result<(), String> {
    let Some((codename, number)) = RELEASES.iter().find(|(codename, _)| *codename == arguments.release) else {
        let known: Vec<&str> = RELEASES.iter().map(|(codename, _)| *codename).collect();
        return Err(format!("unknown release {:?}; known are {}", arguments.release, known.join(", ")));
    };
    if !nix::unistd::geteuid().is_root() {
        return Err("recording packages needs root: it makes Debian systems and installs packages in them".into());
    }
    let list = match &arguments.list {
        Some(file) => fs::read_to_string(file).map_err(|error| format!("reading {}: {error}", file.display()))?,
        None => include_str!("../packages.txt").to_owned(),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix("record-packages.");
    let work = match &arguments.work {
        Some(directory) => builder.tempdir_in(directory),
        None => builder.tempdir(),
    }
    .map_err(|error| format!("making a directory to work in: {error}"))?;
    // Programs run under other users inside.
    fs::set_permissions(work.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .map_err(|error| error.to_string())?;
    let started = Instant::now();
    let base = Base::make(work.path(), codename, arguments.mirror.as_deref())?;
    let mut recording = Recording::new(base, work.path().to_owned())?;
    recording.record_base()?;
    eprintln!("the base system has {} packages, {} s", recording.records.len(), started.elapsed().as_secs());
    recording.record_list(&parse_list(&list))?;
    let mut records = recording.records;
    leave_out_common(&mut records);
    let header = CatalogueHeader {
        format: CatalogueHeader::FORMAT.into(),
        release: (*number).into(),
        codename: (*codename).into(),
        architecture: "amd64".into(),
        packages: records.len(),
    };
    let text = catalogue(&header, &records)?;
    store::add(&arguments.output, &header.release, &text)?;
    eprintln!("{} packages, {} bytes, {} s", records.len(), text.len(), started.elapsed().as_secs());
    for problem in recording.problems {
        eprintln!("problem: {problem}");
    }
    Ok(())
}

/// Leaves directories out that an essential package ships as well: they are there before, and afterwards.
fn leave_out_common(records: &mut BTreeMap<String, RecordedPackage>) {
    let essential = records.values().filter(|record| record.essential).flat_map(|record| record.paths.iter());
    let common: BTreeMap<HostPath, PathKind> = essential
        .filter(|(_, kind)| matches!(kind, PathKind::Directory(_)))
        .map(|(path, kind)| (path.clone(), kind.clone()))
        .collect();
    for record in records.values_mut().filter(|record| !record.essential) {
        for (path, kind) in &common {
            if record.paths.get(path) == Some(kind) {
                record.paths.remove(path);
            }
        }
    }
}

/// The text of a file of recorded packages.
fn catalogue(header: &CatalogueHeader, records: &BTreeMap<String, RecordedPackage>) -> Result<String, String> {
    let mut text = serde_json::to_string(header).map_err(|error| error.to_string())? + "\n";
    for record in records.values() {
        text += &serde_json::to_string(record).map_err(|error| error.to_string())?;
        text += "\n";
    }
    Ok(text)
}

struct Recording {
    base: Base,
    index: Index,
    work: PathBuf,
    base_packages: BTreeSet<String>,
    records: BTreeMap<String, RecordedPackage>,
    problems: Vec<String>,
}

impl Recording {
    fn new(base: Base, work: PathBuf) -> Result<Recording, String> {
        let index = Index::parse(&online(&base.path, &["apt-cache", "dumpavail"])?.output);
        let base_packages = base.packages()?.into_iter().collect();
        Ok(Recording { base, index, work, base_packages, records: BTreeMap::new(), problems: Vec::new() })
    }

    /// Records the packages of the base system: installs them once more where none is installed.
    fn record_base(&mut self) -> Result<(), String> {
        let names = self.base_packages.clone();
        let candidates = self.candidates(&names)?;
        let debs: Vec<PathBuf> = candidates.iter().map(|candidate| candidate.file.clone()).collect();
        let root = self.base.bare(&self.work, &debs)?;
        let first: Vec<Vec<String>> = FIRST.iter().map(|name| vec![(*name).to_owned()]).collect();
        let others = names.iter().filter(|name| !FIRST.contains(&name.as_str())).cloned().collect();
        let groups: Vec<Vec<String>> = first.into_iter().chain(self.index.order(&others)).collect();
        let records = Round::new(root, &self.index, candidates, &mut self.problems)?.record(&groups, true)?;
        self.records.extend(records);
        Ok(())
    }

    /// Records listed packages and what they need, in as many rounds as are necessary.
    fn record_list(&mut self, list: &[String]) -> Result<(), String> {
        let (known, unknown): (Vec<String>, Vec<String>) =
            list.iter().cloned().partition(|name| self.index.get(name).is_some());
        for name in unknown {
            eprintln!("skipped: the release has no package {name}");
        }
        for number in 1..=ROUNDS {
            let there: BTreeSet<String> = self.records.keys().cloned().collect();
            let simulate = |names: &[String]| installation(&self.base, names);
            let mut pending: Vec<String> = known.iter().filter(|name| !there.contains(*name)).cloned().collect();
            let mut chosen = Vec::new();
            extend(&mut chosen, &pending, &simulate)?;
            let mut packages = self.installed_with(&chosen)?;
            let all: Vec<String> = known.iter().chain(self.records.keys()).chain(&packages).cloned().collect();
            let had = there.union(&packages).cloned().collect();
            let also: Vec<String> =
                self.index.closure(&all, &had).into_iter().filter(|name| !known.contains(name)).collect();
            if !also.is_empty() {
                extend(&mut chosen, &also, &simulate)?;
                packages = self.installed_with(&chosen)?;
                pending.extend(also);
            }
            if pending.is_empty() {
                return Ok(());
            }
            if chosen.is_empty() || number == ROUNDS {
                self.problems.push(format!("left out, because they cannot be installed: {}", pending.join(" ")));
                return Ok(());
            }
            eprintln!("round {number}: {} packages for {} of {}", packages.len(), chosen.len(), pending.len());
            let candidates = self.candidates(&packages)?;
            let groups = self.index.order(&packages);
            let root = self.base.copy(&self.work)?;
            let records = Round::new(root, &self.index, candidates, &mut self.problems)?.record(&groups, false)?;
            self.records.extend(records);
        }
        Ok(())
    }

    fn installed_with(&self, names: &[String]) -> Result<BTreeSet<String>, String> {
        match installation(&self.base, names)? {
            Outcome::Fits(packages) => Ok(packages),
            Outcome::Fails(_) => Err(format!("these cannot be installed together after all: {}", names.join(" "))),
        }
    }

    fn candidates(&self, names: &BTreeSet<String>) -> Result<Vec<Candidate>, String> {
        let listed = || {
            let listing = fs::read_dir(self.base.archives()).map_err(|error| error.to_string())?;
            Ok::<_, String>(files(listing.flatten().map(|entry| entry.path())))
        };
        let there = listed()?;
        let missing: Vec<String> = names.iter().filter(|name| !there.contains_key(*name)).cloned().collect();
        if !missing.is_empty() {
            fetch(&self.base, &missing)?;
        }
        let mut there = listed()?;
        let mut candidates = Vec::new();
        for name in names {
            let file = there.remove(name).ok_or_else(|| format!("the file of {name} was not fetched"))?;
            let deb = Deb::read(&file)?;
            candidates.push(Candidate { name: name.clone(), file, deb, wanted: !self.records.contains_key(name) });
        }
        Ok(candidates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalogue_is_sorted_lines() {
        let header = CatalogueHeader {
            format: CatalogueHeader::FORMAT.into(),
            release: "12".into(),
            codename: "bookworm".into(),
            architecture: "amd64".into(),
            packages: 2,
        };
        let package =
            |name: &str| (name.to_owned(), RecordedPackage { name: name.into(), ..RecordedPackage::default() });
        let text = catalogue(&header, &BTreeMap::from(["b", "a"].map(package))).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("{\"format\":\"provision-packages/1\""));
        assert!(lines[1].starts_with("{\"name\":\"a\"") && lines[2].starts_with("{\"name\":\"b\""));
    }
}
