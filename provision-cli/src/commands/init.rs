//! `provision init`: a site to begin with, set up for editors.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it makes files for the user, not on a managed host"
)]

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind as IoErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use provision_core::config::contract_library;
use provision_core::error::{Error, ErrorKind, ResultExt};

use crate::cli::Init;
use crate::context::Program;
use crate::exit::{Exit, Failure};
use crate::output;

/// What every library begins with that this program has written.
const LIBRARY_BEGINS: &str = "# The contracts of provision";

const SITE: &str = include_str!("init/site.ncl");

/// The most bytes that the name of a site has.
const LONGEST_NAME: usize = 64;

/// Writes the files of a new site. A site that is there already stays, and the library too, unless it is to be renewed.
pub fn run(program: &Program<'_>, verb: &Init) -> Result<Exit, Failure> {
    let directory = &verb.directory;
    fs::create_dir_all(directory).while_doing(|| format!("creating {}", directory.display()))?;
    let mut out = output::stdout();
    let library = contract_library(&program.registry.descriptions());
    if verb.update {
        let path = directory.join("provision.ncl");
        let before = fs::read_to_string(&path).unwrap_or_default();
        if before == library {
            writeln!(out, "kept    {}, which is that of this version", path.display())?;
            return Ok(Exit::Success);
        }
        // A file of that name that is something else was not written by this program.
        if !before.is_empty() && !before.starts_with(LIBRARY_BEGINS) {
            return Err(Error::new(ErrorKind::Refused, format!("{} was not written by provision", path.display()))
                .with_hint("move it away, and run this again")
                .into());
        }
        let written = tempfile::NamedTempFile::new_in(directory).and_then(|mut staged| {
            staged.write_all(library.as_bytes())?;
            staged.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
            staged.persist(&path).map_err(|error| error.error)
        });
        written.while_doing(|| format!("writing {}", path.display()))?;
        writeln!(out, "updated {}", path.display())?;
        return Ok(Exit::Success);
    }
    let site = SITE.replace(r#"name = "site""#, &format!(r#"name = "{}""#, name_after(directory)));
    for (name, text) in [("site.ncl", &site), ("provision.ncl", &library)] {
        let path = directory.join(name);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                file.write_all(text.as_bytes()).while_doing(|| format!("writing {}", path.display()))?;
                writeln!(out, "created {}", path.display())?;
            }
            Err(error) if error.kind() == IoErrorKind::AlreadyExists => {
                writeln!(
                    out,
                    "kept    {}, which was there{}",
                    path.display(),
                    if name == "site.ncl" { "" } else { "; --update renews it" }
                )?;
            }
            Err(error) => return Err(Error::io(&error).while_doing(format!("creating {}", path.display())).into()),
        }
    }
    let site = directory.join("site.ncl");
    writeln!(out, "\nNext: provision plan --simulate {0}\n      provision apply --simulate {0}", site.display())?;
    Ok(Exit::Success)
}

/// A name for the site of a directory, so that two sites of one host do not share theirs.
fn name_after(directory: &Path) -> String {
    let path = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let may_stand = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name: String = name.chars().map(|c| if may_stand(c) { c } else { '-' }).take(LONGEST_NAME).collect();
    if name.chars().any(|c| c.is_ascii_alphanumeric()) { name } else { "site".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_named_after_its_directory() {
        let name = |directory: &str| name_after(Path::new(directory));
        assert_eq!(name("/nowhere/web-1.example"), "web-1.example");
        assert_eq!(name("/nowhere/mein büro\""), "mein-b-ro-");
        assert_eq!(name(&format!("/nowhere/{}", "a".repeat(200))).len(), LONGEST_NAME);
        assert_eq!((name("/"), name("/nowhere/…")), ("site".to_owned(), "site".to_owned()));
    }
}
