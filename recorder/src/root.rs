//! Root directories in which packages are installed and watched.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::run::{Said, inside, must, online, tail};

/// What a base system has beside the essential packages.
pub const INCLUDE: &str = "--include=systemd,systemd-sysv,dbus,passwd,apt,ca-certificates";

/// A base system that is never changed: packages are chosen and fetched in it, and it is copied.
pub struct Base {
    /// Where it lies.
    pub path: PathBuf,
}

/// A root directory in which packages are installed; it goes when it is dropped.
pub struct Root {
    /// Where it lies.
    pub path: PathBuf,
    archives: PathBuf,
    log_length: usize,
}

/// Programs that are replaced, and by what: service management is noted, caches and logs are not made.
const STUBS: &[(&str, &str)] = &[
    ("/usr/bin/systemctl", include_str!("stubs/systemctl")),
    ("/usr/bin/logger", include_str!("stubs/logger")),
    ("/usr/bin/py3compile", include_str!("stubs/nothing")),
    ("/usr/bin/py3clean", include_str!("stubs/nothing")),
    ("/usr/bin/mandb", include_str!("stubs/nothing")),
    ("/usr/sbin/update-initramfs", include_str!("stubs/nothing")),
];

const LOG: &str = "var/lib/dpkg/provision-units";

impl Base {
    /// Makes the base system of a release and reads the lists of packages.
    pub fn make(work: &Path, release: &str, mirror: Option<&str>) -> Result<Base, String> {
        let path = work.join("base");
        let target = path.to_string_lossy().into_owned();
        let mut argv = vec!["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", INCLUDE, release, &target];
        argv.extend(mirror);
        must(&argv).map_err(|error| {
            format!("making a base system: {error}\nis there a network, and has the archive a release {release}?")
        })?;
        let said = online(&path, &["apt-get", "update", "-q"])?;
        if !said.success {
            return Err(format!("reading the lists of packages: {}", tail(&said.errors)));
        }
        Ok(Base { path })
    }

    /// Names of the packages that it has.
    pub fn packages(&self) -> Result<Vec<String>, String> {
        let said = online(&self.path, &["dpkg-query", "-W", "-f", "${Package}\n"])?;
        Ok(said.output.lines().map(str::to_owned).collect())
    }

    /// Where package files are fetched to.
    pub fn archives(&self) -> PathBuf {
        self.path.join("var/cache/apt/archives")
    }

    /// A copy of it to install packages in.
    pub fn copy(&self, work: &Path) -> Result<Root, String> {
        let path = work.join("root");
        must(&[Path::new("cp"), Path::new("-a"), &self.path, &path])?;
        let root = Root { path, archives: self.archives(), log_length: 0 };
        let copied = root.path.join("var/cache/apt/archives");
        fs::remove_dir_all(&copied).and_then(|()| fs::create_dir(&copied)).map_err(because(&copied))?;
        root.prepare()?;
        Ok(root)
    }

    /// A root directory in which the files of the base packages lie, but no package is installed.
    pub fn bare(&self, work: &Path, debs: &[PathBuf]) -> Result<Root, String> {
        let path = work.join("root");
        let root = Root { path, archives: self.archives(), log_length: 0 };
        for directory in ["bin", "sbin", "lib", "lib64"] {
            let there = root.path.join("usr").join(directory);
            fs::create_dir_all(&there).map_err(because(&there))?;
            symlink(format!("usr/{directory}"), root.path.join(directory)).map_err(because(&there))?;
        }
        for deb in debs {
            let extract = "dpkg-deb --fsys-tarfile \"$1\" | tar --keep-directory-symlink --extract --directory \"$2\"";
            must(&[Path::new("sh"), Path::new("-c"), Path::new(extract), Path::new("sh"), deb, &root.path])?;
        }
        for directory in
            ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "var/cache/apt/archives"]
        {
            let there = root.path.join(directory);
            fs::create_dir_all(&there).map_err(because(&there))?;
        }
        root.write("var/lib/dpkg/status", "")?;
        must(&[Path::new("cp"), Path::new("-a"), &self.path.join("dev/."), &root.path.join("dev")])?;
        root.prepare()?;
        Ok(root)
    }
}

impl Root {
    fn prepare(&self) -> Result<(), String> {
        self.write("etc/hostname", "debian\n")?;
        self.write("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 debian\n")?;
        self.write("etc/resolv.conf", "")?;
        self.write("etc/dpkg/dpkg.cfg.d/provision", "force-unsafe-io\n")?;
        // Scripts take it for a sign that the service manager runs.
        let running = self.path.join("run/systemd/system");
        fs::create_dir_all(&running).map_err(because(&running))?;
        for (program, stub) in STUBS {
            let real = format!("{program}.provision-real");
            // A package may ship it under the path that it has through a link.
            for name in [program, program.strip_prefix("/usr").unwrap_or(program)] {
                let real = format!("{name}.provision-real");
                self.must(&["dpkg-divert", "--quiet", "--local", "--no-rename", "--divert", &real, "--add", name])?;
            }
            let file = self.path.join(&program[1..]);
            if file.exists() {
                fs::rename(&file, self.path.join(&real[1..])).map_err(because(&file))?;
            }
            self.write(&program[1..], stub)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).map_err(because(&file))?;
        }
        Ok(())
    }

    fn write(&self, path: &str, text: &str) -> Result<(), String> {
        let file = self.path.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(because(parent))?;
        }
        fs::write(&file, text).map_err(because(&file))
    }

    /// Runs a program inside.
    pub fn run(&self, argv: &[&str]) -> Result<Said, String> {
        inside(&self.path, &self.archives, argv)
    }

    fn must(&self, argv: &[&str]) -> Result<(), String> {
        let said = self.run(argv)?;
        if said.success { Ok(()) } else { Err(format!("`{}` failed: {}", argv.join(" "), tail(&said.errors))) }
    }

    /// What the service manager was asked for since the last call.
    pub fn units(&mut self) -> Vec<(String, String)> {
        let log = fs::read_to_string(self.path.join(LOG)).unwrap_or_default();
        let new = parse_units(log.get(self.log_length..).unwrap_or_default());
        self.log_length = log.len();
        new
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The verbs and units of a log of the stubs.
pub fn parse_units(log: &str) -> Vec<(String, String)> {
    let pairs = log.lines().filter_map(|line| line.split_once('\t'));
    pairs.map(|(verb, unit)| (verb.to_owned(), unit.to_owned())).collect()
}

fn because(path: &Path) -> impl Fn(std::io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_verbs_and_units() {
        let found = parse_units("daemon-reload\t\nstart\tnginx.service\n");
        assert_eq!(found, [("daemon-reload", ""), ("start", "nginx.service")].map(|(a, b)| (a.into(), b.into())));
    }
}
