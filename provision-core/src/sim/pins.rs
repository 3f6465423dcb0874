//! Which version apt prefers where preferences say so: `apt_preferences(5)`.

use std::collections::BTreeSet;

use super::Machine;
use super::glob::fits;
use super::resolver::Offers;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{HostView, PackageStatus};
use crate::path::HostPath;
use crate::version::Version;

/// From this priority on a version is preferred to a later one that is installed.
const DOWNGRADES: i32 = 1000;

/// What a version on offer has if nothing is said of it.
const USUAL: i32 = 500;

/// What an installed version has that no source offers any more.
const INSTALLED: i32 = 100;

/// What is written in the files of preferences, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pins(Vec<Pin>);

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pin {
    /// Names, or patterns for them; `*` alone is about all packages, and weaker than the others.
    packages: Vec<String>,
    wanted: Wanted,
    priority: i32,
}

/// Which versions of a package a record is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// Those that fit a pattern.
    Version(String),
    /// Those of an archive with these properties: `n` and `trixie`.
    Release(Vec<(String, String)>),
    /// Those from a server.
    Origin(String),
}

impl Pins {
    /// Reads the preferences of a host.
    pub(crate) fn of(host: &dyn HostView) -> Result<Pins> {
        let directory = HostPath::new("/etc/apt/preferences.d")?;
        let mut names = host.list(&directory)?.unwrap_or_default();
        names.sort_unstable();
        // apt reads those without a suffix and with `.pref`.
        names.retain(|name| is_plain(name.strip_suffix(".pref").unwrap_or(name)));
        let mut paths = vec![HostPath::new("/etc/apt/preferences")?];
        for name in names {
            paths.push(directory.join(&name)?);
        }
        let mut pins = Pins::default();
        for path in paths {
            let is_there = host.metadata(&path)?.is_some();
            if is_there && let Some(content) = host.read(&path)? {
                pins.0.extend(Pins::parse(&String::from_utf8_lossy(content.bytes()))?.0);
            }
        }
        Ok(pins)
    }

    /// Reads a file of preferences. Regular expressions and fields that are not known are left aside.
    pub(crate) fn parse(text: &str) -> Result<Pins> {
        let mut pins = Vec::new();
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in text.lines().chain([""]) {
            if line.starts_with('#') {
                continue;
            }
            if line.trim().is_empty() {
                pins.extend(record(&std::mem::take(&mut fields))?);
            } else if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = fields.last_mut() {
                    *value = format!("{value} {}", line.trim());
                }
            } else if let Some((key, value)) = line.split_once(':') {
                fields.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        Ok(Pins(pins))
    }

    /// Whether nothing is said.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The versions that can be installed: of those on offer, with the preferred one first, as preferences arrange them.
    /// None if no version is to come. `release` is the number of the release that they come from.
    pub(crate) fn arrange(
        &self,
        package: &str,
        mut offered: Vec<String>,
        installed: Option<&str>,
        release: &str,
    ) -> Vec<String> {
        let of = |version: &str| self.priority(package, version, release);
        if offered.iter().map(String::as_str).chain(installed).all(|version| of(version).is_none()) {
            return offered;
        }
        let mut best: Option<(i32, String)> = None;
        let known = |now: &&str| !offered.iter().any(|version| version == now);
        let here = installed.filter(known).map(|now| (of(now).unwrap_or(INSTALLED), now));
        let there = offered.iter().map(|version| (of(version).unwrap_or(USUAL), version.as_str()));
        for (priority, version) in there.chain(here) {
            let lower = installed.is_some_and(|now| Version::new(version) < Version::new(now));
            let better = priority > best.as_ref().map_or(0, |(best, _)| *best);
            if better && (!lower || priority >= DOWNGRADES) {
                best = Some((priority, version.to_owned()));
            }
        }
        let Some((_, best)) = best else { return Vec::new() };
        offered.retain(|version| *version != best);
        offered.insert(0, best);
        offered
    }

    /// The priority that the first record gives a version; those that name packages come before those for all.
    fn priority(&self, package: &str, version: &str, release: &str) -> Option<i32> {
        let for_all = |pin: &&Pin| pin.packages.iter().all(|name| name == "*");
        let fits =
            |pin: &&Pin| pin.wanted.fits(version, release) && pin.packages.iter().any(|name| names(name, package));
        let named = self.0.iter().filter(|pin| !for_all(pin)).find(fits);
        // For all packages a version says nothing.
        let all = || self.0.iter().filter(for_all).filter(|pin| !matches!(pin.wanted, Wanted::Version(_))).find(fits);
        named.or_else(all).map(|pin| pin.priority)
    }
}

impl Machine<'_> {
    /// The versions of a package on offer, as the preferences of a simulated host arrange them.
    pub(crate) fn pinned(&self, name: &str, offered: Vec<String>) -> Result<Vec<String>> {
        let pins = Pins::of(&self.layer)?;
        if pins.is_empty() {
            return Ok(offered);
        }
        self.arranged(&pins, name, offered, self.catalogue().release())
    }

    fn arranged(&self, pins: &Pins, name: &str, offered: Vec<String>, release: &str) -> Result<Vec<String>> {
        let now = self.package(name)?;
        let installed = now.version.filter(|_| now.status == PackageStatus::Installed);
        Ok(pins.arrange(name, offered, installed.as_deref(), release))
    }

    /// Arranges the versions on offer of all packages that preferences are about.
    pub(crate) fn pin_all(&self, offers: &mut Offers) -> Result<()> {
        let (catalogue, pins) = (self.catalogue(), Pins::of(&self.layer)?);
        if pins.is_empty() {
            return Ok(());
        }
        let mut all: BTreeSet<String> = catalogue.names().map(str::to_owned).collect();
        all.extend(offers.keys().cloned());
        for name in all {
            if pins.0.iter().any(|pin| pin.packages.iter().any(|pattern| names(pattern, &name))) {
                let offered = match offers.get(&name) {
                    Some(offered) => offered.clone(),
                    None => catalogue.version(&name).map(str::to_owned).into_iter().collect(),
                };
                let pinned = self.arranged(&pins, &name, offered, catalogue.release())?;
                offers.insert(name, pinned);
            }
        }
        Ok(())
    }
}

impl Wanted {
    fn parse(text: &str) -> Option<Wanted> {
        let (kind, rest) = text.split_once(char::is_whitespace)?;
        let rest = rest.trim();
        match kind {
            "version" => Some(Wanted::Version(rest.to_owned())),
            "origin" => Some(Wanted::Origin(rest.trim_matches('"').to_owned())),
            "release" if rest == "*" => Some(Wanted::Release(Vec::new())),
            "release" => {
                let property = |part: &str| part.trim().split_once('=').map(|(key, value)| (key.into(), value.into()));
                let properties: Option<Vec<(String, String)>> = rest.split(',').map(property).collect();
                // A word by itself is a suite, or the beginning of a version.
                properties.map(Wanted::Release)
            }
            _ => None,
        }
    }

    /// Whether a version of the archive of a release is meant.
    fn fits(&self, version: &str, release: &str) -> bool {
        let (codename, suite) = match release {
            "12" => ("bookworm", "oldstable"),
            "13" => ("trixie", "stable"),
            _ => ("", ""),
        };
        let has = |(key, value): &(String, String)| match key.as_str() {
            "n" => fits(value, codename),
            "a" => fits(value, suite),
            "v" => fits(value, release) || value.split('.').next() == Some(release),
            "o" | "l" => fits(value, "Debian"),
            "c" => fits(value, "main"),
            _ => false,
        };
        match self {
            Wanted::Version(pattern) => fits(pattern, version),
            Wanted::Release(properties) => properties.iter().all(has),
            Wanted::Origin(server) => fits(server, "deb.debian.org"),
        }
    }
}

/// The pin that the fields of a record are; none if they are about something else.
fn record(fields: &[(String, String)]) -> Result<Option<Pin>> {
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let Some(packages) = field("package") else { return Ok(None) };
    let priority = field("pin-priority").and_then(|text| text.parse::<i32>().ok()).unwrap_or_default();
    if priority == 0 {
        return Err(Error::new(ErrorKind::Invalid, "no priority (or zero) is given for a pin")
            .with_hint("look into /etc/apt/preferences and /etc/apt/preferences.d"));
    }
    let packages = packages.split_whitespace().map(str::to_owned).collect();
    Ok(field("pin").and_then(Wanted::parse).map(|wanted| Pin { packages, wanted, priority }))
}

/// Whether a name in a record is one of a package. The source of a package has its name, as far as is known here.
fn names(pattern: &str, package: &str) -> bool {
    let pattern = pattern.strip_prefix("src:").unwrap_or(pattern);
    let pattern = pattern.split(':').next().unwrap_or(pattern);
    !pattern.starts_with('/') && fits(pattern, package)
}

/// Whether apt reads a file of this name; see `apt.conf(5)`.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arranged(pins: &str, installed: Option<&str>) -> String {
        let offered = ["9.0", "2.10-5", "1.0"].map(str::to_owned).to_vec();
        Pins::parse(pins).unwrap().arrange("hello", offered, installed, "13").join(" ")
    }

    fn pin(package: &str, wanted: &str, priority: i32) -> String {
        format!("Package: {package}\nPin: {wanted}\nPin-Priority: {priority}\n\n")
    }

    /// Each line as `apt-cache policy` of Debian 13 says.
    #[test]
    fn the_preferred_version_comes_first() {
        assert_eq!(arranged("", None), "9.0 2.10-5 1.0");
        assert_eq!(arranged(&pin("hello", "version 1.0", 600), None), "1.0 9.0 2.10-5");
        assert_eq!(arranged(&pin("hello", "version 2.*", 600), None), "2.10-5 9.0 1.0");
        assert_eq!(arranged(&pin("hello", "version 2.*", 500), None), "9.0 2.10-5 1.0");
        assert_eq!(arranged(&pin("hello", "version 2.*", 100), None), "9.0 2.10-5 1.0");
        assert_eq!(arranged(&pin("hello", "version 9.0", -1), None), "2.10-5 9.0 1.0");
        assert_eq!(arranged(&pin("hello", "version 7", 1001), None), "9.0 2.10-5 1.0");
        assert_eq!(arranged(&pin("hello", "version 1.0", 999), Some("9.0")), "9.0 2.10-5 1.0");
        assert_eq!(arranged(&pin("hello", "version 1.0", 1000), Some("9.0")), "1.0 9.0 2.10-5");
        assert_eq!(arranged(&pin("hello", "version 9.0", -1), Some("9.0")), "");
        assert_eq!(arranged(&pin("hello", "version 1.0", 999), Some("10.0")), "10.0 9.0 2.10-5 1.0");
    }

    #[test]
    fn records_are_about_packages_and_archives() {
        for package in ["hello", "hel*", "bc hello", "src:hello", "hello:any", "*"] {
            assert_eq!(arranged(&pin(package, "release *", -1), None), "", "{package}");
        }
        for package in ["bc", "hello?", "/^hel/"] {
            assert_eq!(arranged(&pin(package, "release *", -1), None), "9.0 2.10-5 1.0", "{package}");
        }
        for wanted in ["release n=trixie", "release a=stable, o=Debian", "origin deb.debian.org", "origin \"deb.*\""] {
            assert_eq!(arranged(&pin("hello", wanted, -1), None), "", "{wanted}");
        }
        for wanted in ["release n=bookworm", "release a=stable,l=Other", "origin \"\"", "nonsense *"] {
            assert_eq!(arranged(&pin("hello", wanted, -1), None), "9.0 2.10-5 1.0", "{wanted}");
        }
    }

    #[test]
    fn the_first_record_counts_and_a_name_more_than_all() {
        let two = pin("hello", "release *", 100) + &pin("hello", "release *", -1);
        assert_eq!(arranged(&two, None), "9.0 2.10-5 1.0");
        let general = pin("*", "release *", -1) + &pin("hello", "release *", 500);
        assert_eq!(arranged(&general, None), "9.0 2.10-5 1.0");
        let folded = "# one\nExplanation: why\nPackage: bc\n hello\nPin: release *\nPin-Priority: -1";
        assert_eq!(arranged(folded, None), "");
    }

    #[test]
    fn a_pin_without_a_priority_is_an_error() {
        for text in ["Package: hello\nPin: release *\n", "Package: hello\nPin: release *\nPin-Priority: 0\n"] {
            assert_eq!(Pins::parse(text).unwrap_err().kind(), ErrorKind::Invalid);
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "(?s).{0,200}", package in "[a-z*?:/]{0,8}") {
            if let Ok(pins) = Pins::parse(&text) {
                pins.arrange(&package, vec!["1".into()], None, "13");
            }
        }

        #[test]
        fn what_is_arranged_was_on_offer_and_is_there_once(
            records in proptest::collection::vec(("hello|\\*|h.*", "version [129]\\*|release \\*|release n=trixie", -2i32..1100), 0..5),
            installed in proptest::option::of("[0-9]\\.0"),
        ) {
            let text: String = records.iter().filter(|(.., priority)| *priority != 0)
                .map(|(package, wanted, priority)| pin(package, wanted, *priority)).collect();
            let offered: Vec<String> = ["9.0", "2.10-5", "1.0"].map(str::to_owned).to_vec();
            let mut found = Pins::parse(&text).unwrap().arrange("hello", offered.clone(), installed.as_deref(), "13");
            prop_assert!(found.iter().all(|version| offered.contains(version) || installed.as_ref() == Some(version)));
            let count = found.len();
            found.sort();
            found.dedup();
            prop_assert_eq!(found.len(), count);
        }
    }
}
