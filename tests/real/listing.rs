//! Everything that can be observed of a host, to be compared with how it was before.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::host::{Booted, Directory, Result, Said};

/// What package managers and the system keep for themselves, and what changes by itself.
const PASSED_OVER: [&str; 22] = [
    "dev",
    "proc",
    "run",
    "sys",
    "tmp",
    "var/cache",
    "var/lib/apt",
    "var/lib/dpkg",
    "var/lib/provision",
    "var/lib/systemd",
    "var/lib/ucf",
    "var/log",
    "var/tmp",
    "etc/ld.so.cache",
    "etc/mtab",
    "etc/machine-id",
    // Copies that passwd(1) and its kin keep of the last state.
    "etc/passwd-",
    "etc/shadow-",
    "etc/group-",
    "etc/gshadow-",
    "etc/subuid-",
    "etc/subgid-",
];

/// Lines by what they are about: paths with owner, mode, extended attributes and digest; packages with marks; units.
pub type Listing = BTreeMap<String, String>;

/// Lists a host that lies in a directory.
pub fn directory(host: &Directory) -> Result<Listing> {
    let mut listing = Listing::new();
    files(&host.root(), "", &mut listing)?;
    packages(&|argv| host.inside(argv), &mut listing)?;
    Ok(listing)
}

/// Lists a running host.
pub fn booted(host: &Booted) -> Result<Listing> {
    let mut listing = directory(host.directory())?;
    for (what, argv) in [
        ("unit file", &["systemctl", "list-unit-files", "--no-legend", "--no-pager"][..]),
        ("running", &["systemctl", "list-units", "--type=service", "--state=running", "--no-legend", "--no-pager"]),
    ] {
        for line in host.inside(argv)?.expect(0)?.out.lines() {
            let mut words = line.split_whitespace();
            let name = words.next().unwrap_or_default().to_owned();
            // Logins and their like come and go by themselves.
            if !name.contains('@') {
                listing.insert(format!("{what} {name}"), words.next().unwrap_or_default().to_owned());
            }
        }
    }
    Ok(listing)
}

fn files(root: &Path, inside: &str, listing: &mut Listing) -> Result {
    let wrong = |error: std::io::Error| format!("/{inside}: {error}");
    for entry in fs::read_dir(root.join(inside)).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let path = if inside.is_empty() { String::new() } else { format!("{inside}/") };
        let path = path + &entry.file_name().to_string_lossy();
        if PASSED_OVER.contains(&path.as_str()) {
            continue;
        }
        let full = entry.path();
        let found = fs::symlink_metadata(&full).map_err(wrong)?;
        let mut line = format!("{:o} {}:{}", found.mode(), found.uid(), found.gid());
        let mut names: Vec<_> = xattr::list(&full).map_err(wrong)?.collect();
        names.sort();
        for name in names {
            line += &format!(" {}={:?}", name.to_string_lossy(), xattr::get(&full, &name).map_err(wrong)?);
        }
        if found.is_symlink() {
            line += &format!(" -> {}", fs::read_link(&full).map_err(wrong)?.display());
        } else if found.is_file() {
            line += &format!(" {:x?}", Sha256::digest(fs::read(&full).map_err(wrong)?));
        } else if found.is_dir() {
            files(root, &path, listing)?;
        }
        listing.insert(format!("/{path}"), line);
    }
    Ok(())
}

fn packages(inside: &dyn Fn(&[&str]) -> Result<Said>, listing: &mut Listing) -> Result {
    let all = inside(&["dpkg-query", "-W", "-f", "${Package} ${Status} ${Version}\n"])?.expect(0)?.out;
    for line in all.lines() {
        let (name, state) = line.split_once(' ').unwrap_or((line, ""));
        listing.insert(format!("package {name}"), state.to_owned());
    }
    for mark in ["auto", "hold"] {
        for name in inside(&["apt-mark", &format!("show{mark}")])?.expect(0)?.out.lines() {
            listing.insert(format!("{mark} {name}"), String::new());
        }
    }
    Ok(())
}

/// Fails unless two listings are equal, and names the first differences.
pub fn compare(before: &Listing, after: &Listing) -> Result {
    let mut differences = Vec::new();
    for (what, line) in before {
        match after.get(what) {
            Some(other) if other == line => {}
            Some(other) => differences.push(format!("{what}\n    before {line}\n    after  {other}")),
            None => differences.push(format!("{what} is gone: {line}")),
        }
    }
    let new = after.iter().filter(|(what, _)| !before.contains_key(*what));
    differences.extend(new.map(|(what, line)| format!("{what} is new: {line}")));
    if differences.is_empty() {
        return Ok(());
    }
    differences.truncate(20);
    Err(differences.join("\n"))
}
