//! `provision init`: a site to begin with, set up for editors.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it makes files for the user, not on a managed host"
)]

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};

use provision_core::config::contract_library;
use provision_core::error::{Error, ResultExt};
use provision_resources::registry;

use crate::cli::Init;
use crate::exit::{Exit, Failure};

const SITE: &str = include_str!("init/site.ncl");

/// Writes the files of a new site. What is there already stays.
pub fn run(verb: &Init) -> Result<Exit, Failure> {
    let directory = &verb.directory;
    fs::create_dir_all(directory).while_doing(|| format!("creating {}", directory.display()))?;
    let mut out = anstream::stdout().lock();
    let library = contract_library(&registry().descriptions());
    for (name, text) in [("site.ncl", SITE), ("provision.ncl", library.as_str())] {
        let path = directory.join(name);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                file.write_all(text.as_bytes()).while_doing(|| format!("writing {}", path.display()))?;
                writeln!(out, "created {}", path.display())?;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                writeln!(out, "kept    {}, which was there", path.display())?;
            }
            Err(error) => return Err(Error::io(&error).while_doing(format!("creating {}", path.display())).into()),
        }
    }
    let site = directory.join("site.ncl");
    writeln!(out, "\nNext: provision plan --simulate {0}\n      provision apply --simulate {0}", site.display())?;
    Ok(Exit::Success)
}
