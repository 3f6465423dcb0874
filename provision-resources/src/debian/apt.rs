//! apt: what could be installed, what a transaction would do, and doing it in one run of `apt-get`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use provision_core::diagnostic::did_you_mean;
use provision_core::effect::{Command, Conffiles, Output, PackageTransaction};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{LocalSystem, PackageAction, PackageChange, TransactionPreview};
use provision_core::path::{HostPath, Mode};

use super::dpkg;
use provision_core::version::Version;

const LISTS: &str = "/var/lib/apt/lists";
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// 101 forbids an action; see <https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt>.
const NO_STARTS: &str =
    "#!/bin/sh\n# Written by provision while it changes packages of a system that does not run.\nexit 101\n";

/// Starts what follows with its status protocol beside what it says. apt closes the descriptor of the protocol for
/// maintainer scripts, so it cannot be that of standard output: scripts that say something would fail.
const WITH_STATUS: [&str; 4] = ["sh", "-c", "exec 3>&1; exec \"$@\"", "sh"];

/// Variables that keep the programs of a package run from asking questions, or from restarting services by themselves.
const QUIET: [(&str, &str); 6] = [
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
    ("APT_LISTCHANGES_FRONTEND", "none"),
    ("APT_LISTBUGS_FRONTEND", "none"),
    ("NEEDRESTART_SUSPEND", "1"),
    ("UCF_FORCE_CONFFOLD", "1"),
];

fn command<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Command {
    let command = Command::new(argv).timeout(Duration::from_secs(3600));
    QUIET.iter().fold(command, |command, (name, value)| command.env(name, value))
}

/// Seconds since the package lists were fetched. apt keeps the server's times on the lists themselves, so the directory
/// that every fetch goes through tells.
pub(super) fn lists_age(system: &LocalSystem) -> Result<Option<u64>> {
    let names = system.list(&HostPath::new(LISTS)?)?.unwrap_or_default();
    if !names.iter().any(|name| name.contains("_Packages")) {
        return Ok(None);
    }
    let mut youngest = None;
    for path in [LISTS, "/var/lib/apt/lists/partial", "/var/lib/apt/periodic/update-success-stamp"] {
        let age = system.age(&HostPath::new(path)?)?;
        youngest = [youngest, age].into_iter().flatten().min();
    }
    Ok(youngest)
}

/// For each name the versions that could be installed: the preferred one first, then the others, highest first.
pub(super) fn available_versions(system: &LocalSystem, names: &[String]) -> Result<HashMap<String, Vec<String>>> {
    let preferred = show(system, &["--no-all-versions"], names)?;
    let mut all = show(system, &[], names)?;
    let mut found = HashMap::new();
    for name in names {
        let plain = name.split(':').next().unwrap_or(name);
        let mut versions = all.remove(plain).unwrap_or_default();
        versions.sort_by(|a, b| Version::new(b).cmp(&Version::new(a)));
        versions.dedup();
        if let Some(first) = preferred.get(plain).and_then(|versions| versions.first()) {
            versions.retain(|version| version != first);
            versions.insert(0, first.clone());
        } else {
            // A pin speaks against all of them; see apt_preferences(5).
            versions.clear();
        }
        found.insert(name.clone(), versions);
    }
    Ok(found)
}

/// The versions in the records that `apt-cache show` prints; see `deb822(5)`. Names without a record are no error.
fn show(system: &LocalSystem, options: &[&str], names: &[String]) -> Result<BTreeMap<String, Vec<String>>> {
    let argv = ["apt-cache", "show", "-q"].iter().chain(options).map(|word| (*word).to_owned());
    let output = system.run(&command(argv.chain(["--".to_owned()]).chain(names.iter().cloned())))?;
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in output.stdout.split("\n\n") {
        let field = |name: &str| record.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        if let (Some(name), Some(version)) = (field("Package"), field("Version")) {
            versions.entry(name.to_owned()).or_default().push(version.to_owned());
        }
    }
    Ok(versions)
}

/// The arguments of `apt-get install` that a transaction comes to, after the options that go first.
fn arguments(transaction: &PackageTransaction, first: &[&str]) -> Vec<String> {
    let options = &transaction.options;
    let mut argv: Vec<String> = ["apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=300"].map(str::to_owned).into();
    argv.extend(first.iter().map(|word| (*word).to_owned()));
    let conffiles: &[&str] = match options.conffiles {
        Conffiles::Keep => &["--force-confdef", "--force-confold"],
        Conffiles::New => &["--force-confnew"],
        Conffiles::Fail => &[],
    };
    for option in conffiles {
        argv.extend(["-o".to_owned(), format!("Dpkg::Options::={option}")]);
    }
    argv.push(if options.recommends { "--install-recommends" } else { "--no-install-recommends" }.to_owned());
    if options.allow_downgrade {
        argv.push("--allow-downgrades".to_owned());
    }
    let held = |name: &String| transaction.hold.contains(name) || transaction.unhold.contains(name);
    let removed = transaction.remove.iter().chain(&transaction.purge);
    // What it releases is still held when apt is asked what would be done.
    if transaction.install.iter().map(|request| &request.name).chain(removed).any(held) {
        argv.push("--allow-change-held-packages".to_owned());
    }
    // With both kinds of removal, those to purge are removed here and purged afterwards.
    if transaction.remove.is_empty() && !transaction.purge.is_empty() {
        argv.push("--purge".to_owned());
    }
    argv.extend(["install".to_owned(), "--".to_owned()]);
    argv.extend(transaction.install.iter().map(|request| match &request.version {
        Some(version) => format!("{}={version}", request.name),
        None => request.name.clone(),
    }));
    argv.extend(transaction.remove.iter().chain(&transaction.purge).map(|name| format!("{name}-")));
    argv
}

/// What a transaction would do. `apt-get -s` is asked once, and for sizes only if there is something to fetch.
pub(super) fn preview(system: &LocalSystem, transaction: &PackageTransaction) -> Result<TransactionPreview> {
    let output = system.run(&command(arguments(transaction, &["-s"])))?;
    if !output.success() {
        return Err(unsolvable(system, transaction, &output)?);
    }
    let changes: Vec<PackageChange> = output.stdout.lines().filter_map(simulated).collect();
    let fetches = changes.iter().any(|change| matches!(change.action, PackageAction::Install | PackageAction::Upgrade));
    let download_bytes = if fetches {
        let output = system.run(&command(arguments(transaction, &["--print-uris"])))?;
        output.success().then(|| output.stdout.lines().filter_map(size_to_fetch).sum())
    } else {
        Some(0)
    };
    Ok(TransactionPreview { changes, download_bytes })
}

/// A line such as `Inst nginx [1.22] (1.24 Debian:13/stable [amd64])`.
fn simulated(line: &str) -> Option<PackageChange> {
    let mut words = line.split(' ');
    let verb = words.next()?;
    let name = words.next()?.to_owned();
    let next = words.next();
    let from = next.and_then(|word| word.strip_prefix('[')?.strip_suffix(']')).map(str::to_owned);
    let to = line.split_once('(').and_then(|(_, rest)| rest.split(' ').next()).map(str::to_owned);
    let (action, to) = match (verb, &from) {
        ("Inst", None) => (PackageAction::Install, to),
        ("Inst", Some(_)) => (PackageAction::Upgrade, to),
        ("Remv", _) => (PackageAction::Remove, None),
        ("Purg", _) => (PackageAction::Purge, None),
        _ => return None,
    };
    Some(PackageChange { name, action, from, to })
}

/// A line such as `'http://…/nginx.deb' nginx.deb 12345 SHA256:…`.
fn size_to_fetch(line: &str) -> Option<u64> {
    line.starts_with('\'').then(|| line.split(' ').nth(2)?.parse().ok())?
}

/// Why there is no solution: names and versions that nobody offers, or what apt says.
fn unsolvable(system: &LocalSystem, transaction: &PackageTransaction, output: &Output) -> Result<Error> {
    let names: Vec<String> = transaction.install.iter().map(|request| request.name.clone()).collect();
    let available = available_versions(system, &names)?;
    for request in &transaction.install {
        let versions = available.get(&request.name).map(Vec::as_slice).unwrap_or_default();
        match &request.version {
            _ if versions.is_empty() => return missing(system, &request.name),
            Some(version) if !versions.contains(version) => {
                let message = format!("no package source has {} in version {version}", request.name);
                let hint = format!("there is {}", versions.join(", "));
                return Ok(Error::new(ErrorKind::NotFound, message).with_hint(hint));
            }
            _ => {}
        }
    }
    Ok(Error::new(ErrorKind::Conflict, "apt finds no way to do this").with_cause(last_lines(output)))
}

fn missing(system: &LocalSystem, name: &str) -> Result<Error> {
    let providers = providers(system, name)?;
    if !providers.is_empty() {
        return Ok(Error::new(ErrorKind::NotFound, format!("{name} is a virtual package"))
            .with_hint(format!("declare one that provides it: {}", providers.join(", "))));
    }
    let error = Error::new(ErrorKind::NotFound, format!("no package source has a package {name}"));
    let known = system.run(&command(["apt-cache", "pkgnames"]))?.stdout;
    Ok(match did_you_mean(name, known.lines()) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint("declare the package source that has it, or correct the name"),
    })
}

/// The packages that stand for a virtual one: the names after the heading that `apt-cache showpkg` ends with.
fn providers(system: &LocalSystem, name: &str) -> Result<Vec<String>> {
    let output = system.run(&command(["apt-cache", "showpkg", "--", name]))?;
    let after = output.stdout.rsplit_once("Reverse Provides:").map(|(_, after)| after.to_owned()).unwrap_or_default();
    let mut names: Vec<String> = after.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn last_lines(output: &Output) -> String {
    let said: Vec<&str> = output
        .stdout
        .lines()
        .chain(output.stderr.lines())
        .filter(|line| !line.starts_with("pmstatus:") && !line.starts_with("dlstatus:") && !line.trim().is_empty())
        .collect();
    said[said.len().saturating_sub(12)..].join("\n")
}

/// Carries out a transaction.
pub(super) fn transact(system: &LocalSystem, transaction: &PackageTransaction) -> Result<()> {
    if !transaction.unhold.is_empty() {
        mark(system, "unhold", &transaction.unhold)?;
    }
    if transaction.changes_packages() {
        change(system, transaction)?;
    }
    let marks = [("hold", &transaction.hold), ("auto", &transaction.automatic), ("manual", &transaction.manual)];
    for (verb, names) in marks.into_iter().filter(|(_, names)| !names.is_empty()) {
        mark(system, verb, names)?;
    }
    Ok(())
}

/// The packages that came along with others, by `name`, or `name:architecture` where that is not the host's own; see
/// `apt-mark(8)`, FILES.
pub(super) fn automatic(system: &LocalSystem) -> Result<HashSet<String>> {
    let text = system.read_text("/var/lib/apt/extended_states")?.unwrap_or_default();
    let native = system.read_text("/var/lib/dpkg/arch")?;
    let native = native.as_deref().and_then(|arch| arch.lines().next());
    let mut names = HashSet::new();
    for record in text.split("\n\n") {
        let field = |name: &str| record.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let (Some(name), Some("1")) = (field("Package"), field("Auto-Installed")) else { continue };
        let architecture = field("Architecture").unwrap_or_default();
        names.insert(format!("{name}:{architecture}"));
        if native.is_none_or(|native| native == architecture) {
            names.insert(name.to_owned());
        }
    }
    Ok(names)
}

fn change(system: &LocalSystem, transaction: &PackageTransaction) -> Result<()> {
    let declares_removals = !(transaction.remove.is_empty() && transaction.purge.is_empty());
    let mut first = vec!["-o", "APT::Status-Fd=3", "-o", "Dpkg::Use-Pty=0"];
    if !transaction.options.allow_removals {
        if declares_removals {
            refuse_undeclared_removals(system, transaction)?;
        } else {
            first.push("--no-remove");
        }
    }
    let output = without_starts(system, || {
        let command = command(WITH_STATUS.into_iter().map(str::to_owned).chain(arguments(transaction, &first)));
        system.run_watched(&command, &|line| {
            if let Some(text) = progress(line) {
                system.progress(&text);
            }
        })
    })?;
    if !output.success() {
        return Err(Error::new(ErrorKind::CommandFailed, format!("apt-get ended with exit code {}", output.code))
            .with_cause(last_lines(&output)));
    }
    purge_rest(system, transaction)
}

fn refuse_undeclared_removals(system: &LocalSystem, transaction: &PackageTransaction) -> Result<()> {
    let declared = |name: &String| transaction.remove.contains(name) || transaction.purge.contains(name);
    let preview = preview(system, transaction)?;
    let removals = preview.changes.into_iter().filter(|change| change.to.is_none()).map(|change| change.name);
    let undeclared: Vec<String> = removals.filter(|name| !declared(name)).collect();
    if undeclared.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Refused, format!("it would remove {}, which nobody declared", undeclared.join(", ")))
        .with_hint("declare these packages as absent, or set `allow_removals = true`"))
}

/// What apt leaves of packages to purge: configuration files of packages that were removed before, or with others.
fn purge_rest(system: &LocalSystem, transaction: &PackageTransaction) -> Result<()> {
    let status = dpkg::Status::read(system)?;
    let left = |name: &&String| status.package(name).status != provision_core::host::PackageStatus::Absent;
    let left: Vec<String> = transaction.purge.iter().filter(left).cloned().collect();
    if left.is_empty() {
        return Ok(());
    }
    system.run_ok(&command(["dpkg", "--purge", "--"].map(str::to_owned).into_iter().chain(left)))?;
    Ok(())
}

fn mark(system: &LocalSystem, verb: &str, names: &[String]) -> Result<()> {
    let argv = ["apt-mark", "-q", "-o", "DPkg::Lock::Timeout=300", verb, "--"].map(str::to_owned);
    system.run_ok(&command(argv.into_iter().chain(names.iter().cloned())))?;
    Ok(())
}

/// Lines of apt's status protocol, `pmstatus:package:percent:text` and `dlstatus:number:percent:text`.
fn progress(line: &str) -> Option<String> {
    let mut parts = line.splitn(4, ':');
    let (kind, percent, text) = (parts.next()?, parts.nth(1)?, parts.next()?);
    let percent = percent.split('.').next().unwrap_or_default();
    matches!(kind, "pmstatus" | "dlstatus").then(|| format!("{text} ({percent} %)"))
}

/// Fetches the package lists.
pub(super) fn refresh(system: &LocalSystem) -> Result<()> {
    // Without the error mode, apt-get ends with 0 although a source failed.
    let argv = ["apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update"];
    let output = system.run_watched(&command(argv), &|line| system.progress(line))?;
    if output.success() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::CommandFailed, format!("apt-get update ended with exit code {}", output.code))
        .with_cause(last_lines(&output))
        .with_hint("see that the package sources can be reached and that their keys are there"))
}

/// Completes what an interrupted run left behind.
pub(super) fn repair(system: &LocalSystem) -> Result<()> {
    without_starts(system, || {
        let options = ["--force-confdef", "--force-confold"];
        system.run_ok(&command(["dpkg"].into_iter().chain(options).chain(["--configure", "-a"])))?;
        let argv = ["apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=300", "--no-remove", "-f", "install"];
        system.run_ok(&command(argv))
    })?;
    Ok(())
}

/// Keeps maintainer scripts from starting services where no service manager runs, as in a root directory: they would run on
/// this host.
fn without_starts<T>(system: &LocalSystem, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let policy = HostPath::new(POLICY)?;
    let is_running = super::systemd::is_running(system)?;
    let present = if is_running { None } else { system.read_text(POLICY)? };
    // One of ours that a crash left behind is ours to take away.
    let ours = !is_running && present.as_deref().is_none_or(|text| text == NO_STARTS);
    if !ours {
        return work();
    }
    system.write(&policy, NO_STARTS, Mode::new(0o755))?;
    let result = work();
    system.remove(&policy)?;
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use provision_core::effect::{PackageOptions, PackageRequest};

    #[test]
    fn lines_of_a_simulation_become_changes() {
        let lines = "Inst nginx (1.22.1-9 Debian:12.9/stable [amd64])\nInst libc6 [2.36-9] (2.36-10 Debian [amd64]) []\n\
            Conf nginx (1.22.1-9 Debian:12.9/stable [amd64])\nRemv exim4 [4.96]\nPurg less [590]\nReading package lists...";
        let changes: Vec<PackageChange> = lines.lines().filter_map(simulated).collect();
        let short: Vec<_> =
            changes.iter().map(|c| (c.name.as_str(), c.action, c.from.as_deref(), c.to.as_deref())).collect();
        assert_eq!(
            short,
            [
                ("nginx", PackageAction::Install, None, Some("1.22.1-9")),
                ("libc6", PackageAction::Upgrade, Some("2.36-9"), Some("2.36-10")),
                ("exim4", PackageAction::Remove, Some("4.96"), None),
                ("less", PackageAction::Purge, Some("590"), None),
            ]
        );
    }

    #[test]
    fn a_transaction_is_one_command() {
        let transaction = PackageTransaction {
            install: vec![PackageRequest { name: "hello".into(), version: Some("2.10-3".into()) }],
            purge: vec!["less".into()],
            options: PackageOptions { recommends: false, ..PackageOptions::default() },
            ..PackageTransaction::default()
        };
        assert!(arguments(&transaction, &["-s"]).join(" ").ends_with(
            "-s -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold --no-install-recommends \
             --purge install -- hello=2.10-3 less-"
        ));
    }

    #[test]
    fn a_package_can_be_released_and_removed_in_one_transaction() {
        let (purge, unhold) = (vec!["hello".to_owned()], vec!["hello".to_owned()]);
        let transaction = PackageTransaction { purge, unhold, ..PackageTransaction::default() };
        assert!(arguments(&transaction, &["-s"]).contains(&"--allow-change-held-packages".to_owned()));
    }

    #[test]
    fn the_status_protocol_becomes_a_short_text() {
        assert_eq!(
            progress("pmstatus:nginx:42.8571:Unpacking nginx (amd64)").as_deref(),
            Some("Unpacking nginx (amd64) (42 %)")
        );
        assert_eq!(progress("Reading package lists..."), None);
    }
}
