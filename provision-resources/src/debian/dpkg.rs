//! dpkg's own files, read directly: which packages are there, and which files they shipped.

use std::collections::{HashMap, HashSet};

use provision_core::error::Result;
use provision_core::facts::native_architecture;
use provision_core::host::{FileIdentity, LocalSystem, PackageEntry, PackageState, PackageStatus, PackageTable};
use provision_core::path::HostPath;

const STATUS: &str = "/var/lib/dpkg/status";
const INFO: &str = "/var/lib/dpkg/info";

/// What `/var/lib/dpkg/status` says; see `deb822(5)` and `dpkg-query(1)`.
#[derive(Debug, Default)]
pub(super) struct Status {
    /// The host's own.
    pub(super) architecture: Option<String>,
    /// By name and by `name:architecture`.
    packages: HashMap<String, PackageState>,
    /// What each package is called: its name, with the architecture where that is not the host's own.
    names: Vec<String>,
    /// Virtual packages and the installed ones that stand for them.
    provided: HashMap<String, Vec<String>>,
    /// Packages that an interrupted run left behind.
    unfinished: Vec<String>,
}

impl Status {
    pub(super) fn read(system: &LocalSystem) -> Result<Status> {
        Status::of(&Status::text(system)?, system)
    }

    /// The text of the file; empty if it is not there.
    pub(super) fn text(system: &LocalSystem) -> Result<String> {
        Ok(system.read_text(STATUS)?.unwrap_or_default())
    }

    /// Which file it is: dpkg puts another in its place.
    pub(super) fn identity(system: &LocalSystem) -> Result<Option<FileIdentity>> {
        system.identity(&HostPath::new(STATUS)?)
    }

    /// What a text of the file says of a host.
    pub(super) fn of(text: &str, system: &LocalSystem) -> Result<Status> {
        Ok(Status::parse(text, first_architecture(system)?.as_deref()))
    }

    fn parse(text: &str, native: Option<&str>) -> Status {
        let native = native.map(str::to_owned).or_else(|| native_architecture(text));
        let mut status = Status { architecture: native.clone(), ..Status::default() };
        for record in text.split("\n\n") {
            status.take(record, native.as_deref());
        }
        status
    }

    fn take(&mut self, record: &str, native: Option<&str>) {
        let (mut name, mut flags, mut version, mut architecture, mut provides) = ("", "", "", "", "");
        for line in record.lines() {
            // Fields that are not asked for, and lines that continue them, are passed over.
            let Some((field, value)) = line.split_once(": ") else { continue };
            match field {
                "Package" => name = value,
                "Status" => flags = value,
                "Version" => version = value,
                "Architecture" => architecture = value,
                "Provides" => provides = value,
                _ => {}
            }
        }
        let mut flags = flags.split(' ');
        let (want, _, state) = (flags.next().unwrap_or_default(), flags.next(), flags.next().unwrap_or_default());
        if name.is_empty() || state.is_empty() {
            return;
        }
        let status = match state {
            "installed" | "triggers-awaited" | "triggers-pending" => PackageStatus::Installed,
            "config-files" => PackageStatus::ConfigFiles,
            "not-installed" => PackageStatus::Absent,
            _ => PackageStatus::Interrupted,
        };
        if !matches!(state, "installed" | "config-files" | "not-installed") {
            self.unfinished.push(name.to_owned());
        }
        let version = (!version.is_empty() && status != PackageStatus::Absent).then(|| version.to_owned());
        let state = PackageState { status, version, hold: want == "hold", ..PackageState::default() };
        if status == PackageStatus::Installed {
            for provided in provides.split(',').filter(|provided| !provided.is_empty()) {
                let virtual_name = provided.split(['(', ':']).next().unwrap_or_default().trim();
                self.provided.entry(virtual_name.to_owned()).or_default().push(name.to_owned());
            }
        }
        let full = format!("{name}:{architecture}");
        self.packages.insert(full.clone(), state.clone());
        let is_native = architecture == "all" || native.is_none_or(|native| native == architecture);
        if is_native {
            // apt takes a package for all architectures for one of the host's own.
            self.packages.extend(native.map(|native| (format!("{name}:{native}"), state.clone())));
            self.packages.insert(name.to_owned(), state);
        }
        self.names.push(if is_native { name.to_owned() } else { full });
    }

    /// Every package, with whether it came along with another one.
    pub(super) fn table(&self, automatic: &HashSet<String>) -> PackageTable {
        let entry = |name: &String| {
            let state = &self.packages[name];
            let automatic = automatic.contains(name) && state.status != PackageStatus::Absent;
            PackageEntry { status: state.status, version: state.version.clone(), hold: state.hold, automatic }
        };
        self.names.iter().map(|name| (name.clone(), entry(name))).collect()
    }

    pub(super) fn package(&self, name: &str) -> PackageState {
        let mut state = self.packages.get(name).cloned().unwrap_or_default();
        // What dpkg knows is a package of its own.
        if state.status == PackageStatus::Absent {
            state.provided_by = self.provided.get(name).cloned().unwrap_or_default();
        }
        state
    }

    /// Whether packages have to be completed.
    pub(super) fn is_unfinished(&self) -> bool {
        !self.unfinished.is_empty()
    }

    /// Packages that have to be completed; also what dpkg had not merged into its status file when it died.
    pub(super) fn interrupted(&self, system: &LocalSystem) -> Result<Vec<String>> {
        let mut interrupted = self.unfinished.clone();
        let updates = system.list(&HostPath::new("/var/lib/dpkg/updates")?)?.unwrap_or_default();
        if updates.iter().any(|name| name.bytes().all(|digit| digit.is_ascii_digit())) {
            interrupted.push("(changes that dpkg has not merged)".to_owned());
        }
        Ok(interrupted)
    }
}

/// The host's own architecture, if there are foreign ones beside it.
pub(super) fn first_architecture(system: &LocalSystem) -> Result<Option<String>> {
    let architectures = system.read_text("/var/lib/dpkg/arch")?;
    Ok(architectures.as_deref().and_then(|arch| arch.lines().next()).map(str::to_owned))
}

/// Which package shipped which path.
#[derive(Debug, Default)]
pub(super) struct Shipped(HashMap<String, String>);

impl Shipped {
    pub(super) fn read(system: &LocalSystem) -> Result<Shipped> {
        let mut shipped = HashMap::new();
        let info = HostPath::new(INFO)?;
        for file in system.list(&info)?.unwrap_or_default() {
            let Some(package) = file.strip_suffix(".list") else { continue };
            let text = system.read_text(&format!("{INFO}/{file}"))?.unwrap_or_default();
            let name = package.split(':').next().unwrap_or(package);
            shipped.extend(text.lines().map(|path| (merged(path), name.to_owned())));
        }
        Ok(Shipped(shipped))
    }

    pub(super) fn package_of(&self, path: &HostPath) -> Option<String> {
        self.0.get(&merged(path.as_str())).cloned()
    }
}

/// With merged `/usr` (Debian policy 10.1), `/bin/x` and `/usr/bin/x` are the same file.
fn merged(path: &str) -> String {
    let moved = ["/bin/", "/sbin/", "/lib/", "/lib64/", "/lib32/"].iter().any(|top| path.starts_with(top));
    if moved { format!("/usr{path}") } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21.22\n\n\
        Package: nginx\nStatus: hold ok installed\nArchitecture: amd64\nVersion: 1.22.1-9\n\
        Provides: httpd, httpd-cgi (= 1)\nDescription: a server\n Status: is not a field here\n\n\
        Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n\
        Package: libc6\nStatus: install ok installed\nArchitecture: i386\nVersion: 2.36\n\n\
        Package: torn\nStatus: install ok half-configured\nArchitecture: amd64\nVersion: 3\n";

    #[test]
    fn the_status_file_says_what_is_there() {
        let status = Status::parse(TEXT, None);
        let nginx = status.package("nginx");
        assert_eq!(
            (nginx.status, nginx.version.as_deref(), nginx.hold),
            (PackageStatus::Installed, Some("1.22.1-9"), true)
        );
        assert_eq!(status.package("httpd-cgi").provided_by, ["nginx"]);
        assert_eq!(status.package("gone").status, PackageStatus::ConfigFiles);
        assert_eq!(status.package("libc6").status, PackageStatus::Absent, "another architecture is another package");
        assert_eq!(status.package("libc6:i386").status, PackageStatus::Installed);
        assert_eq!(status.package("gone:amd64").status, PackageStatus::ConfigFiles, "`all` is native");
        assert_eq!(status.package("torn").status, PackageStatus::Interrupted);
        assert_eq!(status.unfinished, ["torn"]);
    }

    proptest! {
        #[test]
        fn no_status_file_makes_it_panic(text in "(Package|Status|Version|[a-z: \n]){0,20}") {
            let _ = Status::parse(&text, None).package("a");
        }
    }
}
