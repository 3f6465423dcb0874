//! From what a test says a host begins with to that host.

use std::path::Path;

use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::facts::Facts;
use crate::sim::{HostRecord, SimHost};
use crate::site::StartingState;

use super::RELEASES;
use super::furnish::{Unfit, furnish_leniently};

/// Makes a host of a release that begins like this. Relative paths of fixtures start at `beside`.
///
/// # Errors
/// There is no such release, package or fixture; or the fixture is of another release.
pub fn starting(state: &StartingState, release: u32, beside: Option<&Path>) -> Result<SimHost> {
    starting_or_unfit(state, release, beside, NamedBy::Test).map_err(|unfit| unfit.error)
}

/// Who named a fixture: only a test can say for which releases it is.
#[derive(Clone, Copy)]
pub(super) enum NamedBy {
    Test,
    TestHost,
}

/// The same, saying which part of the state it is that cannot be.
pub(super) fn starting_or_unfit(
    state: &StartingState,
    release: u32,
    beside: Option<&Path>,
    named: NamedBy,
) -> std::result::Result<SimHost, Unfit> {
    let host = match &state.fixture {
        Some(fixture) => from_fixture(fixture, release, beside, named),
        None => SimHost::release(&release.to_string()),
    };
    let host = host.map_err(|error| Unfit { path: vec!["fixture".to_owned()], error })?;
    let (host, mut unfit) = furnish_leniently(host, state);
    if unfit.is_empty() { Ok(host) } else { Err(unfit.remove(0)) }
}

fn from_fixture(fixture: &str, release: u32, beside: Option<&Path>, named: NamedBy) -> Result<SimHost> {
    let file = beside.map_or_else(|| fixture.into(), |beside| beside.join(fixture));
    let reading = || format!("reading the fixture {}", file.display());
    #[expect(clippy::disallowed_methods, reason = "a fixture lies beside the site that it is for")]
    let text = std::fs::read_to_string(&file).map_err(|error| Error::io(&error)).while_doing(reading)?;
    let record = HostRecord::from_json(&text).while_doing(reading)?;
    of_release(&record.os.version, release, named).while_doing(reading)?;
    SimHost::from_record(record).while_doing(reading)
}

/// Wants a record to be of the release that is asked for.
fn of_release(recorded: &str, release: u32, named: NamedBy) -> Result<()> {
    if recorded == release.to_string() {
        return Ok(());
    }
    let known = RELEASES.iter().any(|release| release.to_string() == recorded);
    let (what, hint) = match recorded {
        "" => (
            format!("it does not say of which release of Debian it is, and the test is for Debian {release}"),
            "its host had no VERSION_ID in /etc/os-release: write the release as `version` into `os` of the record"
                .to_owned(),
        ),
        _ if known => (
            format!("it was recorded on Debian {recorded}, and the test is for Debian {release}"),
            match named {
                NamedBy::Test => format!("say `releases = [{recorded}]`, or record a host of Debian {release}"),
                NamedBy::TestHost => {
                    format!("try the site with `--release {recorded}`, or record a host of Debian {release}")
                }
            },
        ),
        _ => (
            format!("it was recorded on release {recorded}, and the test is for Debian {release}"),
            format!("record a host of Debian {release}"),
        ),
    };
    Err(Error::new(ErrorKind::Unsupported, what).with_hint(hint))
}

/// The facts of a freshly installed release.
///
/// # Errors
/// It was not recorded.
pub fn facts_of(release: u32) -> Result<Facts> {
    Facts::gather(&SimHost::release(&release.to_string())?)
}
