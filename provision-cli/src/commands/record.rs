//! `provision record`: write the state of a host down.

use std::io::Write;
use std::path::Path;

use provision_core::error::{Error, ResultExt};
use provision_core::facts::Os;
use provision_core::path::HostPath;
use provision_core::sim::{HostRecord, Scope};

use crate::cli::{Options, RecordVerb};
use crate::context::Target;
use crate::exit::{Exit, Failure};
use crate::output;

/// Records a host. Files that not everybody may read are left without their contents, and passwords without their hashes.
pub fn run(options: &Options, verb: &RecordVerb) -> Result<Exit, Failure> {
    let RecordVerb::Host { output, without } = verb;
    let host = Target::open(options, None)?.view();
    Os::require(&*host).while_doing(|| "recording the host")?;
    let output_on_host = output.as_deref().filter(|_| !options.simulate);
    let output_on_host = output_on_host.and_then(|file| path_below(file, options.root.as_deref()));
    let scope = Scope::fixture().without(without.iter().cloned().chain(output_on_host));
    let record = HostRecord::of(&*host, &scope).while_doing(|| "recording the host")?;
    match output {
        None => print(&record)?,
        #[expect(clippy::disallowed_methods, reason = "the record lies on the machine that the program runs on")]
        Some(file) => std::fs::write(file, record.to_json())
            .map_err(|error| Error::io(&error))
            .while_doing(|| format!("writing {}", file.display()))?,
    }
    Ok(Exit::Success)
}

fn print(record: &HostRecord) -> Result<(), Failure> {
    Ok(output::json().write_all(record.to_json().as_bytes())?)
}

/// The path that a file of this machine has on the host that is recorded, if it lies there.
fn path_below(file: &Path, root: Option<&Path>) -> Option<HostPath> {
    let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let named = directory.canonicalize().ok()?.join(file.file_name()?);
    // A link is followed by what writes.
    let written = named.canonicalize().unwrap_or(named);
    let root = root.unwrap_or(Path::new("/")).canonicalize().ok()?;
    HostPath::new(Path::new("/").join(written.strip_prefix(root).ok()?).to_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::captured;
    use provision_core::sim::SimHost;

    /// Characters that change the direction of text had been shown as they are for people, which is no JSON.
    #[test]
    fn a_printed_record_of_files_with_odd_names_is_read_back() {
        let host = SimHost::debian(12).with_file("/etc/a\u{202e}b", "\u{9b}31m\n").with_file("/etc/c\u{10fff6}", "x");
        let record = HostRecord::of(&host, &Scope::fixture()).unwrap();
        print(&record).unwrap();
        assert_eq!(HostRecord::from_json(&captured::take()).unwrap().to_json(), record.to_json());
    }
}
