//! How much of a host is written down.

use crate::host::{FileKind, FileMetadata};
use crate::path::HostPath;

/// How much of a host is written down.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Directories whose entries are left out.
    pub left_out: Vec<HostPath>,
    /// Paths that are left out themselves.
    pub hidden: Vec<HostPath>,
    /// Directories whose files are held as text, if everybody may read them and they are not long.
    pub texts: Vec<HostPath>,
    /// Whether other files are told apart by digests.
    pub digests: bool,
    /// Whether to hold what facts are made from.
    pub facts: bool,
    /// Whether files are held as text that not everybody may read.
    pub secrets: bool,
}

/// Where nothing is looked at: what the kernel shows, caches, the state of the package manager and of this program,
/// documentation and translations.
const LEFT_OUT: &[&str] = &[
    "/dev",
    "/proc",
    "/run",
    "/sys",
    "/tmp",
    "/usr/include",
    "/usr/lib/modules",
    "/usr/lib/python3",
    "/usr/share/bash-completion",
    "/usr/share/bug",
    "/usr/share/common-licenses",
    "/usr/share/doc",
    "/usr/share/doc-base",
    "/usr/share/fonts",
    "/usr/share/i18n",
    "/usr/share/icons",
    "/usr/share/info",
    "/usr/share/lintian",
    "/usr/share/locale",
    "/usr/share/man",
    "/usr/share/perl",
    "/usr/share/perl5",
    "/usr/share/polkit-1",
    "/usr/share/python3",
    "/usr/share/zoneinfo",
    "/usr/share/zsh",
    "/var/cache",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/provision",
    "/var/lib/systemd",
    "/var/lib/ucf",
    "/var/log",
    "/var/tmp",
];

/// The longest file that is held as text, in bytes.
const LONGEST: u64 = 64 << 10;

impl Scope {
    /// What changes by itself, or differs between two hosts that are alike. The recorder of packages leaves it out as well.
    pub const VARYING: &[&str] = &[
        "/etc/.pwd.lock",
        "/etc/group",
        "/etc/group-",
        "/etc/gshadow",
        "/etc/gshadow-",
        "/etc/ld.so.cache",
        "/etc/machine-id",
        "/etc/passwd",
        "/etc/passwd-",
        "/etc/shadow",
        "/etc/shadow-",
        "/etc/subgid",
        "/etc/subgid-",
        "/etc/subuid",
        "/etc/subuid-",
    ];

    /// For fixtures: configuration and units with their texts, everything else by what it is.
    pub fn fixture() -> Scope {
        let texts = ["/etc", "/usr/lib/systemd/system", "/usr/lib/os-release", "/usr/local"];
        Scope {
            left_out: paths(LEFT_OUT),
            // What is mounted is no matter of files.
            hidden: paths(&[Scope::VARYING, &["/etc/mtab"]].concat()),
            texts: paths(&texts),
            digests: false,
            facts: true,
            secrets: false,
        }
    }

    /// For comparing two hosts: all that is held of a file is told apart, secrets as well.
    pub fn comparison() -> Scope {
        Scope { texts: vec![HostPath::root()], facts: false, secrets: true, digests: true, ..Scope::fixture() }
    }

    /// Leaves out more, with all beneath it.
    #[must_use]
    pub fn without(mut self, more: impl IntoIterator<Item = HostPath>) -> Scope {
        self.hidden.extend(more);
        self
    }

    pub(super) fn enters(&self, directory: &HostPath) -> bool {
        !self.left_out.contains(directory)
    }

    pub(super) fn holds(&self, path: &HostPath, kind: FileKind) -> bool {
        // Sockets and pipes are what a running program has made.
        !kind.is_special() && !self.hidden.contains(path) && !path.as_str().ends_with(".pyc")
    }

    /// Whether the text of a file is recorded; `is_reachable` if every user may search the directories above it.
    pub(super) fn reads(&self, path: &HostPath, found: &FileMetadata, is_reachable: bool) -> bool {
        let open = self.secrets || (is_reachable && found.access.mode.bits() & 0o004 != 0);
        open && found.size <= LONGEST && self.texts.iter().any(|directory| path.is_within(directory))
    }
}

fn paths(texts: &[&str]) -> Vec<HostPath> {
    texts.iter().filter_map(|text| HostPath::new(text).ok()).collect()
}

/// The lines of a file that facts are made from: the rest changes all the time, or says too much.
pub(super) fn only_facts(path: &HostPath, text: &str) -> String {
    let keep: fn(&str) -> bool = match path.as_str() {
        "/proc/cpuinfo" => |line| line.starts_with("processor") || line.starts_with("flags"),
        "/proc/meminfo" => |line| line.starts_with("MemTotal:"),
        "/proc/self/status" => |line| line.starts_with("Uid:"),
        _ => return text.to_owned(),
    };
    let lines = text.lines().filter(|line| keep(line)).map(|line| match line.split_once(':') {
        Some((name, flags)) if name.starts_with("flags") => {
            let guest = flags.split_whitespace().any(|flag| flag == "hypervisor");
            format!("{name}:{}\n", if guest { " hypervisor" } else { "" })
        }
        _ => format!("{line}\n"),
    });
    lines.collect()
}
