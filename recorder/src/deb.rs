//! What a package file holds.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use provision_core::path::HostPath;
use provision_core::sim::{PathAccess, PathKind, PathTable, RecordedPackage};

use crate::control::Paragraph;
use crate::filter::{Kept, kept, merged};
use crate::tar::{self, Member, MemberKind};
use crate::texts;

/// A package file that was read.
#[derive(Debug, Default)]
pub struct Deb {
    /// All that it ships, by [`merged`] path.
    pub members: BTreeMap<String, Member>,
    /// Its configuration files.
    pub conffiles: Vec<String>,
    /// Whether it has a script that is run after its removal.
    pub has_postrm: bool,
    /// Whether it does more than shipping files: it has maintainer scripts, or ships what others act upon.
    pub acts: bool,
}

impl Deb {
    /// Reads a package file.
    pub fn read(file: &Path) -> Result<Deb, String> {
        let control = archive(file, "--ctrl-tarfile", |_| true)?;
        let mut deb = Deb::default();
        for member in control {
            match member.path.as_str() {
                "/preinst" | "/postinst" | "/prerm" | "/postrm" => {
                    deb.has_postrm |= member.path == "/postrm";
                    deb.acts |= !idle(&String::from_utf8_lossy(&member.data.unwrap_or_default()));
                }
                "/triggers" => {
                    let text = String::from_utf8_lossy(&member.data.unwrap_or_default()).into_owned();
                    deb.acts |= text
                        .lines()
                        .any(|line| !line.is_empty() && !line.starts_with('#') && !line.ends_with(" ldconfig"));
                }
                "/conffiles" => {
                    let text = String::from_utf8_lossy(&member.data.unwrap_or_default()).into_owned();
                    // `remove-on-upgrade` before a path says that it is shipped no longer.
                    deb.conffiles = text.lines().filter(|line| line.starts_with('/')).map(merged).collect();
                }
                _ => {}
            }
        }
        for mut member in archive(file, "--fsys-tarfile", |member| texts::wanted(&merged(&member.path)))? {
            // The links to the merged directories themselves stay what they are.
            if !matches!(member.kind, MemberKind::Symlink(_)) || member.path.matches('/').count() > 1 {
                member.path = merged(&member.path);
            }
            if let MemberKind::Hardlink(target) = &member.kind {
                let target = merged(target);
                let (size, data) =
                    deb.members.get(&target).map(|other| (other.size, other.data.clone())).unwrap_or_default();
                (member.size, member.data, member.kind) = (size, data, MemberKind::File);
            }
            deb.acts |= member.kind != MemberKind::Directory && watched(&member.path);
            deb.members.insert(member.path.clone(), member);
        }
        Ok(deb)
    }

    /// What is recorded of it before anything was run.
    pub fn record(&self, fields: &Paragraph) -> Result<RecordedPackage, String> {
        let path = |path: &str| HostPath::new(path).map_err(|error| error.to_string());
        let field = |name: &str| fields.get(name).replace('\n', " ");
        let mut record = RecordedPackage {
            name: field("Package"),
            version: field("Version"),
            architecture: field("Architecture"),
            essential: fields.is_essential(),
            priority: field("Priority"),
            size: fields.number("Size"),
            installed_size: fields.number("Installed-Size"),
            depends: fields.depends().replace('\n', " "),
            recommends: field("Recommends"),
            conflicts: field("Conflicts"),
            breaks: field("Breaks"),
            replaces: field("Replaces"),
            provides: field("Provides"),
            ..RecordedPackage::default()
        };
        let mut paths = Vec::new();
        let mut shipped = Vec::new();
        for (name, member) in self.members.iter().filter(|(_, member)| is_kept(member)) {
            paths.push((path(name)?, member.recorded()));
            let data = member.data.as_deref().filter(|_| member.kind == MemberKind::File);
            let text = data.and_then(texts::text);
            shipped.extend(text.map(|text| (name.clone(), text)));
        }
        for (name, text) in texts::within_limits(shipped) {
            record.texts.insert(path(&name)?, text);
        }
        record.paths = PathTable::from_iter(paths);
        record.conffiles = self.conffiles.iter().map(|name| path(name)).collect::<Result<_, _>>()?;
        record.conffiles.sort();
        record.has_postrm = self.has_postrm;
        Ok(record)
    }
}

impl Member {
    /// What lies there, as it is recorded.
    pub fn recorded(&self) -> PathKind {
        let access =
            PathAccess { mode: self.mode, owner: self.owner.as_str().into(), group: self.group.as_str().into() };
        match &self.kind {
            MemberKind::File | MemberKind::Hardlink(_) => PathKind::File(access),
            MemberKind::Directory => PathKind::Directory(access),
            MemberKind::Symlink(target) => PathKind::Symlink(target.clone()),
            MemberKind::Other => PathKind::Other(access),
        }
    }
}

fn is_kept(member: &Member) -> bool {
    match kept(&member.path) {
        Kept::Yes => true,
        Kept::Directory => member.kind == MemberKind::Directory,
        Kept::No | Kept::NoTree => false,
    }
}

/// Whether something acts upon files in this place when they come: triggers, or the service manager.
fn watched(path: &str) -> bool {
    let places = [
        "/etc/dbus-1/",
        "/usr/lib/binfmt.d/",
        "/usr/lib/sysctl.d/",
        "/usr/lib/systemd/",
        "/usr/lib/udev/",
        "/usr/share/dbus-1/",
        "/usr/share/debianutils/",
    ];
    places.iter().any(|place| path.starts_with(place))
}

/// Whether a maintainer script only compiles or cleans Python modules, of which nothing is recorded.
fn idle(script: &str) -> bool {
    script.lines().map(str::trim).all(|line| {
        line.is_empty()
            || line.starts_with('#')
            || matches!(line, "set -e" | "fi" | "else" | "exit 0")
            || line.starts_with("if command -v py3c")
            || line.starts_with("if which py3c")
            || line.starts_with("py3compile ")
            || line.starts_with("py3clean ")
            || line.starts_with("elif command -v pypy3c")
            || line.starts_with("if command -v pypy3c")
            || line.starts_with("pypy3compile ")
            || line.starts_with("pypy3clean ")
            || line.starts_with("dpkg -L python3-")
            || line.starts_with("dpkg -L ") && line.ends_with('\\')
            || line.starts_with("find /usr/lib/python3/dist-packages/")
    })
}

fn archive(file: &Path, which: &str, keep: impl Fn(&Member) -> bool) -> Result<Vec<Member>, String> {
    let because = |error: &dyn std::fmt::Display| format!("reading {}: {error}", file.display());
    let mut child = Command::new("dpkg-deb")
        .arg(which)
        .arg(file)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| because(&error))?;
    let stdout = child.stdout.take().ok_or_else(|| because(&"dpkg-deb has no output"))?;
    let members = tar::members(stdout, keep);
    let status = child.wait().map_err(|error| because(&error))?;
    let members = members.map_err(|error| because(&error))?;
    if status.success() { Ok(members) } else { Err(because(&"dpkg-deb failed")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_that_compile_python_are_idle() {
        let script = "#!/bin/sh\nset -e\n\n# Automatically added by dh_python3\nif command -v py3compile >/dev/null 2>&1; then\n\tpy3compile -p python3-x\nfi\nif command -v pypy3compile >/dev/null 2>&1; then\n\tpypy3compile -p python3-x || true\nfi\n\n# End automatically added section\n";
        assert!(idle(script));
        assert!(!idle(&format!("{script}\nadduser --system x\n")));
    }
}
