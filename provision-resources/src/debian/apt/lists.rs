//! The package lists: how old they are, whether they are those of the package sources, and fetching them.

use std::time::Duration;

use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::LocalSystem;
use provision_core::path::{HostPath, Mode};

use super::{command, failures};

const LISTS: &str = "/var/lib/apt/lists";
/// Every fetch goes through this directory, whether it succeeds or not.
const PARTIAL: &str = "/var/lib/apt/lists/partial";
/// Is there while the lists are fetched, and stays if that fails. apt keeps it, for it is not among the lists.
const UNDER_WAY: &str = "/var/lib/apt/provision-refresh";

/// What is known of the package lists.
pub(in crate::debian) struct Lists {
    /// Seconds since all of them were fetched, or found to be the newest; `None` if there are none.
    pub(in crate::debian) age: Option<u64>,
    /// Whether a source is newer than they are, or the last fetch failed.
    pub(in crate::debian) are_outdated: bool,
}

/// Reads the state of the package lists.
///
/// The lists have the server's times of modification. apt changes the status (`st_ctime`) of each `Release` file that it has
/// fetched or found to be the newest, and of none that it could not reach, so the oldest of these counts. A system that was
/// copied has new ones, and the old time of `partial`.
pub(in crate::debian) fn lists(system: &LocalSystem) -> Result<Lists> {
    let names = system.list(&HostPath::new(LISTS)?)?.unwrap_or_default();
    if !names.iter().any(|name| name.contains("_Packages")) {
        return Ok(Lists { age: None, are_outdated: false });
    }
    let is_release = |name: &&String| name.ends_with("_InRelease") || name.ends_with("_Release");
    // An unsigned source may have no `Release` file.
    let mut tells: Vec<&String> = names.iter().filter(is_release).collect();
    if tells.is_empty() {
        tells = names.iter().filter(|name| name.contains("_Packages")).collect();
    }
    let mut confirmed = Duration::ZERO;
    for name in tells {
        let age = system.age(&HostPath::new(&format!("{LISTS}/{name}"))?)?;
        confirmed = confirmed.max(age.map_or(Duration::MAX, |age| age.since_changed));
    }
    let tried = system.age(&HostPath::new(PARTIAL)?)?.map_or(Duration::ZERO, |age| age.since_modified);
    let mut are_outdated = system.age(&HostPath::new(UNDER_WAY)?)?.is_some();
    for source in sources(system)? {
        // Each time is compared with one of its own kind: copies keep one and not the other.
        let is_newer = |age: provision_core::host::Age| age.since_changed < confirmed && age.since_modified < tried;
        are_outdated |= system.age(&source)?.is_some_and(is_newer);
    }
    Ok(Lists { age: Some(confirmed.max(tried).as_secs()), are_outdated })
}

/// The files that apt reads its sources from; see `sources.list(5)`.
fn sources(system: &LocalSystem) -> Result<Vec<HostPath>> {
    let directory = HostPath::new("/etc/apt/sources.list.d")?;
    let names = system.list(&directory)?.unwrap_or_default();
    let names = names.iter().filter(|name| name.ends_with(".list") || name.ends_with(".sources"));
    let mut all = vec![HostPath::new("/etc/apt/sources.list")?];
    for name in names {
        all.push(directory.join(name)?);
    }
    Ok(all)
}

/// Fetches the package lists.
pub(in crate::debian) fn refresh(system: &LocalSystem) -> Result<()> {
    let under_way = HostPath::new(UNDER_WAY)?;
    system.write(&under_way, "", Mode::new(0o644))?;
    // Without the error mode, apt-get ends with 0 although a source failed.
    let argv = ["apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update"];
    let output = system.run_watched(&command(argv), &|line| system.progress(line))?;
    if output.success() {
        return system.remove(&under_way);
    }
    Err(Error::new(ErrorKind::CommandFailed, format!("apt-get update ended with exit code {}", output.code))
        .with_cause(failures::last_lines(&output))
        .with_hint("see that the package sources can be reached and that their keys are there"))
}
