//! Which paths and texts are worth recording.

/// Neither these nor what lies below: state of the package manager, caches, and what differs from one recording to the next.
const NEVER: &[&str] = &[
    "/dev",
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
    "/proc",
    "/run/systemd",
    "/sys",
    "/tmp",
    "/usr/include",
    "/usr/lib/debug",
    "/usr/lib/modules",
    "/usr/src",
    "/var/lib/apt",
    "/var/lib/dbus/machine-id",
    "/var/lib/dpkg",
    "/var/lib/systemd/catalog",
    "/var/lib/systemd/deb-systemd-helper-enabled",
    "/var/lib/systemd/deb-systemd-helper-masked",
    "/var/lib/systemd/deb-systemd-user-helper-enabled",
    "/var/lib/systemd/deb-systemd-user-helper-masked",
    "/var/lib/ucf",
    "/var/log/alternatives.log",
    "/var/log/apt",
    "/var/log/dpkg.log",
    "/var/tmp",
];

/// Directories of `/usr/share` that are for people, desktops and compilers.
const SHARED: &[&str] = &[
    "GConf",
    "aclocal",
    "applications",
    "apport",
    "asciidoc",
    "backgrounds",
    "bash-completion",
    "bug",
    "cmake",
    "common-licenses",
    "consolefonts",
    "consoletrans",
    "dict",
    "doc",
    "doc-base",
    "emacs",
    "fish",
    "fontconfig",
    "fonts",
    "gettext",
    "ghostscript",
    "gir-1.0",
    "glib-2.0",
    "gnome",
    "gtk-3.0",
    "gtk-doc",
    "help",
    "i18n",
    "icons",
    "info",
    "java",
    "javascript",
    "keymaps",
    "lintian",
    "locale",
    "man",
    "maven-repo",
    "metainfo",
    "mime",
    "misc",
    "mysql",
    "nodejs",
    "omf",
    "perl",
    "perl5",
    "php",
    "pixmaps",
    "pkgconfig",
    "pocketsphinx",
    "poppler",
    "python",
    "python3",
    "qt5",
    "ri",
    "ruby",
    "sounds",
    "tabset",
    "terminfo",
    "texmf",
    "themes",
    "vala",
    "vim",
    "X11",
    "xml",
    "zoneinfo",
    "zsh",
];

/// Trees of libraries and data, of which only directories are kept, to a depth that is given as well.
const TREES: &[(&str, usize)] = &[
    ("/usr/lib/gcc", 1),
    ("/usr/lib/jvm", 1),
    ("/usr/lib/node_modules", 1),
    ("/usr/lib/perl5", 1),
    ("/usr/lib/php", 1),
    ("/usr/lib/python2.7", 1),
    ("/usr/lib/python3", 1),
    ("/usr/lib/python3.11", 1),
    ("/usr/lib/python3.13", 1),
    ("/usr/lib/ruby", 1),
    ("/usr/lib/go-", 1),
    ("/usr/lib/x86_64-linux-gnu", 1),
    ("/var/cache", 1),
];

/// Deepest path below `/usr/share` and `/var` that is kept, in components.
const DEEPEST: usize = 5;

/// Longest text that is kept.
const LONGEST: usize = 16 << 10;

/// What is done with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Recorded, whatever it is.
    Yes,
    /// Recorded if it is a directory.
    Directory,
    /// Left out.
    No,
    /// Left out with all that lies below it.
    NoTree,
}

/// Writes a path as it is when `/bin`, `/lib` and `/sbin` are links into `/usr`.
pub fn merged(path: &str) -> String {
    let first = path.get(1..).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    match first {
        "bin" | "sbin" | "lib" | "lib32" | "lib64" | "libx32" => format!("/usr{path}"),
        _ => path.to_owned(),
    }
}

/// What is done with a path, which is written [`merged`].
pub fn kept(path: &str) -> Kept {
    if NEVER.iter().any(|never| within(path, never)) {
        return Kept::NoTree;
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    if matches!(name, "__pycache__" | ".build-id") {
        return Kept::NoTree;
    }
    let temporary = [".dpkg-new", ".dpkg-tmp", ".dpkg-old", ".pyc", ".provision-real"];
    // Caches of the libraries' loaders and databases of the desktop, made by triggers.
    let caches = ["loaders.cache", "giomodule.cache", "immodules.cache", "gschemas.compiled", "hwdb.bin", "udev.db"];
    if temporary.iter().any(|end| name.ends_with(end)) || caches.contains(&name) {
        return Kept::No;
    }
    let depth = path.matches('/').count();
    if let Some(rest) = path.strip_prefix("/usr/share/") {
        let first = rest.split('/').next().unwrap_or_default();
        if SHARED.contains(&first) {
            return Kept::NoTree;
        }
    }
    for (tree, most) in TREES {
        if within(path, tree) || (tree.ends_with('-') && path.starts_with(tree)) {
            let below = depth - tree.matches('/').count();
            return if below > *most { Kept::NoTree } else { Kept::Directory };
        }
    }
    let deep = path.starts_with("/usr/share/") || path.starts_with("/var/") || path.starts_with("/usr/lib/");
    match depth {
        _ if path.starts_with("/usr/lib/systemd/") => Kept::Yes,
        depth if deep && depth > DEEPEST => Kept::NoTree,
        // What a program brings for itself: that it is there is known from its directories.
        depth if depth > 3 && path.starts_with("/usr/share/") && !telling(path) => Kept::Directory,
        _ => Kept::Yes,
    }
}

/// Whether files below a directory of `/usr/share` matter to the host as a whole.
fn telling(path: &str) -> bool {
    ["/usr/share/dbus-1/", "/usr/share/pam-configs/", "/usr/share/polkit-1/", "/usr/share/keyrings/"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
}

/// Whether the text of a shipped file is recorded, when it is no configuration file.
pub fn shipped_text(path: &str) -> bool {
    let directories = [
        "/etc/",
        "/usr/lib/systemd/system/",
        "/usr/lib/systemd/system-preset/",
        "/usr/lib/sysusers.d/",
        "/usr/lib/tmpfiles.d/",
        "/usr/lib/sysctl.d/",
    ];
    directories.iter().any(|directory| path.starts_with(directory))
}

/// The text of a shipped file, if it is one and short enough.
pub fn text(data: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(data).ok().filter(|text| text.len() <= LONGEST && !text.contains('\0'))?;
    // Keys and certificates are read by machines alone.
    if text.contains("-----BEGIN PGP") || text.contains("-----BEGIN CERTIFICATE") {
        return None;
    }
    Some(text.to_owned())
}

/// The text of a file that a script made, unless it may be a secret or is made anew each time.
pub fn made_text(path: &str, mode: u32, data: &[u8]) -> Option<String> {
    let text = text(data).filter(|text| text.len() <= LONGEST / 2)?;
    let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let secretive = |words: &str| {
        let words = words.to_ascii_lowercase();
        ["passw", "secret", "private key", "token", "cookie", "pass=", "pwd=", "dbc_dbpass"]
            .iter()
            .any(|word| words.contains(word))
    };
    let closed = mode & 0o004 == 0;
    let key = text.contains("-----BEGIN ") || text.starts_with("ssh-") || text.starts_with("ecdsa-");
    if key || (closed && (secretive(&text) || secretive(&name) || name.contains("key"))) || assigns_secret(&text) {
        return None;
    }
    // Beyond configuration only what is as short as a mark.
    (path.starts_with("/etc/") || text.len() <= 512).then_some(text)
}

/// Whether a line sets a password, as generated configuration does that is readable by accident.
fn assigns_secret(text: &str) -> bool {
    let live = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';', '/', '*']));
    live.map(str::to_ascii_lowercase).any(|line| {
        let split = line.split_once(['=', ':']);
        split.is_some_and(|(key, value)| {
            (key.contains("password") || key.contains("secret_key") || key.trim().ends_with("dbpass"))
                && value.trim_matches([' ', '"', '\'', ';']).len() >= 12
        })
    })
}

/// Whether a path is a directory or lies in it.
pub fn within(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_merged() {
        assert_eq!(merged("/lib/systemd/system/a.service"), "/usr/lib/systemd/system/a.service");
        assert_eq!(merged("/sbin/ip"), "/usr/sbin/ip");
        assert_eq!(merged("/library"), "/library");
        assert_eq!(merged("/"), "/");
    }

    #[test]
    fn noise_is_left_out() {
        for (path, expected) in [
            ("/etc/nginx/nginx.conf", Kept::Yes),
            ("/etc/shadow", Kept::NoTree),
            ("/etc/shadow.d", Kept::Yes),
            ("/usr/share/doc/nginx/README", Kept::NoTree),
            ("/usr/share/nginx", Kept::Yes),
            ("/usr/share/nginx/html", Kept::Directory),
            ("/usr/share/nginx/html/index.html", Kept::Directory),
            ("/usr/share/dbus-1/system.d/x.conf", Kept::Yes),
            ("/usr/lib/x86_64-linux-gnu/security", Kept::Directory),
            ("/usr/lib/x86_64-linux-gnu/security/pam_x.so", Kept::NoTree),
            ("/var/cache/nginx", Kept::Directory),
            ("/var/lib/postgresql/15/main/base/1/112", Kept::NoTree),
            ("/etc/foo.dpkg-new", Kept::No),
        ] {
            assert_eq!(kept(path), expected, "{path}");
        }
    }

    #[test]
    fn secrets_have_no_text() {
        assert_eq!(made_text("/etc/mysql/debian.cnf", 0o600, b"password = x\n"), None);
        assert_eq!(made_text("/etc/ssl/a", 0o644, b"-----BEGIN PRIVATE KEY-----\n"), None);
        assert_eq!(made_text("/etc/x/db.php", 0o644, b"$dbpass='0123456789abc';\n"), None);
        assert_eq!(made_text("/etc/default/x", 0o644, b"A=1\n"), Some("A=1\n".into()));
        assert_eq!(text(&[0xff, 0xfe]), None);
    }
}
