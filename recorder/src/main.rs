//! Records packages of Debian for the simulated host: what they ship, and what their scripts really do.
//!
//! `cargo run -p provision-recorder -- --release bookworm --output provision-core/data/debian.packages.zst`, as root, with
//! `mmdebstrap` and `zstd`. Packages are installed one by one in root directories, which are compared before and after.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stderr,
    reason = "a tool of the developers that makes root directories and runs programs in them"
)]

mod changes;
mod choose;
mod control;
mod deb;
mod filter;
mod index;
mod record;
mod root;
mod round;
mod run;
mod snapshot;
mod store;
mod tar;
mod texts;

use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage: record-packages --release bookworm|trixie --output FILE [--list FILE] [--mirror URL] \
                     [--work DIRECTORY]";

/// What the command line says.
#[derive(Debug, Default, PartialEq)]
pub struct Arguments {
    /// Codename of the release.
    pub release: String,
    /// The file of recorded packages that the release is added to.
    pub output: PathBuf,
    /// Another list of packages than the one that comes with the program.
    pub list: Option<PathBuf>,
    /// Another mirror than the usual one.
    pub mirror: Option<String>,
    /// Where root directories are made; in memory it is fastest.
    pub work: Option<PathBuf>,
}

fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Arguments, String> {
    let mut parsed = Arguments::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value\n{USAGE}"));
        match argument.as_str() {
            "--release" => parsed.release = value()?,
            "--output" => parsed.output = value()?.into(),
            "--list" => parsed.list = Some(value()?.into()),
            "--mirror" => parsed.mirror = Some(value()?),
            "--work" => parsed.work = Some(value()?.into()),
            _ => return Err(format!("unknown option {argument}\n{USAGE}")),
        }
    }
    if parsed.release.is_empty() || parsed.output.as_os_str().is_empty() {
        return Err(USAGE.into());
    }
    Ok(parsed)
}

fn main() -> ExitCode {
    let recorded = parse(std::env::args().skip(1)).and_then(|arguments| record::record(&arguments));
    match recorded {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_and_an_output_are_needed() {
        let parsed = |line: &str| parse(line.split_whitespace().map(str::to_owned));
        assert!(parsed("--release bookworm").is_err());
        assert!(parsed("--release").unwrap_err().contains("needs a value"));
        assert!(parsed("--nothing").unwrap_err().contains("--nothing"));
        let arguments = parsed("--release trixie --output x --work /w").unwrap();
        assert_eq!((arguments.release.as_str(), arguments.work), ("trixie", Some("/w".into())));
    }
}
