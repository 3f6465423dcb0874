//! `provision record`: write the state of a host down.

use std::io::Write;

use provision_core::error::{Error, ResultExt};
use provision_core::host::{HostRecord, Scope};

use crate::cli::{Options, RecordVerb};
use crate::context;
use crate::exit::{Exit, Failure};

/// Records a host. Files that not everybody may read are left without their contents, and passwords without their hashes.
pub fn run(options: &Options, verb: &RecordVerb) -> Result<Exit, Failure> {
    let RecordVerb::Host { output, without } = verb;
    let host = context::host(options)?;
    let without: Vec<&str> = without.iter().map(String::as_str).collect();
    let record = HostRecord::of(&*host, &Scope::fixture().without(&without)).while_doing(|| "recording the host")?;
    let json = record.to_json();
    match output {
        None => anstream::stdout().lock().write_all(json.as_bytes())?,
        #[expect(clippy::disallowed_methods, reason = "the record lies on the machine that the program runs on")]
        Some(file) => std::fs::write(file, json)
            .map_err(|error| Error::io(&error))
            .while_doing(|| format!("writing {}", file.display()))?,
    }
    Ok(Exit::Success)
}
