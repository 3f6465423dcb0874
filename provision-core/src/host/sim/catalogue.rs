//! The packages of the simulated host, and the installation that it begins with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use crate::effect::{Access, Content, PackageTransaction};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{
    Accounts, FileKind, Group, PackageAction, PackageChange, PackageState, PackageStatus, TransactionPreview,
    UnitState, User,
};
use crate::path::{HostPath, Mode};

/// Packages with what they bring.
#[derive(Clone, Debug, Default)]
pub struct Catalogue(BTreeMap<String, CataloguePackage>);

/// A package with what it brings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CataloguePackage {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its only version.
    pub version: String,
    /// Packages that it cannot do without.
    #[serde(default)]
    pub depends: Vec<String>,
    /// Packages that come along unless that is refused.
    #[serde(default)]
    pub recommends: Vec<String>,
    /// Packages that cannot be there at the same time.
    #[serde(default)]
    pub conflicts: Vec<String>,
    /// Virtual packages that it stands for.
    #[serde(default)]
    pub provides: Vec<String>,
    /// Files, links and directories.
    #[serde(default)]
    pub files: Vec<CatalogueFile>,
    /// System users that its scripts create.
    #[serde(default)]
    pub users: Vec<String>,
    /// System groups that its scripts create.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Units that its scripts enable and start.
    #[serde(default)]
    pub units: Vec<String>,
    /// Bytes to fetch.
    #[serde(default)]
    pub size: u64,
}

/// Something that a package ships.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueFile {
    /// Where.
    pub path: HostPath,
    /// The text of a file.
    #[serde(default)]
    pub text: Option<String>,
    /// The text of a link.
    #[serde(default)]
    pub target: Option<String>,
    /// Permission bits, if they are not the usual ones.
    #[serde(default)]
    pub mode: Option<Mode>,
}

impl CatalogueFile {
    pub(in crate::host) fn kind(&self) -> FileKind {
        match (&self.text, &self.target) {
            (_, Some(_)) => FileKind::Symlink,
            (Some(_), None) => FileKind::File,
            (None, None) => FileKind::Directory,
        }
    }

    pub(in crate::host) fn access(&self) -> Access {
        let usual = match self.kind() {
            FileKind::Directory => 0o755,
            FileKind::Symlink => 0o777,
            _ => 0o644,
        };
        Access { owner: "root".into(), group: "root".into(), mode: self.mode.unwrap_or(Mode::new(usual)) }
    }

    pub(in crate::host) fn data(&self) -> Option<Content> {
        self.target.as_deref().or(self.text.as_deref()).map(Content::from)
    }
}

impl Catalogue {
    /// A few packages of Debian 12, enough for the examples.
    pub fn debian() -> Catalogue {
        static BUILT_IN: LazyLock<Catalogue> = LazyLock::new(|| {
            let mut packages: BTreeMap<String, CataloguePackage> =
                serde_json::from_str(include_str!("catalogue.json")).expect("the built-in catalogue is well-formed");
            for (name, package) in &mut packages {
                package.name.clone_from(name);
            }
            Catalogue(packages)
        });
        BUILT_IN.clone()
    }

    /// A package by its name.
    pub fn get(&self, name: &str) -> Option<&CataloguePackage> {
        self.0.get(name)
    }

    /// The package that ships a path.
    pub fn package_of(&self, path: &HostPath) -> Option<String> {
        let ships = |package: &&CataloguePackage| package.files.iter().any(|file| file.path == *path);
        self.0.values().find(ships).map(|package| package.name.clone())
    }

    /// The packages that stand for a virtual one.
    pub fn providers(&self, name: &str) -> impl Iterator<Item = &str> {
        let provides = move |package: &&CataloguePackage| package.provides.iter().any(|other| other == name);
        self.0.values().filter(provides).map(|package| package.name.as_str())
    }

    /// The state of a unit right after its package was installed.
    pub(in crate::host) fn unit(&self, name: &str, running: bool) -> UnitState {
        let file = self.0.values().flat_map(|package| &package.files).find(|file| file.path.name() == name);
        let text = file.and_then(|file| file.text.as_deref()).unwrap_or_default();
        UnitState {
            load: "loaded".into(),
            active: running.then(|| "active".into()),
            sub: running.then(|| "running".into()),
            file_state: if text.contains("[Install]") || text.is_empty() { "enabled" } else { "static" }.into(),
            needs_reload: false,
            can_reload: text.contains("ExecReload="),
            ends_by_itself: false,
            starts: u32::from(running),
            started_micros: None,
        }
    }

    /// The wanted packages that are not installed, and all that they need, dependencies first.
    ///
    /// # Errors
    /// A package is not in the catalogue.
    pub fn closure(
        &self,
        wanted: &[&str],
        recommends: bool,
        installed: impl Fn(&str) -> Result<bool>,
    ) -> Result<Vec<&CataloguePackage>> {
        let mut ordered = Vec::new();
        let mut seen = BTreeSet::new();
        for name in wanted {
            self.visit(name, recommends, &installed, &mut seen, &mut ordered)?;
        }
        Ok(ordered)
    }

    fn visit<'a>(
        &'a self,
        name: &str,
        recommends: bool,
        installed: &impl Fn(&str) -> Result<bool>,
        seen: &mut BTreeSet<String>,
        ordered: &mut Vec<&'a CataloguePackage>,
    ) -> Result<()> {
        if installed(name)? || !seen.insert(name.to_owned()) {
            return Ok(());
        }
        let Some(package) = self.get(name).or_else(|| self.get(self.providers(name).next()?)) else {
            return Err(Error::new(ErrorKind::NotFound, format!("no package source has a package {name}")).with_hint(
                match crate::diagnostic::did_you_mean(name, self.0.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("the simulated host knows {} packages only", self.0.len()),
                },
            ));
        };
        let also = package.recommends.iter().filter(|_| recommends);
        for needed in package.depends.iter().chain(also) {
            self.visit(needed, recommends, installed, seen, ordered)?;
        }
        ordered.push(package);
        Ok(())
    }

    pub(in crate::host) fn preview(
        &self,
        transaction: &PackageTransaction,
        state: impl Fn(&str) -> Result<PackageState>,
    ) -> Result<TransactionPreview> {
        let wanted: Vec<&str> = transaction.install.iter().map(|request| request.name.as_str()).collect();
        let installed = |name: &str| Ok(state(name)?.status == PackageStatus::Installed);
        let mut preview = TransactionPreview { changes: Vec::new(), download_bytes: Some(0) };
        for package in self.closure(&wanted, transaction.options.recommends, installed)? {
            preview.changes.push(PackageChange {
                name: package.name.clone(),
                action: PackageAction::Install,
                from: None,
                to: Some(package.version.clone()),
            });
            *preview.download_bytes.get_or_insert(0) += package.size;
        }
        for (names, action) in
            [(&transaction.remove, PackageAction::Remove), (&transaction.purge, PackageAction::Purge)]
        {
            for name in names {
                preview.changes.push(PackageChange {
                    name: name.clone(),
                    action,
                    from: state(name)?.version,
                    to: None,
                });
            }
        }
        Ok(preview)
    }
}

pub(super) const BASE_PACKAGES: &[&str] = &[
    "adduser",
    "apt",
    "base-files",
    "base-passwd",
    "bash",
    "coreutils",
    "dpkg",
    "libc6",
    "login",
    "passwd",
    "systemd",
];

pub(super) const BASE_DIRECTORIES: &[(&str, u32)] = &[
    ("/boot", 0o755),
    ("/dev", 0o755),
    ("/etc", 0o755),
    ("/etc/apt/sources.list.d", 0o755),
    ("/etc/cron.d", 0o755),
    ("/etc/default", 0o755),
    ("/etc/skel", 0o755),
    ("/etc/sudoers.d", 0o755),
    ("/etc/systemd/system", 0o755),
    ("/home", 0o755),
    ("/mnt", 0o755),
    ("/opt", 0o755),
    ("/proc", 0o555),
    ("/root", 0o700),
    ("/run", 0o755),
    ("/run/systemd/system", 0o755),
    ("/srv", 0o755),
    ("/sys", 0o555),
    ("/tmp", 0o1777),
    ("/usr/bin", 0o755),
    ("/usr/lib/systemd/system", 0o755),
    ("/usr/local/bin", 0o755),
    ("/usr/sbin", 0o755),
    ("/usr/share", 0o755),
    ("/var/backups", 0o755),
    ("/var/cache", 0o755),
    ("/var/lib", 0o755),
    ("/var/log", 0o755),
    ("/var/tmp", 0o1777),
];

pub(super) const BASE_LINKS: &[(&str, &str)] = &[
    ("/bin", "usr/bin"),
    ("/lib", "usr/lib"),
    ("/sbin", "usr/sbin"),
    ("/etc/os-release", "../usr/lib/os-release"),
    ("/var/run", "/run"),
];

pub(super) const BASE_FILES: &[(&str, &str)] = &[
    (
        "/usr/lib/os-release",
        "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n\
         VERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n",
    ),
    ("/etc/debian_version", "12.12\n"),
    ("/etc/hostname", "simulated\n"),
    ("/etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\tsimulated.example.org\tsimulated\n"),
    ("/etc/motd", "\nThe programs included with the Debian GNU/Linux system are free software.\n"),
    ("/etc/skel/.bashrc", "# ~/.bashrc: executed by bash(1) for non-login shells.\n"),
    ("/etc/skel/.bash_logout", "# ~/.bash_logout: executed by bash(1) when login shell exits.\n"),
    ("/etc/skel/.profile", "# ~/.profile: executed by the command interpreter for login shells.\n"),
    ("/var/lib/dpkg/arch", "amd64\n"),
    ("/proc/sys/kernel/hostname", "simulated\n"),
    ("/proc/sys/kernel/osrelease", "6.1.0-41-amd64\n"),
    ("/proc/1/comm", "systemd\n"),
    ("/proc/meminfo", "MemTotal:        2097152 kB\nMemFree:         1048576 kB\n"),
    ("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu hypervisor\n\nprocessor\t: 1\nflags\t\t: fpu hypervisor\n"),
    ("/proc/self/status", "Name:\tprovision\nUid:\t0\t0\t0\t0\n"),
    ("/sys/class/dmi/id/sys_vendor", "QEMU\n"),
    (
        "/proc/net/fib_trie",
        "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.10\n        /32 host LOCAL\n",
    ),
    ("/proc/net/if_inet6", "00000000000000000000000000000001 01 80 10 80       lo\n"),
];

/// The accounts of Debian's `base-passwd`.
pub(super) fn base_accounts() -> Arc<Accounts> {
    static BUILT_IN: LazyLock<Arc<Accounts>> = LazyLock::new(|| Arc::new(list_accounts()));
    Arc::clone(&BUILT_IN)
}

fn list_accounts() -> Accounts {
    const USERS: &[(&str, u32, u32, &str)] = &[
        ("root", 0, 0, "/root"),
        ("daemon", 1, 1, "/usr/sbin"),
        ("bin", 2, 2, "/bin"),
        ("sys", 3, 3, "/dev"),
        ("sync", 4, 65534, "/bin"),
        ("games", 5, 60, "/usr/games"),
        ("man", 6, 12, "/var/cache/man"),
        ("mail", 8, 8, "/var/mail"),
        ("proxy", 13, 13, "/bin"),
        ("www-data", 33, 33, "/var/www"),
        ("backup", 34, 34, "/var/backups"),
        ("_apt", 42, 65534, "/nonexistent"),
        ("nobody", 65534, 65534, "/nonexistent"),
    ];
    const GROUPS: &[(&str, u32)] = &[
        ("root", 0),
        ("daemon", 1),
        ("bin", 2),
        ("sys", 3),
        ("adm", 4),
        ("tty", 5),
        ("disk", 6),
        ("mail", 8),
        ("man", 12),
        ("proxy", 13),
        ("sudo", 27),
        ("www-data", 33),
        ("backup", 34),
        ("shadow", 42),
        ("video", 44),
        ("staff", 50),
        ("games", 60),
        ("users", 100),
        ("systemd-journal", 999),
        ("nogroup", 65534),
    ];
    let user = |&(name, uid, gid, home): &(&str, u32, u32, &str)| User {
        name: name.to_owned(),
        uid,
        gid,
        gecos: name.to_owned(),
        home: home.to_owned(),
        shell: if name == "root" { "/bin/bash" } else { "/usr/sbin/nologin" }.to_owned(),
    };
    let group = |&(name, gid): &(&str, u32)| Group { name: name.to_owned(), gid, members: Vec::new() };
    Accounts {
        users: USERS.iter().map(|entry| (entry.0.to_owned(), user(entry))).collect(),
        groups: GROUPS.iter().map(|entry| (entry.0.to_owned(), group(entry))).collect(),
    }
}
