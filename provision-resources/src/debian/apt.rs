//! apt: what could be installed, what a transaction would do, and doing it in one run of `apt-get`.

mod failures;
mod lists;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use provision_core::effect::{Command, Conffiles, PackageTransaction};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{LocalSystem, PackageAction, PackageChange, PackageStatus, TransactionPreview};
use provision_core::path::{HostPath, Mode};

use super::dpkg;
use provision_core::version::Version;

pub(super) use lists::{lists, refresh};

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

/// A name that apt takes for nothing but one package: with an architecture, a `+` or `-` at its end says nothing of what to
/// do, and no pattern is tried ([`EXACT`]). See `apt-get(8)`, install.
fn exact(name: &str, native: Option<&str>) -> String {
    match native {
        Some(native) if !name.contains(':') => format!("{name}:{native}"),
        _ => name.to_owned(),
    }
}

/// Keeps apt from taking a name for a pattern.
const EXACT: [&str; 2] = ["-o", "APT::Cmd::Pattern-Only=true"];

/// For each name the versions that could be installed: the preferred one first, then the others, highest first.
pub(super) fn available_versions(
    system: &LocalSystem,
    native: Option<&str>,
    names: &[String],
) -> Result<HashMap<String, Vec<String>>> {
    let preferred = show(system, native, &["--no-all-versions"], names)?;
    let mut all = show(system, native, &[], names)?;
    let mut found = HashMap::new();
    for name in names {
        let mut versions = all.remove(name).unwrap_or_default();
        versions.sort_by(|a, b| Version::new(b).cmp(&Version::new(a)));
        versions.dedup();
        if let Some(first) = preferred.get(name).and_then(|versions| versions.first()) {
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

/// Whether there is a package of this name, in the lists or on the host; see Debian policy 3.6 for those that are virtual.
pub(super) fn is_real(system: &LocalSystem, native: Option<&str>, name: &str) -> Result<bool> {
    Ok(!show(system, native, &[], &[name.to_owned()])?.is_empty())
}

/// The versions in the records that `apt-cache show` prints, by the names that were asked for; see `deb822(5)`. Names without
/// a record are no error.
fn show(
    system: &LocalSystem,
    native: Option<&str>,
    options: &[&str],
    names: &[String],
) -> Result<BTreeMap<String, Vec<String>>> {
    let argv = ["apt-cache"].iter().chain(&EXACT).chain(&["show", "-q"]).chain(options).map(|word| (*word).to_owned());
    let exact = names.iter().map(|name| exact(name, native));
    let output = system.run(&command(argv.chain(["--".to_owned()]).chain(exact)))?;
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in output.stdout.split("\n\n") {
        let field = |name: &str| record.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        if let (Some(name), Some(version)) = (field("Package"), field("Version")) {
            let architecture = field("Architecture").unwrap_or_default();
            let is_native = architecture == "all" || native.is_none_or(|native| native == architecture);
            let name = if is_native { name.to_owned() } else { format!("{name}:{architecture}") };
            versions.entry(name).or_default().push(version.to_owned());
        }
    }
    Ok(versions)
}

/// The arguments of `apt-get install` that a transaction comes to, after the options that go first.
fn arguments(transaction: &PackageTransaction, native: Option<&str>, first: &[&str]) -> Vec<String> {
    let options = &transaction.options;
    let mut argv: Vec<String> = ["apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=300"].map(str::to_owned).into();
    argv.extend(EXACT.iter().chain(first).map(|word| (*word).to_owned()));
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
        Some(version) => format!("{}={version}", exact(&request.name, native)),
        None => exact(&request.name, native),
    }));
    let gone = transaction.remove.iter().chain(&transaction.purge).chain(&transaction.exclude);
    argv.extend(gone.map(|name| format!("{}-", exact(name, native))));
    argv
}

/// What a transaction would do. `apt-get -s` is asked once, and for sizes only if there is something to fetch.
pub(super) fn preview(
    system: &LocalSystem,
    native: Option<&str>,
    transaction: &PackageTransaction,
) -> Result<TransactionPreview> {
    let output = system.run(&command(arguments(transaction, native, &["-s"])))?;
    if !output.success() {
        return Err(failures::unsolvable(system, native, transaction, &output)?);
    }
    let changes: Vec<PackageChange> = output.stdout.lines().filter_map(simulated).collect();
    let fetches = changes.iter().any(|change| matches!(change.action, PackageAction::Install | PackageAction::Upgrade));
    let download_bytes = if fetches {
        let output = system.run(&command(arguments(transaction, native, &["--print-uris"])))?;
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

/// Carries out a transaction.
pub(super) fn transact(system: &LocalSystem, native: Option<&str>, transaction: &PackageTransaction) -> Result<()> {
    if !transaction.unhold.is_empty() {
        mark(system, native, "unhold", &transaction.unhold)?;
    }
    if transaction.changes_packages() {
        change(system, native, transaction)?;
    }
    let marks = [("hold", &transaction.hold), ("auto", &transaction.automatic), ("manual", &transaction.manual)];
    for (verb, names) in marks.into_iter().filter(|(_, names)| !names.is_empty()) {
        mark(system, native, verb, names)?;
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

fn change(system: &LocalSystem, native: Option<&str>, transaction: &PackageTransaction) -> Result<()> {
    let status = dpkg::Status::read(system)?;
    let is_there =
        |name: &String| matches!(status.package(name).status, PackageStatus::Installed | PackageStatus::Interrupted);
    let removes = transaction.remove.iter().chain(&transaction.purge).any(is_there);
    // What is left of packages that were removed before is dpkg's own affair.
    if transaction.install.is_empty() && !removes {
        return purge_rest(system, transaction);
    }
    let mut first = vec!["-o", "APT::Status-Fd=3", "-o", "Dpkg::Use-Pty=0"];
    if !transaction.options.allow_removals {
        if removes {
            refuse_undeclared_removals(system, native, transaction)?;
        } else {
            first.push("--no-remove");
        }
    }
    let output = without_starts(system, || {
        let command = command(WITH_STATUS.into_iter().map(str::to_owned).chain(arguments(transaction, native, &first)));
        let output = system.run_watched(&command, &|line| {
            if let Some(text) = failures::progress(line) {
                system.progress(&text);
            }
        })?;
        if !output.success() && dpkg::Status::read(system)?.is_unfinished() {
            // One package that fails keeps no other one from being completed.
            system.run(&configure_all())?;
        }
        Ok(output)
    })?;
    if !output.success() {
        return Err(failures::failed(&output));
    }
    purge_rest(system, transaction)
}

/// Completes every package that is unpacked, as far as its scripts let it.
fn configure_all() -> Command {
    command(["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"])
}

fn refuse_undeclared_removals(
    system: &LocalSystem,
    native: Option<&str>,
    transaction: &PackageTransaction,
) -> Result<()> {
    let declared = |name: &String| transaction.remove.contains(name) || transaction.purge.contains(name);
    let preview = preview(system, native, transaction)?;
    let removals = preview.changes.into_iter().filter(|change| change.to.is_none()).map(|change| change.name);
    let undeclared: Vec<String> = removals.filter(|name| !declared(name)).collect();
    if undeclared.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Refused, format!("it would remove {}, which is not declared", undeclared.join(", ")))
        .with_hint("declare what is to go as absent, or set `allow_removals = true`"))
}

/// What apt leaves of packages to purge: configuration files of packages that were removed before, or with others.
fn purge_rest(system: &LocalSystem, transaction: &PackageTransaction) -> Result<()> {
    let status = dpkg::Status::read(system)?;
    let left = |name: &&String| status.package(name).status != PackageStatus::Absent;
    let left: Vec<String> = transaction.purge.iter().filter(left).cloned().collect();
    if left.is_empty() {
        return Ok(());
    }
    system.run_ok(&command(["dpkg", "--purge", "--"].map(str::to_owned).into_iter().chain(left)))?;
    Ok(())
}

fn mark(system: &LocalSystem, native: Option<&str>, verb: &str, names: &[String]) -> Result<()> {
    let options = ["apt-mark", "-q", "-o", "DPkg::Lock::Timeout=300"].into_iter().chain(EXACT);
    let argv = options.chain([verb, "--"]).map(str::to_owned);
    let names = names.iter().map(|name| exact(name, native));
    system.run_ok(&command(argv.chain(names)))?;
    Ok(())
}

/// Completes what an interrupted run left behind.
pub(super) fn repair(system: &LocalSystem) -> Result<()> {
    let (configured, fixed) = without_starts(system, || {
        let configured = system.run(&configure_all())?;
        let argv = ["apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=300", "--no-remove", "-f", "install"];
        Ok((configured, system.run(&command(argv))?))
    })?;
    let left = dpkg::Status::read(system)?.interrupted(system)?;
    if left.is_empty() && fixed.success() {
        return Ok(());
    }
    let output = if configured.success() { &fixed } else { &configured };
    let message = match &left[..] {
        [] => "the dependencies of the installed packages cannot be met".to_owned(),
        left => format!("these packages cannot be completed: {}", left.join(", ")),
    };
    Err(Error::new(ErrorKind::Incomplete, message).with_cause(failures::last_lines(output)).with_hint(
        "mend what their scripts need, or declare them with `ensure = 'purged`; other packages are not kept waiting",
    ))
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
        assert!(arguments(&transaction, Some("amd64"), &["-s"]).join(" ").ends_with(
            "-o APT::Cmd::Pattern-Only=true -s -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold --no-install-recommends \
             --purge install -- hello:amd64=2.10-3 less:amd64-"
        ));
    }

    /// `hello+` once installed hello, and `hello-` removed it.
    #[test]
    fn no_name_is_taken_for_a_suffix_of_apt() {
        for (name, words) in
            [("hello+", "hello+:amd64"), ("hello-", "hello-:amd64"), ("g++", "g++:amd64"), ("libc6:i386", "libc6:i386")]
        {
            let install = vec![PackageRequest { name: name.into(), version: None }];
            let transaction = PackageTransaction { install, ..PackageTransaction::default() };
            assert_eq!(arguments(&transaction, Some("amd64"), &[]).last().map(String::as_str), Some(words));
            let transaction = PackageTransaction { remove: vec![name.into()], ..PackageTransaction::default() };
            assert_eq!(arguments(&transaction, Some("amd64"), &[]).last().cloned(), Some(format!("{words}-")));
        }
    }

    #[test]
    fn a_package_can_be_released_and_removed_in_one_transaction() {
        let (purge, unhold) = (vec!["hello".to_owned()], vec!["hello".to_owned()]);
        let transaction = PackageTransaction { purge, unhold, ..PackageTransaction::default() };
        assert!(arguments(&transaction, Some("amd64"), &["-s"]).contains(&"--allow-change-held-packages".to_owned()));
    }
}
