//! Why apt did not do it, and what it says meanwhile.

use provision_core::diagnostic::did_you_mean;
use provision_core::effect::{Output, PackageTransaction};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::LocalSystem;

use super::{EXACT, available_versions, command, exact};

/// What lines of apt's status protocol begin with; see `README.progress-reporting` of apt.
const STATUS: [&str; 5] = ["pmstatus:", "pmerror:", "pmconffile:", "dlstatus:", "media-change:"];

/// How apt tells that a file of the archive is not there, or another one, by now.
const MOVED: [&str; 4] = ["404  Not Found", "File not found", "unexpected size", "Hash Sum mismatch"];

/// Why there is no solution: names and versions that no source offers, or what apt says.
pub(super) fn unsolvable(
    system: &LocalSystem,
    native: Option<&str>,
    transaction: &PackageTransaction,
    output: &Output,
) -> Result<Error> {
    let names: Vec<String> = transaction.install.iter().map(|request| request.name.clone()).collect();
    let available = available_versions(system, native, &names)?;
    for request in &transaction.install {
        let versions = available.get(&request.name).map(Vec::as_slice).unwrap_or_default();
        match &request.version {
            _ if versions.is_empty() => return missing(system, native, &request.name),
            Some(version) if !versions.contains(version) => {
                let message = format!("no package source has {} in version {version}", request.name);
                let hint = format!("there is {}", versions.join(", "));
                return Ok(Error::new(ErrorKind::NotFound, message).with_hint(hint));
            }
            _ => {}
        }
    }
    let held = held(output);
    if !held.is_empty() {
        let message = format!("it would change {}, which is held", held.join(", "));
        return Ok(Error::new(ErrorKind::Refused, message)
            .with_cause(last_lines(output))
            .with_hint("release what is held (`hold = false`, or `apt-mark unhold`), or leave this package as it is"));
    }
    Ok(Error::new(ErrorKind::Conflict, "apt finds no way to do this")
        .with_cause(last_lines(output))
        .with_hint("see which package source or version would meet the dependencies, and what pins and holds forbid"))
}

/// The packages that are named where apt says that held ones would be changed.
fn held(output: &Output) -> Vec<&str> {
    let after =
        output.stdout.lines().skip_while(|line| !line.starts_with("The following held packages will be changed"));
    after.skip(1).take_while(|line| line.starts_with(' ')).flat_map(str::split_whitespace).collect()
}

fn missing(system: &LocalSystem, native: Option<&str>, name: &str) -> Result<Error> {
    let providers = providers(system, native, name)?;
    if !providers.is_empty() {
        return Ok(Error::new(ErrorKind::NotFound, format!("{name} is a virtual package"))
            .with_hint(format!("declare one that provides it: {}", providers.join(", "))));
    }
    let error = Error::new(ErrorKind::NotFound, format!("no package source has a package {name}"));
    let known = system.run(&command(["apt-cache", "pkgnames"]))?.stdout;
    Ok(match did_you_mean(name, known.lines().filter(|known| *known != name)) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint("declare the package source that has it, or correct the name"),
    })
}

/// The packages that stand for a virtual one: the names after the heading that `apt-cache showpkg` ends with.
fn providers(system: &LocalSystem, native: Option<&str>, name: &str) -> Result<Vec<String>> {
    let argv = ["apt-cache"].iter().chain(&EXACT).chain(&["showpkg", "--"]).map(|word| (*word).to_owned());
    let output = system.run(&command(argv.chain([exact(name, native)])))?;
    let after = output.stdout.rsplit_once("Reverse Provides:").map(|(_, after)| after.to_owned()).unwrap_or_default();
    let mut names: Vec<String> = after.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// Why a transaction failed that apt had found a way for.
pub(super) fn failed(output: &Output) -> Error {
    let all = || output.stdout.lines().chain(output.stderr.lines());
    let not_fetched: Vec<&str> = all().filter(|line| line.starts_with("E: Failed to fetch")).collect();
    let cause = last_lines(output);
    if not_fetched.iter().any(|line| MOVED.iter().any(|moved| line.contains(moved))) {
        return Error::new(ErrorKind::Stale, "a package source no longer has a file that the package lists name")
            .with_cause(cause)
            .with_hint("fetch the package lists anew, and make the plan again");
    }
    if !not_fetched.is_empty() {
        return Error::new(ErrorKind::CommandFailed, "packages cannot be fetched")
            .with_cause(cause)
            .with_hint("see that the package sources can be reached");
    }
    let mut failed: Vec<String> = Vec::new();
    for text in all().filter_map(|line| line.find("pmerror:").map(|place| &line[place..])) {
        let why = text.splitn(4, ':').nth(3).unwrap_or_default();
        if !failed.iter().any(|known| known == why) {
            failed.push(why.to_owned());
        }
    }
    if failed.is_empty() {
        return Error::new(ErrorKind::CommandFailed, format!("apt-get ended with exit code {}", output.code))
            .with_cause(cause);
    }
    Error::new(ErrorKind::CommandFailed, format!("dpkg failed: {}", failed.join("; ")))
        .with_cause(cause)
        .with_hint("mend what the script needs and apply again, or declare the package with `ensure = 'purged`")
}

/// The last lines of what a program said.
pub(super) fn last_lines(output: &Output) -> String {
    let lines = output.stdout.lines().chain(output.stderr.lines()).map(without_status);
    let said: Vec<&str> = lines.filter(|line| !line.trim().is_empty()).collect();
    said[said.len().saturating_sub(12)..].join("\n")
}

/// A line without what the status protocol has put into it: both use one pipe, and a line of a program may not have ended.
fn without_status(line: &str) -> &str {
    let starts = STATUS.iter().filter_map(|start| line.find(start).filter(|place| is_status(&line[*place..])));
    starts.min().map_or(line, |place| &line[..place])
}

/// Whether a text has a number where the protocol has one.
fn is_status(text: &str) -> bool {
    text.starts_with("media-change:") || text.split(':').skip(2).take(2).any(|part| part.parse::<f64>().is_ok())
}

/// Lines of apt's status protocol, `pmstatus:package:percent:text` and `dlstatus:number:percent:text`.
pub(super) fn progress(line: &str) -> Option<String> {
    let mut parts = line.splitn(4, ':');
    let (kind, percent, text) = (parts.next()?, parts.nth(1)?, parts.next()?);
    let percent = percent.split('.').next().unwrap_or_default();
    matches!(kind, "pmstatus" | "dlstatus").then(|| format!("{text} ({percent} %)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn output(stdout: &str) -> Output {
        Output { code: 100, stdout: stdout.to_owned(), ..Output::default() }
    }

    #[test]
    fn the_status_protocol_becomes_a_short_text() {
        assert_eq!(
            progress("pmstatus:nginx:42.8571:Unpacking nginx (amd64)").as_deref(),
            Some("Unpacking nginx (amd64) (42 %)")
        );
        assert_eq!(progress("Reading package lists..."), None);
    }

    /// As Debian 12 says it when a script fails.
    #[test]
    fn the_status_protocol_stays_out_of_messages() {
        let said = output(
            "Setting up broken (1.0) ...\npmstatus:broken:40.0000:Configuring broken (amd64)\n\
             dpkg: error processing package broken (--configure):\n\
             Errors were encounteredpmerror:broken:60.0000:installed broken package post-installation script subprocess \
             returned error exit status 1\n broken\n",
        );
        let error = failed(&said);
        let why = "installed broken package post-installation script subprocess returned error exit status 1";
        assert_eq!(error.message(), format!("dpkg failed: {why}"));
        assert_eq!(
            error.cause(),
            Some(
                "Setting up broken (1.0) ...\ndpkg: error processing package broken (--configure):\n\
                 Errors were encountered\n broken"
            )
        );
    }

    #[test]
    fn an_archive_that_has_moved_on_is_told_from_one_that_cannot_be_reached() {
        let fetch = |why: &str| failed(&output(&format!("E: Failed to fetch http://deb/x.deb  {why}\n"))).kind();
        assert_eq!(fetch("404  Not Found [IP: 10.0.0.1 80]"), ErrorKind::Stale);
        assert_eq!(fetch("File not found - /x.deb (2: No such file or directory)"), ErrorKind::Stale);
        assert_eq!(fetch("File has unexpected size (2 != 1). Mirror sync in progress?"), ErrorKind::Stale);
        assert_eq!(fetch("Temporary failure resolving 'deb'"), ErrorKind::CommandFailed);
    }

    #[test]
    fn what_is_held_is_named() {
        let said = output("The following held packages will be changed:\n  hello bc\n  tree\n0 upgraded\n");
        assert_eq!(held(&said), ["hello", "bc", "tree"]);
    }

    proptest! {
        #[test]
        fn no_status_line_is_left(start in "[^p\n]{0,8}", name in "[a-z0-9+.-]{2,8}", text in "[^\n]{0,20}") {
            let said = last_lines(&output(&format!("{start}pmerror:{name}:57.5714:{text}\n")));
            prop_assert!(!said.contains("pmerror"), "{}", said);
        }
    }
}
