//! Saved plans as files.

use std::io::{Read, Write};
use std::path::Path;

use provision_core::engine::Preview;
use provision_core::error::{Error, ErrorKind, ResultExt};
use provision_core::host::HostView;
use provision_core::plan::{Planned, SavedPlan};

use crate::cli::SiteArguments;
use crate::exit::Failure;

/// The bytes of the saved plan that is named in place of a site, if one is.
pub fn read(arguments: &SiteArguments) -> Result<Option<Vec<u8>>, Failure> {
    let Some(file) = arguments.sites.iter().find(|file| is_one(file)) else { return Ok(None) };
    if arguments.sites.len() > 1 {
        return Err(Failure::Usage(format!("{} is a saved plan, which is applied alone", file.display())));
    }
    #[expect(clippy::disallowed_methods, reason = "a saved plan lies beside the site, not on the host")]
    let bytes = std::fs::read(file).while_doing(|| format!("reading {}", file.display()))?;
    Ok(Some(bytes))
}

/// Whether a file is meant to be a saved plan.
pub fn is_one(file: &Path) -> bool {
    head_of(file).is_some_and(|head| SavedPlan::is_one(&head))
}

/// How a file begins; none if it is no regular file, or cannot be read, which is told of when it is read as a site.
fn head_of(file: &Path) -> Option<Vec<u8>> {
    #[expect(clippy::disallowed_methods, reason = "sites and plans do not lie on the host")]
    let is_file = std::fs::metadata(file).is_ok_and(|found| found.is_file());
    #[expect(clippy::disallowed_types, reason = "sites and plans do not lie on the host")]
    let opened = is_file.then(|| std::fs::File::open(file)).and_then(Result::ok)?;
    let mut head = Vec::new();
    opened.take(200).read_to_end(&mut head).ok()?;
    Some(head)
}

/// Saves a plan in a file that only its owner may read.
pub fn write(planned: &Planned<'_>, preview: &Preview<impl HostView>, file: &Path) -> Result<(), Failure> {
    let saving = || format!("saving the plan in {}", file.display());
    // What is there and is no plan was not meant: it may be the site.
    let there = head_of(file).is_some_and(|head| !head.is_empty() && !SavedPlan::is_one(&head));
    if there {
        return Err(Error::new(ErrorKind::Refused, "it holds something that is no saved plan")
            .while_doing(saving())
            .with_hint("choose another file, or remove it")
            .into());
    }
    let key = preview.journal().make_key().while_doing(saving)?;
    let bytes = planned.save(preview.host(), &key).while_doing(saving)?;
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let saved = tempfile::NamedTempFile::new_in(directory).and_then(|mut staged| {
        staged.write_all(&bytes)?;
        staged.as_file().sync_all()?;
        staged.persist(file).map_err(|error| error.error)
    });
    saved.map(drop).while_doing(saving)?;
    Ok(())
}
