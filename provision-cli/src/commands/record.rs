//! `provision record`: write the state of a host down.

use std::io::Write;

use provision_core::error::{Error, ErrorKind, ResultExt};
use provision_core::sim::{HostRecord, Scope};

use crate::cli::{Options, RecordVerb};
use crate::context::Target;
use crate::exit::{Exit, Failure};
use crate::output;

/// Records a host. Files that not everybody may read are left without their contents, and passwords without their hashes.
pub fn run(options: &Options, verb: &RecordVerb) -> Result<Exit, Failure> {
    let RecordVerb::Host { output, without } = verb;
    let host = Target::open(options, None)?.view();
    let scope = Scope::fixture().without(without.iter().cloned());
    let record = HostRecord::of(&*host, &scope).while_doing(|| "recording the host")?;
    if record.os.id.is_empty() {
        let error = Error::new(ErrorKind::Unsupported, "/etc/os-release does not say which system it is")
            .with_hint("name the directory that has the `etc` of a Debian system in it");
        return Err(error.while_doing("recording the host").into());
    }
    let json = record.to_json();
    match output {
        None => output::stdout().write_all(json.as_bytes())?,
        #[expect(clippy::disallowed_methods, reason = "the record lies on the machine that the program runs on")]
        Some(file) => std::fs::write(file, json)
            .map_err(|error| Error::io(&error))
            .while_doing(|| format!("writing {}", file.display()))?,
    }
    Ok(Exit::Success)
}
