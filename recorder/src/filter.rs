//! Which paths are worth recording.

use provision_core::sim::Scope;

/// Neither these nor what lies below, as [`Scope::VARYING`]: state of the package manager, caches, and what differs from one
/// recording to the next.
const NEVER: &[&str] = &[
    "/dev",
    "/etc/mailcap",
    "/proc",
    "/run/adduser",
    "/run/needrestart",
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
    ("/etc/.git", 0),
    ("/usr/lib/locale", 1),
    ("/usr/lib/gcc", 1),
    ("/usr/lib/jvm", 1),
    ("/usr/lib/node_modules", 1),
    ("/usr/lib/perl5", 1),
    ("/usr/lib/php", 1),
    ("/usr/lib/python2.7", 1),
    ("/usr/lib/python3", 1),
    ("/usr/lib/python3.", 1),
    ("/usr/lib/ruby", 1),
    ("/usr/lib/go-", 1),
    ("/usr/lib/x86_64-linux-gnu", 1),
    ("/var/cache", 1),
];

/// Deepest path below `/usr/share` and `/var` that is kept, in components.
const DEEPEST: usize = 5;

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
    if NEVER.iter().chain(Scope::VARYING).any(|never| within(path, never)) {
        return Kept::NoTree;
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    if matches!(name, "__pycache__" | ".build-id") {
        return Kept::NoTree;
    }
    let temporary = [".dpkg-new", ".dpkg-tmp", ".dpkg-old", ".pyc", ".provision-real"];
    // Caches of the libraries' loaders and databases of the desktop, made by triggers.
    let caches = ["loaders.cache", "giomodule.cache", "immodules.cache", "gschemas.compiled", "hwdb.bin", "udev.db"];
    // Links to manual pages, which are left out themselves.
    if path.starts_with("/etc/alternatives/") && name.ends_with(".gz") {
        return Kept::No;
    }
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
        if within(path, tree) || (tree.ends_with(['-', '.']) && path.starts_with(tree)) {
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
            ("/etc/alternatives/vi", Kept::Yes),
            ("/etc/alternatives/vi.1.gz", Kept::No),
        ] {
            assert_eq!(kept(path), expected, "{path}");
        }
    }
}
